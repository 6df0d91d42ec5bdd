//! One call of a command: what its handler is given, and what becomes of its result.
//!
//! All that is fixed stands in the settings of the step; the run's data brings the values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{Fault, Payload, Timestamp};

use crate::cacao::binding::Bindings;
use crate::cacao::rule::{Question, Standing, as_value, stray};
use crate::cacao::state::State;
use crate::cacao::value::{Type, text_of};
use crate::dialect::Dialect;

/// How a step writes variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Writing {
    pub(crate) at: Standing,
    pub(crate) lenient: bool,
    /// Every variable that the step refers to.
    pub(crate) bindings: Bindings,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) in_args: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) out_args: Vec<String>,
    /// Whether no call of the step follows, so that what they brought is written now.
    pub(crate) last: bool,
    /// Variables that are filled in at the last moment, by whoever makes the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<String>,
}

impl Writing {
    /// Name → type of what the step writes.
    pub(crate) fn out_types(&self) -> Json {
        let types = self.out_args.iter().map(|name| {
            let kind = self
                .bindings
                .get(name)
                .map_or("text", |binding| binding.kind.as_str());
            (name.clone(), kind.into())
        });
        Json::Object(types.collect())
    }

    /// What strict mode fails the step for, and lenient mode warns of.
    pub(crate) fn judge_missing(
        &self,
        state: &mut State,
        mut missing: Vec<String>,
    ) -> Result<(), Fault> {
        missing.sort_unstable();
        missing.dedup();
        missing.retain(|name| !self.secrets.contains(name));
        let Some(first) = missing.first() else {
            return Ok(());
        };
        if !self.lenient {
            let text = format!(
                "{} has no value; the command would be wrong; let an earlier step write it",
                missing.join(", ")
            );
            return Err(self.at.fault("variable-no-value", &text));
        }
        let count = missing.len();
        let which = if count == 1 {
            first.clone()
        } else {
            missing.join(", ")
        };
        state.warn(format!(
            "variable-no-value: {}: {which} has no value, so the reference is left as written; let an earlier step write it",
            self.at.step
        ));
        Ok(())
    }

    /// Keeps what a call has brought; after the last one all of it is written.
    pub(crate) fn write(
        &self,
        state: &mut State,
        variables: Map<String, Json>,
        result: Option<Json>,
    ) -> Result<(), Fault> {
        let mut pending = state.pending();
        let result = result.filter(|result| !self.is_nothing(result));
        let single = match (&self.out_args[..], result) {
            ([name], Some(result)) if !variables.contains_key(name) => Some((name.clone(), result)),
            _ => None,
        };
        for (name, value) in variables.into_iter().chain(single) {
            if self.out_args.contains(&name) {
                pending.insert(name, value);
            } else {
                state.warn(format!(
                    "{}: returned {name}, which is not in out_args; dropped",
                    self.at.step
                ));
            }
        }
        state.set_pending(pending);
        if self.last {
            self.write_pending(state)
        } else {
            Ok(())
        }
    }

    /// Whether a result without a name says nothing: an empty object, unless it is a dictionary's.
    fn is_nothing(&self, result: &Json) -> bool {
        let is_dictionary = |name: &String| {
            let binding = self.bindings.get(name);
            binding.is_some_and(|binding| binding.kind == Type::Dictionary)
        };
        result.as_object().is_some_and(Map::is_empty) && !self.out_args.iter().any(is_dictionary)
    }

    /// Writes all or nothing.
    fn write_pending(&self, state: &mut State) -> Result<(), Fault> {
        let pending = state.pending();
        state.clear_pending();
        let (mut writes, mut faults) = (Vec::new(), Vec::new());
        for name in &self.out_args {
            let Some(binding) = self.bindings.get(name) else {
                continue;
            };
            let value = pending.get(name).filter(|value| !value.is_null());
            let Some(value) = value else {
                let text = format!(
                    "no value for {name} came back; later steps need it; answer again with it"
                );
                if self.lenient {
                    state.warn(format!(
                        "out-arg-missing: {}: no value for {name} came back; it keeps its value",
                        self.at.step
                    ));
                } else {
                    faults.push(self.at.fault("out-arg-missing", &text));
                }
                continue;
            };
            let old = self.bindings.value(state, name);
            if binding.constant && !old.is_null() {
                let text = format!(
                    "out_args names the constant {name}; it must not change; use another variable"
                );
                faults.push(self.at.fault("constant-written", &text));
                continue;
            }
            match as_value(binding.kind, value) {
                Ok(value) => writes.push((binding.scope.as_deref(), name, value)),
                Err(what) => faults.push(self.at.fault("variable-type", &format!("{name} {what}"))),
            }
        }
        if !faults.is_empty() {
            return Err(Fault::join(faults));
        }
        for (scope, name, value) in writes {
            // The step's own variables end with it.
            if let Some(scope) = scope {
                state.set_value(scope, name, value);
            }
        }
        Ok(())
    }
}

