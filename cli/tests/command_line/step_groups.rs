//! Step groups with values, conditions, approvals and workflows that start others.

use serde_json::json;

use crate::lab::{Lab, eventually};

const HANDLERS: &str = "
[handlers.idle]
simulate = '0s'
[handlers.broken]
simulate = '0s'
fail = 'it broke'
";

pub(crate) fn status_of(show: &serde_json::Value, step: &str) -> (String, String) {
    let rows = show["steps"].as_array().unwrap();
    let row = rows.iter().find(|row| row["step"] == step).unwrap();
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

#[test]
fn values_reach_programs_and_failures_reach_those_that_wait_for_them() {
    let lab = Lab::new();
    lab.write(
        "ship.yaml",
        "
parameters:
- {name: size, type: string, required: true}
variables: {STAGE: qa}
steps:
- {name: a, type: idle, setVariables: {TAG: '${parameters.size}-$STAGE'}}
- {name: b, type: idle, if: '$STAGE == prod'}
- {name: c, type: broken}
- {name: d, type: idle}
- {name: e, type: idle, when: on_failure}
",
    );
    lab.write("handlers.toml", HANDLERS);
    let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
    let refused = lab.call(&run);
    assert_eq!(refused.code, Some(2));
    assert!(refused.err.contains("parameter-missing"), "{}", refused.err);
    lab.call(&[&run[..], &["--param", "size=big"]].concat())
        .expect(1);
    let show = lab.last_run();
    let row = |step| status_of(&show, step);
    assert_eq!(row("a").0, "succeeded");
    assert_eq!(row("b"), ("skipped".to_owned(), "if-false".to_owned()));
    assert_eq!(row("c").0, "failed");
    assert_eq!(
        row("d"),
        ("skipped".to_owned(), "run-already-failed".to_owned())
    );
    assert_eq!(row("e").0, "succeeded");
    assert_eq!(row("phase-3").0, "failed");
    assert_eq!(show["run"]["status"], "failed");
    assert_eq!(show["outputs"]["a"], json!({"TAG": "big-qa"}));
}

#[test]
fn a_phase_has_failed_with_one_of_its_steps_until_a_retry_gets_over_it() {
    let lab = Lab::new();
    let handlers = "[handlers.idle]\nsimulate = '1ms'\n[handlers.broken]\nsimulate = '1ms'\nfail = 'no'\n[handlers.late]\ncommand = ['sh', '-c', 'test -e ready']\n";
    lab.write("handlers.toml", handlers);
    let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
    let group = |first: &str, second: &str| {
        let text = format!(
            "
steps:
- {{name: x, type: {first}, parallelGroup: 1}}
- {{name: y, type: idle, parallelGroup: 1{second}}}
- {{name: z, type: idle}}
"
        );
        lab.write("ship.yaml", &text);
        lab.call(&run).expect(1);
    };
    // The way goes on from the failed step, but only to tell those that wait for it.
    group("broken", ", dependsOn: [x]");
    let show = lab.last_run();
    assert_eq!(status_of(&show, "phase-1").0, "failed");
    assert_eq!(status_of(&show, "y").1, "dependency-failed:x");
    group("late", "");
    assert_eq!(status_of(&lab.last_run(), "phase-1").0, "failed");
    lab.write("ready", "");
    lab.call(&["retry", "last"]).expect(0);
    let show = lab.last_run();
    let rows = show["steps"].as_array().unwrap();
    assert_eq!(rows.len(), 5, "a row for each step and phase: {rows:#?}");
    assert!(
        rows.iter().all(|row| row["status"] == "succeeded"),
        "{rows:#?}"
    );
}

#[test]
fn a_retry_that_could_only_meet_the_same_error_is_refused() {
    let lab = Lab::new();
    let text = |tell: &str| {
        format!(
            "
steps:
- {{name: a, type: broken}}
- {{name: tell, type: idle{tell}}}
"
        )
    };
    let handlers = "[handlers.idle]\nsimulate = '1ms'\n[handlers.broken]\nsimulate = '1ms'\nfail = 'no'\nfail_attempts = 1\n";
    lab.write("handlers.toml", handlers);
    let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
    // The failure has been passed on to a later step.
    lab.write("ship.yaml", &text(", when: on_failure"));
    let done = lab.call(&run).expect(1);
    done.says(&["cannot be done again by retry"]);
    lab.call(&["retry", "last"])
        .expect(2)
        .says(&["phase-2 failures", "windlass run"]);
    // Here the failed step itself is where the run stands.
    lab.write("ship.yaml", &text(""));
    lab.call(&run).expect(1).says(&["windlass retry"]);
    lab.call(&["retry", "last"]).expect(1);
}

#[test]
fn a_person_is_waited_for_also_after_a_kill() {
    let lab = Lab::new();
    lab.write(
        "ship.yaml",
        "
steps:
- {name: a, type: idle}
- {name: ok, type: idle, when: manual}
- {name: b, type: idle}
",
    );
    lab.write("handlers.toml", HANDLERS);
    let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
    for (answer, end, of_b) in [("approve", 0, "succeeded"), ("reject", 1, "skipped")] {
        let mut engine = lab.start(&run);
        eventually("it waits", || {
            let show = lab.call(&["show", "last", "--json"]);
            show.code == Some(0) && status_of(&show.json(), "ok approval").0 == "waiting"
        });
        let show = lab.last_run();
        let own = ("waiting".to_owned(), "approval".to_owned());
        assert_eq!(status_of(&show, "ok"), own);
        let text = lab.call(&["show", "last"]).expect(0).out;
        let own = text.lines().find(|line| line.starts_with("ok "));
        let own = own.unwrap_or_default().split_whitespace();
        assert!(
            own.eq(["ok", "idle", "phase-2", "ok", "all", "waiting", "approval"]),
            "{text}"
        );
        engine.kill().unwrap();
        engine.wait().unwrap();
        lab.call(&[answer, "last", "ok", "--by", "kim"]).expect(0);
        lab.call(&["resume", "last", "--handlers", "handlers.toml"])
            .expect(end);
        assert_eq!(status_of(&lab.last_run(), "b").0, of_b);
    }
    let show = lab.last_run();
    assert_eq!(status_of(&show, "ok").0, "failed");
    let over = ("succeeded".to_owned(), "rejected by kim".to_owned());
    assert_eq!(status_of(&show, "ok approval"), over);
}

#[test]
fn a_person_is_asked_at_once_and_the_step_takes_its_place_after_the_answer() {
    let lab = Lab::new();
    lab.write(
        "ship.yaml",
        "
steps:
- {name: first, type: hold, parallelGroup: 1}
- {name: ok, type: idle, parallelGroup: 1, when: manual}
",
    );
    // The first step, which has the only place, works until it is told to end.
    let hold = "for i in $(seq 500); do test -e end && exit 0; sleep 0.02; done; exit 1";
    lab.write(
        "handlers.toml",
        &format!("{HANDLERS}\n[handlers.hold]\ncommand = ['sh', '-c', '{hold}']\n"),
    );
    lab.write(
        "windlass.toml",
        "[dialects.step-groups-yaml]\nmax_concurrent_steps = 1\n",
    );
    let mut engine = lab.start(&["run", "ship.yaml", "--handlers", "handlers.toml"]);
    let stands = |expected: [&str; 3]| {
        let show = lab.call(&["show", "last", "--json"]);
        let steps = ["first", "ok approval", "ok"];
        show.code == Some(0) && steps.map(|step| status_of(&show.json(), step).0) == expected
    };
    eventually("it asks", || stands(["running", "waiting", "waiting"]));
    lab.call(&["approve", "last", "ok"]).expect(0);
    eventually("it waits for its place", || {
        stands(["running", "pending", "pending"])
    });
    lab.write("end", "");
    assert!(engine.wait().unwrap().success());
    let show = lab.last_run();
    let row = |step: &str| {
        let rows = show["steps"].as_array().unwrap();
        let row = rows.iter().find(|row| row["step"] == step).unwrap();
        let time = |key: &str| row[key].as_str().unwrap().to_owned();
        (time("started_at"), time("ended_at"))
    };
    assert!(row("ok approval").0 < row("first").1, "{show:#}");
    assert!(row("ok").0 >= row("first").1, "{show:#}");
}

#[test]
fn a_step_starts_a_workflow_of_the_folder() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("flows")).unwrap();
    lab.write(
        "flows/db.yaml",
        "
kind: Workflow
metadata: {name: db}
parameters: [{name: size, type: string, default: small}]
steps: [{name: make, type: idle, setVariables: {HOST: 'db-${parameters.size}'}}]
outputs: {host: '${make.HOST}'}
",
    );
    lab.write(
        "ship.yaml",
        "
steps:
- {name: db, type: workflow, workflow: db, parameters: {size: big}, setVariables: {URL: x}}
- {name: use, type: idle, setVariables: {V: '${db.host}/$URL'}}
",
    );
    lab.write("handlers.toml", HANDLERS);
    let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
    let refused = lab.call(&run);
    assert!(refused.err.contains("unknown-workflow"), "{}", refused.err);
    let done = lab.call(&[&run[..], &["--workflows", "flows", "--json"]].concat());
    let done = done.expect(0).json();
    let outputs = &done["runs"][0]["outputs"];
    assert_eq!(outputs["use"], json!({"V": "db-big/x"}), "{done:#}");
}

