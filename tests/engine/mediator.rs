//! The mediator's behaviour: what each kind of step does with a run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::{
    Flow, RunFilter, RunOutcome, RunStatus, SignalOutcome, StepError, StepScheduleError,
    StepStatus, Workflow,
};

use crate::harness::*;

#[test]
fn a_single_step_runs_and_its_run_succeeds() {
    on_each(|place| {
        let flow =
            Workflow::<Trail>::build("single", "1", |flow| flow.step("a", mark("a"))).unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        assert_eq!(data::<Trail>(end_of(&run)), ["a"]);
        assert_no_leftovers(&engine);
    });
}

#[test]
fn the_second_step_gets_what_the_first_one_made() {
    on_each(|place| {
        let flow = Workflow::<u64>::build("two", "1", |flow| {
            flow.step("add", |_, n| {
                *n += 1;
                Ok(())
            })
            .step_async("double", |_, n| async move { Ok(n * 2) })
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        assert_eq!(data::<u64>(end_of(&begin(&engine, &flow, &20))), 42);
        assert_no_leftovers(&engine);
    });
}

#[test]
fn a_change_alters_the_data_without_a_job_of_its_own() {
    on_each(|place| {
        let flow = Workflow::<u64>::build("change", "1", |flow| {
            flow.step("take", |_, _| Ok(()))
                .change("double", |n| {
                    *n *= 2;
                    Ok(())
                })
                .step("add", |_, n| {
                    *n += 1;
                    Ok(())
                })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &20);
        engine.settle();
        assert_eq!(engine.data::<u64>(run), 41);
        let steps: Vec<_> = engine.show(run).steps.into_iter().map(|s| s.step).collect();
        assert_eq!(steps, ["take", "add"], "a change is no step");
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_choice_takes_the_branch_of_its_predicate_and_no_other() {
    let cases: [(u64, &[&str]); 4] = [
        (1, &["one", "after"]),
        (2, &["two", "after"]),
        (3, &["after"]),
        (4, &["other", "after"]),
    ];
    on_each(|place| {
        let flow = |otherwise: bool| {
            let name = if otherwise { "else" } else { "if" };
            Workflow::<(u64, Trail)>::build(name, "1", |flow| {
                let to = |name: &'static str| {
                    move |flow: Flow<(u64, Trail)>| {
                        flow.step(name, move |_, (_, trail)| {
                            trail.push(name.to_owned());
                            Ok(())
                        })
                    }
                };
                let flow = flow.choice("which", |arms| {
                    let arms = arms.when("is one", |(n, _)| *n == 1, to("one")).when(
                        "is at most two",
                        |(n, _)| *n <= 2,
                        to("two"),
                    );
                    if otherwise {
                        arms.otherwise(to("other"))
                    } else {
                        arms
                    }
                });
                to("after")(flow)
            })
            .unwrap()
        };
        let (plain, other) = (flow(false), flow(true));
        let mut engine = Stepped::open(place.builder().workflow(&plain).workflow(&other));
        for (n, expected) in cases {
            let flow = if n == 4 { &other } else { &plain };
            let run = engine.begin(flow, &(n, Trail::new()));
            engine.settle();
            assert_eq!(engine.data::<(u64, Trail)>(run).1, expected, "case {n}");
            let ran = |s: &windlass::StepView| s.status == StepStatus::Succeeded;
            let ran = engine.show(run).steps.iter().filter(|s| ran(s)).count();
            assert_eq!(ran, expected.len(), "case {n}: no other step ran");
        }
        engine.assert_no_leftovers();
    });
}

fn waiting_for_reply(flow: Flow<Trail>) -> Flow<Trail> {
    flow.step("ask", mark("ask"))
        .wait_event("answer", "reply", |trail, text: String| trail.push(text))
}

#[test]
fn a_request_goes_on_with_its_reply() {
    // Shows every order of wait and reply: after it or before it, last step or not, once or again.
    struct Case {
        early: bool,
        last: bool,
        again: bool,
    }
    let bits = |n: u32| Case {
        early: n & 1 > 0,
        last: n & 2 > 0,
        again: n & 4 > 0,
    };
    on_each(|place| {
        let more = Workflow::<Trail>::build("more", "1", |flow| {
            waiting_for_reply(flow).step("after", mark("after"))
        })
        .unwrap();
        let last = Workflow::<Trail>::build("last", "1", waiting_for_reply).unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&more).workflow(&last));
        for case in (0..8).map(bits) {
            let flow = if case.last { &last } else { &more };
            let run = engine.begin(flow, &Trail::new());
            let mut first = SignalOutcome::Stored;
            if !case.early {
                engine.settle();
                assert_eq!(engine.waits(run), ["event"]);
                assert_eq!(engine.status(run), RunStatus::Waiting);
                first = SignalOutcome::Delivered;
            }
            assert_eq!(engine.signal(event(run, "reply", "1", "yes")), first);
            if case.again {
                let outcome = engine.signal(event(run, "reply", "1", "yes again"));
                assert_eq!(outcome, SignalOutcome::Duplicate);
            }
            engine.settle();
            let mut expected = vec!["ask", "yes"];
            expected.extend((!case.last).then_some("after"));
            assert_eq!(engine.data::<Trail>(run), expected);
            let late = engine.signal(event(run, "reply", "1", "late"));
            assert_eq!(late, SignalOutcome::RunEnded);
            assert_eq!(engine.data::<Trail>(run), expected, "nothing changed");
            engine.assert_no_leftovers();
        }
    });
}

#[test]
fn two_waits_for_one_event_take_two_replies_in_the_order_they_came() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("twice", "1", |flow| {
            flow.wait_event("first", "reply", |trail, text: String| trail.push(text))
                .wait_event("second", "reply", |trail, text: String| trail.push(text))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        // Names that sort the other way round: the order is that of their coming.
        engine.signal(event(run, "reply", "z", "one"));
        engine.signal(event(run, "reply", "z", "one again"));
        engine.settle();
        assert_eq!(engine.waits(run), ["event"], "a duplicate is no second one");
        engine.signal(event(run, "reply", "a", "two"));
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["one", "two"]);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_request_that_comes_back_as_a_fault_takes_the_fault_path_and_not_the_other() {
    on_each(|place| {
        let handled = Workflow::<Trail>::build("handled", "1", |flow| {
            waiting_for_reply(flow)
                .on_fault(
                    |trail, fault| trail.push(fault.errors[0].code.clone()),
                    |flow| flow.step("sorry", mark("sorry")),
                )
                .step("done", mark("done"))
        })
        .unwrap();
        let bare = Workflow::<Trail>::build("bare", "1", |flow| {
            waiting_for_reply(flow).step("done", mark("done"))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&handled).workflow(&bare));
        for early in [false, true] {
            let runs = [&handled, &bare].map(|flow| engine.begin(flow, &Trail::new()));
            if !early {
                engine.settle();
            }
            for run in runs {
                engine.signal(event(run, "reply", "1", "no such city").fault());
            }
            engine.settle();
            let taken = engine.data::<Trail>(runs[0]);
            assert_eq!(taken, ["ask", "fault-reply", "sorry"], "early: {early}");
            let fault = engine.fault(runs[1]);
            assert_eq!(codes(&fault), ["fault-reply"]);
            assert_eq!(fault.errors[0].step, "answer");
            assert!(fault.errors[0].message.contains("no such city"));
            engine.assert_no_leftovers();
        }
    });
}

#[test]
fn a_parallel_split_runs_its_branches_side_by_side() {
    // Two Runners: each branch waits for the other inside its step, so neither can go first.
    on_each(|place| {
        let meeting = Meeting::new();
        let meet = |name: &'static str| {
            let meeting = meeting.clone();
            move |flow: Flow<Trail>| {
                flow.step(name, move |_, trail| {
                    meeting.arrive();
                    if !meeting.wait_for(2) {
                        return Err(StepError::failed("the other branch did not come"));
                    }
                    trail.push(name.to_owned());
                    Ok(())
                })
            }
        };
        let flow = Workflow::<Trail>::build("parallel", "1", |flow| {
            flow.split("both", |split| {
                split
                    .branch("left", meet("left"))
                    .branch("right", meet("right"))
                    .join(gather)
            })
        })
        .unwrap();
        let engine = place.builder().runners(2).workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        assert_eq!(data::<Trail>(end_of(&run)), ["left", "right"]);
        assert_no_leftovers(&engine);
    });
}

#[test]
fn a_parent_ends_after_its_children() {
    // One branch is done at once, the other waits before a gate: until it opens, what follows the
    // join has not begun and the run has not ended.
    on_each(|place| {
        let gate = Gate::closed();
        let slow = gate.clone();
        let flow = Workflow::<Trail>::build("after-children", "1", |flow| {
            flow.split("both", |split| {
                split
                    .branch("slow", |flow| {
                        flow.step_async("slow", move |_, mut trail: Trail| {
                            let gate = slow.clone();
                            async move {
                                gate.pass().await;
                                trail.push("slow".to_owned());
                                Ok(trail)
                            }
                        })
                    })
                    .branch("quick", |flow| flow.step("quick", mark("quick")))
                    .join(gather)
            })
            .step("after", mark("after"))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().in_flight(2).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(gate.waiting(), 1);
        assert_eq!(engine.outcome(run), None);
        assert!(engine.waits(run).contains(&"join"), "the parent waits");
        gate.let_pass(1);
        engine.settle();
        let trail = engine.data::<Trail>(run);
        assert_eq!(trail, ["slow", "quick", "after"], "merged in branch order");
        engine.assert_no_leftovers();
    });
}

#[test]
fn nested_splits_join_from_the_inside_out_in_branch_order() {
    on_each(|place| {
        let inner = |name: &'static str, a: &'static str, b: &'static str| {
            move |flow: Flow<Trail>| {
                flow.split(name, |split| {
                    split
                        .branch("a", |flow| flow.step(a, mark(a)))
                        .branch("b", |flow| flow.step(b, mark(b)))
                        .join(gather)
                })
            }
        };
        let flow = Workflow::<Trail>::build("nested", "1", |flow| {
            flow.step("first", mark("first"))
                .split("outer", |split| {
                    split
                        .branch("x", inner("in-x", "xa", "xb"))
                        .branch("y", |flow| {
                            inner("in-y", "ya", "yb")(flow).step("y-end", mark("y-end"))
                        })
                        .branch("z", |flow| flow.step("z", mark("z")))
                        .join(gather)
                })
                .step("last", mark("last"))
        })
        .unwrap();
        // Whatever the number of Runners, and so the order of ends, the result is the same (I10).
        for runners in [1, 3] {
            let engine = place.builder().runners(runners).workflow(&flow);
            let engine = engine.open().unwrap();
            let run = begin(&engine, &flow, &Trail::new());
            let expected = ["first", "xa", "xb", "ya", "yb", "y-end", "z", "last"];
            assert_eq!(data::<Trail>(end_of(&run)), expected);
            assert_no_leftovers(&engine);
        }
    });
}

#[test]
fn computed_branches_get_names_and_data_of_their_own() {
    on_each(|place| {
        let flow = Workflow::<Vec<u64>>::build("each", "1", |flow| {
            flow.split_each(
                "each",
                None,
                |numbers| numbers.iter().map(|n| (n.to_string(), vec![*n])).collect(),
                |flow| {
                    flow.step("square", |context, n| {
                        assert_eq!(context.branch_name(), Some(n[0].to_string().as_str()));
                        n[0] *= n[0];
                        Ok(())
                    })
                },
                |numbers, branches| {
                    *numbers = branches.iter().map(|branch| branch.data[0]).collect();
                    Ok(())
                },
            )
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        for numbers in [vec![3, 1, 2], vec![7], vec![]] {
            let run = engine.begin(&flow, &numbers);
            engine.settle();
            let squares: Vec<_> = numbers.iter().map(|n| n * n).collect();
            assert_eq!(
                engine.data::<Vec<u64>>(run),
                squares,
                "branches: {numbers:?}"
            );
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_wait_is_neither_early_nor_lost() {
    on_each(|place| {
        let clock = standing_clock();
        let flow = Workflow::<u64>::build("wait", "1", |flow| {
            flow.sleep("a minute", Duration::from_mins(1))
                .sleep_for("so many seconds", |n| Duration::from_secs(*n))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let run = engine.begin(&flow, &5);
        for wait in [60, 5] {
            engine.settle();
            clock.advance(almost(Duration::from_secs(wait)));
            engine.settle();
            assert_eq!(engine.outcome(run), None, "not early");
            assert_eq!(engine.waits(run), ["timer"]);
            clock.advance(TICK);
        }
        engine.settle();
        assert_eq!(engine.data::<u64>(run), 5);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_wait_is_neither_early_nor_lost_across_a_restart() {
    // The first engine is shut down while the run waits; the next one opens before the time has
    // come, and is shut down too; the third one sees it through.
    let place = Place::file();
    let clock = standing_clock();
    let before = Meeting::new();
    let told = before.clone();
    let flow = Workflow::<Trail>::build("wait", "1", |flow| {
        flow.step("before", move |_, trail| {
            told.arrive();
            trail.push("before".to_owned());
            Ok(())
        })
        .sleep("an hour", Duration::from_hours(1))
        .step("after", mark("after"))
    })
    .unwrap();
    let builder = place.builder().clock(clock.clone()).workflow(&flow);
    let engine = builder.clone().open().unwrap();
    let run = begin(&engine, &flow, &Trail::new()).id();
    assert!(before.wait_for(1));
    engine.shutdown(PATIENCE);
    clock.advance(Duration::from_mins(59));
    let mut early = Stepped::open(builder.clone());
    early.settle();
    assert_eq!(early.outcome(run), None, "not early");
    assert_eq!(early.waits(run), ["timer"]);
    drop(early);
    clock.advance(Duration::from_mins(1));
    let mut engine = Stepped::open(builder);
    engine.settle();
    assert_eq!(engine.data::<Trail>(run), ["before", "after"]);
    assert_eq!(before.count(), 1, "what was done is not done again");
    engine.assert_no_leftovers();
}

#[test]
fn a_wall_clock_that_goes_back_makes_nothing_early() {
    on_each(|place| {
        let clock = standing_clock();
        let flow = Workflow::<Trail>::build("wait", "1", |flow| {
            flow.sleep("a minute", Duration::from_mins(1))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        clock.jump_to(windlass::Timestamp(1_600_000_000_000_000));
        engine.settle();
        assert_eq!(engine.outcome(run), None);
        clock.jump_to(windlass::Timestamp(1_700_000_060_000_000));
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), Trail::new());
        engine.assert_no_leftovers();
    });
}

#[test]
fn an_attempt_is_the_last_one_though_the_wall_clock_went_back_meanwhile() {
    on_each(|place| {
        let clock = standing_clock();
        let hand = clock.clone();
        let flow = Workflow::<Trail>::build("again", "1", |flow| {
            flow.step("again", move |context, _: &mut Trail| {
                if context.attempt() == 1 {
                    return Err(StepError::failed("once more"));
                }
                hand.jump_to(windlass::Timestamp(1_600_000_000_000_000));
                Ok(())
            })
            .retry(2, Duration::ZERO)
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        clock.advance(Duration::from_secs(1));
        engine.settle();
        let steps = engine.show(run).steps;
        let last = (steps[0].attempt, steps[0].status);
        assert_eq!(last, (2, StepStatus::Succeeded));
    });
}

#[test]
fn many_runs_share_one_runner() {
    on_each(|place| {
        let flow = Workflow::<u64>::build("short", "1", |flow| {
            let add = |_: &windlass::Context, n: &mut u64| {
                *n += 1;
                Ok(())
            };
            flow.step("one", add).step("two", add).step("three", add)
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let requests = (0..300).map(|n| flow.request(&n).unwrap()).collect();
        let runs = engine.scheduler().schedule_all_blocking(requests).unwrap();
        for (n, run) in (0..).zip(&runs) {
            assert_eq!(data::<u64>(end_of(run)), n + 3);
        }
        assert_no_leftovers(&engine);
    });
}

/// One of each kind of step, which adds `n` to the trail.
type Kind = (&'static str, fn(Flow<Trail>, u32) -> Flow<Trail>);

const KINDS: [Kind; 11] = [
    ("step", |flow, n| {
        flow.step(&format!("step-{n}"), move |_, trail| {
            trail.push(n.to_string());
            Ok(())
        })
    }),
    ("async step", |flow, n| {
        let name = format!("async-{n}");
        flow.step_async(&name, move |_, mut trail: Trail| async move {
            trail.push(n.to_string());
            Ok(trail)
        })
    }),
    ("change", |flow, n| {
        flow.change(&format!("change-{n}"), move |trail| {
            trail.push(n.to_string());
            Ok(())
        })
    }),
    ("choice", |flow, n| {
        flow.choice(&format!("choice-{n}"), |arms| {
            let take = |flow| KINDS[0].1(flow, n);
            arms.when(
                "never",
                |_| false,
                |flow| flow.step(&format!("no-{n}"), fail("no")),
            )
            .when("always", |_| true, take)
        })
    }),
    ("choice of nothing", |flow, n| {
        let flow = flow.choice(&format!("idle-{n}"), |arms| {
            arms.when(
                "never",
                |_| false,
                |flow| flow.step(&format!("no-{n}"), fail("no")),
            )
        });
        KINDS[2].1(flow, n)
    }),
    ("split", |flow, n| {
        flow.split(&format!("split-{n}"), |split| {
            split
                .branch("a", |flow| KINDS[0].1(flow, n))
                .branch("b", |flow| flow.step(&format!("b-{n}"), |_, _| Ok(())))
                .join(gather)
        })
    }),
    ("computed split", |flow, n| {
        flow.split_each(
            &format!("each-{n}"),
            Some(1),
            |trail| {
                vec![
                    ("only".to_owned(), trail.clone()),
                    ("idle".to_owned(), trail.clone()),
                ]
            },
            |flow| {
                flow.step(&format!("of-{n}"), move |context, trail| {
                    if context.branch_name() == Some("only") {
                        trail.push(n.to_string());
                    }
                    Ok(())
                })
            },
            gather,
        )
    }),
    ("wait", |flow, n| {
        KINDS[2].1(flow.sleep(&format!("sleep-{n}"), Duration::from_secs(1)), n)
    }),
    ("event", |flow, n| {
        let name = format!("event-{n}");
        flow.wait_event(&name, &name, |trail: &mut Trail, text: String| {
            trail.push(text);
        })
    }),
    ("detach", |flow, n| {
        let flow = flow.detach(&format!("detach-{n}"), |flow| {
            flow.step(&format!("aside-{n}"), |_, _| Ok(()))
        });
        KINDS[2].1(flow, n)
    }),
    ("recovered step", |flow, n| {
        flow.step(&format!("bad-{n}"), fail("bad")).recover(
            move |trail, _| trail.push(n.to_string()),
            |flow| flow.step(&format!("good-{n}"), |_, _| Ok(())),
        )
    }),
];

#[test]
fn any_kind_of_step_may_follow_any_other() {
    // Every pair of kinds, on the run's own branch and on a branch of a split, in one engine.
    on_each(|place| {
        let clock = standing_clock();
        let mut builder = place.builder().clock(clock.clone());
        let mut flows = Vec::new();
        for (first, one) in KINDS {
            for (second, two) in KINDS {
                let plain = Workflow::<Trail>::build(format!("{first}, {second}"), "1", |flow| {
                    two(one(flow, 1), 2)
                });
                let inside =
                    Workflow::<Trail>::build(format!("{first}, {second}, inside"), "1", |flow| {
                        flow.split("around", |split| {
                            split
                                .branch("pair", |flow| two(one(flow, 1), 2))
                                .branch("other", |flow| flow.change("other", |_| Ok(())))
                                .join(gather)
                        })
                    });
                for flow in [plain, inside] {
                    let flow = flow.expect("any kind may follow any other");
                    builder = builder.workflow(&flow);
                    flows.push(flow);
                }
            }
        }
        let mut engine = Stepped::open(builder);
        let mut runs = Vec::new();
        for flow in &flows {
            let run = engine.begin(flow, &Trail::new());
            for n in [1, 2] {
                let name = format!("event-{n}");
                engine.signal(event(run, &name, "1", &n.to_string()));
            }
            runs.push((flow.definition().name(), run));
        }
        for _ in 0..3 {
            engine.settle();
            clock.advance(Duration::from_secs(1));
        }
        for (name, run) in runs {
            let Some(RunOutcome::Succeeded(data)) = engine.outcome(run) else {
                panic!("{name}: {:?}", engine.inspector().why(run));
            };
            assert_eq!(data.decode::<Trail>().unwrap(), ["1", "2"], "{name}");
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_run_waits_for_what_it_detached_but_not_before_its_next_step() {
    on_each(|place| {
        let gate = Gate::closed();
        let aside = gate.clone();
        let seen = Arc::new(Mutex::new(Trail::new()));
        let (in_after, in_aside) = (Arc::clone(&seen), Arc::clone(&seen));
        let flow = Workflow::<Trail>::build("detach", "1", |flow| {
            flow.step("before", mark("before"))
                .detach("detached", |flow| {
                    flow.step_async("aside", move |_, mut trail: Trail| {
                        let (gate, seen) = (aside.clone(), Arc::clone(&in_aside));
                        async move {
                            gate.pass().await;
                            seen.lock().unwrap().push("aside".to_owned());
                            trail.push("aside".to_owned());
                            Ok(trail)
                        }
                    })
                })
                .step("after", move |_, trail| {
                    in_after.lock().unwrap().push("after".to_owned());
                    trail.push("after".to_owned());
                    Ok(())
                })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().in_flight(2).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(
            *seen.lock().unwrap(),
            ["after"],
            "it did not wait before it"
        );
        assert_eq!(
            engine.outcome(run),
            None,
            "a run ends after all its branches"
        );
        gate.let_pass(1);
        engine.settle();
        assert_eq!(*seen.lock().unwrap(), ["after", "aside"]);
        let trail = engine.data::<Trail>(run);
        assert_eq!(trail, ["before", "after"], "its data stays its own");
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_detached_branch_that_fails_fails_its_run_when_all_else_is_done() {
    on_each(|place| {
        let plain = Workflow::<Trail>::build("one", "1", |flow| {
            flow.detach("aside", |flow| flow.step("bad", fail("bad")))
                .step("good", mark("good"))
        })
        .unwrap();
        // From inside a split, and with a failure of the run's own branch: no error is lost.
        let both = Workflow::<Trail>::build("both", "1", |flow| {
            flow.split("split", |split| {
                split.branch("only", |flow| {
                    flow.detach("aside", |flow| flow.step("bad", fail("bad")))
                        .step("good", mark("good"))
                })
            })
            .step("worse", fail("worse"))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&plain).workflow(&both));
        for (flow, expected) in [(&plain, vec!["bad"]), (&both, vec!["bad", "worse"])] {
            let run = engine.begin(flow, &Trail::new());
            engine.settle();
            let fault = engine.fault(run);
            let mut found = messages(&fault);
            found.sort_unstable();
            assert_eq!(found, expected);
            let good = |step: &windlass::StepView| step.step == "good";
            let steps = engine.show(run).steps;
            let good = steps.iter().find(|step| good(step)).unwrap();
            assert_eq!(good.status, StepStatus::Succeeded);
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_fault_path_ends_its_branch_and_a_recovery_rejoins_it() {
    on_each(|place| {
        let build = |name: &str, body: fn(Flow<Trail>) -> Flow<Trail>| {
            Workflow::<Trail>::build(name, "1", body).unwrap()
        };
        let cases = [
            (
                build("ends", |flow| {
                    flow.step("bad", fail("bad"))
                        .on_fault(folded, |flow| flow.step("path", mark("path")))
                        .step("after", mark("after"))
                }),
                vec!["bad", "path"],
            ),
            (
                build("rejoins", |flow| {
                    flow.step("bad", fail("bad"))
                        .recover(folded, |flow| flow.step("path", mark("path")))
                        .step("after", mark("after"))
                }),
                vec!["bad", "path", "after"],
            ),
            (
                build("not taken", |flow| {
                    flow.step("good", mark("good"))
                        .recover(folded, |flow| flow.step("path", mark("path")))
                        .step("after", mark("after"))
                }),
                vec!["good", "after"],
            ),
            (
                build("of a split", |flow| {
                    flow.split("split", |split| {
                        split
                            .branch("bad", |flow| flow.step("bad", fail("bad")))
                            .branch("good", |flow| flow.step("good", mark("good")))
                            .join(gather)
                    })
                    .recover(folded, |flow| flow.step("path", mark("path")))
                    .step("after", mark("after"))
                }),
                vec!["bad", "path", "after"],
            ),
            (
                build("inside a branch", |flow| {
                    flow.split("split", |split| {
                        split
                            .branch("ends", |flow| {
                                flow.step("bad", fail("bad"))
                                    .on_fault(folded, |flow| flow.step("path", mark("path")))
                                    .step("not reached", mark("not reached"))
                            })
                            .branch("good", |flow| flow.step("good", mark("good")))
                            .join(gather)
                    })
                    .step("after", mark("after"))
                }),
                vec!["bad", "path", "good", "after"],
            ),
        ];
        let builder = cases
            .iter()
            .fold(place.builder(), |builder, (flow, _)| builder.workflow(flow));
        let mut engine = Stepped::open(builder);
        for (flow, expected) in &cases {
            let run = engine.begin(flow, &Trail::new());
            engine.settle();
            let name = flow.definition().name();
            assert_eq!(engine.data::<Trail>(run), *expected, "{name}");
        }
        engine.assert_no_leftovers();
    });
}

fn folded(trail: &mut Trail, fault: &windlass::Fault) {
    trail.push(fault.errors[0].message.clone());
}

#[test]
fn a_step_is_tried_again_after_pauses_that_double() {
    on_each(|place| {
        let clock = standing_clock();
        let calls = Counter::default();
        let count = calls.clone();
        let flow = Workflow::<Trail>::build("retry", "1", |flow| {
            flow.step("bad", move |context, trail| {
                count.up();
                if context.attempt() < 4 {
                    trail.push("of a failed attempt".to_owned());
                    return Err(StepError::failed(context.attempt().to_string()));
                }
                trail.push(context.attempt().to_string());
                Ok(())
            })
            .retry(4, Duration::from_secs(1))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        for (tries, pause) in (1..).zip([1, 2, 4]) {
            clock.advance(almost(Duration::from_secs(pause)));
            engine.settle();
            assert_eq!(calls.get(), tries, "not early");
            assert_eq!(engine.waits(run), ["retry"]);
            clock.advance(TICK);
            engine.settle();
            assert_eq!(calls.get(), tries + 1);
        }
        assert_eq!(engine.data::<Trail>(run), ["4"], "only one outcome counts");
        engine.assert_no_leftovers();
    });
}

#[test]
fn attempts_end_with_the_policy_or_with_a_permanent_error_and_later_is_no_attempt() {
    on_each(|place| {
        let clock = standing_clock();
        let calls = Counter::default();
        let count = calls.clone();
        let flow = Workflow::<String>::build("attempts", "1", |flow| {
            flow.step("bad", move |context, how| {
                let call = count.up();
                let attempt = context.attempt();
                let error = StepError::new("mine", format!("attempt {attempt}"));
                match how.as_str() {
                    "permanent" => Err(error.permanent()),
                    "later" if call <= 3 => Err(error.retry_after(Duration::from_secs(1))),
                    _ => Err(error),
                }
            })
            .retry(2, Duration::from_secs(1))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let mut before = 0;
        for (how, tries, last) in [("plain", 2, "attempt 2"), ("permanent", 1, "attempt 1")] {
            let run = engine.begin(&flow, &how.to_owned());
            settle_for(&mut engine, &clock, 10);
            assert_eq!(messages(&engine.fault(run)), [last], "{how}");
            assert_eq!(codes(&engine.fault(run)), ["mine"], "{how}");
            assert_eq!(calls.get() - before, tries, "{how}");
            before = calls.get();
        }
        engine.assert_no_leftovers();
    });
    // "Later" does not use up an attempt: three of them and then two that count.
    on_each(|place| {
        let clock = standing_clock();
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&attempts);
        let flow = Workflow::<Trail>::build("later", "1", |flow| {
            flow.step("bad", move |context, _| {
                let mut seen = seen.lock().unwrap();
                seen.push(context.attempt());
                let error = StepError::failed("not yet");
                if seen.len() <= 3 {
                    return Err(error.retry_after(Duration::from_secs(1)));
                }
                Err(error)
            })
            .retry(2, Duration::from_secs(1))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        settle_for(&mut engine, &clock, 10);
        assert_eq!(messages(&engine.fault(run)), ["not yet"]);
        assert_eq!(*attempts.lock().unwrap(), [1, 1, 1, 1, 2]);
        engine.assert_no_leftovers();
    });
}

/// Lets so many seconds pass, one by one.
fn settle_for(engine: &mut Stepped, clock: &windlass::ManualClock, seconds: u32) {
    for _ in 0..seconds {
        engine.settle();
        clock.advance(Duration::from_secs(1));
    }
    engine.settle();
}

#[test]
fn the_idempotency_key_is_the_same_in_every_attempt_and_no_other_step_has_it() {
    on_each(|place| {
        let clock = standing_clock();
        let keys = Arc::new(Mutex::new(Vec::new()));
        let (one, two) = (Arc::clone(&keys), Arc::clone(&keys));
        let flow = Workflow::<Trail>::build("keys", "1", |flow| {
            flow.step("thrice", move |context, _| {
                one.lock().unwrap().push(context.idempotency_key());
                if context.attempt() < 3 {
                    return Err(StepError::failed("again"));
                }
                Ok(())
            })
            .retry(3, Duration::from_secs(1))
            .split_each(
                "each",
                None,
                |_| (0..3).map(|n| (n.to_string(), Trail::new())).collect(),
                |flow| {
                    flow.step("once", move |context, _| {
                        two.lock().unwrap().push(context.idempotency_key());
                        Ok(())
                    })
                },
                |_, _| Ok(()),
            )
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        for _ in 0..2 {
            engine.begin(&flow, &Trail::new());
            settle_for(&mut engine, &clock, 5);
        }
        let keys = keys.lock().unwrap();
        assert_eq!(keys.len(), 2 * (3 + 3));
        for run in keys.chunks(6) {
            assert!(run[..3].iter().all(|key| *key == run[0]), "{run:?}");
        }
        let mut distinct = keys.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 2 * (1 + 3), "{keys:?}");
        engine.assert_no_leftovers();
    });
}

#[test]
fn no_more_branches_or_jobs_are_on_their_way_than_max_parallelism_allows() {
    // Eight places for asynchronous steps, and all wait before a gate: what is in flight then is what
    // the engine lets go at once. Checked after each step that passes the gate.
    type Limit = (Option<u32>, Option<u32>, usize);
    let cases: [Limit; 5] = [
        (None, None, 6),
        (Some(2), None, 2),
        (None, Some(3), 3),
        (Some(2), Some(3), 2),
        (Some(3), Some(1), 1),
    ];
    on_each(|place| {
        for (of_split, of_run, expected) in cases {
            let gate = Gate::closed();
            let inside = gate.clone();
            let flow = Workflow::<Trail>::build("limits", "1", |flow| {
                let flow = flow.split_each(
                    "each",
                    of_split,
                    |_| (0..6).map(|n| (n.to_string(), Trail::new())).collect(),
                    |flow| {
                        flow.step_async("one", {
                            let inside = inside.clone();
                            move |_, trail| {
                                let gate = inside.clone();
                                async move {
                                    gate.pass().await;
                                    Ok(trail)
                                }
                            }
                        })
                        .step_async("two", move |_, trail| {
                            let gate = inside.clone();
                            async move {
                                gate.pass().await;
                                Ok(trail)
                            }
                        })
                    },
                    |_, _| Ok(()),
                );
                match of_run {
                    Some(limit) => flow.max_parallelism(limit),
                    None => flow,
                }
            })
            .unwrap();
            let place = if place.is_file() {
                Place::file()
            } else {
                Place::memory()
            };
            let mut engine = Stepped::open(place.builder().in_flight(8).workflow(&flow));
            let run = engine.begin(&flow, &Trail::new());
            let mut most = 0;
            for passed in 0..12 {
                engine.settle();
                let now = gate.waiting();
                assert!(now >= 1, "{of_split:?} {of_run:?}: stuck after {passed}");
                assert!(
                    now <= expected,
                    "{of_split:?} {of_run:?}: {now} after {passed}"
                );
                most = most.max(now);
                gate.let_pass(1);
            }
            assert_eq!(most, expected, "{of_split:?} {of_run:?}: all room is used");
            engine.settle();
            assert_eq!(engine.data::<Trail>(run), Trail::new());
            engine.assert_no_leftovers();
        }
    });
}

#[test]
fn a_call_takes_no_place_of_max_parallelism() {
    // The one place is taken by a step before a gate, and others wait for it: what a branch calls is
    // done all the same, on its way through a scope, and its next step takes its turn.
    on_each(|place| {
        let (gate, after) = (Gate::closed(), Counter::default());
        let child =
            Workflow::<Trail>::build("child", "1", |flow| flow.step("work", mark("work"))).unwrap();
        let (inside, count) = (gate.clone(), after.clone());
        let flow = Workflow::<Trail>::build("places", "1", |flow| {
            let waits = |flow: Flow<Trail>, name: &str| {
                let inside = inside.clone();
                flow.step_async(name, move |_, trail| {
                    let gate = inside.clone();
                    async move {
                        gate.pass().await;
                        Ok(trail)
                    }
                })
            };
            flow.max_parallelism(1).split("split", |split| {
                split
                    .branch("one", |flow| waits(flow, "one"))
                    .branch("two", |flow| waits(flow, "two"))
                    .branch("three", |flow| {
                        flow.scope("scope", |flow| {
                            flow.run("call", "child", Trail::clone, |trail, below| {
                                *trail = below;
                            })
                        })
                        .step("after", move |_, _| {
                            count.up();
                            Ok(())
                        })
                    })
                    .join(gather)
            })
        })
        .unwrap();
        let builder = place.builder().in_flight(8);
        let mut engine = Stepped::open(builder.workflow(&child).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(gate.waiting(), 1);
        let runs = engine.inspector().runs(RunFilter::All, 10).unwrap();
        let called = runs.iter().find(|run| run.workflow == "child");
        let called = called.map(|run| run.status);
        assert_eq!(called, Some(RunStatus::Succeeded));
        for passed in 0..2 {
            assert_eq!(after.get(), 0, "its step takes its turn");
            assert_eq!(gate.waiting(), 1, "after {passed}");
            gate.let_pass(1);
            engine.settle();
        }
        assert_eq!(engine.data::<Trail>(run), ["work"]);
        assert_eq!(after.get(), 1);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_run_that_a_step_schedules_begins_once_and_only_if_the_step_succeeds() {
    // The door is shut (one place, shedding): work from inside does not pass it.
    on_each(|place| {
        let clock = standing_clock();
        let calls = Counter::default();
        let count = calls.clone();
        let child = Workflow::<Trail>::build("child", "1", |flow| {
            flow.step("count", move |_, _| {
                count.up();
                Ok(())
            })
        })
        .unwrap();
        let parent = Workflow::<String>::build("parent", "1", |flow| {
            flow.step("schedule", |context, how| {
                let input = windlass::Payload::encode(&Trail::new()).unwrap();
                for _ in 0..5 {
                    context.schedule("child", input.clone()).unwrap();
                }
                let unknown = context.schedule("nobody", input);
                let Err(StepScheduleError::UnknownWorkflow(name)) = unknown else {
                    panic!("there is no such workflow: {unknown:?}");
                };
                assert_eq!(name, "nobody");
                match how.as_str() {
                    "bad" => Err(StepError::failed("bad")),
                    "twice" if context.attempt() == 1 => Err(StepError::failed("again")),
                    _ => Ok(()),
                }
            })
            .retry(2, Duration::from_secs(1))
        })
        .unwrap();
        let admission = windlass::Admission::Shed {
            max_pending: 1,
            policy: windlass::ShedPolicy::RejectNew,
        };
        let builder = place.builder().clock(clock.clone()).admission(admission);
        let mut engine = Stepped::open(builder.workflow(&child).workflow(&parent));
        for (how, children) in [("good", 5), ("twice", 10), ("bad", 10)] {
            let run = engine.begin(&parent, &how.to_owned());
            settle_for(&mut engine, &clock, 3);
            assert_eq!(calls.get(), children, "{how}");
            let failed = matches!(engine.outcome(run), Some(RunOutcome::Failed(_)));
            assert_eq!(failed, how == "bad");
        }
        engine.assert_no_leftovers();
    });
}
