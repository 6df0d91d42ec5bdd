//! What must not be active at the same time: WCP-17, WCP-39 and WCP-40.

use std::collections::BTreeSet;

use serde_json::json;
use windlass::{Event, Flow, Payload, RunHandle, Workflow};

use crate::harness::{
    Act, Built, End, Live, Look, PATIENCE, Pattern, Setting, Stage, Stepped, Trail, gather,
};

fn interleaved_parallel_routing(stage: &Stage) -> Built<Trail> {
    Workflow::build("interleaved-parallel-routing", "1", |flow| {
        flow.split("either-way", |split| {
            split
                .branch("blood", |flow| {
                    flow.wait_event("sent-to-blood", "blood", ignored)
                        .critical("at-the-nurse", "patient", |flow| {
                            flow.step_async("draw", stage.lingers())
                        })
                        .critical("at-the-laboratory", "patient", |flow| {
                            flow.step_async("explain", stage.lingers())
                        })
                })
                .branch("eyes", |flow| {
                    flow.wait_event("sent-to-eyes", "eyes", ignored)
                        .critical("at-the-chart", "patient", |flow| {
                            flow.step_async("read", stage.lingers())
                        })
                        .critical("at-the-optician", "patient", |flow| {
                            flow.step_async("fit", stage.lingers())
                        })
                })
                .join(gather)
        })
    })
}

/// Steps with a partial order, each once, never two at the same time.
pub(crate) fn wcp_17_interleaved_parallel_routing() -> Pattern {
    let in_branch_order = ["draw", "explain", "read", "fit"];
    Pattern::new(17, interleaved_parallel_routing, &Trail::new())
        .ends_with(in_branch_order)
        .driven_by(|_| vec![go("eyes"), go("blood")])
        .asserts(
            "in_200_runs_nothing_overlaps_and_both_orders_are_kept",
            |pattern, setting| {
                let orders = orders(pattern, setting, &["blood", "eyes"]);
                for order in &orders {
                    let at = |step: &str| order.iter().position(|name| name == step).unwrap();
                    assert_eq!(order.len(), 4, "{order:?}");
                    assert!(at("draw") < at("explain"), "{order:?}");
                    assert!(at("read") < at("fit"), "{order:?}");
                }
                assert!(orders.len() >= 2, "{orders:?}");
            },
        )
}

fn critical_section(stage: &Stage) -> Built<Trail> {
    Workflow::build("critical-section", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("left", |flow| {
                    flow.critical("left-section", "account", |flow| {
                        flow.step_async("read-left", stage.lingers())
                            .step_async("write-left", stage.lingers())
                    })
                })
                .branch("right", |flow| {
                    flow.critical("right-section", "account", |flow| {
                        flow.step_async("read-right", stage.lingers())
                            .step_async("write-right", stage.lingers())
                    })
                })
                .join(gather)
        })
    })
}

/// Two or more parts of a run must not be active at the same time.
pub(crate) fn wcp_39_critical_section() -> Pattern {
    Pattern::new(39, critical_section, &Trail::new())
        .ends_with(["read-left", "write-left", "read-right", "write-right"])
        .asserts(
            "in_200_runs_no_section_is_entered_before_the_other_is_left",
            |pattern, setting| {
                for order in orders(pattern, setting, &[]) {
                    let (first, second) = order.split_at(2);
                    assert!(is_section(first) && is_section(second), "{order:?}");
                }
            },
        )
        .asserts(
            "who_was_inside_when_the_engine_was_lost_goes_on_before_the_other_enters",
            inside_when_lost,
        )
        .asserts(
            "two_mutexes_in_opposite_order_are_reported",
            |_, setting| {
                let pattern = Pattern::new(39, opposite_order, &Trail::new())
                    .ends_as(End::Failed(vec!["deadlock".to_owned()]));
                let live = Live::open(&pattern, setting);
                let played = live.play();
                // The other one gets what it wanted.
                assert_eq!(played.committed.len(), 3);
                live.close();
            },
        )
        .after_kills("no_kill_leaves_both_sections_entered", |wrecks| {
            let mut blocked = 0;
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let inside = |side: &str| {
                    let [read, write] = ["read", "write"].map(|what| format!("{what}-{side}"));
                    look.reached(&read) == 1 && look.done(&write) == 0
                };
                assert!(!(inside("left") && inside("right")));
                blocked += look.wait_for("mutex");
            }
            assert!(blocked > 0, "one kill came while one waited for the other");
        })
}

fn is_section(steps: &[String]) -> bool {
    *steps == ["read-left", "write-left"] || *steps == ["read-right", "write-right"]
}

fn opposite_order(stage: &Stage) -> Built<Trail> {
    let side = |flow: Flow<Trail>, outer: &str, inner: &str| {
        flow.critical(&format!("{outer}-around"), outer, |flow| {
            flow.step_async(&format!("has-{outer}"), stage.meets("both have one", 2))
                .critical(&format!("{inner}-inside"), inner, |flow| {
                    flow.step_async(&format!("has-{inner}-too"), stage.mark())
                })
        })
    };
    Workflow::build("opposite-order", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("left", |flow| side(flow, "a", "b"))
                .branch("right", |flow| side(flow, "b", "a"))
                .join(gather)
        })
    })
}

