//! Steps of step groups that a person has to let run. Each waits in a node before it, so until it is
//! answered nothing is known of the step itself.

use windlass::{Payload, RunDetail, StepStatus};
use windlass_dialects::{Dialect, approvals};

use crate::json::dialect_of;

/// What such a step waits for.
const APPROVAL: &str = "approval";

/// Shows a step whose approval waits as waiting, and with an approval that is over what was answered.
pub(crate) fn settle(detail: &mut RunDetail) {
    if dialect_of(detail) != Some(Dialect::StepGroupsYaml) {
        return;
    }
    let nothing = Payload::null();
    let data = detail.data.as_ref().unwrap_or(&nothing);
    for approval in approvals(&detail.definition, data) {
        let rows = &mut detail.steps;
        let Some(wait) = rows.iter_mut().find(|row| row.step == approval.wait) else {
            continue;
        };
        if wait.status == StepStatus::Succeeded {
            wait.reason = wait.reason.take().or(approval.outcome);
        }
        let waits = wait.status == StepStatus::Waiting;
        let own = rows.iter_mut().find(|row| row.step == approval.step);
        if let Some(own) = own.filter(|row| waits && row.status == StepStatus::Pending) {
            (own.status, own.reason) = (StepStatus::Waiting, Some(APPROVAL.to_owned()));
        }
    }
}
