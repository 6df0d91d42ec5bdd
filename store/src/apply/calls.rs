//! Runs that a branch of another run calls.

use std::time::Duration;

use windlass_workflow_model::{BranchId, Fault, NodeKind, RunId, codes};

use super::Apply;
use crate::backend::{Guard, Result, Tables};
use crate::change::CalledRun;
use crate::record::{BranchRow, Caller, State};

impl<T: Tables> Apply<'_, T> {
    /// Starts the run that `row` waits for from now on.
    pub(super) fn begin_call(
        &mut self,
        row: &mut BranchRow,
        called: Option<&CalledRun>,
    ) -> Result<()> {
        let Some(called) = called else {
            let text = "a call came without the run that it calls";
            row.record.flow_mut().refused = Some(Fault::new(codes::INTERNAL, text).permanent());
            return self.make_ready(row);
        };
        match self.call(row, Some(row.id), called)? {
            Ok(run) => {
                row.state = State::Calling;
                row.record.flow_mut().called = Some(run);
                let limit = self.call_limit(row)?;
                row.due = limit.map(|limit| self.now.after(limit));
                Ok(())
            }
            Err(fault) => {
                row.record.flow_mut().refused = Some(fault);
                self.make_ready(row)
            }
        }
    }

    /// How long the run that `row` waits for may take.
    fn call_limit(&mut self, row: &BranchRow) -> Result<Option<Duration>> {
        let definition = self.definition(row.workflow)?;
        let node = definition.get(row.position.node).map(|node| &node.kind);
        Ok(match node {
            Some(NodeKind::Call(call)) => call.timeout_ms.map(Duration::from_millis),
            _ => None,
        })
    }

    /// The time of the run that `row` waits for is over: it is withdrawn, and the call fails.
    pub(super) fn end_call_early(&mut self, row: &mut BranchRow) -> Result<()> {
        let limit = self.call_limit(row)?.unwrap_or_default();
        let called = row.record.flow_mut().called.take();
        row.record.flow_mut().refused = Some(Fault::late(limit).permanent());
        self.make_ready(row)?;
        // Before the run ends, which looks for whoever waits for it.
        self.tables.update(row, Guard::Read)?;
        if let Some(called) = called {
            let _ = self.cancel(called, "the time of its caller's step is over")?;
        }
        Ok(())
    }

    /// Starts a run that nobody waits for. Where calls are nested too deep, the run fails when all
    /// else is done, since nobody else can be told.
    pub(super) fn call_detached(&mut self, row: &BranchRow, called: &CalledRun) -> Result<()> {
        if let Err(fault) = self.call(row, None, called)? {
            let seq = self.new_ids(1);
            self.tables.add_run_fault(row.run, seq, &fault)?;
        }
        Ok(())
    }

    fn call(
        &mut self,
        row: &BranchRow,
        waits: Option<BranchId>,
        called: &CalledRun,
    ) -> Result<std::result::Result<RunId, Fault>> {
        let root = match row.parent {
            None => Some(row.clone()),
            Some(_) => self.tables.branch(row.run.root())?,
        };
        let above = root.and_then(|root| root.record.flow().caller);
        let depth = above.map_or(1, |above| above.depth + 1);
        if depth > called.depth_max {
            let text = format!(
                "calls are nested {depth} deep, {} is the bound: end the recursion earlier, or raise it",
                called.depth_max
            );
            return Ok(Err(Fault::new(codes::CALL_DEPTH, text).permanent()));
        }
        let by = Caller {
            run: row.run,
            branch: waits,
            depth,
        };
        self.begin_run(&called.admit, 0, Some(by)).map(Ok)
    }

    /// A run has ended: whoever called it goes on.
    pub(super) fn return_to_caller(&mut self, root: &BranchRow) -> Result<()> {
        let Some(Caller {
            branch: Some(branch),
            ..
        }) = root.record.flow().caller
        else {
            return Ok(());
        };
        let Some(mut row) = self.tables.branch(branch)? else {
            return Ok(());
        };
        if row.state != State::Calling || row.record.flow().called != Some(root.run) {
            return Ok(());
        }
        self.make_ready(&mut row)?;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)
    }

    /// Whether an ended run is waited for still: its caller has not read what it brought.
    pub(super) fn is_wanted(&mut self, root: &BranchRow) -> Result<bool> {
        let Some(caller) = root.record.flow().caller else {
            return Ok(false);
        };
        let above = self.tables.branch(caller.run.root())?;
        Ok(above.is_some_and(|above| !above.state.is_end()))
    }
}
