//! The functions of a workflow's graph, as data.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{
    CallSpec, Definition, ErrorEntry, Event, Fault, Function, Functions, Payload,
};

use crate::json;
use crate::step_groups::begin::{Begin, ParameterKind};
use crate::step_groups::conditions::{Conditions, Judged, Setters};
use crate::step_groups::digits;
use crate::step_groups::evaluation::{Seen, text_of};
use crate::step_groups::secrets::Secrets;
use crate::step_groups::state::{
    self, CONTEXT, DIGITS, Failure, PARAMETERS, PROCESS_ENV, RESOURCES, RESULTS, State, invalid,
};
use crate::step_groups::template::{Setting, Texts};
use crate::step_groups::work::{GroupResult, Work};
use crate::stored_rule::StoredRule;

/// A step where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) step: String,
    /// Its place in the document.
    pub(crate) index: usize,
    /// Its phase, from 1.
    pub(crate) phase: usize,
}

impl Standing {
    pub(crate) fn block(&self) -> String {
        format!("phase-{}", self.phase)
    }
}

/// What one function does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// Makes the data of a run from its input.
    Begin(Begin),
    /// Says whether a step runs.
    Judge(Conditions),
    /// Whether a step would do its work, so that a person is asked before.
    Runs(Conditions),
    /// Whether a step is not passed by. Only in graphs that were stored before calls had guards.
    Begins(Conditions),
    /// Takes the answer of a person.
    Answer { step: String },
    /// Nobody has answered.
    Late {
        step: String,
        /// How long it was waited for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<u64>,
    },
    /// Joins a phase.
    Join,
    /// Joins what came to a step from those that it waits for.
    Meet,
    /// Writes a failure into the data.
    Fail(Standing),
    /// Fails with what was written there.
    Raise,
    /// The input of a called workflow.
    Call {
        work: Box<Work>,
        parameters: Setting,
        /// Digits of numbers in them.
        #[serde(default, skip_serializing_if = "Json::is_null")]
        digits: Json,
        /// What it declares.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        kinds: BTreeMap<String, ParameterKind>,
    },
    /// What the row of the call shows of that.
    Shown {
        work: Box<Work>,
        parameters: Setting,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        kinds: BTreeMap<String, ParameterKind>,
    },
    /// Takes what it has given.
    Returned { work: Box<Work> },
    /// Notes what lenient mode repairs in conditions that pass a step by, and in what a called workflow
    /// is given.
    Repairs {
        conditions: Conditions,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<Box<Repairing>>,
    },
    /// Makes the workflow's results.
    Finish {
        outputs: Texts,
        #[serde(default, skip_serializing_if = "Setters::is_empty")]
        setters: Setters,
        lenient: bool,
    },
}

/// What a called workflow is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Repairing {
    pub(crate) work: Work,
    pub(crate) parameters: Setting,
}

impl StoredRule for Rule {
    const PREFIX: &'static str = "groups ";

    fn function(self) -> Function {
        match self {
            Self::Begin(begin) => Function::Compute(Arc::new(move |input| begin.run(input))),
            Self::Judge(conditions) => {
                Function::Guard(Arc::new(move |data| conditions.verdict(data)))
            }
            Self::Runs(conditions) => {
                Function::Predicate(Arc::new(move |data| conditions.runs(data)))
            }
            Self::Begins(conditions) => {
                Function::Predicate(Arc::new(move |data| conditions.begins(data)))
            }
            Self::Answer { step } => {
                Function::Reply(Arc::new(move |data, event| answer(data, &step, event)))
            }
            Self::Late { step, after_ms } => Function::Fold(Arc::new(move |data, _| {
                let late = json!({ "status": "late", "after_ms": after_ms });
                note(data, &step, late)
            })),
            Self::Join => Function::Merge(Arc::new(state::merge)),
            Self::Meet => Function::Merge(Arc::new(state::meet)),
            Self::Fail(at) => Function::Fold(Arc::new(move |data, fault| fail(data, &at, fault))),
            Self::Raise => Function::Compute(Arc::new(raise)),
            Self::Call {
                work,
                parameters,
                digits,
                kinds,
            } => {
                let call = Call {
                    work,
                    parameters,
                    digits,
                    kinds,
                };
                Function::Compute(Arc::new(move |data| call.input(data)))
            }
            Self::Shown {
                work,
                parameters,
                kinds,
            } => {
                let call = Call {
                    work,
                    parameters,
                    digits: Json::Null,
                    kinds,
                };
                Function::Compute(Arc::new(move |data| call.shown(data)))
            }
            Self::Returned { work } => {
                Function::Reply(Arc::new(move |data, event| returned(data, &work, event)))
            }
            Self::Repairs { conditions, call } => Function::Compute(Arc::new(move |data| {
                note_repairs(data, &conditions, call.as_deref())
            })),
            Self::Finish {
                outputs,
                setters,
                lenient,
            } => Function::Compute(Arc::new(move |data| {
                finish(data, &outputs, &setters, lenient)
            })),
        }
    }
}

