//! Recursion: WCP-22.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::Workflow;

use crate::harness::{Built, End, Live, Look, Noted, Pattern, Setting, Stage, Trail};

/// A Fibonacci number in the making.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Fibonacci {
    n: u32,
    value: u32,
}

impl Noted for Fibonacci {
    fn note(&mut self, step: &str) {
        if step == "base" {
            self.value = self.n;
        }
    }
}

fn fibonacci(stage: &Stage) -> Built<Fibonacci> {
    let of = |n| Fibonacci { n, value: 0 };
    let add = |sum: &mut Fibonacci, called: Fibonacci| sum.value += called.value;
    Workflow::<Fibonacci>::build("fibonacci", "1", |flow| {
        flow.choice("by-size", |arms| {
            let base = |flow: windlass::Flow<Fibonacci>| flow.step_async("base", stage.mark());
            arms.when("below-2", |f| f.n < 2, base).otherwise(|flow| {
                flow.run("one-less", "fibonacci", move |f| of(f.n - 1), add)
                    .run("two-less", "fibonacci", move |f| of(f.n - 2), add)
                    .step_async("sum", stage.mark())
            })
        })
    })
}

/// A workflow can invoke itself, directly or through what it is made of.
pub(crate) fn wcp_22_recursion() -> Pattern {
    Pattern::new(22, fibonacci, &Fibonacci { n: 4, value: 0 })
        .ends_with(json!({"n": 4, "value": 3}))
        .asserts("the_sixth_number_takes_25_runs", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let played = live.play_with(&json!({"n": 6, "value": 0}));
            assert_eq!(played.end, End::Succeeded(json!({"n": 6, "value": 8})));
            assert_eq!(played.committed.runs("fibonacci"), 25);
            let steps = ["base", "sum"].map(|step| played.committed.count(step));
            assert_eq!(steps, [13, 12]);
            live.close();
        })
        .asserts("one_call_too_deep_is_a_typed_error", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let played = live.play_with(&json!({"n": 70, "value": 0}));
            assert_eq!(played.end, End::Failed(vec!["call-depth".to_owned()]));
            // The first one, and 64 that are called.
            assert_eq!(played.committed.runs("fibonacci"), 65);
            assert_eq!(played.committed.len(), 0, "none came to its step");
            live.close();
        })
        .asserts("two_workflows_invoke_each_other", mutual)
        .after_kills("a_kill_comes_when_calls_are_nested_three_deep", |wrecks| {
            let looks = wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            let deepest = looks.map(depth).max();
            assert_eq!(deepest, Some(3));
        })
}

/// How deep the calls are nested that have not returned.
fn depth(look: &Look) -> usize {
    let mut depths = BTreeMap::from([(look.detail.summary.run, 0)]);
    for (detail, _) in &look.called {
        let above = detail.called_by.and_then(|by| depths.get(&by).copied());
        if let (Some(above), false) = (above, detail.summary.status.is_end()) {
            depths.insert(detail.summary.run, above + 1);
        }
    }
    depths.into_values().max().unwrap_or_default()
}

fn even(stage: &Stage) -> Built<Trail> {
    half(stage, "even", "odd")
}

fn odd(stage: &Stage) -> Built<Trail> {
    half(stage, "odd", "even")
}

/// A workflow that takes one step and leaves the others, up to five, to another one.
fn half(stage: &Stage, name: &str, other: &str) -> Built<Trail> {
    Workflow::<Trail>::build(name, "1", |flow| {
        flow.step_async(name, stage.mark())
            .choice("enough", |arms| {
                arms.when(
                    "no",
                    |trail| trail.len() < 5,
                    |flow| {
                        flow.run(
                            "other",
                            other,
                            Trail::clone,
                            |trail: &mut Trail, called: Trail| {
                                *trail = called;
                            },
                        )
                    },
                )
            })
    })
}

fn mutual(_: &Pattern, setting: Setting) {
    let pattern = Pattern::new(22, even, &Trail::new())
        .calls(odd)
        .ends_with(["even", "odd", "even", "odd", "even"]);
    let live = Live::open(&pattern, setting);
    let played = live.play();
    let runs = ["even", "odd"].map(|workflow| played.committed.runs(workflow));
    assert_eq!(runs, [3, 2]);
    live.close();
}
