//! SIGKILL, Ctrl-C and what `resume` makes of them.

use serde_json::json;

use crate::lab::{Lab, ended, eventually, lives, number, send};

/// The second step runs for ever the first time, and looks for its older self the second time.
const STUCK: &str = "
name: w
steps:
  - {name: a, type: shell, config: {command: 'echo x >> a-ran; echo first'}}
  - name: b
    type: shell
    config:
      command: |
        if [ -e pid ]; then
          kill -0 \"$(cat pid)\" 2>/dev/null && echo beside || echo alone
        else
          trap 'echo got > signal' INT TERM HUP
          echo $$ > pid.new; mv pid.new pid
          while :; do sleep 100; done
        fi
  - {name: c, type: shell, config: {command: 'echo x >> c-ran; echo last'}}
";

#[test]
fn after_a_kill_the_orphan_is_gone_before_the_retry_and_the_run_ends_once() {
    let lab = Lab::with(STUCK);
    let mut engine = lab.start(&["run", "w.yaml", "--allow", "shell"]);
    eventually("b runs", || number(&lab.path("pid")).is_some());
    let orphan = number(&lab.path("pid")).unwrap();
    engine.kill().unwrap();
    engine.wait().unwrap();
    let why = lab.call(&["why", "last", "--json"]).expect(0).json();
    assert_eq!(why["branches"][0]["step"], "b", "{why}");
    let why = lab.call(&["why", "last"]).expect(0).out;
    assert!(
        why.contains("no engine is open on this database: windlass resume "),
        "{why}"
    );
    let done = lab.call(&["resume", "--json"]).expect(0);
    let done = done.says(&[" 1 step was done before", "/b succeeded"]);
    assert!(!done.err.contains("/a "), "{}", done.err);
    let run = done.json()["runs"][0].clone();
    assert_eq!(run["status"], "succeeded");
    assert_eq!(run["outputs"]["b"], json!({"stdout": "alone"}));
    assert!(!lives(orphan));
    assert_eq!(
        (lab.read("a-ran").as_str(), lab.read("c-ran").as_str()),
        ("x\n", "x\n")
    );
    assert_eq!(lab.read("signal"), "");
    let runs = lab.call(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1);
    lab.call(&["resume"]).expect(0).says(&["no unfinished run"]);
    lab.call(&["resume", "last"]).expect(0).says(&["succeeded"]);
}

