//! Milestones: states of a run in which alone some steps may start.
//!
//! A gated step is judged when it becomes a job and again when it is locked, in that transaction: so a
//! milestone that passes at the same moment comes either before the lock or after it.

use std::time::Duration;

use windlass_workflow_model::{Fault, FencingToken, NodeKind, OwnerId, Timestamp, codes};

use super::Apply;
use crate::backend::{Guard, Mark, Result, Tables};
use crate::record::{BranchRow, State, flags};

/// Beginning of the names of marks and waits. No event can have such a name.
pub(crate) const GATE: &str = "\u{1}gate/";

const REACHED: i64 = 1;
const PASSED: i64 = 2;

impl<T: Tables> Apply<'_, T> {
    /// The run enters or leaves a state. `row` is the branch that says so.
    pub(super) fn set_milestone(
        &mut self,
        row: &mut BranchRow,
        milestone: &str,
        reached: bool,
    ) -> Result<()> {
        let name = format!("{GATE}{milestone}");
        let value = if reached { REACHED } else { PASSED };
        let known = self.tables.mark(row.run, &name)?;
        if known.is_some_and(|known| known.value >= value) {
            return Ok(());
        }
        self.tables.set_mark(&Mark {
            run: row.run,
            name: name.clone(),
            value,
            token: FencingToken(0),
            owner: OwnerId(0),
        })?;
        self.remember_at_end(row)?;
        for branch in self.tables.subscribers(row.run, &name)? {
            self.tables.unsubscribe(row.run, branch)?;
            if let Some(mut waiting) = self.tables.branch(branch)? {
                self.set_start_by(&mut waiting)?;
                self.make_ready(&mut waiting)?;
                self.tables.update(&waiting, Guard::Read)?;
                self.dispatch_loaded(&waiting)?;
            }
        }
        Ok(())
    }

    /// The end of the run has something to clean up.
    fn remember_at_end(&mut self, row: &mut BranchRow) -> Result<()> {
        if row.parent.is_none() {
            row.flags |= flags::EVENTS;
            return Ok(());
        }
        if let Some(mut root) = self.tables.branch(row.run.root())?
            && root.flags & flags::EVENTS == 0
        {
            root.flags |= flags::EVENTS;
            self.tables.update(&root, Guard::Read)?;
        }
        Ok(())
    }

    /// Notes when a step that has just become a job must have begun or ended, if it says so.
    pub(super) fn set_start_by(&mut self, row: &mut BranchRow) -> Result<()> {
        let definition = self.definition(row.workflow)?;
        let node = definition.get(row.position.node).map(|node| &node.kind);
        if let Some(NodeKind::Step(step)) = node
            && let Some(ms) = step.start_within_ms.or(step.end_within_ms)
        {
            row.record.flow_mut().start_by = Some(self.now.after(Duration::from_millis(ms)));
        }
        Ok(())
    }

    /// A step that must have ended in time begins again, or only now: whether its time goes on, or is to
    /// begin anew.
    pub(super) fn set_end_by(
        &mut self,
        row: &mut BranchRow,
        before: Option<Timestamp>,
    ) -> Result<()> {
        let definition = self.definition(row.workflow)?;
        let node = definition.get(row.position.node).map(|node| &node.kind);
        if let Some(NodeKind::Step(step)) = node
            && let (Some(ms), false) = (step.end_within_ms, row.position.entering)
        {
            let anew = self.now.after(Duration::from_millis(ms));
            row.record.flow_mut().start_by = Some(before.unwrap_or(anew));
        }
        Ok(())
    }

    /// Whether a gated step may become a job now. If not it waits; if never, it is told so.
    pub(super) fn pass_gate(&mut self, row: &mut BranchRow) -> Result<bool> {
        let Some((milestone, state)) = self.gate_of(row)? else {
            return Ok(true);
        };
        match state {
            None => {
                row.state = State::Blocked;
                let name = format!("{GATE}{milestone}");
                self.tables.subscribe(row.run, &name, row.id, 0)?;
                Ok(false)
            }
            Some(PASSED) => {
                refuse(row, &milestone);
                Ok(true)
            }
            Some(_) => Ok(true),
        }
    }

    /// A gated job is locked: the last moment at which its milestone counts.
    pub(super) fn check_gate(&mut self, row: &mut BranchRow) -> Result<()> {
        if let Some((milestone, Some(PASSED))) = self.gate_of(row)? {
            refuse(row, &milestone);
            self.tables.update(row, Guard::Read)?;
        }
        Ok(())
    }

    fn gate_of(&mut self, row: &BranchRow) -> Result<Option<(String, Option<i64>)>> {
        let definition = self.definition(row.workflow)?;
        let node = definition.get(row.position.node).map(|node| &node.kind);
        let Some(NodeKind::Step(step)) = node else {
            return Ok(None);
        };
        let Some(milestone) = &step.gate else {
            return Ok(None);
        };
        let mark = self.tables.mark(row.run, &format!("{GATE}{milestone}"))?;
        Ok(Some((milestone.clone(), mark.map(|mark| mark.value))))
    }
}

fn refuse(row: &mut BranchRow, milestone: &str) {
    row.flags &= !flags::GATED;
    let text = format!("milestone {milestone:?} has passed: the step may not start any more");
    row.record.flow_mut().refused = Some(Fault::new(codes::MILESTONE_PASSED, text).permanent());
}
