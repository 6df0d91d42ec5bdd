//! What each change does to the rows: decided here once, for every backend.
//!
//! A change is checked before it writes, so a refused one leaves nothing behind and the rest of its
//! batch commits. A storage error ends the whole transaction; then the ledger is restored.

mod admission;
mod ancestry;
mod arrivals;
mod at_work;
mod calls;
mod checkpoint;
mod deadlines;
mod endings;
mod events;
mod frontier;
mod history;
mod jobs;
mod maps;
mod milestones;
mod mutexes;
mod owners;
mod place;
mod scopes;
mod undo;
mod withdrawal;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_workflow_model::{BranchId, Definition, OwnerId, Timestamp, WorkflowKey};

use crate::backend::{Meta, Result, Tables};
use crate::change::{Admitted, Change, Ended, MapOutcome, Recovered, SignalOutcome, Withdrawn};
use crate::error::{StorageError, WriteError};
use crate::meter::Meter;
use crate::record::{BranchRow, JobKey, LockedJob, Rank};
use crate::store::{Admission, History};
use crate::sync::Arc;

pub(crate) use admission::Refused;
pub(crate) use at_work::AtWork;
pub use endings::outcome_of;
pub(crate) use events::correlation;
#[cfg(test)]
pub(crate) use frontier::Frontier;
pub(crate) use frontier::retries_at;
pub(crate) use maps::{late, no_map};
pub(crate) use milestones::GATE;
pub(crate) use mutexes::MUTEX;

/// A change that was carried out, or refused with nothing written.
pub(crate) type Verdict<T> = Result<std::result::Result<T, WriteError>>;

/// A workflow that was looked at.
#[derive(Clone, Debug)]
struct Known {
    definition: Arc<Definition>,
    /// Whether it has steps that can be undone.
    undoes: bool,
}

/// What the writer knows between transactions. Restored when a transaction fails.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) meta: Meta,
    /// We, as far as locks are concerned.
    pub(crate) owner: OwnerId,
    /// Workflows whose handlers we have.
    pub(crate) served: BTreeSet<WorkflowKey>,
    /// The best rank that may wait unlocked in the outbox; `None`: nothing of ours waits.
    backlog: Option<Rank>,
    /// Jobs picked so far; every so many takes the oldest.
    picks: u64,
    /// Definitions that were looked at; a workflow never changes.
    definitions: Arc<BTreeMap<WorkflowKey, Known>>,
    /// Runs below it have all started, or cannot be dropped.
    unstarted_from: BranchId,
    /// Of the runs below it none stays that had ended when retention came there.
    retained_upto: i64,
    /// First jobs on our channel, kept only where load shedding may drop them.
    droppable: HashMap<BranchId, Arc<LockedJob>>,
    /// Whether clean-ups may be open.
    pub(crate) sweeping: bool,
    pub(crate) next_due: Option<Timestamp>,
}

impl Ledger {
    pub(crate) fn new(meta: Meta) -> Self {
        Self {
            meta,
            owner: OwnerId(0),
            served: BTreeSet::new(),
            backlog: Some(Rank(0)),
            picks: 0,
            definitions: Arc::default(),
            unstarted_from: BranchId(0),
            retained_upto: 0,
            droppable: HashMap::new(),
            sweeping: true,
            next_due: Some(Timestamp(i64::MIN)),
        }
    }

    pub(crate) fn has_backlog(&self) -> bool {
        self.backlog.is_some()
    }

    /// Somebody else has written: nothing that was known of the rows holds any more.
    pub(crate) fn forget(&mut self, meta: Meta) {
        self.meta = meta;
        self.backlog = Some(Rank(0));
        self.sweeping = true;
        self.next_due = Some(Timestamp(i64::MIN));
    }
}

/// The settings of one writer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) admission: Admission,
    pub(crate) history: History,
}

/// What a transaction leads to once it is durable.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) dispatch: Vec<Arc<LockedJob>>,
    pub(crate) ended: Vec<Ended>,
    pub(crate) withdrawn: Vec<Withdrawn>,
    /// First jobs whose start is now recorded, or was taken back.
    pub(crate) recorded_starts: u64,
    /// Jobs on our channel whose tickets were taken from the Runners; given back if this fails.
    pub(crate) taken_back: Vec<JobKey>,
    /// Credits of the channel that were taken.
    pub(crate) credits: u64,
    /// Of those, for jobs that turned out not to be dispatched.
    pub(crate) unused_credits: u64,
    /// Our jobs were freed by somebody else: we are none of the owners any more.
    pub(crate) taken_for_dead: bool,
}

/// What became of one change.
#[derive(Debug)]
pub(crate) enum Answered {
    Admit(std::result::Result<Vec<Admitted>, Refused>),
    Unit(std::result::Result<(), WriteError>),
    Key(std::result::Result<WorkflowKey, WriteError>),
    Signal(std::result::Result<SignalOutcome, WriteError>),
    Flag(std::result::Result<bool, WriteError>),
    Map(std::result::Result<MapOutcome, WriteError>),
    Count(std::result::Result<u32, WriteError>),
    Owner(std::result::Result<OwnerId, WriteError>),
    Recovered(std::result::Result<Recovered, WriteError>),
    Retained(std::result::Result<(u32, bool), WriteError>),
}

