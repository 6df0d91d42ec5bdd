//! Basic control flow: WCP-1 to WCP-5.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Draft, StepSpec, Workflow};

use crate::harness::{
    Act, Built, End, Live, Noted, Pattern, Setting, Stage, Stepped, Trail, Wreck, gather,
};

fn sequence(stage: &Stage) -> Built<Trail> {
    Workflow::build("sequence", "1", |flow| {
        flow.step_async("a", stage.mark())
            .step_async("b", stage.mark())
    })
}

/// A step becomes enabled when the step before it in the same run has completed.
pub(crate) fn wcp_01_sequence() -> Pattern {
    Pattern::new(1, sequence, &Trail::new())
        .ends_with(["a", "b"])
        .asserts("a_ends_before_b_begins", |pattern, setting| {
            let live = Live::open(pattern, setting);
            live.play();
            assert!(live.stage.span("a").precedes(&live.stage.span("b")));
            live.close();
        })
        .after_kills("b_is_not_reached_before_a_is_committed", |wrecks| {
            let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            for look in looks() {
                assert!(look.done("a") == 1 || look.reached("b") == 0);
            }
            let between = looks().any(|look| look.done("a") == 1 && look.done("b") == 0);
            assert!(between, "a kill came between the two");
        })
}

fn parallel_split(stage: &Stage) -> Built<Trail> {
    Workflow::build("parallel-split", "1", |flow| {
        flow.step_async("begin", stage.mark())
            .split("both", |split| {
                split
                    .branch("left", |flow| {
                        flow.step_async("left", stage.meets("both", 2))
                    })
                    .branch("right", |flow| {
                        flow.step_async("right", stage.meets("both", 2))
                    })
                    .join(gather)
            })
    })
}

/// One thread of control becomes several that run concurrently.
pub(crate) fn wcp_02_parallel_split() -> Pattern {
    Pattern::new(2, parallel_split, &Trail::new())
        .ends_with(["begin", "left", "right"])
        .asserts("both_branches_are_at_work_at_once", |pattern, setting| {
            let live = Live::open(pattern, setting);
            live.play();
            let (left, right) = (live.stage.span("left"), live.stage.span("right"));
            assert!(left.overlaps(&right), "{left:?} {right:?}");
            assert!(live.stage.span("begin").precedes(&left));
            assert!(live.stage.span("begin").precedes(&right));
            live.close();
        })
        .after_kills("a_kill_leaves_no_branch_or_all", |wrecks| {
            all_or_none(wrecks, 2, |wreck| {
                wreck
                    .look
                    .as_ref()
                    .map_or(0, |look| look.reached("left") + look.reached("right"))
            });
        })
}

/// After every kill there are none or `all`, and each of the two is seen.
pub(crate) fn all_or_none(wrecks: &[Wreck], all: usize, count: impl Fn(&Wreck) -> usize) {
    for wreck in wrecks {
        let count = count(wreck);
        assert!(
            count == 0 || count == all,
            "{}: {count} of {all}",
            wreck.when
        );
    }
    assert!(
        wrecks.iter().any(|wreck| count(wreck) == 0),
        "one kill came before"
    );
    assert!(
        wrecks.iter().any(|wreck| count(wreck) == all),
        "one kill came after"
    );
}

fn synchronization(stage: &Stage) -> Built<Trail> {
    Workflow::build("synchronization", "1", |flow| {
        flow.split("all", |split| {
            split
                .branch("a", |flow| flow.step_async("a", stage.mark()))
                .branch("b", |flow| flow.step_async("b", stage.mark()))
                .branch("c", |flow| flow.step_async("c", stage.held("c")))
                .join(gather)
        })
        .step_async("next", stage.mark())
    })
}

/// Several branches converge; the next step is enabled once, when all have completed. That the same
/// completion delivered twice counts once is what the stale writer shows, at each of the branches.
pub(crate) fn wcp_03_synchronization() -> Pattern {
    let others_are_done = |look: &crate::harness::Look| look.done("a") + look.done("b") == 2;
    Pattern::new(3, synchronization, &Trail::new())
        .ends_with(["a", "b", "c", "next"])
        .driven_by(move |look| {
            let opens = others_are_done(look).then_some(Act::Open("c"));
            opens.into_iter().collect()
        })
        .asserts(
            "the_next_step_waits_for_the_last_branch",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "two arrivals and a third at work", |look| {
                    look.done("a") + look.done("b") == 2 && look.running("c") == 1
                });
                assert_eq!(live.look(&run).reached("next"), 0, "one is missing");
                live.drive(&run);
                let next = live.stage.span("next");
                for step in ["a", "b", "c"] {
                    assert!(live.stage.span(step).precedes(&next), "{step} {next:?}");
                }
                live.close();
            },
        )
        .after_kills(
            "the_next_step_is_not_reached_before_all_are_committed",
            |wrecks| {
                for wreck in wrecks {
                    let Some(look) = &wreck.look else { continue };
                    let done: usize = ["a", "b", "c"].map(|step| look.done(step)).iter().sum();
                    assert!(done == 3 || look.reached("next") == 0, "{}", wreck.when);
                }
            },
        )
}

/// An order that is handled by its size.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Order {
    size: u32,
    trail: Trail,
}

impl Noted for Order {
    fn note(&mut self, step: &str) {
        self.trail.note(step);
    }
}