#[test]
fn values_of_secret_names_are_used_and_shown_nowhere() {
    let lab = Lab::new();
    lab.write(
        "ship.yaml",
        r#"
variables: {TOKEN: hunter2, REGION: north}
steps:
- name: log-in
  type: shell
  env: {KEY: swordfish}
  outputs: [session]
  outputFile: out.json
  config:
    command: |
      echo session=opensesame
      echo "{\"told\": \"$TOKEN in $REGION by $KEY\"}" > out.json
- name: check
  type: shell
  env: {S: "${log-in.session}"}
  config: {command: test $S = opensesame && test $TOKEN = hunter2}
- name: shout
  type: shell
  env: {S: "${log-in.session}"}
  config: {command: "echo $TOKEN $S >&2; exit 3"}
- name: late
  type: shell
  when: on_failure
  if: "x matches (${workflow.TOKEN}"
  config: {command: "true"}
"#,
    );
    lab.write(
        "windlass.toml",
        "allow = ['shell']\n[dialects.step-groups-yaml]\nsecret_names = ['TOKEN', 'session', 'KEY']\n",
    );
    let run = lab.call(&["run", "ship.yaml"]).expect(1);
    let show = lab.call(&["show", "last"]).expect(0);
    let json = lab.call(&["show", "last", "--json"]).expect(0);
    for said in [&run, &show, &json] {
        for secret in ["hunter2", "opensesame", "swordfish"] {
            let shown = said.out.contains(secret) || said.err.contains(secret);
            assert!(!shown, "{secret} in {said:?}");
        }
    }
    let show = json.json();
    assert_eq!(status_of(&show, "check").0, "succeeded");
    let rows = show["steps"].as_array().unwrap();
    let row = rows.iter().find(|row| row["step"] == "log-in").unwrap();
    let env = json!({"KEY": "***", "REGION": "north", "TOKEN": "***"});
    assert_eq!(row["input"]["env"], env);
    let given = &show["outputs"]["log-in"];
    assert_eq!(given["session"], "***");
    assert_eq!(given["told"], "*** in north by ***");
    let errors = show["errors"].to_string();
    assert!(errors.contains("condition-error"), "{errors}");
    assert_eq!(errors.matches("***").count(), 3, "{errors}");
}

