//! One step's work: what its handler is given, and what becomes of its result.
//!
//! All that is fixed stands in the settings of the step; the run's data brings the values.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};
use windlass_workflow_model::{Definition, Fault, NodeKind, Payload};

use crate::diagnostic::shortened;
use crate::dialect::Dialect;
use crate::step_groups::approval;
use crate::step_groups::conditions::{Conditions, Judged, When};
use crate::step_groups::digits::group_digits;
use crate::step_groups::evaluation::{Seen, text_of};
use crate::step_groups::rule;
use crate::step_groups::secrets::Secrets;
use crate::step_groups::state::{PROCESS_ENV, State, VARIABLES, invalid};
use crate::step_groups::template::{Part, Setting, Template, Texts};

/// The key of a result whose text is searched for outputs and is none itself.
const STDOUT: &str = "stdout";

/// Everything about a step that only a run makes whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Asked again when the step begins, because then it may have to fail.
    pub(crate) conditions: Conditions,
    /// Its place in the order in which steps of the run can set variables.
    pub(crate) rank: usize,
    pub(crate) config: Setting,
    pub(crate) fields: Setting,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) set_variables: Texts,
    /// Names to pick from the handler's text output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) outputs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) output_file: Option<Template>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resource: Option<String>,
    /// Whether texts in it are templates for the handler.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) template: bool,
    /// Names whose values are shown nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<String>,
    /// What others read of it, for rehearsals.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) read: BTreeSet<String>,
}

/// What the handler of a step is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupInput {
    /// The step's `config` with its values.
    pub config: Json,
    /// Its other keys.
    pub fields: Json,
    /// Process environment, workflow variables and the step's `env`, the last winning.
    pub env: BTreeMap<String, String>,
    /// The step's own `env` alone.
    pub own_env: BTreeMap<String, String>,
    /// Names to pick from text output.
    pub outputs: Vec<String>,
    /// The file that the step writes outputs to.
    pub output_file: Option<String>,
    /// The resource that it makes.
    pub resource: Option<String>,
    /// Whether texts in it are templates.
    pub template: bool,
    /// What was repaired in lenient mode.
    pub warnings: Vec<String>,
}

/// What a handler has brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupResult {
    /// What it returned; a text under `stdout` is searched for more.
    pub outputs: Json,
    /// The content of the output file, or why it cannot be read; `None` if nothing wrote one.
    pub output_file: Option<Result<String, String>>,
}

/// The input of a step from its settings and the run's data; `None` for a step of another dialect.
/// Call it before the handler's work, and [`group_record`] after it.
///
/// # Errors
/// A permanent [`Fault`] with which the step fails: `condition-error`, `reference-unset`,
/// `output-missing`, `approval-rejected`, `approval-timeout`, or `data-invalid`.
pub fn group_input(config: &Json, data: &Payload) -> Result<Option<GroupInput>, Fault> {
    let Some(work) = work_of(config)? else {
        return Ok(None);
    };
    work.input(&State::read(data)?).map(Some)
}

/// The run's data and the step's outputs after its work; `None` for a step of another dialect.
///
/// # Errors
/// A permanent [`Fault`] with which the step fails: `output-file-invalid`, `reference-unset`,
/// `output-missing` or `data-invalid`.
pub fn group_record(
    config: &Json,
    data: &Payload,
    result: &GroupResult,
) -> Result<Option<(Payload, Json, Vec<String>)>, Fault> {
    let Some(work) = work_of(config)? else {
        return Ok(None);
    };
    let mut state = State::read(data)?;
    let (outputs, warnings) = work.record(&mut state, result)?;
    Ok(Some((state.write()?, outputs, warnings)))
}

/// The values of the secret names (`secret_names`) that a step sees in the run's data: variables,
/// environment, parameters and outputs. Whoever shows or stores what the step says hides them.
///
/// Empty for steps of other dialects, and for data that is none of such a run.
pub fn group_secrets(config: &Json, data: &Payload) -> Vec<String> {
    // Asked with each attempt, so nothing is decoded where nothing is secret.
    if config["work"]["secrets"].is_null() {
        return Vec::new();
    }
    match (work_of(config), State::read(data)) {
        (Ok(Some(work)), Ok(state)) => work.secret_values(&state),
        _ => Vec::new(),
    }
}

