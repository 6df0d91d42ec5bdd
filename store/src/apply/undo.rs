//! Compensation: what was done in a scope, or a run, is undone in reverse order when it fails or is
//! withdrawn.
//!
//! Each step that can be undone leaves a row when it succeeds, under the branch that waits for the
//! scope around it. A scope that ends well hands its rows to the scope around it. Undoing is work like
//! any other: one step at a time, each with a checkpoint, so a crash goes on where it was (Garcia-Molina,
//! Salem 1987, sagas).

use windlass_workflow_model::{ActivationId, BranchId, NodeId, NodeKind, Payload};

use super::Apply;
use crate::backend::{Guard, Result, Tables, UndoRow};
use crate::record::{BranchRow, Role, State, Undoing};

impl<T: Tables> Apply<'_, T> {
    /// A step of `job` has succeeded that can be undone.
    pub(super) fn note_undo(
        &mut self,
        job: &BranchRow,
        node: NodeId,
        activation: ActivationId,
        data: &Payload,
    ) -> Result<()> {
        let scope = self.scope_of(job)?;
        let seq = self.new_ids(1);
        self.tables.add_undo(&UndoRow {
            run: job.run,
            scope,
            seq,
            node,
            activation,
            data: data.clone(),
        })
    }

    /// The branch that waits for the innermost scope around `row`, or the first one of the run.
    fn scope_of(&mut self, row: &BranchRow) -> Result<BranchId> {
        let definition = self.definition(row.workflow)?;
        let mut at = row.parent;
        while let Some(id) = at {
            let Some(above) = self.tables.branch(id)? else {
                break;
            };
            if let NodeKind::Join { split, .. } = definition.node(above.position.node).kind
                && matches!(definition.node(split).kind, NodeKind::Scope { .. })
            {
                return Ok(id);
            }
            at = above.parent;
        }
        Ok(row.run.root())
    }

    /// The scope for which `job` waited is left: what was done in it belongs to the scope around.
    pub(super) fn hand_up_undo(&mut self, job: &BranchRow) -> Result<()> {
        if !self.definition(job.workflow)?.undoes() {
            return Ok(());
        }
        let around = self.scope_of(job)?;
        if around == job.id {
            return Ok(());
        }
        self.tables.hand_undo(job.run, job.id, around)
    }

    /// `row` is about to be withdrawn with all below it: what was done there is undone with `row`
    /// itself, if that waits for a scope and `itself` is said, else with the scope around it.
    pub(super) fn gather_undo(&mut self, row: &BranchRow, itself: bool) -> Result<()> {
        let definition = self.definition(row.workflow)?;
        if !definition.undoes() {
            return Ok(());
        }
        let is_scope = match definition.node(row.position.node).kind {
            NodeKind::Join { split, .. } => {
                matches!(definition.node(split).kind, NodeKind::Scope { .. })
            }
            _ => false,
        };
        let to = if itself && is_scope {
            row.id
        } else {
            self.scope_of(row)?
        };
        for below in self.live(row.clone())? {
            if below.id != to {
                self.tables.hand_undo(row.run, below.id, to)?;
            }
        }
        Ok(())
    }

    /// Whether the end of a run has to wait until its steps are undone; then `root` is made a job.
    pub(super) fn undo_run(&mut self, root: &mut BranchRow) -> Result<bool> {
        let fails = root.record.reason.is_some() || root.record.fault.is_some();
        if !self.definition(root.workflow)?.undoes() {
            return Ok(false);
        }
        if !fails {
            self.tables.delete_all_undo(root.run)?;
            return Ok(false);
        }
        if !self.tables.has_undo(root.run, root.id)? {
            return Ok(false);
        }
        root.record.flow_mut().undoing = Some(Undoing::Run);
        self.make_ready(root)?;
        Ok(true)
    }

    /// Whether the withdrawal of a branch has to wait until the steps of its scope are undone; then
    /// `row` is made a job, which the caller writes.
    pub(super) fn undo_branch(&mut self, row: &mut BranchRow, reason: &str) -> Result<bool> {
        if !self.definition(row.workflow)?.undoes() || !self.tables.has_undo(row.run, row.id)? {
            return Ok(false);
        }
        row.record.reason = None;
        let flow = row.record.flow_mut();
        flow.cancelled = false;
        flow.undoing = Some(Undoing::Branch(reason.to_owned()));
        self.make_ready(row)?;
        Ok(true)
    }

    /// A step was undone: `row` is the branch, as it was, and goes on undoing or to its end.
    pub(super) fn undone(
        &mut self,
        row: &mut BranchRow,
        scope: BranchId,
        seq: Option<i64>,
    ) -> Result<()> {
        if let Some(seq) = seq {
            self.tables.delete_undo(row.run, scope, seq)?;
        }
        if self.tables.has_undo(row.run, scope)? {
            return self.make_ready(row);
        }
        match row.record.flow().undoing.clone() {
            Some(Undoing::Run) => {
                row.record.flow_mut().undoing = None;
                self.conclude(row)
            }
            Some(Undoing::Branch(reason)) => {
                let flow = row.record.flow_mut();
                flow.undoing = None;
                flow.cancelled = true;
                row.record.reason = Some(reason);
                row.state = State::Arrived;
                if row.record.flow().role == Role::Instance {
                    self.end_instance(row)?;
                }
                Ok(())
            }
            // The scope fails now, by what it was failing of.
            None => self.make_ready(row),
        }
    }

    /// A branch was withdrawn whose row is written: its end, or first the undoing of its scope.
    pub(super) fn end_withdrawn(&mut self, mut row: BranchRow, reason: &str) -> Result<()> {
        if self.undo_branch(&mut row, reason)? {
            self.tables.update(&row, Guard::Read)?;
            return self.dispatch_loaded(&row);
        }
        self.end_branch(row)
    }
}
