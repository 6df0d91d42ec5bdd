//! What loops do and give.

use serde_json::{Value, json};

use super::{BAD, OK, SIMULATED, check_rows, errors, lab, run};

#[test]
fn a_parallel_loop_that_stops_lets_running_iterations_finish() {
    let looped = r#""type": "loop", "loop_config": {"collection": [0, 1, 2, 3], "loop_body": ["b"], "execution_mode": "parallel", "max_parallelism": 2}"#;
    let lab = lab(
        &[("l", looped), ("b", OK)],
        "[handlers.ok]\ncommand = ['sh', './work']\n",
    );
    // The first iteration ends well after the second one has failed.
    lab.write(
        "work",
        r#"read line
case "$line" in
*'"iteration_index":0'*) while [ ! -e failed ]; do sleep 0.02; done; sleep 0.3; touch first ;;
*'"iteration_index":1'*) touch failed; exit 1 ;;
*) touch more ;;
esac
"#,
    );
    let errors = errors(run(&lab, &["--json"]));
    let first = "l (-) loop-failed: Loop failed: iteration 1 of 4";
    assert!(errors[0].starts_with(first), "{errors:?}");
    assert!(lab.path("first").exists() && !lab.path("more").exists());
}

#[test]
fn the_chain_behind_a_loop_that_stopped_reads_what_each_iteration_came_to() {
    let looped = r#""type": "loop", "on_failure": "fix", "loop_config": {"collection": [0, 1, 2, 3, 4], "loop_body": ["b"], "execution_mode": "parallel", "max_parallelism": 3}"#;
    let fix = r#""agent_name": "told", "input_mapping": {"r": "${l.error.result}"}"#;
    let told = "[handlers.told]\ncommand = ['cat']\n";
    // The first iteration ends at once, the second fails then, and the third is still at it.
    let work = r#"read line
case "$line" in
*'"iteration_index":0'*) echo '"done"'; touch first ;;
*'"iteration_index":1'*) while [ ! -e first ] || [ ! -e third ]; do sleep 0.02; done; sleep 0.3; touch failed; exit 1 ;;
*'"iteration_index":2'*) touch third; while [ ! -e failed ]; do sleep 0.02; done; sleep 0.3; echo '"late"' ;;
*) touch third; while [ ! -e failed ]; do sleep 0.02; done; sleep 0.3; echo '"later"' ;;
esac
"#;
    for (stop, third, fourth) in [
        ("drain", json!("late"), json!("COMPLETED")),
        ("cancel", Value::Null, json!("NOT_RUN")),
    ] {
        let lab = lab(
            &[("l", looped), ("b", OK), ("fix", fix)],
            &format!("{told}[handlers.ok]\ncommand = ['sh', './work']\n"),
        );
        lab.write("work", work);
        lab.write(
            "windlass.toml",
            &format!("[dialects.parallel-json]\nparallel_loop_stop = '{stop}'\n"),
        );
        let outputs = run(&lab, &[]).expect(0).json();
        let result = &outputs["fix"]["input"]["r"];
        let records = result["iterations"].as_array().unwrap();
        let statuses: Vec<_> = records.iter().map(|record| &record["status"]).collect();
        let expected = [
            &json!("COMPLETED"),
            &json!("FAILED"),
            &fourth,
            &fourth,
            &json!("NOT_RUN"),
        ];
        assert_eq!(statuses, expected, "{stop}");
        assert_eq!(records[0]["output_data"], "done");
        assert_eq!(records[2]["output_data"], third);
        assert_eq!(
            (&result["total_count"], &result["failed_count"]),
            (&json!(5), &json!(1))
        );
    }
}

#[test]
fn the_outputs_of_a_run_hold_no_step_of_a_loop() {
    let looped = r#""type": "loop", "loop_config": {"collection": [1, 2, 3], "loop_body": ["b"], "execution_mode": "parallel"}, "next_step": "end""#;
    for (end, code) in [(OK, 0), (BAD, 1)] {
        let lab = lab(&[("l", looped), ("b", OK), ("end", end)], SIMULATED);
        let done = run(&lab, &["--json"]).expect(code).json();
        let outputs = done["runs"][0]["outputs"].as_object().unwrap();
        assert!(
            outputs.contains_key("l") && !outputs.contains_key("b"),
            "{outputs:?}"
        );
    }
}

#[test]
fn what_is_no_list_fails_its_loop_before_any_iteration() {
    let looped = r#""type": "loop", "loop_config": {"collection": "${workflow.input.n}", "loop_body": ["b"]}"#;
    let lab = lab(&[("l", looped), ("b", OK)], SIMULATED);
    for (input, is) in [(r#"{"n": 5}"#, "a number"), (r#"{"n": null}"#, "null")] {
        let told = format!(
            "l (-) collection-not-a-list: ${{workflow.input.n}} is {is}; a loop needs a list; let the step before return one"
        );
        assert_eq!(errors(run(&lab, &["--json", "--input", input])), [told]);
    }
    check_rows(&lab, &[("l", ["loop", "-", "-", "stop", "failed"])]);
}

#[test]
fn what_is_kept_of_each_iteration_does_not_grow_with_what_the_run_knows() {
    let looped = r#""type": "loop", "loop_config": {"collection": "${workflow.input}", "loop_body": ["c", "b"]}"#;
    let judged = r#""type": "conditional", "condition": {"expression": "${loop.index} > 49"}, "if_true_step": "t""#;
    let lab = lab(
        &[("l", looped), ("c", judged), ("t", OK), ("b", OK)],
        SIMULATED,
    );
    let items = vec!["x".repeat(1_000); 100];
    let done = run(&lab, &["--json", "--input", &json!(items).to_string()]).expect(0);
    let given = &done.json()["runs"][0]["outputs"]["l"];
    assert_eq!(given["iterations"][99]["status"], "COMPLETED", "{given}");
    assert_eq!(given["total_count"], 100);
    let took = |row: &&Value| row["step"] == "t" && row["status"] == "succeeded";
    let steps = &lab.call(&["show", "last", "--json"]).expect(0).json()["steps"];
    assert_eq!(steps.as_array().unwrap().iter().filter(took).count(), 50);
    let kept = std::fs::metadata(lab.path("windlass.db")).unwrap().len();
    assert!(
        kept < 3_000_000,
        "{kept} bytes: 100 times the input is 10 MB"
    );
}
