//! The vocabulary of writes. Whoever wants something to become true sends one of these.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use windlass_workflow_model::{
    ActivationId, BranchId, Child, Definition, Fault, FencingToken, Next, NodeId, NoteRecord,
    OwnerId, Payload, Rounds, RunId, SkipRecord, StepStatus, Timestamp, WorkflowKey,
};

use crate::backend::SqlEffect;
use crate::error::{AdmitError, StorageError, WriteError};
use crate::owner::Running;
use crate::record::{ChildRange, JobKey, LockedJob, OwnerRow, Priority, RunAttributes};
use crate::sync::{Arc, oneshot};

/// Where the answer to a change goes.
pub type Reply<T, E> = oneshot::Sender<Result<T, E>>;

/// Something that is to become true, in one transaction with whatever else is queued.
#[derive(Debug)]
pub enum Change {
    /// Runs from outside, all or none; the door decides.
    Admit {
        /// The runs.
        runs: Vec<Admit>,
        /// Until when (on the engine's clock) the producer waits for room.
        give_up_at: Duration,
        /// Gets the admission of each, in order.
        reply: Reply<Vec<Admitted>, AdmitError<Vec<Admit>>>,
    },
    /// The end of an attempt.
    Checkpoint(Box<Checkpoint>),
    /// Jobs that were not begun go back to the outbox.
    Unlock(Vec<JobKey>),
    /// A definition becomes known; if `serve`, this engine locks its jobs.
    Register {
        /// What.
        definition: Arc<Definition>,
        /// Whether this engine has its handlers.
        serve: bool,
        /// Gets its key.
        reply: Reply<WorkflowKey, WriteError>,
    },
    /// An event for a run.
    Signal {
        /// The run.
        run: RunId,
        /// The event's name.
        event: String,
        /// Tells a repetition from a second event.
        id: String,
        /// What comes with it.
        payload: Payload,
        /// Only an event with this correlation is taken by a wait that asks for one.
        correlation: Option<String>,
        /// Whether it is lost if nobody waits for it now.
        transient: bool,
        /// Whether the sender reports a fault.
        is_fault: bool,
        /// Gets what became of it.
        reply: Reply<SignalOutcome, WriteError>,
    },
    /// A run is withdrawn.
    Cancel {
        /// The run.
        run: RunId,
        /// Why, for people.
        reason: String,
        /// `false`: it had ended already.
        reply: Reply<bool, WriteError>,
    },
    /// All that goes on in one node of a run is withdrawn.
    CancelNode {
        /// The run.
        run: RunId,
        /// A step, wait, scope, split or map, by name.
        node: String,
        /// Why, for people.
        reason: String,
        /// Gets how many branches were withdrawn; 0: nothing was there any more.
        reply: Reply<u32, WriteError>,
    },
    /// A map that is open, or under way, is changed from outside.
    ChangeMap {
        /// The run.
        run: RunId,
        /// The map, by name.
        map: String,
        /// What.
        what: MapChange,
        /// Gets what became of it.
        reply: Reply<MapOutcome, WriteError>,
    },
    /// An attempt whose outcome counts no more has returned: its mutex may pass on.
    Returned(RunId, JobKey),
    /// An attempt says how far it is, for the next one.
    Heartbeat(JobKey, Payload),
    /// A parked or failed run goes on from where it stopped.
    Retry {
        /// The run.
        run: RunId,
        /// Gets how many branches go on.
        reply: Reply<u32, WriteError>,
    },
    /// An engine begins to work on this store.
    RegisterOwner {
        /// Its row; the id is given by the store.
        owner: OwnerRow,
        /// Gets the id.
        reply: Reply<OwnerId, WriteError>,
    },
    /// An engine is proven dead or stopped: its jobs go back to the outbox at once.
    Recover {
        /// Which.
        owner: OwnerId,
        /// The jobs that its Runners were in, by its file.
        running: Vec<Running>,
        /// Whether it crashed; a clean stop charges nobody.
        crashed: bool,
        /// Crashes alone after which a job is parked.
        max_crashes: u32,
        /// Gets what was freed.
        reply: Reply<Recovered, WriteError>,
    },
    /// The engine ends: what is queued is written, and nothing after it.
    Close,
    /// Look whether a timer is due, a clean-up open, a producer's turn come, room on the channel.
    Tick,
    /// Deletes what ended before a time, a bounded part of it.
    Retain {
        /// Runs that ended before this go.
        ended_before: Timestamp,
        /// Gets how many runs went, and whether that was all for now.
        reply: Reply<(u32, bool), WriteError>,
    },
}

