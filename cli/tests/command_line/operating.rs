//! `why`, `cancel`, `signal` and `retry` while a run goes on elsewhere, or after it.

use serde_json::json;

use crate::lab::{Lab, ended, eventually, lives, number};

const LONG: &str = "name: w\nsteps:\n  - {name: a, type: shell, config: {command: 'echo $$ > pid; sleep 100'}}\n  - {name: b, type: shell, config: {command: 'true'}}\n";

#[test]
fn a_run_of_another_process_can_be_looked_at_and_cancelled() {
    let lab = Lab::with(LONG);
    let engine = lab.start(&["run", "w.yaml", "--allow", "shell", "--json"]);
    eventually("a runs", || number(&lab.path("pid")).is_some());
    let program = number(&lab.path("pid")).unwrap();
    let why = lab.call(&["why", "last", "--json"]).expect(0).json();
    for field in ["run", "status", "branches"] {
        assert!(why.get(field).is_some(), "{field}");
    }
    let wait = &why["branches"][0]["waits_for"];
    for field in ["kind", "owner", "until", "event", "join", "missing"] {
        assert!(wait.get(field).is_some(), "{field} is not in {wait}");
    }
    assert_eq!(
        (&why["branches"][0]["step"], &wait["kind"]),
        (&json!("a"), &json!("running"))
    );
    assert!(
        lab.call(&["why", "last"])
            .expect(0)
            .out
            .contains("is running")
    );

    let cancelled = lab
        .call(&["cancel", "last", "--reason", "enough", "--json"])
        .expect(0)
        .json();
    assert_eq!(cancelled["cancelled"], true);
    let run = ended(engine).expect(1).json()["runs"][0].clone();
    assert_eq!(
        (&run["status"], &run["reason"]),
        (&json!("cancelled"), &json!("enough"))
    );
    eventually("the program is gone", || !lives(program));
    lab.call(&["cancel", "last"]).expect(2);
}

#[test]
fn a_wait_names_its_event_its_correlation_and_the_deadline_of_the_run() {
    let lab = Lab::new();
    lab.write(
        "w.json",
        r#"{"name": "w", "version": "1", "start": "paid", "deadline_ms": 3600000, "nodes": [
            {"name": "paid", "kind": {"await": {"event": "payment",
                "matching": {"correlation": "=data.order"}}}}
        ]}"#,
    );
    let mut engine = lab.start(&["run", "w.json", "--input", r#"{"order": "o-17"}"#]);
    let why = || lab.call(&["why", "last", "--json"]);
    eventually("it waits", || {
        let why = why();
        why.code == Some(0) && why.out.contains("payment")
    });
    let found = why().expect(0).json();
    let wait = &found["branches"][0]["waits_for"];
    assert_eq!(
        (&wait["event"], &wait["correlation"]),
        (&json!("payment"), &json!("o-17"))
    );
    assert!(found["deadline"].is_string(), "{found}");
    let text = lab.call(&["why", "last"]).expect(0).out;
    for part in [
        "fails at its deadline",
        "event \"payment\"",
        "correlation \"o-17\"",
    ] {
        assert!(text.contains(part), "{text}");
    }
    lab.call(&["signal", "last", "payment", "{}", "--correlation", "o-17"])
        .expect(0);
    assert!(engine.wait().unwrap().success());
}

#[test]
fn the_end_of_a_run_names_the_detached_branches_that_it_waits_for() {
    let lab = Lab::new();
    lab.write(
        "w.json",
        r#"{"name": "w", "version": "1", "start": "aside", "nodes": [
            {"name": "aside", "kind": {"detach": {"body": "wait"}}, "next": "pass"},
            {"name": "wait", "kind": {"await": {"event": "go"}}},
            {"name": "pass", "kind": {"compute": {"function": "=data"}}}
        ]}"#,
    );
    let mut engine = lab.start(&["run", "w.json"]);
    eventually("only the detached branch is left", || {
        let why = lab.call(&["why", "last"]).out;
        why.contains("branch main at") && why.contains("waits for its branches: missing aside\n")
    });
    lab.call(&["signal", "last", "go"]).expect(0);
    assert!(engine.wait().unwrap().success());
}