/// One open transaction.
pub(crate) struct Apply<'a, T> {
    pub(crate) tables: &'a mut T,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) effects: &'a mut Effects,
    pub(crate) meter: &'a Meter,
    pub(crate) rules: Rules,
    pub(crate) at_work: AtWork<'a>,
    pub(crate) now: Timestamp,
}

impl<T: Tables> Apply<'_, T> {
    /// Carries one change out, wholly or not at all.
    pub(crate) fn change(&mut self, change: &Change) -> Result<Answered> {
        Ok(match change {
            Change::Admit { runs, .. } => Answered::Admit(self.admit(runs)?),
            Change::Checkpoint(checkpoint) => Answered::Unit(self.checkpoint(checkpoint)?),
            Change::Unlock(keys) => {
                for key in keys {
                    self.unlock(*key, false)?;
                }
                Answered::Unit(Ok(()))
            }
            Change::Register {
                definition, serve, ..
            } => Answered::Key(self.register(definition, *serve)?),
            Change::Signal {
                run,
                event,
                id,
                payload,
                correlation,
                transient,
                is_fault,
                ..
            } => {
                let name = events::subscription(event, correlation.as_deref());
                let came = events::Came {
                    name: &name,
                    id,
                    payload,
                    is_fault: *is_fault,
                    transient: *transient,
                };
                Answered::Signal(self.signal(*run, &came)?)
            }
            Change::Cancel { run, reason, .. } => Answered::Flag(self.cancel(*run, reason)?),
            Change::CancelNode {
                run, node, reason, ..
            } => Answered::Count(self.cancel_node(*run, node, reason)?),
            Change::ChangeMap { run, map, what, .. } => {
                Answered::Map(self.change_map(*run, map, what)?)
            }
            Change::Returned(run, key) => {
                self.returned(*run, *key)?;
                Answered::Unit(Ok(()))
            }
            Change::Heartbeat(key, details) => {
                self.heartbeat(*key, details)?;
                Answered::Unit(Ok(()))
            }
            Change::Retry { run, .. } => Answered::Count(self.retry(*run)?),
            Change::RegisterOwner { owner, .. } => Answered::Owner(Ok(self.register_owner(owner)?)),
            Change::Recover {
                owner,
                running,
                crashed,
                max_crashes,
                ..
            } => {
                let blame = crashed.then_some(*max_crashes);
                Answered::Recovered(Ok(self.recover(*owner, running, blame)?))
            }
            Change::Tick | Change::Close => Answered::Unit(Ok(())),
            Change::Retain { ended_before, .. } => {
                Answered::Retained(Ok(self.retain(*ended_before)?))
            }
        })
    }

    /// What is due by itself: timers, one piece of a clean-up, and jobs for the channel.
    pub(crate) fn upkeep(&mut self) -> Result<()> {
        self.fire_timers()?;
        self.sweep_some()?;
        self.fill_channel()
    }

    /// The definition of a workflow, which never changes.
    fn definition(&mut self, workflow: WorkflowKey) -> Result<Arc<Definition>> {
        if let Some(known) = self.ledger.definitions.get(&workflow) {
            return Ok(Arc::clone(&known.definition));
        }
        let stored = self.tables.definition(workflow)?;
        let definition = stored.ok_or_else(|| StorageError::Corrupt {
            what: "workflow".to_owned(),
            why: format!("number {workflow} is not stored"),
        })?;
        self.know(workflow, Arc::clone(&definition));
        Ok(definition)
    }

    fn know(&mut self, workflow: WorkflowKey, definition: Arc<Definition>) {
        let known = Known {
            undoes: definition.undoes(),
            definition,
        };
        Arc::make_mut(&mut self.ledger.definitions).insert(workflow, known);
    }

    /// Whether a workflow has steps that can be undone.
    fn undoes(&mut self, workflow: WorkflowKey) -> Result<bool> {
        if let Some(known) = self.ledger.definitions.get(&workflow) {
            return Ok(known.undoes);
        }
        Ok(self.definition(workflow)?.undoes())
    }

    fn new_ids(&mut self, count: usize) -> i64 {
        let first = self.ledger.meta.next_id;
        self.ledger.meta.next_id += i64::try_from(count).expect("a count of rows fits");
        first
    }

    /// Notes that a run has left the door: it has started, ended or gone.
    fn clear_unstarted(&mut self, row: &mut BranchRow) {
        if row.is_unstarted() {
            row.flags &= !crate::record::flags::UNSTARTED;
            row.rank = row.rank.started();
            self.ledger.meta.unstarted -= 1;
            self.ledger.droppable.remove(&row.id);
        }
    }
}
