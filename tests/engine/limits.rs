//! Times that are over: of runs, scopes, waits, starts and silent steps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use windlass::{Clock as _, Context, Event, Payload, RunStatus, StepError, Workflow};

use crate::harness::{
    PATIENCE, Place, Stepped, TICK, Trail, almost, begin, codes, data, end_of, fault, mark,
    on_each, standing_clock,
};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn a_run_that_takes_too_long_fails_and_leaves_nothing() {
    on_each(|place| {
        let workflow = Workflow::<Trail>::build("w", "1", |flow| {
            flow.deadline(MINUTE).split("split", |split| {
                split
                    .branch("waits", |flow| {
                        flow.wait_event("wait", "go", |_, (): ()| {})
                    })
                    .branch("sleeps", |flow| flow.sleep("sleep", 2 * MINUTE))
            })
        })
        .unwrap();
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone());
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        clock.advance(almost(MINUTE));
        stepped.settle();
        assert_eq!(stepped.outcome(run), None);
        clock.advance(TICK);
        stepped.settle();
        assert_eq!(codes(&stepped.fault(run)), ["run-deadline"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_run_that_ends_in_time_forgets_its_deadline() {
    on_each(|place| {
        let workflow =
            Workflow::build("w", "1", |flow| flow.deadline(MINUTE).step("a", mark("a"))).unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["a"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_scope_whose_time_is_over_fails_and_its_fault_path_is_taken() {
    on_each(|place| {
        let workflow = Workflow::build("w", "1", |flow| {
            flow.scope("scope", |flow| {
                flow.wait_event("wait", "go", |_, (): ()| {})
            })
            .scope_timeout(MINUTE)
            .recover(
                |trail: &mut Trail, fault| trail.push(fault.errors[0].code.clone()),
                |flow| flow.step("other", mark("other")),
            )
        })
        .unwrap();
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone());
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(stepped.outcome(run), None);
        clock.advance(MINUTE);
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["scope-timeout", "other"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_call_whose_time_is_over_fails_and_its_run_is_withdrawn() {
    on_each(|place| {
        for comes in [true, false] {
            let child = Workflow::build("child", "1", |flow| {
                flow.wait_event("wait", "go", |trail: &mut Trail, word: String| {
                    trail.push(word);
                })
            })
            .unwrap();
            let workflow = Workflow::build("w", "1", |flow| {
                flow.run("call", "child", Trail::clone, |trail: &mut Trail, below| {
                    *trail = below;
                })
                .call_timeout(MINUTE)
            })
            .unwrap();
            let clock = standing_clock();
            let builder = place.builder().clock(clock.clone());
            let mut stepped = Stepped::open(builder.workflow(&child).workflow(&workflow));
            let run = stepped.begin(&workflow, &Trail::new());
            stepped.settle();
            let why = stepped.inspector().why(run).unwrap().unwrap();
            let wait = &why.branches[0].waits_for;
            let called = wait.run.expect("it waits for a run");
            assert_eq!(wait.until, Some(clock.now().after(MINUTE)));
            clock.advance(almost(MINUTE));
            stepped.settle();
            assert_eq!(stepped.outcome(run), None);
            if comes {
                let word = Payload::encode(&"now").unwrap();
                stepped.signal(Event::new(called, "go", "1", word));
                stepped.settle();
            }
            clock.advance(TICK);
            stepped.settle();
            if comes {
                assert_eq!(stepped.data::<Trail>(run), ["now"]);
            } else {
                let fault = stepped.fault(run);
                assert_eq!(codes(&fault), ["step-timeout"]);
                assert_eq!(fault.errors[0].step, "call");
                assert!(
                    fault.errors[0].message.starts_with("no result after 60 s;"),
                    "{fault:?}"
                );
                assert_eq!(stepped.status(called), RunStatus::Cancelled);
            }
            stepped.assert_no_leftovers();
        }
    });
}

#[test]
fn a_wait_whose_time_is_over_fails_and_one_whose_event_comes_in_time_does_not() {
    on_each(|place| {
        for comes in [true, false] {
            let workflow = Workflow::build("w", "1", |flow| {
                flow.wait_event("wait", "go", |trail: &mut Trail, word: String| {
                    trail.push(word);
                })
                .wait_timeout(MINUTE)
            })
            .unwrap();
            let clock = standing_clock();
            let builder = place.builder().clock(clock.clone());
            let mut stepped = Stepped::open(builder.workflow(&workflow));
            let run = stepped.begin(&workflow, &Trail::new());
            stepped.settle();
            clock.advance(almost(MINUTE));
            stepped.settle();
            if comes {
                let word = Payload::encode(&"now").unwrap();
                stepped.signal(Event::new(run, "go", "1", word));
            }
            clock.advance(TICK);
            stepped.settle();
            if comes {
                assert_eq!(stepped.data::<Trail>(run), ["now"]);
            } else {
                assert_eq!(codes(&stepped.fault(run)), ["wait-timeout"]);
            }
            stepped.assert_no_leftovers();
        }
    });
}

#[test]
fn a_wait_takes_only_the_event_with_its_correlation() {
    on_each(|place| {
        let workflow = Workflow::build("w", "1", |flow| {
            flow.wait_event("wait", "paid", |trail: &mut Trail, word: String| {
                trail.push(word);
            })
            .correlated(|trail| format!("order-{}", trail[0]))
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &vec!["7".to_owned()]);
        stepped.settle();
        let paid = |id: &str| Event::new(run, "paid", id, Payload::encode(&id).unwrap());
        stepped.signal(paid("without"));
        stepped.signal(paid("other").correlation("order-8"));
        stepped.settle();
        assert_eq!(stepped.outcome(run), None);
        stepped.signal(paid("ours").correlation("order-7"));
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["7", "ours"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_step_that_nobody_begins_in_time_fails() {
    on_each(|place| {
        for late in [false, true] {
            let workflow = Workflow::build("w", "1", |flow| {
                flow.step("a", mark("a")).start_within(MINUTE)
            })
            .unwrap();
            let clock = standing_clock();
            let builder = place.builder().clock(clock.clone());
            let mut stepped = Stepped::open(builder.workflow(&workflow));
            let run = stepped.begin(&workflow, &Trail::new());
            // The run is taken to its step, which then waits for a Runner.
            stepped.engine.step_writer();
            stepped.engine.step_dispatcher();
            stepped.engine.step_runner(0);
            stepped.engine.step_writer();
            clock.advance(if late { MINUTE + TICK } else { MINUTE });
            stepped.settle();
            if late {
                assert_eq!(codes(&stepped.fault(run)), ["start-too-late"]);
            } else {
                assert_eq!(stepped.data::<Trail>(run), ["a"]);
            }
            stepped.assert_no_leftovers();
        }
    });
}

#[test]
fn the_attempts_of_a_step_share_the_time_in_which_it_must_end() {
    on_each(|place| {
        for late in [false, true] {
            let workflow = Workflow::build("w", "1", |flow| {
                flow.step("a", |ctx: &Context, trail: &mut Trail| {
                    if ctx.attempt() == 1 {
                        return Err(StepError::new("no", "not yet"));
                    }
                    trail.push(format!("{:?}", ctx.timeout()));
                    Ok(())
                })
                .retry(9, MINUTE / 2)
                .end_within(MINUTE)
            })
            .unwrap();
            let clock = standing_clock();
            let builder = place.builder().clock(clock.clone());
            let mut stepped = Stepped::open(builder.workflow(&workflow));
            let run = stepped.begin(&workflow, &Trail::new());
            stepped.settle();
            clock.advance(if late { MINUTE } else { MINUTE / 2 });
            stepped.settle();
            if late {
                assert_eq!(codes(&stepped.fault(run)), ["step-timeout"]);
            } else {
                assert_eq!(stepped.data::<Trail>(run), ["Some(30s)"]);
            }
            stepped.assert_no_leftovers();
        }
    });
}

/// A step that beats, with how far it is, until it is told to stop or has beaten five times.
#[expect(
    clippy::disallowed_methods,
    reason = "a beating step has to take real time"
)]
fn beats(context: &Context, trail: &mut Trail) -> Result<(), StepError> {
    let before: Option<u32> = context.last_heartbeat().expect("it is a number");
    trail.extend(before.map(|before| format!("went on from {before}")));
    for step in 0..5 {
        context.heartbeat(&(step + 1)).expect("a number is JSON");
        std::thread::sleep(Duration::from_millis(30));
    }
    if before.is_none() {
        return Err(StepError::failed("once more"));
    }
    trail.push("done".to_owned());
    Ok(())
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a silent step has to take real time"
)]
fn a_silent_step_fails_and_one_that_beats_does_not() {
    for place in [Place::memory(), Place::file()] {
        let limit = Duration::from_millis(100);
        let silent = Workflow::build("silent", "1", |flow| {
            flow.step("silent", |context: &Context, _: &mut Trail| {
                while !context.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(())
            })
            .heartbeat(limit)
        })
        .unwrap();
        let silent_async = Workflow::build("silent-async", "1", |flow| {
            flow.step_async("silent", |_, trail: Trail| async {
                tokio::time::sleep(PATIENCE).await;
                Ok(trail)
            })
            .heartbeat(limit)
        })
        .unwrap();
        let beating = Workflow::build("beating", "1", |flow| {
            flow.step("beats", beats)
                .heartbeat(limit)
                .retry(2, Duration::from_millis(1))
        })
        .unwrap();
        let builder = place.builder().runners(2);
        let builder = builder.workflow(&silent).workflow(&silent_async);
        let engine = builder.workflow(&beating).open().unwrap();
        for workflow in [&silent, &silent_async] {
            let end = end_of(&begin(&engine, workflow, &Trail::new()));
            assert_eq!(codes(&fault(end)), ["heartbeat-missed"]);
        }
        let end = end_of(&begin(&engine, &beating, &Trail::new()));
        assert_eq!(data::<Trail>(end), ["went on from 5", "done"]);
    }
}