#[test]
fn a_step_of_a_run_can_be_withdrawn_by_itself() {
    let lab = Lab::with(
        "name: w\nsteps:\n  - {name: a, type: shell, parallelGroup: 1, config: {command: 'echo $$ > pid; sleep 100'}}\n  - {name: b, type: shell, parallelGroup: 1, config: {command: 'true'}}\n  - {name: c, type: shell, config: {command: 'true'}}\n",
    );
    let engine = lab.start(&[
        "run",
        "w.yaml",
        "--allow",
        "shell",
        "--runners",
        "2",
        "--json",
    ]);
    eventually("a runs", || number(&lab.path("pid")).is_some());
    let program = number(&lab.path("pid")).unwrap();
    lab.call(&["cancel", "last", "--step", "nowhere"]).expect(2);
    let nothing = lab.call(&["cancel", "last", "--step", "c"]).expect(2).out;
    assert!(nothing.contains("nothing goes on in \"c\""), "{nothing}");
    let withdrawn = lab.call(&["cancel", "last", "--step", "a"]).expect(0).out;
    assert!(withdrawn.contains("1 branch(es)"), "{withdrawn}");
    // Its join goes on without it.
    let run = ended(engine).expect(0).json()["runs"][0].clone();
    assert_eq!(run["status"], json!("succeeded"));
    eventually("the program is gone", || !lives(program));
}

#[test]
fn an_event_is_kept_until_somebody_waits_and_repeats_change_nothing() {
    let lab = Lab::with(LONG);
    let mut engine = lab.start(&["run", "w.yaml", "--allow", "shell"]);
    eventually("a runs", || number(&lab.path("pid")).is_some());
    let send = |words: &[&str]| {
        let words = [&["signal", "last", "go"], words, &["--json"]].concat();
        let done = lab.call(&words);
        (done.code, done.json()["outcome"].clone())
    };
    assert_eq!(send(&["--transient"]), (Some(2), json!("lost")));
    assert_eq!(
        send(&["{\"x\": 1}", "--id", "1"]),
        (Some(0), json!("stored"))
    );
    assert_eq!(
        send(&["{\"x\": 2}", "--id", "1"]),
        (Some(0), json!("duplicate"))
    );
    let again = lab.call(&["signal", "last", "go", "--id", "1"]).expect(0);
    assert!(again.out.contains("was sent") && !again.out.contains("stored"));
    lab.call(&["signal", "last", "go", "{"])
        .expect(2)
        .says(&["no JSON"]);
    lab.call(&["cancel", "last"]).expect(0);
    assert_eq!(send(&[]), (Some(2), json!("run-ended")));
    let late = lab.call(&["signal", "last", "go"]).expect(2);
    assert!(late.out.contains("had ended already"), "{late:?}");
    engine.wait().unwrap();
}

#[test]
fn a_failed_run_goes_on_from_its_failed_step() {
    let lab = Lab::with(
        "name: w\nsteps:\n  - {name: a, type: shell, config: {command: 'echo x >> a-ran'}}\n  - {name: b, type: shell, config: {command: 'test -e fixed'}}\n  - {name: c, type: shell, config: {command: 'echo end'}}\n",
    );
    lab.call(&["run", "w.yaml", "--allow", "shell"])
        .expect(1)
        .says(&["windlass retry"]);
    lab.call(&["retry", "last"]).expect(1);
    lab.write("fixed", "");
    let run = lab.call(&["retry", "last", "--json"]).expect(0).json()["runs"][0].clone();
    assert_eq!(
        (&run["status"], &run["outputs"]["c"]),
        (&json!("succeeded"), &json!({"stdout": "end"}))
    );
    assert_eq!(lab.read("a-ran"), "x\n");
    lab.call(&["retry", "last"]).expect(2).says(&["has ended"]);
}

#[test]
fn a_retry_can_be_left_to_another_process() {
    let lab = Lab::with(
        "name: w\nsteps:\n  - {name: a, type: shell, config: {command: 'test -e fixed'}}\n",
    );
    lab.call(&["run", "w.yaml", "--allow", "shell"]).expect(1);
    lab.write("fixed", "");
    let marked = lab
        .call(&["retry", "last", "--no-wait", "--json"])
        .expect(0)
        .json();
    assert_eq!(marked["branches"], 1);
    lab.call(&["resume"]).expect(0);
}
