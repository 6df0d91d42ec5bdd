//! The backend in memory: the same rows in ordered maps, gone with the process.

mod reader;
mod rows;

use std::ops::Range;

use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Fault, FencingToken, OwnerId, Payload, RunId, Timestamp,
    WorkflowKey,
};

use crate::backend::{
    Backend, EventRow, Guard, JoinCount, JoinKey, Loose, MapRow, Mark, Meta, Ready, Result,
    ResultRow, RunLimit, SqlEffect, Sweep, Tables, UndoRow,
};
use crate::record::{BranchRow, ChildRange, HistoryRow, OwnerRow, Rank, State, flags};
use crate::sync::{Arc, Mutex, MutexGuard};

pub(crate) use reader::MemoryReader;
use rows::Rows;

/// The rows: readers see what is between two transactions and nothing else.
pub(crate) type SharedRows = Mutex<Rows>;

/// The writing side.
pub(crate) struct MemoryBackend {
    rows: Arc<SharedRows>,
}

impl MemoryBackend {
    pub(crate) fn new(rows: Arc<SharedRows>) -> Self {
        Self { rows }
    }
}

impl Backend for MemoryBackend {
    type Transaction<'t> = MemoryTransaction<'t>;

    fn begin(&mut self) -> Result<(MemoryTransaction<'_>, bool)> {
        let rows = self.rows.lock();
        Ok((MemoryTransaction { rows }, false))
    }

    fn tidy(&mut self) -> Result<()> {
        Ok(())
    }

    fn finish(&mut self) {}
}

/// An open transaction: nobody else sees the rows until it ends. It cannot fail half way, since
/// whatever ends it early does so before it has written.
pub(crate) struct MemoryTransaction<'t> {
    rows: MutexGuard<'t, Rows>,
}

