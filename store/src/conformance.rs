//! One suite that every backend passes: what each change does, seen from outside the writer.

mod scopes;

use std::time::Duration;

use windlass_workflow_model::{
    ActivationId, Advance, Arrival, BranchOutcome, Child, Definition, Delay, Draft, Fault,
    FencingToken, Handover, Inputs, Last, Moves, Need, Next, NodeId, Payload, Position, Rest,
    Rounds, RunId, StepSpec, StepStatus, Tally, Timestamp, Token, WorkflowKey, advance, after_step,
};

use crate::backend::Reader;
use crate::change::{
    Admit, Aside, AttemptRecord, Change, Checkpoint, Committed, Ended, RunOutcome, SignalOutcome,
    Then,
};
use crate::clock::ManualClock;
use crate::error::{AdmitError, WriteError};
use crate::group_commit::Writer;
use crate::limits::HISTORY_ATTEMPTS_PER_BRANCH_MAX;
use crate::owner::Running;
use crate::record::{LockedJob, OwnerRow, State, flags};
use crate::store::{Admission, Options, ShedPolicy, Store};
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
                        undoes: false,
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

#[test]
fn a_sequence_goes_step_by_step_and_ends_once() {
    on_each(&sequence(&["a", "b"]), Options::default(), |rig| {
        rig.admit(1).unwrap();
        rig.do_one();
        assert!(rig.ended.is_empty());
        rig.do_one();
        assert_eq!(rig.ended.len(), 1);
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
        assert_eq!(rig.reader().history(rig.ended[0].run).unwrap().len(), 2);
    });
}

#[test]
fn a_checkpoint_applies_under_the_newest_token_and_once() {
    on_each(&sequence(&["a", "b"]), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let job = rig.take();
        let first = rig.outcome(&job, Ok(Payload::null()));
        let again = rig.outcome(&job, Ok(Payload::from_json(*b"\"late\"")));
        rig.write(first).unwrap();
        let before = format!("{:?}", rig.reader().run(run).unwrap());
        assert!(matches!(rig.write(again), Err(WriteError::Fenced { .. })));
        assert_eq!(
            format!("{:?}", rig.reader().run(run).unwrap()),
            before,
            "nothing changed"
        );
        assert_eq!(rig.reader().history(run).unwrap().len(), 1);
    });
}

#[test]
fn a_recovered_job_has_a_higher_token_and_the_old_one_is_refused() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let job = rig.take();
        let late = rig.outcome(&job, Ok(Payload::null()));
        let owner = job.row.owner;
        rig.own();
        rig.store.meter().close(true);
        let recovered = rig
            .ask(|reply| Change::Recover {
                owner,
                running: Vec::new(),
                crashed: true,
                max_crashes: 3,
                reply,
            })
            .unwrap();
        assert_eq!((recovered.freed, recovered.were_running), (1, 0));
        let row = rig.reader().run(run).unwrap().unwrap();
        assert!(row.token > job.row.token);
        assert!(matches!(rig.write(late), Err(WriteError::Fenced { .. })));
        rig.store.meter().close(false);
        rig.store.nudge();
        rig.turn();
        rig.do_one();
        assert_eq!(rig.ended.len(), 1);
    });
}

#[test]
fn only_a_crash_alone_is_charged_and_at_the_bound_the_job_is_parked() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        rig.admit(2).unwrap();
        for crash in 1..=2 {
            let (one, two) = (rig.take(), rig.take());
            let owner = one.row.owner;
            let both = [&one, &two].map(|job| Running {
                branch: job.row.id,
                token: job.row.token,
                started_at: Timestamp(1),
                step: None,
            });
            rig.own();
            let recovered = rig
                .ask(|reply| Change::Recover {
                    owner,
                    running: both.to_vec(),
                    crashed: true,
                    max_crashes: 1,
                    reply,
                })
                .unwrap();
            assert_eq!(
                (recovered.were_running, recovered.parked.len()),
                (2, 0),
                "crash {crash}"
            );
        }
        let one = rig.take();
        assert!(one.is_alone(), "it ran in two crashes in a row");
        let owner = one.row.owner;
        let running = vec![Running {
            branch: one.row.id,
            token: one.row.token,
            started_at: Timestamp(1),
            step: None,
        }];
        rig.own();
        let recovered = rig
            .ask(|reply| Change::Recover {
                owner,
                running,
                crashed: true,
                max_crashes: 1,
                reply,
            })
            .unwrap();
        assert_eq!(recovered.parked, [one.row.id]);
        let parked = rig.reader().branch(one.row.id).unwrap().unwrap();
        assert_eq!(parked.state, State::Parked);
        let run = one.row.run;
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 1);
        let row = rig.reader().branch(one.row.id).unwrap().unwrap();
        assert_eq!((row.state, row.crashes, row.suspect), (State::Ready, 0, 0));
    });
}

