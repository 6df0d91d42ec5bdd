//! Workflow files of others, for services that run them with handlers of their own.
//!
//! Reading them is the work of `windlass-dialects`; here their steps meet handlers.

use std::time::Duration;

use serde_json::{Value as Json, json};
use windlass_dialects::{
    command_call, command_warnings, group_input, group_record, record_output, record_result,
    step_input,
};
use windlass_runner::{Context, Handler, StepError, StepOutput};
use windlass_workflow_model::Payload;

pub use windlass_dialects::{
    AgentOptions, CacaoOptions, CommandCall, CommandResult, Diagnostic, Dialect, EarlyExit,
    GroupInput, GroupResult, HandlerTypes, ImportOptions, Imported, ImportedWorkflow,
    IterationShape, LoopStop, ManualTask, Mode, ParallelJsonOptions, PlaybookFile, ResolveAgents,
    RunNotes, StartRefusal, StepGroupsOptions, StepInput, import, manual_tasks, run_notes,
    run_outputs, start_refusals,
};

/// A handler for commands of CACAO playbooks: `work` is given the call with all values filled in,
/// and what it brings is written into the playbook's variables. It may block its Runner.
///
/// ```
/// use windlass::{CommandResult, Engine, Handlers, ImportOptions, Json, Request, RunOutcome};
/// use windlass::{Payload, Workflow, command_handler, import};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = r#"{
///     "type": "playbook", "spec_version": "cacao-2.0", "name": "ping",
///     "id": "playbook--2b9c1d7e-0f37-4449-a1bd-3f6564eadf7f",
///     "created_by": "identity--142a7266-8c47-4223-916e-dd8c47b46afc",
///     "created": "2025-01-01T00:00:00.000Z", "modified": "2025-01-01T00:00:00.000Z",
///     "playbook_variables": {
///         "__host__": {"type": "string", "external": true}, "__up__": {"type": "bool"}},
///     "agent_definitions": {
///         "group--a593feae-d272-48b7-a2e3-ab5805f0765a": {"type": "group", "name": "SOC"}},
///     "workflow_start": "start--52f22665-a60c-42d2-8918-5d950ee88136",
///     "workflow": {
///         "start--52f22665-a60c-42d2-8918-5d950ee88136": {
///             "type": "start", "on_completion": "action--a095f20f-9395-450c-b938-0b8edb224a6b"},
///         "action--a095f20f-9395-450c-b938-0b8edb224a6b": {
///             "type": "action", "name": "ping", "out_args": ["__up__"],
///             "agent": "group--a593feae-d272-48b7-a2e3-ab5805f0765a",
///             "commands": [{"type": "bash", "command": "ping __host__:value"}],
///             "on_completion": "end--248a1e92-4e8f-40ae-ae1a-9492a3305f18"},
///         "end--248a1e92-4e8f-40ae-ae1a-9492a3305f18": {"type": "end"}}}"#;
/// let mut imported = import(text, &ImportOptions::new("ping.json"));
/// assert!(imported.ok(), "{:?}", imported.diagnostics);
/// let playbook = imported.workflows.remove(0);
/// let bash = command_handler(|_, call| {
///     assert_eq!(call.input["command"]["text"], "ping fw-1");
///     Ok(CommandResult { result: Some("true".into()), ..CommandResult::default() })
/// });
/// let handlers = Handlers::new().with("bash", bash);
/// let workflow = Workflow::<Json>::from_parts(playbook.definition, playbook.functions, handlers);
///
/// let engine = Engine::builder().in_memory().workflow(&workflow).open()?;
/// let input = serde_json::json!({"__host__": "fw-1"});
/// let run = engine.scheduler().schedule_blocking(workflow.request(&input)?)?;
/// let RunOutcome::Succeeded(data) = run.wait_blocking(None)? else { panic!("it cannot fail") };
/// assert_eq!(data.decode::<Json>()?["variables"]["playbook"]["__up__"], "true");
/// # Ok(())
/// # }
/// ```
pub fn command_handler(
    work: impl Fn(&Context, &CommandCall) -> Result<CommandResult, StepError> + Send + Sync + 'static,
) -> Handler {
    Handler::blocking(move |ctx, data| {
        let call = command_call(ctx.config(), data)?;
        let mut call = call.ok_or_else(|| foreign("a playbook"))?;
        complete(ctx, &mut call);
        let warned = |result, error| warned(ctx, data, result, error);
        let result = work(ctx, &call).map_err(|error| warned(None, error))?;
        let recorded = record_result(ctx.config(), data, ctx.step(), &result);
        let recorded = recorded.map_err(|fault| warned(Some(&result), fault.into()))?;
        output(
            recorded.ok_or_else(|| foreign("a playbook"))?,
            &result.outputs(),
        )
    })
}

