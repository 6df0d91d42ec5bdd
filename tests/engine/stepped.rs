//! An engine on one thread: it dies as a process does, and no clock of the machine counts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::{Durability, Handler, RunStatus, StepError, StepOutput, Workflow};

use crate::harness::{Place, Stepped, Trail, codes, mark, on_each, standing_clock};

/// Longer than any test lasts.
const LONG: Duration = Duration::from_hours(1);

/// A workflow whose one step never ends by itself.
fn endless(change: impl FnOnce(windlass::Flow<Trail>) -> windlass::Flow<Trail>) -> Workflow<Trail> {
    Workflow::build("endless", "1", |flow| {
        change(flow.step_async("wait", |_, _: Trail| std::future::pending()))
    })
    .unwrap()
}

#[test]
fn a_crashed_engine_leaves_what_a_killed_process_leaves_whoever_still_knows_it() {
    let workflow = endless(windlass::Flow::at_most_once);
    let place = Place::file();
    let builder = place
        .builder()
        .durability(Durability::Normal)
        .workflow(&workflow);
    let mut stepped = Stepped::open(builder.clone());
    let run = stepped.begin(&workflow, &Trail::new());
    stepped.settle();
    assert_eq!(stepped.engine.in_flight(), 1);
    let Stepped { engine, scheduler } = stepped;
    engine.crash();
    let log = place.path().with_extension("db-wal");
    let left = log.metadata().map_or(0, |log| log.len());
    assert!(
        left > 0,
        "the log is not folded into the file, as a kill would not"
    );

    let mut next = Stepped::open(builder);
    next.settle();
    let parked = next.status(run);
    assert_eq!(
        parked,
        RunStatus::Parked,
        "the step was in flight, so nobody knows whether it has happened"
    );
    drop(scheduler);
}

#[test]
fn the_time_of_an_asynchronous_step_is_over_when_the_engines_clock_says_so() {
    type Limits = fn(windlass::Flow<Trail>) -> windlass::Flow<Trail>;
    let cases: [(Limits, &str); 2] = [
        (|flow| flow.timeout(LONG), "step-timeout"),
        (|flow| flow.heartbeat(LONG), "heartbeat-missed"),
    ];
    for (limits, code) in cases {
        on_each(|place| {
            let (workflow, clock) = (endless(limits), standing_clock());
            let builder = place.builder().clock(clock.clone());
            let mut stepped = Stepped::open(builder.workflow(&workflow));
            let run = stepped.begin(&workflow, &Trail::new());
            clock.advance(LONG / 2);
            stepped.settle();
            assert_eq!(stepped.status(run), RunStatus::Running);
            clock.advance(LONG / 2);
            stepped.settle();
            assert_eq!(stepped.status(run), RunStatus::Running, "it began later");
            clock.advance(LONG / 2);
            stepped.settle();
            assert_eq!(codes(&stepped.fault(run)), [code]);
        });
    }
}

#[test]
fn every_handler_can_be_wrapped() {
    let called = Arc::new(Mutex::new(Vec::new()));
    let workflow = Workflow::build("wrapped", "1", |flow| {
        flow.step("do", mark("do"))
            .undo(|_, _| Ok(()))
            .call("outside", "outside")
            .step("fail", |_, _| Err(StepError::failed("no")))
    })
    .unwrap();
    let seen = Arc::clone(&called);
    let builder = Place::memory()
        .builder()
        .handler(
            "outside",
            Handler::blocking(|_, data| Ok(StepOutput::data(data.clone()))),
        )
        .workflow(&workflow)
        .wrap_handlers(Arc::new(move |_, handler| {
            let Handler::Blocking(call) = handler else {
                return handler;
            };
            let seen = Arc::clone(&seen);
            Handler::blocking(move |context, data| {
                seen.lock().unwrap().push(context.step().to_owned());
                call(context, data)
            })
        }));
    let mut stepped = Stepped::open(builder);
    stepped.begin(&workflow, &Trail::new());
    stepped.settle();
    assert_eq!(*called.lock().unwrap(), ["do", "outside", "fail", "do"]);
}
