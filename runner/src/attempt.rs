//! From a locked job to its step, and from the step's result to the checkpoint. Pure, but for the
//! reads that bring in what a branch waited for.

use std::any::Any;
use std::time::Duration;

use windlass_store::limits::PAYLOAD_BYTES_MAX;
use windlass_store::sync::Arc;
use windlass_store::{
    Aside, AttemptRecord, BranchRow, Checkpoint, LockedJob, PassedWait, StorageError, Then, UndoRow,
};
use windlass_workflow_model::{
    ActivationId, Advance, Besides, Call, Definition, Fault, Handover, Inputs, Last, Moves, Next,
    NodeId, NodeKind, Payload, Position, StepSpec, StepStatus, Timestamp, Token, advance,
    after_step, codes,
};

use crate::handler::{StepOutput, StepResult};
use crate::inputs::{LazyReader, with_inputs};
use crate::serving::{Served, Serving};
use crate::work::{Begun, Work, begun, is_unknown, to_undo, undo_activation, undoing};

/// What a job turns out to be.
#[derive(Debug)]
pub(crate) enum Task {
    /// A step to do, find out about, or undo.
    Step(Handover, Work),
    /// Only gateways: this is written at once.
    Done(Box<Checkpoint>),
}

/// Takes a job to its step.
pub(crate) fn prepare(
    serving: &Serving,
    served: &Served,
    job: &Arc<LockedJob>,
    reader: &mut LazyReader,
    now: Timestamp,
) -> Result<Task, StorageError> {
    let row = &job.row;
    let data = row.data.clone().unwrap_or_else(Payload::null);
    let (definition, functions) = (served.definition(), served.functions());
    is_known(definition, row)?;
    if served.undoes
        && let Some(task) = undo(definition, job, reader)?
    {
        return Ok(task);
    }
    if let Some(refused) = refused(served, row, now) {
        let outcome = Outcome {
            serving,
            served,
            job,
            handover: Handover {
                node: row.position.node,
                activation: row.activation,
                data,
                rounds: row.record.flow().rounds.clone(),
            },
            work: Work::Do,
            attempt: row.attempt,
            started_at: now,
            ended_at: now,
            details: None,
            result: Err(refused.into()),
        };
        return Ok(Task::Done(Box::new(conclude(outcome))));
    }
    let from = Last {
        node: row.position.node,
        activation: row.activation,
        data: data.clone(),
    };
    let token = Token {
        position: row.position,
        activation: row.activation,
        data,
        rounds: row.record.flow().rounds.clone(),
    };
    let led = with_inputs(definition, row, reader, |inputs| {
        advance(definition, functions, token, inputs, now)
    })?;
    Ok(match led {
        Advance::Attempt(handover) => step(serving, served, job, handover),
        Advance::Moves(moves) => {
            let moves = answered(serving, served, bounded(served, moves, &from), &from, now);
            let attempt = failed_gateway(&moves, row, now);
            Task::Done(Box::new(checkpoint(serving, served, job, attempt, moves)))
        }
    })
}

/// A damaged row may name a node that its workflow does not have.
fn is_known(definition: &Definition, row: &BranchRow) -> Result<(), StorageError> {
    let (node, count) = (row.position.node.0, definition.nodes().len());
    if (node as usize) < count {
        return Ok(());
    }
    let name = definition.name();
    Err(StorageError::Corrupt {
        what: "position".to_owned(),
        why: format!(
            "branch {} names node {node}, and workflow {name:?} has {count}",
            row.id
        ),
    })
}

/// What is undone next, or that nothing is left to undo; `None` if this is not about undoing.
fn undo(
    definition: &Definition,
    job: &Arc<LockedJob>,
    reader: &mut LazyReader,
) -> Result<Option<Task>, StorageError> {
    let row = &job.row;
    if let Some(undo) = to_undo(definition, row, reader.get()?)? {
        let handover = Handover {
            node: undo.node,
            activation: undo_activation(&undo),
            data: undo.data.clone(),
            rounds: row.record.flow().rounds.clone(),
        };
        return Ok(Some(Task::Step(handover, Work::Undo(Box::new(undo)))));
    }
    let Some(scope) = undoing(definition, row).filter(|_| row.record.flow().undoing.is_some())
    else {
        return Ok(None);
    };
    let then = Then::Undone { scope, seq: None };
    Ok(Some(Task::Done(Box::new(only(job, None, then)))))
}

