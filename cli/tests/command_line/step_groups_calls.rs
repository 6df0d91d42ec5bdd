//! Steps of step groups that start other workflows.

use serde_json::json;

use crate::lab::{Lab, eventually};
use crate::step_groups::status_of;

const HANDLERS: &str = "
[handlers.idle]
simulate = '0s'
[handlers.broken]
simulate = '0s'
fail = 'it broke'
[handlers.slow]
simulate = '100s'
";

const RUN: [&str; 6] = [
    "run",
    "ship.yaml",
    "--document",
    "ship",
    "--handlers",
    "handlers.toml",
];

/// A folder with workflow `ship` of these steps, and one named `db` of one step.
fn lab(steps: &str, in_db: &str) -> Lab {
    let lab = Lab::new();
    let text = format!(
        "
kind: Workflow
metadata: {{name: db}}
steps: [{{name: make, type: {in_db}}}]
---
kind: Workflow
metadata: {{name: ship}}
steps:
{steps}
"
    );
    lab.write("ship.yaml", &text);
    lab.write("handlers.toml", HANDLERS);
    lab
}

#[test]
fn a_call_that_is_passed_by_says_why() {
    let steps = |first: &str, last: &str| {
        format!(
            "
- {{name: first, type: {first}, parallelGroup: 1}}
- {{name: after, type: workflow, workflow: db, parallelGroup: 1, dependsOn: [first]}}
- {{name: off, type: workflow, workflow: db, when: always, if: x == y}}
- {{name: mute, type: workflow, workflow: db, when: always, unless: 'true'}}
- {{name: off-too, type: workflow, workflow: db, if: 'false'}}
- {{name: rescue, type: workflow, workflow: db, when: on_failure}}
- {{name: last, type: {last}}}
"
        )
    };
    let check = |first, last, code, expected: [&str; 5]| {
        let lab = lab(&steps(first, last), "idle");
        lab.call(&RUN).expect(code);
        let show = lab.last_run();
        let names = ["after", "off", "mute", "off-too", "rescue"];
        for (name, reason) in names.into_iter().zip(expected) {
            let status = if reason.is_empty() {
                "succeeded"
            } else {
                "skipped"
            };
            let expected = (status.to_owned(), reason.to_owned());
            assert_eq!(status_of(&show, name), expected, "{name} after {first}");
        }
    };
    let passed = ["", "if-false", "unless-true", "if-false", "when:on_failure"];
    check("idle", "idle", 0, passed);
    // Also where the run has failed since.
    check("idle", "broken", 1, passed);
    let failed = [
        "dependency-failed:first",
        "if-false",
        "unless-true",
        "run-already-failed",
        "",
    ];
    check("broken", "idle", 1, failed);
}

#[test]
fn a_workflow_that_takes_too_long_is_told_at_its_step() {
    let call = "- {name: db, type: workflow, workflow: db, timeout: 1}\n";
    for (rest, of_tell) in [
        ("- {name: tell, type: idle}", "skipped"),
        (
            "- {name: tell, type: idle, when: on_failure, if: db.failed}",
            "succeeded",
        ),
    ] {
        let lab = lab(&format!("{call}{rest}"), "slow");
        lab.call(&RUN).expect(1);
        let show = lab.last_run();
        let error = json!({
            "step": "db",
            "parent": "phase-1",
            "branch": "db",
            "code": "step-timeout",
            "message": "no result after 1 s; its limit has passed; raise timeout or speed it up",
        });
        assert_eq!(show["errors"], json!([error]));
        let rows = show["steps"].as_array().unwrap();
        let row = rows.iter().find(|row| row["step"] == "db").unwrap();
        assert_eq!(row["status"], "failed");
        assert_eq!(row["error"], error);
        assert_eq!(status_of(&show, "tell").0, of_tell);
        let runs = lab.call(&["runs", "--json"]).expect(0).json();
        let runs = runs["runs"].as_array().unwrap();
        let called = runs.iter().find(|run| run["workflow"] == "db").unwrap();
        assert_eq!(called["status"], "cancelled", "{called:#}");
    }
}

