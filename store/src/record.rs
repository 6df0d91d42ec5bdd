//! The rows: what a branch, an attempt and an owner look like when written down.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Serialize};
use windlass_workflow_model::{
    ActivationId, BranchId, Epoch, Fault, FencingToken, NodeId, OwnerId, Payload, Position, Rounds,
    RunId, StepStatus, Timestamp, WorkflowKey,
};

use crate::codec;
use crate::error::StorageError;
use crate::meter::Ticket;

/// Where a branch stands. The first branch of a run also carries the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// A job: in the outbox if no owner has locked it, else on a channel or running.
    Ready = 0,
    /// Would be ready, but its split or run is at its `max_parallelism`.
    Held = 1,
    /// Waits for a time: a later start, a timer, a retry.
    Timer = 2,
    /// Waits for an event.
    Event = 3,
    /// Waits at a join for its own branches.
    Joining = 4,
    /// Came to its join, or failed on the way there; keeps what it brings.
    Arrived = 5,
    /// Waits for an operator.
    Parked = 6,
    /// Came to its end, but detached branches or clean-ups of the run are still open.
    Ending = 7,
    /// The run ended well.
    Succeeded = 8,
    /// The run ended with errors.
    Failed = 9,
    /// The run was withdrawn.
    Cancelled = 10,
    /// Waits at a meet for other tokens.
    Meeting = 11,
    /// Waits for the end of a run that it called.
    Calling = 12,
    /// Waits for a mutex or a milestone.
    Blocked = 13,
}

impl State {
    const ALL: [Self; 14] = [
        Self::Ready,
        Self::Held,
        Self::Timer,
        Self::Event,
        Self::Joining,
        Self::Arrived,
        Self::Parked,
        Self::Ending,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Meeting,
        Self::Calling,
        Self::Blocked,
    ];

    /// Whether the run has ended.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    pub(crate) fn number(self) -> i64 {
        self as i64
    }
}

/// How urgent a run is: 0 (last) to 9 (first), 4 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Priority(u8);

impl Priority {
    /// The most urgent.
    pub const MAX: Self = Self(9);

    /// Takes 0 to 9; `None` for more.
    pub fn new(priority: u8) -> Option<Self> {
        (priority <= Self::MAX.0).then_some(Self(priority))
    }

    /// 0 to 9.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self(4)
    }
}

/// The order of ready jobs, smallest first: by priority, and under it what continues a run before
/// what begins one. Age (the branch id) decides the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Rank(pub(crate) u8);

impl Rank {
    pub(crate) fn new(priority: Priority, unstarted: bool) -> Self {
        Self((Priority::MAX.0 - priority.0) * 2 + u8::from(unstarted))
    }

    pub(crate) fn priority(self) -> Priority {
        Priority(Priority::MAX.0 - self.0 / 2)
    }

    /// The same priority, as work in progress.
    pub(crate) fn started(self) -> Self {
        Self(self.0 & !1)
    }
}

/// Bits of [`BranchRow::flags`].
pub(crate) mod flags {
    /// A run from outside whose first job has not started; counted by admission.
    pub(crate) const UNSTARTED: u16 = 1;
    /// The run has stored events.
    pub(crate) const EVENTS: u16 = 2;
    /// The run has a row in the table of parallelism.
    pub(crate) const LIMITED: u16 = 4;
    /// The run has, or had, branches or detached branches: its end looks for leftovers.
    pub(crate) const BRANCHED: u16 = 8;
    /// Not every attempt of the run leaves a row of history.
    pub(crate) const PARTIAL: u16 = 16;
    /// It has, or had, loose branches, which it waits for when it comes to its end.
    pub(crate) const LOOSE: u16 = 32;
    /// On the first branch: the run is being withdrawn, so what its branches bring is refused.
    pub(crate) const WITHDRAWN: u16 = 64;
    /// Its step starts only while a milestone is reached.
    pub(crate) const GATED: u16 = 128;
    /// Its job takes no place of its run's limit: all it can do is to begin a call or
    /// another wait.
    pub(crate) const PLACELESS: u16 = 256;
}