/// The error of a command, with what it has warned of: nothing of a failed step is in the run's data.
fn warned(
    ctx: &Context,
    data: &Payload,
    result: Option<&CommandResult>,
    error: StepError,
) -> StepError {
    with_warnings(error, &command_warnings(ctx.config(), data, result))
}

/// The error of a step of a file, with what it has warned of: its row has that as `warnings` of its output,
/// for a step that fails writes nothing into the run's data.
#[must_use]
pub fn with_warnings(error: StepError, warnings: &[String]) -> StepError {
    if warnings.is_empty() {
        return error;
    }
    match Payload::encode(&json!({ "warnings": warnings })) {
        Ok(output) => error.with_output(output),
        Err(_) => error,
    }
}

/// A handler for agents of parallel JSON: `work` is given the step's input with all references
/// resolved, and what it returns is the step's output. It may block its Runner.
pub fn agent_handler(
    work: impl Fn(&Context, &StepInput) -> Result<Json, StepError> + Send + Sync + 'static,
) -> Handler {
    Handler::blocking(move |ctx, data| {
        let input = step_input(ctx.config(), data)?;
        let input = input.ok_or_else(|| foreign("parallel JSON"))?;
        let returned = work(ctx, &input)?;
        output(record_output(data, ctx.step(), &returned)?, &returned)
    })
}

/// A handler for steps of YAML step groups: `work` is given the step's settings with all values filled
/// in, and what it brings becomes the step's outputs and variables. It may block its Runner.
///
/// Warnings of lenient mode stand in the run's data, where [`run_notes`] finds them. What is secret
/// (`secret_names`) is the caller's to heed: the history shows the outputs as they are.
///
/// ```
/// use windlass::{Engine, GroupResult, Handlers, ImportOptions, Json, RunOutcome, Workflow};
/// use windlass::{group_handler, import};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let text = "
/// variables: {STAGE: qa}
/// steps:
///   - {name: build, type: tool}
///   - {name: ship, type: tool, if: '${build.size} > 10', config: {to: '$STAGE-${build.size}'}}
/// outputs: {to: '${ship.to}'}
/// ";
/// let mut imported = import(text, &ImportOptions::new("ship.yaml"));
/// assert!(imported.ok(), "{:?}", imported.diagnostics);
/// let groups = imported.workflows.remove(0);
/// let tool = group_handler(|_, given| {
///     let outputs = serde_json::json!({"size": 12, "to": given.config["to"]});
///     Ok(GroupResult { outputs, output_file: None })
/// });
/// let handlers = Handlers::new().with("tool", tool);
/// let workflow = Workflow::<Json>::from_parts(groups.definition, groups.functions, handlers);
///
/// let engine = Engine::builder().in_memory().workflow(&workflow).open()?;
/// let run = engine.scheduler().schedule_blocking(workflow.request(&Json::Null)?)?;
/// let RunOutcome::Succeeded(data) = run.wait_blocking(None)? else { panic!("it cannot fail") };
/// assert_eq!(data.decode::<Json>()?["outputs"]["to"], "qa-12");
/// # Ok(())
/// # }
/// ```
pub fn group_handler(
    work: impl Fn(&Context, &GroupInput) -> Result<GroupResult, StepError> + Send + Sync + 'static,
) -> Handler {
    Handler::blocking(move |ctx, data| {
        let input = group_input(ctx.config(), data)?;
        let input = input.ok_or_else(|| foreign("step groups"))?;
        let result = work(ctx, &input)?;
        let recorded = group_record(ctx.config(), data, &result)?;
        let (data, outputs, _) = recorded.ok_or_else(|| foreign("step groups"))?;
        output(data, &outputs)
    })
}

/// What only the one who makes the call knows.
fn complete(ctx: &Context, call: &mut CommandCall) {
    call.set_deadline(ctx.deadline());
    let limit = ctx.timeout().as_ref().map(Duration::as_millis);
    for (key, value) in [
        ("run_id", json!(ctx.run().to_string())),
        ("attempt", json!(ctx.attempt())),
        ("idempotency_key", json!(ctx.idempotency_key())),
        ("timeout_ms", json!(limit)),
    ] {
        call.input.insert(key.to_owned(), value);
    }
}

fn output(data: Payload, shown: &Json) -> Result<StepOutput, StepError> {
    let output = Payload::encode(shown)
        .map_err(|error| StepError::new("data-invalid", error.to_string()).permanent())?;
    Ok(StepOutput {
        data,
        output: Some(output),
    })
}

fn foreign(dialect: &str) -> StepError {
    let text = format!("this handler does steps of {dialect} only; register another for this step");
    StepError::new("config-invalid", text).permanent()
}
