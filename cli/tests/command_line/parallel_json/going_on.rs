//! Runs that are resumed and retried.

use serde_json::{Value, json};

use super::{EVERYTHING, OK, RUN, lab, row, run};
use crate::lab::eventually;

/// Everything, done by a program that notes each start and waits for `go` where it is told to.
const NOTED: &str = "#!/bin/sh\ncat > /dev/null\necho \"$WINDLASS_CTX_STEP\" >> ran\ncase \"$WINDLASS_CTX_STEP\" in\n  e2|two|good) [ -e go ] || { touch waits; sleep 100; };;\nesac\n[ \"$WINDLASS_CTX_STEP\" = w1 ] && exit 1\ncase \"$WINDLASS_CTX_STEP\" in\n  load) echo '{\"rows\": 3}';;\n  clean) echo '{\"items\": [{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}]}';;\n  *) echo '{\"score\": \"1\", \"sent\": true}';;\nesac\n";

#[test]
fn a_run_that_is_killed_in_any_block_goes_on_there_and_repeats_nothing() {
    let (running, pending, done) = ("running", "pending", "succeeded");
    for (stop, both, each, decide) in [
        ("e2", running, pending, pending),
        ("two", done, running, pending),
        // Its first step was interrupted, and is to begin once more.
        ("good", done, done, pending),
    ] {
        let lab = lab(
            &EVERYTHING,
            "[handlers.'*']\ncommand = ['sh', './noted.sh']\n",
        );
        lab.write("noted.sh", &NOTED.replace("e2|two|good", stop));
        let words = [&RUN[..], &["--input", r#"{"day": 1}"#]].concat();
        let mut engine = lab.start(&words);
        eventually("it waits", || lab.path("waits").exists());
        engine.kill().unwrap();
        engine.wait().unwrap();
        let show = lab.last_run();
        let status = |step: &str| row(&show, step)[4].clone();
        assert_eq!(
            ["both", "fork", "each", "decide"].map(status),
            [both, both, each, decide]
        );
        lab.write("go", "");
        let resumed = lab.call(&["resume", "--json"]).expect(0);
        let run = &resumed.json()["runs"][0];
        assert_eq!(run["status"], "succeeded");
        let outputs = &run["outputs"];
        assert_eq!(outputs["each"]["total_count"], 3);
        assert_eq!(outputs["fork"]["west"], Value::Null);
        assert_eq!(outputs["decide"]["branch_taken"], "then");
        // Only what was running when it was killed may have begun twice.
        let ran = lab.read("ran");
        let times = |step: &str| ran.lines().filter(|line| *line == step).count();
        for (step, once) in [
            ("load", 1),
            ("clean", 1),
            ("e1", 1),
            ("w1", 1),
            ("one", 3),
            ("end", 1),
        ] {
            let most = if (stop, step) == ("two", "one") {
                4
            } else {
                once
            };
            let range = if ["w1", "clean"].contains(&step) && stop == "e2" {
                1..=2
            } else {
                once..=most
            };
            assert!(range.contains(&times(step)), "{step} in {ran}");
        }
        assert!(times(stop) > usize::from(stop == "two") * 2, "{ran}");
        assert!(!ran.contains("poor"), "{ran}");
        let show = lab.last_run();
        assert_eq!(row(&show, "fork")[4], "succeeded");
    }
}

#[test]
fn a_run_is_resumed_with_the_settings_it_was_begun_with() {
    let looped = r#""type": "loop", "loop_config": {"collection": [1, 2, 3], "loop_body": ["b"], "execution_mode": "parallel"}"#;
    let slow = "[handlers.'*']\ncommand = ['sh', '-c', 'cat > /dev/null; [ -e go ] || { touch waits; sleep 100; }; echo 1']\n";
    let lab = lab(&[("l", looped), ("b", OK)], slow);
    lab.write(
        "windlass.toml",
        "[dialects.parallel-json]\nparallel_loop_stop = 'cancel'\niteration_shape = 'output'\n",
    );
    let mut engine = lab.start(&RUN);
    eventually("it waits", || lab.path("waits").exists());
    engine.kill().unwrap();
    engine.wait().unwrap();
    std::fs::remove_file(lab.path("windlass.toml")).unwrap();
    lab.write("go", "");
    let done = lab.call(&["resume"]).expect(0);
    assert_eq!(done.json()["l"]["iterations"], json!([1, 1, 1]));
}

#[test]
fn a_retry_repeats_what_failed_of_a_block_and_a_loop_anew() {
    let pair = r#""type": "parallel", "parallel_steps": ["a", "b"], "next_step": "l""#;
    let looped = r#""type": "loop", "loop_config": {"collection": [0, 1], "loop_body": ["q"]}"#;
    let steps = [
        ("p", pair),
        ("a", OK),
        ("b", r#""agent_name": "first""#),
        ("l", looped),
        ("q", r#""agent_name": "second""#),
    ];
    let command = |name: &str, test: &str| {
        format!(
            "[handlers.{name}]\ncommand = ['sh', '-c', 'read l; echo {name} >> log; {test} && echo null']\n"
        )
    };
    let second = r#"case "$l" in *iteration_index\":1*) test -e second;; esac"#;
    let agents = ["ok", "first", "second"].map(|name| match name {
        "ok" => command(name, "true"),
        "first" => command(name, "test -e first"),
        _ => command(name, second),
    });
    let lab = lab(&steps, &agents.concat());
    run(&lab, &[]).expect(1);
    assert_eq!(row(&lab.last_run(), "p")[4], "failed");
    lab.write("first", "");
    lab.call(&["retry", "last"]).expect(1);
    let show = lab.last_run();
    assert_eq!(
        (&*row(&show, "p")[4], &*row(&show, "l")[4]),
        ("succeeded", "failed")
    );
    lab.write("second", "");
    lab.call(&["retry", "last"]).expect(0);
    let log = lab.read("log");
    let count = |name| log.lines().filter(|line| *line == name).count();
    assert_eq!(["ok", "first", "second"].map(count), [1, 2, 4], "{log}");
    let show = lab.last_run();
    assert_eq!(
        (&*row(&show, "p")[4], &*row(&show, "l")[4]),
        ("succeeded", "succeeded")
    );
}

#[test]
fn a_resumed_run_tells_that_its_loop_failed() {
    for (mode, told) in [
        ("collect", "2 of 2 iteration(s) failed: 0, 1"),
        ("stop", "iteration 0 of 2: exit code 1"),
    ] {
        let looped = format!(
            r#""type": "loop", "loop_config": {{"collection": [0, 1], "on_error": "{mode}", "loop_body": ["b"]}}"#
        );
        let waits = "[handlers.'*']\ncommand = ['sh', '-c', 'cat > /dev/null; [ -e go ] || { touch waits; sleep 100; }; exit 1']\n";
        let lab = lab(&[("l", &looped), ("b", OK)], waits);
        let mut engine = lab.start(&RUN);
        eventually("it waits", || lab.path("waits").exists());
        engine.kill().unwrap();
        engine.wait().unwrap();
        lab.write("go", "");
        let done = lab.call(&["resume"]).expect(1);
        let (line, error) = (
            format!(": Loop failed: {told}"),
            format!("l [loop-failed]: Loop failed: {told}"),
        );
        done.says(&["l failed in", &line, &error]);
    }
}