#[test]
fn a_parked_branch_that_has_outlived_its_join_is_retried_once() {
    let mut draft = Draft::new("first", "1");
    let (split, join) = draft.split("split", None);
    for name in ["quick", "poison"] {
        let step = draft.step(name, StepSpec::new("h"));
        draft.branch(split, name, step);
        draft.connect(step, join);
    }
    draft.need(join, Need::First, Rest::Absorb);
    draft.start_at(split);
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        let (quick, poison) = (rig.take(), rig.take());
        let outcome = rig.outcome(&quick, Ok(Payload::null()));
        rig.write(outcome).unwrap();
        let running = vec![Running {
            branch: poison.row.id,
            token: poison.row.token,
            started_at: Timestamp(1),
            step: None,
        }];
        rig.own();
        let owner = poison.row.owner;
        let recovered = rig
            .ask(|reply| Change::Recover {
                owner,
                running,
                crashed: true,
                max_crashes: 1,
                reply,
            })
            .unwrap();
        assert_eq!(recovered.parked, [poison.row.id]);
        // The branch that splits has not gone on, and it has outlived the wait for it.
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 1);
    });
}

#[test]
fn a_stale_slot_and_a_clean_stop_blame_nobody() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        rig.admit(1).unwrap();
        let job = rig.take();
        let owner = job.row.owner;
        let stale = Running {
            branch: job.row.id,
            token: FencingToken(job.row.token.0 - 1),
            started_at: Timestamp(1),
            step: None,
        };
        rig.own();
        let recovered = rig
            .ask(|reply| Change::Recover {
                owner,
                running: vec![stale],
                crashed: true,
                max_crashes: 1,
                reply,
            })
            .unwrap();
        assert_eq!(recovered.were_running, 0);
        let job = rig.take();
        let owner = job.row.owner;
        let exact = Running {
            branch: job.row.id,
            token: job.row.token,
            started_at: Timestamp(1),
            step: None,
        };
        rig.own();
        let recovered = rig
            .ask(|reply| Change::Recover {
                owner,
                running: vec![exact],
                crashed: false,
                max_crashes: 1,
                reply,
            })
            .unwrap();
        assert!(recovered.parked.is_empty());
    });
}