/// The values of the secret names in the data of a run, as far as it has got; as
/// [`group_secrets`], for whoever shows a run.
pub fn group_run_secrets(definition: &Definition, data: &Payload) -> Vec<String> {
    let names = rule::begin(definition).map(|begin| begin.secrets);
    let (Some(names), Ok(state)) = (names, State::read(data)) else {
        return Vec::new();
    };
    let mut values = state.secrets(&names);
    for node in definition.nodes() {
        match &node.kind {
            NodeKind::Step(spec) => values.extend(group_secrets(&spec.config, data)),
            NodeKind::Call(spec) => values.extend(rule::call_secrets(spec, &state)),
            _ => {}
        }
    }
    values.sort();
    values.dedup();
    values
}

/// For a rehearsal: made-up outputs of the steps of which the workflow reads something.
pub fn group_rehearsal(definition: &Definition) -> BTreeMap<String, Json> {
    let steps = definition.nodes().iter().filter_map(|node| {
        let NodeKind::Step(spec) = &node.kind else {
            return None;
        };
        let work = work_of(&spec.config).ok()??;
        let made_up = |key: &String| (key.clone(), format!("{}.{key}", node.name).into());
        let made_up: Map<String, Json> = work.read.iter().map(made_up).collect();
        (!made_up.is_empty()).then(|| (node.name.clone(), Json::Object(made_up)))
    });
    steps.collect()
}

/// Whether values of a run would be put into the text of this key of the step's `config`, other than
/// where a shell would find them itself.
pub fn group_puts_values(config: &Json, key: &str) -> bool {
    let Ok(Some(work)) = work_of(config) else {
        return false;
    };
    let Setting::Map(entries) = &work.config else {
        return false;
    };
    let mut found = Vec::new();
    let inside = entries.iter().filter(|(name, _)| name == key);
    inside.for_each(|(_, setting)| setting.templates(&mut found));
    let is_hard = |part: &Part| matches!(part, Part::Value { .. });
    found.iter().any(|template| template.0.iter().any(is_hard))
}

fn work_of(config: &Json) -> Result<Option<Work>, Fault> {
    if config["dialect"] != Dialect::StepGroupsYaml.as_str() {
        return Ok(None);
    }
    let Some(work) = config.get("work") else {
        return Ok(None);
    };
    let read = serde_json::from_value(work.clone());
    read.map(Some).map_err(|error| {
        invalid(&format!(
            "the settings of this step cannot be read: {error}"
        ))
    })
}

impl Work {
    pub(crate) fn secret_values(&self, state: &State) -> Vec<String> {
        let mut values = state.secrets(&self.secrets);
        // A value that is put together of several is hidden as far as it goes.
        let conditions = Conditions {
            lenient: true,
            ..self.conditions.clone()
        };
        let (seen, _) = Seen::with_env(state, &conditions);
        let own = seen.env.into_iter();
        values
            .extend(own.filter_map(|(name, value)| self.secrets.contains(&name).then_some(value)));
        values.retain(|value| !value.is_empty());
        values
    }

    /// The fault of a step that has no handler, without the values of secret names.
    pub(crate) fn hidden(&self, state: &State, mut fault: Fault) -> Fault {
        let secrets = Secrets::of(self.secret_values(state));
        for error in &mut fault.errors {
            error.message = secrets.hide(&error.message);
        }
        fault
    }

    /// # Errors
    /// Why the step fails instead.
    pub(crate) fn input(&self, state: &State) -> Result<GroupInput, Fault> {
        let conditions = &self.conditions;
        let mut warnings = Vec::new();
        if let Judged::Fail(fault) = conditions.judge(state, &mut warnings) {
            return Err(fault);
        }
        if conditions.when == When::Manual {
            approval::judge(state, &conditions.step)?;
        }
        let (seen, mut faults) = Seen::with_env(state, conditions);
        let config = seen.settle(&self.config, "config", &mut faults);
        let fields = seen.settle(&self.fields, "", &mut faults);
        let output_file = self.file(&seen).unwrap_or_else(|fault| {
            faults.push(fault);
            None
        });
        // Judged before the work, so that a step does not fail for it after having done it.
        faults.extend(self.variables(&seen).err());
        if !faults.is_empty() {
            return Err(Fault::join(faults));
        }
        // Its env was read for its conditions already.
        let own = seen.warnings.take().into_iter();
        let own: Vec<String> = own.filter(|own| !warnings.contains(own)).collect();
        warnings.extend(own);
        let texts = [PROCESS_ENV, VARIABLES].into_iter().flat_map(|key| {
            let values = state.get(key).and_then(Json::as_object);
            values.into_iter().flatten()
        });
        let mut env: BTreeMap<String, String> = texts
            .map(|(name, value)| (name.clone(), text_of(value)))
            .collect();
        env.extend(seen.env.clone());
        Ok(GroupInput {
            config,
            fields,
            env,
            own_env: seen.env,
            outputs: self.outputs.clone(),
            output_file,
            resource: self.resource.clone(),
            template: self.template,
            warnings,
        })
    }

