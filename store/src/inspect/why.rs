//! What a branch waits for, judged by its row and by who is there.

use windlass_workflow_model::{Definition, NodeKind, OwnerId, SelectArm, Trigger};

use super::RunningJobs;
use super::views::WaitsFor;
use crate::record::{BranchRow, State};

/// Whether a living engine serves a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serving {
    Yes,
    NoHandler,
    NoEngine,
}

pub(super) fn waits_for(
    row: &BranchRow,
    definition: &Definition,
    running: &RunningJobs,
    serving: Serving,
) -> WaitsFor {
    let kind = |kind| WaitsFor {
        kind,
        ..WaitsFor::default()
    };
    let node = definition.node(row.position.node);
    match row.state {
        State::Ready if row.owner == OwnerId(0) => match serving {
            Serving::Yes => kind("outbox"),
            Serving::NoHandler => kind("handler"),
            Serving::NoEngine => WaitsFor {
                missing: vec!["a running engine".to_owned()],
                ..kind("runner")
            },
        },
        State::Ready if running.has(row) => kind("running"),
        State::Ready if serving == Serving::NoEngine => WaitsFor {
            missing: vec!["its engine is gone".to_owned()],
            ..kind("lock")
        },
        State::Ready => kind("channel"),
        State::Held => WaitsFor {
            missing: vec!["a place under max_parallelism".to_owned()],
            ..kind("runner")
        },
        State::Timer if !row.position.entering && matches!(node.kind, NodeKind::Step(_)) => {
            WaitsFor {
                until: row.due,
                ..kind("retry")
            }
        }
        State::Timer => WaitsFor {
            until: row.due,
            ..kind("timer")
        },
        State::Event => {
            let (event, missing) = match &node.kind {
                NodeKind::Await { event, .. } => (Some(event.clone()), Vec::new()),
                NodeKind::Select { arms } => (None, events(arms)),
                _ => (None, Vec::new()),
            };
            WaitsFor {
                event,
                missing,
                until: row.due,
                ..kind("event")
            }
        }
        State::Blocked => match &node.kind {
            NodeKind::Scope { mutex, .. } => WaitsFor {
                mutex: mutex.clone(),
                ..kind("mutex")
            },
            NodeKind::Step(step) => WaitsFor {
                milestone: step.gate.clone(),
                ..kind("milestone")
            },
            _ => kind("mutex"),
        },
        State::Meeting => WaitsFor {
            join: Some(node.name.clone()),
            ..kind("meet")
        },
        State::Calling => WaitsFor {
            run: row.record.flow().called,
            until: row.due,
            ..kind("call")
        },
        State::Joining => WaitsFor {
            join: Some(node.name.clone()),
            until: row.due,
            ..kind("join")
        },
        State::Ending => WaitsFor {
            missing: vec!["the rest of its branches".to_owned()],
            ..kind("join")
        },
        State::Parked => WaitsFor {
            missing: row.parked_for().into_iter().collect(),
            ..kind("operator")
        },
        State::Arrived | State::Succeeded | State::Failed | State::Cancelled => WaitsFor::default(),
    }
}

/// The events of a deferred choice.
fn events(arms: &[SelectArm]) -> Vec<String> {
    let event = |arm: &SelectArm| match &arm.on {
        Trigger::Event { event, .. } => Some(event.clone()),
        Trigger::Timer(_) => None,
    };
    arms.iter().filter_map(event).collect()
}
