//! What a program learns about its step: JSON on stdin and `WINDLASS_CTX_*` in the environment.

use serde_json::{Map, Value as Json, json};
use windlass::{Context, Payload};
/// The JSON input of a program.
///
/// `config`, `fields` and `type` stand as the workflow file has them; `data` is the run's data,
/// with the outputs of the steps before under `steps`.
pub(super) fn json_input(ctx: &Context, data: &Payload) -> Json {
    let settings = ctx.config();
    let data: Json = data.decode().unwrap_or(Json::Null);
    let object = |key: &str| {
        settings
            .get(key)
            .cloned()
            .unwrap_or_else(|| Json::Object(Map::new()))
    };
    json!({
        "run_id": ctx.run().to_string(),
        "workflow": settings["workflow"],
        "step": ctx.step(),
        "type": settings["type"],
        "branch": ctx.branch_name(),
        "attempt": ctx.attempt(),
        "idempotency_key": ctx.idempotency_key(),"timeout_ms": ctx.timeout().map(|limit| limit.as_millis()),
        "config": object("config"),
        "fields": object("fields"),
        "data": data,
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
