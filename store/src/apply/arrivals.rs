//! How branches come to their joins, and what follows there.

use windlass_workflow_model::{
    BranchId, Decision, Fault, JoinRule, NodeId, RunId, Tally, WorkflowKey,
};

use super::Apply;
use crate::backend::{Guard, JoinCount, JoinKey, Loose, Phase, Result, Tables};
use crate::record::{BranchRow, ChildRange, Membership, Role, State, Woken, flags};

impl<T: Tables> Apply<'_, T> {
    /// What decides at a join; for a branch that no join waits for, nothing.
    pub(super) fn rule(&mut self, workflow: WorkflowKey, join: Option<NodeId>) -> Result<JoinRule> {
        let Some(join) = join else {
            return Ok(JoinRule::default());
        };
        let definition = self.definition(workflow)?;
        Ok(definition.join_rule(join).unwrap_or_default())
    }

    /// A branch has come to its end: count it, and wake whoever waits for it.
    pub(super) fn arrive(&mut self, row: &BranchRow) -> Result<()> {
        let Some(membership) = &row.record.membership else {
            return Ok(());
        };
        let Some(join) = membership.join else {
            return self.arrive_detached(row);
        };
        let rule = self.rule(row.workflow, Some(join))?;
        match row.record.flow().role {
            Role::Token => return self.end_token(row, &rule),
            Role::Instance => return Ok(()),
            Role::Branch => {}
        }
        let range = ChildRange {
            first: BranchId(row.id.0 - i64::from(membership.index)),
            count: membership.of,
            scope: membership.scope,
        };
        let Some(parent) = row.parent else {
            return Ok(());
        };
        if membership.of == 1 && rule.only_counts() {
            return self.wake(parent, None);
        }
        let key = JoinKey::of_split(row.run, join, membership.scope);
        let count = self.tables.join(key)?;
        let mut count = count.unwrap_or_else(|| JoinCount::new(0, membership.of));
        count.arrived += 1;
        if !rule.only_counts() {
            note(&mut count, row);
        }
        let arrived = count.arrived;
        match count.phase() {
            Phase::Open => self.decide(parent, key, range, &rule, count)?,
            Phase::Withdrawing => {
                self.tables.set_join(key, count)?;
                return self.rest_withdrawn(parent);
            }
            Phase::Absorbing => self.absorb(row, key, range.first, count)?,
        }
        self.release_sibling(range.first, membership, arrived)
    }

    /// Does what the rule of a join says of how many have come.
    pub(super) fn decide(
        &mut self,
        parent: BranchId,
        key: JoinKey,
        range: ChildRange,
        rule: &JoinRule,
        mut count: JoinCount,
    ) -> Result<()> {
        let tally = count.tally();
        let is_map = count.more.as_ref().is_some_and(|more| more.map.is_some());
        let woken = (is_map || !rule.only_counts()).then(|| over(&tally));
        match rule.decide(&tally) {
            Decision::Wait => self.tables.set_join(key, count),
            Decision::Over if count.is_map_open() => self.tables.set_join(key, count),
            Decision::Over => {
                self.tables.delete_join(key)?;
                self.wake(parent, woken)
            }
            Decision::OverAndAbsorb => {
                if rule.needed() != Some(0) && self.is_absorbing(parent, key)? {
                    // As new only when all of its last round have come.
                    return self.tables.set_join(key, count);
                }
                count.more().phase = Phase::Absorbing;
                self.tables.set_join(key, count)?;
                self.outlive(parent, key.run, range)?;
                self.wake(parent, woken)
            }
            Decision::OverAndCancel => {
                count.more().phase = Phase::Withdrawing;
                self.tables.set_join(key, count)?;
                self.withdraw_rest(parent, key.run, range)
            }
        }
    }

    /// Whether an earlier round of the same join has branches on their way.
    fn is_absorbing(&mut self, parent: BranchId, key: JoinKey) -> Result<bool> {
        for loose in self.tables.loose(parent)? {
            let before = JoinKey {
                scope: loose.range.scope,
                ..key
            };
            if before != key && self.tables.join(before)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The branches of `range` go on without `parent`, whose end waits for theirs.
    pub(super) fn outlive(
        &mut self,
        parent: BranchId,
        run: RunId,
        range: ChildRange,
    ) -> Result<()> {
        self.tables.add_loose(&Loose { run, parent, range })?;
        let key = JoinKey::of_loose(run, parent);
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.expected += 1;
        self.tables.set_join(key, count)?;
        if let Some(mut row) = self.tables.branch(parent)? {
            row.flags |= flags::LOOSE;
            self.tables.update(&row, Guard::Read)?;
        }
        Ok(())
    }

    /// One more has come to a join that was left without it.
    fn absorb(
        &mut self,
        row: &BranchRow,
        key: JoinKey,
        first: BranchId,
        count: JoinCount,
    ) -> Result<()> {
        if let Some(fault) = &row.record.fault {
            self.report_if_detached(row, key, fault)?;
        }
        self.tables.delete(row.id, 1)?;
        let Some(parent) = row.parent else {
            return Ok(());
        };
        if count.arrived < count.expected {
            return self.tables.set_join(key, count);
        }
        self.tables.delete_join(key)?;
        self.all_absorbed(row.run, parent, first)
    }

    /// Of what nobody waits for at all, a failure is one of the run.
    pub(super) fn report_if_detached(
        &mut self,
        row: &BranchRow,
        key: JoinKey,
        fault: &Fault,
    ) -> Result<()> {
        let join = u32::try_from(key.node).ok().map(NodeId);
        if self.rule(row.workflow, join)?.needed() == Some(0) {
            let seq = self.new_ids(1);
            self.tables.add_run_fault(row.run, seq, fault)?;
        }
        Ok(())
    }

    /// The last of branches that outlived their join has come.
    pub(super) fn all_absorbed(
        &mut self,
        run: RunId,
        parent: BranchId,
        first: BranchId,
    ) -> Result<()> {
        self.tables.remove_loose(parent, first)?;
        self.loose_ended(run, parent)?;
        self.reconsider(parent)
    }

    /// Something that `parent` waits for at its end has ended.
    fn loose_ended(&mut self, run: RunId, parent: BranchId) -> Result<()> {
        let key = JoinKey::of_loose(run, parent);
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.arrived += 1;
        let all = count.arrived >= count.expected;
        if parent == run.root() {
            self.tables.set_join(key, count)?;
            return self.conclude_if_ending(run);
        }
        if !all {
            return self.tables.set_join(key, count);
        }
        self.tables.delete_join(key)?;
        let Some(mut row) = self.tables.branch(parent)? else {
            return Ok(());
        };
        if row.state != State::Ending {
            return Ok(());
        }
        row.state = State::Arrived;
        self.end_branch(row)
    }

    /// A branch that is at its end, though not by an attempt of its own: it comes to its join.
    pub(super) fn end_branch(&mut self, mut row: BranchRow) -> Result<()> {
        if row.record.flow().role != Role::Instance {
            self.tables.update(&row, Guard::Read)?;
            return self.arrive(&row);
        }
        let fault = row.record.fault.clone();
        self.end_instance(&mut row)?;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)?;
        self.after_instance(&row, fault.as_ref())
    }

    /// Whether a branch that comes to its end has branches that nothing else waits for.
    pub(super) fn waits_for_loose(&mut self, row: &BranchRow) -> Result<bool> {
        if row.flags & flags::LOOSE == 0 {
            return Ok(false);
        }
        let key = JoinKey::of_loose(row.run, row.id);
        let count = self.tables.join(key)?.unwrap_or_default();
        Ok(count.arrived < count.expected)
    }

    /// Asks the join at which `parent` waits once more.
    pub(super) fn reconsider(&mut self, parent: BranchId) -> Result<()> {
        let Some(row) = self.tables.branch(parent)? else {
            return Ok(());
        };
        let (State::Joining, Some(range)) = (row.state, row.record.children) else {
            return Ok(());
        };
        let join = row.position.node;
        let rule = self.rule(row.workflow, Some(join))?;
        let key = JoinKey::of_split(row.run, join, range.scope);
        let count = self.tables.join(key)?;
        let count = count.unwrap_or_else(|| JoinCount::new(0, range.count));
        if count.phase() == Phase::Open {
            self.decide(parent, key, range, &rule, count)?;
        }
        Ok(())
    }

    /// The branch that waits at a join goes on.
    pub(super) fn wake(&mut self, parent: BranchId, woken: Option<Woken>) -> Result<()> {
        let Some(mut parent) = self.tables.branch(parent)? else {
            return Ok(());
        };
        if parent.state != State::Joining {
            return Ok(());
        }
        if let Some(mutex) = parent.record.flow().mutex.clone() {
            parent.record.flow_mut().mutex = None;
            self.release_mutex(parent.run, &mutex)?;
        }
        if let Some(woken) = woken {
            Self::wake_with(&mut parent, woken);
        }
        self.make_ready(&mut parent)?;
        self.tables.update(&parent, Guard::Read)?;
        self.dispatch_loaded(&parent)
    }

    /// With so many arrived, one more branch may go, in branch order.
    fn release_sibling(
        &mut self,
        first: BranchId,
        membership: &Membership,
        arrived: u32,
    ) -> Result<()> {
        if membership.max_parallelism == 0 {
            return Ok(());
        }
        let id = |index: u32| BranchId(first.0 + i64::from(index));
        if !membership.resumed {
            let next = membership.max_parallelism.saturating_add(arrived) - 1;
            return if next < membership.of {
                self.release(id(next), true)
            } else {
                Ok(())
            };
        }
        // After a retry some had arrived before, so the next one has to be looked for.
        for index in 0..membership.of {
            let held = self
                .tables
                .branch(id(index))?
                .filter(|row| row.state == State::Held);
            if let Some(row) = held
                && !self.tables.is_held(row.run, row.id)?
            {
                return self.release(row.id, true);
            }
        }
        Ok(())
    }

    fn arrive_detached(&mut self, row: &BranchRow) -> Result<()> {
        let root = row.run.root();
        self.tables.delete(row.id, 1)?;
        self.tables.remove_loose(root, row.id)?;
        if let Some(fault) = &row.record.fault {
            self.tables.add_run_fault(row.run, row.id.0, fault)?;
        }
        self.loose_ended(row.run, root)
    }
}

impl JoinCount {
    /// Whether it belongs to a map to which more may be added, or of which some are to be counted.
    pub(crate) fn is_map_open(&self) -> bool {
        let map = self.more.as_ref().and_then(|more| more.map.as_ref());
        map.is_some_and(|map| map.open || !map.pending.is_empty())
    }
}

/// Counts how a branch has come.
pub(super) fn note(count: &mut JoinCount, row: &BranchRow) {
    let more = count.more();
    if row.record.flow().cancelled {
        more.cancelled += 1;
    } else if row.record.fault.is_some() {
        more.failed += 1;
    }
}

/// What a branch is told when its join is over.
pub(super) fn over(tally: &Tally) -> Woken {
    let Tally {
        expected,
        succeeded,
        failed,
        cancelled,
        is_forced,
    } = *tally;
    Woken::Over([expected, succeeded, failed, cancelled], is_forced)
}
