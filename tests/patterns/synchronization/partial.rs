//! Joins that wait for some: WCP-9, WCP-29, WCP-30 and WCP-32.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{BranchResult, Need, Rest, StepError, Workflow};

use crate::harness::{Act, Built, Live, Look, Noted, Pattern, Setting, Stage, Trail, gather};

/// Rounds of a race.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Race {
    round: u32,
    trail: Trail,
}

impl Race {
    /// The latch that holds the slow ones of this round.
    fn latch(&self) -> &'static str {
        ["first", "second"][self.round as usize]
    }
}

impl Noted for Race {
    fn note(&mut self, step: &str) {
        self.trail.note(step);
    }
}

/// The data of the branch that came first.
#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
fn winner(race: &mut Race, came: Vec<BranchResult<Race>>) -> Result<(), StepError> {
    if let Some(first) = came.into_iter().next() {
        *race = first.data;
    }
    Ok(())
}

fn structured_discriminator(stage: &Stage) -> Built<Race> {
    Workflow::<Race>::build("structured-discriminator", "1", |flow| {
        flow.repeat_while(
            "rounds",
            2,
            |race| race.round < 2,
            |flow| {
                flow.split("first-of-three", |split| {
                    split
                        .branch("a", |flow| flow.step_async("a", stage.mark()))
                        .branch("b", |flow| flow.step_async("b", stage.held_by(Race::latch)))
                        .branch("c", |flow| flow.step_async("c", stage.held_by(Race::latch)))
                        .need(Need::First, Rest::Absorb)
                        .join(winner)
                })
                .step_async("next", stage.work(|race: &mut Race| race.round += 1))
            },
        )
    })
}

/// In a structured block the first arrival continues; the others are absorbed; it resets when all
/// have arrived.
pub(crate) fn wcp_09_structured_discriminator() -> Pattern {
    Pattern::new(9, structured_discriminator, &Race::default())
        .ends_with(json!({"round": 2, "trail": ["a", "next", "a", "next"]}))
        .driven_by(|look| {
            let first = (look.done("a") == 2).then_some(Act::Open("first"));
            let second = (look.done("next") == 2).then_some(Act::Open("second"));
            first.into_iter().chain(second).collect()
        })
        .asserts(
            "the_continuation_begins_while_two_of_three_are_held",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "the continuation with two at work", |look| {
                    look.done("next") == 1 && look.running("b") >= 1 && look.running("c") >= 1
                });
                live.drive(&run);
                let next = &live.stage.spans("next")[0];
                for slow in ["b", "c"] {
                    let slow = &live.stage.spans(slow)[0];
                    assert!(slow.start < next.finish.unwrap() && slow.finish > next.finish);
                }
                live.close();
            },
        )
        .asserts(
            "the_second_round_fires_once_and_after_the_first_has_reset",
            second_round,
        )
        .after_kills(
            "no_round_begins_before_the_one_before_has_reset",
            |wrecks| {
                let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
                for look in looks() {
                    let all_of_first = look.done("b") >= 1 && look.done("c") >= 1;
                    assert!(look.reached("next") < 2 || all_of_first);
                }
                let waits = |look: &Look| look.done("a") == 2 && look.reached("next") == 1;
                assert!(
                    looks().any(waits),
                    "a kill came while the second round waited"
                );
            },
        )
}

fn second_round(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    live.until(&run, "the first arrival of both rounds", |look| {
        look.done("a") == 2
    });
    assert_eq!(live.look(&run).reached("next"), 1, "it has not reset");
    live.stage.open("first");
    live.until(&run, "the second continuation", |look| {
        look.done("next") == 2
    });
    let look = live.look(&run);
    assert_eq!(
        (look.done("b"), look.done("c")),
        (1, 1),
        "the second are held"
    );
    let played = live.drive(&run);
    for step in ["a", "b", "c", "next"] {
        assert_eq!(played.committed.count(step), 2, "{step}");
    }
    live.close();
}

fn cancelling_discriminator(stage: &Stage) -> Built<Trail> {
    Workflow::build("cancelling-discriminator", "1", |flow| {
        flow.split("first-of-three", |split| {
            split
                .branch("a", |flow| flow.step_async("a", stage.held("a")))
                .branch("b", |flow| flow.step_async("b", stage.held("b")))
                .branch("deaf", |flow| flow.step_async("deaf", stage.deaf("deaf")))
                .need(Need::First, Rest::Cancel)
                .join(gather)
        })
        .step_async("next", stage.held("next"))
    })
}

/// The first arrival continues and cancels the other branches, then resets.
pub(crate) fn wcp_29_cancelling_discriminator() -> Pattern {
    Pattern::new(29, cancelling_discriminator, &Trail::new())
        .ends_with(["a", "next"])
        .driven_by(|look| {
            // A step that does not listen is let go before the run ends.
            if look.reached("next") == 1 {
                return vec![Act::Open("deaf"), Act::Open("next")];
            }
            vec![Act::Open("a")]
        })
        .asserts(
            "the_slow_are_told_to_stop_and_their_late_outcomes_refused",
            told_to_stop,
        )
        .after_kills("the_others_are_withdrawn_as_the_first_arrives", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let withdrawn = look.cancelled("b") + look.cancelled("deaf");
                assert_eq!(withdrawn, 2 * look.done("a"));
                assert!(look.reached("next") <= look.done("a"));
            }
        })
}

