//! `run`: outputs, exit codes, handlers, several workflows in one file.

use serde_json::json;

use crate::lab::Lab;

const TWO_PHASES: &str = "
name: pair
steps:
  - {name: a, type: one, parallelGroup: 1}
  - {name: b, type: two, parallelGroup: 1}
  - {name: c, type: three, config: {size: 5}, path: ./x}
";

#[test]
fn a_workflow_runs_to_its_end_and_prints_its_outputs() {
    let lab = Lab::with(TWO_PHASES);
    lab.write(
        "h.toml",
        "[handlers.one]\nsimulate = '1ms'\noutput = { n = 1 }\n[handlers.'*']\nsimulate = '1ms'\n",
    );
    let done = lab
        .call(&["run", "w.yaml", "--handlers", "h.toml"])
        .expect(0);
    assert_eq!(done.json(), json!({"a": {"n": 1}, "b": {}, "c": {}}));
    let done = done.says(&["/a succeeded", "/c succeeded", "succeeded"]);
    assert!(!done.out.contains("succeeded"), "progress goes to stderr");
}

#[test]
fn the_example_shows_a_split_and_a_join() {
    let lab = Lab::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/release.yaml");
    let done = lab.call(&["run", example, "--allow", "shell"]).expect(0);
    assert_eq!(
        done.json()["unit-tests"],
        json!({"passed": 120, "failed": 0})
    );
    assert_eq!(done.json()["package"], json!({"file": "release.tar.gz"}));
    done.says(&["phase-2 running", "phase-2 succeeded"]);
}

#[test]
fn a_program_gets_its_step_as_json_and_in_variables() {
    let lab = Lab::with(TWO_PHASES);
    lab.write("echo.sh", "#!/bin/sh\nread -r input\necho \"{\\\"input\\\": $input, \\\"run\\\": \\\"$WINDLASS_CTX_RUN\\\", \\\"branch\\\": \\\"$WINDLASS_CTX_BRANCH\\\", \\\"step\\\": \\\"$WINDLASS_CTX_STEP\\\", \\\"attempt\\\": \\\"$WINDLASS_CTX_ATTEMPT\\\", \\\"key\\\": \\\"$WINDLASS_CTX_IDEMPOTENCY_KEY\\\"}\"\n");
    lab.write("h.toml", "[handlers.'*']\ncommand = ['sh', './echo.sh']\n");
    let words = [
        "run",
        "w.yaml",
        "--handlers",
        "h.toml",
        "--input",
        "{\"user\": \"kim\"}",
        "--json",
    ];
    let run = lab.call(&words).expect(0).json()["runs"][0].clone();
    let c = &run["outputs"]["c"];
    assert_eq!(c["input"]["config"], json!({"size": 5}));
    assert_eq!(c["input"]["fields"], json!({"path": "./x"}));
    let data = &c["input"]["data"];
    assert_eq!(data["user"], "kim");
    assert_eq!(
        data["steps"]["a"]["outputs"]["step"], "a",
        "outputs of the steps before"
    );
    for (key, expected) in [
        ("step", json!("c")),
        ("type", json!("three")),
        ("attempt", json!(1)),
        ("workflow", json!("pair")),
        ("run_id", run["run"].clone()),
    ] {
        assert_eq!(c["input"][key], expected, "{key}");
    }
    assert_eq!((&c["run"], &c["attempt"]), (&run["run"], &json!("1")));
    assert_eq!(c["key"], c["input"]["idempotency_key"]);
    assert_eq!(run["outputs"]["a"]["branch"], "a");
    assert_ne!(run["outputs"]["a"]["key"], c["key"]);
}