/// A branch, as it is stored.
#[derive(Clone, Debug)]
pub struct BranchRow {
    /// Its id; equal to the run's for the first branch.
    pub id: BranchId,
    /// Its run.
    pub run: RunId,
    /// The branch that split, `None` for the first branch of a run.
    pub parent: Option<BranchId>,
    /// The run's workflow.
    pub workflow: WorkflowKey,
    /// The epoch in which the run was admitted.
    pub epoch: Epoch,
    /// Where in the workflow it stands.
    pub position: Position,
    /// The activation of that node.
    pub activation: ActivationId,
    /// What it does there.
    pub state: State,
    /// Its place among ready jobs.
    pub(crate) rank: Rank,
    /// Bits that spare look-ups.
    pub(crate) flags: u16,
    /// Who has locked it; 0 is nobody.
    pub owner: OwnerId,
    /// Grows with every lock and never resets.
    pub token: FencingToken,
    /// The attempt that is next or running, from 1.
    pub attempt: u32,
    /// Crashes of its engine while it ran alone.
    pub crashes: u32,
    /// Crashes in a row during which it ran beside others.
    pub suspect: u32,
    /// When its timer is due.
    pub due: Option<Timestamp>,
    /// Its data; `None` is a copy of its parent's.
    pub data: Option<Payload>,
    /// What only some branches carry.
    pub record: Record,
    /// When the run was admitted.
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When the run ended.
    pub ended_at: Option<Timestamp>,
}

impl BranchRow {
    /// Its urgency.
    pub fn priority(&self) -> Priority {
        self.rank.priority()
    }

    /// Whether it is the first branch of an admitted run that has not begun.
    pub fn is_unstarted(&self) -> bool {
        self.flags & flags::UNSTARTED != 0
    }

    /// Why it is parked.
    pub(crate) fn parked_for(&self) -> Option<String> {
        let parked = self.record.flow().parked.clone();
        parked.or_else(|| self.record.reason.clone())
    }

    /// What is needed to write under its lock.
    pub fn key(&self) -> JobKey {
        JobKey {
            branch: self.id,
            owner: self.owner,
            token: self.token,
        }
    }
}

/// The right to write one branch: valid while the stored owner and token are these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobKey {
    /// The branch.
    pub branch: BranchId,
    /// Who holds the lock.
    pub owner: OwnerId,
    /// The token that came with it.
    pub token: FencingToken,
}

/// What only some branches carry, at hand as [`Extras`]. Empty by default, and then neither allocated
/// nor written.
#[derive(Clone, Debug, Default)]
pub struct Record(Option<Box<Extras>>);

impl From<Extras> for Record {
    fn from(extras: Extras) -> Self {
        Self((extras != NO_EXTRAS).then(|| Box::new(extras)))
    }
}

impl Deref for Record {
    type Target = Extras;

    fn deref(&self) -> &Extras {
        self.0.as_deref().unwrap_or(&NO_EXTRAS)
    }
}

impl DerefMut for Record {
    fn deref_mut(&mut self) -> &mut Extras {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Record {}

impl Record {
    /// The contents.
    pub fn into_extras(self) -> Extras {
        self.0.map_or_else(Extras::default, |extras| *extras)
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.0.as_deref().is_none_or(|extras| *extras == NO_EXTRAS)
    }
}

static NO_EXTRAS: Extras = Extras {
    membership: None,
    children: None,
    event: None,
    fault: None,
    detached: None,
    reason: None,
    retry_at: None,
    frontier: None,
    max_parallelism: None,
    attributes: None,
    flow: None,
    wait: None,
};

/// What a [`Record`] holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extras {
    /// The split it belongs to.
    pub membership: Option<Membership>,
    /// The branches it waits for, or has just been joined by.
    pub children: Option<ChildRange>,
    /// The stored event that woke it.
    pub event: Option<i64>,
    /// Why it failed.
    pub fault: Option<Fault>,
    /// Why detached branches of the run failed; part of `fault` too.
    pub detached: Option<Fault>,
    /// Why it is parked or cancelled.
    pub reason: Option<String>,
    /// Where a retry of the failed run begins.
    pub retry_at: Option<(NodeId, ActivationId)>,
    /// The branches of a failed split, so that a retry goes on where they stood.
    pub frontier: Option<Vec<u8>>,
    /// How many jobs of the run may be ready at once.
    pub max_parallelism: Option<u32>,
    /// What came with the run from outside.
    pub attributes: Option<RunAttributes>,
    /// What only nodes beyond sequence, choice, split and wait need.
    pub flow: Option<Box<Flow>>,
    /// The wait that it stands in, or goes on from.
    pub wait: Option<Wait>,
}

/// What a branch keeps of a timer, a wait for an event or a call until it goes on, for its row of
/// history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// When it came there.
    pub since: Timestamp,
    /// What is shown of what was asked for, as JSON.
    pub input: Option<Vec<u8>>,
}