/// The engine is dropped while one branch writes and the other one waits.
fn inside_when_lost(pattern: &Pattern, setting: Setting) {
    if setting != Setting::ON_DISK {
        return; // Only a file outlives its engine, and there is one Runner here anyway.
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut lost = Stepped::open(pattern, &database);
    let run = lost.begin();
    let writes = |look: &Look, side: &str| look.running(&format!("write-{side}")) == 1;
    let inside = loop {
        assert!(lost.go_on(run, 1), "it comes to a second step");
        let look = lost.look(run);
        if let Some(side) = ["left", "right"]
            .into_iter()
            .find(|side| writes(&look, side))
        {
            break side;
        }
    };
    let outside = if inside == "left" { "right" } else { "left" };
    drop(lost);
    let mut next = Stepped::open(pattern, &database);
    let look = next.look(run);
    let mut blocked = look.why.branches.iter();
    let blocked = blocked.find(|branch| branch.waits_for.kind == "mutex");
    let blocked = blocked.expect("the other one waits");
    assert_eq!(blocked.branch, outside);
    assert_eq!(blocked.waits_for.missing, [format!("{inside}-section")]);
    let end = End::from(next.finish(run));
    assert!(pattern.ends.contains(&end), "{end:?}");
    let span = |step: &str, side: &str| next.stage.span(&format!("{step}-{side}"));
    assert!(span("write", inside).precedes(&span("read", outside)));
    assert!(next.stage.spans(&format!("read-{inside}")).is_empty());
}

fn interleaved_routing(stage: &Stage) -> Built<Trail> {
    Workflow::build("interleaved-routing", "1", |flow| {
        flow.split("any-order", |split| {
            split
                .branch("tyres", |flow| {
                    flow.wait_event("tyres-free", "tyres", ignored).critical(
                        "at-the-tyres",
                        "car",
                        |flow| flow.step_async("tyres", stage.lingers()),
                    )
                })
                .branch("oil", |flow| {
                    flow.wait_event("oil-free", "oil", ignored).critical(
                        "at-the-oil",
                        "car",
                        |flow| flow.step_async("oil", stage.lingers()),
                    )
                })
                .branch("lights", |flow| {
                    flow.wait_event("lights-free", "lights", ignored).critical(
                        "at-the-lights",
                        "car",
                        |flow| flow.step_async("lights", stage.lingers()),
                    )
                })
                .join(gather)
        })
        .step_async("drive", stage.mark())
    })
}

/// A set of steps, each once, in any order, never two at the same time.
pub(crate) fn wcp_40_interleaved_routing() -> Pattern {
    Pattern::new(40, interleaved_routing, &Trail::new())
        .ends_with(["tyres", "oil", "lights", "drive"])
        .driven_by(|_| vec![go("lights"), go("oil"), go("tyres")])
        .asserts(
            "in_200_runs_all_steps_come_once_and_none_overlap",
            |pattern, setting| {
                let orders = orders(pattern, setting, &["tyres", "oil", "lights"]);
                for order in &orders {
                    let mut steps: Vec<_> = order.iter().map(String::as_str).collect();
                    assert_eq!(steps.pop(), Some("drive"), "{order:?}");
                    steps.sort_unstable();
                    assert_eq!(steps, ["lights", "oil", "tyres"]);
                }
                assert!(orders.len() >= 2, "{orders:?}");
            },
        )
}

/// The event says who may, and nothing more.
fn ignored(_: &mut Trail, _: String) {}

fn go(event: &'static str) -> Act {
    Act::Signal {
        event,
        id: "1",
        text: "go",
    }
}

/// The orders in which 200 runs, or some on a file, took their steps, of which no two of one run were at work at once.
/// Each run is sent the events, beginning with another one than the run before.
fn orders(pattern: &Pattern, setting: Setting, events: &[&str]) -> BTreeSet<Vec<String>> {
    let live = Live::open(pattern, setting);
    // A file costs a commit for each move, and has the same code above it.
    let count = if setting.on_disk { 20 } else { 200 };
    let runs: Vec<_> = (0..count).map(|_| live.begin_with(&json!([]))).collect();
    for (number, run) in runs.iter().enumerate() {
        live.until(run, "its waits", |look| {
            events.iter().all(|event| look.awaits(event))
        });
        for turn in 0..events.len() {
            let event = events[(number + turn) % events.len()];
            let event = Event::new(run.id(), event, "1", Payload::encode("go").unwrap());
            live.engine.scheduler().signal_blocking(event).unwrap();
        }
    }
    let order = |run: &RunHandle| {
        let end = End::from(run.wait_blocking(Some(PATIENCE)).unwrap());
        assert!(pattern.ends.contains(&end), "{end:?}");
        let spans = live.stage.spans_of(run.id());
        for pair in spans.windows(2) {
            assert!(pair[0].precedes(&pair[1]), "{spans:?}");
        }
        spans.into_iter().map(|span| span.step).collect()
    };
    let orders = runs.iter().map(order).collect();
    live.close();
    orders
}
