//! How runs end, are withdrawn, go on after all, and are forgotten.
//!
//! A run ends after all its branches, and then nothing of it is left but its first row and its
//! history (I8). Whatever can touch many rows is done in bounded pieces, of which the table of
//! sweeps remembers the rest.

use windlass_workflow_model::{BranchId, Fault, NodeKind, Payload, Position, RunId, Timestamp};

use super::{Apply, Verdict};
use crate::backend::{Guard, JoinKey, Result, RunLimit, Tables};
use crate::change::{Ended, RunOutcome};
use crate::error::WriteError;
use crate::limits::SWEEP_ROWS_MAX;
use crate::record::{BranchRow, ChildRange, State, flags};

impl<T: Tables> Apply<'_, T> {
    /// Decides the end of a run whose first branch came to its own end: `row` holds what it brought.
    /// The caller writes the row.
    pub(super) fn conclude(&mut self, row: &mut BranchRow) -> Result<()> {
        if row.flags & flags::BRANCHED != 0 {
            let detached = self.tables.join(JoinKey::of_loose(row.run, row.id))?;
            let detached = detached.unwrap_or_default();
            if detached.arrived < detached.expected || self.tables.has_sweep(row.run)? {
                row.state = State::Ending;
                return Ok(());
            }
            if self.tables.delete_all_items(row.run, SWEEP_ROWS_MAX)? == SWEEP_ROWS_MAX {
                // Perhaps not all: this comes again when a sweep of nothing is done.
                row.state = State::Ending;
                let nothing = ChildRange {
                    first: BranchId(0),
                    count: 0,
                    scope: row.activation,
                };
                return self.add_sweep(row.run, nothing, None);
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
        if self.undo_run(row)? {
            return Ok(());
        }
        if row.record.flow().deadline.is_some() {
            self.tables.delete_deadline(row.run)?;
        }
        let fails = row.record.reason.is_none() && row.record.fault.is_some();
        if !(fails && row.record.retry_at.is_some()) {
            // A run that may be retried needs what was acknowledged to be stored, and its milestones.
            if row.flags & flags::EVENTS != 0 {
                self.tables.delete_events(row.run)?;
            }
            if row.flags & (flags::EVENTS | flags::BRANCHED) != 0 {
                self.tables.delete_marks(row.run)?;
            }
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
        if root.state != State::Ending {
            self.tables.update(&root, Guard::Read)?;
            self.dispatch_loaded(&root)?;
        }
        if root.state.is_end() {
            self.announce(&root)?;
        }
        Ok(())
    }

    /// Tells whoever waits that a run has ended.
    pub(super) fn announce(&mut self, root: &BranchRow) -> Result<()> {
        self.effects
            .ended
            .extend(outcome_of(root).map(|outcome| Ended {
                run: root.run,
                outcome,
            }));
        if root.record.flow().caller.is_some() {
            self.return_to_caller(root)?;
        }
        Ok(())
    }

    /// Deletes what met at the join from which `job` has gone on, and is not needed any more.
    pub(super) fn discard(&mut self, job: &BranchRow, range: ChildRange) -> Result<()> {
        let join = job.position.node;
        let definition = self.definition(job.workflow)?;
        let NodeKind::Join { split, .. } = &definition.node(join).kind else {
            return Ok(());
        };
        let key = JoinKey::of_split(job.run, join, range.scope);
        let rule = definition.join_rule(join).unwrap_or_default();
        let goes_on = !rule.only_counts() && self.tables.join(key)?.is_some();
        match &definition.node(*split).kind {
            NodeKind::Scope { .. } => {
                self.hand_up_undo(job, range.scope)?;
                for loose in self.tables.loose(job.id)? {
                    if loose.range.scope == range.scope {
                        self.tables.delete(loose.range.first, 1)?;
                        self.tables.remove_loose(job.id, loose.range.first)?;
                    }
                }
                Ok(())
            }
            NodeKind::Map { .. } if self.tables.join(key)?.is_some() => Ok(()),
            NodeKind::Map { .. } => {
                self.tables
                    .delete_items(job.run, range.scope, SWEEP_ROWS_MAX)?;
                self.delete_range(job.run, range)
            }
            _ if goes_on => self.tables.delete_arrived(range.first, range.count),
            _ => self.delete_range(job.run, range),
        }
    }

    /// Deletes neighbours: some at once, the rest piece by piece.
    pub(super) fn delete_range(&mut self, run: RunId, range: ChildRange) -> Result<()> {
        let now = range.count.min(SWEEP_ROWS_MAX);
        self.tables.delete(range.first, now)?;
        if now < range.count {
            let rest = ChildRange {
                first: BranchId(range.first.0 + i64::from(now)),
                count: range.count - now,
                ..range
            };
            self.add_sweep(run, rest, None)?;
        }
        Ok(())
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
            | State::Meeting
            | State::Calling
            | State::Blocked
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
        for mut row in self.live(root)? {
            if row.state != State::Parked {
                continue;
            }
            released += 1;
            (row.crashes, row.suspect, row.attempt) = (0, 0, 1);
            if row.record.flow().parked.is_some() {
                row.record.flow_mut().parked = None;
            } else {
                row.record.reason = None;
            }
            if row.record.flow().begun.is_some() {
                // Whoever retries it says that it has not happened.
                row.record.flow_mut().begun = None;
            }
            let definition = self.definition(row.workflow)?;
            let node = definition.get(row.position.node).map(|node| &node.kind);
            if matches!(node, Some(NodeKind::Meet { .. })) && row.record.flow().met.is_empty() {
                self.wait_at_meet_again(&mut row)?;
                continue;
            }
            self.set_end_by(&mut row, None)?;
            self.make_ready(&mut row)?;
            self.tables.update(&row, Guard::Read)?;
            self.dispatch_loaded(&row)?;
        }
        Ok(released)
    }

    fn retry_failed(&mut self, mut root: BranchRow) -> Verdict<u32> {
        let Some((node, activation)) = root.record.retry_at.take() else {
            let why = if self.undoes(root.workflow)? {
                "failed and was undone, or failed only in detached branches: schedule it anew"
            } else {
                "failed only in detached branches, which are gone: schedule it anew"
            };
            let why = why.to_owned();
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
    /// and whether that was all for now.
    ///
    /// Runs end about in the order in which they came, so what is to go lies at the front, up to the first
    /// one that has ended and stays: that part goes as fast as it is asked for. A run that still went on
    /// when its turn had come is found by a second search, which goes around the whole table, a piece each
    /// time: there may be millions that wait.
    pub(super) fn retain(&mut self, ended_before: Timestamp) -> Result<(u32, bool)> {
        let front = self.ledger.retained_upto;
        let front = self.retain_from(front, ended_before, StopAt::FirstKept)?;
        self.ledger.retained_upto = front.next;
        if front.is_cut && front.rows > 0 {
            return Ok((front.gone, false));
        }
        let around = self.ledger.meta.retention_cursor;
        let around = self.retain_from(around, ended_before, StopAt::Last)?;
        self.ledger.meta.retention_cursor = if around.is_cut { around.next } else { 0 };
        Ok((front.gone + around.gone, true))
    }

    fn retain_from(
        &mut self,
        from: i64,
        ended_before: Timestamp,
        stop_at: StopAt,
    ) -> Result<Retained> {
        let found = self.tables.runs_from(from, SWEEP_ROWS_MAX)?;
        let mut retained = Retained {
            gone: 0,
            rows: 0,
            next: from,
            is_cut: found.len() == SWEEP_ROWS_MAX as usize,
        };
        for (run, ended_at) in found {
            retained.next = run.0;
            let is_old = ended_at.is_some_and(|ended_at| ended_at < ended_before);
            if is_old && !self.delete_run(run, &mut retained)? {
                return Ok(retained);
            }
            if !is_old && ended_at.is_some() && stop_at == StopAt::FirstKept {
                retained.is_cut = false;
                return Ok(retained);
            }
            retained.next = run.0 + 1;
        }
        Ok(retained)
    }

    /// Deletes a run that has ended, unless another one still waits for it. `false`: there may be more
    /// of it than one piece.
    fn delete_run(&mut self, run: RunId, retained: &mut Retained) -> Result<bool> {
        let root = self.tables.branch(run.root())?;
        if let Some(root) = &root
            && self.is_wanted(root)?
        {
            return Ok(true);
        }
        retained.rows += self.tables.delete_history(run, SWEEP_ROWS_MAX)?;
        retained.rows += self.tables.delete_results(run, SWEEP_ROWS_MAX)?;
        if retained.rows >= SWEEP_ROWS_MAX {
            // Perhaps not all of it: come back to this run.
            retained.is_cut = true;
            return Ok(false);
        }
        let left = root.as_ref().map_or(0, |root| root.flags);
        if left & flags::EVENTS != 0 {
            self.tables.delete_events(run)?;
        }
        if left & (flags::EVENTS | flags::BRANCHED) != 0 {
            self.tables.delete_marks(run)?;
        }
        let key = root
            .and_then(|row| row.record.into_extras().attributes)
            .and_then(|attributes| attributes.dedupe_key);
        if let Some(key) = key {
            self.tables.delete_dedupe(&key)?;
        }
        self.tables.delete(run.root(), 1)?;
        retained.gone += 1;
        retained.rows += 1;
        Ok(true)
    }
}

/// Where a search for runs to be deleted ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StopAt {
    /// At the first run that has ended, but not long ago.
    FirstKept,
    /// At the last one of all.
    Last,
}

/// What one piece of such a search did.
struct Retained {
    /// Runs that went.
    gone: u32,
    /// Rows that went with them.
    rows: u32,
    /// Where the next piece begins.
    next: i64,
    /// Whether it came to its bound before it came to its end.
    is_cut: bool,
}

/// How a run has ended, by its first row.
pub fn outcome_of(root: &BranchRow) -> Option<RunOutcome> {
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
        | State::Meeting
        | State::Calling
        | State::Blocked
        | State::Ending => None,
    }
}
