//! How much a change writes, and whether it may be refused.

use windlass_workflow_model::{Child, Next, Payload};

use crate::change::{Change, MapChange, Then};

/// What an engine does of its own accord; it is tried again until it can be written.
pub(super) fn is_internal(change: &Change) -> bool {
    match change {
        Change::Checkpoint(_)
        | Change::Unlock(_)
        | Change::Returned(..)
        | Change::Heartbeat(..)
        | Change::Tick
        | Change::Close => true,
        // Whoever frees a dead owner's jobs looks again, and opening must not wait for room for ever.
        // Our own at the end are freed by nobody else.
        Change::Recover { crashed, .. } => !crashed,
        Change::Admit { .. }
        | Change::Register { .. }
        | Change::Signal { .. }
        | Change::Cancel { .. }
        | Change::CancelNode { .. }
        | Change::ChangeMap { .. }
        | Change::Retry { .. }
        | Change::RegisterOwner { .. }
        | Change::Retain { .. } => false,
    }
}

/// Payload bytes that a change writes, about.
pub(super) fn size(change: &Change) -> usize {
    match change {
        Change::Admit { runs, .. } => runs.iter().map(|run| run.input.len()).sum(),
        Change::Checkpoint(checkpoint) => {
            let attempt = checkpoint.attempt.as_ref();
            let input = attempt.and_then(|attempt| attempt.input.as_ref());
            written(&checkpoint.then) + input.map_or(0, Payload::len)
        }
        Change::Signal { payload, .. } => payload.len(),
        Change::ChangeMap {
            what: MapChange::Add(items),
            ..
        } => items.iter().map(Payload::len).sum(),
        _ => 0,
    }
}

fn written(then: &Then) -> usize {
    match then {
        Then::Move(
            Next::Run { data, .. }
            | Next::Sleep { data, .. }
            | Next::Await { data, .. }
            | Next::Map { data, .. }
            | Next::Call { data, .. }
            | Next::Acquire { data, .. }
            | Next::Meet { data, .. }
            | Next::Terminate { data, .. }
            | Next::Counted { counted: data, .. },
        )
        | Then::Retry { data, .. }
        | Then::Begin { data, .. } => data.len(),
        Then::Move(Next::Split { data, children, .. }) => {
            let own = |child: &Child| child.data.as_ref().map_or(0, Payload::len);
            data.len() + children.iter().map(own).sum::<usize>()
        }
        Then::Move(Next::End { result, last }) => {
            result.as_ref().map_or(last.data.len(), Payload::len)
        }
        Then::GiveBack | Then::Hold { .. } | Then::Undone { .. } => 0,
    }
}
