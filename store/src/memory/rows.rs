//! The rows, with the indexes that find work.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Epoch, Fault, FencingToken, OwnerId, Payload, RunId,
    Timestamp, WorkflowKey,
};

use crate::backend::{
    EventRow, JoinCount, JoinKey, Loose, MapRow, Mark, Meta, ResultRow, RunLimit, Sweep, UndoRow,
};
use crate::record::{BranchRow, HistoryRow, OwnerRow, Rank, State};
use crate::sync::Arc;

pub(super) type HistoryKey = (RunId, BranchId, FencingToken, u32);

/// All rows, with the indexes that find work.
#[derive(Debug)]
pub(crate) struct Rows {
    pub(super) meta: Meta,
    pub(super) branches: BTreeMap<BranchId, BranchRow>,
    pub(super) ready: BTreeSet<(WorkflowKey, Rank, BranchId)>,
    pub(super) timers: BTreeSet<(Timestamp, BranchId)>,
    pub(super) joins: BTreeMap<JoinKey, JoinCount>,
    pub(super) loose: BTreeMap<(BranchId, BranchId), Loose>,
    pub(super) marks: BTreeMap<(RunId, String), Mark>,
    pub(super) items: BTreeMap<(RunId, ActivationId, i64), Payload>,
    pub(super) deadlines: BTreeSet<(Timestamp, RunId)>,
    pub(super) undo: BTreeMap<(RunId, ActivationId, i64), UndoRow>,
    pub(super) results: BTreeMap<(RunId, ActivationId, u32), ResultRow>,
    pub(super) maps: BTreeMap<(RunId, ActivationId), MapRow>,
    pub(super) events: BTreeMap<RunId, Vec<EventRow>>,
    /// With the arm that the branch takes.
    pub(super) subscriptions: BTreeMap<(RunId, String, BranchId), u32>,
    pub(super) limits: HashMap<RunId, RunLimit>,
    pub(super) held: BTreeSet<(RunId, BranchId)>,
    pub(super) sweeps: BTreeMap<i64, Sweep>,
    pub(super) run_faults: BTreeMap<(RunId, i64), Fault>,
    pub(super) dedupe: HashMap<String, RunId>,
    /// By run, branch, token and ordinal, as on disk.
    pub(super) history: BTreeMap<HistoryKey, HistoryRow>,
    pub(super) workflows: BTreeMap<WorkflowKey, Arc<Definition>>,
    pub(super) owners: BTreeMap<OwnerId, OwnerRow>,
}

impl Default for Rows {
    fn default() -> Self {
        let meta = Meta {
            next_id: 1,
            epoch: Epoch(1),
            unstarted: 0,
            shed: 0,
            retention_cursor: 0,
        };
        Self {
            meta,
            branches: BTreeMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            joins: BTreeMap::new(),
            loose: BTreeMap::new(),
            marks: BTreeMap::new(),
            items: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            undo: BTreeMap::new(),
            results: BTreeMap::new(),
            maps: BTreeMap::new(),
            events: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            limits: HashMap::new(),
            held: BTreeSet::new(),
            sweeps: BTreeMap::new(),
            run_faults: BTreeMap::new(),
            dedupe: HashMap::new(),
            history: BTreeMap::new(),
            workflows: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }
}

/// What the indexes say of a row.
#[derive(Clone, Copy, PartialEq)]
struct Indexed {
    ready: Option<(WorkflowKey, Rank)>,
    due: Option<Timestamp>,
}

impl Indexed {
    fn of(row: &BranchRow) -> Self {
        let free = row.state == State::Ready && row.owner == OwnerId(0);
        Self {
            ready: free.then_some((row.workflow, row.rank)),
            due: row.due,
        }
    }

    const NOWHERE: Self = Self {
        ready: None,
        due: None,
    };
}

impl Rows {
    pub(super) fn insert(&mut self, row: BranchRow) {
        self.index(row.id, Indexed::NOWHERE, Indexed::of(&row));
        self.branches.insert(row.id, row);
    }

    /// Changes a row in place. `None`: there is none, or `change` refused.
    pub(super) fn change<T>(
        &mut self,
        id: BranchId,
        change: impl FnOnce(&mut BranchRow) -> Option<T>,
    ) -> Option<T> {
        let row = self.branches.get_mut(&id)?;
        let before = Indexed::of(row);
        let changed = change(row)?;
        let after = Indexed::of(row);
        self.index(id, before, after);
        Some(changed)
    }

    pub(super) fn take(&mut self, id: BranchId) {
        if let Some(row) = self.branches.remove(&id) {
            self.index(id, Indexed::of(&row), Indexed::NOWHERE);
        }
    }

    fn index(&mut self, id: BranchId, before: Indexed, after: Indexed) {
        if before.ready != after.ready {
            if let Some((workflow, rank)) = before.ready {
                self.ready.remove(&(workflow, rank, id));
            }
            self.ready
                .extend(after.ready.map(|(workflow, rank)| (workflow, rank, id)));
        }
        if before.due != after.due {
            if let Some(due) = before.due {
                self.timers.remove(&(due, id));
            }
            self.timers.extend(after.due.map(|due| (due, id)));
        }
    }
}

impl Rows {
    pub(super) fn history_of(
        &self,
        run: RunId,
    ) -> impl Iterator<Item = (&HistoryKey, &HistoryRow)> {
        let first = (run, BranchId(i64::MIN), FencingToken(i64::MIN), 0);
        let all = self.history.range(first..);
        all.take_while(move |((of, ..), _)| *of == run)
    }

    pub(super) fn loose_of(&self, parent: BranchId) -> Vec<Loose> {
        let all = (parent, BranchId(0))..=(parent, BranchId(i64::MAX));
        self.loose.range(all).map(|(_, loose)| *loose).collect()
    }

    pub(super) fn last_undo(&self, run: RunId, scope: ActivationId) -> Option<UndoRow> {
        let all = (run, scope, i64::MIN)..=(run, scope, i64::MAX);
        self.undo.range(all).next_back().map(|(_, row)| row.clone())
    }

    pub(super) fn marks_of(&self, run: RunId, prefix: &str) -> Vec<Mark> {
        let from = self.marks.range((run, prefix.to_owned())..);
        let named = from.take_while(|((of, name), _)| *of == run && name.starts_with(prefix));
        named.map(|(_, mark)| mark.clone()).collect()
    }

    pub(super) fn faults_of(&self, run: RunId) -> Vec<Fault> {
        let of_run = self.run_faults.range((run, i64::MIN)..=(run, i64::MAX));
        of_run.map(|(_, fault)| fault.clone()).collect()
    }
}
