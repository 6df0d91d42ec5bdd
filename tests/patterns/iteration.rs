//! Iteration: WCP-10.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Draft, Function, Functions, Handlers, History, StepSpec, Workflow};

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
    let mut draft = Draft::new("arbitrary-cycles", "1");
    let [a, b, front, back] =
        ["a", "b", "front", "back"].map(|name| draft.step(name, StepSpec::new(name)));
    let [enter, from_a, from_b] = ["enter", "from-a", "from-b"].map(|name| draft.choice(name));
    draft.start_at(enter);
    draft.arm(enter, "a first", "a-first", Some(a));
    draft.otherwise(enter, b);
    draft.connect(a, from_a);
    draft.arm(from_a, "go on", "goes-on", Some(b));
    draft.otherwise(from_a, front);
    draft.connect(b, from_b);
    draft.arm(from_b, "go on", "goes-on", Some(a));
    draft.otherwise(from_b, back);
    let handlers = ["a", "b", "front", "back"]
        .into_iter()
        .fold(Handlers::new(), |all, step| {
            all.with(step, stage.handler::<Walk>())
        });
    Ok(Workflow::from_parts(
        draft.finish()?,
        conditions(),
        handlers,
    ))
}

fn conditions() -> Functions {
    let predicate = |holds: fn(&Walk) -> bool| {
        Function::Predicate(Arc::new(move |data| Ok(holds(&data.decode().unwrap()))))
    };
    let mut functions = Functions::new();
    functions.insert("a-first", predicate(|walk| walk.first == "a"));
    functions.insert("goes-on", predicate(|walk| walk.left > 0));
    functions
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
        .asserts(
            "history_grows_by_one_row_a_round_and_is_empty_when_off",
            rounds,
        )
}

/// 1,000 rounds with their history, each an activation of its own; 10,000 without it.
fn rounds(pattern: &Pattern, setting: Setting) {
    if setting.on_disk || setting.runners > 1 {
        return; // A single thread of control: the setting makes no difference, and rounds take time.
    }
    for (history, rooms, rows) in [(History::All, 1_000, 1_001), (History::Off, 10_000, 0)] {
        let (builder, _) = setting.builder();
        let live = Live::over(pattern, builder.history(history), Stage::new());
        let played = live.play_with(&walk("a", rooms));
        let End::Succeeded(data) = &played.end else {
            panic!("{:?}", played.end)
        };
        assert_eq!(data["visited"], json!(rooms));
        assert_eq!(played.committed.len(), rows);
        live.close();
    }
}