/// A run to be admitted.
#[derive(Clone, Debug)]
pub struct Admit {
    /// Its workflow.
    pub workflow: WorkflowKey,
    /// Where it begins.
    pub start: NodeId,
    /// At most so many of its jobs at once.
    pub max_parallelism: Option<u32>,
    /// Its first data.
    pub input: Payload,
    /// How urgent it is.
    pub priority: Priority,
    /// Not before this.
    pub not_before: Option<Timestamp>,
    /// How long it may take from when it may begin.
    pub deadline: Option<Duration>,
    /// What is stored with it.
    pub attributes: RunAttributes,
}

impl Admit {
    /// A run of `workflow` that begins at once.
    pub fn new(workflow: WorkflowKey, definition: &Definition, input: Payload) -> Self {
        Self {
            workflow,
            start: definition.start(),
            max_parallelism: definition.max_parallelism(),
            input,
            priority: Priority::default(),
            not_before: None,
            deadline: definition.deadline_ms().map(Duration::from_millis),
            attributes: RunAttributes::default(),
        }
    }
}

/// What became of one run at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The run.
    pub run: RunId,
    /// Whether it existed already, under the same dedupe key.
    pub existed: bool,
}

/// The one atomic write that ends an attempt.
#[derive(Debug)]
pub struct Checkpoint {
    /// The branch as it was locked: what is written is valid only under that lock.
    pub job: Arc<LockedJob>,
    /// The attempt, for the history; `None` when only gateways were passed.
    pub attempt: Option<AttemptRecord>,
    /// A wait that is over, and that the branch has gone on from.
    pub passed: Option<PassedWait>,
    /// Steps that were passed by.
    pub skipped: Vec<SkipRecord>,
    /// Branches that no join waits for.
    pub detached: Vec<Child>,
    /// Where the branch goes.
    pub then: Then,
    /// The branches that were merged, which are not needed any more.
    pub merged: Option<ChildRange>,
    /// Runs that the step scheduled; they are internal work and never refused.
    pub schedules: Vec<Admit>,
    /// What else the moves bring, where they bring more than the branch itself.
    pub aside: Option<Box<Aside>>,
    /// Told when it is durable, or refused.
    pub reply: Option<Reply<(), WriteError>>,
}

/// A wait that is over, or a gateway behind the step of an attempt that failed and gave something.
#[derive(Clone, Debug)]
pub struct PassedWait {
    /// The node.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// Why it failed: a wait only if somebody has handled that.
    pub fault: Option<Fault>,
}

/// What moves bring beside the branch itself.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    /// Tokens that start in the same scope.
    pub forked: Vec<Child>,
    /// Nodes of which all that goes on is withdrawn.
    pub cancels: Vec<NodeId>,
    /// Milestones that are reached or passed.
    pub milestones: Vec<(String, bool)>,
    /// Changes of the data that leave a row of history.
    pub noted: Vec<NoteRecord>,
    /// The loops that the branch is in then.
    pub rounds: Rounds,
    /// The run that the branch calls and waits for.
    pub call: Option<CalledRun>,
    /// Runs that it calls and does not wait for.
    pub called: Vec<CalledRun>,
    /// The thread of the attempt is still in it: its mutex must not pass on.
    pub still_running: bool,
    /// The step that has succeeded can be undone: its node, activation, and the data after it.
    pub undo: Option<(NodeId, ActivationId, Payload)>,
    /// What the attempt said last of how far it was, for the next one.
    pub details: Option<Payload>,
    /// Statements that are carried out in the same transaction, all or none.
    pub effects: Vec<SqlEffect>,
    /// Where the branch goes if they are refused.
    pub if_refused: Option<Then>,
    /// Why they are not carried out.
    pub effects_refused: Option<String>,
}

/// A run that is called.
#[derive(Clone, Debug)]
pub struct CalledRun {
    /// The run.
    pub admit: Admit,
    /// What the row of the call shows of its input, as JSON.
    pub shown: Option<Payload>,
    /// How deep calls may be nested.
    pub depth_max: u32,
}

/// What is done to a map from outside.
#[derive(Clone, Debug)]
pub enum MapChange {
    /// More instances, one for each of these.
    Add(Vec<Payload>),
    /// No more will be added.
    Close,
    /// What is not done is withdrawn, and the flow goes on with what is.
    Complete,
}

/// What became of a change of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapOutcome {
    /// It is done.
    Done,
    /// The map is closed, or is not open to additions: nothing changed.
    Closed,
    /// The run is not in this map (any more): nothing changed.
    NotThere,
}

