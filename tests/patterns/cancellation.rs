//! Cancellation and forced completion: WCP-19, WCP-20, WCP-25, WCP-26 and WCP-27.

use serde_json::json;
use windlass::{Event, MapChange, MapOutcome, Need, Payload, Rest, RunFilter, RunStatus, Workflow};

use crate::harness::{
    Act, Built, End, Live, Look, PATIENCE, Pattern, Setting, Stage, Stepped, Trail, gather,
    gather_ends,
};

fn cancel_task(stage: &Stage) -> Built<Trail> {
    Workflow::build("cancel-task", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("one", |flow| {
                    flow.step_async("task", stage.deaf("task"))
                        .step_async("after-task", stage.mark())
                })
                .branch("other", |flow| {
                    flow.step_async("other", stage.held("other"))
                })
                .join(gather)
        })
        .step_async("next", stage.mark())
    })
}

/// A step that is waiting or running is withdrawn.
pub(crate) fn wcp_19_cancel_task() -> Pattern {
    Pattern::new(19, cancel_task, &Trail::new())
        .ends_with(["other", "next"])
        .driven_by(|look| {
            if look.cancelled("task") == 1 {
                // It need not hear that it is withdrawn.
                return vec![Act::Open("other"), Act::Open("task")];
            }
            // After a kill one of them may have to run alone.
            let one_runs = look.running("task") + look.running("other") > 0;
            let withdraw = one_runs && look.in_hand("task") == 1;
            let withdraw = withdraw.then_some(Act::CancelNode("task"));
            withdraw.into_iter().collect()
        })
        .asserts("a_queued_step_never_starts", |pattern, setting| {
            // One step at a time: the second branch waits for the first one.
            let (builder, _folder) = setting.builder();
            let builder = builder.runners(1).in_flight(1);
            let live = Live::over(pattern, builder, Stage::new());
            let run = live.begin();
            live.until(&run, "a queue", |look| {
                look.running("task") == 1 && look.wait_for("channel") == 1
            });
            assert_eq!(withdraw(&live, &run, "other"), 1);
            live.stage.open("task");
            let end = End::from(run.wait_blocking(Some(PATIENCE)).unwrap());
            assert_eq!(end, End::Succeeded(json!(["task", "after-task", "next"])));
            assert!(live.stage.spans("other").is_empty());
            live.close();
        })
        .asserts("a_running_step_is_told_to_stop", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            live.until(&run, "both at work", |look| {
                look.running("task") == 1 && look.running("other") == 1
            });
            assert_eq!(withdraw(&live, &run, "other"), 1);
            // Its latch stays shut: it ends because it was told to.
            live.until(&run, "its end", |_| {
                live.stage.span("other").finish.is_some()
            });
            live.stage.open("task");
            let end = End::from(run.wait_blocking(Some(PATIENCE)).unwrap());
            assert_eq!(end, End::Succeeded(json!(["task", "after-task", "next"])));
            live.close();
        })
        .asserts(
            "what_it_brings_all_the_same_is_refused",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "both at work", |look| {
                    look.running("task") == 1 && look.running("other") == 1
                });
                assert_eq!(withdraw(&live, &run, "task"), 1);
                live.stage.open("task");
                live.until(&run, "its end", |_| {
                    live.stage.span("task").finish.is_some()
                });
                let played = live.drive(&run);
                assert_eq!(played.committed.steps(), ["next", "other"]);
                assert_eq!(live.look(&run).cancelled("task"), 1);
                assert_eq!(live.stage.spans("task").len(), 1);
                live.close();
            },
        )
        .asserts(
            "a_step_that_its_branch_came_to_from_a_wait_is_withdrawn",
            after_wait,
        )
        .asserts(
            "to_withdraw_a_finished_step_does_nothing",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.stage.open("task");
                live.until(&run, "one done, one at work", |look| {
                    look.done("after-task") == 1 && look.running("other") == 1
                });
                assert_eq!(withdraw(&live, &run, "task"), 0);
                assert_eq!(
                    withdraw(&live, &run, "next"),
                    0,
                    "nor one that is not reached"
                );
                live.stage.open("other");
                let end = End::from(run.wait_blocking(Some(PATIENCE)).unwrap());
                let all = json!(["task", "after-task", "other", "next"]);
                assert_eq!(end, End::Succeeded(all));
                assert_eq!(
                    withdraw(&live, &run, "next"),
                    0,
                    "nor in a run that has ended"
                );
                live.close();
            },
        )
}