#[test]
fn a_new_run_leaves_older_unfinished_ones_alone_and_says_so() {
    let lab = Lab::with(STUCK);
    let mut engine = lab.start(&["run", "w.yaml", "--allow", "shell"]);
    eventually("b runs", || number(&lab.path("pid")).is_some());
    engine.kill().unwrap();
    engine.wait().unwrap();
    let done = lab.call(&["run", "w.yaml", "--allow", "shell"]).expect(0);
    done.says(&["1 older unfinished run", "left alone", "windlass resume"]);
    let runs = lab.call(&["runs", "--json"]).expect(0).json();
    let status: Vec<_> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["status"].clone())
        .collect();
    assert_eq!(status[0], "succeeded");
    assert_ne!(status[1], "succeeded");
    let resumed = lab.call(&["resume", "--json"]).expect(0).json();
    assert_eq!(resumed["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn resume_knows_handlers_kinds_and_folder_of_the_run() {
    let lab = Lab::with(
        "name: w\nsteps: [{name: a, type: t}, {name: b, type: shell, config: {command: 'pwd'}}]\n",
    );
    lab.write(
        "t.sh",
        "if [ -e began ]; then echo '{\"again\": true}'; else touch began; sleep 100; fi\n",
    );
    lab.write("h.toml", "[handlers.t]\ncommand = ['sh', './t.sh']\n");
    let words = [
        "run",
        "w.yaml",
        "--handlers",
        "h.toml",
        "--allow",
        "shell",
        "--db",
        "w.db",
    ];
    let mut engine = lab.start(&words);
    eventually("a runs", || lab.path("began").exists());
    engine.kill().unwrap();
    engine.wait().unwrap();
    // The run keeps what stood in it.
    std::fs::remove_file(lab.path("h.toml")).unwrap();
    let elsewhere = Lab::new();
    let db = lab.path("w.db");
    let done = elsewhere
        .call(&["resume", "last", "--db", db.to_str().unwrap()])
        .expect(0);
    let folder = std::fs::canonicalize(lab.path(".")).unwrap();
    assert_eq!(
        done.json(),
        json!({"a": {"again": true}, "b": {"stdout": folder.to_str().unwrap()}})
    );
}

#[test]
fn handlers_of_resume_win_over_the_stored_ones() {
    let lab = Lab::with("name: w\nsteps: [{name: a, type: t}]\n");
    lab.write(
        "h.toml",
        "[handlers.t]\ncommand = ['sh', '-c', 'touch began; sleep 100']\n",
    );
    lab.write(
        "other.toml",
        "[handlers.t]\nsimulate = '1ms'\noutput = { other = true }\n",
    );
    let mut engine = lab.start(&["run", "w.yaml", "--handlers", "h.toml"]);
    eventually("a runs", || lab.path("began").exists());
    engine.kill().unwrap();
    engine.wait().unwrap();
    std::fs::remove_file(lab.path("h.toml")).unwrap();
    let done = lab.call(&["resume", "--handlers", "other.toml"]).expect(0);
    assert_eq!(done.json(), json!({"a": {"other": true}}));
}

#[test]
fn ctrl_c_lets_the_running_step_finish_and_says_how_to_go_on() {
    let slow = "name: w\nsteps:\n  - {name: a, type: shell, config: {command: 'trap \"echo got > signal\" INT; touch began; while [ ! -e go ]; do sleep 0.02; done; echo done'}}\n  - {name: b, type: shell, config: {command: touch b-ran}}\n";
    let lab = Lab::with(slow);
    let mut command = lab.command(&["run", "w.yaml", "--allow", "shell", "--json"]);
    let err = std::fs::File::create(lab.path("err")).unwrap();
    let engine = command.stderr(err).spawn().unwrap();
    eventually("a runs", || lab.path("began").exists());
    // As a terminal does: to the whole process group.
    send("INT", &format!("-{}", engine.id()));
    eventually("it stops", || lab.read("err").contains("interrupted"));
    lab.write("go", "");
    let run = ended(engine).expect(130).json()["runs"][0].clone();
    let go_on = format!(
        "windlass resume {} --db windlass.db",
        run["run"].as_str().unwrap()
    );
    assert!(lab.read("err").contains(&go_on), "{}", lab.read("err"));
    assert_eq!(
        (lab.read("signal").as_str(), lab.path("b-ran").exists()),
        ("", false)
    );
    let resumed = lab.call(&["resume", "--json"]).expect(0).json();
    assert_eq!(resumed["runs"][0]["run"], run["run"]);
    let step = |show: &serde_json::Value| {
        let steps = show["steps"].as_array().unwrap();
        steps
            .iter()
            .find(|step| step["step"] == "a")
            .unwrap()
            .clone()
    };
    let a = step(&lab.last_run());
    assert_eq!(
        (&a["status"], &a["attempt"]),
        (&json!("succeeded"), &json!(1))
    );
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_takes_the_programs_along() {
    let lab = Lab::with(STUCK);
    let engine = lab.start(&["run", "w.yaml", "--allow", "shell"]);
    eventually("b runs", || number(&lab.path("pid")).is_some());
    let program = number(&lab.path("pid")).unwrap();
    send("TERM", &engine.id().to_string());
    crate::lab::pause(300);
    send("TERM", &engine.id().to_string());
    let done = ended(engine).expect(130);
    done.says(&["go on with: windlass resume ", " --db windlass.db"]);
    eventually("the program is gone", || !lives(program));
    assert_eq!(lab.read("signal"), "");
    lab.call(&["resume"]).expect(0);
}

#[test]
fn a_step_that_crashes_its_engine_is_parked_and_can_be_retried() {
    let deadly = "name: w\nsteps:\n  - name: a\n    type: shell\n    config:\n      command: |\n        if [ -e harmless ]; then echo fine; else kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); sleep 100; fi\n";
    let lab = Lab::with(deadly);
    lab.write("windlass.toml", "max_crashes = 1\nallow = ['shell']\n");
    let done = lab.call(&["run", "w.yaml"]);
    assert_eq!(done.code, None, "killed by its own step: {done:?}");
    let parked = lab
        .call(&["resume", "--json"])
        .expect(3)
        .says(&["parked", "windlass retry"]);
    assert_eq!(parked.json()["runs"][0]["status"], "parked");
    let why = lab.call(&["why", "last", "--json"]).expect(0).json();
    assert_eq!(why["branches"][0]["waits_for"]["kind"], "operator");
    let why = lab.call(&["why", "last"]).expect(0).out;
    for word in [
        "waits for an operator: ",
        "; windlass retry ",
        " or windlass cancel ",
    ] {
        assert!(why.contains(word), "{word} is not in {why}");
    }
    lab.write("harmless", "");
    let done = lab.call(&["retry", "last"]).expect(0);
    assert_eq!(done.json(), json!({"a": {"stdout": "fine"}}));
}
