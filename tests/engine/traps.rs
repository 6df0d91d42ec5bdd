//! The known traps of this design, each a test named after it.

use std::time::Duration;

use windlass::{
    Admission, AdmitError, Durability, Flow, Need, Rest, RunFilter, RunOutcome, ScheduleError,
    ShedPolicy, StepError, StepStatus, Workflow,
};
use windlass_store::{Change, Options, StorageError, Store};

use crate::harness::*;

#[test]
fn one_runner_and_a_channel_of_one_finish_a_split_of_10_000() {
    // With room for one each job is a commit of its own; what a sync costs is not the question here.
    on_each(|place| {
        let flow = Workflow::<Vec<u64>>::build("wide", "1", |flow| {
            flow.split_each(
                "each",
                None,
                |_| (0..10_000).map(|n| (n.to_string(), vec![n])).collect(),
                |flow| {
                    flow.step("double", |_, n| {
                        n[0] *= 2;
                        Ok(())
                    })
                },
                |sum, branches| {
                    *sum = vec![branches.iter().map(|branch| branch.data[0]).sum()];
                    Ok(())
                },
            )
        })
        .unwrap();
        let builder = place.builder().capacity(1).durability(Durability::Normal);
        let engine = builder.workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Vec::new());
        let ended = run.wait_blocking(Some(3 * PATIENCE)).unwrap();
        assert_eq!(data::<Vec<u64>>(ended), [9_999 * 10_000]);
        assert_no_leftovers(&engine);
    });
}

fn bang() -> bool {
    panic!("bang")
}

/// A workflow in which one function panics, and the node whose function it is.
type Throwing = (&'static str, &'static str, fn(Flow<Trail>) -> Flow<Trail>);

const THROWING: [Throwing; 7] = [
    ("predicate", "node", |flow| {
        flow.choice("node", |arms| {
            arms.when("bang", |_| bang(), |flow| flow.step("arm", mark("arm")))
        })
    }),
    ("branch function", "node", |flow| {
        flow.split_each(
            "node",
            None,
            |_| vec![(bang().to_string(), Trail::new())],
            |flow| flow.step("branch", mark("branch")),
            gather,
        )
    }),
    ("merge", "node", |flow| {
        flow.split("node", |split| {
            split
                .branch("only", |flow| flow.step("branch", mark("branch")))
                .join(|_, _| {
                    bang();
                    Ok(())
                })
        })
    }),
    ("merge of nothing", "node", |flow| {
        flow.split_each(
            "node",
            None,
            |_| Vec::new(),
            |flow| flow.step("branch", mark("branch")),
            |_, _| {
                bang();
                Ok(())
            },
        )
    }),
    ("delay", "node", |flow| {
        flow.sleep_for("node", |_| Duration::from_secs(u64::from(bang())))
    }),
    ("reply", "node", |flow| {
        flow.wait_event("node", "reply", |_: &mut Trail, _: String| {
            bang();
        })
    }),
    ("change", "node", |flow| {
        flow.change("node", |_| {
            bang();
            Ok(())
        })
    }),
];