/// Why the step in which `row` stands may not begin.
fn refused(served: &Served, row: &BranchRow, now: Timestamp) -> Option<Fault> {
    if row.position.entering {
        return None;
    }
    let (step, _) = served.step(row.position.node)?;
    let flow = row.record.flow();
    if let Some(refused) = &flow.refused {
        return Some(refused.clone());
    }
    if let Some(limit) = step.end_within_ms {
        let is_over = flow.start_by.is_some_and(|end_by| end_by <= now);
        return is_over.then(|| Fault::late(Duration::from_millis(limit)).permanent());
    }
    let late = flow.start_by.filter(|start_by| *start_by < now)?;
    let text = format!(
        "no runner began it in time ({:?} too late): add runners, or raise its limit",
        now.since(late)
    );
    Some(Fault::new(codes::START_TOO_LATE, text).permanent())
}

/// A step that is reached: it is done, unless it must not happen twice and may have.
fn step(serving: &Serving, served: &Served, job: &Arc<LockedJob>, handover: Handover) -> Task {
    let Some((spec, _)) = served.step(handover.node) else {
        return Task::Step(handover, Work::Do);
    };
    let then = match begun(spec, &job.row, &handover) {
        None | Some(Begun::Now) => return Task::Step(handover, Work::Do),
        Some(Begun::Unknown) if served.reconcile(handover.node).is_some() => {
            return Task::Step(handover, Work::Reconcile);
        }
        Some(Begun::Unknown) => {
            let text = format!(
                "step {:?} may have happened, and must not happen twice: find out, then retry the run if it did not",
                served.definition().node(handover.node).name
            );
            Then::Hold {
                due: None,
                reason: Some(text),
            }
        }
        Some(Begun::NotYet) => Then::Begin {
            node: handover.node,
            activation: handover.activation,
            data: handover.data,
        },
    };
    let mut moves = nowhere(handover.node, handover.activation);
    moves.rounds = handover.rounds;
    Task::Done(Box::new(Checkpoint {
        then,
        ..checkpoint(serving, served, job, None, moves)
    }))
}

/// A checkpoint that only says where the branch goes.
fn only(job: &Arc<LockedJob>, attempt: Option<AttemptRecord>, then: Then) -> Checkpoint {
    Checkpoint {
        attempt,
        then,
        ..give_back(job)
    }
}

/// A step that has ended, with what is needed to write it down.
pub(crate) struct Outcome<'a> {
    pub(crate) serving: &'a Serving,
    pub(crate) served: &'a Served,
    pub(crate) job: &'a Arc<LockedJob>,
    pub(crate) handover: Handover,
    pub(crate) work: Work,
    pub(crate) attempt: u32,
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    /// What the attempt said last of how far it was.
    pub(crate) details: Option<Payload>,
    pub(crate) result: StepResult,
}

/// The checkpoint of an attempt.
pub(crate) fn conclude(outcome: Outcome<'_>) -> Checkpoint {
    match &outcome.work {
        Work::Do => conclude_step(outcome),
        Work::Reconcile => conclude_reconciled(outcome),
        Work::Undo(undo) => {
            let undo = undo.clone();
            conclude_undo(&undo, outcome)
        }
    }
}

/// It is known now whether a step has happened, or that nobody can tell.
fn conclude_reconciled(outcome: Outcome<'_>) -> Checkpoint {
    let then = match &outcome.result {
        Ok(_) => return conclude_step(outcome),
        Err(error) if error.is_not_done() => Then::Begin {
            node: outcome.handover.node,
            activation: outcome.handover.activation,
            data: outcome.handover.data.clone(),
        },
        Err(error) => Then::Hold {
            due: None,
            reason: Some(format!(
                "whether step {:?} has happened could not be found out ({error}): retry the run if it did not",
                outcome.served.definition().node(outcome.handover.node).name
            )),
        },
    };
    let mut moves = nowhere(outcome.handover.node, outcome.handover.activation);
    moves.rounds = outcome.handover.rounds;
    Checkpoint {
        then,
        ..checkpoint(outcome.serving, outcome.served, outcome.job, None, moves)
    }
}

