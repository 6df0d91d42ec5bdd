//! Iteration: WCP-10 and WCP-21.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{History, StepStatus, Workflow};

use crate::harness::{Built, End, Live, Noted, Pattern, Setting, Stage};

/// A walk between two rooms, each with a door to the outside.
#[derive(Debug, Serialize, Deserialize)]
struct Walk {
    /// The room that is entered first.
    first: String,
    /// Rooms still to be visited.
    left: u32,
    visited: u32,
    /// The door taken at last.
    door: String,
}

impl Noted for Walk {
    fn note(&mut self, step: &str) {
        match step {
            "a" | "b" => {
                self.left = self.left.saturating_sub(1);
                self.visited += 1;
            }
            door => door.clone_into(&mut self.door),
        }
    }
}

fn arbitrary_cycles(stage: &Stage) -> Built<Walk> {
    Workflow::<Walk>::build("arbitrary-cycles", "1", |flow| {
        flow.net("house", |net| {
            let [a, b, front, back] = ["a", "b", "front", "back"]
                .map(|step| net.part(|flow| flow.step_async(step, stage.mark())));
            let [enter, from_a, from_b] = ["enter", "from-a", "from-b"].map(|way| net.choice(way));
            net.start(&enter);
            net.way(&enter, "a-first", |walk| walk.first == "a", &a);
            net.otherwise(&enter, &b);
            net.connect(&a, &from_a);
            net.way(&from_a, "on", |walk| walk.left > 0, &b);
            net.otherwise(&from_a, &front);
            net.connect(&b, &from_b);
            net.way(&from_b, "on", |walk| walk.left > 0, &a);
            net.otherwise(&from_b, &back);
        })
    })
}

fn walk(first: &str, rooms: u32) -> serde_json::Value {
    json!({"first": first, "left": rooms, "visited": 0, "door": ""})
}

/// Loops with more than one entry or exit point: neither room is the head of this one.
pub(crate) fn wcp_10_arbitrary_cycles() -> Pattern {
    let input: Walk = serde_json::from_value(walk("a", 3)).unwrap();
    Pattern::new(10, arbitrary_cycles, &input)
        .ends_with(json!({"first": "a", "left": 0, "visited": 3, "door": "front"}))
        .asserts("both_entries_lead_to_both_exits", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let ways = [
                ("a", 3, "front"),
                ("a", 4, "back"),
                ("b", 3, "back"),
                ("b", 4, "front"),
            ];
            for (first, rooms, door) in ways {
                let played = live.play_with(&walk(first, rooms));
                let End::Succeeded(data) = &played.end else {
                    panic!("{:?}", played.end)
                };
                assert_eq!(
                    (&data["door"], &data["visited"]),
                    (&json!(door), &json!(rooms))
                );
                let (of_first, of_other) = (rooms.div_ceil(2) as usize, rooms as usize / 2);
                let other = if first == "a" { "b" } else { "a" };
                // Each visit is an activation of its own, or they would count as one.
                assert_eq!(played.committed.count(first), of_first);
                assert_eq!(played.committed.count(other), of_other);
                assert_eq!(played.committed.len(), rooms as usize + 1);
            }
            live.close();
        })
        .asserts("history_stays_bounded_over_ten_thousand_rounds", rounds)
}