impl Tables for MemoryTransaction<'_> {
    fn commit(self) -> Result<()> {
        Ok(())
    }

    fn rows_written(&mut self) -> Result<u64> {
        Ok(0)
    }

    fn meta(&mut self) -> Result<Meta> {
        Ok(self.rows.meta.clone())
    }

    fn set_meta(&mut self, meta: &Meta) -> Result<()> {
        self.rows.meta = meta.clone();
        Ok(())
    }

    fn insert(&mut self, row: &BranchRow) -> Result<()> {
        self.rows.insert(row.clone());
        Ok(())
    }

    fn branch(&mut self, id: BranchId) -> Result<Option<BranchRow>> {
        Ok(self.rows.branches.get(&id).cloned())
    }

    fn update(&mut self, row: &BranchRow, guard: Guard) -> Result<bool> {
        let written = self.rows.change(row.id, |stored| {
            if let Guard::Lock(key, flags) = guard
                && (stored.key() != key || stored.flags != flags)
            {
                return None;
            }
            // What an update leaves as it is.
            let (created_at, parent) = (stored.created_at, stored.parent);
            stored.clone_from(row);
            (stored.created_at, stored.parent) = (created_at, parent);
            Some(())
        });
        Ok(written.is_some())
    }

    fn delete(&mut self, first: BranchId, count: u32) -> Result<()> {
        let rows = &mut *self.rows;
        for id in (first.0..).take(count as usize) {
            rows.take(BranchId(id));
        }
        Ok(())
    }

    fn delete_arrived(&mut self, first: BranchId, count: u32) -> Result<()> {
        for id in (first.0..).take(count as usize).map(BranchId) {
            let row = self.rows.branches.get(&id);
            if row.is_some_and(|row| row.state == State::Arrived) {
                self.rows.take(id);
            }
        }
        Ok(())
    }

    fn hand_branches(&mut self, range: ChildRange, from: BranchId, to: BranchId) -> Result<()> {
        let end = BranchId(range.first.0 + i64::from(range.count));
        for row in self.rows.branches.range_mut(range.first..end) {
            if row.1.parent == Some(from) {
                row.1.parent = Some(to);
            }
        }
        Ok(())
    }

    fn under_way(&mut self, first: BranchId, count: u32) -> Result<Vec<BranchRow>> {
        let range = self.rows.branches.range(first..);
        let rows = range.take_while(|(id, _)| id.0 < first.0 + i64::from(count));
        let going = rows.filter(|(_, row)| row.state != State::Arrived);
        Ok(going.map(|(_, row)| row.clone()).collect())
    }

    fn ready_keys(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<(Rank, BranchId)>> {
        let all = (workflow, Rank(0), BranchId(0))..=(workflow, Rank(u8::MAX), BranchId(i64::MAX));
        let keys = self.rows.ready.range(all).take(limit as usize);
        Ok(keys.map(|(_, rank, id)| (*rank, *id)).collect())
    }

    fn ready(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Ready> {
        let all = (workflow, Rank(0), BranchId(0))..=(workflow, Rank(u8::MAX), BranchId(i64::MAX));
        let mut ready = self.rows.ready.range(all).map(|(_, _, id)| *id);
        let rows = ready.by_ref().take(limit as usize);
        let rows = rows.filter_map(|id| self.rows.branches.get(&id).cloned());
        Ok(Ready {
            rows: rows.collect(),
            all: ready.next().is_none(),
        })
    }

    fn ready_oldest(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<BranchId>> {
        let rows = &*self.rows;
        let mut oldest: Vec<_> = (0..20)
            .flat_map(|rank| {
                let rank = Rank(rank);
                let all = (workflow, rank, BranchId(0))..=(workflow, rank, BranchId(i64::MAX));
                rows.ready
                    .range(all)
                    .take(limit as usize)
                    .map(|(_, _, id)| *id)
            })
            .collect();
        oldest.sort_unstable();
        oldest.truncate(limit as usize);
        Ok(oldest)
    }

    fn lock(&mut self, row: &mut BranchRow, owner: OwnerId) -> Result<()> {
        (row.owner, row.token) = (owner, FencingToken(row.token.0 + 1));
        self.update(row, Guard::Read).map(|_| ())
    }

    fn locked_by(&mut self, owner: OwnerId, after: BranchId, limit: u32) -> Result<Vec<BranchRow>> {
        // Asked once in the life of an engine, when it stops.
        let later = self.rows.branches.range(BranchId(after.0 + 1)..);
        let locked = later.filter(|(_, row)| row.owner == owner);
        Ok(locked
            .take(limit as usize)
            .map(|(_, row)| row.clone())
            .collect())
    }

    fn due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<BranchId>> {
        let rows = &*self.rows;
        let due = rows.timers.range(..=(now, BranchId(i64::MAX)));
        Ok(due.take(limit as usize).map(|(_, id)| *id).collect())
    }

    fn next_due(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.rows.timers.first().map(|(due, _)| *due))
    }

    fn unstarted(&mut self, from: BranchId, limit: u32) -> Result<Vec<BranchRow>> {
        let rows = &*self.rows;
        let waits = |row: &&BranchRow| {
            row.flags & flags::UNSTARTED != 0 && matches!(row.state, State::Ready | State::Timer)
        };
        Ok(rows
            .branches
            .range(from..)
            .map(|(_, row)| row)
            .filter(waits)
            .take(limit as usize)
            .cloned()
            .collect())
    }

    fn runs_from(&mut self, from: i64, limit: u32) -> Result<Vec<(RunId, Option<Timestamp>)>> {
        let rows = &*self.rows;
        let runs = rows.branches.range(BranchId(from)..).map(|(_, row)| row);
        let roots = runs.filter(|row| row.parent.is_none()).take(limit as usize);
        Ok(roots.map(|row| (row.run, row.ended_at)).collect())
    }

    fn join(&mut self, key: JoinKey) -> Result<Option<JoinCount>> {
        Ok(self.rows.joins.get(&key).cloned())
    }

    fn set_join(&mut self, key: JoinKey, count: JoinCount) -> Result<()> {
        self.rows.joins.insert(key, count);
        Ok(())
    }

    fn delete_join(&mut self, key: JoinKey) -> Result<()> {
        self.rows.joins.remove(&key);
        Ok(())
    }

    fn delete_scope_joins(&mut self, run: RunId, scope: ActivationId) -> Result<()> {
        let of_scope = |key: &JoinKey, _: &mut JoinCount| key.scope == scope;
        let joins = self.rows.joins.extract_if(joins_of(run), of_scope);
        joins.for_each(drop);
        Ok(())
    }

    fn delete_joins(&mut self, run: RunId) -> Result<()> {
        let joins = self.rows.joins.extract_if(joins_of(run), |_, _| true);
        joins.for_each(drop);
        Ok(())
    }

    fn add_loose(&mut self, loose: &Loose) -> Result<()> {
        let key = (loose.parent, loose.range.first);
        self.rows.loose.insert(key, *loose);
        Ok(())
    }

    fn remove_loose(&mut self, parent: BranchId, first: BranchId) -> Result<()> {
        self.rows.loose.remove(&(parent, first));
        Ok(())
    }

    fn loose(&mut self, parent: BranchId) -> Result<Vec<Loose>> {
        Ok(self.rows.loose_of(parent))
    }

    fn mark(&mut self, run: RunId, name: &str) -> Result<Option<Mark>> {
        Ok(self.rows.marks.get(&(run, name.to_owned())).cloned())
    }

    fn set_mark(&mut self, mark: &Mark) -> Result<()> {
        let key = (mark.run, mark.name.clone());
        self.rows.marks.insert(key, mark.clone());
        Ok(())
    }

    fn delete_mark(&mut self, run: RunId, name: &str) -> Result<()> {
        self.rows.marks.remove(&(run, name.to_owned()));
        Ok(())
    }

    fn marks(&mut self, run: RunId, prefix: &str) -> Result<Vec<Mark>> {
        Ok(self.rows.marks_of(run, prefix))
    }

    fn marks_of(&mut self, owner: OwnerId) -> Result<Vec<Mark>> {
        let marks = self.rows.marks.values();
        Ok(marks.filter(|mark| mark.owner == owner).cloned().collect())
    }

    fn delete_marks(&mut self, run: RunId) -> Result<()> {
        let marks = self.rows.marks.extract_if(named_of(run), |_, _| true);
        marks.for_each(drop);
        Ok(())
    }

    fn item(&mut self, run: RunId, scope: ActivationId, index: i64) -> Result<Option<Payload>> {
        Ok(self.rows.items.get(&(run, scope, index)).cloned())
    }

    fn set_item(
        &mut self,
        run: RunId,
        scope: ActivationId,
        index: i64,
        data: &Payload,
    ) -> Result<()> {
        self.rows.items.insert((run, scope, index), data.clone());
        Ok(())
    }

    fn delete_items(&mut self, run: RunId, scope: ActivationId, limit: u32) -> Result<u32> {
        let all = (run, scope, i64::MIN)..=(run, scope, i64::MAX);
        let keys = self.rows.items.range(all).map(|(key, _)| *key);
        let gone: Vec<_> = keys.take(limit as usize).collect();
        for key in &gone {
            self.rows.items.remove(key);
        }
        Ok(u32::try_from(gone.len()).unwrap_or(u32::MAX))
    }

    fn delete_all_items(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let from = (run, ActivationId(0), i64::MIN);
        let all = from..=(run, ActivationId(u64::MAX), i64::MAX);
        let keys = self.rows.items.range(all).map(|(key, _)| *key);
        let gone: Vec<_> = keys.take(limit as usize).collect();
        for key in &gone {
            self.rows.items.remove(key);
        }
        Ok(u32::try_from(gone.len()).unwrap_or(u32::MAX))
    }

    fn set_deadline(&mut self, run: RunId, due: Timestamp) -> Result<()> {
        self.rows.deadlines.insert((due, run));
        Ok(())
    }

    fn delete_deadline(&mut self, run: RunId) -> Result<()> {
        self.rows.deadlines.retain(|(_, of)| *of != run);
        Ok(())
    }

    fn overdue(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        let due = self
            .rows
            .deadlines
            .iter()
            .take_while(|(due, _)| *due <= now);
        Ok(due.take(limit as usize).map(|(_, run)| *run).collect())
    }

    fn next_deadline(&mut self) -> Result<Option<Timestamp>> {
        Ok(self.rows.deadlines.first().map(|(due, _)| *due))
    }

    fn add_undo(&mut self, row: &UndoRow) -> Result<()> {
        let key = (row.run, row.scope, row.seq);
        self.rows.undo.insert(key, row.clone());
        Ok(())
    }

    fn delete_undo(&mut self, run: RunId, scope: ActivationId, seq: i64) -> Result<()> {
        self.rows.undo.remove(&(run, scope, seq));
        Ok(())
    }

    fn has_undo(&mut self, run: RunId, scope: ActivationId) -> Result<bool> {
        Ok(self.rows.last_undo(run, scope).is_some())
    }

    fn hand_undo(&mut self, run: RunId, from: ActivationId, to: ActivationId) -> Result<()> {
        while let Some(row) = self.rows.last_undo(run, from) {
            self.rows.undo.remove(&(run, from, row.seq));
            let key = (run, to, row.seq);
            self.rows.undo.insert(key, UndoRow { scope: to, ..row });
        }
        Ok(())
    }

    fn hand_all_undo(&mut self, run: RunId) -> Result<()> {
        let to = ActivationId::ORIGIN;
        let rows = self.rows.undo.keys().filter(|(of, ..)| *of == run);
        let scopes: std::collections::BTreeSet<_> = rows.map(|(_, scope, _)| *scope).collect();
        for from in scopes.into_iter().filter(|from| *from != to) {
            self.hand_undo(run, from, to)?;
        }
        Ok(())
    }

    fn delete_all_undo(&mut self, run: RunId) -> Result<()> {
        let first = |run| (run, ActivationId(0), i64::MIN);
        let range = first(run)..first(RunId(run.0 + 1));
        let undo = self.rows.undo.extract_if(range, |_, _| true);
        undo.for_each(drop);
        Ok(())
    }

    fn run_effects(
        &mut self,
        _branch: BranchId,
        effects: &[SqlEffect],
    ) -> Result<std::result::Result<(), String>> {
        let why = "an engine in memory has no database to write to: open it on a file";
        Ok(if effects.is_empty() {
            Ok(())
        } else {
            Err(why.to_owned())
        })
    }

    fn insert_map(&mut self, run: RunId, row: &MapRow) -> Result<()> {
        self.rows.maps.insert((run, row.scope), *row);
        Ok(())
    }

    fn insert_result(&mut self, run: RunId, scope: ActivationId, row: &ResultRow) -> Result<()> {
        let key = (run, scope, row.index);
        self.rows.results.insert(key, row.clone());
        Ok(())
    }

    fn move_result(
        &mut self,
        run: RunId,
        from: ActivationId,
        to: ActivationId,
        index: u32,
    ) -> Result<()> {
        if let Some(row) = self.rows.results.remove(&(run, from, index)) {
            self.rows.results.insert((run, to, index), row);
        }
        Ok(())
    }

    fn delete_results(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let all = (run, ActivationId(0), 0)..=(run, ActivationId(u64::MAX), u32::MAX);
        let keys = self.rows.results.range(all).map(|(key, _)| *key);
        let gone: Vec<_> = keys.take(limit as usize).collect();
        for key in &gone {
            self.rows.results.remove(key);
        }
        let left = (limit as usize).saturating_sub(gone.len());
        let all = (run, ActivationId(0))..=(run, ActivationId(u64::MAX));
        let maps = self.rows.maps.range(all).map(|(key, _)| *key);
        let maps: Vec<_> = maps.take(left).collect();
        for key in &maps {
            self.rows.maps.remove(key);
        }
        Ok(u32::try_from(gone.len() + maps.len()).unwrap_or(u32::MAX))
    }

    fn event(&mut self, run: RunId, name: &str, id: &str) -> Result<Option<EventRow>> {
        let rows = &*self.rows;
        let mut events = rows.events.get(&run).into_iter().flatten();
        Ok(events
            .find(|event| event.name == name && event.id == id)
            .cloned())
    }

    fn insert_event(&mut self, event: &EventRow) -> Result<()> {
        self.rows
            .events
            .entry(event.run)
            .or_default()
            .push(event.clone());
        Ok(())
    }

    fn count_events(&mut self, run: RunId) -> Result<u32> {
        let rows = &*self.rows;
        Ok(rows
            .events
            .get(&run)
            .map_or(0, |events| u32::try_from(events.len()).unwrap_or(u32::MAX)))
    }

    fn next_event(&mut self, run: RunId, name: &str) -> Result<Option<EventRow>> {
        let rows = &*self.rows;
        let events = rows.events.get(&run).into_iter().flatten();
        let open = events.filter(|event| event.name == name && !event.consumed);
        Ok(open.min_by_key(|event| event.seq).cloned())
    }

    fn consume_event(&mut self, event: &EventRow) -> Result<()> {
        let rows = &mut *self.rows;
        for stored in rows.events.get_mut(&event.run).into_iter().flatten() {
            stored.consumed |= stored.seq == event.seq;
        }
        Ok(())
    }

    fn subscribe(&mut self, run: RunId, name: &str, branch: BranchId, arm: u32) -> Result<()> {
        let key = (run, name.to_owned(), branch);
        self.rows.subscriptions.entry(key).or_insert(arm);
        Ok(())
    }

    fn subscriber(&mut self, run: RunId, name: &str) -> Result<Option<(BranchId, u32)>> {
        let rows = &*self.rows;
        let from = (run, name.to_owned(), BranchId(0));
        let first = rows.subscriptions.range(from..).next();
        Ok(first
            .filter(|((of, event, _), _)| *of == run && event == name)
            .map(|((_, _, branch), arm)| (*branch, *arm)))
    }

    fn subscribers(&mut self, run: RunId, name: &str) -> Result<Vec<BranchId>> {
        let waits = self.waits(run, name)?.into_iter();
        let exactly = waits.filter(|(event, _)| event == name);
        Ok(exactly.map(|(_, branch)| branch).collect())
    }

    fn waits(&mut self, run: RunId, prefix: &str) -> Result<Vec<(String, BranchId)>> {
        let rows = &*self.rows;
        let from = (run, prefix.to_owned(), BranchId(0));
        let waits = rows.subscriptions.range(from..).map(|(key, _)| key);
        let named = waits.take_while(|(of, name, _)| *of == run && name.starts_with(prefix));
        Ok(named
            .map(|(_, name, branch)| (name.clone(), *branch))
            .collect())
    }

    fn unsubscribe(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let of_branch = |key: &(RunId, String, BranchId), _: &mut u32| key.2 == branch;
        let waits = &mut self.rows.subscriptions;
        waits.extract_if(waits_of(run), of_branch).for_each(drop);
        Ok(())
    }

    fn delete_events(&mut self, run: RunId) -> Result<()> {
        self.rows.events.remove(&run);
        let waits = &mut self.rows.subscriptions;
        waits.extract_if(waits_of(run), |_, _| true).for_each(drop);
        Ok(())
    }

    fn limit(&mut self, run: RunId) -> Result<Option<RunLimit>> {
        Ok(self.rows.limits.get(&run).copied())
    }

    fn set_limit(&mut self, run: RunId, limit: RunLimit) -> Result<()> {
        self.rows.limits.insert(run, limit);
        Ok(())
    }

    fn delete_limit(&mut self, run: RunId) -> Result<()> {
        let rows = &mut *self.rows;
        rows.limits.remove(&run);
        let held: Vec<_> = rows
            .held
            .range((run, BranchId(0))..=(run, BranchId(i64::MAX)))
            .copied()
            .collect();
        for key in held {
            rows.held.remove(&key);
        }
        Ok(())
    }

    fn hold(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        self.rows.held.insert((run, branch));
        Ok(())
    }

    fn is_held(&mut self, run: RunId, branch: BranchId) -> Result<bool> {
        Ok(self.rows.held.contains(&(run, branch)))
    }

    fn first_held(&mut self, run: RunId) -> Result<Option<BranchId>> {
        let rows = &*self.rows;
        let mut of_run = rows
            .held
            .range((run, BranchId(0))..=(run, BranchId(i64::MAX)));
        Ok(of_run.next().map(|(_, branch)| *branch))
    }

    fn unhold(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        self.rows.held.remove(&(run, branch));
        Ok(())
    }

    fn add_sweep(&mut self, sweep: &Sweep) -> Result<()> {
        self.rows.sweeps.insert(sweep.id, *sweep);
        Ok(())
    }

    fn set_sweep(&mut self, sweep: &Sweep) -> Result<()> {
        self.add_sweep(sweep)
    }

    fn delete_sweep(&mut self, id: i64) -> Result<()> {
        self.rows.sweeps.remove(&id);
        Ok(())
    }

    fn first_sweep(&mut self) -> Result<Option<Sweep>> {
        Ok(self.rows.sweeps.first_key_value().map(|(_, sweep)| *sweep))
    }

    fn sweeps(&mut self, run: RunId) -> Result<Vec<Sweep>> {
        let sweeps = self.rows.sweeps.values();
        Ok(sweeps.filter(|sweep| sweep.run == run).copied().collect())
    }

    fn has_sweep(&mut self, run: RunId) -> Result<bool> {
        Ok(self.rows.sweeps.values().any(|sweep| sweep.run == run))
    }

    fn add_run_fault(&mut self, run: RunId, seq: i64, fault: &Fault) -> Result<()> {
        self.rows.run_faults.insert((run, seq), fault.clone());
        Ok(())
    }

    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>> {
        Ok(self.rows.faults_of(run))
    }

    fn delete_run_faults(&mut self, run: RunId) -> Result<()> {
        let range = (run, i64::MIN)..(RunId(run.0 + 1), i64::MIN);
        let faults = self.rows.run_faults.extract_if(range, |_, _| true);
        faults.for_each(drop);
        Ok(())
    }

    fn dedupe(&mut self, key: &str) -> Result<Option<RunId>> {
        Ok(self.rows.dedupe.get(key).copied())
    }

    fn set_dedupe(&mut self, key: &str, run: RunId) -> Result<()> {
        self.rows.dedupe.insert(key.to_owned(), run);
        Ok(())
    }

    fn delete_dedupe(&mut self, key: &str) -> Result<()> {
        self.rows.dedupe.remove(key);
        Ok(())
    }

    fn insert_history(&mut self, row: HistoryRow) -> Result<()> {
        let key = (row.run, row.branch, row.token, row.ordinal);
        self.rows.history.insert(key, row);
        Ok(())
    }

    fn delete_history_upto(
        &mut self,
        run: RunId,
        branch: BranchId,
        last: FencingToken,
    ) -> Result<u32> {
        let first = (run, branch, FencingToken(0), 0);
        let keys = self
            .rows
            .history
            .range(first..=(run, branch, last, u32::MAX));
        let gone: Vec<_> = keys.map(|(key, _)| *key).collect();
        for key in &gone {
            self.rows.history.remove(key);
        }
        Ok(u32::try_from(gone.len()).unwrap_or(u32::MAX))
    }

    fn delete_history(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let keys = self.rows.history_of(run).map(|(key, _)| *key);
        let gone: Vec<_> = keys.take(limit as usize).collect();
        for key in &gone {
            self.rows.history.remove(key);
        }
        Ok(u32::try_from(gone.len()).unwrap_or(u32::MAX))
    }

    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<(WorkflowKey, u64)>> {
        let rows = &*self.rows;
        let named = |w: &Arc<Definition>| w.name() == name && w.version() == version;
        let found = rows.workflows.iter().find(|(_, workflow)| named(workflow));
        Ok(found.map(|(key, workflow)| (*key, workflow.fingerprint())))
    }

    fn insert_workflow(&mut self, key: WorkflowKey, definition: &Definition) -> Result<()> {
        self.rows
            .workflows
            .insert(key, Arc::new(definition.clone()));
        Ok(())
    }

    fn definition(&mut self, key: WorkflowKey) -> Result<Option<Arc<Definition>>> {
        Ok(self.rows.workflows.get(&key).cloned())
    }

    fn owners(&mut self) -> Result<Vec<OwnerId>> {
        Ok(self.rows.owners.keys().copied().collect())
    }

    fn insert_owner(&mut self, owner: &OwnerRow) -> Result<()> {
        self.rows.owners.insert(owner.id, owner.clone());
        Ok(())
    }

    fn delete_owner(&mut self, owner: OwnerId) -> Result<()> {
        self.rows.owners.remove(&owner);
        Ok(())
    }

    fn add_serves(&mut self, _workflow: WorkflowKey, _owner: OwnerId) -> Result<()> {
        Ok(()) // There is one engine, which can be asked itself.
    }
}

/// The keys of all joins of a run.
fn joins_of(run: RunId) -> Range<JoinKey> {
    let first = |run| JoinKey {
        run,
        node: i64::MIN,
        scope: ActivationId(0),
        round: i64::MIN,
    };
    first(run)..first(RunId(run.0 + 1))
}

/// The keys of all that a run has under names.
fn named_of(run: RunId) -> Range<(RunId, String)> {
    (run, String::new())..(RunId(run.0 + 1), String::new())
}

/// The keys of all waits of a run.
fn waits_of(run: RunId) -> Range<(RunId, String, BranchId)> {
    let first = |run| (run, String::new(), BranchId(i64::MIN));
    first(run)..first(RunId(run.0 + 1))
}