/// The settings of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) playbook_id: String,
    pub(crate) playbook_modified: String,
    pub(crate) step_id: String,
    pub(crate) step_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    /// All fields of the file.
    pub(crate) command: Map<String, Json>,
    /// Decoded; before substitution, as all texts here.
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) headers: Map<String, Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<String>,
    /// Whether the content is base64 of what is no text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) content_base64: bool,
    pub(crate) agent: Json,
    pub(crate) target: Json,
    pub(crate) authentication: Json,
    pub(crate) command_index: usize,
    pub(crate) target_index: Option<usize>,
    /// The choices of a question that a person would be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) choices: Vec<String>,
    pub(crate) writing: Writing,
}

/// What the handler of a command is given.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandCall {
    /// `playbook_id`, `playbook_modified`, `step_id`, `step_name`, `description`, `owner`, `command`
    /// (with `text`, `raw`, `bindings`), `agent`, `target`, `authentication`, `in_args`, `out_args`,
    /// `command_index`, `target_index` and `exception`, as section 9 of the dialect's page has them.
    /// Who makes the call adds `run_id`, `attempt`, `idempotency_key` and `deadline`.
    pub input: Map<String, Json>,
    /// What was repaired in lenient mode.
    pub warnings: Vec<String>,
}

impl CommandCall {
    /// Says when the call will have taken too long.
    pub fn set_deadline(&mut self, deadline: Option<Timestamp>) {
        let deadline = deadline.and_then(|at| jiff::Timestamp::from_microsecond(at.0).ok());
        let deadline = deadline.map(|at| at.to_string());
        self.input.insert("deadline".to_owned(), json!(deadline));
    }
}

/// What a handler has brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandResult {
    /// Values by name; only those in `out_args` are written.
    pub variables: BTreeMap<String, Json>,
    /// A result without a name: the value of the only name in `out_args`.
    pub result: Option<Json>,
}

impl CommandResult {
    /// What history shows of it: `variables` and `result`, as far as there are any.
    pub fn outputs(&self) -> Json {
        let mut outputs = Map::new();
        if !self.variables.is_empty() {
            outputs.insert("variables".to_owned(), json!(self.variables));
        }
        if let Some(result) = &self.result {
            outputs.insert("result".to_owned(), result.clone());
        }
        Json::Object(outputs)
    }
}

/// The call that a step makes, from its settings and the run's data; `None` for a step of another
/// dialect.
///
/// # Errors
/// A permanent [`Fault`] with which the step fails: `variable-no-value`, or `data-invalid` if it is
/// not the data of such a run.
pub fn command_call(config: &Json, data: &Payload) -> Result<Option<CommandCall>, Fault> {
    let Some(call) = call_of(config)? else {
        return Ok(None);
    };
    let mut state = State::read(data)?;
    let known = state.notes().0;
    let (input, missing) = filled_in(&call, &state);
    call.writing.judge_missing(&mut state, missing)?;
    Ok(Some(CommandCall {
        input,
        warnings: state.warnings_from(known),
    }))
}

/// What the handler is given, and the references that are left because they have no value.
fn filled_in(call: &Call, state: &State) -> (Map<String, Json>, Vec<String>) {
    let mut missing = Vec::new();
    let bindings = &call.writing.bindings;
    let mut command = call.command.clone();
    let fill = |text: &str, missing: &mut Vec<String>| bindings.fill(state, text, missing);
    command.insert("text".to_owned(), fill(&call.text, &mut missing).into());
    command.insert("raw".to_owned(), call.text.clone().into());
    if !call.headers.is_empty() {
        let headers = bindings.fill_json(state, &Json::Object(call.headers.clone()), &mut missing);
        command.insert("headers".to_owned(), headers);
    }
    if let Some(content) = &call.content {
        let filled = if call.content_base64 {
            content.clone()
        } else {
            fill(content, &mut missing)
        };
        command.insert("content".to_owned(), filled.into());
        command.insert("content_base64".to_owned(), call.content_base64.into());
    }
    let values = bindings
        .0
        .keys()
        .map(|name| (name.clone(), bindings.value(state, name).clone()));
    command.insert("bindings".to_owned(), Json::Object(values.collect()));
    let filled = [&call.agent, &call.target, &call.authentication]
        .map(|value| bindings.fill_json(state, value, &mut missing));
    let [agent, target, authentication] = filled;
    let in_args = call.writing.in_args.iter().map(|name| {
        let kind = bindings.get(name).map(|binding| binding.kind.as_str());
        (
            name.clone(),
            json!({ "type": kind, "value": bindings.value(state, name) }),
        )
    });
    let exception = state.exception().cloned().map(|mut exception| {
        if let Json::Object(fields) = &mut exception {
            fields.remove("errors");
        }
        exception
    });
    let input = [
        ("playbook_id", call.playbook_id.clone().into()),
        ("playbook_modified", call.playbook_modified.clone().into()),
        ("step_id", call.step_id.clone().into()),
        ("step_name", call.step_name.clone().into()),
        ("description", json!(call.description)),
        ("owner", json!(call.owner)),
        ("command", Json::Object(command)),
        ("agent", agent),
        ("target", target),
        ("authentication", authentication),
        ("in_args", Json::Object(in_args.collect())),
        ("out_args", call.writing.out_types()),
        ("command_index", call.command_index.into()),
        ("target_index", json!(call.target_index)),
        ("exception", json!(exception)),
    ];
    let input = input.map(|(key, value)| (key.to_owned(), value));
    (input.into_iter().collect(), missing)
}

