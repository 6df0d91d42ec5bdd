//! What a backend must be able to do: hold rows, and commit many changes of them at once.
//!
//! What the changes mean is decided above, in `apply`, once for all backends.

use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Epoch, Fault, NodeId, OwnerId, Payload, RunId, Timestamp,
    WorkflowKey,
};

use crate::error::StorageError;
use crate::record::{BranchRow, ChildRange, HistoryRow, JobKey, OwnerRow, Rank};
use crate::sync::Arc;

pub(crate) type Result<T> = std::result::Result<T, StorageError>;

/// The one row that every transaction writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The next id of any kind; ids below it were given out.
    pub(crate) next_id: i64,
    /// This life of the database.
    pub(crate) epoch: Epoch,
    /// Admitted runs from outside whose first checkpoint is not written.
    pub(crate) unstarted: i64,
    /// Runs dropped by load shedding, ever.
    pub(crate) shed: i64,
    /// Where retention goes on.
    pub(crate) retention_cursor: i64,
}

/// An event as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) run: RunId,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) seq: i64,
    pub(crate) payload: Payload,
    pub(crate) is_fault: bool,
    pub(crate) consumed: bool,
}

/// The key of a join's row. `round` and `scope` tell apart meetings at the same node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct JoinKey {
    pub(crate) run: RunId,
    pub(crate) node: i64,
    pub(crate) scope: ActivationId,
    pub(crate) round: i64,
}

impl JoinKey {
    /// Where the branches of one split meet.
    pub(crate) fn of_split(run: RunId, join: NodeId, scope: ActivationId) -> Self {
        Self {
            run,
            node: i64::from(join.0),
            scope,
            round: 0,
        }
    }

    /// Where the detached branches of a run are counted.
    pub(crate) fn of_detached(run: RunId) -> Self {
        Self {
            run,
            node: -1,
            scope: ActivationId::ORIGIN,
            round: 0,
        }
    }
}

/// How many branches have come to a join, of how many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JoinCount {
    pub(crate) arrived: u32,
    pub(crate) expected: u32,
}

/// The jobs of one run that may be ready at once, and that are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunLimit {
    pub(crate) max: u32,
    pub(crate) active: u32,
}

/// Branches that are to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sweep {
    pub(crate) id: i64,
    pub(crate) run: RunId,
    pub(crate) range: ChildRange,
}

/// Jobs that wait in the outbox.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) rows: Vec<BranchRow>,
    /// Whether there are no more than these.
    pub(crate) all: bool,
}

/// What a row is written under.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Guard {
    /// The row is known to be as it was read in this transaction.
    Read,
    /// Only under this lock, and while the flags are these.
    Lock(JobKey, u8),
}

/// Where the rows are: one writer changes them, a transaction at a time.
pub(crate) trait Backend: Send {
    /// An open transaction.
    type Transaction<'t>: Tables
    where
        Self: 't;

    /// Opens a transaction. `true`: somebody else has written since the last one.
    fn begin(&mut self) -> Result<(Self::Transaction<'_>, bool)>;

    /// Work between transactions, such as emptying the log.
    fn tidy(&mut self);

    /// The last work of all: puts what the log still holds into the database.
    fn finish(&mut self);
}

/// Rows in one open transaction. Dropped without a commit, nothing of it has happened.
pub(crate) trait Tables {
    fn commit(self) -> Result<()>;

    /// Rows inserted, updated and deleted in this transaction; 0 where nobody counts.
    fn rows_written(&mut self) -> Result<u64>;

    fn meta(&mut self) -> Result<Meta>;
    fn set_meta(&mut self, meta: &Meta) -> Result<()>;

