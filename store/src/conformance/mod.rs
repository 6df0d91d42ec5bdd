//! One suite that every backend passes: what each change does, seen from outside the writer.

mod endings;
mod joins;
mod outside;
mod owners;
mod scopes;
mod steps;

use std::time::Duration;

use windlass_workflow_model::{
    ActivationId, Advance, Arrival, BranchOutcome, Child, Definition, Delay, Draft, Fault,
    FencingToken, Handover, Inputs, Last, Moves, Need, Next, NodeId, NoteRecord, Payload, Position,
    Rest, Rounds, RunId, StepSpec, StepStatus, Tally, Timestamp, Token, WorkflowKey, advance,
    after_step,
};

use crate::backend::Reader;
use crate::change::{
    Admit, Aside, AttemptRecord, Change, Checkpoint, Committed, Ended, PassedWait, RunOutcome,
    SignalOutcome, Then,
};
use crate::clock::ManualClock;
use crate::error::{AdmitError, WriteError};
use crate::group_commit::Writer;
use crate::limits::HISTORY_ATTEMPTS_PER_BRANCH_MAX;
use crate::owner::Running;
use crate::record::{LockedJob, OwnerRow, State, flags};
use crate::store::{Admission, History, Options, ShedPolicy, Store};
use crate::sync::{Arc, Receiver, oneshot};

/// A store whose writer is stepped by hand.
struct Rig {
    store: Store,
    writer: Writer,
    committed: Receiver<Committed>,
    clock: Arc<ManualClock>,
    definition: Arc<Definition>,
    key: WorkflowKey,
    jobs: Vec<Arc<LockedJob>>,
    ended: Vec<Ended>,
    _folder: Option<tempfile::TempDir>,
}

/// Plays `test` on every backend.
fn on_each(definition: &Definition, options: Options, test: impl Fn(&mut Rig)) {
    for memory in [true, false] {
        test(&mut Rig::new(definition, options, memory));
    }
}