/// Where a branch goes after an attempt.
#[derive(Clone, Debug)]
pub enum Then {
    /// On, by the definition.
    Move(Next),
    /// The same step again.
    Retry {
        /// The step.
        node: NodeId,
        /// Its activation.
        activation: ActivationId,
        /// What it works on.
        data: Payload,
        /// Not before this.
        due: Timestamp,
        /// Whether this attempt counts; one that says "later" may not.
        counts: bool,
    },
    /// The step that must not happen twice may begin: from here on a crash leaves its outcome unknown.
    Begin {
        /// The step.
        node: NodeId,
        /// Its activation.
        activation: ActivationId,
        /// What it works on.
        data: Payload,
    },
    /// It stays what it is: it is tried again later, or parked.
    Hold {
        /// Not before this; `None` parks it.
        due: Option<Timestamp>,
        /// Why it is parked.
        reason: Option<String>,
    },
    /// A step was undone; the next one follows, or the end that waited for this.
    Undone {
        /// The scope in which it was done; [`ActivationId::ORIGIN`] is the run.
        scope: ActivationId,
        /// Its number there; `None`: there is nothing left to undo.
        seq: Option<i64>,
    },
    /// Back to the outbox, as if it had not begun: a shutdown is no failure.
    GiveBack,
}

/// How an attempt went.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// The step.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// Succeeded or failed.
    pub status: StepStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// Why it failed.
    pub fault: Option<Fault>,
    /// What it gave, as JSON.
    pub output: Option<Payload>,
    /// What it worked on, as JSON, if the step has said so.
    pub input: Option<Payload>,
    /// Whether it undid the step.
    pub undoes: bool,
    /// The loops that the branch is in, and how many rounds of each it has done.
    pub rounds: Rounds,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalOutcome {
    /// A branch waited for it and goes on.
    Delivered,
    /// Nobody waits yet: it is kept until somebody does.
    Stored,
    /// An event with this id was sent before: nothing changed.
    Duplicate,
    /// The run has ended: nothing changed.
    RunEnded,
    /// It was transient, and nobody waits: it is lost.
    Lost,
}

/// What a dead owner left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs that are free again.
    pub freed: u32,
    /// Of those, how many were running.
    pub were_running: u32,
    /// Jobs that crashed their engine too often and are parked.
    pub parked: Vec<BranchId>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Well, with its last data.
    Succeeded(Payload),
    /// With all its errors.
    Failed(Fault),
    /// Withdrawn, for this reason.
    Cancelled(String),
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Which.
    pub run: RunId,
    /// How.
    pub outcome: RunOutcome,
}

/// What was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// A whole run.
    Run(RunId),
    /// One branch of a run, under the locks up to this token.
    Branch(BranchId, FencingToken),
}

/// Jobs for the channel.
pub type Dispatch = Vec<Arc<LockedJob>>;

/// What has become durable in one transaction, for whoever tells the world.
#[derive(Debug, Default)]
pub struct Committed {
    /// Jobs locked for us; there is room on the channel for each.
    pub dispatch: Dispatch,
    /// Runs that have ended.
    pub ended: Vec<Ended>,
    /// What was withdrawn: attempts in it should stop.
    pub withdrawn: Vec<Withdrawn>,
    /// Answers to give.
    pub(crate) answers: Vec<Box<dyn Answer>>,
    /// Why nothing can be written for now; it is tried again until it works.
    pub trouble: Option<StorageError>,
    /// Set when the store is closed for good.
    pub closed: Option<StorageError>,
}

impl Committed {
    /// Tells everybody who waits for an answer. Runs foreign wakers, so never on the writer thread;
    /// one that panics harms nobody else.
    pub fn tell(&mut self) {
        for answer in self.answers.drain(..) {
            let _ = catch_unwind(AssertUnwindSafe(|| answer.give()));
        }
    }
}

/// An answer on its way to whoever asked.
pub(crate) trait Answer: Send + std::fmt::Debug {
    fn give(self: Box<Self>);
}

#[derive(Debug)]
pub(crate) struct Said<T, E> {
    pub(crate) to: Reply<T, E>,
    pub(crate) what: Result<T, E>,
}

impl<T: Send + std::fmt::Debug, E: Send + std::fmt::Debug> Answer for Said<T, E> {
    fn give(self: Box<Self>) {
        // Whoever asked may have gone; the change stands all the same.
        let _ = self.to.send(self.what);
    }
}