    fn insert(&mut self, row: &BranchRow) -> Result<()>;
    fn branch(&mut self, id: BranchId) -> Result<Option<BranchRow>>;
    /// Writes the columns that change in a branch's life. `false`: the guard did not hold, nothing
    /// was written.
    fn update(&mut self, row: &BranchRow, guard: Guard) -> Result<bool>;
    fn delete(&mut self, first: BranchId, count: u32) -> Result<()>;
    /// Of `count` neighbours from `first` on those that have not arrived: the only ones that may have
    /// branches of their own.
    fn under_way(&mut self, first: BranchId, count: u32) -> Result<Vec<BranchRow>>;

    /// Rank and age of the unlocked ready jobs of a workflow, the best first.
    fn ready_keys(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<(Rank, BranchId)>>;
    /// Unlocked ready jobs of a workflow by rank, then age; fewer if they are large.
    fn ready(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Ready>;
    /// The oldest unlocked ready jobs of a workflow, whatever their rank.
    fn ready_oldest(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<BranchId>>;
    /// Locks a job that was read in this transaction as ready and free, and raises its token.
    fn lock(&mut self, row: &mut BranchRow, owner: OwnerId) -> Result<()>;
    /// Jobs that `owner` has locked, by id, those after `after`.
    fn locked_by(&mut self, owner: OwnerId, after: BranchId, limit: u32) -> Result<Vec<BranchRow>>;
    fn due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<BranchId>>;
    fn next_due(&mut self) -> Result<Option<Timestamp>>;
    /// Unstarted runs with ids from `from` on, oldest first.
    fn unstarted(&mut self, from: BranchId, limit: u32) -> Result<Vec<BranchRow>>;
    /// First branches of runs with ids from `from` on: id and, if it has ended, when.
    fn runs_from(&mut self, from: i64, limit: u32) -> Result<Vec<(RunId, Option<Timestamp>)>>;

    fn join(&mut self, key: JoinKey) -> Result<Option<JoinCount>>;
    fn set_join(&mut self, key: JoinKey, count: JoinCount) -> Result<()>;
    fn delete_join(&mut self, key: JoinKey) -> Result<()>;
    /// All joins of a run, whatever is left of them.
    fn delete_joins(&mut self, run: RunId) -> Result<()>;

    fn add_detached(&mut self, run: RunId, branch: BranchId) -> Result<()>;
    fn remove_detached(&mut self, run: RunId, branch: BranchId) -> Result<()>;
    fn detached(&mut self, run: RunId) -> Result<Vec<BranchId>>;

    fn event(&mut self, run: RunId, name: &str, id: &str) -> Result<Option<EventRow>>;
    fn insert_event(&mut self, event: &EventRow) -> Result<()>;
    fn count_events(&mut self, run: RunId) -> Result<u32>;
    /// The earliest event of that name that nobody has consumed.
    fn next_event(&mut self, run: RunId, name: &str) -> Result<Option<EventRow>>;
    fn consume_event(&mut self, event: &EventRow) -> Result<()>;
    fn subscribe(&mut self, run: RunId, name: &str, branch: BranchId) -> Result<()>;
    /// The branch that has waited longest.
    fn subscriber(&mut self, run: RunId, name: &str) -> Result<Option<BranchId>>;
    fn unsubscribe(&mut self, run: RunId, name: &str, branch: BranchId) -> Result<()>;
    /// Events and subscriptions of a run.
    fn delete_events(&mut self, run: RunId) -> Result<()>;

    fn limit(&mut self, run: RunId) -> Result<Option<RunLimit>>;
    fn set_limit(&mut self, run: RunId, limit: RunLimit) -> Result<()>;
    /// The limit and everything held by it.
    fn delete_limit(&mut self, run: RunId) -> Result<()>;
    fn hold(&mut self, run: RunId, branch: BranchId) -> Result<()>;
    fn is_held(&mut self, run: RunId, branch: BranchId) -> Result<bool>;
    fn first_held(&mut self, run: RunId) -> Result<Option<BranchId>>;
    fn unhold(&mut self, run: RunId, branch: BranchId) -> Result<()>;

    fn add_sweep(&mut self, sweep: &Sweep) -> Result<()>;
    fn set_sweep(&mut self, sweep: &Sweep) -> Result<()>;
    fn delete_sweep(&mut self, id: i64) -> Result<()>;
    fn first_sweep(&mut self) -> Result<Option<Sweep>>;
    fn has_sweep(&mut self, run: RunId) -> Result<bool>;

    fn add_run_fault(&mut self, run: RunId, seq: i64, fault: &Fault) -> Result<()>;
    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>>;
    fn delete_run_faults(&mut self, run: RunId) -> Result<()>;

    fn dedupe(&mut self, key: &str) -> Result<Option<RunId>>;
    fn set_dedupe(&mut self, key: &str, run: RunId) -> Result<()>;
    fn delete_dedupe(&mut self, key: &str) -> Result<()>;

    fn insert_history(&mut self, row: HistoryRow) -> Result<()>;
    /// Deletes up to `limit` rows; returns how many there were.
    fn delete_history(&mut self, run: RunId, limit: u32) -> Result<u32>;

    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<(WorkflowKey, u64)>>;
    fn insert_workflow(&mut self, key: WorkflowKey, definition: &Definition) -> Result<()>;

    fn insert_owner(&mut self, owner: &OwnerRow) -> Result<()>;
    /// The owner and what it serves.
    fn delete_owner(&mut self, owner: OwnerId) -> Result<()>;
    fn add_serves(&mut self, workflow: WorkflowKey, owner: OwnerId) -> Result<()>;
}

/// Which runs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunFilter {
    /// All.
    All,
    /// Those that have not ended.
    Unfinished,
}

/// Reads what is committed, on a connection of its own. Every call sees one consistent state.
pub trait Reader: Send + std::fmt::Debug {
    /// The first branch of a run.
    ///
    /// # Errors
    /// [`StorageError`] if it cannot be read; so for all calls.
    fn run(&mut self, run: RunId) -> Result<Option<BranchRow>> {
        self.branch(run.root())
    }
    /// One branch.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn branch(&mut self, id: BranchId) -> Result<Option<BranchRow>>;
    /// The branches of a split that still exist, in branch order, from `from` on.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn range(&mut self, range: ChildRange, from: u32, limit: u32) -> Result<Vec<BranchRow>>;
    /// The detached branches of a run.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn detached(&mut self, run: RunId) -> Result<Vec<BranchId>>;
    /// First branches of runs with ids below `before`, newest first.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn runs(&mut self, before: Option<RunId>, limit: u32) -> Result<Vec<BranchRow>>;
    /// Runs that have not ended, newest first.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn unfinished(&mut self, limit: u32) -> Result<Vec<BranchRow>>;
    /// The attempts of a run in the order in which they ended.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn history(&mut self, run: RunId) -> Result<Vec<HistoryRow>>;
    /// A consumed event, by its number: what it brought, and whether it is a fault.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn event(&mut self, run: RunId, seq: i64) -> Result<Option<(Payload, bool)>>;
    /// Errors of detached branches that have ended.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>>;
    /// The definition of a workflow.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn definition(&mut self, workflow: WorkflowKey) -> Result<Option<Arc<Definition>>>;
    /// The engines that are registered, living or dead.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn owners(&mut self) -> Result<Vec<OwnerRow>>;
    /// The engines, living or dead, that have the handlers of a workflow.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn served_by(&mut self, workflow: WorkflowKey) -> Result<Vec<OwnerId>>;
    /// Changes whenever somebody else commits. Cheap enough to ask every few milliseconds.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn data_version(&mut self) -> Result<i64>;
    /// Admitted runs that have not started, and runs ever dropped by load shedding.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn admission(&mut self) -> Result<(u64, u64)>;
    /// Rows that only unfinished work has, by table: for tests that nothing is left over.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn leftovers(&mut self) -> Result<Vec<(&'static str, u64)>>;
}
