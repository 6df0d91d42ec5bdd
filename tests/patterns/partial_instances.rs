//! Multiple instances, of which some suffice: WCP-34 to WCP-36.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{
    ActivationId, BranchEnd, MapChange, MapOutcome, Need, Payload, Rest, StepError, StepStatus,
    Workflow,
};
use windlass_store::ResultRow;

use crate::harness::{Act, Built, Live, Look, Noted, Pattern, Setting, Stage, Trail, results};
use crate::instances::{append, instances};

fn static_partial_join(stage: &Stage) -> Built<Trail> {
    Workflow::build("mi-static-partial-join", "1", |flow| {
        flow.map("five", |map| {
            map.count(5)
                .need(Need::AtLeast(3), Rest::Absorb)
                .each(|flow| flow.step_async("instance", stage.held_on_any(["3", "4"], "rest")))
                .reduce(append)
        })
        .step_async("next", stage.mark())
    })
}

/// The flow continues once three of five instances are done; the rest run on without effect on it.
pub(crate) fn wcp_34_static_partial_join() -> Pattern {
    Pattern::new(34, static_partial_join, &Trail::new())
        .ends_with(["instance", "instance", "instance", "next"])
        .driven_by(opens_the_rest)
        .asserts(
            "the_next_step_does_not_wait_for_the_rest",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "the next step done", |look| look.done("next") == 1);
                let next = live.stage.span("next");
                let before = live.stage.spans("instance");
                let before = before.iter().filter(|instance| instance.precedes(&next));
                assert_eq!(before.count(), 3);
                let played = live.drive(&run);
                assert_eq!(played.committed.count("instance"), 5);
                assert_eq!(played.committed.count("next"), 1);
                live.close();
            },
        )
        .asserts("what_comes_late_has_no_effect", late_results)
        .asserts("five_results_are_stored", five_results)
        .after_kills("the_next_step_follows_the_third", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                assert!([0, 5].contains(&instances(look).len()), "all or none");
                assert!(look.done("instance") >= 3 || look.reached("next") == 0);
                assert!(look.done("instance") <= 3 || look.done("next") == 1);
            }
        })
}

fn opens_the_rest(look: &Look) -> Vec<Act> {
    let opens = (look.done("next") == 1).then_some(Act::Open("rest"));
    opens.into_iter().collect()
}

/// None is held, so all five may have come before the flow goes on.
fn late_results(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    live.stage.open("rest");
    let runs: Vec<_> = (0..20).map(|_| live.begin_with(&pattern.input)).collect();
    for run in runs {
        let played = live.drive(&run);
        assert_eq!(played.committed.count("instance"), 5);
    }
    live.close();
}

fn five_results(pattern: &Pattern, setting: Setting) {
    if !setting.on_disk {
        return; // Only a file can be looked into past its engine.
    }
    let (builder, folder) = setting.builder();
    let live = Live::over(pattern, builder, Stage::new());
    let run = live.begin();
    live.drive(&run);
    let definition = live.look(&run).detail.definition;
    let node = |name: &str| definition.find(name).unwrap();
    let scope = ActivationId::ORIGIN.derive(node("five"), 0);
    let late = scope.derive(node("five/join"), 1);
    let database = folder.as_ref().unwrap().path().join("w.db");
    let stored = [scope, late].map(|scope| results(&database, run.id(), scope));
    let stored = stored.concat();
    let numbers = stored.iter().map(|result| result.index);
    assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let succeeded = |result: &ResultRow| matches!(result.outcome, Some(Ok(_)));
    assert!(stored.iter().all(succeeded), "{stored:?}");
    live.close();
}

fn cancelling_partial_join(stage: &Stage) -> Built<Trail> {
    Workflow::build("mi-cancelling-partial-join", "1", |flow| {
        flow.map("five", |map| {
            map.count(5)
                .need(Need::AtLeast(3), Rest::Cancel)
                .each(|flow| flow.step_async("instance", stage.held_on_any(["3", "4"], "never")))
                .reduce(append)
        })
        .step_async("next", stage.mark())
    })
}

/// The flow continues once three of five instances are done; the others are withdrawn.
pub(crate) fn wcp_35_cancelling_partial_join() -> Pattern {
    Pattern::new(35, cancelling_partial_join, &Trail::new())
        .ends_with(["instance", "instance", "instance", "next"])
        .asserts(
            "exactly_two_are_withdrawn_and_their_late_outcomes_refused",
            exactly_two,
        )
        .after_kills("all_of_the_rest_is_withdrawn_or_none", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                assert!([0, 2].contains(&withdrawn(look)), "{}", withdrawn(look));
                assert!(withdrawn(look) == 2 || look.reached("next") == 0);
            }
        })
}

/// How many instances were withdrawn.
fn withdrawn(look: &Look) -> usize {
    let steps = look.detail.steps.iter();
    let instances = steps.filter(|step| step.branch.is_some());
    instances
        .filter(|step| step.status == StepStatus::Cancelled)
        .count()
}