/// What a branch carries for loops, scopes, meets, maps, calls and mutexes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The loops that it is in, and how many rounds of each it has done.
    pub rounds: Rounds,
    /// What it is to the branch that it belongs to.
    pub role: Role,
    /// Waiting at a meet: by which of its inputs it came.
    pub input: u32,
    /// Going on from a meet: the tokens that met, itself included, by input.
    pub met: Vec<(u32, BranchId)>,
    /// Why it goes on from where it waited.
    pub woken: Option<Woken>,
    /// Waiting for events: the arm that its timer takes.
    pub timer_arm: Option<u32>,
    /// Waiting for a run that it called.
    pub called: Option<RunId>,
    /// On the first branch: who called the run.
    pub caller: Option<Caller>,
    /// What it asked for cannot be.
    pub refused: Option<Fault>,
    /// In a scope: the mutex that it holds.
    pub mutex: Option<String>,
    /// It has come to its end by being withdrawn; the reason is in `reason`.
    pub cancelled: bool,
    /// On the first branch: when the run must have ended.
    pub deadline: Option<Timestamp>,
    /// When its step must have begun, or ended if it says when that is to be.
    pub start_by: Option<Timestamp>,
    /// What the last attempt said of how far it was, as JSON.
    pub details: Option<Vec<u8>>,
    /// The activation of a step that must not happen twice, and the lock under which it may begin.
    pub begun: Option<(ActivationId, FencingToken)>,
    /// It has come to its end, which waits until steps are undone.
    pub undoing: Option<Undoing>,
    /// Why it waits for an operator, where `reason` says how it is to end.
    pub parked: Option<String>,
}

/// What waits for steps to be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Undoing {
    /// The end of the run, as its first row says.
    Run,
    /// The withdrawal of a branch that waited for this scope, for this reason.
    Branch(ActivationId, String),
}

static NO_FLOW: Flow = Flow {
    rounds: Rounds::new(),
    role: Role::Branch,
    input: 0,
    met: Vec::new(),
    woken: None,
    timer_arm: None,
    called: None,
    caller: None,
    refused: None,
    mutex: None,
    cancelled: false,
    deadline: None,
    start_by: None,
    details: None,
    begun: None,
    undoing: None,
    parked: None,
};

/// What a branch is to the one that it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// One of the branches of a split, or a detached one.
    #[default]
    Branch,
    /// A token of a scope.
    Token,
    /// An instance of a map.
    Instance,
}

/// Why a branch goes on from where it waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Woken {
    /// Its join is over: how many were expected, succeeded, failed and were withdrawn, and whether it
    /// was ended from outside.
    Over([u32; 4], bool),
    /// These instances of its map are to be counted, on from what was counted.
    Count(Option<Vec<u8>>, Vec<u32>),
    /// The event that it waited for came, and takes this arm.
    Event(u32),
    /// The time of this arm came first.
    Due(u32),
}

/// Who called a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The run.
    pub run: RunId,
    /// Its branch that waits; `None` if nobody does.
    pub branch: Option<BranchId>,
    /// How deep calls are nested, from 1.
    pub depth: u32,
}

impl Extras {
    /// What loops, scopes, meets, maps, calls and mutexes left.
    pub fn flow(&self) -> &Flow {
        self.flow.as_deref().unwrap_or(&NO_FLOW)
    }

    /// The same, to be changed.
    pub fn flow_mut(&mut self) -> &mut Flow {
        self.flow.get_or_insert_default()
    }

    /// The bytes as they are stored, beginning with the codec and its format.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads what [`encode`](Self::encode) wrote, in this version or an earlier one.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if it is anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        match codec::format(bytes) {
            Some(1) => codec::decode::<ExtrasOfFormat1>(bytes).map(Self::from),
            Some(2 | 3) => codec::decode::<ExtrasOfFormat3>(bytes).map(Self::from),
            _ => codec::decode(bytes),
        }
    }
}

/// As it was written before there were loops, scopes, maps and calls.
#[derive(Deserialize)]
struct ExtrasOfFormat1 {
    membership: Option<Membership>,
    children: Option<ChildRange>,
    event: Option<i64>,
    fault: Option<Fault>,
    detached: Option<Fault>,
    reason: Option<String>,
    retry_at: Option<(NodeId, ActivationId)>,
    frontier: Option<Vec<u8>>,
    max_parallelism: Option<u32>,
    attributes: Option<RunAttributes>,
}

impl From<ExtrasOfFormat1> for Extras {
    fn from(old: ExtrasOfFormat1) -> Self {
        Self {
            membership: old.membership,
            children: old.children,
            event: old.event,
            fault: old.fault,
            detached: old.detached,
            reason: old.reason,
            retry_at: old.retry_at,
            frontier: old.frontier,
            max_parallelism: old.max_parallelism,
            attributes: old.attributes,
            flow: None,
            wait: None,
        }
    }
}

