//! Where a token goes: the pure heart of the engine.
//!
//! [`advance`] takes a branch that was handed to a Runner to the step it is to do, or to the moves
//! that follow without one; [`after_step`] says what follows from a step's outcome. Neither has
//! effects: the moves become true in the checkpoint's transaction.
//!
//! A decision (a choice, a guard, the branches of a split) is written down before anything acts on
//! it, so a resumed run never takes another arm than the one that it began.

mod gateways;
mod resumed;
mod walk;
mod ways;

use std::time::Duration;

use crate::definition::Definition;
use crate::fault::Fault;
use crate::functions::{Arrivals, BranchOutcome, Event, Functions};
use crate::ids::{ActivationId, NodeId, Position};
use crate::join::Tally;
use crate::payload::Payload;
use crate::time::Timestamp;

use walk::Walk;

/// The loops that a branch is in, and how many rounds of each it has done.
pub type Rounds = Vec<(NodeId, u32)>;

/// A branch as it comes to a Runner.
#[derive(Clone, Debug)]
pub struct Token {
    /// Where it stands.
    pub position: Position,
    /// The activation of that node.
    pub activation: ActivationId,
    /// Its data.
    pub data: Payload,
    /// The loops it is in.
    pub rounds: Rounds,
}

/// What has come in for a token that waited.
#[expect(
    missing_debug_implementations,
    reason = "what arrives is read as it is asked for"
)]
pub enum Inputs<'a> {
    /// Nothing: it is ready by itself, or its time has come.
    Nothing,
    /// The branches of its split, in branch order, and how many came how.
    Arrivals(Tally, Arrivals<'a>),
    /// Instances of its map that have succeeded and are to be counted, on from what was counted.
    Count(Payload, Arrivals<'a>),
    /// The event that it waited for, and the arm that it takes.
    Event(u32, Event),
    /// No event came before the time of this arm.
    Due(u32),
    /// The run that it called has ended.
    Called(BranchOutcome),
    /// It is this instance of its map, with data of its own if it was added from outside.
    Instance(u32, Option<Payload>),
    /// What it asked for cannot be.
    Refused(Fault),
}

/// What to do with a token.
#[derive(Clone, Debug)]
pub enum Advance {
    /// Do the step it is in.
    Attempt(Handover),
    /// Write these moves down.
    Moves(Moves),
}

/// A token in a step.
#[derive(Clone, Debug)]
pub struct Handover {
    /// The step.
    pub node: NodeId,
    /// The step's activation.
    pub activation: ActivationId,
    /// What the step works on.
    pub data: Payload,
    /// The loops it is in.
    pub rounds: Rounds,
}

/// What becomes true of a branch, all of it or nothing.
#[derive(Clone, Debug)]
pub struct Moves {
    /// Steps and calls that were passed by.
    pub skipped: Vec<SkipRecord>,
    /// Branches that start and that no join waits for.
    pub detached: Vec<Child>,
    /// The loops that the branch is in then.
    pub rounds: Rounds,
    /// What happens beside that, if anything.
    pub besides: Option<Box<Besides>>,
    /// The wait that the branch was in, if it has failed and the branch goes on all the same.
    pub failed: Option<Box<FailedWait>>,
    /// Where the branch itself goes.
    pub next: Next,
}

/// What few moves bring beside where the branch itself goes.
#[derive(Clone, Debug, Default)]
pub struct Besides {
    /// Tokens that start in the same scope.
    pub forked: Vec<Child>,
    /// Runs that start and that nobody waits for.
    pub called: Vec<Call>,
    /// Nodes of which all that goes on is withdrawn.
    pub cancels: Vec<NodeId>,
    /// Milestones that are reached (`true`) or passed, in order.
    pub milestones: Vec<(String, bool)>,
    /// Changes of the data that leave a row of history.
    pub noted: Vec<NoteRecord>,
}

impl Moves {
    /// Only the branch itself goes somewhere.
    pub fn only(next: Next) -> Self {
        Self {
            skipped: Vec::new(),
            detached: Vec::new(),
            rounds: Rounds::new(),
            besides: None,
            failed: None,
            next,
        }
    }
}

/// A wait that has failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedWait {
    /// The node.
    pub node: NodeId,
    /// Why.
    pub fault: Fault,
}

/// A step or call that was passed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipRecord {
    /// Which.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// Why.
    pub reason: String,
}

/// A change of the data that leaves a row of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteRecord {
    /// The node.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// The loops that the branch was in there.
    pub rounds: Rounds,
    /// What the row shows.
    pub output: Payload,
}

/// A run that a branch calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The node that calls.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// The workflow's name.
    pub workflow: String,
    /// Its version; `None` is the one that was registered last.
    pub version: Option<String>,
    /// The input.
    pub input: Payload,
    /// What is shown of it.
    pub shown: Option<Payload>,
    /// How deep calls may be nested.
    pub depth_max: u32,
}

/// An event that a branch waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The arm that it takes.
    pub arm: u32,
    /// Its name.
    pub event: String,
    /// Only one with this correlation.
    pub correlation: Option<String>,
    /// Only one that comes from now on.
    pub transient: bool,
}