/// Withdraws what goes on in a node; says how much that was.
fn withdraw(live: &Live, run: &windlass::RunHandle, node: &str) -> u32 {
    let scheduler = live.engine.scheduler();
    scheduler
        .cancel_node_blocking(run.id(), node, "test")
        .unwrap()
}

fn task_after_wait(stage: &Stage) -> Built<Trail> {
    Workflow::build("task-after-wait", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("one", |flow| {
                    flow.wait_event("wait", "go", Trail::push)
                        .step_async("task", stage.held("task"))
                })
                .branch("other", |flow| flow.step_async("other", stage.mark()))
                .join(gather)
        })
    })
}

/// The Runner goes on to the step from the wait by itself; the wait is over by then.
fn after_wait(_: &Pattern, setting: Setting) {
    let pattern = Pattern::new(19, task_after_wait, &Trail::new()).ends_with(["other"]);
    let live = Live::open(&pattern, setting);
    let run = live.begin();
    let event = Event::new(run.id(), "go", "1", Payload::encode("go").unwrap());
    live.engine.scheduler().signal_blocking(event).unwrap();
    live.until(&run, "the step", |look| look.running("task") == 1);
    assert_eq!(withdraw(&live, &run, "wait"), 0);
    assert_eq!(withdraw(&live, &run, "task"), 1);
    live.drive(&run);
    live.close();
}

fn cancel_case(stage: &Stage) -> Built<Trail> {
    Workflow::build("cancel-case", "1", |flow| {
        flow.step_async("begin", stage.mark())
            .split("both", |split| {
                split
                    .branch("called", |flow| {
                        flow.run("call", "middle", Trail::clone, |trail, below| {
                            *trail = below
                        })
                    })
                    .branch("own", |flow| flow.wait_event("own", "never", Trail::push))
                    .join(gather)
            })
            .step_async("next", stage.mark())
    })
}

fn middle(stage: &Stage) -> Built<Trail> {
    Workflow::build("middle", "1", |flow| {
        flow.run("call", "below", Trail::clone, |trail, below| *trail = below)
            .step_async("back", stage.mark())
    })
}

fn below(stage: &Stage) -> Built<Trail> {
    Workflow::build("below", "1", |flow| {
        flow.step_async("work", stage.held("work"))
    })
}

/// The whole run is withdrawn, children included, and ends unsuccessfully.
pub(crate) fn wcp_20_cancel_case() -> Pattern {
    Pattern::new(20, cancel_case, &Trail::new())
        .calls(middle)
        .calls(below)
        .ends_as(End::Cancelled)
        .driven_by(|look| {
            let deepest = look.running("work") == 1 && look.awaits("never");
            let cancel = deepest.then_some(Act::Cancel("by the driver"));
            cancel.into_iter().collect()
        })
        .asserts("the_whole_tree_is_withdrawn", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            let played = live.drive(&run);
            assert_eq!(played.committed.steps(), ["begin"]);
            for workflow in ["cancel-case", "middle", "below"] {
                assert_eq!(played.committed.runs(workflow), 1);
            }
            assert_eq!(ends(&live), [RunStatus::Cancelled; 3]);
            // It was told to stop, and nothing else lets it.
            live.until(&run, "its end", |_| {
                live.stage.span("work").finish.is_some()
            });
            live.close();
        })
        .asserts("a_second_time_does_nothing", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            live.until(&run, "all at work", |look| {
                look.awaits("never") && look.running("work") == 1
            });
            let scheduler = live.engine.scheduler();
            let cancel = |reason| scheduler.cancel_blocking(run.id(), reason).unwrap();
            assert!(cancel("first"));
            assert!(!cancel("second"));
            live.drive(&run);
            assert!(!cancel("third"));
            let reason = live.look(&run).detail.summary.reason;
            assert_eq!(reason.as_deref(), Some("first"));
            live.close();
        })
        .asserts(
            "what_a_kill_left_half_withdrawn_is_withdrawn_to_the_end",
            half_way,
        )
        .after_kills("a_kill_leaves_none_withdrawn_or_all", |wrecks| {
            for wreck in wrecks {
                let Some(look) = &wreck.look else { continue };
                let own = look.detail.summary.status;
                for (called, _) in &look.called {
                    let cancelled = called.summary.status == RunStatus::Cancelled;
                    assert_eq!(cancelled, own == RunStatus::Cancelled, "{}", wreck.when);
                }
            }
        })
}

