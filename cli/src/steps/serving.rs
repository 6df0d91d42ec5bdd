//! The engine's handlers for the steps of one workflow.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use windlass::{Context, Definition, Handler, Handlers, Payload, StepError, StepOutput};

use super::outcome::{OutputForm, Setback, judge};
use super::shell::ShellStep;
use super::simulation::pretend;
use super::step_input;
use crate::handlers_file::{Action, HandlerEntries, HandlerEntry};
use crate::program::{Call, Programs};

/// What the steps of a workflow work with.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    /// Step type → what does the work.
    pub(crate) entries: HandlerEntries,
    /// Starts programs.
    pub(crate) programs: Programs,
    /// Where programs run.
    pub(crate) folder: PathBuf,
}

impl Serving {
    /// A handler for each step type of the workflow that has an entry.
    pub(crate) fn handlers(&self, definition: &Definition) -> Handlers {
        let kinds = definition.handlers().into_iter();
        kinds.fold(Handlers::new(), |handlers, kind| {
            match self.entries.serving(kind) {
                Some(entry) => handlers.with(kind, self.handler(entry)),
                None => handlers,
            }
        })
    }

    fn handler(&self, entry: HandlerEntry) -> Handler {
        let bench = Arc::new(Workbench {
            entry,
            programs: self.programs.clone(),
            folder: self.folder.clone(),
        });
        Handler::future(move |ctx: Context, data: Payload| {
            let bench = Arc::clone(&bench);
            async move { bench.attempt(&ctx, &data).await }
        })
    }
}

/// Everything one handler needs for an attempt.
struct Workbench {
    entry: HandlerEntry,
    programs: Programs,
    folder: PathBuf,
}

impl Workbench {
    async fn attempt(&self, ctx: &Context, data: &Payload) -> Result<StepOutput, StepError> {
        let outputs = self.work(ctx, data).await;
        let outputs = outputs.map_err(|setback| setback.into_error(self.entry.backoff))?;
        record(ctx, data, &Json::Object(outputs))
    }

    async fn work(&self, ctx: &Context, data: &Payload) -> Result<Map<String, Json>, Setback> {
        match &self.entry.action {
            Action::Simulation(simulation) => pretend(simulation, ctx).await,
            Action::Program(command) => {
                let call = self.call(ctx, data, command.clone(), Vec::new());
                judge(
                    self.programs.run(call, ctx.cancelled()).await,
                    OutputForm::Json,
                )
            }
            Action::Shell => {
                let shell = ShellStep::read(ctx.config()).map_err(|faults| Setback::Failed {
                    code: "config-invalid",
                    message: faults
                        .into_iter()
                        .map(|fault| fault.message)
                        .collect::<Vec<_>>()
                        .join("; "),
                    permanent: true,
                })?;
                let call = self.call(ctx, data, shell.command, shell.variables);
                judge(
                    self.programs.run(call, ctx.cancelled()).await,
                    OutputForm::Text,
                )
            }
        }
    }

    fn call(
        &self,
        ctx: &Context,
        data: &Payload,
        command: Vec<String>,
        mut variables: Vec<(String, String)>,
    ) -> Call {
        variables.extend(step_input::variables(ctx));
        let mut input = step_input::json_input(ctx, data).to_string().into_bytes();
        input.push(b'\n');
        Call {
            command,
            folder: self.folder.clone(),
            variables,
            input,
            job: ctx.idempotency_key(),
            label: format!("{}/{}", ctx.run(), ctx.step()),
        }
    }
}

/// Puts the outputs into the run's data and into the history.
fn record(ctx: &Context, data: &Payload, outputs: &Json) -> Result<StepOutput, StepError> {
    let recorded = windlass_dialects::record_output(data, ctx.step(), outputs);
    let data =
        recorded.map_err(|fault| StepError::new("data-invalid", fault.summary()).permanent())?;
    let output = Payload::encode(outputs)
        .map_err(|error| StepError::new("data-invalid", error.to_string()).permanent())?;
    Ok(StepOutput {
        data,
        output: Some(output),
    })
}
