//! Crash tests of workflows that bear it, in this process and in others.

use std::time::Duration;

use windlass::{Handler, Json, StepOutput, Workflow};
use windlass_testkit::{Case, End, Recorder, crash_everywhere};

use crate::workflows::{Trail, build, effects, everyday, mark};

#[test]
fn a_workflow_that_bears_a_crash_at_each_commit_passes() {
    let report = everyday().crash_everywhere();
    assert!(report.commits >= 10, "{report:?}");
    assert_eq!(report.crashes, 2 * report.commits);
}

#[test]
fn each_class_of_effects_passes_and_so_does_undoing() {
    let recorder = Recorder::new();
    let report = effects(&recorder).crash_everywhere();
    assert_eq!(report.crashes, 2 * report.commits);
    assert_eq!(
        recorder.of("pay"),
        ["paid"],
        "the notes of the last crash are there to be looked at"
    );
}

#[test]
fn a_step_that_may_have_happened_parks_its_run_and_that_is_right() {
    let recorder = Recorder::new();
    let pays = recorder.clone();
    let workflow = build("once", |flow| {
        flow.step("pay", move |context, trail| {
            pays.note(context, "paid");
            mark("pay")(context, trail)
        })
        .at_most_once()
    });
    crash_everywhere(&workflow, &Trail::new(), |case| case.recorder(&recorder));
}

#[test]
fn a_workflow_in_json_passes_with_handlers_of_the_engine() {
    let text = r#"{"name": "json", "version": "1", "start": "one", "nodes": [
        {"name": "one", "kind": {"step": {"handler": "add"}}, "next": "two"},
        {"name": "two", "kind": {"step": {"handler": "add"}}}]}"#;
    let workflow = Workflow::<Json>::from_json(text).unwrap();
    let add = Handler::blocking(|_, data| {
        let sum: i64 = data.decode().unwrap_or_default();
        let sum = windlass::Payload::encode(&(sum + 1)).expect("a number");
        Ok(StepOutput::data(sum))
    });
    let recorder = Recorder::new();
    let add = recorder.recorded(add);
    let report = crash_everywhere(&workflow, &Json::from(1), |case| {
        case.recorder(&recorder).handler("add", add)
    });
    assert!(report.crashes > 0);
    assert!(recorder.of("one").contains(&"one".to_owned()));
}

#[test]
fn a_step_that_waits_for_the_real_world_is_waited_for() {
    let workflow = build("real", |flow| {
        flow.step_async("wait", |_, mut trail: Trail| async move {
            tokio::time::sleep(Duration::from_millis(150)).await;
            trail.push("waited".to_owned());
            Ok(trail)
        })
        // No more than that on the clock of the engine, which stands.
        .timeout(Duration::from_millis(1))
    });
    let report = crash_everywhere(&workflow, &Trail::new(), |case| {
        case.ends(|end| matches!(end, End::Succeeded(_)))
    });
    assert!(report.crashes > 0);
}

#[test]
fn called_runs_are_checked_with_the_one_that_calls_them() {
    let called = build("called", |flow| flow.step("below", mark("below")));
    let workflow = build("calls", |flow| {
        flow.run(
            "call",
            "called",
            |trail: &Trail| trail.clone(),
            |trail, below: Trail| {
                *trail = below;
            },
        )
        .step("after", mark("after"))
    });
    let case = Case::new(&workflow, &Trail::new());
    let report = case.workflow(&called).crash_everywhere();
    assert!(report.crashes > 0);
}

#[test]
fn a_process_that_is_killed_at_each_commit_passes() {
    let report = everyday().kill_everywhere();
    assert!(report.crashes >= 20, "{report:?}");
}

#[test]
fn a_process_that_is_killed_at_each_commit_has_its_effects_as_declared() {
    let report = effects(&Recorder::new()).kill_everywhere();
    assert!(report.crashes >= 20, "{report:?}");
}
