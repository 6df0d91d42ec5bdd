//! Regions and instances that are withdrawn or completed as one: WCP-25, WCP-26 and WCP-27.

use serde_json::json;
use windlass::{MapChange, MapOutcome, Need, Rest, RunHandle, Workflow};

use crate::cancellation::withdraw;
use crate::harness::{Act, Built, End, Live, Look, Pattern, Stage, Trail, gather, gather_ends};

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

fn complete(live: &Live, run: &RunHandle) -> MapOutcome {
    let scheduler = live.engine.scheduler();
    scheduler
        .change_map_blocking(run.id(), "instances", MapChange::Complete)
        .unwrap()
}
