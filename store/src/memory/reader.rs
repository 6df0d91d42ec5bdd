//! Reads of what is between two transactions.

use windlass_workflow_model::{BranchId, Definition, Fault, OwnerId, Payload, RunId, WorkflowKey};

use super::SharedRows;
use crate::backend::{Reader, Result};
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

    fn detached(&mut self, run: RunId) -> Result<Vec<BranchId>> {
        Ok(self.rows.lock().detached_of(run))
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
        let mut history: Vec<_> = rows.history_of(run).map(|(_, row)| row.clone()).collect();
        history.sort_by_key(|row| (row.ended_at, row.branch, row.token, row.ordinal));
        Ok(history)
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
        Ok(vec![
            (
                "branches",
                rows.branches.values().filter(unfinished).count() as u64,
            ),
            ("joins", rows.joins.len() as u64),
            ("detached", rows.detached.len() as u64),
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
