//! Blocks that came to something without any step of theirs: only the run's data tells.

use serde_json::Value as Json;
use windlass::{ErrorEntry, RunDetail, StepStatus};
use windlass_dialects::{run_notes, run_outputs};

/// Gives blocks that no branch was taken in, and that are done or have failed all the same, their
/// status: a condition that chose nothing, a loop over nothing, a failure that the flow went on from.
pub(crate) fn settle(detail: &mut RunDetail) {
    let Some(data) = &detail.data else { return };
    if detail.definition.blocks().is_empty() {
        return;
    }
    let outputs = run_outputs(data);
    let handled = run_notes(data).handled_failures;
    for row in &mut detail.steps {
        let is_block = row.activation.is_none() && row.attempt == 0;
        if row.status != StepStatus::Skipped || !is_block {
            continue;
        }
        let failure = handled.iter().find(|failure| failure["step"] == row.step);
        if let Some(failure) = failure {
            (row.status, row.reason) = (StepStatus::Failed, None);
            row.error = first_error(failure);
        } else if outputs.get(&row.step).is_some() {
            (row.status, row.reason) = (StepStatus::Succeeded, None);
        }
    }
}

fn first_error(failure: &Json) -> Option<ErrorEntry> {
    serde_json::from_value(failure["errors"].get(0)?.clone()).ok()
}