#[test]
fn what_a_run_begins_with_is_judged_and_keeps_its_digits() {
    let lab = Lab::new();
    lab.write(
        "ship.yaml",
        "
parameters: [{name: n, type: number}, {name: m, type: number}]
variables: {V: x}
steps:
- {name: a, type: idle, setVariables: {OUT: '${parameters.n} ${parameters.m} $V'}}
",
    );
    lab.write("handlers.toml", HANDLERS);
    let run = |rest: &[&str]| {
        let run = ["run", "ship.yaml", "--handlers", "handlers.toml"];
        lab.call(&[&run[..], rest].concat())
    };
    for (input, code) in [
        ("{\"param\": {}, \"foo\": 1}", "input-invalid"),
        ("{\"parameters\": {\"n\": \"3\"}}", "parameter-invalid"),
        ("{\"variables\": {\"V\": [1]}}", "variable-not-scalar"),
    ] {
        let refused = run(&["--input", input]);
        assert_eq!(refused.code, Some(2), "{input}");
        assert!(refused.err.contains(code), "{}", refused.err);
    }
    let input = "{\"variables\": {\"V\": 1.50}, \"parameters\": {\"n\": 7.0, \"m\": 1e3}}";
    run(&["--param", "n=2.0", "--input", input]).expect(0);
    assert_eq!(
        lab.last_run()["outputs"]["a"],
        json!({"OUT": "2.0 1e3 1.50"})
    );
}