#[test]
fn a_call_takes_none_of_the_places_for_steps() {
    let lab = lab(
        "
- {name: first, type: wait, parallelGroup: 1}
- {name: second, type: idle, parallelGroup: 1}
- {name: db, type: workflow, workflow: db, parallelGroup: 1, if: x == x}
",
        "make",
    );
    // The first step, which has the only place, waits for what the workflow makes.
    let wait = "for i in $(seq 500); do test -e made && exit 0; sleep 0.02; done; exit 1";
    lab.write(
        "handlers.toml",
        &format!(
            "{HANDLERS}
[handlers.wait]
command = ['sh', '-c', '{wait}']
[handlers.make]
command = ['touch', 'made']
"
        ),
    );
    lab.write(
        "windlass.toml",
        "[dialects.step-groups-yaml]\nmax_concurrent_steps = 1\n",
    );
    lab.call(&RUN).expect(0);
    let show = lab.last_run();
    let began = |step: &str| {
        let rows = show["steps"].as_array().unwrap();
        let row = rows.iter().find(|row| row["step"] == step).unwrap();
        let time = row["started_at"].as_str().unwrap();
        time.to_owned()
    };
    assert!(began("first") < began("second"), "in document order");
}

#[test]
fn the_row_of_a_call_has_what_the_workflow_was_given_without_secrets() {
    let lab = Lab::new();
    lab.write(
        "ship.yaml",
        r#"
kind: Workflow
metadata: {name: db}
parameters:
- {name: size, type: number}
- {name: url, type: string}
- {name: PIN, type: string}
steps: [{name: make, type: idle}, {name: ok, type: idle, when: manual}]
---
kind: Workflow
metadata: {name: ship}
variables: {TOKEN: hunter2, REGION: north}
steps:
- name: db
  type: workflow
  workflow: db
  env: {KEY: swordfish, COUNT: "3"}
  parameters: {size: $COUNT, url: "https://$REGION/$TOKEN?k=$KEY", PIN: opensesame}
- {name: last, type: call}
"#,
    );
    let handlers = format!("{HANDLERS}[handlers.call]\nsimulate = '0s'\n");
    lab.write("handlers.toml", &handlers);
    lab.write(
        "windlass.toml",
        "[dialects.step-groups-yaml]\nsecret_names = ['TOKEN', 'KEY', 'PIN']\n",
    );
    let expected = json!({
        "config": {},
        "fields": {},
        "env": {"KEY": "***", "COUNT": "3", "REGION": "north", "TOKEN": "***"},
        "parameters": {"size": 3, "url": "https://north/***?k=***", "PIN": "***"},
    });
    let check = |lab: &Lab, run: &str, status: &str| {
        let show = lab.call(&["show", run, "--json"]).expect(0);
        for secret in ["hunter2", "swordfish", "opensesame"] {
            assert!(!show.out.contains(secret), "{secret} in {}", show.out);
        }
        let show = show.json();
        let rows = show["steps"].as_array().unwrap();
        let row = rows.iter().find(|row| row["step"] == "db").unwrap();
        assert_eq!(row["status"], status, "{row:#}");
        assert_eq!(row["input"], expected, "{row:#}");
        assert_eq!(row["kind"], "workflow", "{row:#}");
        let last = rows.last().unwrap();
        assert_eq!(last["kind"], "call", "the type of a handler is its own");
    };
    for (answer, code, end) in [("approve", 0, "succeeded"), ("reject", 1, "failed")] {
        let mut engine = lab.start(&RUN);
        let waits = || {
            let runs = lab.call(&["runs", "--json"]).json();
            let runs = runs["runs"].as_array().cloned().unwrap_or_default();
            let mut runs = runs.into_iter();
            let is_inner =
                |run: &serde_json::Value| run["workflow"] == "db" && run["status"] == "waiting";
            runs.find(is_inner)
                .map(|run| run["run"].as_str().unwrap().to_owned())
        };
        eventually("the workflow waits", || waits().is_some());
        check(&lab, "last", "waiting");
        engine.kill().unwrap();
        engine.wait().unwrap();
        lab.call(&[answer, &waits().unwrap(), "ok"]).expect(0);
        lab.call(&["resume", "last", "--handlers", "handlers.toml"])
            .expect(code);
        check(&lab, "last", end);
    }
}
