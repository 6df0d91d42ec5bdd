//! What failures are told with, and what a run goes on in spite of.

use super::{BAD, OK, SIMULATED, SLOW, check_rows, errors, lab, row, run};

#[test]
fn every_failure_of_a_block_is_told_in_the_words_of_the_dialect() {
    let check = |steps: &[(&str, &str)], expected: &[&str], rows: &[(&str, [&str; 5])]| {
        let lab = lab(steps, SIMULATED);
        assert_eq!(errors(run(&lab, &["--json"])), expected);
        check_rows(&lab, rows);
    };
    check(
        &[
            (
                "p",
                r#""type": "parallel", "parallel_steps": ["a", "b", "c"], "next_step": "z""#,
            ),
            ("a", OK),
            ("b", BAD),
            ("c", BAD),
            ("z", OK),
        ],
        &[
            "p (-) children-failed: Parallel execution failed: 2 step(s) failed: b, c",
            "b (b) handler-failed: no luck",
            "c (c) handler-failed: no luck",
        ],
        &[
            ("p", ["parallel", "-", "-", "all", "failed"]),
            ("a", ["agent", "p", "a", "all", "succeeded"]),
            ("z", ["agent", "-", "-", "-", "skipped"]),
        ],
    );
    let fork = r#""type": "fork_join", "fork_join_config": {"branches": {"east": {"steps": ["a"]}, "west": {"steps": ["s"], "timeout_seconds": 1}}}"#;
    let lab_of = lab(
        &[("f", fork), ("a", OK), ("s", SLOW)],
        &SIMULATED.replace("300ms", "100s"),
    );
    assert_eq!(
        errors(run(&lab_of, &["--json"])),
        [
            "f (-) policy-not-met: Fork-join failed: policy all needs 2 of 2 branch(es), 1 succeeded; failed: west",
            "f (west) branch-timeout: branch west was not finished after 1 s; it was cancelled; raise timeout_seconds",
        ]
    );
    let looped = |on_error: &str| {
        format!(
            r#""type": "loop", "loop_config": {{"collection": [1, 2], "loop_body": ["b"], "on_error": "{on_error}"}}"#
        )
    };
    check(
        &[("l", &looped("collect")), ("b", BAD)],
        &[
            "l (-) loop-failed: Loop failed: 2 of 2 iteration(s) failed: 0, 1",
            "b (iteration-0) handler-failed: no luck",
            "b (iteration-1) handler-failed: no luck",
        ],
        &[
            ("l", ["loop", "-", "-", "collect", "failed"]),
            ("b", ["agent", "l", "iteration-0", "collect", "failed"]),
        ],
    );
    check(
        &[("l", &looped("stop")), ("b", BAD)],
        &[
            "l (-) loop-failed: Loop failed: iteration 0 of 2: no luck",
            "b (iteration-0) handler-failed: no luck",
        ],
        &[("l", ["loop", "-", "-", "stop", "failed"])],
    );
    let lab_of = lab(&[("l", &looped("continue")), ("b", BAD)], SIMULATED);
    run(&lab_of, &[]).expect(0);
    check_rows(
        &lab_of,
        &[("l", ["loop", "-", "-", "continue", "succeeded"])],
    );
    check(
        &[
            (
                "l",
                r#""type": "loop", "loop_config": {"collection": "${workflow.input.n}", "loop_body": ["b"]}"#,
            ),
            ("b", OK),
        ],
        &[
            "l (-) reference-unresolved: field collection: ${workflow.input.n} is absent (the input has: none); nothing can be passed; correct the path",
        ],
        &[
            ("l", ["loop", "-", "-", "stop", "failed"]),
            ("b", ["agent", "l", "iteration", "stop", "skipped"]),
        ],
    );
}

#[test]
fn a_handled_failure_does_not_fail_what_is_around_it() {
    let decide = r#""type": "conditional", "condition": {"expression": "${workflow.input.x} == null"}, "if_true_step": "t", "next_step": "z""#;
    let lab = lab(
        &[
            ("c", decide),
            ("t", r#""agent_name": "bad", "on_failure": "fix""#),
            ("fix", OK),
            ("z", OK),
        ],
        SIMULATED,
    );
    run(&lab, &[]).expect(0);
    check_rows(
        &lab,
        &[
            ("t", ["agent", "c", "then", "exclusive", "failed"]),
            ("fix", ["agent", "c", "then", "exclusive", "succeeded"]),
            ("c", ["conditional", "-", "-", "exclusive", "succeeded"]),
        ],
    );
}

#[test]
fn what_a_run_went_on_in_spite_of_is_told() {
    let decide = r#""type": "conditional", "condition": {"expression": "${workflow.input.n} < 3"}, "if_true_step": "t", "next_step": "p""#;
    let pair = r#""type": "parallel", "parallel_steps": ["a", "b"], "on_failure": "fix""#;
    let steps = [
        ("c", decide),
        ("t", OK),
        ("p", pair),
        ("a", OK),
        ("b", BAD),
        ("fix", OK),
    ];
    let lab = lab(&steps, SIMULATED);
    let done = run(&lab, &["--input", r#"{"n": "5"}"#]).expect(0);
    let said = [
        "step c: the condition is taken as false",
        "p: b [handler-failed]: no luck",
    ];
    done.says(&said);
    let text = lab.call(&["show", "last"]).out;
    for words in ["\nwarnings\n", "\nhandled failures\n", said[0], said[1]] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let show = lab.last_run();
    assert!(show["warnings"][0].as_str().unwrap().contains(said[0]));
    assert_eq!(show["handled_failures"][0]["step"], "p");
    assert_eq!(row(&show, "p")[4], "failed");
    // It chose the way on, where nothing of its own stands.
    assert_eq!(row(&show, "c")[4], "succeeded");
}
