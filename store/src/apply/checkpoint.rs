//! The checkpoint: the one atomic write that ends an attempt.
//!
//! Valid only under the newest lock of its job (I3). The branch's own row goes first: when the guard
//! on it does not hold, nothing else has been written.

use windlass_workflow_model::{
    BranchId, Child, FencingToken, Next, NodeId, OwnerId, Payload, Position, RunId, StepStatus,
    Timestamp,
};

use super::{Apply, Verdict};
use crate::backend::{Guard, JoinCount, JoinKey, Result, Tables};
use crate::change::{AttemptRecord, Checkpoint, Then};
use crate::error::WriteError;
use crate::record::{
    BranchRow, ChildRange, Extras, HistoryDetail, HistoryRow, Membership, Record, State, flags,
};
use crate::store::History;

impl<T: Tables> Apply<'_, T> {
    pub(super) fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Verdict<()> {
        if self.is_simple(checkpoint) && self.write_move(checkpoint, &checkpoint.job.row, true)? {
            return Ok(Ok(()));
        }
        let job = &checkpoint.job.row;
        let stored = self.tables.branch(job.id)?;
        let holds = stored
            .as_ref()
            .is_some_and(|stored| stored.key() == job.key() && stored.state == State::Ready);
        if !holds || self.is_withdrawn(job)? {
            if job.is_unstarted() {
                self.effects.recorded_starts += 1;
            }
            return Ok(Err(WriteError::Fenced {
                branch: job.id,
                ours: job.token,
            }));
        }
        let flags = stored.map_or(job.flags, |stored| stored.flags);
        self.write_move(
            checkpoint,
            &BranchRow {
                flags,
                ..job.clone()
            },
            false,
        )?;
        Ok(Ok(()))
    }

    /// Whether the guarded write of one row is all that is needed, so that nothing has to be read.
    fn is_simple(&self, checkpoint: &Checkpoint) -> bool {
        let job = &checkpoint.job.row;
        let one_row = match &checkpoint.then {
            Then::Move(Next::Run { .. } | Next::Sleep { .. }) | Then::Retry { .. } => true,
            Then::Move(Next::End { .. }) => {
                job.parent.is_none() && job.flags & (flags::BRANCHED | flags::EVENTS) == 0
            }
            Then::Move(Next::Await { .. } | Next::Split { .. }) | Then::GiveBack => false,
        };
        one_row
            && checkpoint.merged.is_none()
            && checkpoint.detached.is_empty()
            && checkpoint.schedules.is_empty()
            && job.flags & flags::LIMITED == 0
            && !(self.ledger.sweeping && job.parent.is_some())
    }

    /// Writes everything that follows from the attempt. `false`: the guard did not hold and nothing
    /// was written.
    fn write_move(
        &mut self,
        checkpoint: &Checkpoint,
        job: &BranchRow,
        guarded: bool,
    ) -> Result<bool> {
        if let Then::GiveBack = checkpoint.then {
            self.effects.recorded_starts += u64::from(job.is_unstarted());
            self.unlock(job.key())?;
            return Ok(true);
        }
        let guard = if guarded {
            Guard::Lock(job.key(), job.flags)
        } else {
            self.leave_slot(job)?;
            Guard::Read
        };
        let ids = self.ledger.meta.next_id;
        let mut row = after_attempt(job, checkpoint.attempt.as_ref(), self.now);
        self.place(checkpoint, job, &mut row)?;
        if !self.tables.update(&row, guard)? {
            // Nothing was written; what was taken for the row goes back.
            self.ledger.meta.next_id = ids;
            self.effects.unused_credits += u64::from(row.owner != OwnerId(0));
            return Ok(false);
        }
        if job.is_unstarted() {
            self.ledger.meta.unstarted -= 1;
            self.ledger.droppable.remove(&row.id);
            self.effects.recorded_starts += 1;
        }
        self.note_timer(&row);
        self.dispatch(&row, None);
        self.write_history(checkpoint, job)?;
        self.follow_up(checkpoint, &row)?;
        if row.state.is_end() {
            self.announce(&row);
        }
        Ok(true)
    }

    /// Puts the branch's own row where it goes.
    fn place(
        &mut self,
        checkpoint: &Checkpoint,
        job: &BranchRow,
        row: &mut BranchRow,
    ) -> Result<()> {
        if !checkpoint.detached.is_empty() {
            row.flags |= flags::BRANCHED;
        }
        match &checkpoint.then {
            Then::Move(Next::Run {
                position,
                activation,
                data,
            }) => {
                (row.position, row.activation) = (*position, *activation);
                row.data = Some(data.clone());
                self.make_ready(row)?;
            }
            Then::Move(Next::Sleep {
                node,
                activation,
                data,
                delay,
            }) => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                row.state = State::Timer;
                row.due = Some(self.now.after(*delay));
            }
            Then::Retry {
                node,
                activation,
                data,
                due,
                counts,
            } => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                row.state = State::Timer;
                row.due = Some(*due);
                row.attempt = job.attempt_of(*activation) + u32::from(*counts);
            }
            Then::Move(Next::Await {
                node,
                activation,
                data,
                event: name,
            }) => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                if let Some(early) = self.tables.next_event(row.run, name)? {
                    self.tables.consume_event(&early)?;
                    row.record.event = Some(early.seq);
                    self.make_ready(row)?;
                } else {
                    row.state = State::Event;
                }
            }
            Then::Move(Next::Split {
                join,
                activation,
                scope,
                data,
                children: list,
                ..
            }) => {
                (row.position, row.activation) = (Position::at(*join), *activation);
                row.data = Some(data.clone());
                row.state = State::Joining;
                row.flags |= flags::BRANCHED;
                let first = BranchId(self.new_ids(list.len()));
                let count = u32::try_from(list.len()).expect("bounded by SPLIT_BRANCHES_MAX");
                row.record.children = Some(ChildRange {
                    first,
                    count,
                    scope: *scope,
                });
            }
            Then::Move(Next::End { result, last }) => {
                match result {
                    Ok(data) => row.data = Some(data.clone()),
                    Err(fault) => {
                        row.data = Some(last.data.clone());
                        row.record.fault = Some(fault.clone());
                        row.record.retry_at = Some((last.node, last.activation));
                        // Only where the split itself failed: what comes after it has its own data.
                        row.record.frontier = match checkpoint.merged {
                            Some(range) if last.activation == job.activation => {
                                self.frontier(job, range)?
                            }
                            _ => None,
                        };
                    }
                }
                row.state = State::Arrived;
                if row.parent.is_none() {
                    if let Some(range) = checkpoint.merged {
                        self.discard(row.run, range)?;
                    }
                    if !checkpoint.detached.is_empty() {
                        self.count_detached(row.run, checkpoint.detached.len())?;
                    }
                    self.conclude(row)?;
                }
            }
            Then::GiveBack => unreachable!("handled above"),
        }
        Ok(())
    }

    /// Writes what goes with the branch's own row: branches, arrivals, subscriptions, clean-ups, runs.
    fn follow_up(&mut self, checkpoint: &Checkpoint, row: &BranchRow) -> Result<()> {
        let mut ends = false;
        match &checkpoint.then {
            Then::Move(Next::Await { event, .. }) if row.state == State::Event => {
                self.tables.subscribe(row.run, event, row.id)?;
            }
            Then::Move(Next::Split {
                join,
                scope,
                children,
                max_parallelism,
                ..
            }) => {
                let template = Membership {
                    scope: *scope,
                    join: Some(*join),
                    index: 0,
                    of: u32::try_from(children.len()).expect("bounded by SPLIT_BRANCHES_MAX"),
                    max_parallelism: max_parallelism.unwrap_or(0),
                    resumed: false,
                    name: String::new(),
                };
                self.insert_children(row, children, &template)?;
            }
            Then::Move(Next::End { .. }) => ends = true,
            Then::Move(Next::Await { .. } | Next::Run { .. } | Next::Sleep { .. })
            | Then::Retry { .. }
            | Then::GiveBack => {}
        }
        // The end of a run has seen to its last branches itself, since it waits for them.
        let ends_run = ends && row.parent.is_none();
        self.insert_detached(row, checkpoint, ends_run)?;
        if let Some(range) = checkpoint.merged.filter(|_| !ends_run) {
            self.discard(row.run, range)?;
        }
        if ends && !ends_run {
            self.arrive(row)?;
        }
        for admit in &checkpoint.schedules {
            let known = match &admit.attributes.dedupe_key {
                Some(key) => self.tables.dedupe(key)?,
                None => None,
            };
            if known.is_none() {
                self.begin_run(admit, 0)?;
            }
        }
        Ok(())
    }

    fn insert_children(
        &mut self,
        parent: &BranchRow,
        children: &[Child],
        template: &Membership,
    ) -> Result<()> {
        let Some(ChildRange { first, .. }) = parent.record.children else {
            return Ok(());
        };
        for (id, child) in (first.0..).zip(children) {
            let membership = Membership {
                index: child.index,
                name: child.name.clone(),
                ..template.clone()
            };
            let free = template.max_parallelism == 0 || child.index < template.max_parallelism;
            let mut row = child_row(parent, BranchId(id), child, membership, self.now);
            if free {
                self.make_ready(&mut row)?;
            } else {
                row.state = State::Held;
            }
            self.tables.insert(&row)?;
            self.dispatch(&row, Some(parent));
        }
        Ok(())
    }

    /// `counted`: the branches are already expected by the run's end.
    fn insert_detached(
        &mut self,
        parent: &BranchRow,
        checkpoint: &Checkpoint,
        counted: bool,
    ) -> Result<()> {
        if checkpoint.detached.is_empty() {
            return Ok(());
        }
        if !counted {
            self.count_detached(parent.run, checkpoint.detached.len())?;
        }
        for child in &checkpoint.detached {
            let id = BranchId(self.new_ids(1));
            let membership = Membership {
                scope: child.activation,
                join: None,
                index: 0,
                of: 1,
                max_parallelism: 0,
                resumed: false,
                name: child.name.clone(),
            };
            let mut row = child_row(parent, id, child, membership, self.now);
            row.parent = Some(parent.run.root());
            self.make_ready(&mut row)?;
            self.tables.insert(&row)?;
            self.tables.add_detached(row.run, row.id)?;
            self.dispatch(&row, Some(parent));
        }
        Ok(())
    }

    fn count_detached(&mut self, run: RunId, more: usize) -> Result<()> {
        let key = JoinKey::of_detached(run);
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.expected += u32::try_from(more).unwrap_or(u32::MAX);
        self.tables.set_join(key, count)
    }

    /// A branch has come to its end: count it, and wake whoever waits for it.
    fn arrive(&mut self, row: &BranchRow) -> Result<()> {
        let Some(membership) = &row.record.membership else {
            return Ok(());
        };
        let Some(join) = membership.join else {
            return self.arrive_detached(row);
        };
        let first = BranchId(row.id.0 - i64::from(membership.index));
        if membership.of > 1 {
            let key = JoinKey::of_split(row.run, join, membership.scope);
            let before = self.tables.join(key)?.unwrap_or_default().arrived;
            let count = JoinCount {
                arrived: before + 1,
                expected: membership.of,
            };
            if count.arrived < count.expected {
                self.tables.set_join(key, count)?;
                return self.release_sibling(first, membership, count.arrived);
            }
            self.tables.delete_join(key)?;
        }
        let Some(parent) = row.parent else {
            return Ok(());
        };
        let Some(mut parent) = self.tables.branch(parent)? else {
            return Ok(());
        };
        if parent.state != State::Joining {
            return Ok(());
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
        self.tables.delete(row.id, 1)?;
        self.tables.remove_detached(row.run, row.id)?;
        if let Some(fault) = &row.record.fault {
            self.tables.add_run_fault(row.run, row.id.0, fault)?;
        }
        let key = JoinKey::of_detached(row.run);
        let mut count = self.tables.join(key)?.unwrap_or_default();
        count.arrived += 1;
        self.tables.set_join(key, count)?;
        self.conclude_if_ending(row.run)
    }

    fn write_history(&mut self, checkpoint: &Checkpoint, job: &BranchRow) -> Result<()> {
        let ended_at = self.now;
        let history = self.rules.history;
        let keeps = |status: StepStatus| match history {
            History::All => true,
            History::Failures => status == StepStatus::Failed,
            History::Off => false,
        };
        let name = job
            .record
            .membership
            .as_ref()
            .map(|membership| membership.name.clone());
        let row = |ordinal: u32, node: NodeId, status: StepStatus| HistoryRow {
            run: job.run,
            branch: job.id,
            token: job.token,
            ordinal,
            node,
            activation: job.activation,
            attempt: job.attempt,
            status,
            started_at: None,
            ended_at,
            branch_name: name.clone(),
            detail: HistoryDetail::default(),
        };
        if let Some((node, activation)) = checkpoint.passed.filter(|_| keeps(StepStatus::Succeeded))
        {
            let ordinal = u32::try_from(checkpoint.skipped.len()).unwrap_or(u32::MAX - 1) + 1;
            self.tables.insert_history(HistoryRow {
                activation,
                ..row(ordinal, node, StepStatus::Succeeded)
            })?;
        }
        if let Some(attempt) = checkpoint.attempt.as_ref().filter(|a| keeps(a.status)) {
            self.tables.insert_history(HistoryRow {
                activation: attempt.activation,
                attempt: job.attempt_of(attempt.activation),
                started_at: Some(attempt.started_at),
                detail: HistoryDetail {
                    fault: attempt.fault.clone(),
                    reason: None,
                    again: matches!(checkpoint.then, Then::Retry { .. }),
                    output: attempt
                        .output
                        .as_ref()
                        .map(|output| output.as_bytes().to_vec()),
                },
                ..row(0, attempt.node, attempt.status)
            })?;
        }
        for (ordinal, skip) in (1..).zip(&checkpoint.skipped) {
            if keeps(StepStatus::Skipped) {
                self.tables.insert_history(HistoryRow {
                    activation: skip.activation,
                    attempt: 0,
                    detail: HistoryDetail {
                        reason: Some(skip.reason.clone()),
                        ..HistoryDetail::default()
                    },
                    ..row(ordinal, skip.node, StepStatus::Skipped)
                })?;
            }
        }
        Ok(())
    }
}

