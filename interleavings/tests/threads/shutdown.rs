//! The end of an engine in the middle of its work.

use std::time::Duration;

use windlass::{AdmitError, RunOutcome, ScheduleError, StorageError, WaitError};
use windlass_interleavings::{Plan, explore, pause, spawn};

use crate::stage::{Stage, assert_nothing_left, engine};

/// Two producers schedule and wait while the engine shuts down after `after`, with this deadline.
fn interrupted(after: Duration, deadline: Duration) {
    let stage = Stage::default();
    let workflow = stage.pair();
    let engine = engine(&workflow).open().unwrap();
    let mut inspector = engine.inspector().unwrap();
    let producers = [1, 2].map(|number| {
        let (scheduler, request) = (engine.scheduler(), workflow.request(&number).unwrap());
        let produce = move || {
            let run = match scheduler.schedule_blocking(request) {
                Ok(run) => run,
                Err(ScheduleError::Refused(AdmitError::Storage { source, .. })) => {
                    assert!(matches!(source, StorageError::Closed), "{source}");
                    return None;
                }
                Err(error) => panic!("{error}"),
            };
            match run.wait_blocking(None) {
                Ok(RunOutcome::Succeeded(_)) => Some((run.id(), true)),
                Err(WaitError::Closed) => Some((run.id(), false)),
                other => panic!("{other:?}"),
            }
        };
        spawn(format!("producer-{number}"), produce).unwrap()
    });
    let scheduler = engine.scheduler();
    pause(after);
    engine.shutdown(deadline);
    let late = scheduler.schedule_blocking(workflow.request(&3).unwrap());
    assert!(late.is_err(), "a closed engine admits nothing");
    let mut all_succeeded = true;
    for (number, producer) in [1, 2].into_iter().zip(producers) {
        let acknowledged = producer.join().unwrap();
        let times = ["left", "right", "last"].map(|step| stage.times(number, step));
        let Some((run, has_succeeded)) = acknowledged else {
            assert_eq!(times, [0; 3], "refused, and yet done");
            continue;
        };
        all_succeeded &= has_succeeded;
        if has_succeeded {
            assert_eq!(times, [1; 3]);
        } else {
            assert!(times.iter().all(|times| *times <= 1), "{times:?}");
        }
        let why = inspector.why(run).unwrap().expect("it was acknowledged");
        for branch in why.branches {
            let waits = branch.waits_for.kind;
            let is_locked = ["running", "channel", "lock"].contains(&waits);
            assert!(!is_locked, "{} waits for {waits}", branch.branch);
        }
    }
    if all_succeeded {
        assert_nothing_left(&mut inspector);
    }
}

#[test]
fn nobody_waits_for_a_closed_engine_and_nothing_stays_locked() {
    explore(&Plan::of_10_000("shut down at once", 700), || {
        interrupted(Duration::ZERO, Duration::from_secs(5));
    });
}

#[test]
fn a_shutdown_without_patience_gives_back_what_is_in_flight() {
    explore(&Plan::of_10_000("shut down without patience", 300), || {
        interrupted(Duration::from_millis(1), Duration::ZERO);
    });
}
