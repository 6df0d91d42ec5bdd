//! What lenient mode repairs in a run of step groups: it is told at the end, and by `show`.

use serde_json::{Value as Json, json};

use crate::lab::Lab;
use crate::step_groups::status_of;

#[test]
fn what_lenient_mode_repairs_in_a_run_is_told() {
    let lab = Lab::new();
    lab.write(
        "ship.yaml",
        "
kind: Workflow
metadata: {name: db}
parameters: [{name: size, type: string}]
steps: [{name: make, type: idle}]
---
kind: Workflow
metadata: {name: ship}
variables: {TOKEN: (hunter2}
steps:
- {name: build, type: tool}
- {name: gate, type: idle, if: 'false', setVariables: {GO: 'yes'}}
- {name: use, type: idle, parallelGroup: 1, env: {V: '${workflow.GO}'}}
- {name: off, type: idle, parallelGroup: 1, if: '${build.kind} == big'}
- {name: db, type: workflow, workflow: db, parallelGroup: 1, parameters: {size: '${workflow.GO}'}}
- {name: no-db, type: workflow, workflow: db, parallelGroup: 1, if: 'x matches ${workflow.TOKEN}'}
- {name: on, type: idle, if: '${build.kind} != big'}
outputs: {kind: '${build.kind}'}
",
    );
    // What simulates makes up the outputs that others read.
    let handlers = "[handlers.idle]\nsimulate = '0s'\n[handlers.tool]\ncommand = ['true']\n";
    lab.write("handlers.toml", handlers);
    lab.write(
        "windlass.toml",
        "[dialects.step-groups-yaml]\nsecret_names = ['TOKEN']\n",
    );
    let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
    let run = [&run[..], &["--document", "ship", "--lenient", "--json"]].concat();
    let done = lab.call(&run).expect(0);
    let show = lab.last_run();
    let warnings = show["warnings"].as_array().unwrap();
    let of = |start: &str| -> Vec<&str> {
        let texts = warnings.iter().filter_map(Json::as_str);
        texts.filter(|text| text.starts_with(start)).collect()
    };
    for start in [
        "step use: reference-unset: env.V: ${workflow.GO} has no value because \"gate\" was skipped",
        "step off: ",
        "step db: reference-unset: parameters.size: ${workflow.GO} has no value",
        "step no-db: condition-error: if: ",
        "step on: ",
        "output-missing: outputs.kind: ${build.kind}: \"build\" completed without output \"kind\"",
    ] {
        assert_eq!(of(start).len(), 1, "{start} in {warnings:#?}");
    }
    assert_eq!(warnings.len(), 6, "{warnings:#?}");
    for (step, reason) in [("off", "if-false"), ("no-db", "condition-error")] {
        let expected = ("skipped".to_owned(), reason.to_owned());
        assert_eq!(status_of(&show, step), expected);
    }
    assert_eq!(show["workflow_outputs"], json!({"kind": ""}));
    let ended = done.json();
    assert_eq!(ended["runs"][0]["warnings"], show["warnings"]);
    let text = lab.call(&["show", "last"]).expect(0).out;
    for warning in warnings.iter().filter_map(Json::as_str) {
        assert!(text.contains(&format!("  {warning}\n")), "{text}");
        let said = format!("warning: {warning}");
        assert!(done.err.contains(&said), "{said} in {}", done.err);
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn what_was_repaired_for_a_step_that_then_failed_or_took_too_long_is_told_too() {
    for (kind, code) in [("broken", "handler-failed"), ("slow", "step-timeout")] {
        let lab = Lab::new();
        let text = format!(
            "
variables: {{TOKEN: hunter2}}
steps:
- {{name: gate, type: idle, if: 'false', setVariables: {{GO: 'yes'}}}}
- {{name: use, type: {kind}, timeout: 1, env: {{V: '${{workflow.GO}} $TOKEN'}}}}
"
        );
        lab.write("ship.yaml", &text);
        lab.write(
            "handlers.toml",
            "
[handlers.idle]
simulate = '0s'
[handlers.broken]
simulate = '0s'
fail = 'it broke'
[handlers.slow]
command = ['sleep', '100']
",
        );
        let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
        let done = lab
            .call(&[&run[..], &["--lenient", "--json"]].concat())
            .expect(1);
        let show = lab.last_run();
        assert_eq!(show["errors"][0]["code"], code, "{show:#}");
        let warnings = show["warnings"].as_array().unwrap();
        let [told] = &warnings[..] else {
            panic!("one warning: {warnings:?}");
        };
        let expected = "step use: reference-unset: env.V: ${workflow.GO} has no value because \"gate\" was skipped";
        assert!(told.as_str().unwrap().starts_with(expected), "{told}");
        assert_eq!(done.json()["runs"][0]["warnings"], show["warnings"]);
    }
}
