//! Multiple instances: WCP-12 to WCP-14.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{BranchResult, StepError, Workflow};

use crate::basic::all_or_none;
use crate::harness::{Act, Built, End, Live, Look, Noted, Pattern, Setting, Stage, Trail, gather};

fn named(count: u32, data: &Trail) -> Vec<(String, Trail)> {
    (1..=count)
        .map(|number| (number.to_string(), data.clone()))
        .collect()
}

fn without_synchronization(stage: &Stage) -> Built<Trail> {
    Workflow::build("mi-without-synchronization", "1", |flow| {
        flow.detach("apart", |flow| {
            let instance = stage.held("instances");
            flow.split_each(
                "three",
                None,
                |trail| named(3, trail),
                |flow| flow.step_async("instance", instance),
                |_, _| Ok(()),
            )
        })
        .step_async("parent", stage.mark())
    })
}

/// Several independent instances of a step are created and need not be joined: they are on a branch
/// that nothing waits for but the run's end.
pub(crate) fn wcp_12_mi_without_synchronization() -> Pattern {
    Pattern::new(12, without_synchronization, &Trail::new())
        .ends_with(["parent"])
        .driven_by(|look| {
            let opens = (look.done("parent") == 1).then_some(Act::Open("instances"));
            opens.into_iter().collect()
        })
        .asserts("the_parent_goes_on_while_they_run", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            live.until(&run, "the parent done and three at work", |look| {
                look.done("parent") == 1 && look.running("instance") == 3
            });
            let parent = live.stage.span("parent");
            let played = live.drive(&run);
            let instances = live.stage.spans("instance");
            assert_eq!(
                (instances.len(), played.committed.count("instance")),
                (3, 3)
            );
            for instance in &instances {
                let ended = instance.finish.expect("the run's end waits for it");
                assert!(Some(ended) > parent.finish, "{instance:?} {parent:?}");
            }
            live.close();
        })
        .after_kills("a_kill_leaves_no_instance_or_all", |wrecks| {
            all_or_none(wrecks, 3, |wreck| {
                wreck
                    .look
                    .as_ref()
                    .map_or(0, |look| look.reached("instance"))
            });
        })
}

fn design_time_knowledge(stage: &Stage) -> Built<Trail> {
    Workflow::build("mi-design-time", "1", |flow| {
        let instance = stage.held_on("3", "third");
        flow.split_each(
            "three",
            None,
            |trail| named(3, trail),
            |flow| flow.step_async("instance", instance),
            gather,
        )
        .step_async("next", stage.mark())
    })
}

/// The number is fixed in the definition; the flow continues when all have completed.
pub(crate) fn wcp_13_mi_design_time_knowledge() -> Pattern {
    Pattern::new(13, design_time_knowledge, &Trail::new())
        .ends_with(["instance", "instance", "instance", "next"])
        .driven_by(|look| {
            let opens = (look.done("instance") == 2).then_some(Act::Open("third"));
            opens.into_iter().collect()
        })
        .asserts("the_next_step_waits_for_the_third", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            live.until(&run, "two done and the third at work", |look| {
                look.done("instance") == 2 && look.running("instance") == 1
            });
            assert_eq!(live.look(&run).reached("next"), 0);
            live.drive(&run);
            let next = live.stage.span("next");
            let instances = live.stage.spans("instance");
            assert_eq!(instances.len(), 3);
            assert!(instances.iter().all(|instance| instance.precedes(&next)));
            live.close();
        })
        .after_kills("a_kill_leaves_no_instance_or_all", |wrecks| {
            all_or_none(wrecks, 3, |wreck| {
                wreck
                    .look
                    .as_ref()
                    .map_or(0, |look| look.reached("instance"))
            });
        })
}

/// As many instances as `count` says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Batch {
    count: u32,
    number: u32,
    done: Vec<u32>,
}

impl Noted for Batch {
    fn note(&mut self, step: &str) {
        if step == "instance" {
            self.done.push(self.number);
            // Too late to change how many there are.
            self.count += 5;
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
fn collect(batch: &mut Batch, results: Vec<BranchResult<Batch>>) -> Result<(), StepError> {
    batch.done = results
        .into_iter()
        .flat_map(|result| result.data.done)
        .collect();
    Ok(())
}

fn run_time_knowledge(stage: &Stage) -> Built<Batch> {
    Workflow::build("mi-run-time", "1", |flow| {
        let instance = stage.mark();
        flow.split_each(
            "as-many-as-counted",
            None,
            |batch: &Batch| {
                let instance = |number| {
                    (
                        format!("{number}"),
                        Batch {
                            number,
                            ..batch.clone()
                        },
                    )
                };
                (0..batch.count).map(instance).collect()
            },
            |flow| flow.step_async("instance", instance),
            collect,
        )
        .step_async("next", stage.mark())
    })
}

/// The number is known at run time before the first is created; the flow continues when all have
/// completed.
pub(crate) fn wcp_14_mi_run_time_knowledge() -> Pattern {
    let input = Batch {
        count: 3,
        ..Batch::default()
    };
    Pattern::new(14, run_time_knowledge, &input)
        .ends_with(json!({"count": 3, "number": 0, "done": [0, 1, 2]}))
        .asserts(
            "none_passes_straight_through_and_a_thousand_are_awaited",
            counts,
        )
        .after_kills("a_kill_leaves_no_instance_or_all", |wrecks| {
            all_or_none(wrecks, 3, |wreck| wreck.look.as_ref().map_or(0, instances));
        })
}

/// How many instances of different numbers there are.
fn instances(look: &Look) -> usize {
    let numbers = look
        .detail
        .steps
        .iter()
        .filter(|view| view.step == "instance");
    let mut numbers: Vec<_> = numbers.filter_map(|view| view.branch.clone()).collect();
    numbers.sort_unstable();
    let all = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "an index is there twice");
    all
}

fn counts(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    for count in [0_u32, 1, 1_000] {
        let played = live.play_with(&json!({"count": count, "number": 0, "done": []}));
        let done: Vec<u32> = (0..count).collect();
        let end = json!({"count": count, "number": 0, "done": done});
        assert_eq!(played.end, End::Succeeded(end));
        assert_eq!(played.committed.count("instance"), count as usize);
        assert_eq!(played.committed.count("next"), 1);
        let next = live.stage.spans("next").pop().unwrap();
        let instances = live.stage.spans("instance");
        assert!(instances.iter().all(|instance| instance.precedes(&next)));
    }
    live.close();
}
