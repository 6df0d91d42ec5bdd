//! How what goes on is withdrawn: a branch, all that is in a node, or a whole run.
//!
//! Queued work never starts; running work is told, and its late outcome is refused, since its row has
//! a higher token or is gone. What can touch many rows is done in bounded pieces (sweeps).

use std::collections::HashSet;

use windlass_workflow_model::{BranchId, FencingToken, NodeId, NodeKind, OwnerId, RunId};

use super::ancestry::Climb;
use super::arrivals::over;
use super::{Apply, Verdict};
use crate::backend::{Guard, JoinKey, Phase, Result, Sweep, Tables};
use crate::change::Withdrawn;
use crate::error::{StorageError, WriteError};
use crate::limits::SWEEP_ROWS_MAX;
use crate::record::{BranchRow, ChildRange, Role, State, flags};

/// Why the branches of a join that is over are withdrawn.
const JOIN_OVER: &str = "its join is over";

/// Why what is below a withdrawn branch is withdrawn.
const WITHDRAWN_WITH: &str = "withdrawn with what it belonged to";

impl<T: Tables> Apply<'_, T> {
    /// Withdraws a run. `false`: it had ended.
    pub(super) fn cancel(&mut self, run: RunId, reason: &str) -> Verdict<bool> {
        let Some(mut root) = self
            .tables
            .branch(run.root())?
            .filter(|row| row.parent.is_none())
        else {
            return Ok(Err(WriteError::NoSuchRun(run)));
        };
        if root.state.is_end() || root.is_withdrawn() {
            return Ok(Ok(false));
        }
        root.record.reason = Some(reason.to_owned());
        self.withdraw_run(root)?;
        Ok(Ok(true))
    }

    /// Withdraws all that goes on in a run, whose first row says how it ends.
    pub(super) fn withdraw_run(&mut self, mut root: BranchRow) -> Result<()> {
        self.clear_unstarted(&mut root);
        let run = root.run;
        let is_at_something = root.record.wait.is_some() || self.at_work.since(&root).is_some();
        if is_at_something {
            let reason = root.record.reason.clone();
            self.write_withdrawal(&root, reason.as_deref().unwrap_or(WITHDRAWN_WITH))?;
            root.record.wait = None;
        }
        root.token = FencingToken(root.token.0 + 1);
        root.owner = OwnerId(0);
        root.due = None;
        root.flags |= flags::WITHDRAWN;
        if let Some(called) = root.record.flow().called {
            let _ = self.cancel(called, "its caller was withdrawn")?;
        }
        if let Some(children) = root.record.children.take() {
            self.add_sweep(run, children, None)?;
        }
        for loose in self.tables.loose(root.id)? {
            self.add_sweep(run, loose.range, None)?;
            self.tables.remove_loose(root.id, loose.range.first)?;
        }
        if root.flags & flags::BRANCHED != 0 {
            self.tables.delete_joins(run)?;
            self.tables.hand_all_undo(run)?;
        }
        self.tables.delete_limit(run)?;
        // Whether or not it waits for events, nothing will be delivered any more.
        root.flags |= flags::EVENTS;
        root.state = State::Ending;
        self.conclude(&mut root)?;
        self.tables.update(&root, Guard::Read)?;
        self.dispatch_loaded(&root)?;
        if root.state.is_end() {
            self.announce(&root)?;
        }
        self.effects.withdrawn.push(Withdrawn::Run(run));
        Ok(())
    }

    /// Withdraws all that goes on in a node, by its name; says how many branches were in it.
    pub(super) fn cancel_node(&mut self, run: RunId, name: &str, reason: &str) -> Verdict<u32> {
        let root = self.tables.branch(run.root())?;
        let Some(root) = root.filter(|row| row.parent.is_none()) else {
            return Ok(Err(WriteError::NoSuchRun(run)));
        };
        let definition = self.definition(root.workflow)?;
        let Some(node) = definition.find(name) else {
            let why = format!("has no step {name:?}: name a step, wait, scope, split or map of it");
            return Ok(Err(WriteError::WrongState { run, why }));
        };
        self.withdraw_node(run, node, reason).map(Ok)
    }

    /// Withdraws all that goes on in a node; says how many branches were in it.
    pub(super) fn withdraw_node(&mut self, run: RunId, node: NodeId, reason: &str) -> Result<u32> {
        let Some(root) = self.tables.branch(run.root())? else {
            return Ok(0);
        };
        if root.state.is_end() || root.is_withdrawn() {
            return Ok(0);
        }
        let definition = self.definition(root.workflow)?;
        let join = match &definition.node(node).kind {
            NodeKind::Split { join, .. }
            | NodeKind::Scope { join, .. }
            | NodeKind::Map { join, .. } => *join,
            _ => node,
        };
        let mut withdrawn = 0;
        for row in self.live(root)? {
            let beyond = self.at_work.beyond(&row).map(|(step, _)| step);
            let stands = beyond.unwrap_or(row.position.node);
            let is_instance = row.record.flow().role == Role::Instance && row.data.is_none();
            let is_instance = is_instance && beyond.is_none();
            let is_undoing = row.record.flow().undoing.is_some();
            if !(stands == node || stands == join) || is_instance || is_undoing {
                continue;
            }
            // An earlier one may have taken it along.
            let stored = self.tables.branch(row.id)?;
            let same = stored.filter(|stored| stored.token == row.token && is_live(stored));
            if let Some(row) = same {
                withdrawn += 1;
                self.withdraw_branch(row, reason)?;
            }
        }
        Ok(withdrawn)
    }

    /// A branch ends where it stands, and all that is below it; whoever waits for it is told.
    fn withdraw_branch(&mut self, mut row: BranchRow, reason: &str) -> Result<()> {
        if row.parent.is_none() {
            let _ = self.cancel(row.run, reason)?;
            return Ok(());
        }
        let to_undo = self.gather_undo(&row)?;
        self.withdraw_row(&mut row, reason)?;
        match to_undo {
            Some(scope) => self.undo_withdrawn(row, scope, reason),
            None => self.end_branch(row),
        }
    }

    /// The rest of a join that is over is withdrawn, in pieces if it is large; then `parent` goes on.
    pub(super) fn withdraw_rest(
        &mut self,
        parent: BranchId,
        run: RunId,
        range: ChildRange,
    ) -> Result<()> {
        if range.count > SWEEP_ROWS_MAX {
            return self.add_sweep(run, range, Some(parent));
        }
        self.withdraw_piece(parent, range)?;
        self.rest_withdrawn(parent)
    }

    /// Withdraws those of `range` that are under way.
    fn withdraw_piece(&mut self, parent: BranchId, range: ChildRange) -> Result<()> {
        for row in self.tables.under_way(range.first, range.count)? {
            if let Some(row) = self.as_it_is_now(&row)?
                && row.record.flow().undoing.is_none()
            {
                self.withdraw_from_join(parent, row)?;
            }
        }
        Ok(())
    }

    /// Withdraws a branch that `parent` does not wait for any more.
    fn withdraw_from_join(&mut self, parent: BranchId, mut row: BranchRow) -> Result<()> {
        let to_undo = self.gather_undo(&row)?;
        self.withdraw_row(&mut row, JOIN_OVER)?;
        if let Some(scope) = to_undo {
            return self.undo_withdrawn(row, scope, JOIN_OVER);
        }
        if row.record.flow().role == Role::Instance {
            self.end_instance(&mut row)?;
        } else if let Some(above) = self.tables.branch(parent)?
            && let Some(range) = above.record.children
        {
            let key = JoinKey::of_split(above.run, above.position.node, range.scope);
            if let Some(mut count) = self.tables.join(key)? {
                count.arrived += 1;
                count.more().cancelled += 1;
                self.tables.set_join(key, count)?;
            }
        }
        self.tables.update(&row, Guard::Read)?;
        Ok(())
    }

    /// A branch that was read together with others, if it is under way still: withdrawing one of them
    /// may have given it the mutex or the place that this one had.
    fn as_it_is_now(&mut self, row: &BranchRow) -> Result<Option<BranchRow>> {
        Ok(self.tables.branch(row.id)?.filter(is_live))
    }

    /// Some of the rest is withdrawn, or has undone what it did. With the last of it whoever waited
    /// for that goes on.
    pub(super) fn rest_withdrawn(&mut self, parent: BranchId) -> Result<()> {
        let Some(row) = self.tables.branch(parent)? else {
            return Ok(());
        };
        let Some(range) = row.record.children else {
            return Ok(());
        };
        let key = JoinKey::of_split(row.run, row.position.node, range.scope);
        let Some(mut count) = self.tables.join(key)? else {
            return Ok(());
        };
        let map = count.more.as_ref().and_then(|more| more.map.as_ref());
        let all = map.map_or(count.arrived >= count.expected, |map| map.live == 0);
        if count.phase() != Phase::Withdrawing || !all {
            return Ok(());
        }
        // Instances that never began are withdrawn too.
        let unbegun = count.expected.saturating_sub(count.arrived);
        count.arrived += unbegun;
        count.more().cancelled += unbegun;
        self.tables.delete_join(key)?;
        self.wake(parent, Some(over(&count.tally())))
    }

    /// Makes a branch that is not the first one end as withdrawn. The caller writes the row.
    pub(super) fn withdraw_row(&mut self, row: &mut BranchRow, reason: &str) -> Result<()> {
        self.clean(row)?;
        self.write_withdrawal(row, reason)?;
        row.token = FencingToken(row.token.0 + 1);
        (row.owner, row.due) = (OwnerId(0), None);
        row.flags &= !(flags::GATED | flags::LOOSE);
        row.state = State::Arrived;
        row.record.children = None;
        row.record.reason = Some(reason.to_owned());
        row.record.flow_mut().cancelled = true;
        Ok(())
    }

    /// A branch that waits for a clean-up, and in which nobody is at work, ends before that comes to it:
    /// the clean-up would take it for one whose attempt a mutex has to wait for.
    pub(super) fn withdraw_idle(&mut self, mut row: BranchRow) -> Result<()> {
        let (run, key) = (row.run, row.key());
        // What is below something withdrawn is undone with that.
        let mut of_join = None;
        for sweep in self.tables.sweeps(run)? {
            if sweep.covers(row.id) {
                of_join = of_join.or(sweep.wakes);
            }
        }
        if let Some(parent) = of_join {
            self.withdraw_from_join(parent, row)?;
        } else {
            self.withdraw_row(&mut row, WITHDRAWN_WITH)?;
            self.tables.update(&row, Guard::Read)?;
        }
        self.returned(run, key)
    }

    /// Takes away all that a branch has beside its row, before it is withdrawn or deleted.
    pub(super) fn clean(&mut self, row: &mut BranchRow) -> Result<()> {
        if let Some(nested) = row.record.children {
            self.add_sweep(row.run, nested, None)?;
            self.tables.delete_scope_joins(row.run, nested.scope)?;
            self.tables
                .delete_items(row.run, nested.scope, SWEEP_ROWS_MAX)?;
        }
        for loose in self.tables.loose(row.id)? {
            self.add_sweep(row.run, loose.range, None)?;
            self.tables.delete_scope_joins(row.run, loose.range.scope)?;
            self.tables.remove_loose(row.id, loose.range.first)?;
        }
        if row.flags & flags::LOOSE != 0 {
            self.tables
                .delete_join(JoinKey::of_loose(row.run, row.id))?;
        }
        self.discard_met(row)?;
        match row.state {
            State::Event | State::Blocked => self.tables.unsubscribe(row.run, row.id)?,
            State::Meeting => self.leave_meet(row)?,
            State::Calling => {
                if let Some(called) = row.record.flow().called {
                    let _ = self.cancel(called, "its caller was withdrawn")?;
                }
            }
            State::Held if row.flags & flags::LIMITED != 0 => {
                self.tables.unhold(row.run, row.id)?;
            }
            State::Ready => {
                if row.owner != OwnerId(0) {
                    self.note_returning(row)?;
                    self.effects
                        .withdrawn
                        .push(Withdrawn::Branch(row.id, row.token));
                }
                self.leave_slot(row)?;
            }
            State::Parked => {
                let definition = self.definition(row.workflow)?;
                let node = definition.get(row.position.node).map(|node| &node.kind);
                if matches!(node, Some(NodeKind::Meet { .. })) && !row.position.entering {
                    self.leave_meet(row)?;
                }
            }
            State::Held
            | State::Timer
            | State::Joining
            | State::Arrived
            | State::Ending
            | State::Succeeded
            | State::Failed
            | State::Cancelled => {}
        }
        if let Some(mutex) = row.record.flow().mutex.clone() {
            row.record.flow_mut().mutex = None;
            self.release_mutex(row.run, &mutex)?;
        }
        Ok(())
    }

    pub(super) fn add_sweep(
        &mut self,
        run: RunId,
        range: ChildRange,
        wakes: Option<BranchId>,
    ) -> Result<()> {
        let id = self.new_ids(1);
        self.ledger.sweeping = true;
        self.tables.add_sweep(&Sweep {
            id,
            run,
            range,
            wakes,
        })
    }

    /// One piece of the oldest clean-up.
    pub(super) fn sweep_some(&mut self) -> Result<()> {
        let mut budget = SWEEP_ROWS_MAX;
        while self.ledger.sweeping && budget > 0 {
            let Some(sweep) = self.tables.first_sweep()? else {
                self.ledger.sweeping = false;
                return Ok(());
            };
            let count = sweep.range.count.min(budget);
            budget -= count.max(1);
            let piece = ChildRange {
                count,
                ..sweep.range
            };
            match sweep.wakes {
                Some(parent) => self.withdraw_piece(parent, piece)?,
                None => self.delete_piece(piece)?,
            }
            if count < sweep.range.count {
                let range = ChildRange {
                    first: BranchId(piece.first.0 + i64::from(count)),
                    count: sweep.range.count - count,
                    ..sweep.range
                };
                self.tables.set_sweep(&Sweep { range, ..sweep })?;
                continue;
            }
            self.tables.delete_sweep(sweep.id)?;
            if let Some(parent) = sweep.wakes {
                self.rest_withdrawn(parent)?;
            }
            if !self.tables.has_sweep(sweep.run)? {
                self.conclude_if_ending(sweep.run)?;
            }
        }
        Ok(())
    }

    /// Deletes neighbours and what is below them.
    fn delete_piece(&mut self, piece: ChildRange) -> Result<()> {
        // What a branch has goes before the row that names it.
        for row in self.tables.under_way(piece.first, piece.count)? {
            let Some(mut row) = self.as_it_is_now(&row)? else {
                continue;
            };
            self.clean(&mut row)?;
            self.write_withdrawal(&row, WITHDRAWN_WITH)?;
        }
        self.tables.delete(piece.first, piece.count)
    }

    /// Whether a branch belongs to something that is being withdrawn.
    pub(super) fn is_withdrawn(&mut self, row: &BranchRow) -> Result<bool> {
        if !self.ledger.sweeping || row.parent.is_none() {
            return Ok(false);
        }
        let root = self.tables.branch(row.run.root())?;
        if root.is_none_or(|root| root.state.is_end() || root.is_withdrawn()) {
            return Ok(true);
        }
        let sweeps = self.tables.sweeps(row.run)?;
        if sweeps.is_empty() {
            return Ok(false);
        }
        let undoes = row.record.flow().undoing.is_some();
        let (mut at, mut climb) = (Some(row.id), Climb::default());
        while let Some(id) = at {
            let has_ended = |sweep: &Sweep| undoes && id == row.id && sweep.wakes.is_some();
            let taken = |sweep: &Sweep| sweep.covers(id) && !has_ended(sweep);
            if sweeps.iter().any(taken) {
                return Ok(true);
            }
            let Some(row) = self.climb(&mut climb, id)? else {
                return Ok(true);
            };
            at = row.parent;
        }
        Ok(false)
    }

    /// The first branch of a run and all below it that have not come to their ends, parents first.
    pub(super) fn live(&mut self, root: BranchRow) -> Result<Vec<BranchRow>> {
        let mut rows = vec![root];
        let (mut next, mut seen) = (0, HashSet::new());
        while let Some(row) = rows.get(next) {
            let (id, children) = (row.id, row.record.children);
            next += 1;
            if !seen.insert(id) {
                return Err(StorageError::Corrupt {
                    what: "branch".to_owned(),
                    why: format!("{id} is below itself, or in two places"),
                });
            }
            if let Some(range) = children {
                rows.extend(self.tables.under_way(range.first, range.count)?);
            }
            for loose in self.tables.loose(id)? {
                // Those that have just outlived the join at which it waited are there already.
                if Some(loose.range) != children {
                    let ChildRange { first, count, .. } = loose.range;
                    rows.extend(self.tables.under_way(first, count)?);
                }
            }
        }
        Ok(rows)
    }
}

impl Sweep {
    /// Whether a branch is one of those that are withdrawn or deleted.
    fn covers(&self, branch: BranchId) -> bool {
        let ChildRange { first, count, .. } = self.range;
        branch >= first && branch.0 < first.0 + i64::from(count)
    }
}

fn is_live(row: &BranchRow) -> bool {
    row.state != State::Arrived && !row.state.is_end()
}

impl BranchRow {
    /// Whether the run whose first branch this is is being withdrawn.
    pub(super) fn is_withdrawn(&self) -> bool {
        let by_reason = self.state == State::Ending && self.record.reason.is_some();
        by_reason || self.flags & flags::WITHDRAWN != 0
    }
}
