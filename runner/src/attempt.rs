//! From a locked job to its step, and from the step's result to the checkpoint. Pure, but for the
//! reads that bring in what a branch waited for.

use std::any::Any;
use std::time::Duration;

use windlass_store::limits::PAYLOAD_BYTES_MAX;
use windlass_store::sync::Arc;
use windlass_store::{
    AttemptRecord, BranchRow, Checkpoint, ChildRange, LockedJob, Reader, StorageError, Store, Then,
};
use windlass_workflow_model::{
    ActivationId, Advance, Arrival, Event, Fault, Handover, Inputs, Last, Moves, Next, NodeId,
    NodeKind, Payload, StepStatus, Timestamp, Token, advance, after_step, codes,
};

use crate::handler::{StepOutput, StepResult};
use crate::limits::ARRIVALS_AT_ONCE;
use crate::serving::Served;

/// What a job turns out to be.
#[derive(Debug)]
pub(crate) enum Task {
    /// A step to do.
    Step(Handover),
    /// Only gateways: this is written at once.
    Done(Box<Checkpoint>),
}

/// A reader of a Runner's own, opened when a branch first brings something in.
#[derive(Debug)]
pub(crate) struct LazyReader {
    store: Store,
    open: Option<Box<dyn Reader>>,
}

impl LazyReader {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, open: None }
    }

    fn get(&mut self) -> Result<&mut dyn Reader, StorageError> {
        let reader = match self.open.take() {
            Some(reader) => reader,
            None => self.store.reader()?,
        };
        Ok(self.open.insert(reader).as_mut())
    }
}

/// Takes a job to its step.
pub(crate) fn prepare(
    served: &Served,
    job: &Arc<LockedJob>,
    reader: &mut LazyReader,
    now: Timestamp,
) -> Result<Task, StorageError> {
    let row = &job.row;
    let data = row.data.clone().unwrap_or_else(Payload::null);
    let from = Last {
        node: row.position.node,
        activation: row.activation,
        data: data.clone(),
    };
    let token = Token {
        position: row.position,
        activation: row.activation,
        data,
    };
    let inputs = inputs(served, row, reader)?;
    Ok(
        match advance(served.definition(), served.functions(), token, inputs) {
            Advance::Attempt(handover) => Task::Step(handover),
            Advance::Moves(moves) => {
                let moves = bounded(served, moves, &from);
                let attempt = failed_gateway(&moves, now);
                Task::Done(Box::new(checkpoint(served, job, attempt, moves)))
            }
        },
    )
}

fn inputs(
    served: &Served,
    row: &BranchRow,
    reader: &mut LazyReader,
) -> Result<Inputs, StorageError> {
    if row.position.entering {
        return Ok(Inputs::Nothing);
    }
    match (
        &served.definition().node(row.position.node).kind,
        row.record.children,
        row.record.event,
    ) {
        (NodeKind::Join { .. }, Some(range), _) => {
            Ok(Inputs::Arrivals(arrivals(range, reader.get()?)?))
        }
        (NodeKind::Await { .. }, _, Some(seq)) => {
            let event = reader.get()?.event(row.run, seq)?;
            Ok(event.map_or(Inputs::Nothing, |(payload, is_fault)| {
                Inputs::Event(Event { payload, is_fault })
            }))
        }
        _ => Ok(Inputs::Nothing),
    }
}

fn arrivals(range: ChildRange, reader: &mut dyn Reader) -> Result<Vec<Arrival>, StorageError> {
    let mut arrivals = Vec::with_capacity(range.count as usize);
    let mut from = 0;
    while from < range.count {
        let rows = reader.range(range, from, ARRIVALS_AT_ONCE)?;
        if rows.is_empty() {
            break;
        }
        from += u32::try_from(rows.len()).unwrap_or(u32::MAX);
        for row in rows {
            let extras = row.record.into_extras();
            let Some(membership) = extras.membership else {
                continue;
            };
            let result = match extras.fault {
                Some(fault) => Err(fault),
                None => Ok(row.data.unwrap_or_else(Payload::null)),
            };
            arrivals.push(Arrival {
                index: membership.index,
                name: membership.name,
                result,
            });
        }
    }
    if arrivals.len() < range.count as usize {
        let why = format!("{} of {} branches are there", arrivals.len(), range.count);
        return Err(StorageError::Corrupt {
            what: "join".to_owned(),
            why,
        });
    }
    Ok(arrivals)
}

/// A step that has ended, with what is needed to write it down.
pub(crate) struct Outcome<'a> {
    pub(crate) served: &'a Served,
    pub(crate) job: &'a Arc<LockedJob>,
    pub(crate) handover: Handover,
    pub(crate) attempt: u32,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    pub(crate) result: StepResult,
}

/// The checkpoint of a step's attempt.
pub(crate) fn conclude(outcome: Outcome<'_>) -> Checkpoint {
    let Outcome {
        served,
        job,
        handover,
        attempt,
        started_at,
        ended_at,
        result,
    } = outcome;
    let Handover {
        node, activation, ..
    } = handover;
    let from = Last {
        node,
        activation,
        data: handover.data.clone(),
    };
    let result = result.and_then(fits);
    let record = |status, fault: Option<&Fault>, output| AttemptRecord {
        node,
        activation,
        status,
        started_at,
        fault: fault.map(|fault| placed(served, &job.row, node, fault.clone())),
        output,
    };
    let error = match result {
        Ok(StepOutput { data, output }) => {
            let record = record(StepStatus::Succeeded, None, output);
            let moves = after_step(served.definition(), served.functions(), &handover, Ok(data));
            return checkpoint(served, job, Some(record), bounded(served, moves, &from));
        }
        Err(error) => error,
    };
    let later = error.later();
    let fault = error.into_fault();
    let pause = later.or_else(|| {
        let policy = served
            .step(node)
            .map(|(step, _)| step.retry)
            .unwrap_or_default();
        policy.pause_after(attempt).filter(|_| fault.retryable)
    });
    let record = record(StepStatus::Failed, Some(&fault), None);
    let Some(pause) = pause else {
        let fault = placed(served, &job.row, node, fault);
        let moves = after_step(
            served.definition(),
            served.functions(),
            &handover,
            Err(fault),
        );
        return checkpoint(served, job, Some(record), bounded(served, moves, &from));
    };
    let due = ended_at.after(pause);
    let counts = later.is_none();
    let then = Then::Retry {
        node,
        activation,
        data: handover.data,
        due,
        counts,
    };
    Checkpoint {
        then,
        ..checkpoint(served, job, Some(record), nowhere(node, activation))
    }
}

