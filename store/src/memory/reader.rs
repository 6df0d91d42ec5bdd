//! Reads of what is between two transactions.

use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Fault, Meeting, NodeId, OwnerId, Payload, RunId,
    WorkflowKey,
};

use super::SharedRows;
use crate::apply::GATE;
use crate::backend::{JoinKey, MapRow, MapStanding, Reader, Result, ResultRow, UndoRow};
use crate::record::{BranchRow, ChildRange, HistoryRow, OwnerRow, State};
use crate::sync::Arc;

/// The reading side.
#[derive(Debug)]
pub(crate) struct MemoryReader {
    rows: Arc<SharedRows>,
}

impl MemoryReader {
    pub(crate) fn new(rows: Arc<SharedRows>) -> Self {
        Self { rows }
    }
}

impl Reader for MemoryReader {
    fn branch(&mut self, id: BranchId) -> Result<Option<BranchRow>> {
        Ok(self.rows.lock().branches.get(&id).cloned())
    }

    fn subscriptions(&mut self, run: RunId) -> Result<Vec<(BranchId, String)>> {
        let rows = self.rows.lock();
        let from = (run, String::new(), BranchId(i64::MIN));
        let own = rows.subscriptions.range(from..).map(|(key, _)| key);
        let own = own.take_while(|(of, ..)| *of == run);
        Ok(own
            .map(|(_, name, branch)| (*branch, name.clone()))
            .collect())
    }

    fn range(&mut self, range: ChildRange, from: u32, limit: u32) -> Result<Vec<BranchRow>> {
        let rows = self.rows.lock();
        let first = range.first.0;
        let all = BranchId(first + i64::from(from))..BranchId(first + i64::from(range.count));
        Ok(rows
            .branches
            .range(all)
            .take(limit as usize)
            .map(|(_, row)| row.clone())
            .collect())
    }

    fn loose(&mut self, parent: BranchId) -> Result<Vec<ChildRange>> {
        let loose = self.rows.lock().loose_of(parent);
        Ok(loose.into_iter().map(|loose| loose.range).collect())
    }

    fn item(&mut self, run: RunId, scope: ActivationId, index: i64) -> Result<Option<Payload>> {
        Ok(self.rows.lock().items.get(&(run, scope, index)).cloned())
    }

