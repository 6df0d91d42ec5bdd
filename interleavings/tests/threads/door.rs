//! The door: producers that race for its bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass::{Admission, AdmitError, RunOutcome, ScheduleError, ShedPolicy};
use windlass_interleavings::{Plan, explore, is_patient, spawn};

use crate::stage::{
    Stage, assert_comes_to_rest, assert_no_wait_was_lost, assert_nothing_left, engine, shut_down,
};

/// Runs that each of three producers asks for.
const EACH: u64 = 2;

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Done,
    Dropped,
    Refused,
}

/// Three producers, one Runner, and a door that lets one run wait. What became of each request.
fn crowd(admission: Admission) -> Vec<Fate> {
    let stage = Stage::default();
    let workflow = stage.single();
    let engine = engine(&workflow)
        .runners(1)
        .capacity(1)
        .admission(admission);
    let engine = engine.open().unwrap();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let producers = [0, 1, 2].map(|number| {
        let (scheduler, workflow) = (engine.scheduler(), workflow.clone());
        let (stage, acknowledged) = (stage.clone(), Arc::clone(&acknowledged));
        let produce = move || {
            let mut fates = Vec::new();
            for number in number * EACH..(number + 1) * EACH {
                let request = workflow.request(&number).unwrap();
                let run = match scheduler.schedule_blocking(request) {
                    Ok(run) => run,
                    Err(ScheduleError::Refused(
                        AdmitError::TimedOut { .. } | AdmitError::Shed { .. },
                    )) => {
                        fates.push((number, Fate::Refused));
                        continue;
                    }
                    Err(error) => panic!("{error}"),
                };
                let admitted = acknowledged.fetch_add(1, Ordering::SeqCst) + 1;
                if matches!(admission, Admission::Backpressure { .. }) {
                    // The Runner counts a start just before its step can be seen here.
                    let begun = u64::from(stage.all());
                    assert!(admitted <= begun + 2, "{admitted} admitted, {begun} begun");
                }
                fates.push((
                    number,
                    match run.wait_blocking(None).unwrap() {
                        RunOutcome::Succeeded(_) => Fate::Done,
                        RunOutcome::Cancelled(reason) if reason == "shed" => Fate::Dropped,
                        outcome => panic!("{outcome:?}"),
                    },
                ));
            }
            fates
        };
        spawn(format!("producer-{number}"), produce).unwrap()
    });
    let fates: Vec<_> = producers.map(|one| one.join().unwrap()).concat();
    assert_no_wait_was_lost();
    assert_comes_to_rest(&engine);
    let mut inspector = engine.inspector().unwrap();
    shut_down(engine);
    for (number, fate) in &fates {
        let times = u32::from(*fate == Fate::Done);
        assert_eq!(stage.times(*number, "only"), times, "{fate:?}");
    }
    assert_nothing_left(&mut inspector);
    assert_eq!(inspector.admission().unwrap().0, 0, "runs wait for nobody");
    let fates: Vec<_> = fates.into_iter().map(|(_, fate)| fate).collect();
    let dropped = fates.iter().filter(|fate| **fate == Fate::Dropped).count();
    assert_eq!(inspector.admission().unwrap().1, dropped as u64);
    fates
}

#[test]
fn producers_wait_for_room_and_all_get_it() {
    explore(&Plan::of_10_000("producers that wait", 1_000), || {
        let fates = crowd(Admission::Backpressure {
            max_pending: 1,
            timeout: Duration::from_secs(30),
        });
        if is_patient() {
            assert!(fates.iter().all(|fate| *fate == Fate::Done), "{fates:?}");
        }
    });
}

#[test]
fn what_is_shed_is_never_done() {
    for policy in [ShedPolicy::RejectNew, ShedPolicy::DropOldest] {
        let name = format!("a door that sheds: {policy:?}");
        explore(&Plan::of_10_000(&name, 500), move || {
            let max_pending = 1;
            crowd(Admission::Shed {
                max_pending,
                policy,
            });
        });
    }
}