/// The fault of a step, with the branch on which it happened.
fn placed(served: &Served, row: &BranchRow, node: NodeId, fault: Fault) -> Fault {
    let node = served.definition().node(node);
    let membership = row.record.membership.as_ref();
    let branch = node
        .place
        .branch
        .as_deref()
        .or(membership.map(|m| m.name.as_str()));
    fault.at(&node.name, node.place.parent.as_deref(), branch)
}

/// The job as it was, for a shutdown.
pub(crate) fn give_back(job: &Arc<LockedJob>) -> Checkpoint {
    Checkpoint {
        job: Arc::clone(job),
        attempt: None,
        passed: None,
        skipped: Vec::new(),
        detached: Vec::new(),
        then: Then::GiveBack,
        merged: None,
        schedules: Vec::new(),
        reply: None,
    }
}

fn checkpoint(
    served: &Served,
    job: &Arc<LockedJob>,
    attempt: Option<AttemptRecord>,
    moves: Moves,
) -> Checkpoint {
    let row = &job.row;
    let here =
        Some(&served.definition().node(row.position.node).kind).filter(|_| !row.position.entering);
    let was_joining = matches!(here, Some(NodeKind::Join { .. }));
    let waited = matches!(here, Some(NodeKind::Sleep { .. } | NodeKind::Await { .. }));
    let failed_here = attempt
        .as_ref()
        .is_some_and(|a| a.activation == row.activation);
    Checkpoint {
        job: Arc::clone(job),
        attempt,
        passed: (waited && !failed_here).then_some((row.position.node, row.activation)),
        skipped: moves.skipped,
        detached: moves.detached,
        then: Then::Move(moves.next),
        merged: row.record.children.filter(|_| was_joining),
        schedules: Vec::new(),
        reply: None,
    }
}

fn nowhere(node: NodeId, activation: ActivationId) -> Moves {
    let last = Last {
        node,
        activation,
        data: Payload::null(),
    };
    let next = Next::End {
        result: Ok(Payload::null()),
        last,
    };
    Moves {
        skipped: Vec::new(),
        detached: Vec::new(),
        next,
    }
}

/// A gateway that failed leaves a row of history, as a step does.
fn failed_gateway(moves: &Moves, now: Timestamp) -> Option<AttemptRecord> {
    let Next::End {
        result: Err(fault),
        last,
    } = &moves.next
    else {
        return None;
    };
    Some(AttemptRecord {
        node: last.node,
        activation: last.activation,
        status: StepStatus::Failed,
        started_at: now,
        fault: Some(fault.clone()),
        output: None,
    })
}

fn fits(output: StepOutput) -> StepResult {
    let bytes = output
        .data
        .len()
        .max(output.output.as_ref().map_or(0, Payload::len));
    if bytes <= PAYLOAD_BYTES_MAX {
        return Ok(output);
    }
    Err(too_large(bytes).into())
}

fn too_large(bytes: usize) -> Fault {
    let text = format!(
        "the data has {bytes} bytes, the limit is {PAYLOAD_BYTES_MAX}: store it elsewhere and keep \
         its address"
    );
    Fault::new(codes::PAYLOAD_TOO_LARGE, text).permanent()
}

/// The same moves, or the end of the branch if functions of the workflow made too much data. A retry
/// then begins where the branch was, in `from`.
fn bounded(served: &Served, moves: Moves, from: &Last) -> Moves {
    let children = match &moves.next {
        Next::Split { children, .. } => children.as_slice(),
        _ => &[],
    };
    let data = match &moves.next {
        Next::Run { data, .. }
        | Next::Sleep { data, .. }
        | Next::Await { data, .. }
        | Next::Split { data, .. }
        | Next::End {
            result: Ok(data), ..
        } => Some(data),
        Next::End { result: Err(_), .. } => None,
    };
    let own = children
        .iter()
        .chain(&moves.detached)
        .filter_map(|child| child.data.as_ref());
    let bytes = own.chain(data).map(Payload::len).max().unwrap_or(0);
    if bytes <= PAYLOAD_BYTES_MAX {
        return moves;
    }
    let fault = too_large(bytes).at(&served.definition().node(from.node).name, None, None);
    let next = Next::End {
        result: Err(fault),
        last: from.clone(),
    };
    Moves {
        skipped: moves.skipped,
        detached: Vec::new(),
        next,
    }
}

/// The result of an attempt that took too long.
pub(crate) fn timed_out(timeout: Duration) -> Fault {
    let text = format!("no result after {timeout:?}, its limit: raise the timeout or speed it up");
    Fault::new(codes::STEP_TIMEOUT, text)
}

/// The result of an attempt that panicked.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::new(
        codes::PANICKED,
        format!("the step panicked: {}", text.unwrap_or("no message")),
    )
}
