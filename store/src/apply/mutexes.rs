//! Mutexes of a run: one scope at a time, and what holds one up.
//!
//! A mutex is held by the branch that waits at the join of its scope, from before the scope's first
//! token starts until the last has ended (I11). It passes on only when no attempt inside it can
//! still be at work: one that was withdrawn, or whose time was over, is waited for until it has
//! returned or its engine has died.

use windlass_workflow_model::{BranchId, Fault, FencingToken, OwnerId, RunId, codes};

use super::Apply;
use super::ancestry::Climb;
use crate::backend::{Guard, Mark, Result, Tables};
use crate::record::{BranchRow, JobKey, State, flags};

/// Beginnings of names of marks and waits. No event can have such a name.
pub(crate) const MUTEX: &str = "\u{1}mutex/";
const RETURNING: &str = "\u{1}returning/";

impl<T: Tables> Apply<'_, T> {
    /// The branch `row` enters the mutex, waits for it, or is told that this can never be.
    pub(super) fn acquire(&mut self, row: &mut BranchRow, mutex: &str) -> Result<()> {
        row.flags |= flags::BRANCHED;
        let name = format!("{MUTEX}{mutex}");
        let Some(held) = self.tables.mark(row.run, &name)? else {
            return self.enter_mutex(row, &name, mutex);
        };
        if let Some(around) = self.deadlock(row, mutex, BranchId(held.value))? {
            let text = format!(
                "mutex {mutex:?} is held by a branch that waits for {around}: take mutexes in the same order everywhere"
            );
            row.record.flow_mut().refused = Some(Fault::new(codes::DEADLOCK, text).permanent());
            return self.make_ready(row);
        }
        row.state = State::Blocked;
        self.tables.subscribe(row.run, &name, row.id, 0)
    }

    fn enter_mutex(&mut self, row: &mut BranchRow, name: &str, mutex: &str) -> Result<()> {
        self.tables.set_mark(&Mark {
            run: row.run,
            name: name.to_owned(),
            value: row.id.0,
            token: FencingToken(0),
            owner: OwnerId(0),
        })?;
        row.record.flow_mut().mutex = Some(mutex.to_owned());
        self.make_ready(row)
    }

    /// Its scope is over.
    pub(super) fn release_mutex(&mut self, run: RunId, mutex: &str) -> Result<()> {
        let name = format!("{MUTEX}{mutex}");
        let Some(mut held) = self.tables.mark(run, &name)? else {
            return Ok(());
        };
        let prefix = format!("{RETURNING}{mutex}/");
        if !self.tables.marks(run, &prefix)?.is_empty() {
            // An attempt inside it is at work still: it is nobody's until that has returned.
            held.value = 0;
            return self.tables.set_mark(&held);
        }
        let waiting = self.tables.subscribers(run, &name)?;
        // Who has waited longest, as far as their numbers tell.
        let Some(&next) = waiting.first() else {
            return self.tables.delete_mark(run, &name);
        };
        self.tables.unsubscribe(run, next)?;
        let Some(mut row) = self.tables.branch(next)? else {
            return self.tables.delete_mark(run, &name);
        };
        self.enter_mutex(&mut row, &name, mutex)?;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)
    }

    /// An attempt of `job` does not count any more, but may be at work: the mutexes that it is in
    /// wait for it.
    pub(super) fn note_returning(&mut self, job: &BranchRow) -> Result<()> {
        for above in self.ancestors(job)? {
            let row = self.tables.branch(above)?;
            let Some(mutex) = row.and_then(|row| row.record.flow().mutex.clone()) else {
                continue;
            };
            self.tables.set_mark(&Mark {
                run: job.run,
                name: format!("{RETURNING}{mutex}/{}", job.id),
                value: job.id.0,
                token: job.token,
                owner: job.owner,
            })?;
        }
        Ok(())
    }

    /// An attempt has returned whose outcome does not count.
    pub(super) fn returned(&mut self, run: RunId, key: JobKey) -> Result<()> {
        let marks = self.tables.marks(run, RETURNING)?;
        for mark in marks {
            if mark.value == key.branch.0 && mark.token <= key.token {
                self.has_returned(&mark)?;
            }
        }
        Ok(())
    }

    /// The engine is dead, and with it every attempt of its.
    pub(super) fn returned_all(&mut self, owner: OwnerId) -> Result<()> {
        for mark in self.tables.marks_of(owner)? {
            self.has_returned(&mark)?;
        }
        Ok(())
    }

    fn has_returned(&mut self, mark: &Mark) -> Result<()> {
        self.tables.delete_mark(mark.run, &mark.name)?;
        let mutex = mark.name[RETURNING.len()..]
            .rsplit_once('/')
            .map_or("", |(mutex, _)| mutex)
            .to_owned();
        let held = self.tables.mark(mark.run, &format!("{MUTEX}{mutex}"))?;
        if held.is_some_and(|held| held.value == 0) {
            self.release_mutex(mark.run, &mutex)?;
        }
        Ok(())
    }

    /// Whether `row` would wait for ever: the holder of what it wants cannot let go before something
    /// below it gets a mutex that is held above `row`. Says which.
    fn deadlock(
        &mut self,
        row: &BranchRow,
        mutex: &str,
        holder: BranchId,
    ) -> Result<Option<String>> {
        let above = self.ancestors(row)?;
        if above.contains(&holder) {
            return Ok(Some(format!("its own end, inside {mutex:?}")));
        }
        let waits = self.tables.waits(row.run, MUTEX)?;
        let mut open = vec![holder];
        let mut seen = Vec::new();
        while let Some(holder) = open.pop() {
            if seen.contains(&holder) {
                continue;
            }
            seen.push(holder);
            for (name, waiter) in &waits {
                let Some(waiting) = self.tables.branch(*waiter)? else {
                    continue;
                };
                if !self.ancestors(&waiting)?.contains(&holder) {
                    continue;
                }
                let Some(held) = self.tables.mark(row.run, name)? else {
                    continue;
                };
                if above.contains(&BranchId(held.value)) {
                    let wanted = &name[MUTEX.len()..];
                    return Ok(Some(format!("mutex {wanted:?}, which is held around here")));
                }
                open.push(BranchId(held.value));
            }
        }
        Ok(None)
    }

    /// The branches that cannot go on before `row` ends. Those around a detached one can: only the
    /// end of the run waits for it.
    fn ancestors(&mut self, row: &BranchRow) -> Result<Vec<BranchId>> {
        let mut above = Vec::new();
        let (mut at, mut climb) = (waited_for_by(row), Climb::default());
        while let Some(id) = at {
            above.push(id);
            at = self.climb(&mut climb, id)?.as_ref().and_then(waited_for_by);
        }
        Ok(above)
    }
}

/// The branch around `row`, unless `row` is detached from it: then it has no join to come to.
fn waited_for_by(row: &BranchRow) -> Option<BranchId> {
    let membership = row.record.membership.as_ref()?;
    membership.join.and(row.parent)
}