/// The run's data after the call that a step made; `None` for a step of another dialect. `node` is
/// the step's name in the workflow.
///
/// # Errors
/// A permanent [`Fault`] with which the step fails: `out-arg-missing`, `constant-written`,
/// `variable-type`, or `data-invalid` if it is not the data of such a run.
pub fn record_result(
    config: &Json,
    data: &Payload,
    node: &str,
    result: &CommandResult,
) -> Result<Option<Payload>, Fault> {
    let Some(call) = call_of(config)? else {
        return Ok(None);
    };
    let mut state = State::read(data)?;
    // What was made of the call is known now, and nothing of it was kept.
    let (_, missing) = filled_in(&call, &state);
    call.writing.judge_missing(&mut state, missing)?;
    state.record(node, &result.outputs());
    let variables: Map<String, Json> = result.variables.clone().into_iter().collect();
    if call.choices.is_empty() {
        call.writing
            .write(&mut state, variables, result.result.clone())?;
    } else {
        let answer = result.result.iter().find_map(text_of);
        let answer = answer.map(|text| (Question::ANSWER.to_owned(), Json::String(text)));
        state.set_pending(variables.into_iter().chain(answer).collect());
    }
    state.write().map(Some)
}

/// What a call that has failed warned of: nothing of it is in the run's data. `result` is what the
/// handler brought, if it failed only where that was written. Empty for a step of another dialect.
pub fn command_warnings(
    config: &Json,
    data: &Payload,
    result: Option<&CommandResult>,
) -> Vec<String> {
    let (Ok(Some(call)), Ok(mut state)) = (call_of(config), State::read(data)) else {
        return Vec::new();
    };
    let known = state.notes().0;
    let (_, missing) = filled_in(&call, &state);
    let judged = call.writing.judge_missing(&mut state, missing);
    if let (Ok(()), Some(result), true) = (judged, result, call.choices.is_empty()) {
        let variables = result.variables.clone().into_iter().collect();
        // Why it failed is known; what it warned of before stays in this copy.
        let _why = call
            .writing
            .write(&mut state, variables, result.result.clone());
    }
    state.warnings_from(known)
}

/// A result for rehearsals: every variable that the step writes gets a value of its type that says
/// where it comes from. `None` for a step of another dialect.
///
/// # Errors
/// A permanent [`Fault`] if the settings are not those of a step of this dialect.
pub fn made_up_result(config: &Json) -> Result<Option<CommandResult>, Fault> {
    let Some(call) = call_of(config)? else {
        return Ok(None);
    };
    let step = &call.writing.at.step;
    let mut variables: BTreeMap<String, Json> = call
        .writing
        .out_args
        .iter()
        .filter_map(|name| {
            let kind = call.writing.bindings.get(name)?.kind;
            Some((name.clone(), kind.made_up(&format!("{step}.{name}")).into()))
        })
        .collect();
    if let Some(first) = call.choices.first() {
        variables.insert(Question::ANSWER.to_owned(), first.clone().into());
    }
    Ok(Some(CommandResult {
        variables,
        result: None,
    }))
}

fn call_of(config: &Json) -> Result<Option<Call>, Fault> {
    if config["dialect"] != Dialect::Cacao.as_str() {
        return Ok(None);
    }
    let call = serde_json::from_value(config["call"].clone());
    call.map(Some).map_err(|error| {
        stray(&format!(
            "the settings of this step cannot be read: {error}"
        ))
    })
}