/// As it was written before a branch noted since when it waits.
#[derive(Deserialize)]
struct ExtrasOfFormat3 {
    before_flow: ExtrasOfFormat1,
    flow: Option<Box<Flow>>,
}

impl From<ExtrasOfFormat3> for Extras {
    fn from(old: ExtrasOfFormat3) -> Self {
        Self {
            flow: old.flow,
            ..Self::from(old.before_flow)
        }
    }
}

/// What a caller stores with a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAttributes {
    /// The key under which the same run is found again.
    pub dedupe_key: Option<String>,
    /// Text of the caller's own, such as how to resume.
    pub note: Option<String>,
}

/// A branch's place in its split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The split's activation.
    pub scope: ActivationId,
    /// Where it meets its siblings; `None` when no join waits for it.
    pub join: Option<NodeId>,
    /// Its place in branch order, from 0.
    pub index: u32,
    /// How many branches the split has.
    pub of: u32,
    /// How many of them may be on their way at once; 0 is no limit.
    pub max_parallelism: u32,
    /// Whether the split goes on after a retry, with some of its branches arrived before.
    pub resumed: bool,
    /// Its name.
    pub name: String,
}

/// The branches of one split: neighbours by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRange {
    /// The id of the branch with index 0.
    pub first: BranchId,
    /// How many.
    pub count: u32,
    /// The split's activation.
    pub scope: ActivationId,
}

/// A job that its owner has locked: what travels on the channel. Made once and shared by all who have
/// to do with it.
#[derive(Debug)]
pub struct LockedJob {
    /// The branch as it was when it was locked, with its data.
    pub row: BranchRow,
    /// Must be taken from it before the job may start.
    pub ticket: Ticket,
}

impl LockedJob {
    /// Whether it may run only while nothing else does: it ran during two crashes in a row.
    pub fn is_alone(&self) -> bool {
        self.row.suspect >= 2 || self.row.crashes > 0
    }

    /// The same in every attempt of the same activation, and in no other database than the one that
    /// `nonce` names.
    pub fn idempotency_key(&self, nonce: &str, activation: ActivationId) -> String {
        format!("{nonce}-{}-{}-{activation}", self.row.epoch, self.row.run)
    }
}

/// One attempt that has ended, or a step that was passed by.
#[derive(Clone, Debug)]
pub struct HistoryRow {
    /// The run.
    pub run: RunId,
    /// The branch.
    pub branch: BranchId,
    /// The token of the attempt's lock.
    pub token: FencingToken,
    /// Tells apart what one checkpoint wrote.
    pub ordinal: u32,
    /// The step.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    pub status: StepStatus,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The branch's name, if it is one of a split.
    pub branch_name: Option<String>,
    /// The rest.
    pub detail: HistoryDetail,
}

impl HistoryRow {
    /// Puts the rows of a run, which come in the order of their branches, locks and ordinals, in that in
    /// which they ended by the wall clock. Those of one branch stay as they are, although the clock may
    /// have been set back in between.
    pub(crate) fn by_end(rows: Vec<Self>) -> Vec<Self> {
        let mut newest: Option<(BranchId, Timestamp)> = None;
        let with_time = |row: Self| {
            let before = newest.filter(|(branch, _)| *branch == row.branch);
            let at = before.map_or(row.ended_at, |(_, at)| at.max(row.ended_at));
            newest = Some((row.branch, at));
            (at, row)
        };
        let mut rows: Vec<_> = rows.into_iter().map(with_time).collect();
        rows.sort_by_key(|(at, _)| *at);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// Whether `later`, a row of the same activation that comes after this one by the wall clock, did so
    /// in fact: the clock may have been set back in between. Locks of a branch only grow; what a
    /// branch has to undo is undone by one above it, which is older, when it is withdrawn itself.
    pub(crate) fn precedes(&self, later: &Self) -> bool {
        if self.branch == later.branch {
            let lock = |row: &Self| (row.token, row.ordinal);
            return lock(self) <= lock(later);
        }
        let undoes = |row: &Self| row.detail.reason.as_deref() == Some(UNDO);
        !(undoes(self) || undoes(later)) || self.branch > later.branch
    }
}

/// The reason of an attempt that undid its step.
pub(crate) const UNDO: &str = "undo";

/// What only some attempts leave behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryDetail {
    /// Why it failed.
    pub fault: Option<Fault>,
    /// Why it was passed by or withdrawn, or `undo`.
    pub reason: Option<String>,
    /// Whether another attempt was to follow.
    pub again: bool,
    /// What it gave, as JSON.
    pub output: Option<Vec<u8>>,
    /// What it worked on, as JSON.
    pub input: Option<Vec<u8>>,
    /// The loops that the branch was in, and how many rounds of each it had done.
    pub rounds: Rounds,
}

