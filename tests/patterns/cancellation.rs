//! Withdrawal of single steps and of whole runs: WCP-19 and WCP-20.

use serde_json::json;
use windlass::{Event, Payload, RunFilter, RunHandle, RunStatus, Workflow};

use crate::harness::{
    Act, Built, End, Live, Look, PATIENCE, Pattern, Setting, Stage, Stepped, Trail, gather,
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
pub(crate) fn withdraw(live: &Live, run: &RunHandle, node: &str) -> u32 {
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
                            *trail = below;
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
        flow.run("call", "below", Trail::clone, |trail, below| {
            *trail = below;
        })
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
