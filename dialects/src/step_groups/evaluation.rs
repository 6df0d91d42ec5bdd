//! What references come to in a run.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use windlass_workflow_model::Fault;

use crate::diagnostic::shortened;
use crate::step_groups::conditions::{Conditions, Setters};
use crate::step_groups::digits;
use crate::step_groups::state::{
    CONTEXT, PARAMETERS, PROCESS_ENV, RESOURCES, State, Status, VARIABLES,
};
use crate::step_groups::template::{Part, Reference, Setting, Template};

/// What a reference came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// As text.
    Value(String),
    /// Declared, but nothing has given it a value.
    Unset { why: String, cure: String },
    /// The step completed without it; why.
    Missing(String),
}

/// A branch of a run, seen from one step.
pub(crate) struct Seen<'s> {
    pub(crate) state: &'s State,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) lenient: bool,
    setters: Option<&'s Setters>,
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
            setters: None,
            warnings: RefCell::default(),
        }
    }

    /// Without values of a step, but with those who set variables.
    pub(crate) fn after(state: &'s State, setters: &'s Setters, lenient: bool) -> Self {
        Self {
            setters: Some(setters),
            ..Self::bare(state, lenient)
        }
    }

    /// With the step's `env`; what has no value in it is left out and told.
    pub(crate) fn with_env(state: &'s State, step: &'s Conditions) -> (Self, Vec<Fault>) {
        let mut seen = Self::after(state, &step.setters, step.lenient);
        let (mut values, mut faults) = (BTreeMap::new(), Vec::new());
        for (name, template) in &step.env {
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
        let state = self.state;
        let of = |key: &str, path: &str| {
            let found = state.get(key)?;
            pick_with(found, state.digits(key), path)
        };
        let named = |key: &str, name: &str| {
            let found = state.get(key)?.get(name)?;
            Some((found, state.digits(key).and_then(|all| all.get(name))))
        };
        let (found, key, name) = match reference {
            Reference::Plain(name) => {
                if let Some(value) = self.env.get(name) {
                    return Found::Value(value.clone());
                }
                let found = named(VARIABLES, name).or_else(|| named(PROCESS_ENV, name));
                let is_set = self
                    .setters
                    .is_some_and(|setters| setters.contains_key(name));
                let key = if is_set { VARIABLES } else { PROCESS_ENV };
                (found, key, name)
            }
            Reference::Variable(name) => (named(VARIABLES, name), VARIABLES, name),
            Reference::Output { step, key } => return self.output(step, key),
            Reference::Resource { name, key } => {
                let resource = named(RESOURCES, name);
                let found = resource.filter(|_| !key.is_empty());
                let found = found.and_then(|(value, digits)| pick_with(value, digits, key));
                (
                    found.or(resource.filter(|_| key.is_empty())),
                    RESOURCES,
                    name,
                )
            }
            Reference::Parameter(path) => (of(PARAMETERS, path), PARAMETERS, path),
            Reference::Context(path) => (of(CONTEXT, path), CONTEXT, path),
            Reference::Unknown => {
                return Found::Unset {
                    why: "nothing declares it".to_owned(),
                    cure: "correct its name".to_owned(),
                };
            }
        };
        match found {
            Some((value, digits)) => Found::Value(digits::text(value, digits)),
            None => self.unset(key, name),
        }
    }

    fn unset(&self, key: &str, name: &str) -> Found {
        let shown = shortened(name);
        let none = "the start gave none";
        let (why, cure) = match key {
            PROCESS_ENV => (
                "the environment has none".to_owned(),
                format!("set {shown} where the run is started"),
            ),
            PARAMETERS => (
                none.to_owned(),
                format!("pass it in parameters, or give {shown} a default"),
            ),
            RESOURCES | CONTEXT => (none.to_owned(), format!("pass it in {key}")),
            _ => (self.not_set(name), format!("give {shown} a default")),
        };
        Found::Unset { why, cure }
    }

    /// Why no step has set a variable.
    fn not_set(&self, variable: &str) -> String {
        let setter = self
            .setters
            .and_then(|setters| setters.get(variable)?.as_ref());
        match setter.map(|step| (step, self.state.status(step))) {
            Some((step, Status::Failed)) => format!("{step:?} failed"),
            Some((step, Status::Skipped)) => format!("{step:?} was skipped"),
            Some((_, Status::Completed)) | None => "no step has set it yet".to_owned(),
        }
    }

    fn output(&self, step: &str, key: &str) -> Found {
        let unset = |what: &str| Found::Unset {
            why: format!("{step:?} {what}"),
            cure: "let it succeed first, or test its status in a condition".to_owned(),
        };
        match self.state.status(step) {
            Status::Failed => unset("failed"),
            Status::Skipped => unset("was skipped"),
            Status::Completed => {
                let outputs = self.state.outputs(step).unwrap_or(&Json::Null);
                let digits = self.state.output_digits(step);
                if let Some((value, digits)) = pick_with(outputs, digits, key) {
                    return Found::Value(digits::text(value, digits));
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
                    Found::Value(value) => text.push_str(&value),
                    Found::Unset { .. } | Found::Missing(_) => text.push_str(raw),
                },
                Part::Value { of, raw } => match self.find(of) {
                    Found::Value(value) => text.push_str(&value),
                    Found::Unset { why, cure } => {
                        let what = format!(
                            "{at}: {raw} has no value because {why}; nothing can be put in; {cure}"
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
    pick_with(value, None, key).map(|(found, _)| found)
}

/// The same with what stands there in a tree of digits.
fn pick_with<'j>(
    value: &'j Json,
    digits: Option<&'j Json>,
    key: &str,
) -> Option<(&'j Json, Option<&'j Json>)> {
    if let Some(found) = value.get(key) {
        return Some((found, digits.and_then(|digits| digits.get(key))));
    }
    let inside = |head: &str| match value {
        Json::Array(items) => {
            let index = head.parse::<usize>().ok()?;
            Some((
                items.get(index)?,
                digits.and_then(|digits| digits.get(index)),
            ))
        }
        other => Some((other.get(head)?, digits.and_then(|digits| digits.get(head)))),
    };
    // A key may contain dots itself, so every way to split is tried, the longest key first.
    let mut end = key.len();
    while let Some(dot) = key[..end].rfind('.') {
        let rest = &key[dot + 1..];
        let found = inside(&key[..dot]).and_then(|(value, digits)| pick_with(value, digits, rest));
        if found.is_some() {
            return found;
        }
        end = dot;
    }
    inside(key).filter(|_| value.is_array())
}

/// A value as text: numbers in decimal form, null as nothing, lists and maps as compact JSON.
pub(crate) fn text_of(value: &Json) -> String {
    digits::text(value, None)
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