/// Where a branch goes.
#[derive(Clone, Debug)]
pub enum Next {
    /// It is ready.
    Run {
        /// Where.
        position: Position,
        /// The activation there.
        activation: ActivationId,
        /// Its data.
        data: Payload,
        /// Whether the step there may start only at a milestone.
        gated: bool,
    },
    /// It waits in the timer `node`.
    Sleep {
        /// The timer.
        node: NodeId,
        /// The timer's activation.
        activation: ActivationId,
        /// Its data.
        data: Payload,
        /// How long, from now.
        delay: Duration,
    },
    /// It waits in `node` for the first of several events of its run, or a time.
    Await {
        /// The wait.
        node: NodeId,
        /// The wait's activation.
        activation: ActivationId,
        /// Its data.
        data: Payload,
        /// The events.
        events: Vec<Wanted>,
        /// The arm that is taken after that long from now.
        timer: Option<(u32, Duration)>,
    },
    /// It waits at `join` for its branches or tokens, at least one.
    Split {
        /// Where it waits.
        join: NodeId,
        /// The join's activation.
        activation: ActivationId,
        /// The split's activation, which its branches and their join row carry.
        scope: ActivationId,
        /// Its data, which branches without data of their own start with.
        data: Payload,
        /// The branches, in order.
        children: Vec<Child>,
        /// How many may be on their way at once.
        max_parallelism: Option<u32>,
        /// Whether it is a scope: its tokens may become more and fewer.
        is_scope: bool,
        /// After that long it is withdrawn and fails.
        timeout: Option<Duration>,
    },
    /// It waits at `join` for the instances of its map.
    Map {
        /// The map, at which its instances begin.
        map: NodeId,
        /// Where it waits.
        join: NodeId,
        /// The join's activation.
        activation: ActivationId,
        /// The map's activation, which its instances carry.
        scope: ActivationId,
        /// Its data, from which the instances' data is made.
        data: Payload,
        /// How many instances there are.
        count: u32,
        /// Whether more may be added.
        open: bool,
        /// How many live at once.
        max_parallelism: u32,
        /// Whether each that succeeds is counted by a function.
        counts: bool,
    },
    /// Its map goes on, with this counted so far.
    Counted {
        /// What was counted.
        counted: Payload,
        /// How many instances have been counted.
        upto: u32,
        /// Whether that is enough.
        enough: bool,
    },
    /// It waits in `call.node` for the run that it calls.
    Call {
        /// Which.
        call: Call,
        /// Its data.
        data: Payload,
    },
    /// It waits in the scope `node` for a mutex of its run.
    Acquire {
        /// The scope.
        node: NodeId,
        /// The scope's activation.
        activation: ActivationId,
        /// Its data.
        data: Payload,
        /// The mutex's name.
        mutex: String,
    },
    /// It comes to a meet.
    Meet {
        /// The meet.
        meet: NodeId,
        /// By which of its inputs.
        input: u32,
        /// Its activation there, as long as it has not met.
        activation: ActivationId,
        /// Its data.
        data: Payload,
    },
    /// It ends here: arrives at its join, or ends the run.
    End {
        /// Its data, or why it failed.
        result: Result<Payload, Fault>,
        /// The node that failed or was the last: where a retry begins.
        last: Last,
    },
    /// It ends the run, whatever goes on.
    Terminate {
        /// The run's last data.
        data: Payload,
        /// The end node.
        last: Last,
    },
}

/// The last node of a branch.
#[derive(Clone, Debug)]
pub struct Last {
    /// Which.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// The data with which the branch came to it.
    pub data: Payload,
}

/// A branch that a split or a detach starts.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its place in branch order, from 0.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its first node.
    pub node: NodeId,
    /// The activation there.
    pub activation: ActivationId,
    /// Its data; `None` is a copy of the data of the branch that split.
    pub data: Option<Payload>,
}

/// Takes a token from where it stands to its next step, or to where it has to wait.
pub fn advance(
    definition: &Definition,
    functions: &Functions,
    token: Token,
    inputs: Inputs<'_>,
    now: Timestamp,
) -> Advance {
    let Token {
        position: Position { node, entering },
        activation,
        data,
        rounds,
    } = token;
    let walk = Walk::new(definition, functions, rounds, now);
    if entering {
        return walk.enter(node, activation, data);
    }
    walk.resume(node, activation, data, inputs)
}

/// What follows from the final outcome of a step: `result` holds its new data, or its fault in the words
/// of the step's author ([`Functions::worded`]).
pub fn after_step(
    definition: &Definition,
    functions: &Functions,
    step: &Handover,
    result: Result<Payload, Fault>,
    now: Timestamp,
) -> Moves {
    let mut walk = Walk::new(definition, functions, step.rounds.clone(), now);
    walk.decided = true;
    let advance = match result {
        Ok(data) => walk.follow(step.node, step.activation, data),
        Err(fault) => walk.fail_worded(step.node, step.activation, &step.data, fault),
    };
    match advance {
        Advance::Moves(moves) => moves,
        Advance::Attempt(_) => unreachable!("a walk that has decided something ends in moves"),
    }
}

#[cfg(test)]
mod tests;
