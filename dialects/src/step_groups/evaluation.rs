//! What references come to in a run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use windlass_workflow_model::Fault;

use crate::step_groups::state::{
    CONTEXT, PARAMETERS, PROCESS_ENV, RESOURCES, State, Status, VARIABLES,
};
use crate::step_groups::template::{Part, Reference, Setting, Template, Texts};

/// What a reference came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    Value(Json),
    /// Declared, but nothing has given it a value; why.
    Unset(String),
    /// The step completed without it; why.
    Missing(String),
}

/// A branch of a run, seen from one step.
pub(crate) struct Seen<'s> {
    pub(crate) state: &'s State,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) lenient: bool,
    /// What was repaired.
    pub(crate) warnings: RefCell<Vec<String>>,
}

impl<'s> Seen<'s> {
    /// Without values of a step.
    pub(crate) fn bare(state: &'s State, lenient: bool) -> Self {
        Self {
            state,
            env: BTreeMap::new(),
            lenient,
            warnings: RefCell::default(),
        }
    }

    /// With the step's `env`; what has no value in it is left out and told in `unset`.
    pub(crate) fn with_env(state: &'s State, env: &Texts, lenient: bool) -> (Self, Vec<Fault>) {
        let mut seen = Self::bare(state, lenient);
        let (mut values, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, template) in env {
            match seen.fill(template, &format!("env.{name}")) {
                Ok(value) => {
                    values.insert(name.clone(), value);
                }
                Err(fault) => faults.push(fault),
            }
        }
        seen.env = values;
        (seen, faults)
    }

    pub(crate) fn find(&self, reference: &Reference) -> Found {
        let unset = || Found::Unset("nothing has set it".to_owned());
        let of = |key: &str, path: &str| {
            let found = self.state.get(key).and_then(|value| pick(value, path));
            found.map_or_else(unset, |value| Found::Value(value.clone()))
        };
        let variable = |name: &str| self.state.get(VARIABLES).and_then(|all| all.get(name));
        match reference {
            Reference::Plain(name) => {
                if let Some(value) = self.env.get(name) {
                    return Found::Value(value.clone().into());
                }
                let process = || self.state.get(PROCESS_ENV).and_then(|all| all.get(name));
                let found = variable(name).or_else(process);
                found.map_or_else(unset, |value| Found::Value(value.clone()))
            }
            Reference::Variable(name) => {
                variable(name).map_or_else(unset, |value| Found::Value(value.clone()))
            }
            Reference::Output { step, key } => self.output(step, key),
            Reference::Resource { name, key } if key.is_empty() => {
                let resource = self.state.get(RESOURCES).and_then(|all| all.get(name));
                resource.map_or_else(unset, |value| Found::Value(value.clone()))
            }
            Reference::Resource { name, key } => {
                let resource = self.state.get(RESOURCES).and_then(|all| all.get(name));
                let found = resource.and_then(|resource| pick(resource, key));
                found.map_or_else(unset, |value| Found::Value(value.clone()))
            }
            Reference::Parameter(path) => of(PARAMETERS, path),
            Reference::Context(path) => of(CONTEXT, path),
            Reference::Unknown => Found::Unset("nothing declares it".to_owned()),
        }
    }

