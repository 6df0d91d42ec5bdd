//! What becomes of the jobs of an owner that is gone.

use windlass_workflow_model::OwnerId;

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::error::StorageError;
use crate::group_commit::Turn;
use crate::record::BranchRow;
use crate::store::StoreKind;

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

/// A crash does not begin the time anew in which a step must end.
#[test]
fn a_recovered_step_must_end_when_it_had_to_before() {
    let mut draft = Draft::new("limited", "1");
    let a = draft.step("a", StepSpec::new("a"));
    draft.start_at(a);
    draft.change_step(a, |step| step.end_within_ms = Some(60_000));
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let due = Some(rig.clock.now().after(Duration::from_mins(1)));
        rig.do_one();
        let job = rig.take();
        assert_eq!(job.row.record.flow().start_by, due);
        rig.clock.advance(Duration::from_secs(10));
        let owner = job.row.owner;
        rig.own();
        let recovery = |reply| Change::Recover {
            owner,
            running: Vec::new(),
            crashed: true,
            max_crashes: 3,
            reply,
        };
        rig.ask(recovery).unwrap();
        let row = rig.reader().run(run).unwrap().unwrap();
        assert_eq!((row.state, row.record.flow().start_by), (State::Ready, due));
    });
}

#[test]
fn how_long_a_step_is_held_is_not_of_the_time_in_which_it_must_end() {
    let mut draft = Draft::new("limited", "1");
    draft.run_parallelism(1);
    let (split, join) = draft.split("split", None);
    draft.start_at(split);
    for name in ["a", "b"] {
        let step = draft.step(name, StepSpec::new("h"));
        draft.change_step(step, |step| step.end_within_ms = Some(60_000));
        draft.branch(split, name, step);
        draft.connect(step, join);
    }
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        rig.admit(1).unwrap();
        let mut limited = 0;
        while rig.ended.is_empty() {
            let row = &rig.jobs[0].row;
            if let Some(end_by) = row.record.flow().start_by {
                limited += 1;
                assert_eq!(end_by.since(rig.clock.now()), Duration::from_mins(1));
                rig.clock.advance(Duration::from_secs(10));
            }
            rig.do_one();
        }
        assert_eq!(limited, 2);
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
            assert_eq!(row.owner, OwnerId(0));
        }
        assert!(rig.jobs.is_empty());
    });
}

#[test]
fn one_that_was_taken_for_dead_is_judged_once_more_and_locks_nothing() {
    // Only in a file can others free what an owner has. With its next commit its outcome is refused by
    // the token, what it begins is stored for others, the timer that is due is fired for others, and
    // then it is closed.
    let rig = &mut Rig::new(&nap(), Options::default(), false);
    rig.admit(1).unwrap();
    rig.do_one();
    rig.admit(1).unwrap();
    let job = rig.take();
    let late = rig.outcome(&job, Ok(Payload::null()));
    free(rig, job.row.owner);
    rig.clock.advance(Duration::from_mins(1));
    let one = Admit::new(rig.key, &rig.definition, Payload::null());
    let (reply, mut admitted) = oneshot::channel();
    let admit = Change::Admit {
        runs: vec![one],
        give_up_at: Duration::ZERO,
        reply,
    };
    rig.store.submit(admit).unwrap();
    assert!(matches!(rig.write(late), Err(WriteError::Fenced { .. })));
    admitted.try_recv().unwrap().unwrap();
    let rows = rig.reader().runs(None, 10).unwrap();
    let free_and_ready = |row: &BranchRow| (row.owner, row.state) == (OwnerId(0), State::Ready);
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(free_and_ready), "{rows:?}");
    assert!(rig.jobs.is_empty());
    let Err(AdmitError::Storage { source, .. }) = rig.admit(1) else {
        panic!("it is closed")
    };
    assert!(matches!(source, StorageError::TakenForDead), "{source}");
}

#[test]
fn a_closed_store_rests_though_a_timer_is_due() {
    // The one test here that takes time: its writer waits as long as it is told to.
    let rig = &mut Rig::new(&nap(), Options::default(), false);
    rig.admit(2).unwrap();
    rig.do_one();
    let owner = rig.jobs[0].row.owner;
    free(rig, owner);
    rig.store.nudge();
    rig.turn();
    rig.clock.advance(Duration::from_mins(1));
    let (clock, rest) = (SystemClock::new(), Duration::from_millis(20));
    assert_eq!(rig.writer.turn(rest), Turn::Idle);
    assert!(clock.elapsed() >= rest, "it would turn all the time");
}

fn nap() -> Definition {
    let mut draft = Draft::new("timer", "1");
    let nap = draft.sleep("nap", Delay::FixedMs(1_000));
    draft.start_at(nap);
    draft.finish().unwrap()
}

/// Somebody else frees what `owner` has locked, though it lives.
fn free(rig: &Rig, owner: OwnerId) {
    let StoreKind::Sqlite { path, .. } = rig.store.kind() else {
        unreachable!("nobody else has a store in memory")
    };
    let clock = rig.clock.clone();
    let opened = Store::open(path, Options::default(), clock, None);
    let (store, mut writer, _committed) = opened.unwrap();
    let (reply, _) = oneshot::channel();
    let recover = Change::Recover {
        owner,
        running: Vec::new(),
        crashed: true,
        max_crashes: 3,
        reply,
    };
    store.submit(recover).unwrap();
    assert_eq!(writer.turn(Duration::ZERO), Turn::Worked);
}

/// What must not happen twice begins under the lock that is written with it, and under no other one if
/// its Runner may have begun.
#[test]
fn only_a_job_that_was_not_begun_may_begin_once_it_was_given_back() {
    for has_begun in [false, true] {
        on_each(&sequence(&["a"]), Options::default(), |rig| {
            rig.admit(1).unwrap();
            let job = rig.take();
            let activation = job.row.activation;
            let checkpoint = Checkpoint {
                attempt: None,
                then: Then::Begin {
                    node: NodeId(0),
                    activation,
                    data: Payload::null(),
                },
                ..rig.outcome(&job, Ok(Payload::null()))
            };
            rig.write(checkpoint).unwrap();
            let job = rig.take();
            let begun = job.row.record.flow().begun;
            assert_eq!(begun, Some((activation, job.row.token)));
            if has_begun {
                let given_back = Checkpoint {
                    attempt: None,
                    then: Then::GiveBack,
                    ..rig.outcome(&job, Ok(Payload::null()))
                };
                rig.write(given_back).unwrap();
            } else {
                let unlock = Change::Unlock(vec![job.row.key()]);
                rig.store.submit(unlock).unwrap();
                rig.turn();
            }
            rig.store.nudge();
            rig.turn();
            let again = rig.take();
            let (_, token) = again.row.record.flow().begun.unwrap();
            assert!(again.row.token > job.row.token);
            assert_eq!(token == again.row.token, !has_begun);
        });
    }
}
