//! Jobs: how a branch becomes ready, and who gets it.
//!
//! A ready branch goes straight to our channel if there is room and nothing better waits; else it
//! waits unlocked in the outbox, from where [`Apply::fill_channel`] locks it in batches.

use std::collections::HashSet;

use windlass_workflow_model::{BranchId, FencingToken, OwnerId, Payload, Timestamp, WorkflowKey};

use super::Apply;
use super::ancestry::Climb;
use crate::backend::{Guard, Ready, Result, RunLimit, Tables};
use crate::limits::{LOCKED_ROWS_MAX, OLDEST_EVERY, TIMERS_FIRED_MAX};
use crate::meter::Ticket;
use crate::record::{BranchRow, JobKey, LockedJob, Role, State, Woken, flags};
use crate::store::{Admission, ShedPolicy};
use crate::sync::Arc;

impl<T: Tables> Apply<'_, T> {
    /// Makes `row` a job, or holds it back where its run is at its limit. The caller writes the row
    /// and then hands it to [`dispatch`](Self::dispatch).
    pub(super) fn make_ready(&mut self, row: &mut BranchRow) -> Result<()> {
        row.due = None;
        row.owner = OwnerId(0);
        if row.flags & flags::GATED != 0 && !self.pass_gate(row)? {
            return Ok(());
        }
        row.flags &= !flags::PLACELESS;
        if row.flags & flags::LIMITED != 0 {
            if self.leads_to_wait(row)? {
                row.flags |= flags::PLACELESS;
            } else if !self.take_slot(row)? {
                row.state = State::Held;
                return Ok(());
            }
        }
        row.state = State::Ready;
        if self.goes_directly(row) && self.meter.reserve() {
            self.effects.credits += 1;
            row.owner = self.ledger.owner;
            row.token = FencingToken(row.token.0 + 1);
        } else {
            self.note_backlog(row);
        }
        Ok(())
    }

    /// Sends a job to our channel after the commit, if [`make_ready`](Self::make_ready) locked it.
    /// `inherited` is the row whose data it starts with if it has none of its own.
    pub(super) fn dispatch(&mut self, row: &BranchRow, inherited: Option<&BranchRow>) {
        if row.state != State::Ready || row.owner == OwnerId(0) {
            return;
        }
        let mut row = row.clone();
        if row.data.is_none() {
            row.data = inherited.and_then(|parent| parent.data.clone());
        }
        let unstarted = row.is_unstarted();
        self.meter
            .dispatched(row.data.as_ref().map_or(0, Payload::len));
        let job = Arc::new(LockedJob {
            row,
            ticket: Ticket::default(),
        });
        let drops = matches!(
            self.rules.admission,
            Admission::Shed {
                policy: ShedPolicy::DropOldest,
                ..
            }
        );
        if drops && unstarted {
            self.ledger.droppable.insert(job.row.id, Arc::clone(&job));
        }
        self.effects.dispatch.push(job);
    }

    fn goes_directly(&mut self, row: &BranchRow) -> bool {
        if self.ledger.owner == OwnerId(0) || !self.ledger.served.contains(&row.workflow) {
            return false;
        }
        match self.ledger.backlog {
            None => true,
            Some(waiting) if row.rank < waiting => {
                // Now and then what waits gets the place, or it would starve behind work that
                // always continues.
                self.ledger.picks += 1;
                !self.ledger.picks.is_multiple_of(OLDEST_EVERY)
            }
            Some(_) => false,
        }
    }

    fn note_backlog(&mut self, row: &BranchRow) {
        if self.ledger.served.contains(&row.workflow) {
            let best = self
                .ledger
                .backlog
                .map_or(row.rank, |waiting| waiting.min(row.rank));
            self.ledger.backlog = Some(best);
        }
    }

    /// Whether the next job of a branch can only begin a wait, or say that there is none, which takes no
    /// slot: nothing works there, and the steps of a called run are under its own limit.
    fn leads_to_wait(&mut self, row: &BranchRow) -> Result<bool> {
        let definition = self.definition(row.workflow)?;
        // Where steps are undone, a job at a join may be to undo one.
        Ok(definition.leads_to_wait(row.position) && !definition.undoes())
    }

    /// Takes a slot of a run with a limit, or queues for one.
    fn take_slot(&mut self, row: &BranchRow) -> Result<bool> {
        let Some(limit) = self.tables.limit(row.run)? else {
            return Ok(true);
        };
        if limit.active < limit.max && self.tables.first_held(row.run)?.is_none() {
            let limit = RunLimit {
                active: limit.active + 1,
                ..limit
            };
            self.tables.set_limit(row.run, limit)?;
            return Ok(true);
        }
        self.tables.hold(row.run, row.id)?;
        Ok(false)
    }

    /// Gives the slot of a job that is none any more to the branches that wait for one, in branch
    /// order.
    pub(super) fn leave_slot(&mut self, row: &BranchRow) -> Result<()> {
        if row.flags & flags::LIMITED == 0 || row.flags & flags::PLACELESS != 0 {
            return Ok(());
        }
        let Some(mut limit) = self.tables.limit(row.run)? else {
            return Ok(());
        };
        limit.active = limit.active.saturating_sub(1);
        let mut released = Vec::new();
        while limit.active < limit.max
            && let Some(next) = self.tables.first_held(row.run)?
        {
            self.tables.unhold(row.run, next)?;
            limit.active += 1;
            released.push(next);
        }
        self.tables.set_limit(row.run, limit)?;
        for id in released {
            self.release(id, false)?;
        }
        Ok(())
    }

    /// Makes a held branch a job. `limited`: it still has to take a slot of its run.
    pub(super) fn release(&mut self, id: BranchId, limited: bool) -> Result<()> {
        let Some(mut row) = self.tables.branch(id)? else {
            return Ok(());
        };
        if row.state != State::Held {
            return Ok(());
        }
        let limit_flag = row.flags & flags::LIMITED;
        if !limited {
            row.flags &= !flags::LIMITED;
        }
        if row.attempt <= 1 {
            // How long it was held does not count.
            self.set_end_by(&mut row, None)?;
        }
        self.make_ready(&mut row)?;
        row.flags |= limit_flag;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)
    }

    /// Like [`dispatch`](Self::dispatch), for a row whose parent is not at hand.
    pub(super) fn dispatch_loaded(&mut self, row: &BranchRow) -> Result<()> {
        if row.owner == OwnerId(0) || row.state != State::Ready {
            return Ok(());
        }
        let parent = match row.data {
            Some(_) => None,
            None => self.data_of_parent(row)?,
        };
        self.dispatch(row, parent.as_ref());
        Ok(())
    }

    fn data_of_parent(&mut self, row: &BranchRow) -> Result<Option<BranchRow>> {
        match row.parent {
            Some(parent) if row.record.flow().role == Role::Instance => {
                let membership = row.record.membership.as_ref();
                let Some(scope) = membership.map(|membership| membership.scope) else {
                    return Ok(None);
                };
                // What the map was begun with, wherever its branch is by now.
                let data = self.tables.item(row.run, scope, -1)?;
                let parent = self.tables.branch(parent)?;
                Ok(parent.map(|parent| BranchRow { data, ..parent }))
            }
            Some(parent) if row.data.is_none() => {
                let mut climb = Climb::default();
                let Some(mut parent) = self.climb(&mut climb, parent)? else {
                    return Ok(None);
                };
                let mut around = parent.clone();
                while parent.data.is_none() {
                    let above = match around.parent {
                        // Its data is that which its map was begun with.
                        Some(_) if around.record.flow().role == Role::Instance => {
                            parent.data = self.data_of_parent(&around)?.and_then(|map| map.data);
                            break;
                        }
                        Some(above) => self.climb(&mut climb, above)?,
                        None => None,
                    };
                    let Some(above) = above else { break };
                    parent.data.clone_from(&above.data);
                    around = above;
                }
                Ok(Some(parent))
            }
            _ => Ok(None),
        }
    }

    /// Locks jobs of the outbox for our channel, as many as it has room for: by rank, then age, and
    /// now and then the oldest of all.
    pub(super) fn fill_channel(&mut self) -> Result<()> {
        let room = self.meter.refill().min(u64::from(LOCKED_ROWS_MAX));
        let room = u32::try_from(room).unwrap_or(LOCKED_ROWS_MAX);
        if room == 0 || self.ledger.backlog.is_none() || self.ledger.owner == OwnerId(0) {
            return Ok(());
        }
        let (shares, mut all_seen) = self.shares(room)?;
        let mut ranked = Vec::new();
        for (workflow, share) in shares {
            let Ready { rows, all } = self.tables.ready(workflow, share)?;
            ranked.extend(rows);
            all_seen &= all;
        }
        ranked.sort_unstable_by_key(|row| (row.rank, row.id));
        let oldest = if all_seen {
            Vec::new()
        } else {
            self.oldest(room)?
        };
        let worst = ranked.last().map(|row| row.rank);
        let mut by_rank = ranked.into_iter();
        let picked = self.pick(&mut by_rank, &oldest, room as usize)?;
        // The best that is left behind, as far as it was looked at.
        let taken: HashSet<_> = picked.iter().map(|row| row.id).collect();
        let left = by_rank.find(|row| !taken.contains(&row.id));
        let left = left.map(|row| row.rank).or(worst);
        self.ledger.backlog = left.filter(|_| !all_seen);
        // Branches of one split come one after the other.
        let mut parent = None;
        for row in picked {
            self.lock_picked(row, &mut parent)?;
        }
        Ok(())
    }

    /// How many of the best `room` jobs each workflow has; `false`: there are more than those. Only so
    /// many rows are read, however many workflows are served.
    fn shares(&mut self, room: u32) -> Result<(Vec<(WorkflowKey, u32)>, bool)> {
        let served: Vec<_> = self.ledger.served.iter().copied().collect();
        if let [only] = served[..] {
            return Ok((vec![(only, room)], true));
        }
        let mut best = Vec::new();
        for workflow in &served {
            let keys = self.tables.ready_keys(*workflow, room)?;
            best.extend(keys.into_iter().map(|key| (key, *workflow)));
        }
        let all_seen = best.len() < room as usize;
        best.sort_unstable();
        best.truncate(room as usize);
        let share = |of: WorkflowKey| {
            let count = best.iter().filter(|(_, workflow)| *workflow == of).count();
            (of, u32::try_from(count).unwrap_or(room))
        };
        let shares = served.into_iter().map(share);
        Ok((shares.filter(|(_, share)| *share > 0).collect(), all_seen))
    }

    fn oldest(&mut self, room: u32) -> Result<Vec<BranchId>> {
        let share = room / u32::try_from(OLDEST_EVERY).unwrap_or(1) + 1;
        let mut oldest = Vec::new();
        for workflow in self.ledger.served.clone() {
            oldest.extend(self.tables.ready_oldest(workflow, share)?);
        }
        oldest.sort_unstable();
        Ok(oldest)
    }

    fn pick(
        &mut self,
        by_rank: &mut impl Iterator<Item = BranchRow>,
        oldest: &[BranchId],
        room: usize,
    ) -> Result<Vec<BranchRow>> {
        let mut picked = Vec::with_capacity(room);
        let mut seen = HashSet::with_capacity(room);
        let mut by_age = oldest.iter().copied();
        while picked.len() < room {
            self.ledger.picks += 1;
            let old = self.ledger.picks.is_multiple_of(OLDEST_EVERY);
            let aged = if old { by_age.next() } else { None };
            let next = match aged {
                Some(id) if seen.contains(&id) => continue,
                Some(id) => self.tables.branch(id)?,
                None => by_rank.next(),
            };
            match next {
                Some(row) if seen.insert(row.id) => picked.push(row),
                Some(_) => {}
                None => break,
            }
        }
        Ok(picked)
    }

    /// `parent`: the last one whose data was needed.
    fn lock_picked(&mut self, mut row: BranchRow, parent: &mut Option<BranchRow>) -> Result<()> {
        self.tables.lock(&mut row, self.ledger.owner)?;
        self.meter.take_credit();
        self.effects.credits += 1;
        if self.is_withdrawn(&row)? {
            self.effects.unused_credits += 1;
            return self.withdraw_idle(row);
        }
        if row.flags & flags::GATED != 0 {
            self.check_gate(&mut row)?;
        }
        if row.record.flow().role == Role::Instance {
            return self.dispatch_loaded(&row);
        }
        let known = parent.as_ref().map(|parent| parent.id);
        if row.data.is_none() && row.parent.is_some() && row.parent != known {
            *parent = self.data_of_parent(&row)?;
        }
        self.dispatch(
            &row,
            parent.as_ref().filter(|above| row.parent == Some(above.id)),
        );
        Ok(())
    }

    /// Puts a job back into the outbox. `has_begun`: its step may have begun to act.
    pub(super) fn unlock(&mut self, key: JobKey, has_begun: bool) -> Result<()> {
        let Some(mut row) = self.tables.branch(key.branch)? else {
            return Ok(());
        };
        if row.key() != key || row.state != State::Ready {
            return Ok(());
        }
        row.owner = OwnerId(0);
        if !has_begun {
            may_begin_later(&mut row);
        }
        self.ledger.droppable.remove(&row.id);
        self.ledger.unstarted_from = self.ledger.unstarted_from.min(row.id);
        self.tables.update(&row, Guard::Read)?;
        self.note_backlog(&row);
        Ok(())
    }

    /// Makes what was waiting for a time ready.
    pub(super) fn fire_timers(&mut self) -> Result<()> {
        if self.ledger.next_due.is_none_or(|due| due > self.now) {
            return Ok(());
        }
        for id in self.tables.due(self.now, TIMERS_FIRED_MAX)? {
            let Some(mut row) = self.tables.branch(id)? else {
                continue;
            };
            if self.is_withdrawn(&row)? {
                row.due = None;
                self.tables.update(&row, Guard::Read)?;
                continue;
            }
            self.fire(&mut row)?;
            self.tables.update(&row, Guard::Read)?;
            self.dispatch_loaded(&row)?;
        }
        self.ledger.next_due = self.tables.next_due()?;
        self.end_overdue()
    }

    /// The time of a branch has come.
    fn fire(&mut self, row: &mut BranchRow) -> Result<()> {
        match row.state {
            State::Event => {
                self.tables.unsubscribe(row.run, row.id)?;
                let arm = row.record.flow().timer_arm.unwrap_or_default();
                Self::wake_with(row, Woken::Due(arm));
                self.make_ready(row)
            }
            State::Joining => self.end_scope_early(row),
            State::Calling => self.end_call_early(row),
            _ => self.make_ready(row),
        }
    }

    /// Notes a timer that was just written.
    pub(super) fn note_timer(&mut self, row: &BranchRow) {
        if let Some(due) = row.due {
            self.note_due(due);
        }
    }

    pub(super) fn note_due(&mut self, due: Timestamp) {
        let before = self.ledger.next_due;
        self.ledger.next_due = Some(before.map_or(due, |earliest| earliest.min(due)));
    }

    /// An attempt says how far it is.
    pub(super) fn heartbeat(&mut self, key: JobKey, details: &Payload) -> Result<()> {
        let row = self.tables.branch(key.branch)?;
        if let Some(mut row) = row.filter(|row| row.key() == key) {
            row.record.flow_mut().details = Some(details.as_bytes().to_vec());
            self.tables.update(&row, Guard::Read)?;
        }
        Ok(())
    }

    pub(super) fn note_freed(&mut self, row: &BranchRow) {
        self.ledger.unstarted_from = self.ledger.unstarted_from.min(row.id);
        self.note_backlog(row);
    }
}

/// A job was locked and not begun: a step that must not happen twice may begin under the next lock.
fn may_begin_later(row: &mut BranchRow) {
    if row.record.flow().begun.is_some() {
        let next = FencingToken(row.token.0 + 1);
        if let Some((_, token)) = &mut row.record.flow_mut().begun {
            *token = next;
        }
    }
}
