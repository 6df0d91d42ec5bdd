//! What a backend must be able to do: hold rows, and commit many changes of them at once.
//!
//! What the changes mean is decided above, in `apply`, once for all backends.

use serde::{Deserialize, Serialize};
use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Epoch, Fault, FencingToken, Meeting, NodeId, OwnerId,
    Payload, RunId, Tally, Timestamp, WorkflowKey,
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

    /// Where what `parent` started and does not wait for at a join is counted: for the first branch
    /// of a run its detached branches.
    pub(crate) fn of_loose(run: RunId, parent: BranchId) -> Self {
        let scope = if parent == run.root() {
            ActivationId::ORIGIN
        } else {
            ActivationId(parent.0.cast_unsigned())
        };
        Self {
            run,
            node: -1,
            scope,
            round: 0,
        }
    }
}

/// How many branches have come to a join, of how many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JoinCount {
    pub(crate) arrived: u32,
    pub(crate) expected: u32,
    /// What only some joins count.
    pub(crate) more: Option<Box<JoinMore>>,
}

impl JoinCount {
    pub(crate) fn new(arrived: u32, expected: u32) -> Self {
        Self {
            arrived,
            expected,
            more: None,
        }
    }

    pub(crate) fn more(&mut self) -> &mut JoinMore {
        self.more.get_or_insert_default()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.more.as_ref().map_or(Phase::Open, |more| more.phase)
    }

    pub(crate) fn tally(&self) -> Tally {
        let more = self.more.as_deref();
        let (failed, cancelled) = more.map_or((0, 0), |more| (more.failed, more.cancelled));
        Tally {
            expected: self.expected,
            succeeded: self.arrived - failed - cancelled,
            failed,
            cancelled,
            is_forced: more.is_some_and(|more| more.forced),
        }
    }
}

/// What only some joins count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JoinMore {
    /// Of those that arrived, how many failed.
    pub(crate) failed: u32,
    /// Of those that arrived, how many were withdrawn.
    pub(crate) cancelled: u32,
    /// How far it is.
    pub(crate) phase: Phase,
    /// Whether it was ended from outside: then what it needs does not count.
    pub(crate) forced: bool,
    /// Of a scope: how many of its tokens wait at meets.
    pub(crate) waiting: u32,
    /// Of a scope: the active meets at which tokens wait.
    pub(crate) active: Vec<NodeId>,
    /// Of a map.
    pub(crate) map: Option<MapCount>,
    /// Of a meet.
    pub(crate) meeting: Option<Meeting>,
}

/// How far a join is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Branches count.
    #[default]
    Open,
    /// It is over, and is left when the rest is withdrawn.
    Withdrawing,
    /// It was left; what still comes has no effect.
    Absorbing,
}

/// How far a map is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MapCount {
    /// The index that starts next.
    pub(crate) next: u32,
    /// Instances that live.
    pub(crate) live: u32,
    /// How many may live: so many slots there are.
    pub(crate) width: u32,
    /// Slots that were used.
    pub(crate) used: u32,
    /// Of those, the ones that are free.
    pub(crate) idle: Vec<u32>,
    /// Whether more may be added.
    pub(crate) open: bool,
    /// Whether a function counts those that succeed.
    pub(crate) counts: bool,
    /// What it has counted.
    pub(crate) counted: Option<Vec<u8>>,
    /// Instances that have succeeded and are not counted yet, in that order.
    pub(crate) pending: Vec<u32>,
}

/// Branches that belong to `parent`, beside those that it waits for at its join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loose {
    pub(crate) run: RunId,
    pub(crate) parent: BranchId,
    pub(crate) range: ChildRange,
}

/// A word that a run remembers: who holds a mutex, whether a milestone is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) run: RunId,
    pub(crate) name: String,
    pub(crate) value: i64,
    pub(crate) token: FencingToken,
    /// An engine at whose death the mark goes; 0 is none.
    pub(crate) owner: OwnerId,
}