    fn results(
        &mut self,
        run: RunId,
        scope: ActivationId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<ResultRow>> {
        let rows = self.rows.lock();
        let all = rows
            .results
            .range((run, scope, from)..=(run, scope, u32::MAX));
        let page = all.take(limit as usize).map(|(_, row)| row.clone());
        Ok(page.collect())
    }

    fn count_results(&mut self, run: RunId, scope: ActivationId) -> Result<[u64; 3]> {
        let rows = self.rows.lock();
        let all = rows.results.range((run, scope, 0)..=(run, scope, u32::MAX));
        let mut counts = [0; 3];
        for (_, row) in all {
            let of = match row.outcome {
                Some(Ok(_)) => 0,
                Some(Err(_)) => 1,
                None => 2,
            };
            counts[of] += 1;
        }
        Ok(counts)
    }

    fn maps(&mut self, run: RunId, limit: u32) -> Result<Vec<MapRow>> {
        let rows = self.rows.lock();
        let all = (run, ActivationId(0))..=(run, ActivationId(u64::MAX));
        let maps = rows.maps.range(all).map(|(_, row)| *row);
        let mut maps: Vec<_> = maps.take(limit as usize).collect();
        maps.sort_by_key(|map| (map.begun_at, map.scope));
        Ok(maps)
    }

    fn map_standing(
        &mut self,
        run: RunId,
        join: NodeId,
        scope: ActivationId,
    ) -> Result<Option<MapStanding>> {
        let key = JoinKey::of_split(run, join, scope);
        let rows = self.rows.lock();
        Ok(rows.joins.get(&key).and_then(MapStanding::of))
    }

    fn last_undo(&mut self, run: RunId, scope: ActivationId) -> Result<Option<UndoRow>> {
        Ok(self.rows.lock().last_undo(run, scope))
    }

    fn marks(&mut self, run: RunId, prefix: &str) -> Result<Vec<(String, i64)>> {
        let marks = self.rows.lock().marks_of(run, prefix);
        Ok(marks
            .into_iter()
            .map(|mark| (mark.name, mark.value))
            .collect())
    }

    fn meeting(
        &mut self,
        run: RunId,
        meet: NodeId,
        scope: ActivationId,
    ) -> Result<Option<Meeting>> {
        let key = JoinKey::of_split(run, meet, scope);
        let rows = self.rows.lock();
        let more = rows.joins.get(&key).and_then(|count| count.more.as_ref());
        Ok(more.and_then(|more| more.meeting.clone()))
    }

    fn runs(&mut self, before: Option<RunId>, limit: u32) -> Result<Vec<BranchRow>> {
        let rows = self.rows.lock();
        let before = before.map_or(BranchId(i64::MAX), RunId::root);
        let roots = rows.branches.range(..before).rev().map(|(_, row)| row);
        Ok(roots
            .filter(|row| row.parent.is_none())
            .take(limit as usize)
            .cloned()
            .collect())
    }

    fn unfinished(&mut self, limit: u32) -> Result<Vec<BranchRow>> {
        let rows = self.rows.lock();
        let open = |row: &&BranchRow| row.parent.is_none() && row.ended_at.is_none();
        Ok(rows
            .branches
            .values()
            .rev()
            .filter(open)
            .take(limit as usize)
            .cloned()
            .collect())
    }

    fn history(&mut self, run: RunId) -> Result<Vec<HistoryRow>> {
        let rows = self.rows.lock();
        let history = rows.history_of(run).map(|(_, row)| row.clone());
        Ok(HistoryRow::by_end(history.collect()))
    }

    fn event(&mut self, run: RunId, seq: i64) -> Result<Option<(Payload, bool)>> {
        let rows = self.rows.lock();
        let mut events = rows.events.get(&run).into_iter().flatten();
        Ok(events
            .find(|event| event.seq == seq)
            .map(|e| (e.payload.clone(), e.is_fault)))
    }

    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>> {
        Ok(self.rows.lock().faults_of(run))
    }

    fn definition(&mut self, workflow: WorkflowKey) -> Result<Option<Arc<Definition>>> {
        Ok(self.rows.lock().workflows.get(&workflow).cloned())
    }

    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<WorkflowKey>> {
        let rows = self.rows.lock();
        let named = |known: &Definition| known.name() == name && known.version() == version;
        let found = rows.workflows.iter().find(|(_, known)| named(known));
        Ok(found.map(|(key, _)| *key))
    }

    fn owners(&mut self) -> Result<Vec<OwnerRow>> {
        Ok(self.rows.lock().owners.values().cloned().collect())
    }

    fn served_by(&mut self, _workflow: WorkflowKey) -> Result<Vec<OwnerId>> {
        Ok(Vec::new())
    }

    fn data_version(&mut self) -> Result<i64> {
        Ok(0)
    }

    fn admission(&mut self) -> Result<(u64, u64)> {
        let meta = &self.rows.lock().meta;
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok((positive(meta.unstarted), positive(meta.shed)))
    }

    fn leftovers(&mut self) -> Result<Vec<(&'static str, u64)>> {
        let rows = self.rows.lock();
        let unfinished = |row: &&BranchRow| {
            !(row.parent.is_none() && row.state.is_end())
                || row.owner != OwnerId(0)
                || row.due.is_some()
        };
        let failed = |run: &RunId| {
            rows.branches
                .get(&run.root())
                .is_some_and(|root| root.state == State::Failed)
        };
        // Like its events, the milestones of a failed run stay for a retry.
        let kept = |run: &RunId, name: &str| failed(run) && name.starts_with(GATE);
        Ok(vec![
            (
                "branches",
                rows.branches.values().filter(unfinished).count() as u64,
            ),
            ("joins", rows.joins.len() as u64),
            ("loose", rows.loose.len() as u64),
            (
                "marks",
                rows.marks
                    .keys()
                    .filter(|(run, name)| !kept(run, name))
                    .count() as u64,
            ),
            ("items", rows.items.len() as u64),
            ("deadlines", rows.deadlines.len() as u64),
            ("undo", rows.undo.len() as u64),
            (
                "events",
                rows.events.keys().filter(|run| !failed(run)).count() as u64,
            ),
            ("subscriptions", rows.subscriptions.len() as u64),
            ("limits", rows.limits.len() as u64),
            ("held", rows.held.len() as u64),
            ("sweeps", rows.sweeps.len() as u64),
            ("run_faults", rows.run_faults.len() as u64),
            (
                "unstarted",
                u64::try_from(rows.meta.unstarted).unwrap_or(u64::MAX),
            ),
        ])
    }
}