/// A step was undone, or could not be: then it is tried again, or an operator has to see to it.
fn conclude_undo(undo: &UndoRow, outcome: Outcome<'_>) -> Checkpoint {
    let Outcome {
        served,
        job,
        handover,
        attempt,
        started_at,
        ended_at,
        result,
        ..
    } = outcome;
    let record = |status, fault| AttemptRecord {
        node: undo.node,
        activation: handover.activation,
        status,
        started_at,
        fault,
        output: None,
        input: None,
        undoes: true,
        rounds: handover.rounds.clone(),
    };
    let Err(error) = result else {
        let then = Then::Undone {
            scope: undo.scope,
            seq: Some(undo.seq),
        };
        return only(job, Some(record(StepStatus::Succeeded, None)), then);
    };
    let later = error.later();
    let fault = error.into_fault();
    let pause = pause(served, job, &handover, &fault, attempt, later);
    let name = &served.definition().node(undo.node).name;
    let then = Then::Hold {
        due: pause.map(|pause| ended_at.after(pause)),
        reason: Some(format!(
            "step {name:?} could not be undone ({}): see to it, then retry the run",
            fault.summary()
        )),
    };
    let fault = placed(served, &job.row, undo.node, fault);
    only(job, Some(record(StepStatus::Failed, Some(fault))), then)
}

fn conclude_step(outcome: Outcome<'_>) -> Checkpoint {
    let Outcome {
        serving,
        served,
        job,
        handover,
        work: _,
        attempt,
        started_at,
        ended_at,
        details,
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
        input: None,
        undoes: false,
        rounds: handover.rounds.clone(),
    };
    let error = match result {
        Ok(StepOutput { data, output }) => {
            let record = record(StepStatus::Succeeded, None, output);
            let (definition, functions) = (served.definition(), served.functions());
            let after = data.clone();
            let moves = after_step(definition, functions, &handover, Ok(data), ended_at);
            let moves = answered(
                serving,
                served,
                bounded(served, moves, &from),
                &from,
                ended_at,
            );
            let mut done = checkpoint(serving, served, job, Some(record), moves);
            if served
                .step(node)
                .is_some_and(|(step, _)| step.undo.is_some())
            {
                let aside = done.aside.get_or_insert_default();
                aside.undo = Some((node, activation, after));
            }
            return done;
        }
        Err(error) => error,
    };
    let later = error.later();
    let gave = error
        .output()
        .filter(|gave| gave.len() <= PAYLOAD_BYTES_MAX);
    let gave = gave.cloned();
    let fault = error.into_fault();
    let record = record(StepStatus::Failed, Some(&fault), gave);
    let code = fault.errors.first().map_or("", |error| error.code.as_str());
    if is_unknown(served, node, code) {
        // Whether it has happened is asked at once, and not by trying it again.
        let then = Then::Hold {
            due: Some(ended_at),
            reason: None,
        };
        return only(job, Some(record), then);
    }
    let pause = pause(served, job, &handover, &fault, attempt, later);
    let Some(pause) = pause else {
        let fault = placed(served, &job.row, node, fault);
        let moves = after_step(
            served.definition(),
            served.functions(),
            &handover,
            Err(fault),
            ended_at,
        );
        let moves = answered(
            serving,
            served,
            bounded(served, moves, &from),
            &from,
            ended_at,
        );
        return checkpoint(serving, served, job, Some(record), moves);
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
    let mut moves = nowhere(node, activation);
    moves.rounds = handover.rounds;
    let mut again = Checkpoint {
        then,
        ..checkpoint(serving, served, job, Some(record), moves)
    };
    let before = job.row.record.flow().details.clone();
    if let Some(details) = details.or_else(|| before.map(Payload::from_json)) {
        again.aside.get_or_insert_default().details = Some(details);
    }
    again
}

/// How long to wait before the step is tried again; `None` if it is not. What asks to be tried
/// `later` is no attempt, so of the policy only giving up is for it.
fn pause(
    served: &Served,
    job: &LockedJob,
    handover: &Handover,
    fault: &Fault,
    attempt: u32,
    later: Option<Duration>,
) -> Option<Duration> {
    let policy = &served.step(handover.node)?.0.retry;
    let code = fault.errors.first().map_or("", |error| error.code.as_str());
    if later.is_some() {
        return later.filter(|_| !policy.gives_up(code));
    }
    if !fault.retryable || !policy.retries(code) {
        return None;
    }
    // Activations follow from the way through the graph, so other runs have the same ones.
    let seed = handover.activation.0 ^ job.row.run.0.cast_unsigned();
    policy.pause_after(attempt, seed)
}

/// The fault of a step in the words of its author, with the branch on which it happened.
fn placed(served: &Served, row: &BranchRow, node: NodeId, fault: Fault) -> Fault {
    let node = served.definition().node(node);
    let fault = served.functions().worded(node, fault);
    let membership = row.record.membership.as_ref();
    let branch = node
        .place
        .branch
        .as_deref()
        .or(membership.map(|m| m.name.as_str()));
    fault.at(node.step_name(), node.place.parent.as_deref(), branch)
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
        aside: None,
        reply: None,
    }
}