/// A step that has succeeded and can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoRow {
    /// The run.
    pub run: RunId,
    /// The activation of the scope in which it was done; [`ActivationId::ORIGIN`] is the run.
    pub scope: ActivationId,
    /// Grows in the order in which steps succeed.
    pub seq: i64,
    /// The step.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// The data after it.
    pub data: Payload,
}

/// A statement of a step that rides in its checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct SqlEffect {
    /// One SQL statement that changes tables of the user's own.
    pub sql: String,
    /// Its parameters, in order: null, a truth, a number, a text; anything else goes in as JSON.
    pub values: Vec<serde_json::Value>,
}

/// How one instance of a map has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultRow {
    /// Its index.
    pub index: u32,
    /// Its last data, why it failed, or that it was withdrawn (`None`).
    pub outcome: Option<std::result::Result<Payload, Fault>>,
}

/// A map that a run has begun. It stays as long as its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapRow {
    /// The map.
    pub map: NodeId,
    /// Its activation, under which its results are kept.
    pub scope: ActivationId,
    /// When it began.
    pub begun_at: Timestamp,
    /// How many instances there were to be when it began; unknown of a map that an earlier version began.
    pub count: Option<u32>,
}

/// How far a map is whose instances have not all ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapStanding {
    /// Instances there are to be, so far.
    pub expected: u32,
    /// Of those, how many have begun.
    pub begun: u32,
    /// Of those, how many have ended.
    pub ended: u32,
    /// Of those, how many failed.
    pub failed: u32,
    /// Of those, how many were withdrawn.
    pub cancelled: u32,
    /// Whether more may be added.
    pub is_open: bool,
    /// Whether what has begun is being withdrawn, and nothing more begins.
    pub is_withdrawing: bool,
}

impl MapStanding {
    /// What the counter of a map's join says.
    pub(crate) fn of(count: &JoinCount) -> Option<Self> {
        let map = count.more.as_ref()?.map.as_ref()?;
        let tally = count.tally();
        Some(Self {
            expected: count.expected,
            begun: map.next,
            ended: count.arrived,
            failed: tally.failed,
            cancelled: tally.cancelled,
            is_open: map.open && count.phase() == Phase::Open,
            is_withdrawing: count.phase() == Phase::Withdrawing,
        })
    }
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
    /// Who goes on when they are withdrawn, and then deletes them; `None`: they are deleted now.
    pub(crate) wakes: Option<BranchId>,
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
    Lock(JobKey, u16),
}

/// Where the rows are: one writer changes them, a transaction at a time.
pub(crate) trait Backend: Send {
    /// An open transaction.
    type Transaction<'t>: Tables
    where
        Self: 't;

