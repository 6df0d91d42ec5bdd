//! Retrying a failed run: it goes on from the failed step and repeats nothing that was done.

use windlass::{Context, FailurePolicy, RunStatus, StepError, Workflow, WriteError};

use crate::harness::*;

/// A step that fails in its first call and works in its second; each call is counted.
fn second_time(
    name: &'static str,
    calls: &Counter,
) -> impl Fn(&Context, &mut Trail) -> Result<(), StepError> + Send + Sync + 'static {
    let calls = calls.clone();
    move |_, trail| {
        if calls.up() == 1 {
            return Err(StepError::failed(name));
        }
        trail.push(name.to_owned());
        Ok(())
    }
}

/// A step that works; each call is counted.
fn each_time(
    name: &'static str,
    calls: &Counter,
) -> impl Fn(&Context, &mut Trail) -> Result<(), StepError> + Send + Sync + 'static {
    let calls = calls.clone();
    move |_, trail| {
        calls.up();
        trail.push(name.to_owned());
        Ok(())
    }
}

#[test]
fn a_failed_run_that_is_retried_goes_on_from_the_failed_step() {
    on_each(|place| {
        let (before, bad) = (Counter::default(), Counter::default());
        let flow = Workflow::<Trail>::build("retry", "1", |flow| {
            flow.step("before", each_time("before", &before))
                .step("bad", second_time("bad", &bad))
                .step("after", mark("after"))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(messages(&engine.fault(run)), ["bad"]);
        engine.assert_no_leftovers();
        assert_eq!(engine.show(run).retries_at, ["bad"]);
        assert_eq!(engine.retry(run), 1);
        assert_eq!(engine.show(run).retries_at, [""; 0]);
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["before", "bad", "after"]);
        assert_eq!((before.get(), bad.get()), (1, 2));
        engine.assert_no_leftovers();
        let scheduler = engine.scheduler.clone();
        let again = engine.ask(scheduler.retry(run));
        assert!(
            matches!(again, Err(WriteError::WrongState { .. })),
            "{again:?}"
        );
    });
}

#[test]
fn a_step_after_a_join_that_failed_is_tried_again_when_its_run_is() {
    on_each(|place| {
        let (calls, bad) = (Counter::default(), Counter::default());
        let flow = Workflow::<Trail>::build("after-join", "1", |flow| {
            flow.split("split", |split| {
                split
                    .branch("a", |flow| flow.step("a", each_time("a", &calls)))
                    .branch("b", |flow| flow.step("b", each_time("b", &calls)))
                    .join(gather)
            })
            .step("bad", second_time("bad", &bad))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(messages(&engine.fault(run)), ["bad"]);
        assert_eq!(engine.retry(run), 1);
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["a", "b", "bad"]);
        assert_eq!(calls.get(), 2);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_failed_split_that_is_retried_repeats_only_what_failed() {
    // Two levels; on each there are branches that failed and branches that did not.
    on_each(|place| {
        let (good, bad) = (Counter::default(), Counter::default());
        let inner_bad = Counter::default();
        let flow = Workflow::<Trail>::build("retry", "1", |flow| {
            flow.step("first", mark("first"))
                .split("outer", |split| {
                    split
                        .branch("good", |flow| flow.step("good", each_time("good", &good)))
                        .branch("bad", |flow| {
                            flow.step("ahead", each_time("ahead", &good))
                                .step("bad", second_time("bad", &bad))
                        })
                        .branch("deep", |flow| {
                            flow.split("inner", |split| {
                                split
                                    .branch("g", |flow| flow.step("g", each_time("g", &good)))
                                    .branch("b", |flow| {
                                        flow.step("b", second_time("b", &inner_bad))
                                    })
                                    .join(gather)
                            })
                            .step("then", mark("then"))
                        })
                        .join(gather)
                })
                .step("last", mark("last"))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(
            messages(&engine.fault(run)),
            ["bad", "b"],
            "in branch order"
        );
        engine.assert_no_leftovers();
        assert_eq!(engine.show(run).retries_at, ["bad", "b"]);
        assert_eq!(engine.retry(run), 2);
        engine.settle();
        let expected = ["first", "good", "ahead", "bad", "g", "b", "then", "last"];
        assert_eq!(engine.data::<Trail>(run), expected);
        assert_eq!(good.get(), 3, "what was done is not done again");
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_split_that_tolerates_every_failure_and_whose_join_refuses_repeats_only_what_failed() {
    // With less tolerance it may give up before all have come, and so begins anew.
    for (tolerated, refusals, attempts) in [(2, 2, 1), (1, 1, 2)] {
        on_each(|place| {
            let (good, bad, merges) = (Counter::default(), Counter::default(), Counter::default());
            let count = merges.clone();
            let flow = Workflow::<Trail>::build("tolerant", "1", |flow| {
                flow.split("split", |split| {
                    split
                        .on_failure(FailurePolicy::Tolerate(tolerated))
                        .branch("good", |flow| flow.step("good", each_time("good", &good)))
                        .branch("bad", |flow| flow.step("bad", second_time("bad", &bad)))
                        .join(move |trail, branches| {
                            if count.up() <= refusals {
                                return Err(StepError::failed("cannot merge"));
                            }
                            gather(trail, branches)
                        })
                })
            })
            .unwrap();
            let mut engine = Stepped::open(place.builder().workflow(&flow));
            let run = engine.begin(&flow, &Trail::new());
            engine.settle();
            for _ in 0..4 {
                if engine.status(run) == RunStatus::Succeeded {
                    break;
                }
                engine.assert_no_leftovers();
                engine.retry(run);
                engine.settle();
            }
            assert_eq!(engine.data::<Trail>(run), ["good", "bad"], "{tolerated}");
            assert_eq!(good.get(), attempts, "{tolerated}");
            let rows = engine.show(run).steps;
            assert!(
                rows.iter().all(|row| !row.step.starts_with("split")),
                "no row is left of a join that was got over: {rows:#?}"
            );
            engine.assert_no_leftovers();
        });
    }
}

#[test]
fn a_retry_keeps_what_was_done_before_a_gateway_that_failed() {
    // The step's outcome and the failure of the gateway after it are one checkpoint.
    on_each(|place| {
        let calls = Counter::default();
        let (bad, before) = (Counter::default(), calls.clone());
        let first = move |bad: &Counter| assert!(bad.up() > 1, "at first it panics");
        let (count, more) = (bad.clone(), bad.clone());
        let choice = Workflow::<Trail>::build("choice", "1", |flow| {
            flow.step("before", each_time("before", &before))
                .choice("which", |arms| {
                    arms.when(
                        "always",
                        move |_| {
                            first(&count);
                            true
                        },
                        |flow| flow.step("arm", mark("arm")),
                    )
                })
        })
        .unwrap();
        let change = Workflow::<Trail>::build("change", "1", |flow| {
            flow.step("before", each_time("before", &before))
                .change("one", |trail| {
                    trail.push("one".to_owned());
                    Ok(())
                })
                .change("two", move |trail| {
                    first(&more);
                    trail.push("two".to_owned());
                    Ok(())
                })
        })
        .unwrap();
        let builder = place.builder().workflow(&choice).workflow(&change);
        let mut engine = Stepped::open(builder);
        let cases = [
            (&choice, vec!["before", "arm"]),
            (&change, vec!["before", "one", "two"]),
        ];
        for (flow, expected) in cases {
            let bad_before = bad.get();
            let run = engine.begin(flow, &Trail::new());
            engine.settle();
            if bad_before == 0 {
                assert_eq!(codes(&engine.fault(run)), ["panicked"]);
                assert_eq!(engine.retry(run), 1);
                engine.settle();
            }
            assert_eq!(engine.data::<Trail>(run), expected);
        }
        assert_eq!(calls.get(), 2, "a step that succeeded is not done again");
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_join_that_failed_to_merge_merges_when_it_is_retried() {
    on_each(|place| {
        let (bad, calls) = (Counter::default(), Counter::default());
        let flow = Workflow::<Trail>::build("merge", "1", |flow| {
            flow.split("split", |split| {
                split
                    .branch("a", |flow| flow.step("a", each_time("a", &calls)))
                    .branch("b", |flow| flow.step("b", each_time("b", &calls)))
                    .join(move |trail, branches| {
                        if bad.up() == 1 {
                            return Err(StepError::failed("cannot merge"));
                        }
                        gather(trail, branches)
                    })
            })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(messages(&engine.fault(run)), ["cannot merge"]);
        engine.assert_no_leftovers();
        assert_eq!(engine.show(run).retries_at, ["split/join"]);
        assert_eq!(engine.retry(run), 1);
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["a", "b"]);
        assert_eq!(calls.get(), 2);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_gateway_after_a_join_that_failed_is_taken_again_when_it_is_retried() {
    on_each(|place| {
        let (bad, calls) = (Counter::default(), Counter::default());
        let flow = Workflow::<Trail>::build("after-join", "1", |flow| {
            flow.split("split", |split| {
                split
                    .branch("a", |flow| flow.step("a", each_time("a", &calls)))
                    .branch("b", |flow| flow.step("b", each_time("b", &calls)))
                    .join(gather)
            })
            .choice("which", |arms| {
                arms.when(
                    "always",
                    move |_| {
                        assert!(bad.up() > 1, "at first it panics");
                        true
                    },
                    |flow| flow.step("arm", mark("arm")),
                )
            })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(codes(&engine.fault(run)), ["panicked"]);
        engine.assert_no_leftovers();
        assert_eq!(engine.retry(run), 1);
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["a", "b", "arm"]);
        assert_eq!(calls.get(), 2);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_retried_split_keeps_to_its_max_parallelism() {
    on_each(|place| {
        let (gate, calls) = (Gate::closed(), Counter::default());
        let (wait, count) = (gate.clone(), calls.clone());
        let flow = Workflow::<Trail>::build("retry-limit", "1", |flow| {
            flow.split_each(
                "each",
                Some(2),
                |_| (0..6).map(|n| (n.to_string(), Trail::new())).collect(),
                move |flow| {
                    flow.step_async("step", move |_, trail| {
                        let (gate, bad) = (wait.clone(), count.up() <= 6);
                        async move {
                            if bad {
                                return Err(StepError::failed("at first"));
                            }
                            gate.pass().await;
                            Ok(trail)
                        }
                    })
                },
                |_, _| Ok(()),
            )
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().in_flight(8).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(engine.fault(run).errors.len(), 6);
        engine.retry(run);
        for _ in 0..6 {
            engine.settle();
            assert!((1..=2).contains(&gate.waiting()), "{}", gate.waiting());
            gate.let_pass(1);
        }
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), Trail::new());
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_retry_does_not_forget_the_detached_branch_that_failed() {
    // Where only it failed there is nothing left to go on from, and that is said; beside a failure of
    // the run's own branch the run goes on, and still fails with the detached branch's error (I9).
    on_each(|place| {
        for own_fails in [false, true] {
            let own = Counter::default();
            if !own_fails {
                own.up();
            }
            let flow = Workflow::<Trail>::build("detached", "1", |flow| {
                flow.detach("aside", |flow| flow.step("bad", fail("bad aside")))
                    .step("own", second_time("own", &own))
                    .max_parallelism(2)
            })
            .unwrap();
            let place = if place.is_file() {
                Place::file()
            } else {
                Place::memory()
            };
            let mut engine = Stepped::open(place.builder().workflow(&flow));
            let run = engine.begin(&flow, &Trail::new());
            engine.settle();
            let fault = engine.fault(run);
            assert_eq!(fault.errors.len(), 1 + usize::from(own_fails));
            let scheduler = engine.scheduler.clone();
            let retried = engine.ask(scheduler.retry(run));
            if own_fails {
                assert_eq!(retried.unwrap(), 1);
            } else {
                assert!(
                    matches!(retried, Err(WriteError::WrongState { .. })),
                    "{retried:?}"
                );
            }
            engine.settle();
            assert_eq!(messages(&engine.fault(run)), ["bad aside"]);
            assert_eq!(own.get(), 2);
            engine.assert_no_leftovers();
        }
    });
}

#[test]
fn a_retried_run_is_in_the_states_that_it_was_in() {
    on_each(|place| {
        let calls = Counter::default();
        let flow = Workflow::<Trail>::build("retry", "1", |flow| {
            flow.milestone("open", "open")
                .step("bad", second_time("bad", &calls))
                .step("gated", mark("gated"))
                .only_while("open")
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(messages(&engine.fault(run)), ["bad"]);
        engine.assert_no_leftovers();
        assert_eq!(engine.retry(run), 1);
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["bad", "gated"]);
        engine.assert_no_leftovers();
    });
}