impl HistoryDetail {
    /// Reads what this version or an earlier one wrote.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] if it is anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        if matches!(codec::format(bytes), Some(1 | 2)) {
            return codec::decode::<HistoryDetailOfFormat2>(bytes).map(Self::from);
        }
        codec::decode(bytes)
    }
}

/// As it was written before a step could say what it works on, and before rounds were kept.
#[derive(Deserialize)]
struct HistoryDetailOfFormat2 {
    fault: Option<Fault>,
    reason: Option<String>,
    again: bool,
    output: Option<Vec<u8>>,
}

impl From<HistoryDetailOfFormat2> for HistoryDetail {
    fn from(old: HistoryDetailOfFormat2) -> Self {
        Self {
            fault: old.fault,
            reason: old.reason,
            again: old.again,
            output: old.output,
            input: None,
            rounds: Rounds::new(),
        }
    }
}

/// An engine that works, or worked, on the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRow {
    /// Its id.
    pub id: OwnerId,
    /// When it opened the store.
    pub started_at: Timestamp,
    /// Its process.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// The name of its owner file.
    pub file: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of a branch as version 3 of the format had it: without its wait.
    #[test]
    fn what_a_branch_carries_is_read_in_an_earlier_format() {
        #[derive(Serialize)]
        struct Old {
            membership: Option<Membership>,
            children: Option<ChildRange>,
            event: Option<i64>,
            fault: Option<Fault>,
            detached: Option<Fault>,
            reason: Option<String>,
            retry_at: Option<(NodeId, ActivationId)>,
            frontier: Option<Vec<u8>>,
            max_parallelism: Option<u32>,
            attributes: Option<RunAttributes>,
            flow: Option<Box<Flow>>,
        }
        let old = Old {
            membership: None,
            children: None,
            event: Some(7),
            fault: Some(Fault::new("code", "why")),
            detached: None,
            reason: Some("reason".to_owned()),
            retry_at: None,
            frontier: None,
            max_parallelism: Some(3),
            attributes: None,
            flow: Some(Box::new(Flow {
                called: Some(RunId(9)),
                ..Flow::default()
            })),
        };
        let now = Extras {
            event: old.event,
            fault: old.fault.clone(),
            reason: old.reason.clone(),
            max_parallelism: old.max_parallelism,
            flow: old.flow.clone(),
            ..Extras::default()
        };
        let written = codec::encode(&old);
        let body = &written[2..written.len() - 4];
        for format in [2, 3] {
            let stored = [&[1, format], body].concat();
            assert_eq!(Extras::decode(&stored).unwrap(), now);
        }
        let new = Extras {
            wait: Some(Wait {
                since: Timestamp(5),
                input: Some(b"{}".to_vec()),
            }),
            ..now
        };
        assert_eq!(Extras::decode(&new.encode()).unwrap(), new);
    }

    /// A row of history as version 2 of the format had it, unchecked, without an input and rounds.
    #[test]
    fn the_detail_of_an_attempt_of_an_earlier_format_is_read() {
        #[derive(Serialize)]
        struct Old {
            fault: Option<Fault>,
            reason: Option<String>,
            again: bool,
            output: Option<Vec<u8>>,
        }
        let old = Old {
            fault: Some(Fault::new("code", "why")),
            reason: Some("reason".to_owned()),
            again: true,
            output: Some(b"[1]".to_vec()),
        };
        let now = HistoryDetail {
            fault: old.fault.clone(),
            reason: old.reason.clone(),
            again: true,
            output: old.output.clone(),
            input: None,
            rounds: Rounds::new(),
        };
        let written = codec::encode(&old);
        let body = &written[2..written.len() - 4];
        for format in [1, 2] {
            let stored = [&[1, format], body].concat();
            assert_eq!(HistoryDetail::decode(&stored).unwrap(), now);
        }
        let new = HistoryDetail {
            input: Some(b"{}".to_vec()),
            rounds: vec![(NodeId(3), 1)],
            ..now
        };
        let stored = codec::encode(&new);
        assert_eq!(HistoryDetail::decode(&stored).unwrap(), new);
    }
}
