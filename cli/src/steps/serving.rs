//! The engine's handlers for the steps of one workflow.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;
use windlass::{Context, Handler, Handlers, Payload, StepError, StepOutput};
use windlass_dialects::{ImportedWorkflow, StepInput};

use super::outcome::{OutputForm, Setback, judge};
use super::shell::{ShellFault, ShellStep};
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
    pub(crate) fn handlers(&self, workflow: &ImportedWorkflow) -> Handlers {
        let made_up = Arc::new(workflow.rehearsal.clone());
        let kinds = workflow.definition.handlers().into_iter();
        kinds.fold(Handlers::new(), |handlers, kind| {
            match self.entries.serving(kind) {
                Some(entry) => handlers.with(kind, self.handler(entry, &made_up)),
                None => handlers,
            }
        })
    }

    fn handler(&self, entry: HandlerEntry, made_up: &Arc<BTreeMap<String, Json>>) -> Handler {
        let bench = Arc::new(Workbench {
            entry,
            made_up: Arc::clone(made_up),
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
    /// What simulations give, by step.
    made_up: Arc<BTreeMap<String, Json>>,
    programs: Programs,
    folder: PathBuf,
}

impl Workbench {
    async fn attempt(&self, ctx: &Context, data: &Payload) -> Result<StepOutput, StepError> {
        let agent = agent_input(ctx, data)?;
        let output = self.work(ctx, data, agent.as_ref()).await;
        let output = output.map_err(|setback| setback.into_error(self.entry.backoff))?;
        record(ctx, data, &output)
    }

    async fn work(
        &self,
        ctx: &Context,
        data: &Payload,
        agent: Option<&StepInput>,
    ) -> Result<Json, Setback> {
        let (call, form) = match &self.entry.action {
            Action::Simulation(simulation) => {
                return pretend(simulation, ctx, self.made_up.get(ctx.step())).await;
            }
            Action::Program(command) => {
                let call = self.call(ctx, data, agent, command.clone(), Vec::new());
                let form = agent.map_or(OutputForm::Json, |_| OutputForm::Value);
                (call, form)
            }
            Action::Shell => {
                let shell = match agent {
                    Some(agent) => ShellStep::of_input(&agent.input),
                    None => ShellStep::read(ctx.config()),
                };
                let shell = shell.map_err(config_invalid)?;
                let call = self.call(ctx, data, agent, shell.command, shell.variables);
                let form = agent.map_or(OutputForm::Text, |_| OutputForm::ValueOrText);
                (call, form)
            }
        };
        judge(self.programs.run(call, ctx.cancelled()).await, form)
    }

    fn call(
        &self,
        ctx: &Context,
        data: &Payload,
        agent: Option<&StepInput>,
        command: Vec<String>,
        mut variables: Vec<(String, String)>,
    ) -> Call {
        variables.extend(step_input::variables(ctx));
        let input = step_input::json_input(ctx, data, agent);
        let mut input = input.to_string().into_bytes();
        input.push(b'\n');
        Call {
            command,
            folder: self.folder.clone(),
            variables,
            hidden: Vec::new(),
            input,
            holds_input: false,
            private: None,
            job: ctx.idempotency_key(),
            label: format!("{}/{}", ctx.run(), ctx.step()),
        }
    }
}

/// What an agent is given, if the step is one; its fault is the step's.
fn agent_input(ctx: &Context, data: &Payload) -> Result<Option<StepInput>, StepError> {
    let given = windlass_dialects::step_input(ctx.config(), data)?;
    for warning in given.iter().flat_map(|given| &given.warnings) {
        tracing::warn!(run = %ctx.run(), step = ctx.step(), "{warning}");
    }
    Ok(given)
}

fn config_invalid(faults: Vec<ShellFault>) -> Setback {
    let messages = faults.into_iter().map(|fault| fault.message);
    Setback::Failed {
        code: "config-invalid",
        message: messages.collect::<Vec<_>>().join("; "),
        permanent: true,
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
