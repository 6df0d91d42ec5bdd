//! One call of a playbook's command: from the step that makes it to what it writes.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use windlass::{Context, Payload, StepError, StepOutput, with_warnings};
use windlass_dialects::{
    CommandCall, CommandResult, command_call, command_warnings, made_up_result, record_result,
};

use super::outcome::Setback;

/// The key under which a program may name its variables.
const VARIABLES: &str = "variables";

/// The key under which it may then give a result without a name.
const RESULT: &str = "result";

/// The call that this step makes, with what only we know; `None` for a step of another dialect. Its
/// fault is the step's.
pub(super) fn call_of(ctx: &Context, data: &Payload) -> Result<Option<CommandCall>, StepError> {
    let Some(mut call) = command_call(ctx.config(), data)? else {
        return Ok(None);
    };
    for warning in &call.warnings {
        tracing::warn!(run = %ctx.run(), step = ctx.step(), "{warning}");
    }
    call.set_deadline(ctx.deadline());
    for (key, value) in [
        ("run_id", json!(ctx.run().to_string())),
        ("attempt", json!(ctx.attempt())),
        ("idempotency_key", json!(ctx.idempotency_key())),
    ] {
        call.input.insert(key.to_owned(), value);
    }
    Ok(Some(call))
}

/// What is made up of a step's variables, by name.
pub(super) fn made_up(ctx: &Context) -> Result<Json, Setback> {
    let made_up = made_up_result(ctx.config());
    let made_up = made_up.map_err(|fault| Setback::permanent("data-invalid", fault.summary()))?;
    let variables = made_up.unwrap_or_default().variables;
    Ok(Json::Object(variables.into_iter().collect()))
}

/// What a program printed: `{"variables": {…}, "result": …}`, variables alone, or a result.
pub(super) fn result_of(printed: Json) -> CommandResult {
    match printed {
        Json::Null => CommandResult::default(),
        Json::Object(mut object) if has_only(&object, |key| key == VARIABLES || key == RESULT) => {
            let variables = match object.remove(VARIABLES) {
                Some(Json::Object(variables)) => variables.into_iter().collect(),
                _ => BTreeMap::new(),
            };
            CommandResult {
                variables,
                result: object.remove(RESULT),
            }
        }
        Json::Object(object) if has_only(&object, |key| key.starts_with("__")) => CommandResult {
            variables: object.into_iter().collect(),
            result: None,
        },
        other => CommandResult {
            result: Some(other),
            ..CommandResult::default()
        },
    }
}

fn has_only(object: &Map<String, Json>, of: impl Fn(&str) -> bool) -> bool {
    !object.is_empty() && object.keys().all(|key| of(key))
}

/// Writes what came back into the run's data and into the history.
pub(super) fn record(
    ctx: &Context,
    data: &Payload,
    result: &CommandResult,
) -> Result<StepOutput, StepError> {
    let recorded = record_result(ctx.config(), data, ctx.step(), result)?;
    let output = Payload::encode(&result.outputs())
        .map_err(|error| StepError::new("data-invalid", error.to_string()).permanent())?;
    Ok(StepOutput {
        data: recorded.unwrap_or_else(|| data.clone()),
        output: Some(output),
    })
}

/// An error of the step, with what it has warned of: it writes nothing into the run's data.
pub(super) fn warned(
    ctx: &Context,
    data: &Payload,
    result: Option<&CommandResult>,
    error: StepError,
) -> StepError {
    with_warnings(error, &command_warnings(ctx.config(), data, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_its_variables_or_gives_a_result() {
        let variables = |values: Json| {
            let values = values.as_object().cloned().unwrap_or_default();
            values.into_iter().collect::<BTreeMap<_, _>>()
        };
        for (printed, named, result) in [
            (json!(null), json!({}), None),
            (json!("x"), json!({}), Some(json!("x"))),
            (json!({"__a__": 1}), json!({"__a__": 1}), None),
            (
                json!({"variables": {"__a__": "x"}, "result": 5}),
                json!({"__a__": "x"}),
                Some(json!(5)),
            ),
            (json!({"a": 1}), json!({}), Some(json!({"a": 1}))),
            (json!({}), json!({}), Some(json!({}))),
        ] {
            let found = result_of(printed.clone());
            assert_eq!(
                (found.variables, found.result),
                (variables(named), result),
                "{printed}"
            );
        }
    }
}
