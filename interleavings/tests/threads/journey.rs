//! From the door to the outcome: writer, dispatcher, channel, Runners, and back.

use std::sync::Arc;

use windlass::RunOutcome;
use windlass_interleavings::{Plan, explore, spawn};

use crate::stage::{
    Stage, assert_comes_to_rest, assert_no_wait_was_lost, assert_nothing_left, engine, shut_down,
};

/// Two producers schedule a run each and wait for it; a third thread watches the channel.
fn journey(capacity: usize, runners: usize) {
    let stage = Stage::default();
    let workflow = stage.pair();
    let engine = engine(&workflow).capacity(capacity).runners(runners);
    let engine = engine.open().unwrap();
    let producers = [1, 2].map(|number| {
        let (scheduler, request) = (engine.scheduler(), workflow.request(&number).unwrap());
        let body = move || {
            let run = scheduler.schedule_blocking(request).unwrap();
            let outcome = run.wait_blocking(None).unwrap();
            let RunOutcome::Succeeded(data) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(data.decode::<u64>().unwrap(), number);
        };
        spawn(format!("producer-{number}"), body).unwrap()
    });
    for producer in producers {
        let on_channel = engine.stats().on_channel;
        assert!(on_channel <= capacity as u64, "{on_channel} on the channel");
        producer.join().unwrap();
    }
    assert_no_wait_was_lost();
    assert_comes_to_rest(&engine);
    let mut inspector = engine.inspector().unwrap();
    shut_down(engine);
    for run in [1, 2] {
        for step in ["left", "right", "last"] {
            assert_eq!(stage.times(run, step), 1, "{step} of run {run}");
        }
    }
    assert_nothing_left(&mut inspector);
}

/// More runs at once than the channel has room for; somebody counts what is on it all the time.
fn crowded(capacity: usize) {
    let stage = Stage::default();
    let workflow = stage.single();
    let engine = engine(&workflow).capacity(capacity).runners(1);
    let engine = Arc::new(engine.open().unwrap());
    let watched = Arc::clone(&engine);
    let watch = move || {
        for _ in 0..40 {
            let on_channel = watched.stats().on_channel;
            assert!(on_channel <= capacity as u64, "{on_channel} on the channel");
        }
    };
    let looking = spawn("watcher".to_owned(), watch).unwrap();
    let requests = (0..6).map(|number| workflow.request(&number).unwrap());
    let runs = engine.scheduler().schedule_all_blocking(requests.collect());
    for run in runs.unwrap() {
        let outcome = run.wait_blocking(None).unwrap();
        assert!(matches!(outcome, RunOutcome::Succeeded(_)), "{outcome:?}");
    }
    looking.join().unwrap();
    assert_comes_to_rest(&engine);
    let mut inspector = engine.inspector().unwrap();
    shut_down(Arc::into_inner(engine).expect("nobody watches any more"));
    assert!((0..6).all(|number| stage.times(number, "only") == 1));
    assert_nothing_left(&mut inspector);
}

#[test]
fn each_step_is_done_once_and_each_run_has_its_outcome() {
    explore(&Plan::of_10_000("a wide channel", 1_000), || journey(4, 2));
}

#[test]
fn a_channel_for_one_job_is_enough() {
    explore(&Plan::of_10_000("a narrow channel", 1_000), || {
        journey(1, 2);
    });
}

#[test]
fn there_is_never_more_on_the_channel_than_it_holds() {
    explore(&Plan::of_10_000("a crowded channel", 1_000), || crowded(2));
}