    /// The file that it writes outputs to.
    fn file(&self, seen: &Seen<'_>) -> Result<Option<String>, Fault> {
        let Some(template) = &self.output_file else {
            return Ok(None);
        };
        let file = seen.fill(template, "outputFile")?;
        if !file.trim().is_empty() {
            return Ok(Some(file));
        }
        let what =
            "outputFile came to an empty path; no file has that name; give its values a text";
        if seen.lenient {
            seen.warn(format!("output-file-invalid: {what}"));
            return Ok(None);
        }
        Err(Fault::new("output-file-invalid", what).permanent())
    }

    fn variables(&self, seen: &Seen<'_>) -> Result<Vec<(String, String)>, Fault> {
        let (mut values, mut faults) = (Vec::new(), Vec::new());
        for (name, template) in &self.set_variables {
            match seen.fill(template, &format!("setVariables.{name}")) {
                Ok(value) => values.push((name.clone(), value)),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            Ok(values)
        } else {
            Err(Fault::join(faults))
        }
    }

    /// Writes what the step has given into the data; later sources win.
    pub(crate) fn record(
        &self,
        state: &mut State,
        result: &GroupResult,
    ) -> Result<(Json, Vec<String>), Fault> {
        let conditions = &self.conditions;
        let given = conditions.lenient.then(|| self.input(state));
        let given = given.and_then(Result::ok);
        let mut noted = given.map_or_else(Vec::new, |given| given.warnings);
        let (seen, _) = Seen::with_env(state, conditions);
        let variables = self.variables(&seen)?;
        let mut warnings = Vec::new();
        let mut outputs = Map::new();
        let mut digits = Json::Null;
        match result.outputs.get(STDOUT) {
            Some(Json::String(stdout)) => outputs.extend(printed(stdout, &self.outputs)),
            None | Some(Json::Null) => {}
            Some(other) => warnings.push(format!(
                "stdout is {}, no text; nothing was read of it; return text",
                shortened(&text_of(other))
            )),
        }
        match &result.outputs {
            Json::Object(given) => outputs.extend(given.clone()),
            Json::Null => {}
            other => {
                outputs.insert("result".to_owned(), other.clone());
            }
        }
        let texts = variables.iter();
        outputs.extend(texts.map(|(name, value)| (name.clone(), value.clone().into())));
        let file = self.output_file.as_ref();
        let file = file.map(|file| seen.fill(file, "outputFile")).transpose()?;
        let file = file.map_or_else(|| "the output file".to_owned(), |file| shortened(&file));
        match result.output_file.as_ref().map(|content| match content {
            Ok(content) => written(content, &file),
            Err(why) => Err(why.clone()),
        }) {
            Some(Ok((found, as_written))) => {
                outputs.extend(found);
                digits = as_written;
            }
            Some(Err(why)) if conditions.lenient => {
                warnings.push(format!(
                    "output-file-invalid: {why}; no values were taken from it"
                ));
            }
            Some(Err(why)) => return Err(Fault::new("output-file-invalid", why).permanent()),
            None => {}
        }
        let outputs = Json::Object(outputs);
        for (name, value) in &variables {
            state.set_variable(name, value, self.rank);
        }
        if let Some(resource) = &self.resource {
            let digits = Some(&digits).filter(|digits| !digits.is_null());
            state.provide(resource, &outputs, digits);
        }
        state.record(&conditions.step, &outputs, &digits);
        noted.extend(warnings.iter().cloned());
        state.warn_of(&conditions.step, &noted);
        Ok((outputs, warnings))
    }
}

/// What a text output holds: `::set-output name=K::V`, `OUTPUT_K=V`, and of `wanted` names also
/// `K=V` and `K: V`; if that is nothing and one name is wanted, the last line that is not empty.
fn printed(text: &str, wanted: &[String]) -> Map<String, Json> {
    let mut found = Map::new();
    for line in text.lines().map(str::trim) {
        let set = line.strip_prefix("::set-output name=");
        if let Some((name, value)) = set.and_then(|rest| rest.split_once("::")) {
            found.insert(name.to_owned(), value.into());
            continue;
        }
        let prefixed = line.strip_prefix("OUTPUT_");
        if let Some((name, value)) = prefixed.and_then(|rest| rest.split_once('=')) {
            found.insert(name.to_owned(), value.into());
            continue;
        }
        let known = |name: &str| wanted.iter().any(|wanted| wanted == name);
        let plain = line.split_once('=').or_else(|| line.split_once(": "));
        let plain = plain.map(|(name, value)| (name.trim(), value));
        if let Some((name, value)) = plain.filter(|(name, _)| known(name)) {
            found.insert(name.to_owned(), value.trim().into());
        }
    }
    if let ([only], true) = (wanted, found.is_empty()) {
        let last = text
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty());
        found.extend(last.map(|last| (only.clone(), last.into())));
    }
    found
}