#[test]
fn a_join_fires_once_after_the_last_arrival_also_when_one_is_delivered_twice() {
    on_each(&split(3, None, None), Options::default(), |rig| {
        rig.admit(1).unwrap();
        rig.do_one();
        let jobs = [rig.take(), rig.take(), rig.take()];
        assert!(rig.jobs.is_empty());
        let first = rig.outcome(&jobs[2], Ok(Payload::null()));
        let twice = rig.outcome(&jobs[2], Ok(Payload::null()));
        rig.write(first).unwrap();
        assert!(matches!(rig.write(twice), Err(WriteError::Fenced { .. })));
        let second = rig.outcome(&jobs[0], Ok(Payload::null()));
        rig.write(second).unwrap();
        assert!(rig.jobs.is_empty(), "two of three have arrived");
        let third = rig.outcome(&jobs[1], Ok(Payload::null()));
        rig.write(third).unwrap();
        assert_eq!(rig.jobs.len(), 1, "the join fires once");
        rig.do_one();
        assert_eq!(rig.ended.len(), 1);
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_split_settles_all_and_fails_with_all_errors_and_a_retry_repeats_only_the_failed() {
    on_each(&split(3, None, None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        for index in 0..3 {
            let job = rig.take();
            let result = if index == 1 {
                Ok(Payload::null())
            } else {
                Err(Fault::new("bad", "no"))
            };
            let checkpoint = rig.outcome(&job, result);
            rig.write(checkpoint).unwrap();
        }
        rig.do_one();
        let RunOutcome::Failed(fault) = rig.ended.remove(0).outcome else {
            panic!("it failed")
        };
        let steps: Vec<_> = fault
            .errors
            .iter()
            .map(|error| error.step.as_str())
            .collect();
        assert_eq!(steps, ["s0", "s2"]);
        assert_eq!(rig.leftovers(), []);
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 2);
        assert_eq!(rig.jobs.len(), 2, "the one that succeeded is not repeated");
        (0..3).for_each(|_| rig.do_one());
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn parallelism_of_a_split_and_of_a_run_holds_branches_back_in_order() {
    for definition in [split(5, Some(2), None), split(5, None, Some(2))] {
        on_each(&definition, Options::default(), |rig| {
            rig.admit(1).unwrap();
            rig.do_one();
            let mut order = Vec::new();
            while rig.jobs.iter().any(|job| job.row.parent.is_some()) {
                assert!(rig.jobs.len() <= 2);
                order.push(rig.jobs[0].row.record.membership.clone().unwrap().index);
                rig.do_one();
            }
            assert_eq!(order, [0, 1, 2, 3, 4]);
            rig.do_one();
            assert_eq!((rig.ended.len(), rig.leftovers()), (1, vec![]));
        });
    }
}

#[test]
fn an_event_waits_for_its_wait_is_delivered_once_and_goes_with_its_run() {
    let mut draft = Draft::new("event", "1");
    let wait = draft.await_event("wait", "go", None);
    let last = draft.step("last", StepSpec::new("h"));
    draft.connect(wait, last);
    draft.start_at(wait);
    let definition = draft.finish().unwrap();
    on_each(&definition, Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let signal = |rig: &mut Rig, id: &str| {
            let (event, id, payload) = ("go".to_owned(), id.to_owned(), Payload::null());
            rig.ask(|reply| Change::Signal {
                run,
                event,
                id,
                payload,
                correlation: None,
                transient: false,
                is_fault: false,
                reply,
            })
            .unwrap()
        };
        assert_eq!(
            signal(rig, "1"),
            SignalOutcome::Stored,
            "early ones are kept"
        );
        assert_eq!(signal(rig, "1"), SignalOutcome::Duplicate);
        rig.do_one();
        let woken = rig.take();
        assert!(
            woken.row.record.event.is_some(),
            "the early event is consumed at once"
        );
        assert_eq!(
            signal(rig, "1"),
            SignalOutcome::Duplicate,
            "also after it was consumed"
        );
        let mut done = rig.outcome(&woken, Ok(Payload::null()));
        let last = Last {
            node: NodeId(1),
            activation: ActivationId(9),
            data: Payload::null(),
        };
        done.then = Then::Move(Next::End {
            result: Ok(Payload::null()),
            last,
        });
        rig.write(done).unwrap();
        assert_eq!(signal(rig, "2"), SignalOutcome::RunEnded);
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_timer_is_neither_early_nor_lost() {
    let mut draft = Draft::new("timer", "1");
    let nap = draft.sleep("nap", windlass_workflow_model::Delay::FixedMs(1_000));
    draft.start_at(nap);
    let definition = draft.finish().unwrap();
    on_each(&definition, Options::default(), |rig| {
        rig.admit(1).unwrap();
        rig.do_one();
        rig.clock.advance(Duration::from_millis(999));
        rig.turn();
        assert!(rig.jobs.is_empty());
        rig.clock.advance(Duration::from_millis(1));
        rig.turn();
        assert_eq!(rig.jobs.len(), 1);
        rig.do_one();
        assert_eq!((rig.ended.len(), rig.leftovers()), (1, vec![]));
    });
}

#[test]
fn a_bulk_is_admitted_whole_or_not_at_all() {
    let options = shed(3, ShedPolicy::RejectNew);
    on_each(&sequence(&["a"]), options, |rig| {
        rig.admit(2).unwrap();
        let Err(AdmitError::Shed { value, depth, .. }) = rig.admit(2) else {
            panic!("no room")
        };
        assert_eq!((value.len(), depth), (2, 2), "the value comes back");
        assert_eq!(rig.reader().runs(None, 10).unwrap().len(), 2);
        rig.take();
        rig.admit(2).unwrap();
        assert!(matches!(
            rig.admit(4),
            Err(AdmitError::TooMany {
                asked: 4,
                bound: 3,
                ..
            })
        ));
    });
}

#[test]
fn drop_oldest_drops_what_has_not_started_and_nothing_else() {
    let options = shed(2, ShedPolicy::DropOldest);
    on_each(&sequence(&["a"]), options, |rig| {
        let started = rig.admit(1).unwrap()[0];
        let job = rig.take();
        let waiting = rig.admit(2).unwrap();
        let newest = rig.admit(1).unwrap()[0];
        let states = |rig: &Rig, run: RunId| rig.reader().run(run).unwrap().unwrap().state;
        assert_eq!(states(rig, waiting[0]), State::Cancelled);
        assert_eq!(states(rig, started), State::Ready);
        assert_eq!(states(rig, newest), State::Ready);
        assert_eq!(rig.reader().admission().unwrap().1, 1, "counted");
        assert_eq!(
            rig.ended.remove(0).outcome,
            RunOutcome::Cancelled("shed".to_owned())
        );
        let checkpoint = rig.outcome(&job, Ok(Payload::null()));
        rig.write(checkpoint).unwrap();
        // What is left on the channel is withdrawn or starts; the dropped one never does.
        let started: Vec<_> = rig
            .jobs
            .iter()
            .filter(|job| job.ticket.start())
            .map(|job| job.row.run)
            .collect();
        assert_eq!(started, [waiting[1], newest]);
        assert!(matches!(rig.admit(3), Err(AdmitError::TooMany { .. })));
    });
}

#[test]
fn the_same_dedupe_key_finds_the_same_run() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let mut admit = Admit::new(rig.key, &rig.definition, Payload::null());
        admit.attributes.dedupe_key = Some("k".to_owned());
        let first = rig.admit_as(vec![admit.clone(), admit.clone()]).unwrap();
        assert_eq!(first[0], first[1]);
        assert_eq!(rig.admit_as(vec![admit]).unwrap()[0], first[0]);
        assert_eq!(rig.reader().runs(None, 10).unwrap().len(), 1);
    });
}

#[test]
fn a_cancelled_run_leaves_nothing_and_late_outcomes_are_refused() {
    on_each(&split(5, None, None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        let running = rig.take();
        let late = rig.outcome(&running, Ok(Payload::null()));
        let cancel = |rig: &mut Rig| {
            rig.ask(|reply| Change::Cancel {
                run,
                reason: "enough".to_owned(),
                reply,
            })
            .unwrap()
        };
        assert!(cancel(rig));
        assert!(matches!(rig.write(late), Err(WriteError::Fenced { .. })));
        rig.turn();
        assert_eq!(rig.leftovers(), []);
        assert_eq!(
            rig.ended[0].outcome,
            RunOutcome::Cancelled("enough".to_owned())
        );
        assert!(!cancel(rig), "the second time is a no-op");
        assert_eq!(rig.ended.len(), 1);
    });
}

#[test]
fn what_a_withdrawn_branch_did_before_stays_in_history() {
    let mut draft = Draft::new("withdrawn", "1");
    let (split, join) = draft.split("split", None);
    let [before, other] = ["before", "other"].map(|name| draft.step(name, StepSpec::new("h")));
    let rest = draft.sleep("rest", Delay::FixedMs(1_000));
    draft.start_at(split);
    draft.branch(split, "one", before);
    draft.connect(before, rest);
    draft.connect(rest, join);
    draft.branch(split, "two", other);
    draft.connect(other, join);
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        (0..3).for_each(|_| rig.do_one());
        let withdrawn = rig.ask(|reply| Change::CancelNode {
            run,
            node: "rest".to_owned(),
            reason: "test".to_owned(),
            reply,
        });
        assert_eq!(withdrawn.unwrap(), 1);
        let history = rig.reader().history(run).unwrap();
        let mut known: Vec<_> = history
            .iter()
            .map(|row| (row.node, row.status == StepStatus::Cancelled))
            .collect();
        known.sort_unstable();
        assert_eq!(known, [(before, false), (other, false), (rest, true)]);
        rig.do_one();
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_large_split_is_cleaned_up_in_pieces_before_the_run_ends() {
    let count = crate::limits::SWEEP_ROWS_MAX * 4 + 500;
    on_each(&split(1, None, None), Options::default(), |rig| {
        rig.store.meter().set_capacity(1 << 20);
        rig.store.meter().set_seats(1 << 20);
        let run = rig.admit(1).unwrap()[0];
        let job = rig.take();
        let mut checkpoint = rig.outcome(&job, Ok(Payload::null()));
        let Then::Move(Next::Split { children, .. }) = &mut checkpoint.then else {
            panic!("a split")
        };
        let one = children[0].clone();
        *children = (0..count)
            .map(|index| Child {
                index,
                ..one.clone()
            })
            .collect();
        rig.write(checkpoint).unwrap();
        for _ in 0..count {
            let job = rig.take();
            let checkpoint = rig.outcome(&job, Ok(Payload::null()));
            rig.store
                .submit(Change::Checkpoint(Box::new(checkpoint)))
                .unwrap();
            if rig.jobs.len() % 1_000 == 0 {
                rig.turn();
            }
        }
        while rig.jobs.is_empty() {
            rig.turn();
        }
        let job = rig.take();
        let last = rig.outcome(&job, Ok(Payload::null()));
        rig.write(last).unwrap();
        assert!(
            rig.ended.is_empty(),
            "branches are left, so the run has not ended"
        );
        while rig.ended.is_empty() {
            rig.turn();
        }
        assert_eq!(rig.leftovers(), [], "at its end nothing is left");
        assert_eq!(
            rig.reader().run(run).unwrap().unwrap().state,
            State::Succeeded
        );
    });
}

#[test]
fn retention_deletes_what_ended_long_ago_with_its_history_and_key() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let mut admit = Admit::new(rig.key, &rig.definition, Payload::null());
        admit.attributes.dedupe_key = Some("k".to_owned());
        let old = rig.admit_as(vec![admit.clone()]).unwrap()[0];
        rig.do_one();
        rig.clock.advance(Duration::from_secs(10));
        let open = rig.admit(1).unwrap()[0];
        let ended_before = Timestamp(1_000_000 + 5_000_000);
        let gone = rig
            .ask(|reply| Change::Retain {
                ended_before,
                reply,
            })
            .unwrap();
        assert_eq!(gone, (1, true));
        assert!(rig.reader().run(old).unwrap().is_none());
        assert!(rig.reader().history(old).unwrap().is_empty());
        assert!(rig.reader().run(open).unwrap().is_some());
        assert_ne!(
            rig.admit_as(vec![admit]).unwrap()[0],
            old,
            "ids are never reused"
        );
    });
}

#[test]
fn a_branch_keeps_the_history_of_its_last_attempts_only() {
    let mut draft = Draft::new("round-and-round", "1");
    let a = draft.step("a", StepSpec::new("a"));
    draft.start_at(a);
    draft.connect(a, a);
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let bound = usize::try_from(HISTORY_ATTEMPTS_PER_BRANCH_MAX).unwrap();
        let mut seen = |rounds: usize| {
            (0..rounds).for_each(|_| rig.do_one());
            let root = rig.reader().run(run).unwrap().unwrap();
            let history = rig.reader().history(run).unwrap();
            let first = history.first().map(|row| row.token);
            (history.len(), first, root.flags & flags::PARTIAL != 0)
        };
        assert_eq!(seen(bound), (bound, Some(FencingToken(1)), false));
        assert_eq!(seen(1), (bound, Some(FencingToken(2)), true));
        assert_eq!(seen(9), (bound, Some(FencingToken(11)), true));
    });
}

