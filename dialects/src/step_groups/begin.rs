//! How a run begins: parameters, variables, context.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use windlass_workflow_model::{Fault, Payload};

use crate::diagnostic::{listed, quoted, shortened};
use crate::step_groups::digits;
use crate::step_groups::evaluation::pick;
use crate::step_groups::state::{
    CONTEXT, DIGITS, PARAMETERS, PROCESS_ENV, RESOURCES, State, VARIABLES,
};
use crate::suggestion::{did_you_mean, nearest};

/// What a workflow begins with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) workflow: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) variables: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parameters: Vec<Parameter>,
    /// What it refers to of the context.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) context: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) process_env: Vec<String>,
    /// Names whose values are shown nowhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<String>,
}

/// An input of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: ParameterKind,
    #[serde(default)]
    pub(crate) required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Json>,
    /// The digits of numbers in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digits: Option<Json>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ParameterKind {
    String,
    Number,
    Boolean,
    Object,
}

impl ParameterKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
        }
    }

    pub(crate) fn takes(self, value: &Json) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Object => value.is_object(),
        }
    }
}

/// Keys of an input that somebody gives.
const GIVEN: [&str; 4] = [VARIABLES, PARAMETERS, RESOURCES, CONTEXT];

/// Whether a key is meant as one of an input: misspelt, or cut short.
fn is_near(key: &str) -> bool {
    let is_short_for = |known: &str| key.len() > 2 && known.starts_with(key);
    nearest(key, GIVEN).is_some() || GIVEN.into_iter().any(is_short_for)
}

/// What speaks against an input whatever the workflow declares.
pub(crate) fn wrong_input(workflow: &str, input: &Json) -> Vec<(&'static str, String)> {
    let start = format!("start of {}", quoted(workflow));
    let mut found = Vec::new();
    let given = || input.as_object().into_iter().flatten();
    // An input with none of the keys is the host's own, which only handlers read.
    let is_plain = !given().any(|(key, _)| GIVEN.contains(&key.as_str()));
    for (key, _) in given() {
        // The last two are put in by whoever starts the run.
        let is_known = [&GIVEN[..], &[PROCESS_ENV, DIGITS]]
            .concat()
            .contains(&key.as_str());
        if !is_known && (!is_plain || is_near(key)) {
            let fix = did_you_mean(key, GIVEN, "remove it or correct its name");
            let what = format!(
                "{start}: {} is no key of an input (known: {}); no reference would find what it holds; {fix}",
                shortened(key),
                listed(GIVEN)
            );
            found.push(("input-invalid", what));
        }
    }
    let variables = input.get(VARIABLES).and_then(Json::as_object);
    for (name, value) in variables.into_iter().flatten() {
        let is = match value {
            Json::Array(_) => "a list",
            Json::Object(_) => "an object",
            _ => continue,
        };
        let what = format!(
            "{start}: variable {} is {is}; variables hold one text each; join it",
            shortened(name)
        );
        found.push(("variable-not-scalar", what));
    }
    found
}

impl Begin {
    /// The types of its parameters.
    pub(crate) fn kinds(self) -> BTreeMap<String, ParameterKind> {
        let parameters = self.parameters.into_iter();
        parameters
            .map(|parameter| (parameter.name, parameter.kind))
            .collect()
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_void(&self) -> bool {
        self.variables.is_empty()
            && self.parameters.is_empty()
            && self.context.is_empty()
            && self.process_env.is_empty()
            && self.secrets.is_empty()
    }

    /// Everything that speaks against beginning with this input.
    pub(crate) fn refusals(&self, input: &Json) -> Vec<(&'static str, String)> {
        let mut found = wrong_input(&self.workflow, input);
        let start = format!("start of {}", quoted(&self.workflow));
        let given = input.get(PARAMETERS);
        for parameter in &self.parameters {
            let name = &parameter.name;
            let value = given.and_then(|given| given.get(name));
            match value.filter(|value| !value.is_null()) {
                Some(value) if !parameter.kind.takes(value) => {
                    let what = format!(
                        "{start}: the value of parameter {name} is no {}; the run is refused; pass one",
                        parameter.kind.as_str()
                    );
                    found.push(("parameter-invalid", what));
                }
                None if parameter.required && parameter.default.is_none() => {
                    let what = format!(
                        "{start}: required parameter {name} has no value; the run is refused; pass it"
                    );
                    found.push(("parameter-missing", what));
                }
                Some(_) | None => {}
            }
        }
        let undeclared = given.and_then(Json::as_object).into_iter().flatten();
        for (name, _) in undeclared {
            if !self.parameters.iter().any(|known| known.name == *name) {
                let what = format!(
                    "{start}: parameter {} is declared nowhere; its value would have no effect; correct the name or remove it",
                    quoted(name)
                );
                found.push(("parameter-invalid", what));
            }
        }
        let context = input.get(CONTEXT).unwrap_or(&Json::Null);
        for path in &self.context {
            if pick(context, path).is_none() {
                let what = format!(
                    "{start}: {path} is referenced but was not supplied; the run is refused; pass context"
                );
                found.push(("context-missing", what));
            }
        }
        found
    }

    /// The data of a run from its input.
    ///
    /// # Errors
    /// Everything of [`refusals`](Self::refusals).
    pub(crate) fn run(&self, input: &Payload) -> Result<Payload, Fault> {
        let mut state = State::read(input)?;
        let whole = input.decode().unwrap_or(Json::Null);
        let refusals = self.refusals(&whole).into_iter();
        let faults: Vec<Fault> = refusals
            .map(|(code, text)| Fault::new(code, text).permanent())
            .collect();
        if !faults.is_empty() {
            return Err(Fault::join(faults));
        }
        let own = self.variables.iter();
        let mut variables: Map<String, Json> = own
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let given = state.get(VARIABLES).and_then(Json::as_object);
        for (name, value) in given.into_iter().flatten() {
            let digits = state.digits(VARIABLES).and_then(|all| all.get(name));
            variables.insert(name.clone(), digits::text(value, digits).into());
        }
        state.set(VARIABLES, Json::Object(variables));
        let mut parameters = Map::new();
        let given = state.get(PARAMETERS).cloned().unwrap_or_default();
        for parameter in &self.parameters {
            let value = given.get(&parameter.name).filter(|value| !value.is_null());
            if let (None, Some(digits)) = (value, &parameter.digits) {
                state.set_digits(PARAMETERS, &parameter.name, digits.clone());
            }
            if let Some(value) = value.or(parameter.default.as_ref()) {
                parameters.insert(parameter.name.clone(), value.clone());
            }
        }
        state.set(PARAMETERS, Json::Object(parameters));
        state.write()
    }
}
