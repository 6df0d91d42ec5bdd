//! Runs that take too long.

use windlass_workflow_model::{Fault, RunId, Timestamp, codes};

use super::Apply;
use crate::backend::{Result, Tables};
use crate::limits::TIMERS_FIRED_MAX;
use crate::record::BranchRow;

impl<T: Tables> Apply<'_, T> {
    /// Notes when a new run must have ended.
    pub(super) fn set_deadline(&mut self, root: &mut BranchRow, due: Timestamp) -> Result<()> {
        root.record.flow_mut().deadline = Some(due);
        self.tables.set_deadline(root.run, due)?;
        self.note_due(due);
        Ok(())
    }

    /// Ends the runs whose time is over.
    pub(super) fn end_overdue(&mut self) -> Result<()> {
        for run in self.tables.overdue(self.now, TIMERS_FIRED_MAX)? {
            self.tables.delete_deadline(run)?;
            self.end_late(run)?;
        }
        if let Some(due) = self.tables.next_deadline()? {
            self.note_due(due);
        }
        Ok(())
    }

    fn end_late(&mut self, run: RunId) -> Result<()> {
        let Some(mut root) = self.tables.branch(run.root())? else {
            return Ok(());
        };
        if root.state.is_end() || root.is_withdrawn() {
            return Ok(());
        }
        let text = "the run took longer than its deadline: raise it, or find out what holds it up";
        let fault = Fault::new(codes::RUN_DEADLINE, text).permanent();
        let before = root.record.fault.take();
        root.record.fault = Some(Fault::join(before.into_iter().chain([fault])));
        self.withdraw_run(root)
    }
}