impl BranchRow {
    /// The number of the attempt that was made at `activation`: a Runner may have gone on from where
    /// the branch was locked to its next step, whose attempts begin anew.
    pub(super) fn attempt_of(&self, activation: windlass_workflow_model::ActivationId) -> u32 {
        if activation == self.activation {
            self.attempt
        } else {
            1
        }
    }
}

/// The row as it is when an attempt has ended and before it is known where it goes.
fn after_attempt(job: &BranchRow, attempt: Option<&AttemptRecord>, now: Timestamp) -> BranchRow {
    let began = attempt.map_or(now, |attempt| attempt.started_at);
    BranchRow {
        flags: job.flags & !flags::UNSTARTED,
        rank: job.rank.started(),
        owner: OwnerId(0),
        attempt: 1,
        crashes: 0,
        suspect: 0,
        due: None,
        record: Record::from(Extras {
            membership: job.record.membership.clone(),
            attributes: job.record.attributes.clone(),
            max_parallelism: job.record.max_parallelism,
            ..Extras::default()
        }),
        started_at: job.started_at.or(Some(began)),
        ..job.clone()
    }
}

fn child_row(
    parent: &BranchRow,
    id: BranchId,
    child: &Child,
    membership: Membership,
    now: Timestamp,
) -> BranchRow {
    let data: Option<Payload> = child.data.clone();
    BranchRow {
        id,
        run: parent.run,
        parent: Some(parent.id),
        position: Position::before(child.node),
        activation: child.activation,
        state: State::Ready,
        flags: parent.flags & flags::LIMITED,
        owner: OwnerId(0),
        token: FencingToken(0),
        data,
        record: Record::from(Extras {
            membership: Some(membership),
            ..Extras::default()
        }),
        created_at: now,
        started_at: None,
        ended_at: None,
        due: None,
        ..parent.clone()
    }
}