    fn output(&self, step: &str, key: &str) -> Found {
        match self.state.status(step) {
            Status::Failed => Found::Unset(format!("{step:?} failed")),
            Status::Skipped => Found::Unset(format!("{step:?} was skipped")),
            Status::Completed => {
                let outputs = self.state.outputs(step).unwrap_or(&Json::Null);
                if let Some(value) = pick(outputs, key) {
                    return Found::Value(value.clone());
                }
                let has: Vec<&str> = outputs
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, _)| name.as_str())
                    .collect();
                let has = if has.is_empty() {
                    "none".to_owned()
                } else {
                    has.join(", ")
                };
                Found::Missing(format!(
                    "{step:?} completed without output {key:?} (has: {has})"
                ))
            }
        }
    }

    /// The text with its values in it; `at` says where it stands.
    ///
    /// # Errors
    /// In strict mode `reference-unset` or `output-missing`.
    pub(crate) fn fill(&self, template: &Template, at: &str) -> Result<String, Fault> {
        let mut text = String::new();
        for part in &template.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Soft { of, raw } => match self.find(of) {
                    Found::Value(value) => text.push_str(&text_of(&value)),
                    Found::Unset(_) | Found::Missing(_) => text.push_str(raw),
                },
                Part::Value { of, raw } => match self.find(of) {
                    Found::Value(value) => text.push_str(&text_of(&value)),
                    Found::Unset(why) => {
                        let what = format!(
                            "{at}: {raw} has no value because {why}; nothing can be put in; give it a default"
                        );
                        self.without("reference-unset", what)?;
                    }
                    Found::Missing(why) => {
                        let what = format!(
                            "{at}: {raw}: {why}; nothing can be put in; write it to the outputs of that step"
                        );
                        self.without("output-missing", what)?;
                    }
                },
            }
        }
        Ok(text)
    }

    fn without(&self, code: &str, what: String) -> Result<(), Fault> {
        if !self.lenient {
            return Err(Fault::new(code, what).permanent());
        }
        self.warn(format!("{code}: {what}"));
        Ok(())
    }

    pub(crate) fn warn(&self, what: String) {
        let mut warnings = self.warnings.borrow_mut();
        if !warnings.contains(&what) {
            warnings.push(what);
        }
    }

    /// Settings with their values in them; what is wrong goes to `faults`.
    pub(crate) fn settle(&self, setting: &Setting, at: &str, faults: &mut Vec<Fault>) -> Json {
        match setting {
            Setting::Fixed(value) => value.clone(),
            Setting::Text(template) => match self.fill(template, at) {
                Ok(text) => Json::String(text),
                Err(fault) => {
                    faults.push(fault);
                    Json::Null
                }
            },
            Setting::List(items) => {
                let items = items.iter().enumerate();
                let items =
                    items.map(|(index, item)| self.settle(item, &format!("{at}.{index}"), faults));
                Json::Array(items.collect())
            }
            Setting::Map(entries) => {
                let entries = entries.iter().map(|(key, item)| {
                    let at = if at.is_empty() {
                        key.clone()
                    } else {
                        format!("{at}.{key}")
                    };
                    (key.clone(), self.settle(item, &at, faults))
                });
                let entries: Map<String, Json> = entries.collect();
                Json::Object(entries)
            }
        }
    }
}

/// What stands under a key: matched whole first, then as a path.
pub(crate) fn pick<'j>(value: &'j Json, key: &str) -> Option<&'j Json> {
    if let Some(found) = value.get(key) {
        return Some(found);
    }
    let inside = |head: &str| match value {
        Json::Array(items) => items.get(head.parse::<usize>().ok()?),
        other => other.get(head),
    };
    // A key may contain dots itself, so every way to split is tried, the longest key first.
    let mut end = key.len();
    while let Some(dot) = key[..end].rfind('.') {
        if let Some(found) = inside(&key[..dot]).and_then(|value| pick(value, &key[dot + 1..])) {
            return Some(found);
        }
        end = dot;
    }
    match value {
        Json::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    }
}

/// A value as text: numbers in decimal form, null as nothing, lists and maps as compact JSON.
pub(crate) fn text_of(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Number(number) => match number.as_f64() {
            Some(float) if !number.is_i64() && !number.is_u64() => float.to_string(),
            _ => number.to_string(),
        },
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_are_matched_whole_first_and_then_as_paths() {
        let value = json!({"a": {"b": 1, "c.d": [5, {"e": 2}]}, "a.b": 3, "x.y": {"z": 4}});
        for (key, expected) in [
            ("a.b", Some("3")),
            ("a.c.d.0", Some("5")),
            ("a.c.d.1.e", Some("2")),
            ("x.y.z", Some("4")),
            ("x.z", None),
        ] {
            assert_eq!(pick(&value, key).map(text_of).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn values_become_text() {
        for (value, expected) in [
            (json!(1.5), "1.5"),
            (json!(2_000_000), "2000000"),
            (json!(1e21), "1000000000000000000000"),
            (json!(true), "true"),
            (json!(null), ""),
            (json!({"a": [1]}), "{\"a\":[1]}"),
        ] {
            assert_eq!(text_of(&value), expected);
        }
    }
}