fn checkpoint(
    serving: &Serving,
    served: &Served,
    job: &Arc<LockedJob>,
    attempt: Option<AttemptRecord>,
    mut moves: Moves,
) -> Checkpoint {
    let row = &job.row;
    let here =
        Some(&served.definition().node(row.position.node).kind).filter(|_| !row.position.entering);
    let was_joining = matches!(here, Some(NodeKind::Join { .. }));
    let waited = matches!(
        here,
        Some(
            NodeKind::Sleep { .. }
                | NodeKind::Await { .. }
                | NodeKind::Select { .. }
                | NodeKind::Call(_)
        )
    );
    let counts = matches!(moves.next, Next::Counted { .. });
    let aside = aside(serving, row, &moves);
    let failed_wait = moves
        .failed
        .filter(|failed| failed.node == row.position.node)
        .map(|failed| failed.fault);
    let failed_here = attempt
        .as_ref()
        .is_some_and(|a| a.activation == row.activation);
    let over = (waited && !failed_here).then_some(PassedWait {
        node: row.position.node,
        activation: row.activation,
        fault: failed_wait,
    });
    let passed = over.or_else(|| gave_and_failed(&moves.next, attempt.as_ref()));
    if let Next::End {
        result: Err(fault), ..
    } = &mut moves.next
    {
        // It stands in the row of the gateway.
        fault.output = None;
    }
    Checkpoint {
        job: Arc::clone(job),
        passed,
        attempt,
        skipped: moves.skipped,
        detached: moves.detached,
        then: Then::Move(moves.next),
        merged: row.record.children.filter(|_| was_joining && !counts),
        schedules: Vec::new(),
        aside,
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
    Moves::only(next)
}

/// What moves bring beside the branch itself, if anything.
fn aside(serving: &Serving, row: &BranchRow, moves: &Moves) -> Option<Box<Aside>> {
    let call = match &moves.next {
        Next::Call { call, .. } => serving.call(call, row),
        _ => None,
    };
    if moves.besides.is_none() && moves.rounds.is_empty() && call.is_none() {
        return None;
    }
    let Besides {
        forked,
        called,
        cancels,
        milestones,
        noted,
    } = moves.besides.as_deref().cloned().unwrap_or_default();
    let called = called.iter().filter_map(|call| serving.call(call, row));
    Some(Box::new(Aside {
        forked,
        cancels,
        milestones,
        noted,
        rounds: moves.rounds.clone(),
        call,
        called: called.collect(),
        ..Aside::default()
    }))
}

/// The runs that start and that nobody waits for.
fn called(moves: &Moves) -> impl Iterator<Item = &Call> {
    moves.besides.iter().flat_map(|besides| &besides.called)
}

/// The same moves; or, where they call a workflow that is not known here, what follows from that.
fn answered(
    serving: &Serving,
    served: &Served,
    moves: Moves,
    from: &Last,
    now: Timestamp,
) -> Moves {
    let unknown = |call: &Call| {
        let version = call
            .version
            .as_deref()
            .map_or(String::new(), |version| format!(" version {version:?}"));
        let text = format!(
            "workflow {:?}{version} is not registered with this engine: register it where its callers run",
            call.workflow
        );
        Fault::new(codes::CALL_UNKNOWN, text).permanent()
    };
    let stranger = called(&moves).find(|call| !serving.knows(call)).cloned();
    if let Some(call) = &stranger {
        let name = &served.definition().node(call.node).name;
        let result = Err(unknown(call).at(name, None, None));
        let last = from.clone();
        return Moves {
            skipped: moves.skipped,
            ..Moves::only(Next::End { result, last })
        };
    }
    let Next::Call { call, data } = &moves.next else {
        return moves;
    };
    if serving.knows(call) {
        return moves;
    }
    let token = Token {
        position: Position::at(call.node),
        activation: call.activation,
        data: data.clone(),
        rounds: moves.rounds.clone(),
    };
    let (definition, functions) = (served.definition(), served.functions());
    let refused = Inputs::Refused(unknown(call));
    match advance(definition, functions, token, refused, now) {
        Advance::Moves(then) => bounded(served, then, from),
        Advance::Attempt(_) => unreachable!("a fault is written down before a step acts on it"),
    }
}

/// A gateway that failed leaves a row of history, as a step does.
fn failed_gateway(moves: &Moves, row: &BranchRow, now: Timestamp) -> Option<AttemptRecord> {
    let Next::End {
        result: Err(fault),
        last,
    } = &moves.next
    else {
        return None;
    };
    // What could not be written down fails where the branch was.
    let rounds = match moves.rounds.as_slice() {
        [] => &row.record.flow().rounds,
        _ => &moves.rounds,
    };
    Some(AttemptRecord {
        node: last.node,
        activation: last.activation,
        status: StepStatus::Failed,
        started_at: now,
        fault: Some(Fault {
            output: None,
            ..fault.clone()
        }),
        output: fault.output.as_deref().cloned(),
        input: None,
        undoes: false,
        rounds: rounds.clone(),
    })
}

/// A gateway behind the step of this attempt that failed, and gave something in spite of that: it leaves
/// a row of its own.
fn gave_and_failed(next: &Next, attempt: Option<&AttemptRecord>) -> Option<PassedWait> {
    let Next::End {
        result: Err(fault),
        last,
    } = next
    else {
        return None;
    };
    let is_told = attempt.is_some_and(|attempt| attempt.activation == last.activation);
    (fault.output.is_some() && !is_told).then(|| PassedWait {
        node: last.node,
        activation: last.activation,
        fault: Some(fault.clone()),
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
        | Next::Map { data, .. }
        | Next::Call { data, .. }
        | Next::Acquire { data, .. }
        | Next::Meet { data, .. }
        | Next::Terminate { data, .. }
        | Next::Counted { counted: data, .. }
        | Next::End {
            result: Ok(data), ..
        } => Some(data),
        Next::End { result: Err(_), .. } => None,
    };
    let inputs = called(&moves).map(|call| &call.input);
    let inputs = inputs.chain(match &moves.next {
        Next::Call { call, .. } => Some(&call.input),
        _ => None,
    });
    let own = children
        .iter()
        .chain(&moves.detached)
        .filter_map(|child| child.data.as_ref());
    let bytes = own
        .chain(data)
        .chain(inputs)
        .map(Payload::len)
        .max()
        .unwrap_or(0);
    if bytes <= PAYLOAD_BYTES_MAX {
        return moves;
    }
    let fault = too_large(bytes).at(served.definition().node(from.node).step_name(), None, None);
    let next = Next::End {
        result: Err(fault),
        last: from.clone(),
    };
    Moves {
        skipped: moves.skipped,
        ..Moves::only(next)
    }
}

/// How long an attempt that begins now may take: its own limit, or what is left of that of all.
pub(crate) fn time_left(step: &StepSpec, row: &BranchRow, now: Timestamp) -> Option<Duration> {
    let own = step.timeout_ms.map(Duration::from_millis);
    let end_by = row.record.flow().start_by;
    let all = end_by.filter(|_| step.end_within_ms.is_some());
    let left = all.map(|end_by| end_by.since(now));
    own.into_iter().chain(left).min()
}

/// The result of an attempt that took too long.
pub(crate) fn timed_out(timeout: Duration) -> Fault {
    Fault::late(timeout)
}

/// The result of an attempt that gave no sign of life for too long.
pub(crate) fn silent(limit: Duration) -> Fault {
    let text = format!(
        "no sign of life for {limit:?}, its limit: call heartbeat more often, or raise the limit"
    );
    Fault::new(codes::HEARTBEAT_MISSED, text)
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
