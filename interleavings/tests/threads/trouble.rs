//! Work that is withdrawn, takes too long, or changes hands while it is done.

use std::time::Duration;

use windlass::{Engine, Need, Rest, RunOutcome, StepError, Workflow};
use windlass_interleavings::{Plan, explore, is_patient, pause, refuse_threads, spawn};

use crate::stage::{Stage, assert_comes_to_rest, assert_nothing_left, engine, shut_down};

/// How often a step looks whether it was told to stop before it gives up, every millisecond.
const STUBBORN: u32 = 500;

/// Does one run to its end.
fn run_one(engine: &Engine, workflow: &Workflow<u64>) {
    let run = engine
        .scheduler()
        .schedule_blocking(workflow.request(&1).unwrap());
    let outcome = run.unwrap().wait_blocking(None).unwrap();
    assert!(matches!(outcome, RunOutcome::Succeeded(_)), "{outcome:?}");
}

/// One producer waits for its run, another withdraws it.
fn withdrawn() {
    let stage = Stage::default();
    let workflow = stage.pair();
    let engine = engine(&workflow).open().unwrap();
    let scheduler = engine.scheduler();
    let run = scheduler.schedule_blocking(workflow.request(&1).unwrap());
    let run = run.unwrap();
    let (canceller, id) = (engine.scheduler(), run.id());
    let cancel = move || canceller.cancel_blocking(id, "enough").unwrap();
    let cancel = spawn("canceller".to_owned(), cancel).unwrap();
    let outcome = run.wait_blocking(None).unwrap();
    let was_cancelled = cancel.join().unwrap();
    let times = ["left", "right", "last"].map(|step| stage.times(1, step));
    match outcome {
        RunOutcome::Succeeded(_) => {
            assert!(!was_cancelled);
            assert_eq!(times, [1; 3]);
        }
        RunOutcome::Cancelled(reason) => {
            assert_eq!(reason, "enough");
            assert!(was_cancelled);
            assert!(times.iter().all(|times| *times <= 1), "{times:?}");
        }
        RunOutcome::Failed(fault) => panic!("{fault:?}"),
    }
    assert_comes_to_rest(&engine);
    let mut inspector = engine.inspector().unwrap();
    shut_down(engine);
    assert_nothing_left(&mut inspector);
}

/// A step that takes as long as it may, so that its end and the supervisor race for its outcome.
fn just_in_time(takes: Duration) {
    let stage = Stage::default();
    let on_stage = stage.clone();
    let workflow = Workflow::<u64>::build("slow", "1", |flow| {
        flow.step("slow", move |_, run: &mut u64| {
            on_stage.note(*run, "slow");
            pause(takes);
            on_stage.note(*run, "slept");
            Ok(())
        })
        .timeout(Duration::from_millis(5))
        .retry(2, Duration::ZERO)
    })
    .unwrap();
    let engine = engine(&workflow).runners(1).open().unwrap();
    let scheduler = engine.scheduler();
    let runs = [1, 2].map(|run| {
        let run = scheduler.schedule_blocking(workflow.request(&run).unwrap());
        run.unwrap()
    });
    for (number, run) in [1, 2].into_iter().zip(runs) {
        let begun = || stage.times(number, "slow");
        match run.wait_blocking(None).unwrap() {
            RunOutcome::Succeeded(_) => assert!(begun() >= 1),
            RunOutcome::Failed(fault) => assert_eq!(fault.errors[0].code, "step-timeout"),
            RunOutcome::Cancelled(reason) => panic!("{reason}"),
        }
    }
    assert_comes_to_rest(&engine);
    let mut inspector = engine.inspector().unwrap();
    engine.shutdown(Duration::from_secs(10));
    for number in [1, 2] {
        let begun = stage.times(number, "slow");
        assert!(begun <= 2, "{begun} attempts of two, in run {number}");
    }
    assert_nothing_left(&mut inspector);
}