/// The functions of stored step groups, which stand in their definition: nothing has to be imported
/// again to go on with its runs.
///
/// # Errors
/// The names of functions that this version cannot read.
pub fn functions(definition: &Definition) -> Result<Functions, Vec<String>> {
    Rule::functions(definition)
}

/// How the runs of a workflow begin; `None` if there is nothing to say, or for other dialects.
pub(crate) fn begin(definition: &Definition) -> Option<Begin> {
    Rule::find(definition, |rule| match rule {
        Rule::Begin(begin) => Some(begin),
        _ => None,
    })
}

/// The values of secret names that a call sees in the data.
pub(crate) fn call_secrets(call: &CallSpec, state: &State) -> Vec<String> {
    match call.input.as_deref().and_then(Rule::named) {
        Some(Rule::Call { work, .. }) => work.secret_values(state),
        _ => Vec::new(),
    }
}

fn note(data: &Payload, step: &str, answer: Json) -> Result<Payload, Fault> {
    let mut state = State::read(data)?;
    state.note_approval(step, answer);
    state.write()
}

/// An answer is `{"status": "success" | "failure", "by": …, "message": …}`.
fn answer(data: &Payload, step: &str, event: &Event) -> Result<Payload, Fault> {
    let answer: Json = event.payload.decode().unwrap_or(Json::Null);
    note(data, step, answer)
}

fn fail(data: &Payload, at: &Standing, fault: &Fault) -> Result<Payload, Fault> {
    let mut state = State::read(data)?;
    let mut message = fault.errors.iter().map(|error| error.message.as_str());
    let error = ErrorEntry {
        step: at.step.clone(),
        parent: Some(at.block()),
        branch: Some(at.step.clone()),
        code: fault
            .errors
            .first()
            .map_or_else(|| "handler-failed".to_owned(), |error| error.code.clone()),
        message: message.by_ref().collect::<Vec<_>>().join("; "),
    };
    state.fail(Failure {
        index: at.index,
        phase: at.phase,
        name: at.step.clone(),
        error,
    });
    state.write()
}

/// Ends a run that has failed, with all that went wrong in document order.
fn raise(data: &Payload) -> Result<Payload, Fault> {
    let failures = State::read(data)?.failures();
    if failures.is_empty() {
        return Ok(data.clone());
    }
    Err(Fault {
        errors: failures.into_iter().map(|failure| failure.error).collect(),
        retryable: false,
        output: None,
    })
}

/// How a workflow is started by a step.
struct Call {
    work: Box<Work>,
    parameters: Setting,
    digits: Json,
    kinds: BTreeMap<String, ParameterKind>,
}

impl Call {
    fn input(&self, data: &Payload) -> Result<Payload, Fault> {
        let state = State::read(data)?;
        let input = self.given(&state);
        input.map_err(|fault| self.work.hidden(&state, fault))
    }

    fn given(&self, state: &State) -> Result<Payload, Fault> {
        let conditions = &self.work.conditions;
        if let Judged::Fail(fault) = conditions.judge(state, &mut Vec::new()) {
            return Err(fault);
        }
        self.work.input(state)?;
        let (parameters, digits) = self.typed(self.filled(state)?);
        let mut input = Map::new();
        input.insert(PARAMETERS.to_owned(), parameters);
        let mut all_digits = Map::new();
        all_digits.insert(PARAMETERS.to_owned(), digits);
        for key in [CONTEXT, PROCESS_ENV, RESOURCES] {
            if let Some(value) = state.get(key) {
                input.insert(key.to_owned(), value.clone());
            }
            if let Some(digits) = state.digits(key) {
                all_digits.insert(key.to_owned(), digits.clone());
            }
        }
        input.insert(DIGITS.to_owned(), Json::Object(all_digits));
        Payload::encode(&input).map_err(|error| invalid(&error.to_string()))
    }