#[test]
fn a_known_name_and_version_with_another_definition_is_refused() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let other = Arc::new(sequence(&["a", "b"]));
        let refused = rig.ask(|reply| Change::Register {
            definition: Arc::clone(&other),
            serve: true,
            reply,
        });
        assert!(matches!(refused, Err(WriteError::WorkflowDiffers { .. })));
    });
}

#[test]
fn the_order_is_priority_then_work_in_progress_then_age_and_the_oldest_never_starves() {
    on_each(&sequence(&["a", "b"]), Options::default(), |rig| {
        rig.store.meter().close(true);
        let mut low = Admit::new(rig.key, &rig.definition, Payload::null());
        low.priority = crate::record::Priority::new(0).unwrap();
        let high = Admit::new(rig.key, &rig.definition, Payload::null());
        let oldest = rig.admit_as(vec![low]).unwrap()[0];
        rig.admit_as(vec![high; 40]).unwrap();
        rig.store.meter().close(false);
        rig.store.meter().set_capacity(16);
        rig.store.meter().set_seats(16);
        rig.store.nudge();
        rig.turn();
        let place = rig.jobs.iter().position(|job| job.row.run == oldest);
        assert_eq!(rig.jobs.len(), 16);
        assert!(
            place.is_some_and(|place| place > 0),
            "after better ones, but not never: {place:?}"
        );
        assert_eq!(rig.jobs[0].row.position, Position::before(NodeId(0)));
    });
}

