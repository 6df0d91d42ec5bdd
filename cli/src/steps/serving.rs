//! The engine's handlers for the steps of one workflow.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use windlass::{Context, Handler, Handlers, Payload, StepError, StepOutput};
use windlass_dialects::{CommandCall, CommandResult, GroupInput, ImportedWorkflow, StepInput};

use super::command;
use super::group_step;
use super::outcome::{OutputForm, Setback, judge, note_warnings};
use super::shell::{ShellFault, ShellStep};
use super::simulation::pretend;
use super::step_input;
use crate::handlers_file::{Action, HandlerEntries, HandlerEntry};
use crate::playbook::{self, Equipment, PlaybookCall};
use crate::program::Call;

/// What the steps of a workflow work with.
#[derive(Clone, Debug)]
pub(crate) struct Serving {
    /// Step type → what does the work.
    pub(crate) entries: HandlerEntries,
    /// What they are done with.
    pub(crate) equipment: Equipment,
}

impl Serving {
    /// A handler for each step type of the workflow that has an entry.
    pub(crate) fn handlers(&self, workflow: &ImportedWorkflow) -> Handlers {
        let made_up = Arc::new(workflow.rehearsal.clone());
        let kinds = workflow.definition.handlers().into_iter();
        kinds.fold(Handlers::new(), |handlers, kind| {
            match self.entries.serving_in(&workflow.definition, kind) {
                Some(entry) => handlers.with(kind, self.handler(entry, &made_up)),
                None => handlers,
            }
        })
    }

    fn handler(&self, entry: HandlerEntry, made_up: &Arc<BTreeMap<String, Json>>) -> Handler {
        let bench = Arc::new(Workbench {
            entry,
            made_up: Arc::clone(made_up),
            equipment: self.equipment.clone(),
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
    equipment: Equipment,
}

impl Workbench {
    async fn attempt(&self, ctx: &Context, data: &Payload) -> Result<StepOutput, StepError> {
        if let Some(call) = command::call_of(ctx, data)? {
            let result = self.perform(ctx, call).await;
            let result = result.map_err(|setback| {
                let error = setback.into_error(self.entry.backoff);
                command::warned(ctx, data, None, error)
            })?;
            let recorded = command::record(ctx, data, &result);
            return recorded.map_err(|error| command::warned(ctx, data, Some(&result), error));
        }
        let masks = group_step::masks(ctx, data);
        if let Some(given) = group_step::input(ctx, data, &masks)? {
            note_input(ctx, &group_step::shown(&given, &masks));
            let output = self.group_work(ctx, data, &given).await;
            let failed = |setback: Setback| setback.hidden(&masks).into_error(self.entry.backoff);
            let output = output.map_err(failed)?;
            let is_rehearsal = matches!(self.entry.action, Action::Simulation(_));
            let folder = Some(self.equipment.folder.as_path()).filter(|_| !is_rehearsal);
            return group_step::record(ctx, data, &masks, &given, output, folder);
        }
        let agent = agent_input(ctx, data)?;
        if let Some(agent) = &agent {
            let masks = self.equipment.secrets.masks(std::iter::empty());
            note_input(ctx, &masks.hide_in(agent.input.clone()));
        }
        let output = self.work(ctx, data, agent.as_ref()).await;
        let output = output.map_err(|setback| setback.into_error(self.entry.backoff))?;
        record(ctx, data, &output)
    }

    /// Makes one call of a playbook's command.
    async fn perform(&self, ctx: &Context, call: CommandCall) -> Result<CommandResult, Setback> {
        let input = Json::Object(call.input);
        note_input(ctx, &playbook::variables_read(&input, &self.equipment));
        note_warnings(ctx, &call.warnings);
        match &self.entry.action {
            Action::Simulation(simulation) => {
                let made_up = command::made_up(ctx)?;
                let given = pretend(simulation, ctx, Some(&made_up)).await?;
                Ok(command::result_of(given))
            }
            Action::Program(words) => {
                let call = self.program(ctx, words.clone(), Vec::new(), &input);
                let report = self.equipment.programs.run(call, ctx.cancelled()).await;
                let printed = judge(report, OutputForm::ValueOrText)?;
                Ok(command::result_of(printed))
            }
            Action::Command => {
                let call = PlaybookCall::read(&input)?;
                let performed = playbook::perform(&call, &self.equipment, ctx.cancelled()).await?;
                let variables = performed.variables.into_iter();
                Ok(CommandResult {
                    variables: variables
                        .map(|(name, value)| (name, value.into()))
                        .collect(),
                    result: performed.result,
                })
            }
            Action::Shell => Err(Setback::permanent(
                "config-invalid",
                "commands of playbooks name their own type; set a command for this one",
            )),
        }
    }

    /// Does a step of step groups, whose settings have their values.
    async fn group_work(
        &self,
        ctx: &Context,
        data: &Payload,
        given: &GroupInput,
    ) -> Result<Json, Setback> {
        let (command, variables, form) = match &self.entry.action {
            Action::Simulation(simulation) => {
                return pretend(simulation, ctx, self.made_up.get(ctx.step())).await;
            }
            Action::Program(command) => (command.clone(), Vec::new(), OutputForm::Json),
            Action::Shell => {
                let shell = ShellStep::of_group(ctx.config(), given).map_err(config_invalid)?;
                (shell.command, shell.variables, OutputForm::Text)
            }
            Action::Command => {
                let what = "only commands of playbooks are done here; set a command for this type";
                return Err(Setback::permanent("config-invalid", what));
            }
        };
        let input = step_input::json_input(ctx, data, None);
        let input = group_step::completed(ctx, input, given);
        let call = self.program(ctx, command, variables, &input);
        let report = self.equipment.programs.run(call, ctx.cancelled()).await;
        judge(report, form)
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
            Action::Command => {
                let what = "only commands of playbooks are done here; set a command for this type";
                return Err(Setback::permanent("config-invalid", what));
            }
        };
        let report = self.equipment.programs.run(call, ctx.cancelled()).await;
        judge(report, form)
    }

    fn call(
        &self,
        ctx: &Context,
        data: &Payload,
        agent: Option<&StepInput>,
        command: Vec<String>,
        variables: Vec<(String, String)>,
    ) -> Call {
        let input = step_input::json_input(ctx, data, agent);
        self.program(ctx, command, variables, &input)
    }

    fn program(
        &self,
        ctx: &Context,
        command: Vec<String>,
        mut variables: Vec<(String, String)>,
        input: &Json,
    ) -> Call {
        variables.extend(step_input::variables(ctx));
        let mut input = input.to_string().into_bytes();
        input.push(b'\n');
        Call {
            command,
            folder: self.equipment.folder.clone(),
            variables,
            hidden: self.equipment.secrets.variables().to_vec(),
            input,
            holds_input: false,
            private: None,
            job: ctx.idempotency_key(),
            label: format!("{}/{}", ctx.run(), ctx.step()),
        }
    }
}

/// Shows what the attempt works on in its row.
fn note_input(ctx: &Context, input: &Json) {
    if let Err(error) = ctx.note_input(input) {
        tracing::warn!(run = %ctx.run(), step = ctx.step(), %error, "the input of the step cannot be shown");
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
