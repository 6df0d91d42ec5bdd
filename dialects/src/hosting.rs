//! What whoever starts runs and asks people has to know of a workflow, whatever its dialect.

use serde_json::Value as Json;
use windlass_workflow_model::Definition;

use crate::cacao;
use crate::cacao::ManualTask;
use crate::step_groups;

/// Why a run may not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRefusal {
    /// Stable, in kebab case: `playbook-revoked`, `playbook-not-yet-valid`, `playbook-expired`,
    /// `external-missing`, `variable-not-external`, `variable-type`, `data-invalid`; of step groups
    /// `parameter-missing`, `parameter-invalid`, `context-missing`, `input-invalid`,
    /// `variable-not-scalar`.
    pub code: &'static str,
    /// Where, what, why and how to fix it.
    pub message: String,
}

/// Everything that speaks against starting a run with this input now, in milliseconds since 1970;
/// empty for workflows of parallel JSON and of the engine's own form.
///
/// What it says of the input is said again when the run begins; of a playbook's validity only this
/// knows, because a run itself has no clock.
pub fn start_refusals(definition: &Definition, input: &Json, now_ms: i64) -> Vec<StartRefusal> {
    let mut found = cacao::refusals(definition, input, now_ms);
    found.extend(step_groups::refusals(definition, input));
    refusals(found)
}

/// The same for a playbook that another one calls, whose input is not known yet.
pub fn validity_refusals(definition: &Definition, now_ms: i64) -> Vec<StartRefusal> {
    refusals(cacao::invalidity(definition, now_ms))
}

fn refusals(found: Vec<(&'static str, String)>) -> Vec<StartRefusal> {
    let found = found.into_iter();
    found
        .map(|(code, message)| StartRefusal { code, message })
        .collect()
}

/// All steps of a workflow that can wait for a person: those of playbooks, and of step groups those
/// that ask for approval; none for other dialects.
pub fn manual_tasks(definition: &Definition) -> Vec<ManualTask> {
    let mut tasks = cacao::tasks(definition);
    tasks.extend(step_groups::tasks(definition));
    tasks
}