/// A step that lost a race ends only when it is told to stop, at whatever point it has begun.
fn told_to_stop() {
    let stage = Stage::default();
    let on_stage = stage.clone();
    let workflow = Workflow::<u64>::build("race", "1", |flow| {
        flow.split("race", |split| {
            split
                .branch("quick", |flow| flow.step("quick", stage.step("quick")))
                .branch("slow", |flow| {
                    flow.step("slow", move |context, run: &mut u64| {
                        for _ in 0..STUBBORN {
                            if context.is_cancelled() {
                                return Err(StepError::failed("told to stop"));
                            }
                            pause(Duration::from_millis(1));
                        }
                        on_stage.note(*run, "never told");
                        Ok(())
                    })
                })
                .need(Need::First, Rest::Cancel)
        })
    })
    .unwrap();
    let engine = engine(&workflow).open().unwrap();
    run_one(&engine, &workflow);
    assert_comes_to_rest(&engine);
    let mut inspector = engine.inspector().unwrap();
    shut_down(engine);
    // Where time runs on, the quick one may come later than a slow one that waits for nobody.
    assert!(!is_patient() || stage.times(1, "never told") == 0);
    assert_nothing_left(&mut inspector);
}

/// Runners come and go while there is work, a step fails once, and another run has to wait for its time.
fn changing_hands() {
    let stage = Stage::default();
    let on_stage = stage.clone();
    let workflow = Workflow::<u64>::build("hands", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("left", |flow| flow.step("left", stage.step("left")))
                .branch("right", |flow| {
                    flow.step("right", move |_, run: &mut u64| {
                        on_stage.note(*run, "right");
                        match on_stage.times(*run, "right") {
                            1 => Err(StepError::failed("the first time")),
                            _ => Ok(()),
                        }
                    })
                    .retry(3, Duration::from_millis(3))
                })
        })
        .sleep("nap", Duration::from_millis(2))
        .step("last", stage.step("last"))
    })
    .unwrap();
    let engine = engine(&workflow).capacity(1).open().unwrap();
    let producers = [1, 2].map(|number| {
        let (scheduler, request) = (engine.scheduler(), workflow.request(&number).unwrap());
        let produce = move || {
            let run = scheduler.schedule_blocking(request).unwrap();
            run.wait_blocking(None).unwrap()
        };
        spawn(format!("producer-{number}"), produce).unwrap()
    });
    for runners in [0, 1, 3, 1, 2] {
        engine.set_runners(runners);
        pause(Duration::from_micros(700));
    }
    for (number, producer) in [1, 2].into_iter().zip(producers) {
        let outcome = producer.join().unwrap();
        assert!(matches!(outcome, RunOutcome::Succeeded(_)), "{outcome:?}");
        let times = ["left", "right", "last"].map(|step| stage.times(number, step));
        assert_eq!(times, [1, 2, 1], "of run {number}");
    }
    assert_comes_to_rest(&engine);
    let mut inspector = engine.inspector().unwrap();
    shut_down(engine);
    assert_nothing_left(&mut inspector);
}

#[test]
fn a_run_is_withdrawn_or_done_and_everybody_says_the_same() {
    explore(
        &Plan::of_10_000("a run that is withdrawn", 1_000),
        withdrawn,
    );
}

#[test]
fn who_is_withdrawn_is_told_even_if_it_has_only_just_begun() {
    explore(&Plan::of_10_000("a race", 4_000), told_to_stop);
}

#[test]
fn an_attempt_ends_in_time_or_too_late_but_once() {
    // The supervisor looks every 20 ms: the first time it ends the attempt, the second time the grace
    // is over too, and it replaces the Runner.
    for (takes_ms, share) in [(20, 150), (40, 300), (100, 50)] {
        let name = format!("a step that takes {takes_ms} ms and may take 5");
        explore(&Plan::of_10_000(&name, share), move || {
            just_in_time(Duration::from_millis(takes_ms));
        });
    }
}

/// There is no thread for any of the Runners at first.
fn short_of_threads() {
    let stage = Stage::default();
    let workflow = stage.pair();
    refuse_threads("windlass-runner", 3);
    let engine = engine(&workflow).open().unwrap();
    run_one(&engine, &workflow);
    assert_comes_to_rest(&engine);
    shut_down(engine);
}

#[test]
fn a_runner_that_gets_no_thread_is_tried_again() {
    explore(&Plan::of_10_000("no threads", 100), short_of_threads);
}

#[test]
fn work_goes_on_while_runners_come_and_go() {
    explore(
        &Plan::of_10_000("Runners that come and go", 500),
        changing_hands,
    );
}
