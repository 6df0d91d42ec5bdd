//! What kind of work a job is: its step, finding out about it, or undoing an earlier one.

use windlass_store::{BranchRow, Reader, StorageError, UndoRow, Undoing, Woken};
use windlass_workflow_model::{
    ActivationId, Definition, Effect, Handover, NodeId, NodeKind, StepSpec, Tally, codes,
};

use crate::serving::Served;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// The step itself.
    Do,
    /// The step may have happened: its handler for that finds out.
    Reconcile,
    /// A step that has succeeded is undone.
    Undo(Box<UndoRow>),
}

/// How a step that must not happen twice stands.
pub(crate) enum Begun {
    /// It may begin now: that is written down and nothing has happened since.
    Now,
    /// It has to be written down first that it begins.
    NotYet,
    /// It began, and nobody knows what came of it.
    Unknown,
}

/// What is undone next for the branch `row`, if it is undoing.
pub(crate) fn to_undo(
    definition: &Definition,
    row: &BranchRow,
    reader: &mut dyn Reader,
) -> Result<Option<UndoRow>, StorageError> {
    match undoing(definition, row) {
        Some(scope) => reader.last_undo(row.run, scope),
        None => Ok(None),
    }
}

/// The scope whose steps are to be undone now, if any.
pub(crate) fn undoing(definition: &Definition, row: &BranchRow) -> Option<ActivationId> {
    match &row.record.flow().undoing {
        Some(Undoing::Run) => Some(ActivationId::ORIGIN),
        Some(Undoing::Branch(scope, _)) => Some(*scope),
        None => {
            let children = row.record.children?;
            scope_fails(definition, row).then_some(children.scope)
        }
    }
}

/// Whether `row` stands at the join of a scope that has failed.
fn scope_fails(definition: &Definition, row: &BranchRow) -> bool {
    let join = row.position.node;
    let NodeKind::Join { split, .. } = definition.node(join).kind else {
        return false;
    };
    if row.position.entering || !matches!(definition.node(split).kind, NodeKind::Scope { .. }) {
        return false;
    }
    let flow = row.record.flow();
    if flow.refused.is_some() {
        return true;
    }
    let Some(Woken::Over([expected, succeeded, failed, cancelled], is_forced)) = flow.woken else {
        return false;
    };
    let tally = Tally {
        expected,
        succeeded,
        failed,
        cancelled,
        is_forced,
    };
    definition.join_rule(join).unwrap_or_default().fails(&tally)
}

/// Whether a step of `row` that must not happen twice may begin; `None` for any other step.
pub(crate) fn begun(step: &StepSpec, row: &BranchRow, handover: &Handover) -> Option<Begun> {
    if !matches!(step.effect, Effect::AtMostOnce { .. }) {
        return None;
    }
    Some(match row.record.flow().begun {
        Some((activation, token)) if activation == handover.activation => {
            if token == row.token {
                Begun::Now
            } else {
                Begun::Unknown
            }
        }
        _ => Begun::NotYet,
    })
}

/// Whether an attempt that ended so may have happened all the same.
pub(crate) fn is_unknown(served: &Served, node: NodeId, code: &str) -> bool {
    let ended_blindly = [
        codes::STEP_TIMEOUT,
        codes::HEARTBEAT_MISSED,
        codes::PANICKED,
    ];
    let once = served
        .step(node)
        .is_some_and(|(step, _)| matches!(step.effect, Effect::AtMostOnce { .. }));
    once && ended_blindly.contains(&code)
}

/// The activation under which the undoing of a step stands in history.
pub(crate) fn undo_activation(row: &UndoRow) -> ActivationId {
    row.activation.derive(row.node, u32::MAX)
}
