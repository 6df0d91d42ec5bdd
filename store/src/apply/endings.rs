//! How runs end, are withdrawn, go on after all, and are forgotten.
//!
//! A run ends after all its branches, and then nothing of it is left but its first row and its
//! history (I8). Whatever can touch many rows is done in bounded pieces, of which the table of
//! sweeps remembers the rest.

use windlass_workflow_model::{
    BranchId, Fault, FencingToken, OwnerId, Payload, Position, RunId, Timestamp,
};

use super::{Apply, Verdict};
use crate::backend::{Guard, JoinKey, Result, RunLimit, Sweep, Tables};
use crate::change::{Ended, RunOutcome};
use crate::error::WriteError;
use crate::limits::SWEEP_ROWS_MAX;
use crate::record::{BranchRow, ChildRange, State, flags};

impl<T: Tables> Apply<'_, T> {
    /// Decides the end of a run whose first branch came to its own end: `row` holds what it brought.
    /// The caller writes the row.
    pub(super) fn conclude(&mut self, row: &mut BranchRow) -> Result<()> {
        if row.flags & flags::BRANCHED != 0 {
            let detached = self
                .tables
                .join(JoinKey::of_detached(row.run))?
                .unwrap_or_default();
            if detached.arrived < detached.expected || self.tables.has_sweep(row.run)? {
                row.state = State::Ending;
                return Ok(());
            }
            let mut faults = self.tables.run_faults(row.run)?;
            if !faults.is_empty() {
                row.record.detached = Some(Fault::join(faults.clone()));
                faults.splice(0..0, row.record.fault.take());
                row.record.fault = Some(Fault::join(faults));
                self.tables.delete_run_faults(row.run)?;
            }
            self.tables.delete_joins(row.run)?;
        }
        let fails = row.record.reason.is_none() && row.record.fault.is_some();
        if row.flags & flags::EVENTS != 0 && !fails {
            // A failed run may be retried, and then waits for what was acknowledged to be stored.
            self.tables.delete_events(row.run)?;
        }
        if row.flags & flags::LIMITED != 0 {
            self.tables.delete_limit(row.run)?;
        }
        row.state = match (&row.record.reason, &row.record.fault) {
            (Some(_), _) => State::Cancelled,
            (None, Some(_)) => State::Failed,
            (None, None) => State::Succeeded,
        };
        row.ended_at = Some(self.now);
        Ok(())
    }

    pub(super) fn conclude_if_ending(&mut self, run: RunId) -> Result<()> {
        let Some(mut root) = self.tables.branch(run.root())? else {
            return Ok(());
        };
        if root.state != State::Ending {
            return Ok(());
        }
        self.conclude(&mut root)?;
        if root.state.is_end() {
            self.tables.update(&root, Guard::Read)?;
            self.announce(&root);
        }
        Ok(())
    }

    /// Tells whoever waits that a run has ended.
    pub(super) fn announce(&mut self, root: &BranchRow) {
        self.effects
            .ended
            .extend(outcome(root).map(|outcome| Ended {
                run: root.run,
                outcome,
            }));
    }

    /// Deletes branches that are not needed any more: some at once, the rest piece by piece.
    pub(super) fn discard(&mut self, run: RunId, range: ChildRange) -> Result<()> {
        let now = range.count.min(SWEEP_ROWS_MAX);
        self.tables.delete(range.first, now)?;
        if now < range.count {
            let first = BranchId(range.first.0 + i64::from(now));
            self.add_sweep(
                run,
                ChildRange {
                    first,
                    count: range.count - now,
                    ..range
                },
            )?;
        }
        Ok(())
    }

    fn add_sweep(&mut self, run: RunId, range: ChildRange) -> Result<()> {
        let id = self.new_ids(1);
        self.ledger.sweeping = true;
        self.tables.add_sweep(&Sweep { id, run, range })
    }

    /// One piece of the oldest clean-up.
    pub(super) fn sweep_some(&mut self) -> Result<()> {
        let mut budget = SWEEP_ROWS_MAX;
        while self.ledger.sweeping && budget > 0 {
            let Some(sweep) = self.tables.first_sweep()? else {
                self.ledger.sweeping = false;
                return Ok(());
            };
            let piece = sweep.range.count.min(budget);
            budget -= piece.max(1);
            // Branches of branches go too, before the rows that name them.
            for row in self.tables.under_way(sweep.range.first, piece)? {
                if let Some(nested) = row.record.children {
                    self.add_sweep(sweep.run, nested)?;
                }
            }
            self.tables.delete(sweep.range.first, piece)?;
            if piece == sweep.range.count {
                self.tables.delete_sweep(sweep.id)?;
                if !self.tables.has_sweep(sweep.run)? {
                    self.conclude_if_ending(sweep.run)?;
                }
            } else {
                let first = BranchId(sweep.range.first.0 + i64::from(piece));
                let range = ChildRange {
                    first,
                    count: sweep.range.count - piece,
                    ..sweep.range
                };
                self.tables.set_sweep(&Sweep { range, ..sweep })?;
            }
        }
        Ok(())
    }

    /// Withdraws a run. `false`: it had ended.
    pub(super) fn cancel(&mut self, run: RunId, reason: &str) -> Verdict<bool> {
        let Some(mut root) = self
            .tables
            .branch(run.root())?
            .filter(|row| row.parent.is_none())
        else {
            return Ok(Err(WriteError::NoSuchRun(run)));
        };
        let withdrawn = root.state == State::Ending && root.record.reason.is_some();
        if root.state.is_end() || withdrawn {
            return Ok(Ok(false));
        }
        self.clear_unstarted(&mut root);
        root.token = FencingToken(root.token.0 + 1);
        root.owner = OwnerId(0);
        root.due = None;
        root.record.reason = Some(reason.to_owned());
        if let Some(children) = root.record.children.take() {
            self.add_sweep(run, children)?;
        }
        for id in self.tables.detached(run)? {
            let scope = root.activation;
            self.add_sweep(
                run,
                ChildRange {
                    first: id,
                    count: 1,
                    scope,
                },
            )?;
            self.tables.remove_detached(run, id)?;
        }
        if root.flags & flags::BRANCHED != 0 {
            self.tables.delete_joins(run)?;
        }
        self.tables.delete_limit(run)?;
        // Whether or not it waits for events, nothing will be delivered any more.
        root.flags |= flags::EVENTS;
        root.state = State::Ending;
        self.conclude(&mut root)?;
        self.tables.update(&root, Guard::Read)?;
        if root.state.is_end() {
            self.announce(&root);
        }
        self.effects.cancelled.push(run);
        Ok(Ok(true))
    }

    /// Lets a parked or failed run go on from where it stopped; says how many branches do.
    pub(super) fn retry(&mut self, run: RunId) -> Verdict<u32> {
        let Some(root) = self
            .tables
            .branch(run.root())?
            .filter(|row| row.parent.is_none())
        else {
            return Ok(Err(WriteError::NoSuchRun(run)));
        };
        match root.state {
            State::Failed => self.retry_failed(root),
            State::Succeeded | State::Cancelled => {
                let why = "has ended and cannot go on: schedule it anew".to_owned();
                Ok(Err(WriteError::WrongState { run, why }))
            }
            State::Ready
            | State::Held
            | State::Timer
            | State::Event
            | State::Joining
            | State::Arrived
            | State::Parked
            | State::Ending => {
                let released = self.retry_parked(root)?;
                if released == 0 {
                    let why = "is neither parked nor failed: there is nothing to retry".to_owned();
                    return Ok(Err(WriteError::WrongState { run, why }));
                }
                Ok(Ok(released))
            }
        }
    }

    fn retry_parked(&mut self, root: BranchRow) -> Result<u32> {
        let mut released = 0;
        let mut open: Vec<ChildRange> = Vec::new();
        for id in self.tables.detached(root.run)? {
            open.push(ChildRange {
                first: id,
                count: 1,
                scope: root.activation,
            });
        }
        let mut next = Some(root);
        loop {
            if let Some(mut row) = next.take() {
                open.extend(row.record.children);
                if row.state == State::Parked {
                    (row.crashes, row.suspect, row.attempt) = (0, 0, 1);
                    row.record.reason = None;
                    self.make_ready(&mut row)?;
                    self.tables.update(&row, Guard::Read)?;
                    self.dispatch_loaded(&row)?;
                    released += 1;
                }
            }
            let Some(range) = open.last_mut() else {
                return Ok(released);
            };
            if range.count == 0 {
                open.pop();
                continue;
            }
            let id = range.first;
            *range = ChildRange {
                first: BranchId(id.0 + 1),
                count: range.count - 1,
                ..*range
            };
            next = self.tables.branch(id)?;
        }
    }

    fn retry_failed(&mut self, mut root: BranchRow) -> Verdict<u32> {
        let Some((node, activation)) = root.record.retry_at.take() else {
            let why =
                "failed only in detached branches, which are gone: schedule it anew".to_owned();
            return Ok(Err(WriteError::WrongState { run: root.run, why }));
        };
        root.ended_at = None;
        root.attempt = 1;
        root.record.fault = None;
        if let Some(detached) = root.record.detached.take() {
            self.tables.add_run_fault(root.run, 0, &detached)?;
        }
        if let Some(max) = root.record.max_parallelism {
            self.tables
                .set_limit(root.run, RunLimit { max, active: 0 })?;
        }
        if let Some(frontier) = root.record.frontier.take() {
            return Ok(Ok(self.resume_frontier(root, &frontier)?));
        }
        (root.position, root.activation) = (Position::before(node), activation);
        self.make_ready(&mut root)?;
        self.tables.update(&root, Guard::Read)?;
        self.dispatch(&root, None);
        Ok(Ok(1))
    }

    /// Deletes runs that ended before `ended_before`, a bounded number of rows; says how many went
    /// and whether the last run was reached.
    pub(super) fn retain(&mut self, ended_before: Timestamp) -> Result<(u32, bool)> {
        let mut gone = 0;
        let mut rows = 0;
        let found = self
            .tables
            .runs_from(self.ledger.meta.retention_cursor, SWEEP_ROWS_MAX)?;
        let last_reached = found.len() < SWEEP_ROWS_MAX as usize;
        let mut cursor = self.ledger.meta.retention_cursor;
        for (run, ended_at) in found {
            if ended_at.is_some_and(|ended_at| ended_at < ended_before) {
                rows += self.tables.delete_history(run, SWEEP_ROWS_MAX)?;
                if rows >= SWEEP_ROWS_MAX {
                    // Perhaps not all of it: come back to this run.
                    self.ledger.meta.retention_cursor = run.0;
                    return Ok((gone, false));
                }
                let root = self.tables.branch(run.root())?;
                if root
                    .as_ref()
                    .is_some_and(|root| root.flags & flags::EVENTS != 0)
                {
                    self.tables.delete_events(run)?;
                }
                let key = root
                    .and_then(|row| row.record.into_extras().attributes)
                    .and_then(|attributes| attributes.dedupe_key);
                if let Some(key) = key {
                    self.tables.delete_dedupe(&key)?;
                }
                self.tables.delete(run.root(), 1)?;
                gone += 1;
            }
            cursor = run.0 + 1;
        }
        self.ledger.meta.retention_cursor = if last_reached { 0 } else { cursor };
        Ok((gone, last_reached))
    }
}

/// How a run has ended, by its first row.
pub(crate) fn outcome(root: &BranchRow) -> Option<RunOutcome> {
    match root.state {
        State::Succeeded => Some(RunOutcome::Succeeded(
            root.data.clone().unwrap_or_else(Payload::null),
        )),
        State::Failed => {
            let fault = root.record.fault.clone();
            Some(RunOutcome::Failed(fault.unwrap_or_else(|| Fault::join([]))))
        }
        State::Cancelled => Some(RunOutcome::Cancelled(
            root.record.reason.clone().unwrap_or_default(),
        )),
        State::Ready
        | State::Held
        | State::Timer
        | State::Event
        | State::Joining
        | State::Arrived
        | State::Parked
        | State::Ending => None,
    }
}