/// As many rows as rounds up to the bound, and no more after 10,000 rounds; none when it is off.
fn rounds(pattern: &Pattern, setting: Setting) {
    if setting.runners > 1 {
        return; // A single thread of control: more Runners make no difference, and rounds take time.
    }
    let bound = usize::try_from(windlass::limits::store::HISTORY_ATTEMPTS_PER_BRANCH_MAX).unwrap();
    for (history, rooms, rows) in [
        (History::All, 500, 501),
        (History::All, 10_000, bound),
        (History::Off, 1_000, 0),
    ] {
        let (builder, _folder) = setting.builder();
        let live = Live::over(pattern, builder.history(history), Stage::new());
        let run = live.begin_with(&walk("a", rooms));
        let played = live.drive_any(&run);
        let End::Succeeded(data) = &played.end else {
            panic!("{:?}", played.end)
        };
        assert_eq!(data["visited"], json!(rooms));
        // Of the rows that are kept a few are not of steps.
        let kept = played.committed.len();
        assert!(
            (rows.saturating_sub(3)..=rows).contains(&kept),
            "{kept} of {rows}"
        );
        let has_gaps = rows <= rooms as usize;
        for step in live.look(&run).detail.steps {
            let skipped = step.status == StepStatus::Skipped;
            assert!(!(has_gaps && skipped), "who knows? {step:?}");
        }
        live.close();
    }
}

/// Laps before a test and after it.
#[derive(Debug, Serialize, Deserialize)]
struct Laps {
    wanted: u32,
    tested_before: u32,
    tested_after: u32,
}

impl Noted for Laps {
    fn note(&mut self, step: &str) {
        match step {
            "before" => self.tested_before += 1,
            "after" => self.tested_after += 1,
            _ => {}
        }
    }
}

fn structured_loop(stage: &Stage) -> Built<Laps> {
    Workflow::<Laps>::build("structured-loop", "1", |flow| {
        flow.repeat_while(
            "while",
            5,
            |laps| laps.tested_before < laps.wanted,
            |flow| flow.step_async("before", stage.mark()),
        )
        .repeat_until(
            "until",
            5,
            |laps| laps.tested_after >= laps.wanted,
            |flow| flow.step_async("after", stage.mark()),
        )
        .step_async("next", stage.mark())
    })
}

fn laps(wanted: u32, tested_before: u32, tested_after: u32) -> serde_json::Value {
    json!({"wanted": wanted, "tested_before": tested_before, "tested_after": tested_after})
}

/// A step repeats under a test before or after it; the loop has one entry and one exit.
pub(crate) fn wcp_21_structured_loop() -> Pattern {
    let input: Laps = serde_json::from_value(laps(3, 0, 0)).unwrap();
    Pattern::new(21, structured_loop, &input)
        .ends_with(laps(3, 3, 3))
        .asserts(
            "the_test_before_may_allow_no_round_and_the_one_after_allows_one",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                for (wanted, before, after) in [(0, 0, 1), (1, 1, 1), (4, 4, 4), (5, 5, 5)] {
                    let played = live.play_with(&laps(wanted, 0, 0));
                    assert_eq!(played.end, End::Succeeded(laps(wanted, before, after)));
                    let rounds = ["before", "after"].map(|step| played.committed.count(step));
                    assert_eq!(rounds, [before as usize, after as usize]);
                    assert_eq!(played.committed.count("next"), 1);
                }
                live.close();
            },
        )
        .asserts("one_round_too_many_is_a_typed_error", |pattern, setting| {
            let live = Live::open(pattern, setting);
            for (before, rounds) in [(0, [5, 0]), (6, [0, 5])] {
                let played = live.play_with(&laps(6, before, 0));
                assert_eq!(played.end, End::Failed(vec!["loop-limit".to_owned()]));
                let done = ["before", "after"].map(|step| played.committed.count(step));
                assert_eq!(done, rounds);
            }
            live.close();
        })
        .after_kills("each_round_is_resumed_in_that_round", |wrecks| {
            let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            for look in looks() {
                let data = look.detail.data.as_ref().unwrap();
                let data: Laps = data.decode().unwrap();
                // What is stored is as far as the rounds that are done, and goes on from there.
                assert_eq!(data.tested_before as usize, look.done("before"));
                assert_eq!(data.tested_after as usize, look.done("after"));
            }
            for (before, after) in [(0, 0), (1, 0), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3)] {
                let in_round = looks().any(|look| {
                    let done = (look.done("before"), look.done("after"));
                    done == (before, after) && look.done("next") == 0
                });
                assert!(in_round, "a kill came in round {before}, {after}");
            }
        })
}
