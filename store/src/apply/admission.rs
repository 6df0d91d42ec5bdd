//! The door: what comes from outside is accepted, has to wait, or is refused.
//!
//! The verdict is taken in the admitting transaction, so producers that race never overshoot the
//! bound. Why work from inside never passes here: ADRs/0005-internal-work-is-never-shed.md.

use windlass_workflow_model::{
    ActivationId, BranchId, Epoch, FencingToken, OwnerId, Position, RunId, Timestamp, WorkflowKey,
};

use super::Apply;
use crate::backend::{Guard, Result, RunLimit, Tables};
use crate::change::{Admit, Admitted, Ended, RunOutcome};
use crate::limits::{BULK_RUNS_MAX, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::record::{BranchRow, Caller, Extras, Rank, Record, RunAttributes, State, flags};
use crate::store::{Admission, History, ShedPolicy};

/// Why the door stays shut. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No room now; the producer may wait.
    NoRoom { depth: u64 },
    /// No room, and nobody waits.
    Shed { depth: u64 },
    /// There can never be room for so many.
    TooMany { asked: u64, bound: u64 },
    /// Too many bytes.
    TooLarge {
        what: &'static str,
        bytes: usize,
        max: usize,
    },
}

/// The reason of a run that load shedding dropped.
const SHED: &str = "shed";

impl<T: Tables> Apply<'_, T> {
    /// Admits all of `runs` or none.
    pub(crate) fn admit(
        &mut self,
        runs: &[Admit],
    ) -> Result<std::result::Result<Vec<Admitted>, Refused>> {
        if let Some(refused) = unfit(runs) {
            return Ok(Err(refused));
        }
        let known = self.known(runs)?;
        let new = known.iter().filter(|run| run.is_none()).count() as u64;
        if let Some(refused) = self.judge(new)? {
            return Ok(Err(refused));
        }
        let mut admitted = Vec::with_capacity(runs.len());
        for (run, known) in runs.iter().zip(known) {
            admitted.push(match known {
                Some(run) => Admitted { run, existed: true },
                None => self.admit_keyed(run)?,
            });
        }
        Ok(Ok(admitted))
    }

    /// The runs that exist already, by their dedupe keys.
    fn known(&mut self, runs: &[Admit]) -> Result<Vec<Option<RunId>>> {
        runs.iter()
            .map(|run| match &run.attributes.dedupe_key {
                Some(key) => self.tables.dedupe(key),
                None => Ok(None),
            })
            .collect()
    }

    /// A key may stand twice in one bulk: the second one finds the first.
    fn admit_keyed(&mut self, run: &Admit) -> Result<Admitted> {
        if let Some(key) = &run.attributes.dedupe_key
            && let Some(run) = self.tables.dedupe(key)?
        {
            return Ok(Admitted { run, existed: true });
        }
        self.begin_run(run, flags::UNSTARTED, None)
            .map(|run| Admitted {
                run,
                existed: false,
            })
    }

    /// Admitted runs from outside whose first job has not started.
    fn depth(&self) -> u64 {
        let stored = u64::try_from(self.ledger.meta.unstarted).unwrap_or(0);
        let started = self
            .meter
            .started_unrecorded()
            .saturating_sub(self.effects.recorded_starts);
        stored.saturating_sub(started)
    }

    fn judge(&mut self, new: u64) -> Result<Option<Refused>> {
        let max_pending = self.rules.admission.max_pending();
        if new > max_pending {
            return Ok(Some(Refused::TooMany {
                asked: new,
                bound: max_pending,
            }));
        }
        let mut depth = self.depth();
        if depth + new <= max_pending {
            return Ok(None);
        }
        match self.rules.admission {
            Admission::Backpressure { .. } => Ok(Some(Refused::NoRoom { depth })),
            Admission::Shed {
                policy: ShedPolicy::RejectNew,
                ..
            } => Ok(Some(Refused::Shed { depth })),
            Admission::Shed {
                policy: ShedPolicy::DropOldest,
                ..
            } => {
                // Look for enough to drop before dropping any: a refusal changes nothing.
                let needed = depth + new - max_pending;
                let victims = self.victims(usize::try_from(needed).unwrap_or(usize::MAX))?;
                if (victims.len() as u64) < needed {
                    for spared in victims.iter().filter(|row| row.owner != OwnerId(0)) {
                        self.unlock(spared.key(), false)?;
                    }
                    depth = self.depth();
                    return Ok(Some(Refused::Shed { depth }));
                }
                for victim in victims {
                    self.drop_run(victim)?;
                }
                Ok(None)
            }
        }
    }

    /// The oldest runs that have not started and that nobody can start any more.
    fn victims(&mut self, needed: usize) -> Result<Vec<BranchRow>> {
        let mut victims = Vec::new();
        let mut from = self.ledger.unstarted_from;
        let mut all_passed = true;
        while victims.len() < needed {
            let rows = self.tables.unstarted(from, 64)?;
            let Some(last) = rows.last() else { break };
            from = BranchId(last.id.0 + 1);
            for row in rows {
                let free = row.owner == OwnerId(0);
                let ours = self.ledger.droppable.get(&row.id);
                if victims.len() < needed && (free || ours.is_some_and(|job| job.ticket.withdraw()))
                {
                    if !free {
                        self.effects.taken_back.push(row.key());
                    }
                    if all_passed {
                        self.ledger.unstarted_from = row.id;
                    }
                    victims.push(row);
                } else {
                    all_passed = false;
                }
            }
        }
        Ok(victims)
    }

    fn drop_run(&mut self, mut row: BranchRow) -> Result<()> {
        self.clear_unstarted(&mut row);
        row.token = FencingToken(row.token.0 + 1);
        row.owner = OwnerId(0);
        row.due = None;
        row.state = State::Cancelled;
        row.ended_at = Some(self.now);
        row.record.reason = Some(SHED.to_owned());
        if row.flags & flags::LIMITED != 0 {
            self.tables.delete_limit(row.run)?;
        }
        if row.flags & flags::EVENTS != 0 {
            self.tables.delete_events(row.run)?;
        }
        self.tables.update(&row, Guard::Read)?;
        self.ledger.meta.shed += 1;
        let outcome = RunOutcome::Cancelled(SHED.to_owned());
        self.effects.ended.push(Ended {
            run: row.run,
            outcome,
        });
        Ok(())
    }

    /// Writes the one row of a new run.
    pub(super) fn begin_run(
        &mut self,
        admit: &Admit,
        flag: u16,
        caller: Option<Caller>,
    ) -> Result<RunId> {
        let run = RunId(self.new_ids(1));
        let mut row = first_row(run, admit, self.ledger.meta.epoch, flag);
        if caller.is_some() {
            row.record.flow_mut().caller = caller;
        }
        row.created_at = self.now;
        if self.rules.history != History::All {
            row.flags |= flags::PARTIAL;
        }
        if let Some(max) = admit.max_parallelism {
            row.flags |= flags::LIMITED;
            self.tables.set_limit(run, RunLimit { max, active: 0 })?;
        }
        if let Some(deadline) = admit.deadline {
            let from = admit.not_before.unwrap_or(self.now).max(self.now);
            self.set_deadline(&mut row, from.after(deadline))?;
        }
        match admit.not_before {
            Some(due) if due > self.now => {
                row.state = State::Timer;
                row.due = Some(due);
                self.note_timer(&row);
            }
            _ => self.make_ready(&mut row)?,
        }
        self.tables.insert(&row)?;
        if let Some(key) = &admit.attributes.dedupe_key {
            self.tables.set_dedupe(key, run)?;
        }
        if flag == flags::UNSTARTED {
            self.ledger.meta.unstarted += 1;
        }
        self.dispatch(&row, None);
        Ok(run)
    }
}