    /// Opens a transaction. `true`: somebody else has written since the last one.
    fn begin(&mut self) -> Result<(Self::Transaction<'_>, bool)>;

    /// Work between transactions, such as emptying the log. An error is the end: nothing that is written
    /// from now on can be relied on.
    fn tidy(&mut self) -> Result<()>;

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
    /// Those of `range` that `from` has become branches of `to`.
    fn hand_branches(&mut self, range: ChildRange, from: BranchId, to: BranchId) -> Result<()>;
    /// Of `count` neighbours from `first` on those that have arrived.
    fn delete_arrived(&mut self, first: BranchId, count: u32) -> Result<()>;
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
    /// Jobs that `owner`, who is registered, has locked, by id, those after `after`. Nobody finds those
    /// of one who is not.
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
    /// The join of a scope and all its meets.
    fn delete_scope_joins(&mut self, run: RunId, scope: ActivationId) -> Result<()>;
    /// All joins of a run, whatever is left of them.
    fn delete_joins(&mut self, run: RunId) -> Result<()>;

    fn add_loose(&mut self, loose: &Loose) -> Result<()>;
    fn remove_loose(&mut self, parent: BranchId, first: BranchId) -> Result<()>;
    /// By their first branch.
    fn loose(&mut self, parent: BranchId) -> Result<Vec<Loose>>;

    fn mark(&mut self, run: RunId, name: &str) -> Result<Option<Mark>>;
    fn set_mark(&mut self, mark: &Mark) -> Result<()>;
    fn delete_mark(&mut self, run: RunId, name: &str) -> Result<()>;
    /// Those whose names begin with `prefix`, by name.
    fn marks(&mut self, run: RunId, prefix: &str) -> Result<Vec<Mark>>;
    /// Those that go with an engine.
    fn marks_of(&mut self, owner: OwnerId) -> Result<Vec<Mark>>;
    fn delete_marks(&mut self, run: RunId) -> Result<()>;

    /// What the instance `index` of a map is made from; -1 is what all are made from.
    fn item(&mut self, run: RunId, scope: ActivationId, index: i64) -> Result<Option<Payload>>;
    fn set_item(
        &mut self,
        run: RunId,
        scope: ActivationId,
        index: i64,
        data: &Payload,
    ) -> Result<()>;
    /// Deletes up to `limit` of a map's items; returns how many there were.
    fn delete_items(&mut self, run: RunId, scope: ActivationId, limit: u32) -> Result<u32>;
    /// All items of a run, at most `limit`; returns how many there were.
    fn delete_all_items(&mut self, run: RunId, limit: u32) -> Result<u32>;
    fn set_deadline(&mut self, run: RunId, due: Timestamp) -> Result<()>;
    fn delete_deadline(&mut self, run: RunId) -> Result<()>;
    /// Runs whose deadline is over, the longest first.
    fn overdue(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>>;
    fn next_deadline(&mut self) -> Result<Option<Timestamp>>;

    fn add_undo(&mut self, row: &UndoRow) -> Result<()>;
    fn delete_undo(&mut self, run: RunId, scope: ActivationId, seq: i64) -> Result<()>;
    fn has_undo(&mut self, run: RunId, scope: ActivationId) -> Result<bool>;
    /// What was done in one scope belongs to another one from now on.
    fn hand_undo(&mut self, run: RunId, from: ActivationId, to: ActivationId) -> Result<()>;
    /// All that was done in a run belongs to the run itself from now on.
    fn hand_all_undo(&mut self, run: RunId) -> Result<()>;
    fn delete_all_undo(&mut self, run: RunId) -> Result<()>;

    /// Carries out statements of a step of `branch`, all or none of them. The inner error is the database's word
    /// for why not.
    fn run_effects(
        &mut self,
        branch: BranchId,
        effects: &[SqlEffect],
    ) -> Result<std::result::Result<(), String>>;

    fn insert_map(&mut self, run: RunId, row: &MapRow) -> Result<()>;
    fn insert_result(&mut self, run: RunId, scope: ActivationId, row: &ResultRow) -> Result<()>;
    /// The result of instance `index` belongs to another scope from now on.
    fn move_result(
        &mut self,
        run: RunId,
        from: ActivationId,
        to: ActivationId,
        index: u32,
    ) -> Result<()>;
    /// Deletes up to `limit` results of a run, and its maps; returns how many rows there were.
    fn delete_results(&mut self, run: RunId, limit: u32) -> Result<u32>;

    fn event(&mut self, run: RunId, name: &str, id: &str) -> Result<Option<EventRow>>;
    fn insert_event(&mut self, event: &EventRow) -> Result<()>;
    fn count_events(&mut self, run: RunId) -> Result<u32>;
    /// The earliest event of that name that nobody has consumed.
    fn next_event(&mut self, run: RunId, name: &str) -> Result<Option<EventRow>>;
    fn consume_event(&mut self, event: &EventRow) -> Result<()>;
    fn subscribe(&mut self, run: RunId, name: &str, branch: BranchId, arm: u32) -> Result<()>;
    /// The branch that has waited longest, and the arm that it takes.
    fn subscriber(&mut self, run: RunId, name: &str) -> Result<Option<(BranchId, u32)>>;
    fn subscribers(&mut self, run: RunId, name: &str) -> Result<Vec<BranchId>>;
    /// Names that begin with `prefix` for which somebody waits, and who.
    fn waits(&mut self, run: RunId, prefix: &str) -> Result<Vec<(String, BranchId)>>;
    /// All that a branch waits for.
    fn unsubscribe(&mut self, run: RunId, branch: BranchId) -> Result<()>;
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
    fn sweeps(&mut self, run: RunId) -> Result<Vec<Sweep>>;
    fn has_sweep(&mut self, run: RunId) -> Result<bool>;

    fn add_run_fault(&mut self, run: RunId, seq: i64, fault: &Fault) -> Result<()>;
    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>>;
    fn delete_run_faults(&mut self, run: RunId) -> Result<()>;

    fn dedupe(&mut self, key: &str) -> Result<Option<RunId>>;
    fn set_dedupe(&mut self, key: &str, run: RunId) -> Result<()>;
    fn delete_dedupe(&mut self, key: &str) -> Result<()>;

    fn insert_history(&mut self, row: HistoryRow) -> Result<()>;
    /// Deletes what a branch left under its locks up to `last`, none of them of this transaction;
    /// returns how many rows there were.
    fn delete_history_upto(
        &mut self,
        run: RunId,
        branch: BranchId,
        last: FencingToken,
    ) -> Result<u32>;
    /// Deletes up to `limit` rows; returns how many there were.
    fn delete_history(&mut self, run: RunId, limit: u32) -> Result<u32>;

    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<(WorkflowKey, u64)>>;
    fn insert_workflow(&mut self, key: WorkflowKey, definition: &Definition) -> Result<()>;
    fn definition(&mut self, key: WorkflowKey) -> Result<Option<Arc<Definition>>>;

    fn owners(&mut self) -> Result<Vec<OwnerId>>;
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
    /// What the branches of a run wait for: the name of an event, with its correlation if it has one.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn subscriptions(&mut self, run: RunId) -> Result<Vec<(BranchId, String)>>;
    /// The branches of a split that still exist, in branch order, from `from` on.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn range(&mut self, range: ChildRange, from: u32, limit: u32) -> Result<Vec<BranchRow>>;
    /// Branches that belong to a branch beside those that it waits for at its join, by range.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn loose(&mut self, parent: BranchId) -> Result<Vec<ChildRange>>;
    /// What the instance `index` of a map is made from; -1 is what all are made from.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn item(&mut self, run: RunId, scope: ActivationId, index: i64) -> Result<Option<Payload>>;
    /// Results of a map, by index, from `from` on.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn results(
        &mut self,
        run: RunId,
        scope: ActivationId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<ResultRow>>;
    /// How many instances of a map have succeeded, failed and were withdrawn, by their results.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn count_results(&mut self, run: RunId, scope: ActivationId) -> Result<[u64; 3]>;
    /// The maps that a run has begun, at most `limit`, oldest first.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn maps(&mut self, run: RunId, limit: u32) -> Result<Vec<MapRow>>;
    /// How far a map is; `None` when all its instances have ended.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn map_standing(
        &mut self,
        run: RunId,
        join: NodeId,
        scope: ActivationId,
    ) -> Result<Option<MapStanding>>;
    /// The step of a scope that is undone next: the last one that succeeded.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn last_undo(&mut self, run: RunId, scope: ActivationId) -> Result<Option<UndoRow>>;
    /// What a run remembers under names that begin with `prefix`: name and value.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn marks(&mut self, run: RunId, prefix: &str) -> Result<Vec<(String, i64)>>;
    /// The tokens that wait at a meet, by input.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn meeting(&mut self, run: RunId, meet: NodeId, scope: ActivationId)
    -> Result<Option<Meeting>>;
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
    /// The attempts of a run in the order in which they ended by the wall clock, those of one branch in
    /// their own.
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
    /// The workflow of this name and version.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<WorkflowKey>>;
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