#[test]
fn a_throwing_predicate_or_branch_function_is_a_fault_of_its_node_and_hurts_nobody_else() {
    // Each kind of function, first and after a step, without a fault path and with one.
    on_each(|place| {
        let quick = Workflow::<Trail>::build("quick", "1", |flow| flow.step("a", mark("a")));
        let quick = quick.unwrap();
        let mut builder = place.builder().workflow(&quick);
        let mut flows = Vec::new();
        for (function, node, throwing) in THROWING {
            for (after, handled) in [(false, false), (true, false), (false, true), (true, true)] {
                let name = format!("{function}, after a step: {after}, handled: {handled}");
                let flow = Workflow::<Trail>::build(name, "1", |mut flow| {
                    if after {
                        flow = flow.step("before", mark("before"));
                    }
                    flow = throwing(flow);
                    if handled {
                        let code = |trail: &mut Trail, fault: &windlass::Fault| {
                            trail.push(fault.errors[0].code.clone());
                        };
                        flow = flow.on_fault(code, |flow| flow.step("path", mark("path")));
                    }
                    flow.step("never", mark("never"))
                });
                let flow = flow.unwrap();
                builder = builder.workflow(&flow);
                flows.push((flow, node, after, handled));
            }
        }
        let mut engine = Stepped::open(builder);
        for (flow, node, after, handled) in flows {
            let name = flow.definition().name();
            let run = engine.begin(&flow, &Trail::new());
            engine.signal(event(run, "reply", "1", "yes"));
            engine.settle();
            if handled {
                let mut expected = if after { vec!["before"] } else { vec![] };
                expected.extend(["panicked", "path"]);
                assert_eq!(engine.data::<Trail>(run), expected, "{name}");
            } else {
                let fault = engine.fault(run);
                assert_eq!(codes(&fault), ["panicked"], "{name}");
                assert_eq!(fault.errors[0].step, node, "{name}");
                assert!(fault.errors[0].message.contains("bang"), "{name}");
            }
            let next = engine.begin(&quick, &Trail::new());
            engine.settle();
            assert_eq!(engine.data::<Trail>(next), ["a"], "after {name}");
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_throwing_fault_path_function_keeps_both_errors() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("fold", "1", |flow| {
            flow.step("bad", fail("first")).on_fault(
                |_, _| {
                    bang();
                },
                |flow| flow.step("path", mark("path")),
            )
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        let fault = engine.fault(run);
        assert_eq!(codes(&fault), ["step-failed", "panicked"]);
        assert_eq!(messages(&fault)[0], "first");
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_fault_is_not_overwritten_by_done() {
    // What failed and what was done beside it, in both orders: the good part waits before a gate
    // until the bad one has failed, or the other way round. The run has failed, and stays so.
    fn held(
        name: &'static str,
        ok: bool,
        gate: Option<&Gate>,
    ) -> impl Fn(Flow<Trail>) -> Flow<Trail> {
        let gate = gate.cloned();
        move |flow| {
            let gate = gate.clone();
            flow.step_async(name, move |_, trail: Trail| {
                let gate = gate.clone();
                async move {
                    if let Some(gate) = gate {
                        gate.pass().await;
                    }
                    if ok {
                        Ok(trail)
                    } else {
                        Err(StepError::failed(name))
                    }
                }
            })
        }
    }
    on_each(|place| {
        for bad_first in [true, false] {
            let gate = Gate::closed();
            let (bad_gate, good_gate) = if bad_first {
                (None, Some(&gate))
            } else {
                (Some(&gate), None)
            };
            let (bad, good) = (held("bad", false, bad_gate), held("good", true, good_gate));
            let split = Workflow::<Trail>::build("split", "1", |flow| {
                let flow = flow.split("split", |split| {
                    split.branch("bad", &bad).branch("good", &good)
                });
                flow.step("after", mark("after"))
            });
            let detach =
                Workflow::<Trail>::build("detach", "1", |flow| good(flow.detach("aside", &bad)));
            let (split, detach) = (split.unwrap(), detach.unwrap());
            let place = if place.is_file() {
                Place::file()
            } else {
                Place::memory()
            };
            let builder = place
                .builder()
                .in_flight(4)
                .workflow(&split)
                .workflow(&detach);
            let mut engine = Stepped::open(builder.clone());
            let runs = [&split, &detach].map(|flow| engine.begin(flow, &Trail::new()));
            engine.settle();
            assert_eq!(gate.waiting(), 2);
            assert_eq!(engine.outcome(runs[0]), None, "it ends when all has ended");
            gate.let_pass(2);
            engine.settle();
            for run in runs {
                assert_eq!(
                    messages(&engine.fault(run)),
                    ["bad"],
                    "bad first: {bad_first}"
                );
                assert_eq!(
                    messages(&engine.fault(run)).len(),
                    engine.show(run).errors.len()
                );
                engine.signal(event(run, "reply", "1", "done"));
                assert!(!engine.cancel(run, "done"));
                engine.settle();
                assert_eq!(messages(&engine.fault(run)), ["bad"], "it stays");
            }
            engine.assert_no_leftovers();
            if place.is_file() {
                drop(engine);
                let mut engine = Stepped::open(builder);
                engine.settle();
                assert_eq!(messages(&engine.fault(runs[0])), ["bad"], "also on disk");
            }
        }
    });
}

#[test]
fn a_cancellation_is_not_a_fault() {
    // The step that is told gives up with an error; neither that nor the cancellation takes the
    // fault path, is tried again, or is listed as an error.
    on_each(|place| {
        let (path, calls) = (Counter::default(), Counter::default());
        let (count_path, count) = (path.clone(), calls.clone());
        let flow = Workflow::<Trail>::build("cancel", "1", |flow| {
            flow.step_async("told", move |context: windlass::Context, _| {
                count.up();
                async move {
                    context.cancelled().await;
                    Err(StepError::failed("I was told to stop"))
                }
            })
            .retry(5, Duration::ZERO)
            .recover(
                |_, _| {},
                move |flow| {
                    flow.step("path", move |_, _| {
                        count_path.up();
                        Ok(())
                    })
                },
            )
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert!(engine.cancel(run, "enough"));
        engine.settle();
        let cancelled = Some(RunOutcome::Cancelled("enough".to_owned()));
        assert_eq!(engine.outcome(run), cancelled);
        assert_eq!(engine.show(run).errors, []);
        assert_eq!((path.get(), calls.get()), (0, 1));
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_failing_child_fails_its_split_when_the_others_have_settled() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("children", "1", |flow| {
            flow.split("split", |split| {
                split
                    .branch("a", |flow| flow.step("a", fail("a")))
                    .branch("b", |flow| {
                        flow.step("b1", mark("b1"))
                            .sleep("wait", Duration::from_secs(1))
                            .step("b2", mark("b2"))
                    })
                    .branch("c", |flow| {
                        flow.split("inner", |split| {
                            split
                                .branch("c1", |flow| flow.step("c1", fail("c1")))
                                .branch("c2", |flow| flow.step("c2", fail("c2")))
                        })
                        .step("c3", mark("c3"))
                    })
                    .join(gather)
            })
            .step("after", mark("after"))
        })
        .unwrap();
        let clock = standing_clock();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(engine.outcome(run), None, "the others settle first");
        clock.advance(Duration::from_secs(1));
        engine.settle();
        let fault = engine.fault(run);
        assert_eq!(messages(&fault), ["a", "c1", "c2"], "all, in branch order");
        let branches: Vec<_> = fault.errors.iter().map(|e| e.branch.as_deref()).collect();
        assert_eq!(branches, [Some("a"), Some("c1"), Some("c2")]);
        let steps = engine.show(run).steps;
        let status = |name: &str| steps.iter().find(|s| s.step == name).map(|s| s.status);
        let expected = [
            ("b2", StepStatus::Succeeded),
            ("c3", StepStatus::Skipped),
            ("after", StepStatus::Skipped),
        ];
        for (step, expected) in expected {
            assert_eq!(status(step), Some(expected), "{step}");
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_full_channel_leaves_jobs_in_the_outbox() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("full", "1", |flow| flow.step("a", mark("a"))).unwrap();
        let mut engine = Stepped::open(place.builder().capacity(1).workflow(&flow));
        let runs: Vec<_> = (0..5).map(|_| engine.begin(&flow, &Trail::new())).collect();
        let waits: Vec<_> = runs.iter().flat_map(|run| engine.waits(*run)).collect();
        assert_eq!(waits, ["channel", "outbox", "outbox", "outbox", "outbox"]);
        engine.settle();
        for run in runs {
            assert_eq!(engine.data::<Trail>(run), ["a"]);
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn jobs_that_nobody_takes_off_the_channel_go_back_to_the_outbox() {
    // The Runner was quick, so the channel is filled for it; then it takes nothing for 500 ms. What
    // lies there goes back, where another process could take it, and is not locked again for nothing.
    on_each(|place| {
        let clock = standing_clock();
        let flow = Workflow::<Trail>::build("back", "1", |flow| flow.step("a", mark("a"))).unwrap();
        let builder = place
            .builder()
            .clock(clock.clone())
            .capacity(8)
            .workflow(&flow);
        let mut engine = Stepped::open(builder);
        engine.begin(&flow, &Trail::new());
        engine.settle();
        let runs: Vec<_> = (0..3).map(|_| engine.begin(&flow, &Trail::new())).collect();
        let waits = |engine: &Stepped| -> Vec<_> {
            runs.iter().flat_map(|run| engine.waits(*run)).collect()
        };
        assert_eq!(waits(&engine), ["channel"; 3]);
        clock.advance(Duration::from_millis(499));
        engine.engine.step_dispatcher();
        engine.engine.step_writer();
        assert_eq!(waits(&engine), ["channel"; 3], "not before its time");
        clock.advance(Duration::from_millis(1));
        engine.engine.step_dispatcher();
        engine.engine.step_writer();
        assert_eq!(waits(&engine), ["outbox"; 3]);
        engine.settle();
        for run in &runs {
            assert_eq!(engine.data::<Trail>(*run), ["a"]);
        }
        engine.assert_no_leftovers();
    });
}

const PRODUCERS: usize = 16;
const RUNS_EACH: u64 = 25;
const BOUND: u64 = 40;

/// Runs that have not started.
fn pending(engine: &windlass::Engine) -> u64 {
    let mut inspector = engine.inspector().expect("the store can be read");
    inspector.admission().expect("the store can be read").0
}

/// Sixteen threads schedule at once while no Runner takes anything; gives every verdict.
fn race(
    engine: &windlass::Engine,
    flow: &Workflow<u64>,
) -> Vec<Result<windlass::RunHandle, ScheduleError>> {
    let start = Meeting::new();
    std::thread::scope(|scope| {
        let racers: Vec<_> = (0..PRODUCERS)
            .map(|_| {
                scope.spawn(|| {
                    start.arrive();
                    assert!(start.wait_for(PRODUCERS));
                    (0..RUNS_EACH)
                        .map(|n| {
                            let request = flow.request(&n).expect("a number is JSON");
                            let verdict = engine.scheduler().schedule_blocking(request);
                            let depth = pending(engine);
                            assert!(depth <= BOUND, "{depth} are more than {BOUND}");
                            verdict
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let verdicts = racers
            .into_iter()
            .flat_map(|racer| racer.join().expect("it does not panic"));
        verdicts.collect()
    })
}

#[test]
fn shedding_under_16_racing_producers_never_exceeds_the_bound_and_each_knows_its_verdict() {
    // New ones are rejected, or the oldest ones dropped; then a Runner does what was kept.
    let flow = Workflow::<u64>::build("shed", "1", |flow| flow.step("a", |_, _| Ok(()))).unwrap();
    for policy in [ShedPolicy::RejectNew, ShedPolicy::DropOldest] {
        on_each(|place| {
            let admission = Admission::Shed {
                max_pending: BOUND,
                policy,
            };
            let builder = place.builder().runners(0).admission(admission);
            let engine = builder.workflow(&flow).open().unwrap();
            let verdicts = race(&engine, &flow);
            let all = PRODUCERS as u64 * RUNS_EACH;
            assert_eq!(verdicts.len() as u64, all);
            let mut kept = Vec::new();
            for verdict in verdicts {
                match verdict {
                    Ok(run) => kept.push(run),
                    Err(ScheduleError::Refused(AdmitError::Shed {
                        value,
                        depth,
                        max_pending,
                        retry_after,
                    })) => {
                        assert_eq!((value.len(), depth, max_pending), (1, BOUND, BOUND));
                        assert!(retry_after > Duration::ZERO);
                    }
                    Err(other) => panic!("no verdict of the door: {other}"),
                }
            }
            let (admitted, dropped) = match policy {
                ShedPolicy::RejectNew => (BOUND, 0),
                ShedPolicy::DropOldest => (all, all - BOUND),
            };
            assert_eq!(kept.len() as u64, admitted, "{policy:?}");
            let mut inspector = engine.inspector().unwrap();
            assert_eq!(inspector.admission().unwrap(), (BOUND, dropped));
            let stored = inspector.runs(RunFilter::All, 10_000).unwrap().len() as u64;
            assert_eq!(
                stored, admitted,
                "a dropped run is stored, a rejected one not"
            );
            engine.set_runners(1);
            let ends: Vec<_> = kept.iter().map(end_of).collect();
            let shed = |end: &&RunOutcome| **end == RunOutcome::Cancelled("shed".to_owned());
            assert_eq!(ends.iter().filter(shed).count() as u64, dropped);
            let done = |end: &&RunOutcome| matches!(end, RunOutcome::Succeeded(_));
            assert_eq!(ends.iter().filter(done).count() as u64, BOUND);
            assert_no_leftovers(&engine);
        });
    }
}

#[test]
fn shedding_drops_the_oldest_that_has_not_started_and_nothing_that_runs() {
    // One run is in its step and one lies on the channel when the bound of two is met: the running
    // one is not counted, the others go, oldest first.
    on_each(|place| {
        let gate = Gate::closed();
        let wait = gate.clone();
        let flow = Workflow::<Trail>::build("drop", "1", |flow| {
            flow.step_async("wait", move |_, trail| {
                let gate = wait.clone();
                async move {
                    gate.pass().await;
                    Ok(trail)
                }
            })
        })
        .unwrap();
        let admission = Admission::Shed {
            max_pending: 2,
            policy: ShedPolicy::DropOldest,
        };
        let builder = place.builder().capacity(1).admission(admission);
        let mut engine = Stepped::open(builder.workflow(&flow));
        let running = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(gate.waiting(), 1);
        let runs: Vec<_> = (0..5).map(|_| engine.begin(&flow, &Trail::new())).collect();
        gate.let_pass(3);
        engine.settle();
        let shed = Some(RunOutcome::Cancelled("shed".to_owned()));
        for run in &runs[..3] {
            assert_eq!(engine.outcome(*run), shed);
        }
        for run in [running, runs[3], runs[4]] {
            assert_eq!(engine.data::<Trail>(run), Trail::new());
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_late_checkpoint_of_a_fenced_runner_is_refused() {
    // While a step of the first engine hangs its jobs are freed, as an operator would, and a second
    // engine does the step. What the first one brings after that changes nothing. Under a limit too,
    // where the writer looks before it writes instead of guarding the write.
    for limit in [None, Some(1)] {
        let place = Place::file();
        let clock = standing_clock();
        let (gate, calls) = (Gate::closed(), Counter::default());
        let (wait, count) = (gate.clone(), calls.clone());
        let flow = Workflow::<Trail>::build("fenced", "1", |flow| {
            let flow = flow
                .step_async("step", move |_, mut trail: Trail| {
                    let (gate, call) = (wait.clone(), count.up());
                    async move {
                        if call == 1 {
                            gate.pass().await;
                        }
                        trail.push(format!("call {call}"));
                        Ok(trail)
                    }
                })
                .sleep("hold", Duration::from_mins(1))
                .step("after", mark("after"));
            match limit {
                Some(limit) => flow.max_parallelism(limit),
                None => flow,
            }
        })
        .unwrap();
        let builder = place.builder().clock(clock.clone()).workflow(&flow);
        let mut first = Stepped::open(builder.clone());
        let run = first.begin(&flow, &Trail::new());
        first.settle();
        assert_eq!(gate.waiting(), 1);
        free_all_jobs(&place);
        let mut second = Stepped::open(builder);
        second.settle();
        assert_eq!(second.waits(run), ["timer"], "it has gone on");
        gate.let_pass(1);
        first.settle();
        assert_eq!(
            (gate.waiting(), calls.get()),
            (0, 2),
            "the late one has ended"
        );
        assert_eq!(second.waits(run), ["timer"], "and nothing has changed");
        let data = second.show(run).data.unwrap();
        assert_eq!(data.decode::<Trail>().unwrap(), ["call 2"]);
        clock.advance(Duration::from_mins(1));
        second.settle();
        first.settle();
        assert_eq!(first.data::<Trail>(run), ["call 2", "after"]);
        first.assert_no_leftovers();
    }
}

#[test]
fn an_engine_that_was_taken_for_dead_locks_nothing_more() {
    // Its jobs are freed while it lives, then a timer is due, and its writer is the first to see it. The
    // job is for the other engine: a lock of an owner that is not known any more would be found by
    // nobody. What the first one was asked for in between is kept, and it says why it does no more.
    let place = Place::file();
    let clock = standing_clock();
    let flow = Workflow::<Trail>::build("later", "1", |flow| {
        flow.sleep("pause", Duration::from_mins(1))
            .step("later", mark("later"))
    })
    .unwrap();
    let builder = place.builder().clock(clock.clone()).workflow(&flow);
    let mut first = Stepped::open(builder.clone());
    let waiting = first.begin(&flow, &Trail::new());
    first.settle();
    assert_eq!(first.waits(waiting), ["timer"]);
    free_all_jobs(&place);
    let mut second = Stepped::open(builder);
    clock.advance(Duration::from_mins(1));
    let asked = first.begin(&flow, &Trail::new());
    second.settle();
    assert_eq!(second.data::<Trail>(waiting), ["later"]);
    assert_eq!(second.waits(asked), ["timer"]);
    let scheduler = first.scheduler.clone();
    let refused = first.ask(scheduler.schedule(flow.request(&Trail::new()).unwrap()));
    let Err(ScheduleError::Refused(AdmitError::Storage { source, .. })) = refused else {
        panic!("it is closed: {refused:?}")
    };
    assert!(matches!(source, StorageError::TakenForDead), "{source}");
    clock.advance(Duration::from_mins(1));
    first.settle();
    second.settle();
    assert_eq!(second.data::<Trail>(asked), ["later"]);
    second.assert_no_leftovers();
}

/// Frees what any owner has locked, each job with a higher token, though its owner lives.
fn free_all_jobs(place: &Place) {
    let clock = standing_clock();
    let (store, mut writer, _committed) =
        Store::open(&place.path(), Options::default(), clock, None).expect("it opens");
    for owner in store
        .reader()
        .expect("the store can be read")
        .owners()
        .expect("the store can be read")
    {
        let (reply, _) = windlass_store::sync::oneshot::channel();
        let recover = Change::Recover {
            owner: owner.id,
            running: Vec::new(),
            crashed: false,
            max_crashes: 3,
            reply,
        };
        assert!(store.submit(recover).is_ok());
        writer.turn(Duration::ZERO);
    }
}

#[test]
fn due_timers_are_found_after_downtime() {
    // A wait, a retry and a later start, all due while no engine was there; the process died.
    let place = Place::file();
    let clock = standing_clock();
    let wait = Workflow::<Trail>::build("wait", "1", |flow| {
        flow.sleep("sleep", Duration::from_mins(1))
            .step("a", mark("a"))
    });
    let retry = Workflow::<Trail>::build("retry", "1", |flow| {
        flow.step("a", |context, trail| {
            if context.attempt() == 1 {
                return Err(StepError::failed("at first"));
            }
            trail.push("a".to_owned());
            Ok(())
        })
        .retry(2, Duration::from_mins(2))
    });
    let later = Workflow::<Trail>::build("later", "1", |flow| flow.step("a", mark("a")));
    let (wait, retry, later) = (wait.unwrap(), retry.unwrap(), later.unwrap());
    let builder = place.builder().clock(clock.clone());
    let builder = builder.workflow(&wait).workflow(&retry).workflow(&later);
    let mut engine = Stepped::open(builder.clone());
    let mut runs = Vec::new();
    for _ in 0..200 {
        runs.push(engine.begin(&wait, &Trail::new()));
        runs.push(engine.begin(&retry, &Trail::new()));
        let request = later.request(&Trail::new()).unwrap();
        runs.push(engine.schedule(request.after(Duration::from_mins(3))));
    }
    engine.settle();
    assert!(runs.iter().all(|run| engine.outcome(*run).is_none()));
    drop(engine);
    clock.advance(Duration::from_hours(24));
    let mut engine = Stepped::open(builder);
    engine.settle();
    for run in runs {
        assert_eq!(engine.data::<Trail>(run), ["a"]);
    }
    engine.assert_no_leftovers();
}

#[test]
fn shared_data_of_branches_is_impossible() {
    // Each branch begins with the data of before the split, whatever the others did meanwhile; what
    // they change reaches only the join, and without one nobody.
    on_each(|place| {
        let grow = |name: &'static str| {
            move |flow: Flow<Trail>| {
                let seen = move |_: &windlass::Context, trail: &mut Trail| {
                    let own = |entry: &String| entry == "before" || entry.starts_with(name);
                    assert!(trail.iter().all(own), "{name} sees {trail:?}");
                    trail.push(format!("{name}{}", trail.len()));
                    Ok(())
                };
                flow.step(&format!("{name}-1"), seen)
                    .step(&format!("{name}-2"), seen)
            }
        };
        let build = |name: &str, merges: bool| {
            Workflow::<Trail>::build(name, "1", |flow| {
                flow.step("before", mark("before"))
                    .detach("aside", grow("c"))
                    .split("split", |split| {
                        let split = split.branch("a", grow("a")).branch("b", grow("b"));
                        if merges { split.join(gather) } else { split }
                    })
                    .step("after", mark("after"))
            })
            .unwrap()
        };
        let cases = [
            (
                build("merged", true),
                vec!["before", "a1", "a2", "b1", "b2", "after"],
            ),
            (build("kept", false), vec!["before", "after"]),
        ];
        for (flow, expected) in cases {
            let flow = &flow;
            let place = if place.is_file() {
                Place::file()
            } else {
                Place::memory()
            };
            let engine = place.builder().runners(2).workflow(flow).open().unwrap();
            let run = begin(&engine, flow, &Trail::new());
            assert_eq!(data::<Trail>(end_of(&run)), expected);
            assert_no_leftovers(&engine);
        }
    });
}

#[test]
fn a_node_may_have_the_name_that_stands_for_the_number_of_another_one() {
    // The functions of a meet are named after its number; here each number is once the name of a split.
    for number in 0..8 {
        let name = format!("n{number}");
        let flow = Workflow::<Trail>::build("names", "1", |flow| {
            flow.net("net", |net| {
                let (inputs, meet) = net.meet("meet", &["in"], Need::All, Rest::Queue);
                let part = net.part(|flow| {
                    flow.split(&name, |split| {
                        let split = split.branch("only", |flow| flow.step("step", mark("step")));
                        split.join(|trail, _| {
                            trail.push("joined".to_owned());
                            Ok(())
                        })
                    })
                });
                net.start(&part);
                net.connect(&part, &inputs[0]);
                net.meet_join(&meet, |trail, _| {
                    trail.push("met".to_owned());
                    Ok(())
                });
            })
        })
        .unwrap();
        let mut engine = Stepped::open(Place::memory().builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        assert_eq!(engine.data::<Trail>(run), ["joined", "met"], "{number}");
    }
}