fn first_row(run: RunId, admit: &Admit, epoch: Epoch, flag: u16) -> BranchRow {
    let attributes =
        (admit.attributes != RunAttributes::default()).then(|| admit.attributes.clone());
    let workflow: WorkflowKey = admit.workflow;
    BranchRow {
        id: run.root(),
        run,
        parent: None,
        workflow,
        epoch,
        position: Position::before(admit.start),
        activation: ActivationId::ORIGIN.derive(admit.start, 0),
        state: State::Ready,
        rank: Rank::new(admit.priority, flag == flags::UNSTARTED),
        flags: flag,
        owner: OwnerId(0),
        token: FencingToken(0),
        attempt: 1,
        crashes: 0,
        suspect: 0,
        due: None,
        data: Some(admit.input.clone()),
        record: Record::from(Extras {
            attributes,
            max_parallelism: admit.max_parallelism,
            ..Extras::default()
        }),
        created_at: Timestamp::default(),
        started_at: None,
        ended_at: None,
    }
}

fn unfit(runs: &[Admit]) -> Option<Refused> {
    if runs.len() > BULK_RUNS_MAX {
        return Some(Refused::TooMany {
            asked: runs.len() as u64,
            bound: BULK_RUNS_MAX as u64,
        });
    }
    runs.iter().find_map(|run| {
        let note = run.attributes.note.as_ref().map_or(0, String::len);
        let key = run.attributes.dedupe_key.as_ref().map_or(0, String::len);
        [
            ("the input", run.input.len(), PAYLOAD_BYTES_MAX),
            ("the note", note, PAYLOAD_BYTES_MAX),
            ("the dedupe key", key, KEY_BYTES_MAX),
        ]
        .into_iter()
        .find(|(_, bytes, max)| bytes > max)
        .map(|(what, bytes, max)| Refused::TooLarge { what, bytes, max })
    })
}
