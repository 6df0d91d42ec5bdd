//! Branches by condition, and where they meet: WCP-6 and WCP-7.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{BranchResult, Need, Rest, StepError, Workflow};

use crate::harness::{Act, Built, End, Live, Noted, Pattern, Setting, Stage, Trail};

/// What a traveller has ordered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Trip {
    flight: bool,
    hotel: bool,
    car: bool,
    trail: Trail,
}

impl Noted for Trip {
    fn note(&mut self, step: &str) {
        self.trail.note(step);
    }
}

const ARMS: [&str; 3] = ["flight", "hotel", "car"];

impl Trip {
    /// One of the eight: an arm is ordered where its bit is set.
    fn numbered(number: usize) -> Self {
        Self {
            flight: number & 1 != 0,
            hotel: number & 2 != 0,
            car: number & 4 != 0,
            trail: Trail::new(),
        }
    }

    /// The arms that are to be taken.
    fn ordered(&self) -> Vec<&'static str> {
        let ordered = [self.flight, self.hotel, self.car];
        let arms = ARMS.into_iter().zip(ordered);
        arms.filter_map(|(arm, ordered)| ordered.then_some(arm))
            .collect()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
fn collect(trip: &mut Trip, results: Vec<BranchResult<Trip>>) -> Result<(), StepError> {
    let trails = results.into_iter().map(|result| result.data.trail);
    trip.trail = trails.flatten().collect();
    Ok(())
}

fn multi_choice(stage: &Stage) -> Built<Trip> {
    Workflow::<Trip>::build("multi-choice", "1", |flow| {
        flow.multi("ordered", |arms| {
            arms.when(
                "flight",
                |trip| trip.flight,
                |flow| flow.step_async("flight", stage.mark()),
            )
            .when(
                "hotel",
                |trip| trip.hotel,
                |flow| flow.step_async("hotel", stage.mark()),
            )
            .when(
                "car",
                |trip| trip.car,
                |flow| flow.step_async("car", stage.mark()),
            )
            .otherwise("nothing", |flow| flow.step_async("ask", stage.mark()))
            .join(collect)
        })
    })
}

/// One or more outgoing branches are taken, each by its own condition.
pub(crate) fn wcp_06_multi_choice() -> Pattern {
    let input = Trip {
        flight: true,
        car: true,
        ..Trip::default()
    };
    let end = json!({"flight": true, "hotel": false, "car": true, "trail": ["flight", "car"]});
    Pattern::new(6, multi_choice, &input)
        .ends_with(end)
        .asserts("every_combination_takes_just_its_branches", truth_table)
        .after_kills(
            "a_kill_leaves_no_branch_or_all_that_were_chosen",
            |wrecks| {
                crate::basic::all_or_none(wrecks, 2, |wreck| {
                    let look = wreck.look.as_ref();
                    look.map_or(0, |look| {
                        assert_eq!(look.reached("hotel") + look.reached("ask"), 0);
                        look.reached("flight") + look.reached("car")
                    })
                });
            },
        )
}

/// All eight rows; of the one in which nothing holds the default is taken.
fn truth_table(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    for number in 0..8 {
        let trip = Trip::numbered(number);
        let mut expected = trip.ordered();
        if expected.is_empty() {
            expected.push("ask");
        }
        let played = live.play_with(&trip.json());
        let mut end = trip.json();
        end["trail"] = json!(expected);
        assert_eq!(played.end, End::Succeeded(end));
        expected.sort_unstable();
        assert_eq!(played.committed.steps(), expected, "{trip:?}");
    }
    live.close();
}

fn structured_synchronizing_merge(stage: &Stage) -> Built<Trip> {
    Workflow::<Trip>::build("structured-synchronizing-merge", "1", |flow| {
        flow.multi("ordered", |arms| {
            arms.when(
                "flight",
                |trip| trip.flight,
                |flow| flow.step_async("flight", stage.held("flight")),
            )
            .when(
                "hotel",
                |trip| trip.hotel,
                |flow| flow.step_async("hotel", stage.held("hotel")),
            )
            .when(
                "car",
                |trip| trip.car,
                |flow| flow.step_async("car", stage.held("car")),
            )
            .otherwise("nothing", |flow| flow.step_async("ask", stage.mark()))
            .need(Need::ActiveLocal, Rest::Absorb)
            .join(collect)
        })
        .step_async("next", stage.mark())
    })
}

/// Re-joins the branches of one matching multi-choice, waiting only for those that were started.
pub(crate) fn wcp_07_structured_synchronizing_merge() -> Pattern {
    let input = Trip {
        flight: true,
        car: true,
        ..Trip::default()
    };
    let trail = ["flight", "car", "next"];
    let end = json!({"flight": true, "hotel": false, "car": true, "trail": trail});
    Pattern::new(7, structured_synchronizing_merge, &input)
        .ends_with(end)
        .driven_by(|look| {
            let last = (look.done("car") == 1).then_some(Act::Open("flight"));
            std::iter::once(Act::Open("car")).chain(last).collect()
        })
        .asserts(
            "of_every_subset_the_last_one_lets_the_next_step_begin",
            |pattern, setting| {
                for number in 1..8 {
                    let trip = Trip::numbered(number);
                    for last in trip.ordered() {
                        waits_for(pattern, setting, &trip, last);
                    }
                }
            },
        )
        .after_kills(
            "the_next_step_is_not_reached_before_those_chosen_are_committed",
            |wrecks| {
                for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                    let done = look.done("flight") + look.done("car");
                    assert!(done == 2 || look.reached("next") == 0);
                }
            },
        )
}

/// With all that were ordered but `last` done, the next step is not reached; then it is, once.
fn waits_for(pattern: &Pattern, setting: Setting, trip: &Trip, last: &'static str) {
    let live = Live::open(pattern, setting);
    let run = live.begin_with(&trip.json());
    let ordered = trip.ordered();
    let others = || ordered.iter().filter(|arm| **arm != last);
    others().for_each(|arm| live.stage.open(arm));
    live.until(&run, "all done but the last", |look| {
        others().all(|arm| look.done(arm) == 1) && look.running(last) == 1
    });
    assert_eq!(live.look(&run).reached("next"), 0, "{trip:?} {last}");
    live.stage.open(last);
    let played = live.drive_any(&run);
    let mut expected = ordered.clone();
    expected.push("next");
    expected.sort_unstable();
    assert_eq!(played.committed.steps(), expected);
    let next = live.stage.span("next");
    for arm in ordered {
        assert!(live.stage.span(arm).precedes(&next), "{trip:?}: {arm}");
    }
    live.close();
}
