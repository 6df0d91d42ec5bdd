//! The numbered cases of the dialect's page, those about runs.

use serde_json::json;
use windlass_dialects::{GroupResult, ImportOptions, Severity, import};

use crate::checks::{codes, listing, options};
use crate::play::{failing, gives, idle, play, play_answered, run};

#[test]
fn t4_a_failing_run_goes_on_to_those_that_run_after_failures() {
    let text = "
steps:
  - {name: a, type: t, parallelGroup: 1}
  - {name: b, type: t, parallelGroup: 1}
  - {name: c, type: t}
  - {name: d, type: t, when: on_failure}
  - {name: e, type: t, when: always}
  - {name: f, type: t}
";
    let played = run(text, &failing(&["a"]));
    assert_eq!(played.done, ["b", "a", "d", "e"]);
    assert_eq!(
        played.skipped,
        ["c: run-already-failed"],
        "f is never reached"
    );
    assert_eq!(played.errors(), ["a: handler-failed"]);
    let played = run(text, &failing(&["a", "d"]));
    assert_eq!(played.done, ["b", "a", "d", "e"]);
    assert_eq!(played.errors(), ["a: handler-failed", "d: handler-failed"]);
    let played = run(text, &idle);
    assert_eq!(played.skipped, ["d: when:on_failure"]);
    assert_eq!(played.done, ["b", "a", "c", "e", "f"]);
    assert!(played.result.is_ok());
}

#[test]
fn t5_a_step_waits_for_another_of_its_group() {
    let text = "
steps:
  - {name: x, type: t, parallelGroup: 1}
  - {name: y, type: t, parallelGroup: 1, dependsOn: [x]}
  - {name: z, type: t, parallelGroup: 1}
";
    let played = run(text, &idle);
    assert_eq!(played.done, ["x", "y", "z"], "x and z begin at once");
    assert!(played.result.is_ok());
    let played = run(text, &failing(&["x"]));
    assert_eq!(played.done, ["x", "z"]);
    assert_eq!(played.skipped, ["y: dependency-failed:x"]);
    assert_eq!(played.errors(), ["x: handler-failed"]);
}

#[test]
fn steps_of_a_phase_may_wait_for_each_other_in_any_order_that_is_no_ring() {
    let text = "
variables: {K: start}
steps:
  - {name: last, type: t, parallelGroup: 1, dependsOn: [l, r], env: {V: $K}, setVariables: {K: last}}
  - {name: l, type: t, parallelGroup: 1, dependsOn: [top, top], setVariables: {L: l}}
  - {name: r, type: t, parallelGroup: 1, dependsOn: [top], unless: 'true'}
  - {name: top, type: t, parallelGroup: 1, setVariables: {K: top}}
  - {name: other, type: t, parallelGroup: 1, dependsOn: [top], env: {V: $K}}
  - {name: after, type: t, env: {V: $K$L}}
";
    let played = run(&text.replace(", unless: 'true'", ""), &idle);
    assert_eq!(played.done[0], "top");
    assert_eq!(played.inputs["last"]["env"]["V"], "top");
    assert_eq!(played.inputs["other"]["env"]["V"], "top");
    assert_eq!(played.inputs["after"]["env"]["V"], "lastl");
    let played = run(text, &idle);
    assert_eq!(
        played.skipped,
        ["r: unless-true", "last: dependency-skipped:r"]
    );
    assert_eq!(played.inputs["after"]["env"]["V"], "topl");
}