#[test]
fn all_errors_of_a_failed_phase_are_told_and_later_steps_are_skipped() {
    let lab = Lab::with(TWO_PHASES);
    lab.write(
        "h.toml",
        "[handlers.one]\nsimulate = '1ms'\nfail = 'no luck'\n[handlers.two]\ncommand = ['sh', '-c', 'echo too bad >&2; exit 3']\n[handlers.three]\nsimulate = '1ms'\n",
    );
    let words = ["run", "w.yaml", "--handlers", "h.toml", "--json"];
    let done = lab
        .call(&words)
        .expect(1)
        .says(&["no luck", "exit code 3: too bad"]);
    let run = &done.json()["runs"][0];
    assert_eq!(run["status"], "failed");
    let errors: Vec<_> = run["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["step"].clone())
        .collect();
    assert_eq!(errors, ["a", "b"]);
    let show = lab.last_run();
    let c = show["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["step"] == "c")
        .unwrap();
    assert_eq!(
        (&c["status"], &c["reason"]),
        (&json!("skipped"), &json!("run-already-failed"))
    );
}

#[test]
fn attempts_and_later_are_the_handlers_policy() {
    let lab = Lab::with("name: w\nsteps:\n  - {name: a, type: flaky}\n  - {name: b, type: shy}\n");
    let shy = "if [ -e was-here ]; then echo \"{\\\"attempt\\\": $WINDLASS_CTX_ATTEMPT}\"; else touch was-here; exit 75; fi";
    let handlers = format!(
        "[handlers.flaky]\nsimulate = '1ms'\nfail = 'not yet'\nfail_attempts = 2\nattempts = 3\nbackoff = '10ms'\n[handlers.shy]\ncommand = ['sh', '-c', '{shy}']\nbackoff = '10ms'\n"
    );
    lab.write("h.toml", &handlers);
    let done = lab
        .call(&["run", "w.yaml", "--handlers", "h.toml"])
        .expect(0);
    assert_eq!(
        done.json()["b"],
        json!({"attempt": 1}),
        "later uses up no attempt"
    );
    let show = lab.last_run();
    let a = show["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["step"] == "a")
        .unwrap();
    assert_eq!(
        (&a["attempt"], &a["status"]),
        (&json!(3), &json!("succeeded"))
    );
}

#[test]
fn a_step_that_takes_too_long_is_ended_with_its_program() {
    let lab = Lab::with("name: w\nsteps:\n  - {name: a, type: slow}\n");
    lab.write(
        "h.toml",
        "[handlers.slow]\ncommand = ['sh', '-c', 'echo $$ > pid; sleep 100']\ntimeout = '300ms'\n",
    );
    let words = ["run", "w.yaml", "--handlers", "h.toml", "--json"];
    let run = lab.call(&words).expect(1).json()["runs"][0].clone();
    assert_eq!(run["errors"][0]["code"], "step-timeout");
    let program = crate::lab::number(&lab.path("pid")).unwrap();
    crate::lab::eventually("the program is gone", || !crate::lab::lives(program));
}

#[test]
fn output_that_is_no_json_fails_the_step_and_says_so() {
    let lab = Lab::with("name: w\nsteps:\n  - {name: a, type: t}\n");
    lab.write("h.toml", "[handlers.t]\ncommand = ['echo', 'hello']\n");
    let words = ["run", "w.yaml", "--handlers", "h.toml"];
    lab.call(&words)
        .expect(1)
        .says(&["no JSON", "stderr", "hello"]);
}

#[test]
fn a_file_with_several_workflows_runs_all_in_order_and_stops_at_a_failure() {
    let files = "name: one\nsteps: [{name: a, type: good}]\n---\nname: two\nsteps: [{name: b, type: bad}]\n---\nname: three\nsteps: [{name: c, type: good}]\n";
    let lab = Lab::with(files);
    lab.write(
        "h.toml",
        "[handlers.good]\nsimulate = '1ms'\n[handlers.bad]\nsimulate = '1ms'\nfail = 'no'\n",
    );
    let done = lab
        .call(&["run", "w.yaml", "--handlers", "h.toml", "--json"])
        .expect(1);
    let done = done.says(&["not run", "three"]);
    let json = done.json();
    let names: Vec<_> = json["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| &run["workflow"])
        .collect();
    assert_eq!(names, ["one", "two"]);
    let words = [
        "run",
        "w.yaml",
        "--handlers",
        "h.toml",
        "--document",
        "three",
    ];
    assert_eq!(lab.call(&words).expect(0).json(), json!({"c": {}}));
}

#[test]
fn the_same_file_runs_again_with_other_handlers() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    for attempts in [1, 2, 2] {
        lab.write(
            "h.toml",
            &format!("[handlers.t]\nsimulate = '1ms'\nattempts = {attempts}\n"),
        );
        lab.call(&["run", "w.yaml", "--handlers", "h.toml"])
            .expect(0);
    }
    let runs = lab.call(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 3);
}

#[test]
fn handlers_may_stand_in_the_configuration_file() {
    let lab = Lab::with(
        "name: w\nsteps: [{name: a, type: t}, {name: b, type: shell, config: {command: echo hi}}]\n",
    );
    lab.write(
        "windlass.toml",
        "allow = ['shell']\n[handlers.t]\nsimulate = '1ms'\n",
    );
    let done = lab.call(&["run", "w.yaml"]).expect(0);
    assert_eq!(done.json(), json!({"a": {}, "b": {"stdout": "hi"}}));
}

#[test]
fn log_lines_in_a_file_have_no_colours_and_name_modules_only_for_filters() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.write("h.toml", "[handlers.t]\nsimulate = '1ms'\n");
    for (log, names_modules) in [
        ("trace", false),
        ("windlass_store=trace,windlass=trace", true),
    ] {
        let words = ["run", "w.yaml", "--handlers", "h.toml", "--log", log];
        let err = lab.call(&words).expect(0).err;
        assert!(!err.contains('\u{1b}'), "{err}");
        assert!(names_modules || !err.contains("windlass_"), "{err}");
    }
}

#[test]
fn a_step_of_a_workflow_in_json_has_its_config_and_its_attempts() {
    let lab = Lab::new();
    let work = r#"{"name": "work", "kind": {"step": {"handler": "shell",
        "config": {"command": "echo x >> tries; test $(wc -l < tries) = 2 && echo $A", "env": {"A": "hi"}},
        "retry": {"attempts": 2, "backoff_ms": 0, "backoff_ms_max": 0}}}, "next": "note"}"#;
    let note = r#"{"name": "note", "kind": {"step": {"handler": "note", "config": {"size": 5}}}}"#;
    lab.write(
        "w.json",
        &format!(r#"{{"name": "w", "version": "1", "start": "work", "nodes": [{work}, {note}]}}"#),
    );
    lab.write("h.toml", "[handlers.note]\ncommand = ['tee', 'input']\n");
    let words = [
        "run",
        "w.json",
        "--allow",
        "shell",
        "--handlers",
        "h.toml",
        "--json",
    ];
    let run = lab.call(&words).expect(0).json()["runs"][0].clone();
    let work = &run["outputs"]["steps"]["work"]["outputs"];
    assert_eq!(*work, json!({"stdout": "hi"}));
    assert_eq!(lab.read("tries"), "x\nx\n");
    let input: serde_json::Value = serde_json::from_str(&lab.read("input")).unwrap();
    assert_eq!(
        (&input["type"], &input["workflow"], &input["config"]),
        (&json!("note"), &json!("w"), &json!({"size": 5}))
    );
}