/// How all runs have ended.
fn ends(live: &Live) -> Vec<RunStatus> {
    let mut inspector = live.engine.inspector().unwrap();
    let runs = inspector.runs(RunFilter::All, 10).unwrap();
    runs.into_iter().map(|run| run.status).collect()
}

/// More branches than are withdrawn at once.
const MANY: usize = 4_100;

fn many_and_a_call(_: &Stage) -> Built<Trail> {
    let named = |index: usize| (index.to_string(), vec![index.to_string()]);
    Workflow::build("many-and-a-call", "1", |flow| {
        flow.split_each(
            "many",
            None,
            move |_| (0..MANY).map(named).collect(),
            |flow: windlass::Flow<Trail>| {
                flow.choice("which", |arms| {
                    arms.when(
                        "last",
                        |trail| trail[0] == (MANY - 1).to_string(),
                        |flow| flow.run("call", "below", Trail::clone, |_, _: Trail| {}),
                    )
                    .otherwise(|flow| flow.wait_event("wait", "never", Trail::push))
                })
            },
            gather,
        )
    })
}

/// The last of many branches calls; the engine is lost when only the first ones are withdrawn.
fn half_way(_: &Pattern, setting: Setting) {
    if setting != Setting::ON_DISK {
        return; // Only a file outlives its engine, and there is one Runner here anyway.
    }
    let pattern = Pattern::new(20, many_and_a_call, &Trail::new())
        .calls(below)
        .ends_as(End::Cancelled);
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut lost = Stepped::open(&pattern, &database);
    let run = lost.begin();
    lost.engine.settle();
    assert_eq!(lost.look(run).running("work"), 1);
    let scheduler = lost.engine.scheduler();
    assert!(lost.ask(scheduler.cancel(run, "test")).unwrap());
    let called = |look: &Look| look.called[0].0.summary.status;
    assert!(
        lost.outcome(run).is_none(),
        "it ends after all its branches"
    );
    assert_eq!(called(&lost.look(run)), RunStatus::Running);
    // The way in holds the store as the engine does: both go.
    drop((scheduler, lost));
    let mut next = Stepped::open(&pattern, &database);
    assert_eq!(End::from(next.finish(run)), End::Cancelled);
    assert_eq!(called(&next.look(run)), RunStatus::Cancelled);
    assert!(
        next.stage.spans("work").is_empty(),
        "it does not begin again"
    );
}

fn cancel_region(stage: &Stage) -> Built<Trail> {
    Workflow::build("cancel-region", "1", |flow| {
        flow.split("order", |split| {
            split
                .branch("delivery", |flow| {
                    flow.scope("region", |flow| {
                        flow.step_async("pick", stage.mark())
                            .split("parcels", |split| {
                                split
                                    .branch("large", |flow| {
                                        flow.step_async("pack-large", stage.held("pack"))
                                    })
                                    .branch("small", |flow| {
                                        flow.step_async("pack-small", stage.held("pack"))
                                    })
                                    .join(gather)
                            })
                    })
                    .step_async("send", stage.mark())
                })
                .branch("customer", |flow| {
                    flow.wait_event("complaint", "complain", Trail::push)
                        .cancel("call-off", "region")
                        .step_async("refund", stage.mark())
                })
                .join(gather)
        })
        .step_async("close", stage.mark())
    })
}