fn told_to_stop(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    live.until(&run, "all three at work", |look| {
        ["a", "b", "deaf"]
            .iter()
            .all(|step| look.running(step) == 1)
    });
    live.stage.open("a");
    live.until(&run, "the continuation", |look| look.running("next") == 1);
    let look = live.look(&run);
    assert_eq!((look.cancelled("b"), look.cancelled("deaf")), (1, 1));
    // Its latch is closed still: it was told.
    live.until(&run, "the end of the one that listens", |_| {
        live.stage.span("b").finish.is_some()
    });
    assert_eq!(live.stage.span("deaf").finish, None, "it does not listen");
    live.stage.open("deaf");
    live.until(&run, "the late outcome", |_| {
        live.stage.span("deaf").finish.is_some()
    });
    let played = live.drive(&run);
    assert_eq!(played.committed.steps(), ["a", "next"]);
    live.close();
}

fn structured_partial_join(stage: &Stage) -> Built<Trail> {
    Workflow::build("structured-partial-join", "1", |flow| {
        flow.split("three-of-five", |split| {
            split
                .branch("a", |flow| flow.step_async("a", stage.mark()))
                .branch("b", |flow| flow.step_async("b", stage.mark()))
                .branch("c", |flow| flow.step_async("c", stage.mark()))
                .branch("d", |flow| flow.step_async("d", stage.held("rest")))
                .branch("e", |flow| flow.step_async("e", stage.held("rest")))
                .need(Need::AtLeast(3), Rest::Absorb)
                .join(gather)
        })
        .step_async("next", stage.mark())
    })
}

/// N of M: it continues after N arrivals, absorbs the rest, and resets after all M.
pub(crate) fn wcp_30_structured_partial_join() -> Pattern {
    Pattern::new(30, structured_partial_join, &Trail::new())
        .ends_with(["a", "b", "c", "next"])
        .driven_by(|look| {
            let opens = (look.done("next") == 1).then_some(Act::Open("rest"));
            opens.into_iter().collect()
        })
        .asserts(
            "it_continues_once_while_the_rest_is_held_and_all_complete",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "the continuation with two at work", |look| {
                    look.done("next") == 1 && look.running("d") + look.running("e") == 2
                });
                let next = live.stage.span("next");
                for step in ["a", "b", "c"] {
                    assert!(live.stage.span(step).precedes(&next), "{step}");
                }
                let played = live.drive(&run);
                assert_eq!(live.stage.span("next"), next, "it runs once");
                assert_eq!(played.committed.steps(), ["a", "b", "c", "d", "e", "next"]);
                for step in ["d", "e"] {
                    assert!(live.stage.span(step).finish > next.finish, "{step}");
                }
                live.close();
            },
        )
        .after_kills("no_kill_lets_it_continue_before_the_third", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let arrived: usize = ["a", "b", "c", "d", "e"]
                    .map(|step| look.done(step))
                    .iter()
                    .sum();
                assert!(arrived >= 3 || look.reached("next") == 0);
            }
        })
}

fn cancelling_partial_join(stage: &Stage) -> Built<Trail> {
    Workflow::build("cancelling-partial-join", "1", |flow| {
        flow.split("three-of-five", |split| {
            split
                .branch("a", |flow| flow.step_async("a", stage.mark()))
                .branch("b", |flow| flow.step_async("b", stage.mark()))
                .branch("c", |flow| flow.step_async("c", stage.meets("race", 2)))
                .branch("d", |flow| flow.step_async("d", stage.meets("race", 2)))
                .branch("e", |flow| flow.step_async("e", stage.held("never")))
                .need(Need::AtLeast(3), Rest::Cancel)
                .join(gather)
        })
        .step_async("next", stage.mark())
    })
}

/// After N of M arrivals it continues and cancels the remaining branches. The third and the fourth
/// come at once; which of them is third is open.
pub(crate) fn wcp_32_cancelling_partial_join() -> Pattern {
    const WAYS: [[&str; 3]; 4] = [
        ["a", "b", "c"],
        ["a", "b", "d"],
        ["a", "c", "d"],
        ["b", "c", "d"],
    ];
    let pattern = Pattern::new(32, cancelling_partial_join, &Trail::new());
    WAYS.iter()
        .fold(pattern, |pattern, [first, second, third]| {
            let way = [*first, *second, *third, "next"];
            pattern.ends_with(way).may_commit(&way)
        })
        .asserts(
            "exactly_two_are_cancelled_and_it_fires_once",
            |pattern, setting| {
                for _ in 0..25 {
                    let live = Live::open(pattern, setting);
                    let run = live.begin();
                    let played = live.drive(&run);
                    assert_eq!(live.stage.spans("next").len(), 1);
                    assert_eq!(played.committed.len(), 4);
                    assert_eq!(withdrawn(&live.look(&run)), 2);
                    live.close();
                }
            },
        )
        .after_kills("the_rest_is_withdrawn_as_the_third_arrives", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let done: usize = ["a", "b", "c", "d"]
                    .map(|step| look.done(step))
                    .iter()
                    .sum();
                assert_eq!(withdrawn(look), 2 * usize::from(done == 3));
                assert!(done == 3 || look.reached("next") == 0);
            }
        })
}

/// How many of the five were withdrawn.
fn withdrawn(look: &Look) -> usize {
    let steps = ["a", "b", "c", "d", "e"].map(|step| look.cancelled(step));
    steps.iter().sum()
}
