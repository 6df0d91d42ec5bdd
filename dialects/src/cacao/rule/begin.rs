//! Where a run begins: its input becomes the variables of the playbook.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use windlass_workflow_model::{Fault, Payload, codes};

use crate::cacao::state::{PLAYBOOK, State};
use crate::cacao::value::{Type, text_of};
use crate::diagnostic::quoted;

/// The key of an input under which its variables may stand.
const VARIABLES: &str = "variables";

/// What a run begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) playbook: String,
    pub(crate) lenient: bool,
    pub(crate) variables: Vec<Declared>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) revoked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) valid_from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) valid_until: Option<String>,
    /// Started whatever these say; so it is noted in the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ignore_validity: bool,
}

/// A variable of the playbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Declared {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(crate) value: Json,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) external: bool,
    /// Its value is filled in at the last moment, and never stands in the data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) secret: bool,
}

impl Begin {
    pub(super) fn run(&self, input: &Payload) -> Result<Payload, Fault> {
        let input: Json = input.decode().map_err(|error| {
            let text = format!("the run's input is no JSON ({error}); start it with JSON");
            Fault::new(codes::DATA_INVALID, text).permanent()
        })?;
        let (state, problems) = self.state(&input);
        if !problems.is_empty() {
            let faults = problems
                .into_iter()
                .map(|(code, message)| Fault::new(code, message).permanent());
            return Err(Fault::join(faults));
        }
        state.write()
    }

    /// The data of the run, and what speaks against it, code and message.
    fn state(&self, input: &Json) -> (State, Vec<(&'static str, String)>) {
        let mut problems = Vec::new();
        let given = given(input).unwrap_or_else(|what| {
            problems.push((codes::DATA_INVALID, what));
            Map::new()
        });
        if let Some(what) = beside(input) {
            problems.push((codes::DATA_INVALID, what));
        }
        let mut state = State::new();
        for variable in &self.variables {
            state.set_value(PLAYBOOK, &variable.name, variable.value.clone());
        }
        let name = &self.playbook;
        for (key, value) in &given {
            let Some(variable) = self.variables.iter().find(|known| known.name == *key) else {
                problems.push((
                    "variable-not-external",
                    format!("start of {name}: there is no variable {}; it would have no effect; leave it out", quoted(key)),
                ));
                continue;
            };
            if !variable.external {
                problems.push((
                    "variable-not-external",
                    format!("start of {name}: {key} is not external; callers may not set it; mark it external"),
                ));
                continue;
            }
            match as_value(variable.kind, value) {
                Ok(value) => state.set_value(PLAYBOOK, key, value),
                Err(what) => {
                    problems.push(("variable-type", format!("start of {name}: {key} {what}")));
                }
            }
        }
        for variable in self
            .variables
            .iter()
            .filter(|variable| variable.external && !variable.secret)
        {
            // A value of another type was told.
            let is_given = given
                .get(&variable.name)
                .is_some_and(|value| !value.is_null());
            if is_given || !state.value(PLAYBOOK, &variable.name).is_null() {
                continue;
            }
            let what = format!(
                "start of {name}: {} is external and has no value; pass it",
                variable.name
            );
            if self.lenient {
                state.warn(what);
            } else {
                problems.push(("external-missing", what));
            }
        }
        if self.ignore_validity
            && (self.revoked || self.valid_from.is_some() || self.valid_until.is_some())
        {
            state.warn(format!("start of {name}: revoked, valid_from and valid_until were not looked at (ignore_validity)"));
        }
        (state, problems)
    }

    /// What speaks against starting a run now with this input: code and message each.
    pub(crate) fn refusals(&self, input: &Json, now: Timestamp) -> Vec<(&'static str, String)> {
        let mut found = self.invalidity(now);
        found.extend(self.state(input).1);
        found
    }

    /// What speaks against starting a run now, whatever its input is.
    pub(crate) fn invalidity(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let name = &self.playbook;
        let fix = "the run is refused; get a newer version or set ignore_validity";
        if self.ignore_validity {
            return Vec::new();
        }
        if self.revoked {
            return vec![(
                "playbook-revoked",
                format!("start of {name}: it is revoked; {fix}"),
            )];
        }
        let parsed = |time: &Option<String>| {
            time.as_ref()
                .and_then(|time| time.parse::<Timestamp>().ok())
        };
        let mut found = Vec::new();
        if let Some(from) = parsed(&self.valid_from).filter(|from| now < *from) {
            found.push((
                "playbook-not-yet-valid",
                format!("start of {name}: valid_from is {from}; {fix}"),
            ));
        }
        if let Some(until) = parsed(&self.valid_until).filter(|until| now >= *until) {
            found.push((
                "playbook-expired",
                format!("start of {name}: valid_until passed on {until}; {fix}"),
            ));
        }
        found
    }
}

/// The variables of an input: under `variables`, or the input itself.
fn given(input: &Json) -> Result<Map<String, Json>, String> {
    let shape = "the input must be an object of variables, such as {\"__host__\": \"a\"}, or hold one under \"variables\"";
    match input {
        Json::Null => Ok(Map::new()),
        Json::Object(object) => match object.get(VARIABLES) {
            Some(Json::Object(variables)) => Ok(variables.clone()),
            Some(Json::Null) => Ok(Map::new()),
            Some(_) => Err(shape.to_owned()),
            None => Ok(object.clone()),
        },
        _ => Err(shape.to_owned()),
    }
}

/// What is wrong with an input that has more than `variables` where it has those.
fn beside(input: &Json) -> Option<String> {
    let object = input
        .as_object()
        .filter(|object| object.contains_key(VARIABLES))?;
    let more = object.keys().find(|key| *key != VARIABLES)?;
    Some(format!(
        "the input has {} beside \"{VARIABLES}\"; it would have no effect; put it there or leave it out",
        quoted(more)
    ))
}

/// A value that came from outside as one of a variable of this type; the error says why it is none.
pub(crate) fn as_value(kind: Type, value: &Json) -> Result<Json, String> {
    let value = match value {
        Json::Number(number) => Json::String(number.to_string()),
        Json::Bool(value) => Json::String(value.to_string()),
        Json::Object(_) | Json::Array(_) if kind != Type::Dictionary => {
            Json::String(value.to_string())
        }
        other => other.clone(),
    };
    match text_of(&value) {
        Some(text) if !kind.fits(&text) => Err(format!(
            "is {}, which is no {}; comparisons would be meaningless; correct it",
            quoted(&text),
            kind.as_str()
        )),
        _ => Ok(value),
    }
}