/// A named set of steps is withdrawn; the rest continues.
pub(crate) fn wcp_25_cancel_region() -> Pattern {
    Pattern::new(25, cancel_region, &Trail::new())
        .ends_with(["late", "refund", "close"])
        .driven_by(|look| {
            // After a kill one of them may have to run alone.
            let packs = look.reached("pack-large") + look.reached("pack-small") == 2;
            let complain = Act::Signal {
                event: "complain",
                id: "1",
                text: "late",
            };
            packs.then_some(complain).into_iter().collect()
        })
        .asserts("the_outside_branch_is_not_affected", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let played = live.play();
            let outside = ["close", "pick", "refund"];
            assert_eq!(played.committed.steps(), outside);
            // Their latch stays shut: they end because they are told to.
            for step in ["pack-large", "pack-small"] {
                live.stage.span(step);
            }
            assert!(live.stage.spans("send").is_empty());
            live.close();
        })
        .asserts(
            "a_region_is_withdrawn_from_outside_too",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "the region", |look| {
                    packing(look) == 2 && look.awaits("complain")
                });
                assert_eq!(withdraw(&live, &run, "region"), 1);
                assert!(live.look(&run).awaits("complain"), "it goes on");
                assert_eq!(withdraw(&live, &run, "region"), 0);
                live.drive(&run);
                live.close();
            },
        )
        .asserts(
            "a_join_that_expected_it_follows_its_policy",
            |_, setting| {
                for (need, end) in [
                    (Need::All, End::Succeeded(json!(["outside", "next"]))),
                    (Need::AtLeast(1), End::Succeeded(json!(["outside", "next"]))),
                    (Need::AtLeast(2), End::Failed(vec!["join-unmet".to_owned()])),
                ] {
                    let build = move |stage: &Stage| expected(stage, need);
                    let pattern = Pattern::new(25, build, &Trail::new()).ends_as(end);
                    let live = Live::open(&pattern, setting);
                    let run = live.begin();
                    live.until(&run, "the region", |look| look.running("inside") == 1);
                    assert_eq!(withdraw(&live, &run, "region"), 1);
                    live.stage.open("outside");
                    live.drive(&run);
                    live.close();
                }
            },
        )
        .after_kills("no_kill_lets_a_withdrawn_region_go_on", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                assert_eq!(look.reached("send"), 0);
                assert!(look.reached("refund") == 0 || packing(look) == 0);
            }
        })
}

fn packing(look: &Look) -> usize {
    look.running("pack-large") + look.running("pack-small")
}

/// A region and a branch beside it, and a join that needs so many.
fn expected(stage: &Stage, need: Need) -> Built<Trail> {
    Workflow::build("expected", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("inside", |flow| {
                    flow.scope("region", |flow| {
                        flow.step_async("inside", stage.held("inside"))
                    })
                })
                .branch("outside", |flow| {
                    flow.step_async("outside", stage.held("outside"))
                })
                .need(need, Rest::Absorb)
                .join(gather)
        })
        .step_async("next", stage.mark())
    })
}

fn cancel_instances(stage: &Stage) -> Built<Trail> {
    Workflow::build("cancel-instances", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("many", |flow| {
                    flow.map("instances", |map| {
                        map.count(6).max_parallelism(3).each(|flow| {
                            let slow = stage.held_on_any(["2", "3", "4", "5"], "slow");
                            flow.step_async("instance", slow)
                        })
                    })
                    .step_async("after-map", stage.mark())
                })
                .branch("rest", |flow| {
                    flow.wait_event("withdrawn", "withdrawn", Trail::push)
                        .step_async("rest", stage.mark())
                })
                .join(gather)
        })
        .step_async("next", stage.mark())
    })
}

