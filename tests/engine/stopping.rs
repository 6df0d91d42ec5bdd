//! How runs are withdrawn and engines stopped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::{
    AdmitError, Context, Event, FailurePolicy, Flow, Need, Payload, Rest, RunOutcome,
    ScheduleError, SignalOutcome, Split, StepError, StepStatus, WaitError, Workflow, WriteError,
};

use crate::harness::*;

const HOUR: Duration = Duration::from_hours(1);

#[test]
fn a_cancelled_run_that_was_queued_never_starts() {
    on_each(|place| {
        let calls = Counter::default();
        let count = calls.clone();
        let flow = Workflow::<Trail>::build("queued", "1", |flow| {
            flow.step("count", move |_, _| {
                count.up();
                Ok(())
            })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().capacity(1).workflow(&flow));
        // The first one is on the channel, the second one in the outbox, the third one has time.
        let mut runs = vec![
            engine.begin(&flow, &Trail::new()),
            engine.begin(&flow, &Trail::new()),
        ];
        let later = flow.request(&Trail::new()).unwrap();
        runs.push(engine.schedule(later.after(Duration::from_hours(1))));
        for run in &runs {
            assert!(engine.cancel(*run, "changed my mind"));
        }
        engine.settle();
        for run in runs {
            let reason = "changed my mind".to_owned();
            assert_eq!(engine.outcome(run), Some(RunOutcome::Cancelled(reason)));
            assert!(
                !engine.cancel(run, "again"),
                "it has ended: nothing changes"
            );
            assert_eq!(
                engine.show(run).summary.reason.as_deref(),
                Some("changed my mind")
            );
            assert_eq!(engine.show(run).steps[0].started_at, None);
        }
        assert_eq!(calls.get(), 0);
        engine.assert_no_leftovers();
        let next = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(
            engine.data::<Trail>(next),
            Trail::new(),
            "its place is free again"
        );
        assert!(!engine.cancel(next, "too late"));
        assert_eq!(engine.data::<Trail>(next), Trail::new());
    });
}

#[test]
fn a_cancelled_run_that_is_running_is_told_and_its_late_outcome_refused() {
    // Branches that run, that are queued, that wait for a time, an event and a join: all of them.
    on_each(|place| {
        let gate = Gate::closed();
        let (told, after) = (Counter::default(), Counter::default());
        let (tell, hold, next) = (told.clone(), gate.clone(), after.clone());
        let flow = Workflow::<Trail>::build("running", "1", |flow| {
            flow.split("all", |split| {
                split
                    .branch("running", |flow| {
                        flow.step_async("hold", move |context: Context, mut trail: Trail| {
                            let (gate, told) = (hold.clone(), tell.clone());
                            async move {
                                context.cancelled().await;
                                told.up();
                                gate.pass().await;
                                trail.push("late".to_owned());
                                Ok(trail)
                            }
                        })
                    })
                    .branch("timer", |flow| flow.sleep("sleep", Duration::from_hours(1)))
                    .branch("event", |flow| {
                        flow.wait_event("reply", "reply", |trail: &mut Trail, text| {
                            trail.push(text);
                        })
                    })
                    .branch("nested", |flow| {
                        flow.split("inner", |split| {
                            split
                                .branch("x", |flow| flow.sleep("sleep-x", Duration::from_hours(1)))
                                .branch("y", |flow| flow.change("y", |_| Ok(())))
                        })
                    })
                    .join(gather)
            })
            .step("after", move |_, _| {
                next.up();
                Ok(())
            })
            .max_parallelism(3)
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().in_flight(2).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(told.get(), 0);
        assert!(engine.cancel(run, "enough"));
        engine.settle();
        assert_eq!(told.get(), 1, "the step was told");
        let cancelled = Some(RunOutcome::Cancelled("enough".to_owned()));
        assert_eq!(
            engine.outcome(run),
            cancelled,
            "it does not wait for the step"
        );
        assert_eq!(gate.waiting(), 1, "which still runs");
        let rows = engine.show(run).steps;
        let began = rows.iter().filter(|row| row.started_at.is_some());
        let began: Vec<_> = began.map(|row| (&*row.step, row.status)).collect();
        let expected = ["hold", "sleep", "reply", "sleep-x"];
        let expected = expected.map(|step| (step, StepStatus::Cancelled));
        assert_eq!(
            began, expected,
            "one was at work and three waited: {rows:#?}"
        );
        engine.assert_no_leftovers();
        gate.let_pass(1);
        engine.settle();
        assert_eq!(engine.outcome(run), cancelled, "its outcome came too late");
        assert_eq!(after.get(), 0);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_branch_of_a_cancelled_run_never_starts_though_its_time_comes_during_the_clean_up() {
    // So many branches that the clean-up takes several transactions; the time they wait for comes
    // in between.
    on_each(|place| {
        let clock = standing_clock();
        let calls = Counter::default();
        let count = calls.clone();
        let flow = Workflow::<u32>::build("many", "1", |flow| {
            flow.split_each(
                "each",
                None,
                |n| (0..*n).map(|n| (n.to_string(), n)).collect(),
                |flow| {
                    flow.sleep("sleep", Duration::from_secs(1))
                        .step("count", move |_, _| {
                            count.up();
                            Ok(())
                        })
                },
                |_, _| Ok(()),
            )
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let run = engine.begin(&flow, &3_000);
        engine.settle();
        assert!(engine.cancel(run, "enough"));
        clock.advance(Duration::from_secs(1));
        engine.settle();
        assert_eq!(calls.get(), 0);
        assert_eq!(
            engine.outcome(run),
            Some(RunOutcome::Cancelled("enough".to_owned()))
        );
        engine.assert_no_leftovers();
    });
}
#[test]
fn a_shutdown_gives_unfinished_steps_back_and_they_have_not_failed() {
    // One step does not end before the deadline: it is given back, and begins again as its first
    // attempt when an engine opens the file.
    let place = Place::file();
    let begun = Meeting::new();
    let tell = begun.clone();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&attempts);
    let flow = Workflow::<Trail>::build("shutdown", "1", |flow| {
        flow.step("before", mark("before")).step_async(
            "long",
            move |context: Context, mut trail: Trail| {
                seen.lock().unwrap().push(context.attempt());
                let first = seen.lock().unwrap().len() == 1;
                tell.arrive();
                async move {
                    if first {
                        std::future::pending::<()>().await;
                    }
                    trail.push("long".to_owned());
                    Ok(trail)
                }
            },
        )
    })
    .unwrap();
    let engine = place.builder().workflow(&flow).open().unwrap();
    let run = begin(&engine, &flow, &Trail::new());
    assert!(begun.wait_for(1));
    let id = run.id();
    let report = engine.shutdown(Duration::from_millis(10));
    assert_eq!((report.given_back, report.abandoned), (1, 0));
    let engine = place.builder().workflow(&flow).open().unwrap();
    let run = engine.scheduler().handle(id);
    assert_eq!(data::<Trail>(end_of(&run)), ["before", "long"]);
    assert_eq!(*attempts.lock().unwrap(), [1, 1]);
    assert_no_leftovers(&engine);
}

#[test]
fn what_a_step_says_of_being_stopped_by_a_shutdown_is_no_outcome() {
    // Ten steps that fail as soon as they are told to stop: none of them has failed, each begins
    // again when an engine opens the file.
    let place = Place::file();
    let begun = Meeting::new();
    let tell = begun.clone();
    let flow = Workflow::<Trail>::build("stopped", "1", |flow| {
        flow.step_async("long", move |context: Context, mut trail: Trail| {
            tell.arrive();
            let first = tell.count() <= 10;
            async move {
                if first {
                    context.cancelled().await;
                    return Err(StepError::failed("it was told to stop"));
                }
                trail.push("long".to_owned());
                Ok(trail)
            }
        })
    })
    .unwrap();
    let builder = place.builder().runners(2).in_flight(5);
    let engine = builder.workflow(&flow).open().unwrap();
    let runs: Vec<_> = (0..10)
        .map(|_| begin(&engine, &flow, &Trail::new()).id())
        .collect();
    assert!(begun.wait_for(10));
    assert_eq!(engine.shutdown(Duration::ZERO).given_back, 10);
    let engine = place.builder().workflow(&flow).open().unwrap();
    for run in runs {
        let run = engine.scheduler().handle(run);
        assert_eq!(data::<Trail>(end_of(&run)), ["long"]);
    }
    assert_no_leftovers(&engine);
}

#[test]
fn a_shutdown_amid_many_jobs_strands_none() {
    // On the channel, in the outbox, in a step: whatever stage they are in, the next engine does
    // them. Several times over, since it is a matter of moments.
    for _ in 0..5 {
        let place = Place::file();
        let begun = Meeting::new();
        let tell = begun.clone();
        let flow = Workflow::<u64>::build("many", "1", |flow| {
            flow.step("one", move |_, n| {
                tell.arrive();
                *n += 1;
                Ok(())
            })
            .step("two", |_, n| {
                *n += 1;
                Ok(())
            })
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let requests = (0..200).map(|n| flow.request(&n).unwrap()).collect();
        let runs = engine.scheduler().schedule_all_blocking(requests).unwrap();
        assert!(begun.wait_for(20));
        engine.shutdown(PATIENCE);
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        engine.settle();
        for (n, run) in (0..).zip(&runs) {
            assert_eq!(engine.data::<u64>(run.id()), n + 2);
        }
        engine.assert_no_leftovers();
    }
}

#[test]
fn who_still_holds_a_scheduler_or_a_run_after_a_shutdown_is_told_so() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("closed", "1", |flow| {
            flow.wait_event("reply", "reply", |_: &mut Trail, (): ()| {})
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        let scheduler = engine.scheduler();
        let asked = Meeting::new();
        let (early, tell) = (run.clone(), asked.clone());
        let early = std::thread::spawn(move || {
            tell.arrive();
            early.wait_blocking(Some(PATIENCE))
        });
        assert!(asked.wait_for(1));
        engine.shutdown(PATIENCE);
        let refused = scheduler.schedule_blocking(flow.request(&Trail::new()).unwrap());
        let Err(ScheduleError::Refused(AdmitError::Storage { value, .. })) = refused else {
            panic!("the engine is gone: {refused:?}");
        };
        assert_eq!(value.len(), 1, "handed back");
        let cancelled = scheduler.cancel_blocking(run.id(), "why not");
        assert!(
            matches!(cancelled, Err(WriteError::Storage(_))),
            "{cancelled:?}"
        );
        let early = early.join().unwrap();
        assert!(matches!(early, Err(WaitError::Closed)), "{early:?}");
        let late = run.wait_blocking(Some(PATIENCE));
        assert!(matches!(late, Err(WaitError::Closed)), "{late:?}");
    });
}

#[test]
fn a_shutdown_lets_steps_finish_within_its_deadline() {
    let place = Place::file();
    let (begun, stopping) = (Meeting::new(), Meeting::new());
    let (tell, wait) = (begun.clone(), stopping.clone());
    let flow = Workflow::<Trail>::build("finish", "1", |flow| {
        flow.step("short", move |_, trail| {
            tell.arrive();
            assert!(wait.wait_for(1));
            trail.push("short".to_owned());
            Ok(())
        })
        .step("next", mark("next"))
    })
    .unwrap();
    let engine = place.builder().workflow(&flow).open().unwrap();
    let run = begin(&engine, &flow, &Trail::new()).id();
    assert!(begun.wait_for(1));
    let stop = std::thread::spawn(move || engine.shutdown(PATIENCE));
    stopping.arrive();
    let report = stop.join().unwrap();
    assert_eq!((report.given_back, report.abandoned), (0, 0));
    let mut engine = Stepped::open(place.builder().workflow(&flow));
    engine.settle();
    assert_eq!(engine.data::<Trail>(run), ["short", "next"]);
    assert_eq!(begun.count(), 1, "it was finished, not repeated");
    engine.assert_no_leftovers();
}

#[test]
fn a_mutex_that_passes_from_one_withdrawn_branch_to_the_next_is_free_in_the_end() {
    // One holds it and one waits for it, both in branches of the race or one level below; who comes
    // after the race gets it.
    fn inside(name: &'static str) -> impl FnOnce(Flow<Trail>) -> Flow<Trail> {
        move |flow| {
            flow.critical(name, "m", |flow| {
                flow.sleep(&format!("{name}-sleeps"), HOUR)
            })
        }
    }
    let both = |split: Split<Trail>| {
        let split = split.branch("one", inside("one"));
        split.branch("two", inside("two"))
    };
    for is_nested in [false, true] {
        let flow = Workflow::<Trail>::build("race", "1", |flow| {
            let flow = flow.race("race", |variants| {
                let variants = variants.branch("first", |flow| {
                    flow.wait_event("wait", "go", |_, (): ()| {})
                });
                if is_nested {
                    variants.branch("both", |flow| flow.split("split", both))
                } else {
                    both(variants)
                }
            });
            flow.critical("after", "m", |flow| flow.step("after-all", mark("after")))
        })
        .unwrap();
        on_each(|place| {
            let mut engine = Stepped::open(place.builder().workflow(&flow));
            let run = engine.begin(&flow, &Trail::new());
            engine.settle();
            let go = Event::new(run, "go", "1", Payload::null());
            assert_eq!(engine.signal(go), SignalOutcome::Delivered);
            engine.settle();
            assert_eq!(engine.data::<Trail>(run), ["after"]);
            engine.assert_no_leftovers();
        });
    }
}

#[test]
fn a_branch_that_is_withdrawn_at_its_end_keeps_its_last_step() {
    // It waits for a branch that was late for its join, and for nothing else. It stands in the step, as
    // it was begun once more.
    let flow = Workflow::<Trail>::build("late", "1", |flow| {
        flow.split("outer", |split| {
            let split = split.branch("main", |flow| {
                let flow = flow.split("inner", |split| {
                    let split = split.branch("slow", |flow| flow.sleep("slow-sleeps", HOUR));
                    let split = split.branch("fast", |flow| flow.step("fast", mark("fast")));
                    split.need(Need::First, Rest::Absorb)
                });
                let last = |context: &Context, _: &mut Trail| match context.attempt() {
                    1 => Err(StepError::failed("once more")),
                    _ => Ok(()),
                };
                flow.step("last", last).retry(2, Duration::ZERO)
            });
            split.branch("other", |flow| flow.sleep("other-sleeps", HOUR))
        })
    })
    .unwrap();
    on_each(|place| {
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert!(engine.cancel(run, "enough"));
        engine.settle();
        let steps = engine.show(run).steps.into_iter();
        let last: Vec<_> = steps.filter(|view| view.step == "last").collect();
        assert_eq!(last.len(), 1);
        assert_eq!(last[0].status, StepStatus::Succeeded);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_mutex_does_not_wait_for_an_attempt_that_returned_while_its_branch_was_withdrawn() {
    // Both outcomes come in one batch: the first one withdraws what the second one is of, two levels
    // below, which the clean-up has not come to yet.
    let flow = Workflow::<Trail>::build("batch", "1", |flow| {
        let flow = flow.critical("before", "m", |flow| {
            flow.split("split", |split| {
                let split = split.branch("first", |flow| {
                    let flow = flow.wait_event("wait-first", "go", |_, (): ()| {});
                    flow.step("fails", fail("no"))
                });
                let split = split.branch("second", |flow| {
                    flow.scope("scope", |flow| {
                        let flow = flow.wait_event("wait-second", "go", |_, (): ()| {});
                        flow.step("second", mark("second"))
                    })
                });
                split.on_failure(FailurePolicy::FailFast)
            })
        });
        flow.recover(
            |_, _| {},
            |flow| flow.critical("after", "m", |flow| flow.step("after-all", mark("after"))),
        )
    })
    .unwrap();
    on_each(|place| {
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        for id in ["1", "2"] {
            let go = Event::new(run, "go", id, Payload::null());
            assert_eq!(engine.signal(go), SignalOutcome::Delivered);
        }
        while engine.engine.step_runner(0) {}
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["after"]);
        engine.assert_no_leftovers();
    });
}
