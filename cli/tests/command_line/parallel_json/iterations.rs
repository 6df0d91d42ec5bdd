//! The rows of what stands in loops, for each iteration.

use super::{BAD, OK, SIMULATED, SLOW, lab, rows_of, run};

/// A loop with a parallel and a conditional in it, of which the second iteration fails.
const BUSY: [(&str, &str); 6] = [
    (
        "l",
        r#""type": "loop", "loop_config": {"collection": [0, 1, 2], "execution_mode": "parallel", "on_error": "continue", "loop_body": ["p", "c"]}"#,
    ),
    ("p", r#""type": "parallel", "parallel_steps": ["a", "b"]"#),
    ("a", OK),
    ("b", r#""agent_name": "second""#),
    (
        "c",
        r#""type": "conditional", "condition": {"expression": "${loop.index} == 2"}, "if_true_step": "t""#,
    ),
    ("t", OK),
];

/// Agents that work, but for `second` in the second iteration.
const PROGRAMS: &str = r#"
[handlers.'*']
command = ['sh', '-c', 'cat > /dev/null; echo 1']
[handlers.second]
command = ['sh', '-c', 'read line; case "$line" in *iteration_index\":1*) exit 1;; esac; echo 2']
"#;

#[test]
fn blocks_and_steps_of_a_loop_have_a_row_for_each_iteration() {
    let lab = lab(&BUSY, PROGRAMS);
    run(&lab, &[]).expect(0);
    let show = lab.last_run();
    for (step, rows) in [
        (
            "p",
            [
                "iteration-0 0 succeeded -",
                "iteration-1 1 failed -",
                "iteration-2 2 succeeded -",
            ],
        ),
        (
            "a",
            ["a 0 succeeded -", "a 1 succeeded -", "a 2 succeeded -"],
        ),
        ("b", ["b 0 succeeded -", "b 1 failed -", "b 2 succeeded -"]),
        (
            "t",
            [
                "then 0 skipped not-taken",
                "then 1 skipped branch-failed",
                "then 2 succeeded -",
            ],
        ),
        (
            "c",
            [
                "iteration-0 0 succeeded -",
                "iteration-1 1 skipped branch-failed",
                "iteration-2 2 succeeded -",
            ],
        ),
    ] {
        assert_eq!(rows_of(&show, step), rows, "{step}");
    }
    let rows = show["steps"].as_array().unwrap();
    let failed = rows
        .iter()
        .find(|row| row["step"] == "p" && row["status"] == "failed");
    assert_eq!(
        failed.unwrap()["error"]["message"],
        "Parallel execution failed: 1 step(s) failed: b"
    );
    assert_eq!(rows_of(&show, "l"), ["- - succeeded -"]);
    let text = lab.call(&["show", "last"]).expect(0).out;
    assert!(text.contains("then [2]"), "{text}");
}

#[test]
fn steps_that_no_iteration_came_to_have_a_row_that_says_why() {
    let looped = |collection: &str| {
        format!(
            r#""type": "loop", "next_step": "z", "loop_config": {{"collection": {collection}, "loop_body": ["x", "q"]}}"#
        )
    };
    let steps = [
        ("q", r#""type": "parallel", "parallel_steps": ["a", "b"]"#),
        ("a", OK),
        ("b", OK),
    ];
    let rows = |collection: &str, x: &str, z: &str| {
        let l = looped(collection);
        let lab = lab(
            &[&[("l", &*l), ("x", x), ("z", z)], &steps[..]].concat(),
            SIMULATED,
        );
        run(&lab, &[]).expect(i32::from(x != OK || z != OK));
        let show = lab.last_run();
        ["l", "x", "q", "a", "z"].map(|step| rows_of(&show, step).join(", "))
    };
    // Nothing to go through: neither in a run that ends well nor in one that fails later.
    for (z, end) in [(OK, "- - succeeded -"), (BAD, "- - failed -")] {
        assert_eq!(
            rows("[]", OK, z),
            [
                "- - succeeded -",
                "iteration - skipped not-taken",
                "iteration - skipped not-taken",
                "a - skipped not-taken",
                end,
            ]
        );
    }
    // Stopped before some.
    assert_eq!(
        rows("[7, 8, 9]", BAD, OK),
        [
            "- - failed -",
            "iteration-0 0 failed -, iteration-1 1 skipped chain-failed, iteration-2 2 skipped chain-failed",
            "iteration-0 0 skipped branch-failed, iteration-1 1 skipped chain-failed, iteration-2 2 skipped chain-failed",
            "a 0 skipped branch-failed, a 1 skipped chain-failed, a 2 skipped chain-failed",
            "- - skipped chain-failed",
        ]
    );
}

#[test]
fn iterations_that_a_stopped_loop_did_not_come_to_have_rows_that_say_why() {
    let stopped = |more: &str| format!(r#""type": "loop", {more} "loop_body": ["x", "q"]}}"#);
    let in_order = r#""on_failure": "z", "loop_config": {"collection": [0, 1, 2, 3, 4],"#;
    let drained = r#""on_failure": "z", "loop_config": {"collection": [0, 1, 2, 3, 4], "execution_mode": "parallel", "max_parallelism": 2,"#;
    let work = "[handlers.x]\ncommand = ['sh', '-c', 'read l; case \"$l\" in *iteration_index\\\":1*) exit 1;; esac; echo 1']\n[handlers.'*']\nsimulate = '1ms'\n";
    for more in [in_order, drained] {
        let l = stopped(more);
        let steps = [
            ("l", &*l),
            ("x", r#""agent_name": "x""#),
            ("q", r#""type": "parallel", "parallel_steps": ["a", "b"]"#),
            ("a", OK),
            ("b", OK),
            ("z", OK),
        ];
        let lab = lab(&steps, work);
        let done = run(&lab, &[]).expect(0);
        let show = lab.last_run();
        let last = |step: &str| rows_of(&show, step).pop().unwrap();
        for (step, branch) in [
            ("l/iteration-4", "iteration-4"),
            ("x", "iteration-4"),
            ("q", "iteration-4"),
            ("a", "a"),
        ] {
            assert_eq!(
                last(step),
                format!("{branch} 4 skipped chain-failed"),
                "{more}"
            );
        }
        let next = rows_of(&show, "x");
        assert_eq!(next.len(), 5, "{next:?}");
        let of_fourth = rows_of(&show, "l/iteration-3");
        assert_eq!(of_fourth, ["iteration-3 3 skipped chain-failed"], "{more}");
        // What never began is no news while the run goes on.
        assert!(!done.err.contains("iteration-4"), "{}", done.err);
    }
}

#[test]
fn what_a_withdrawn_loop_did_not_come_to_is_cancelled_with_it() {
    let fork = r#""type": "fork_join", "fork_join_config": {"join_policy": "any", "branches": {"east": {"steps": ["l"], "timeout_seconds": 1}, "west": {"steps": ["a"]}}}"#;
    let looped = r#""type": "loop", "loop_config": {"collection": [0, 1, 2], "loop_body": ["s"]}"#;
    let steps = [("f", fork), ("l", looped), ("s", SLOW), ("a", OK)];
    let lab = lab(&steps, &SIMULATED.replace("300ms", "100s"));
    let done = run(&lab, &[]).expect(0);
    done.says(&[
        "l/iteration-0/s cancelled (branch-timeout)",
        "f/east/l cancelled (branch-timeout)",
    ]);
    let show = lab.last_run();
    for step in ["s", "l/iteration-0"] {
        assert_eq!(
            rows_of(&show, step)[0],
            "iteration-0 0 cancelled branch-timeout"
        );
    }
    assert_eq!(
        rows_of(&show, "s")[1..],
        [
            "iteration-1 1 cancelled branch-timeout",
            "iteration-2 2 cancelled branch-timeout"
        ]
    );
}

#[test]
fn loops_in_loops_have_a_row_for_each_iteration_of_both() {
    let lab = lab(
        &[
            (
                "outer",
                r#""type": "loop", "loop_config": {"collection": [["x"], [], ["y", "z"]], "on_error": "continue", "loop_body": ["inner"]}"#,
            ),
            (
                "inner",
                r#""type": "loop", "loop_config": {"collection": "${loop.item}", "loop_body": ["f"], "execution_mode": "parallel"}"#,
            ),
            (
                "f",
                r#""type": "fork_join", "fork_join_config": {"join_policy": "any", "branches": {"one": {"steps": ["s"], "timeout_seconds": 60}, "two": {"steps": ["b"]}}}"#,
            ),
            ("s", OK),
            ("b", BAD),
        ],
        SIMULATED,
    );
    run(&lab, &[]).expect(0);
    let show = lab.last_run();
    for (step, rows) in [
        (
            "inner",
            [
                "iteration-0 0 succeeded -",
                "iteration-1 1 succeeded -",
                "iteration-2 2 succeeded -",
            ],
        ),
        (
            "f",
            [
                "iteration-0 0 succeeded -",
                "iteration-0 0 succeeded -",
                "iteration-1 1 succeeded -",
            ],
        ),
        (
            "s",
            [
                "one 0 succeeded -",
                "one 0 succeeded -",
                "one 1 succeeded -",
            ],
        ),
        ("b", ["two 0 failed -", "two 0 failed -", "two 1 failed -"]),
    ] {
        assert_eq!(rows_of(&show, step), rows, "{step}");
    }
}