/// The unfinished instances of a multi-instance step are withdrawn; finished ones stay.
pub(crate) fn wcp_26_cancel_mi_activity() -> Pattern {
    Pattern::new(26, cancel_instances, &Trail::new())
        .ends_with(["three", "rest", "next"])
        .driven_by(|look| {
            // One that no Runner has begun is withdrawn from the map, where it stands.
            if look.cancelled("instance") + look.cancelled("instances") > 0 {
                return vec![Act::Signal {
                    event: "withdrawn",
                    id: "1",
                    text: "three",
                }];
            }
            let two_done = look.done("instance") == 2;
            let withdraw = two_done.then_some(Act::CancelNode("instances"));
            withdraw.into_iter().collect()
        })
        .asserts(
            "the_finished_ones_are_kept_and_nothing_comes_after_the_map",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "two done and three in hand", |look| {
                    look.done("instance") == 2 && look.reached("instance") == 5
                });
                assert_eq!(withdraw(&live, &run, "instances"), 1);
                let look = live.look(&run);
                assert_eq!((look.done("instance"), look.cancelled("instance")), (2, 3));
                live.stage.open("slow"); // What is withdrawn brings nothing any more.
                let played = live.drive(&run);
                assert_eq!(
                    played.committed.steps(),
                    ["instance", "instance", "next", "rest"]
                );
                assert!(live.stage.spans("after-map").is_empty());
                assert!(
                    live.stage.spans("instance").len() <= 5,
                    "the sixth never begins"
                );
                live.close();
            },
        )
        .after_kills("no_kill_lets_the_flow_go_on_past_the_map", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                assert_eq!(look.reached("after-map"), 0);
                assert!(look.done("instance") <= 2);
            }
        })
}

fn complete_instances(stage: &Stage) -> Built<Trail> {
    Workflow::build("complete-instances", "1", |flow| {
        flow.map("instances", |map| {
            map.count(6)
                .max_parallelism(3)
                .each(|flow| {
                    let slow = stage.held_on_any(["2", "3", "4", "5"], "slow");
                    flow.step_async("instance", slow)
                })
                .join(gather_ends)
        })
        .step_async("next", stage.mark())
    })
}

/// A multi-instance step is forced complete: unfinished instances are withdrawn, the flow continues.
pub(crate) fn wcp_27_complete_mi_activity() -> Pattern {
    Pattern::new(27, complete_instances, &Trail::new())
        .ends_with(["instance", "instance", "next"])
        .driven_by(|look| {
            let two_done = look.done("instance") == 2;
            let complete = two_done.then_some(Act::ChangeMap("instances", MapChange::Complete));
            complete.into_iter().collect()
        })
        .asserts(
            "the_next_step_runs_once_with_exactly_what_was_finished",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "two done and three in hand", |look| {
                    look.done("instance") == 2 && look.reached("instance") == 5
                });
                assert_eq!(
                    live.look(&run).reached("next"),
                    0,
                    "it waits for the others"
                );
                assert_eq!(complete(&live, &run), MapOutcome::Done);
                assert_ne!(complete(&live, &run), MapOutcome::Done);
                live.stage.open("slow"); // What is withdrawn brings nothing any more.
                let played = live.drive(&run);
                assert_eq!(played.committed.steps(), ["instance", "instance", "next"]);
                let look = live.look(&run);
                assert_eq!(look.cancelled("instance"), 3, "the sixth never began");
                live.stage.span("next");
                live.close();
            },
        )
        .after_kills(
            "no_kill_lets_the_next_step_in_while_an_instance_is_open",
            |wrecks| {
                for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                    let open = look.in_hand("instance");
                    assert!(look.reached("next") == 0 || open == 0, "{open}");
                    assert!(look.done("instance") <= 2);
                }
            },
        )
}

fn complete(live: &Live, run: &windlass::RunHandle) -> MapOutcome {
    let scheduler = live.engine.scheduler();
    scheduler
        .change_map_blocking(run.id(), "instances", MapChange::Complete)
        .unwrap()
}