#[test]
fn jobs_of_several_workflows_are_locked_in_one_order() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let mut draft = Draft::new("other", "1");
        let step = draft.step("a", StepSpec::new("a"));
        draft.start_at(step);
        let other = Arc::new(draft.finish().unwrap());
        let other_key = rig
            .ask(|reply| Change::Register {
                definition: Arc::clone(&other),
                serve: true,
                reply,
            })
            .unwrap();
        rig.store.meter().close(true);
        let ours = Admit::new(rig.key, &rig.definition, Payload::null());
        let theirs = Admit::new(other_key, &other, Payload::null());
        let mut urgent = theirs.clone();
        urgent.priority = crate::record::Priority::MAX;
        let in_turns = |count| {
            [ours.clone(), theirs.clone()]
                .into_iter()
                .cycle()
                .take(count)
        };
        let mut runs = rig.admit_as(in_turns(6).collect()).unwrap();
        let first = rig.admit_as(vec![urgent]).unwrap();
        rig.store.meter().close(false);
        rig.store.meter().set_capacity(5);
        rig.store.meter().set_seats(5);
        rig.store.nudge();
        rig.turn();
        let locked: Vec<_> = rig.jobs.drain(..).map(|job| job.row.run).collect();
        runs.splice(0..0, first);
        assert_eq!(locked, runs[..5], "the urgent one, then by age");
        rig.store.meter().give_back(5);
        rig.store.nudge();
        rig.turn();
        let locked: Vec<_> = rig.jobs.iter().map(|job| job.row.run).collect();
        assert_eq!(locked, runs[5..], "none is forgotten");
    });
}