impl Rig {
    fn new(definition: &Definition, options: Options, memory: bool) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp(1_000_000)));
        let folder = (!memory).then(|| tempfile::tempdir().unwrap());
        let (store, writer, committed) = match &folder {
            None => Store::memory(options, clock.clone()),
            Some(folder) => {
                Store::open(&folder.path().join("w.db"), options, clock.clone(), None).unwrap()
            }
        };
        store.meter().set_capacity(64);
        store.meter().set_seats(64);
        let definition = Arc::new(definition.clone());
        let mut rig = Self {
            store,
            writer,
            committed,
            clock,
            definition: Arc::clone(&definition),
            key: WorkflowKey(0),
            jobs: Vec::new(),
            ended: Vec::new(),
            _folder: folder,
        };
        rig.own();
        rig.key = rig
            .ask(|reply| Change::Register {
                definition: Arc::clone(&definition),
                serve: true,
                reply,
            })
            .unwrap();
        rig
    }

    /// Becomes a new owner, as a new engine does.
    fn own(&mut self) {
        let owner = OwnerRow {
            id: windlass_workflow_model::OwnerId(0),
            started_at: Timestamp(0),
            pid: 1,
            host: "here".to_owned(),
            file: "file".to_owned(),
        };
        self.ask(|reply| Change::RegisterOwner { owner, reply })
            .unwrap();
    }

    fn turn(&mut self) {
        self.writer.turn(Duration::ZERO);
        while let Ok(mut committed) = self.committed.try_recv() {
            self.jobs.append(&mut committed.dispatch);
            self.ended.append(&mut committed.ended);
            committed.tell();
        }
    }

    fn ask<T, E>(
        &mut self,
        change: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Change,
    ) -> Result<T, E> {
        let (reply, mut answer) = oneshot::channel();
        self.store.submit(change(reply)).unwrap();
        self.turn();
        answer.try_recv().expect("answered in one turn")
    }

    fn admit(&mut self, count: usize) -> Result<Vec<RunId>, AdmitError<Vec<Admit>>> {
        let one = Admit::new(self.key, &self.definition, Payload::null());
        self.admit_as(vec![one; count])
    }

    fn admit_as(&mut self, runs: Vec<Admit>) -> Result<Vec<RunId>, AdmitError<Vec<Admit>>> {
        let give_up_at = Duration::ZERO;
        let admitted = self.ask(|reply| Change::Admit {
            runs,
            give_up_at,
            reply,
        })?;
        Ok(admitted.into_iter().map(|admitted| admitted.run).collect())
    }

    /// Takes the next job off the channel and starts it.
    fn take(&mut self) -> Arc<LockedJob> {
        let job = self.jobs.remove(0);
        self.store.meter().taken();
        assert!(job.ticket.start());
        self.store.meter().started(job.row.is_unstarted());
        job
    }

    /// What a Runner would write for a job whose step gives `result`.
    fn outcome(&mut self, job: &Arc<LockedJob>, result: Result<Payload, Fault>) -> Checkpoint {
        let row = &job.row;
        let data = row.data.clone().unwrap_or_else(Payload::null);
        let token = Token {
            position: row.position,
            activation: row.activation,
            data,
            rounds: Rounds::new(),
        };
        let functions = windlass_workflow_model::Functions::new();
        let mut arrivals: Vec<Arrival> = Vec::new();
        let mut came;
        let inputs = match row.record.children {
            Some(range) if !row.position.entering => {
                let mut reader = self.store.reader().unwrap();
                let rows = reader.range(range, 0, range.count).unwrap();
                arrivals.extend(rows.into_iter().map(|row| {
                    let extras = row.record.into_extras();
                    let membership = extras.membership.unwrap();
                    let succeeded = BranchOutcome::Succeeded(Payload::null());
                    windlass_workflow_model::Arrival {
                        index: membership.index,
                        name: membership.name,
                        outcome: extras.fault.map_or(succeeded, BranchOutcome::Failed),
                    }
                }));
                let fails =
                    |arrival: &&Arrival| matches!(arrival.outcome, BranchOutcome::Failed(_));
                let failed = u32::try_from(arrivals.iter().filter(fails).count()).unwrap();
                let tally = Tally {
                    expected: range.count,
                    succeeded: range.count - failed,
                    failed,
                    ..Tally::default()
                };
                came = arrivals.into_iter();
                Inputs::Arrivals(tally, &mut came)
            }
            _ if !row.record.flow().met.is_empty() => {
                came = arrivals.into_iter();
                Inputs::Arrivals(Tally::default(), &mut came)
            }
            _ => Inputs::Nothing,
        };
        let (attempt, moves) =
            match advance(&self.definition, &functions, token, inputs, Timestamp(0)) {
                Advance::Moves(moves) => (None, moves),
                Advance::Attempt(handover) => {
                    let Handover {
                        node, activation, ..
                    } = handover;
                    let failed = result.as_ref().err().cloned();
                    let record = AttemptRecord {
                        node,
                        activation,
                        status: if failed.is_some() {
                            StepStatus::Failed
                        } else {
                            StepStatus::Succeeded
                        },
                        started_at: Timestamp(0),
                        fault: failed,
                        output: None,
                        input: None,
                        undoes: false,
                        rounds: handover.rounds.clone(),
                    };
                    (
                        Some(record),
                        after_step(
                            &self.definition,
                            &functions,
                            &handover,
                            result,
                            Timestamp(0),
                        ),
                    )
                }
            };
        let merged = row.record.children.filter(|_| !row.position.entering);
        let Moves {
            skipped,
            detached,
            besides,
            next,
            ..
        } = moves;
        let aside = besides.map(|besides| {
            Box::new(Aside {
                forked: besides.forked,
                noted: besides.noted,
                ..Aside::default()
            })
        });
        Checkpoint {
            job: Arc::clone(job),
            attempt,
            passed: None,
            skipped,
            detached,
            then: Then::Move(next),
            merged,
            schedules: Vec::new(),
            aside,
            reply: None,
        }
    }

    fn write(&mut self, checkpoint: Checkpoint) -> Result<(), WriteError> {
        self.ask(|reply| {
            Change::Checkpoint(Box::new(Checkpoint {
                reply: Some(reply),
                ..checkpoint
            }))
        })
    }

    /// Does the next job well.
    fn do_one(&mut self) {
        let job = self.take();
        let checkpoint = self.outcome(&job, Ok(Payload::null()));
        assert!(job.ticket.conclude());
        self.store.meter().ended(Duration::from_millis(1));
        self.write(checkpoint).unwrap();
    }

    fn reader(&self) -> Box<dyn Reader> {
        self.store.reader().unwrap()
    }

    fn leftovers(&self) -> Vec<(&'static str, u64)> {
        let mut left = self.reader().leftovers().unwrap();
        left.retain(|(_, count)| *count > 0);
        left
    }
}

fn sequence(steps: &[&str]) -> Definition {
    let mut draft = Draft::new("sequence", "1");
    let nodes: Vec<_> = steps
        .iter()
        .map(|name| draft.step(*name, StepSpec::new("h")))
        .collect();
    nodes
        .windows(2)
        .for_each(|pair| draft.connect(pair[0], pair[1]));
    draft.start_at(nodes[0]);
    draft.finish().unwrap()
}

fn split(
    branches: usize,
    max_parallelism: Option<u32>,
    run_parallelism: Option<u32>,
) -> Definition {
    let mut draft = Draft::new("split", "1");
    let (split, join) = draft.split("split", None);
    for index in 0..branches {
        let step = draft.step(format!("s{index}"), StepSpec::new("h"));
        draft.branch(split, format!("b{index}"), step);
        draft.connect(step, join);
    }
    if let Some(limit) = max_parallelism {
        draft.split_parallelism(split, limit);
    }
    if let Some(limit) = run_parallelism {
        draft.run_parallelism(limit);
    }
    let last = draft.step("last", StepSpec::new("h"));
    draft.connect(join, last);
    draft.start_at(split);
    draft.finish().unwrap()
}

fn shed(max_pending: u64, policy: ShedPolicy) -> Options {
    Options {
        admission: Admission::Shed {
            max_pending,
            policy,
        },
        ..Options::default()
    }
}