    /// Its settings with their values, as those of other steps are shown, and its parameters.
    fn shown(&self, data: &Payload) -> Result<Payload, Fault> {
        let state = State::read(data)?;
        let given = self.work.input(&state)?;
        let (parameters, _) = self.typed(self.filled(&state)?);
        // What is given under a secret name, too.
        let secret = self.work.secrets.iter();
        let own = secret.filter_map(|name| parameters.get(name)).map(text_of);
        let secrets = Secrets::of(self.work.secret_values(&state).into_iter().chain(own));
        let shown = secrets.hide_in(json!({
            "config": given.config,
            "fields": given.fields,
            "env": given.env,
            "parameters": parameters,
        }));
        Payload::encode(&shown).map_err(|error| invalid(&error.to_string()))
    }

    /// The parameters with their values.
    fn filled(&self, state: &State) -> Result<Json, Fault> {
        let (seen, mut faults) = Seen::with_env(state, &self.work.conditions);
        let parameters = seen.settle(&self.parameters, "parameters", &mut faults);
        if faults.is_empty() {
            Ok(parameters)
        } else {
            Err(Fault::join(faults))
        }
    }

    /// The parameters as the workflow declares them, and the digits of their numbers: whatever is put
    /// into a text is text, and numbers that JSON cannot hold are.
    fn typed(&self, mut parameters: Json) -> (Json, Json) {
        let mut digits = self.digits.as_object().cloned().unwrap_or_default();
        let Setting::Map(settings) = &self.parameters else {
            return (parameters, Json::Object(digits));
        };
        for (name, setting) in settings {
            let is_filled = matches!(setting, Setting::Text(_));
            let kind = self.kinds.get(name).copied();
            let kind = kind.filter(|kind| is_filled && *kind != ParameterKind::String);
            let (Some(kind), Some(text)) = (kind, parameters[name.as_str()].as_str()) else {
                continue;
            };
            let read = serde_json::from_str(text).ok();
            let Some(value) = read.filter(|value| kind.takes(value)) else {
                continue;
            };
            let own = json::read(text).root.and_then(|root| digits::of(&root));
            digits.extend(own.map(|own| (name.clone(), own)));
            parameters[name.as_str()] = value;
        }
        (parameters, Json::Object(digits))
    }
}

fn note_repairs(
    data: &Payload,
    conditions: &Conditions,
    call: Option<&Repairing>,
) -> Result<Payload, Fault> {
    let mut state = State::read(data)?;
    let mut warnings = Vec::new();
    let judged = conditions.judge(&state, &mut warnings);
    match call {
        _ if matches!(judged, Judged::Skip(_)) => {}
        Some(call) => {
            // Whether it fails is the call's own to say.
            let given = call.work.input(&state);
            warnings.extend(given.into_iter().flat_map(|given| given.warnings));
            let (seen, _) = Seen::with_env(&state, conditions);
            seen.settle(&call.parameters, "parameters", &mut Vec::new());
            warnings.extend(seen.warnings.take());
        }
        // A step that runs notes them with its own.
        None => return Ok(data.clone()),
    }
    state.warn_of(&conditions.step, &warnings);
    state.write()
}

fn returned(data: &Payload, work: &Work, event: &Event) -> Result<Payload, Fault> {
    let mut state = State::read(data)?;
    let child = State::read(&event.payload)?;
    let result = GroupResult {
        outputs: child.get(RESULTS).cloned().unwrap_or_else(|| json!({})),
        output_file: None,
    };
    work.record(&mut state, &result)?;
    state.write()
}

fn finish(
    data: &Payload,
    outputs: &Texts,
    setters: &Setters,
    lenient: bool,
) -> Result<Payload, Fault> {
    let mut state = State::read(data)?;
    let (mut results, mut faults) = (Map::new(), Vec::new());
    let seen = Seen::after(&state, setters, lenient);
    for (name, template) in outputs {
        match seen.fill(template, &format!("outputs.{name}")) {
            Ok(text) => {
                results.insert(name.clone(), text.into());
            }
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(Fault::join(faults));
    }
    let warnings = seen.warnings.take();
    state.set(RESULTS, Json::Object(results));
    state.warn(warnings);
    state.write()
}