#[test]
fn t6_conditions_and_values_that_nobody_has_set() {
    let text = "
variables: {STAGE: qa}
steps:
  - {name: gate, type: t, if: \"${workflow.STAGE} == prod\", setVariables: {GO: \"yes\"}}
  - {name: ship, type: t, if: \"${workflow.GO} == yes\"}
  - {name: note, type: t, unless: $SILENT, env: {SILENT: \"0\"}}
  - {name: big, type: t, if: $N >= 10, env: {N: \"9\"}}
";
    let played = run(text, &idle);
    assert_eq!(played.done, ["note"]);
    assert_eq!(
        played.skipped,
        ["gate: if-false", "ship: if-false", "big: if-false"]
    );
    assert!(played.result.is_ok());
}

#[test]
fn t7_of_several_sources_of_an_output_the_later_wins() {
    let text = "
steps:
  - {name: build, type: t, outputFile: out.json, setVariables: {version: X}}
  - {name: ship, type: t, env: {V: '${build.version}', S: '${build.meta.sha}', W: '${workflow.version}'}}
";
    let played = run(text, &|step, input| {
        if step != "build" {
            return idle(step, input);
        }
        assert_eq!(input["output_file"], "out.json");
        Ok(GroupResult {
            outputs: json!({"version": 1.50, "meta": {"sha": "ab"}}),
            output_file: Some(Ok("{\"version\": 2000000}".to_owned())),
        })
    });
    let expected = json!({"V": "2000000", "S": "ab", "W": "X"});
    assert_eq!(played.inputs["ship"]["env"], expected);
}

#[test]
fn t8_all_load_errors_come_in_one_report() {
    let text = "
steps:
  - {name: a, type: t, parallelGroup: 3}
  - {name: a, type: t, parallelGroup: 1}
  - {name: b, type: t, parallelGroup: 3}
  - {name: c, type: t, dependsOn: [ghost]}
  - {name: d, type: t, when: maybe}
  - {name: e, type: none}
";
    let imported = import(text, &crate::checks::handlers(&["t"]));
    assert_eq!(
        codes(&imported, Severity::Error),
        [
            "duplicate-step",
            "group-order-descending",
            "group-reappears",
            "no-handler",
            "unknown-dependency",
            "unknown-when",
        ]
    );
    assert_eq!(imported.diagnostics.len(), 6, "{}", listing(&imported));
}

#[test]
fn t9_a_person_approves_or_rejects() {
    let text = "
steps:
  - {name: a, type: t}
  - {name: ok, type: t, when: manual}
  - {name: b, type: t}
";
    let answered = |answer| play_answered(text, &options(), &json!({}), &idle, &answer);
    let played = answered(json!({"status": "success"}));
    assert_eq!(played.done, ["a", "ok approval", "ok", "b"]);
    assert!(played.result.is_ok());
    let played = answered(json!({"status": "failure", "by": "kim"}));
    assert_eq!(played.done, ["a", "ok approval"]);
    assert_eq!(played.errors(), ["ok: approval-rejected"]);
    let said = &played.result.unwrap_err().errors[0].message;
    assert!(said.contains("by kim"), "{said}");
    let mut options = options();
    options.step_groups.approval_timeout = Some(std::time::Duration::from_hours(24));
    let played = play_answered(text, &options, &json!({}), &idle, &json!("late"));
    assert_eq!(played.errors(), ["ok: approval-timeout"]);
    let said = |played: crate::play::Played| played.result.unwrap_err().errors[0].message.clone();
    assert_eq!(
        said(played),
        "nobody answered in 24 h; the wait is over; answer earlier or raise approval_timeout"
    );
    let nobody = answered(json!({"status": "failure", "by": "", "message": " "}));
    assert_eq!(
        said(nobody),
        "rejected; later phases are skipped; start again when it may pass"
    );
}

#[test]
fn in_a_rehearsal_nobody_is_asked() {
    let text = "
steps:
  - {name: a, type: t}
  - {name: ok, type: t, when: manual}
  - {name: no, type: t, when: manual, if: 'false'}
";
    let mut options = options();
    options.step_groups.approve_all = true;
    let played = play(text, &options, &json!({}), &idle);
    assert_eq!(played.done, ["a", "ok"]);
    assert_eq!(played.skipped, ["no: if-false"]);
    let played = play(text, &options, &json!({}), &failing(&["a"]));
    assert_eq!(played.done, ["a"], "a failure still keeps it from running");
}

#[test]
fn nobody_is_asked_for_a_step_that_would_not_run() {
    let text = "
steps:
  - {name: ok, type: t, when: manual, if: 'false'}
";
    let played = run(text, &idle);
    assert_eq!(played.done, [""; 0]);
    assert_eq!(played.skipped, ["ok: if-false"]);
}

#[test]
fn t10_siblings_that_set_one_variable_have_to_be_ordered() {
    let text = |depends: &str| {
        format!(
            "
steps:
  - {{name: a, type: t, parallelGroup: 1, setVariables: {{K: a}}}}
  - {{name: b, type: t, parallelGroup: 1, setVariables: {{K: b}}{depends}}}
  - {{name: c, type: t, env: {{V: $K}}}}
"
        )
    };
    let imported = import(&text(""), &options());
    assert_eq!(
        codes(&imported, Severity::Error),
        ["sibling-variable-conflict"]
    );
    let played = run(&text(", dependsOn: [a]"), &idle);
    assert_eq!(played.inputs["c"]["env"]["V"], "b");
}

#[test]
fn t11_four_documents_hold_four_workflows() {
    let text = "
kind: Workflow
metadata: {name: full}
spec: {steps: [{name: a, type: t}]}
---
steps: [{name: a, type: t}]
---
apiVersion: score.dev/v1b1
metadata: {name: app}
workflows:
  x: {steps: [{name: a, type: t}]}
  y: {steps: [{name: a, type: t}]}
---
key: value
";
    let imported = import(text, &options());
    assert!(imported.ok(), "{}", listing(&imported));
    let names: Vec<_> = imported
        .workflows
        .iter()
        .map(|one| one.definition.name())
        .collect();
    assert_eq!(names, ["full", "ship-2", "app/x", "app/y"]);
    assert_eq!(
        codes(&imported, Severity::Warning),
        ["document-without-workflow"]
    );
}

#[test]
fn t12_a_test_for_a_failure_runs_after_one() {
    let text = "
steps:
  - {name: a, type: t}
  - {name: tell, type: t, if: a.failed}
";
    let imported = import(text, &ImportOptions::new("ship.yaml"));
    assert_eq!(codes(&imported, Severity::Info), ["when-assumed-always"]);
    let played = run(text, &failing(&["a"]));
    assert_eq!(played.done, ["a", "tell"]);
    assert_eq!(played.errors(), ["a: handler-failed"]);
    let played = run(text, &|_, _| gives(json!({})));
    assert_eq!(played.skipped, ["tell: if-false"]);
}