fn exclusive_choice(stage: &Stage) -> Built<Order> {
    Workflow::<Order>::build("exclusive-choice", "1", |flow| {
        flow.step_async("receive", stage.mark())
            .choice("by-size", |arms| {
                arms.when(
                    "small",
                    |order| order.size < 10,
                    |flow| {
                        // From here on the size is that of a large order.
                        flow.step_async("wrap", stage.work(|order: &mut Order| order.size += 1_000))
                            .step_async("post", stage.mark())
                    },
                )
                .when(
                    "medium",
                    |order| order.size < 100,
                    |flow| flow.step_async("pack", stage.mark()),
                )
                .otherwise(|flow| flow.step_async("ship", stage.mark()))
            })
            .step_async("bill", stage.mark())
    })
}

/// Exactly one outgoing branch is taken, chosen by data when the point is reached.
pub(crate) fn wcp_04_exclusive_choice() -> Pattern {
    let small = ["receive", "wrap", "post", "bill"];
    Pattern::new(
        4,
        exclusive_choice,
        &Order {
            size: 9,
            trail: Trail::new(),
        },
    )
    .ends_with(json!({"size": 1_009, "trail": small}))
    .asserts("each_input_takes_exactly_one_arm", |pattern, setting| {
        // Below 10 the conditions of both arms hold: the first one is taken.
        let arms = [
            (0, "wrap"),
            (9, "wrap"),
            (10, "pack"),
            (99, "pack"),
            (100, "ship"),
        ];
        let live = Live::open(pattern, setting);
        for (size, arm) in arms {
            let played = live.play_with(&json!({"size": size, "trail": []}));
            for other in ["wrap", "pack", "ship"] {
                let times = usize::from(other == arm);
                assert_eq!(played.committed.count(other), times, "{size}: {other}");
            }
            assert_eq!(played.committed.count("bill"), 1);
        }
        live.close();
    })
    .asserts(
        "a_decision_stands_when_the_data_changes_and_the_engine_is_lost",
        decision_stands,
    )
    .after_kills("a_kill_leaves_no_trace_of_another_arm", |wrecks| {
        for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
            assert_eq!(look.reached("pack") + look.reached("ship"), 0);
        }
    })
}

/// The engine is dropped when `wrap` has made the order large, and another one goes on.
fn decision_stands(pattern: &Pattern, setting: Setting) {
    if setting != Setting::ON_DISK {
        return; // Only a file outlives its engine, and there is one Runner here anyway.
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut lost = Stepped::open(pattern, &database);
    let run = lost.begin();
    while lost
        .stage
        .spans("wrap")
        .iter()
        .all(|span| span.finish.is_none())
    {
        assert!(lost.go_on(run, 1), "it comes to this step");
    }
    lost.write_all();
    let size = lost
        .look(run)
        .detail
        .data
        .unwrap()
        .decode::<Order>()
        .unwrap()
        .size;
    assert_eq!(size, 1_009, "the change is committed");
    drop(lost);
    let mut next = Stepped::open(pattern, &database);
    let end = End::from(next.finish(run));
    assert!(pattern.ends.contains(&end), "{end:?}");
    assert!(next.stage.spans("ship").is_empty());
}

fn simple_merge(stage: &Stage) -> Built<Order> {
    Workflow::<Order>::build("simple-merge", "1", |flow| {
        flow.choice("by-size", |arms| {
            arms.when(
                "small",
                |order| order.size < 10,
                |flow| flow.step_async("wrap", stage.mark()),
            )
            .otherwise(|flow| flow.step_async("ship", stage.mark()))
        })
        .step_async("bill", stage.mark())
    })
}

/// Alternative branches converge without waiting; each arrival enables the next step.
pub(crate) fn wcp_05_simple_merge() -> Pattern {
    let input = Order {
        size: 9,
        trail: Trail::new(),
    };
    Pattern::new(5, simple_merge, &input)
        .ends_with(json!({"size": 9, "trail": ["wrap", "bill"]}))
        .asserts(
            "the_next_step_runs_once_for_either_arrival",
            |pattern, setting| {
                for (size, arm) in [(9, "wrap"), (10, "ship")] {
                    let live = Live::open(pattern, setting);
                    let played = live.play_with(&json!({"size": size, "trail": []}));
                    assert_eq!(played.committed.steps(), ["bill", arm]);
                    let (before, bill) = (live.stage.span(arm), live.stage.span("bill"));
                    assert!(before.precedes(&bill));
                    live.close();
                }
            },
        )
        .asserts("branches_that_may_both_be_alive_are_refused", |_, _| {
            let mut draft = Draft::new("not-exclusive", "1");
            let (split, join) = draft.split("both", None);
            let [left, right, merge] =
                ["left", "right", "merge"].map(|name| draft.step(name, StepSpec::new(name)));
            draft.start_at(split);
            draft.branch(split, "left", left);
            draft.branch(split, "right", right);
            draft.connect(left, merge);
            draft.connect(right, join);
            draft.connect(join, merge);
            let refused = draft.finish().unwrap_err();
            let codes: Vec<_> = refused
                .problems
                .iter()
                .map(|problem| problem.code)
                .collect();
            assert!(codes.contains(&"crossing-branches"), "{refused}");
        })
        .asserts(
            "a_merge_of_two_tokens_is_refused_unless_it_is_a_multi_merge",
            |_, _| {
                let merged = |multi: bool| {
                    Workflow::<Trail>::build("merge", "1", |flow| {
                        flow.net("net", |net| {
                            let fork = net.fork("both");
                            let merge = if multi {
                                net.multi_merge("merge")
                            } else {
                                net.simple_merge("merge")
                            };
                            net.start(&fork);
                            net.arm(&fork, "left", &merge);
                            net.arm(&fork, "right", &merge);
                        })
                    })
                };
                let refused = merged(false).unwrap_err();
                let mut codes = refused.problems.iter().map(|problem| problem.code);
                assert!(codes.any(|code| code == "merge-of-parallel"), "{refused}");
                merged(true).unwrap();
            },
        )
}