/// What an output file holds, one JSON object or lines `K=V`, and the digits of its numbers.
fn written(content: &str, file: &str) -> Result<(Map<String, Json>, Json), String> {
    let text = content.trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') {
        return object(text, file).map(|found| (found, group_digits(text)));
    }
    if text.starts_with('[') {
        return Err(format!(
            "{file} holds a list; outputs need names; write one JSON object"
        ));
    }
    let mut found = Map::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!(
                "line {number} of {file} is no NAME=VALUE; nothing was taken; correct it"
            ));
        };
        let value = value.trim();
        let bare = ['"', '\''].into_iter().find_map(|quote| {
            let inside = value.strip_prefix(quote)?.strip_suffix(quote)?;
            Some(inside)
        });
        found.insert(name.trim().to_owned(), bare.unwrap_or(value).into());
    }
    Ok((found, Json::Null))
}

/// Values stay what they are, but a number that would lose digits becomes text.
fn object(text: &str, file: &str) -> Result<Map<String, Json>, String> {
    let cannot = |error: serde_json::Error| {
        format!("{file} is no JSON object ({error}); nothing was taken; correct it")
    };
    let values: Map<String, Json> = serde_json::from_str(text).map_err(cannot)?;
    let digits: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(cannot)?;
    let exact = |(name, value): (String, Json)| {
        let raw = digits.get(&name).map(|raw| raw.get());
        match raw.filter(|raw| value.is_number() && text_of(&value) != *raw) {
            Some(raw) => (name, raw.into()),
            None => (name, value),
        }
    };
    Ok(values.into_iter().map(exact).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_output_is_searched_for_values() {
        let check = |text: &str, wanted: &[&str], expected: Json| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(Json::Object(printed(text, &wanted)), expected, "{text}");
        };
        check(
            "x\n::set-output name=a::1\nOUTPUT_b=2\nc=3\nd: 4\n",
            &["c", "d"],
            json!({"a": "1", "b": "2", "c": "3", "d": "4"}),
        );
        check("c=3\nd: 4", &[], json!({}));
        check("first\nlast\n\n", &["only"], json!({"only": "last"}));
        check("first\nlast\n\n", &["one", "two"], json!({}));
    }

    #[test]
    fn an_output_file_is_an_object_or_lines() {
        let check = |text: &str, expected: Json| {
            let found = written(text, "f").map(|(found, _)| Json::Object(found));
            assert_eq!(found, Ok(expected), "{text}");
        };
        check("{\"a\": 1, \"b\": [1.5]}", json!({"a": 1, "b": [1.5]}));
        check(
            "{\"a\": 1.50, \"b\": 12345678901234567890123}",
            json!({"a": "1.50", "b": "12345678901234567890123"}),
        );
        check(
            "# x\n\na = 'b c'\nd=\"e\"\nf=g=h",
            json!({"a": "b c", "d": "e", "f": "g=h"}),
        );
        check("", json!({}));
        for wrong in ["[1]", "{", "no value", "{\"a\": 1} {}"] {
            assert!(written(wrong, "f").is_err(), "{wrong}");
        }
    }
}