#[test]
fn a_step_behind_a_join_that_failed_is_retried_with_the_merged_data() {
    // A join and the step behind it are one attempt; what failed is the step, not the split.
    on_each(&split(2, None, None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        (0..3).for_each(|_| rig.do_one());
        let job = rig.take();
        let failed = rig.outcome(&job, Err(Fault::new("bad", "no")));
        rig.write(failed).unwrap();
        assert!(matches!(rig.ended.remove(0).outcome, RunOutcome::Failed(_)));
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 1);
        assert_eq!(rig.jobs.len(), 1, "the branches are not repeated");
        rig.do_one();
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_retried_split_keeps_its_parallelism_and_releases_every_branch() {
    on_each(&split(6, Some(2), None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        for index in 0..6 {
            let job = rig.take();
            let result = if [1, 4].contains(&index) {
                Ok(Payload::null())
            } else {
                Err(Fault::new("bad", "no"))
            };
            let checkpoint = rig.outcome(&job, result);
            rig.write(checkpoint).unwrap();
        }
        rig.do_one();
        assert!(matches!(rig.ended.remove(0).outcome, RunOutcome::Failed(_)));
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 4);
        for _ in 0..4 {
            assert!((1..=2).contains(&rig.jobs.len()));
            rig.do_one();
        }
        rig.do_one();
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn an_owner_that_stops_leaves_nothing_locked_even_while_there_is_room() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        rig.admit(3).unwrap();
        let owner = rig.jobs[0].row.owner;
        rig.jobs.clear();
        rig.store.meter().give_back(3);
        rig.ask(|reply| Change::Recover {
            owner,
            running: Vec::new(),
            crashed: false,
            max_crashes: 1,
            reply,
        })
        .unwrap();
        for row in rig.reader().runs(None, 10).unwrap() {
            assert_eq!(row.owner, windlass_workflow_model::OwnerId(0));
        }
        assert!(rig.jobs.is_empty());
    });
}

#[test]
fn a_detached_branch_gets_its_event_also_after_the_main_branch_has_ended() {
    let mut draft = Draft::new("detached", "1");
    let wait = draft.await_event("wait", "go", None);
    let detach = draft.detach("side", wait);
    let last = draft.step("last", StepSpec::new("h"));
    draft.connect(detach, last);
    draft.start_at(detach);
    let definition = draft.finish().unwrap();
    on_each(&definition, Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        assert_eq!(rig.jobs.len(), 2, "the detached branch and the main one");
        rig.do_one();
        rig.do_one();
        assert!(rig.ended.is_empty(), "the run ends after all its branches");
        let (event, id, payload) = ("go".to_owned(), "1".to_owned(), Payload::null());
        let sent = rig
            .ask(|reply| Change::Signal {
                run,
                event,
                id,
                payload,
                correlation: None,
                transient: false,
                is_fault: false,
                reply,
            })
            .unwrap();
        assert_eq!(sent, SignalOutcome::Delivered);
        let woken = rig.take();
        let mut done = rig.outcome(&woken, Ok(Payload::null()));
        let last = Last {
            node: NodeId(0),
            activation: ActivationId(9),
            data: Payload::null(),
        };
        done.then = Then::Move(Next::End {
            result: Ok(Payload::null()),
            last,
        });
        rig.write(done).unwrap();
        assert_eq!((rig.ended.len(), rig.leftovers()), (1, vec![]));
    });
}
