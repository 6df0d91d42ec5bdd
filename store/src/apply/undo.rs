//! Compensation: what was done in a scope, or a run, is undone in reverse order when it fails or is
//! withdrawn.
//!
//! Each step that can be undone leaves a row when it succeeds, under the scope around it. A scope that
//! ends well hands its rows to the scope around it; one that is withdrawn, with whatever it is in, is
//! undone before that has ended. Undoing is work like any other: one step at a time, each with a
//! checkpoint, so a crash goes on where it was (Garcia-Molina, Salem 1987, sagas).

use windlass_workflow_model::{ActivationId, NodeId, NodeKind, Payload};

use super::Apply;
use super::ancestry::Climb;
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
        let scope = self.scope_around(job)?;
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

    /// The innermost scope around a branch, or the run. A scope that the branch above entered when it
    /// had left this one behind, detached or late for its join, is not around it.
    fn scope_around(&mut self, row: &BranchRow) -> Result<ActivationId> {
        let entered = |row: &BranchRow| row.record.membership.as_ref().map(|of| of.scope);
        let (mut at, mut below) = (row.parent, entered(row));
        let mut climb = Climb::default();
        while let Some(id) = at {
            let Some(above) = self.climb(&mut climb, id)? else {
                break;
            };
            if let Some(scope) = self.scope_of(&above)?
                && Some(scope) == below
            {
                return Ok(scope);
            }
            (at, below) = (above.parent, entered(&above));
        }
        Ok(ActivationId::ORIGIN)
    }

    /// The scope at whose join a branch stands.
    fn scope_of(&mut self, row: &BranchRow) -> Result<Option<ActivationId>> {
        let definition = self.definition(row.workflow)?;
        let node = definition.get(row.position.node).map(|node| &node.kind);
        let Some(&NodeKind::Join { split, .. }) = node else {
            return Ok(None);
        };
        let is_scope = matches!(definition.node(split).kind, NodeKind::Scope { .. });
        let children = row.record.children.filter(|_| is_scope);
        Ok(children.map(|range| range.scope))
    }

    /// The scope for which `job` waited is left: what was done in it belongs to the scope around.
    pub(super) fn hand_up_undo(&mut self, job: &BranchRow, scope: ActivationId) -> Result<()> {
        if !self.undoes(job.workflow)? {
            return Ok(());
        }
        let around = self.scope_around(job)?;
        self.tables.hand_undo(job.run, scope, around)
    }

    /// `row` is about to be withdrawn with all below it. What was done in the scopes there is gathered
    /// under one of them, which `row` has to undo before it ends; `None` if there is nothing.
    pub(super) fn gather_undo(&mut self, row: &BranchRow) -> Result<Option<ActivationId>> {
        if !self.undoes(row.workflow)? {
            return Ok(None);
        }
        let mut gathered = None;
        for below in self.live(row.clone())? {
            let scope = match &below.record.flow().undoing {
                Some(Undoing::Branch(scope, _)) => Some(*scope),
                _ => self.scope_of(&below)?,
            };
            let Some(scope) = scope else { continue };
            match gathered {
                None if self.tables.has_undo(row.run, scope)? => gathered = Some(scope),
                None => {}
                Some(to) => self.tables.hand_undo(row.run, scope, to)?,
            }
        }
        Ok(gathered)
    }

    /// Whether the end of a run has to wait until its steps are undone; then `root` is made a job.
    pub(super) fn undo_run(&mut self, root: &mut BranchRow) -> Result<bool> {
        let fails = root.record.reason.is_some() || root.record.fault.is_some();
        if !self.undoes(root.workflow)? {
            return Ok(false);
        }
        if !fails {
            self.tables.delete_all_undo(root.run)?;
            return Ok(false);
        }
        if !self.tables.has_undo(root.run, ActivationId::ORIGIN)? {
            return Ok(false);
        }
        root.record.flow_mut().undoing = Some(Undoing::Run);
        self.make_ready(root)?;
        Ok(true)
    }

    /// A step was undone: `row` is the branch, as it was, and goes on undoing or to its end.
    pub(super) fn undone(
        &mut self,
        row: &mut BranchRow,
        scope: ActivationId,
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
                // A retry would build on what is gone.
                (row.record.retry_at, row.record.frontier) = (None, None);
                self.conclude(row)
            }
            Some(Undoing::Branch(_, reason)) => {
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

    /// `row` was withdrawn: before that is its end, what was done in `scope` is undone.
    pub(super) fn undo_withdrawn(
        &mut self,
        mut row: BranchRow,
        scope: ActivationId,
        reason: &str,
    ) -> Result<()> {
        row.record.reason = None;
        let flow = row.record.flow_mut();
        flow.cancelled = false;
        flow.undoing = Some(Undoing::Branch(scope, reason.to_owned()));
        self.make_ready(&mut row)?;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)
    }
}