fn exactly_two(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    let played = live.drive(&run);
    assert_eq!(played.committed.count("instance"), 3);
    assert_eq!(played.committed.count("next"), 1);
    let before = live.look(&run);
    assert_eq!(withdrawn(&before), 2);
    // Their attempts are told to stop; what they bring comes after the run's end.
    live.until(&run, "none at work", |_| live.engine.stats().running == 0);
    for instance in live.stage.spans("instance") {
        assert!(instance.finish.is_some(), "{instance:?}");
    }
    let after = live.look(&run);
    assert_eq!(
        before.detail.steps, after.detail.steps,
        "a late outcome was written"
    );
    live.close();
}

/// Offers that are collected.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Offer {
    amount: u32,
    total: u32,
    trail: Trail,
}

impl Noted for Offer {
    fn note(&mut self, step: &str) {
        self.trail.note(step);
    }
}

fn dynamic_partial_join(stage: &Stage) -> Built<Offer> {
    let outside = stage.clone();
    Workflow::build("mi-dynamic-partial-join", "1", |flow| {
        flow.map("offers", |map| {
            map.count(2)
                .open()
                .each(|flow| flow.step_async("instance", stage.held_on("4", "rest")))
                .until(Rest::Absorb, move |sum: &mut u32, offer: Offer| {
                    outside.saw("evaluated");
                    *sum += offer.amount;
                    *sum >= 100
                })
                .reduce(add_up)
        })
        .step_async("next", stage.mark())
    })
}

#[expect(clippy::unnecessary_wraps, reason = "a reduction can fail")]
fn add_up(sum: &mut Offer, instance: BranchEnd<Offer>) -> Result<(), StepError> {
    sum.total += instance.ended.succeeded().map_or(0, |offer| offer.amount);
    Ok(())
}

/// Instances may be added; a condition is evaluated at each completion and, once it is true, the
/// flow continues.
pub(crate) fn wcp_36_dynamic_partial_join() -> Pattern {
    let input = Offer {
        amount: 30,
        total: 0,
        trail: Trail::new(),
    };
    Pattern::new(36, dynamic_partial_join, &input)
        .ends_with(json!({"amount": 30, "total": 120, "trail": ["next"]}))
        .driven_by(|look| match instances(look).len() {
            2 => vec![Act::ChangeMap("offers", three_more())],
            _ => opens_the_rest(look),
        })
        .asserts(
            "the_condition_is_evaluated_once_per_completion_and_once_true",
            evaluations,
        )
        .asserts("what_comes_late_is_not_counted", not_counted)
        .asserts("later_additions_are_refused", later_additions)
        .after_kills("the_next_step_follows_the_fourth", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                assert!([0, 2, 5].contains(&instances(look).len()));
                assert!(look.done("instance") >= 4 || look.reached("next") == 0);
            }
        })
}

fn three_more() -> MapChange {
    let offer = Payload::encode(&json!({"amount": 30, "total": 0, "trail": []})).unwrap();
    MapChange::Add(vec![offer; 3])
}

/// 30, 60 and 90 do not suffice, 120 does.
fn evaluations(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    let add = |what| {
        let scheduler = live.engine.scheduler();
        scheduler.change_map_blocking(run.id(), "offers", what)
    };
    live.until(&run, "two done", |look| look.done("instance") == 2);
    assert_eq!(add(three_more()).unwrap(), MapOutcome::Done);
    live.until(&run, "the next step done", |look| look.done("next") == 1);
    assert_eq!(live.stage.spans("evaluated").len(), 4);
    let played = live.drive(&run);
    assert_eq!(live.stage.spans("evaluated").len(), 4, "not for the rest");
    assert_eq!(played.committed.count("instance"), 5);
    assert_eq!(played.committed.count("next"), 1);
    live.close();
}

/// None is held, so all five may have come before the fourth one is counted.
fn not_counted(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    live.stage.open("rest");
    let runs: Vec<_> = (0..20).map(|_| live.begin_with(&pattern.input)).collect();
    for run in runs {
        live.until(&run, "two there", |look| instances(look).len() == 2);
        let played = live.drive(&run);
        assert_eq!(played.committed.count("instance"), 5);
    }
    live.close();
}

fn later_additions(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    let add = || {
        let scheduler = live.engine.scheduler();
        scheduler.change_map_blocking(run.id(), "offers", three_more())
    };
    live.until(&run, "two there", |look| instances(look).len() == 2);
    assert_eq!(add().unwrap(), MapOutcome::Done);
    live.until(&run, "enough done and one at work", |look| {
        look.done("next") == 1 && look.running("instance") == 1
    });
    assert_ne!(add().unwrap(), MapOutcome::Done);
    let played = live.drive(&run);
    assert_ne!(add().unwrap(), MapOutcome::Done);
    assert_eq!(played.committed.count("instance"), 5);
    live.close();
}
