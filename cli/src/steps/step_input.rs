//! What a program learns about its step: JSON on stdin and `WINDLASS_CTX_*` in the environment.

use serde_json::{Map, Value as Json, json};
use windlass::{Context, Payload};
use windlass_dialects::StepInput;

use crate::clock::now_micros;
use crate::time_text::rfc3339;

/// The JSON input of a program.
///
/// `config`, `fields` and `type` stand as the workflow file has them; `data` is the run's data,
/// with the outputs of the steps before under `steps`. An agent gets its `input` with all references
/// resolved in the place of `config` and `fields`.
pub(super) fn json_input(ctx: &Context, data: &Payload, agent: Option<&StepInput>) -> Json {
    let settings = ctx.config();
    let data: Json = data.decode().unwrap_or(Json::Null);
    let mut given = json!({
        "run_id": ctx.run().to_string(),
        "workflow": settings["workflow"],
        "step": ctx.step(),
        "type": settings["type"],
        "branch": ctx.branch_name(),
        "attempt": ctx.attempt(),
        "idempotency_key": ctx.idempotency_key(),
        "timeout_ms": ctx.timeout().map(|limit| limit.as_millis()),
    });
    if let Some(agent) = agent {
        let deadline = deadline(ctx);
        given["workflow_id"] = settings["workflow"].clone();
        given["step_id"] = ctx.step().into();
        given["agent_name"] = settings["type"].clone();
        given["input"] = agent.input.clone();
        given["iteration_index"] = agent.iteration_index.into();
        given["parent_step_id"] = agent.parent_step_id.clone().into();
        given["branch_name"] = agent.branch_name.clone().into();
        given["deadline"] = deadline.into();
    } else {
        for key in ["config", "fields"] {
            let setting = settings.get(key).cloned();
            given[key] = setting.unwrap_or_else(|| Json::Object(Map::new()));
        }
    }
    given["data"] = data;
    given
}

/// When the attempt will have taken too long.
pub(super) fn deadline(ctx: &Context) -> Option<String> {
    ctx.timeout().map(|limit| {
        let micros = i64::try_from(limit.as_micros()).unwrap_or(i64::MAX);
        rfc3339(now_micros().saturating_add(micros))
    })
}

/// The variables that every program gets.
pub(super) fn variables(ctx: &Context) -> Vec<(String, String)> {
    [
        ("RUN", ctx.run().to_string()),
        ("BRANCH", ctx.branch_name().unwrap_or_default().to_owned()),
        ("STEP", ctx.step().to_owned()),
        ("ATTEMPT", ctx.attempt().to_string()),
        ("IDEMPOTENCY_KEY", ctx.idempotency_key()),
    ]
    .map(|(name, value)| (format!("WINDLASS_CTX_{name}"), value))
    .into()
}
