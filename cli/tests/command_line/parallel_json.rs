//! Parallel JSON from the command line: blocks of every kind, with simulations and with programs,
//! killed and resumed, and every message of a run.

use serde_json::{Value, json};

use crate::lab::{Done, Lab, eventually};

/// A file whose steps are these, each `"id": {…}` without the id inside; the first is the start.
fn file(steps: &[(&str, &str)]) -> String {
    let steps: Vec<_> = steps
        .iter()
        .map(|(id, fields)| format!("\"{id}\": {{\"id\": \"{id}\", {fields}}}"))
        .collect();
    let start = steps[0].split('"').nth(1).unwrap();
    format!(
        "{{\"name\": \"test\", \"start_step\": \"{start}\", \"steps\": {{\n{}\n}}}}",
        steps.join(",\n")
    )
}

/// A folder with `w.json` and `h.toml`.
fn lab(steps: &[(&str, &str)], handlers: &str) -> Lab {
    let lab = Lab::new();
    lab.write("w.json", &file(steps));
    lab.write("h.toml", handlers);
    lab
}

const RUN: [&str; 4] = ["run", "w.json", "--handlers", "h.toml"];

fn run(lab: &Lab, more: &[&str]) -> Done {
    lab.call(&[&RUN, more].concat())
}

/// Every agent pretends, `bad` fails, and `slow` takes its time.
const SIMULATED: &str = "[handlers.bad]\nsimulate = '1ms'\nfail = 'no luck'\n[handlers.slow]\nsimulate = '300ms'\n[handlers.'*']\nsimulate = '1ms'\n";

const OK: &str = r#""agent_name": "ok""#;
const BAD: &str = r#""agent_name": "bad""#;
const SLOW: &str = r#""agent_name": "slow""#;

/// Kind, parent, branch, policy and status of each row of the last run, by step; the first if there
/// are several.
fn row(show: &Value, step: &str) -> [String; 5] {
    let rows = show["steps"].as_array().unwrap();
    let row = rows.iter().find(|row| row["step"] == step);
    let row = row.unwrap_or_else(|| panic!("{step} is not in {rows:#?}"));
    [
        "kind",
        "parent_step_id",
        "branch_name",
        "join_policy",
        "status",
    ]
    .map(|key| row[key].as_str().unwrap_or("-").to_owned())
}

fn check_rows(lab: &Lab, expected: &[(&str, [&str; 5])]) {
    let show = lab.last_run();
    for (step, expected) in expected {
        assert_eq!(row(&show, step), *expected, "{step}");
    }
}

/// The errors of a run that failed: step, branch, code and message.
fn errors(done: Done) -> Vec<String> {
    let run = &done.expect(1).json()["runs"][0];
    let errors = run["errors"].as_array().unwrap().iter();
    let line = |error: &Value| {
        let text = |key: &str| error[key].as_str().unwrap_or("-").to_owned();
        let [step, branch, code, message] = ["step", "branch", "code", "message"].map(text);
        format!("{step} ({branch}) {code}: {message}")
    };
    errors.map(line).collect()
}

/// All kinds of blocks, one after the other.
const EVERYTHING: [(&str, &str); 15] = [
    (
        "load",
        r#""agent_name": "fetch", "next_step": "both", "input_mapping": {"day": "${workflow.input.day}"}"#,
    ),
    (
        "both",
        r#""type": "parallel", "parallel_steps": ["clean", "fork"], "next_step": "each""#,
    ),
    (
        "clean",
        r#""agent_name": "tidy", "input_mapping": {"rows": "${load.output.rows}"}"#,
    ),
    (
        "fork",
        r#""type": "fork_join", "fork_join_config": {"join_policy": "any", "branches":
            {"east": {"steps": ["e1", "e2"]}, "west": {"steps": ["w1", "w2"], "timeout_seconds": 30}}}"#,
    ),
    ("e1", OK),
    (
        "e2",
        r#""agent_name": "ok", "input_mapping": {"from": "${e1.output.score}"}"#,
    ),
    ("w1", BAD),
    ("w2", OK),
    (
        "each",
        r#""type": "loop", "next_step": "decide", "loop_config": {"collection": "${clean.output.items}",
            "execution_mode": "parallel", "max_parallelism": 2, "loop_body": ["one", "two"], "on_error": "collect"}"#,
    ),
    (
        "one",
        r#""agent_name": "ok", "input_mapping": {"name": "${loop.item.name}"}"#,
    ),
    (
        "two",
        r#""agent_name": "ok", "input_mapping": {"text": "got ${one.output.score}"}"#,
    ),
    (
        "decide",
        r#""type": "conditional", "condition": {"expression": "${each.output.failed_count} == 0"},
            "if_true_step": "good", "if_false_step": "poor", "next_step": "end""#,
    ),
    ("good", OK),
    ("poor", OK),
    (
        "end",
        r#""agent_name": "report", "input_mapping": {"all": "${each.output.iterations}", "first": "${each.output.iterations[0].output_data.sent}"}"#,
    ),
];

#[test]
fn blocks_of_every_kind_are_rehearsed_without_agents() {
    let lab = lab(&EVERYTHING, SIMULATED);
    let input = ["--input", r#"{"day": "monday"}"#];
    let done = run(&lab, &input).expect(0);
    let outputs = done.json();
    assert_eq!(outputs["load"], json!({"rows": "load.rows"}));
    assert_eq!(outputs["fork"], json!({"east": {}, "west": null}));
    let iterations = outputs["each"]["iterations"].as_array().unwrap();
    let first = json!({"index": 0, "step_id": "two", "status": "COMPLETED",
        "input": {"text": "got one.score"}, "output_data": {"sent": "two.sent"}});
    assert_eq!((iterations.len(), &iterations[0]), (2, &first));
    assert_eq!(outputs["decide"]["branch_step_id"], "good");
    done.says(&["w.json is recognised as parallel-json", "fork succeeded"]);
    check_rows(
        &lab,
        &[
            ("load", ["agent", "-", "-", "-", "succeeded"]),
            ("both", ["parallel", "-", "-", "all", "succeeded"]),
            ("clean", ["agent", "both", "clean", "all", "succeeded"]),
            ("fork", ["fork_join", "both", "fork", "any", "succeeded"]),
            ("e2", ["agent", "fork", "east", "any", "succeeded"]),
            ("w1", ["agent", "fork", "west", "any", "failed"]),
            ("w2", ["agent", "fork", "west", "any", "skipped"]),
            ("each", ["loop", "-", "-", "collect", "succeeded"]),
            (
                "one",
                ["agent", "each", "iteration-0", "collect", "succeeded"],
            ),
            (
                "decide",
                ["conditional", "-", "-", "exclusive", "succeeded"],
            ),
            (
                "good",
                ["agent", "decide", "then", "exclusive", "succeeded"],
            ),
            ("poor", ["agent", "decide", "else", "exclusive", "skipped"]),
        ],
    );
    let rows = lab.last_run()["steps"].clone();
    let reason = |step: &str| {
        let rows = rows.as_array().unwrap().iter();
        let mut rows = rows.filter(|row| row["step"] == step);
        rows.next().unwrap()["reason"].clone()
    };
    assert_eq!(
        (reason("w2"), reason("poor")),
        (json!("branch-failed"), json!("not-taken"))
    );
    let shown = lab.call(&["show", "last"]).expect(0).out;
    assert!(
        shown.contains("POLICY") && shown.contains("iteration-1"),
        "{shown}"
    );
}

/// Branch, iteration, status and reason of the rows of a step, in order.
fn rows_of(show: &Value, step: &str) -> Vec<String> {
    let rows = show["steps"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["step"] == step);
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let keys = ["branch_name", "iteration_index", "status", "reason"];
    rows.map(|row| keys.map(|key| text(&row[key])).join(" "))
        .collect()
}

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
fn branches_and_iterations_have_rows_of_their_own() {
    let steps = [
        (
            "l",
            r#""type": "loop", "next_step": "f", "loop_config": {"collection": [0, 1], "on_error": "continue", "loop_body": ["c", "x"]}"#,
        ),
        (
            "c",
            r#""type": "conditional", "condition": {"expression": "${loop.index} == 1"}, "if_true_step": "t""#,
        ),
        ("t", BAD),
        ("x", OK),
        (
            "f",
            r#""type": "fork_join", "fork_join_config": {"join_policy": "any", "branches": {"east": {"steps": ["a", "a2"]}, "west": {"steps": ["b", "b2"]}, "far": {"steps": ["s", "s2"], "timeout_seconds": 1}}}"#,
        ),
        ("a", OK),
        ("a2", OK),
        ("b", BAD),
        ("b2", OK),
        ("s", SLOW),
        ("s2", OK),
    ];
    let lab = lab(&steps, &SIMULATED.replace("300ms", "100s"));
    run(&lab, &[]).expect(0);
    let show = lab.last_run();
    let said = |step: &str| {
        let mut rows = show["steps"].as_array().unwrap().iter();
        let row = rows.rfind(|row| row["step"] == step);
        let row = row.unwrap_or_else(|| panic!("{step} is not in {:#}", show["steps"]));
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let [kind, parent, branch, status] =
            ["kind", "parent_step_id", "branch_name", "status"].map(|key| text(&row[key]));
        let why = text(&row["reason"]) + " " + &text(&row["error"]["code"]);
        format!("{kind} {parent} {branch} {status} {why}")
    };
    for (step, expected) in [
        ("l/iteration-0", "iteration l iteration-0 succeeded - -"),
        (
            "l/iteration-1",
            "iteration l iteration-1 failed - handler-failed",
        ),
        ("f/east", "branch f east succeeded - -"),
        ("f/west", "branch f west failed - handler-failed"),
        ("f/far", "branch f far failed - branch-timeout"),
        ("s", "agent f far cancelled branch-timeout -"),
        ("s2", "agent f far skipped branch-failed -"),
    ] {
        assert_eq!(said(step), expected);
    }
    let row = |step: &str| {
        let mut rows = show["steps"].as_array().unwrap().iter();
        rows.rfind(|row| row["step"] == step).unwrap()
    };
    let late = row("f/far");
    assert_eq!(
        late["error"]["message"],
        "branch far was not finished after 1 s; it was cancelled; raise timeout_seconds"
    );
    // From the beginning of its first step to the end of its time.
    assert_eq!(late["started_at"], row("s")["started_at"]);
    assert!(late["ended_at"].as_str() >= row("s")["ended_at"].as_str());
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
    assert_eq!(
        rows_of(&show, "inner"),
        [
            "iteration-0 0 succeeded -",
            "iteration-1 1 succeeded -",
            "iteration-2 2 succeeded -",
        ]
    );
    assert_eq!(
        rows_of(&show, "f"),
        [
            "iteration-0 0 succeeded -",
            "iteration-0 0 succeeded -",
            "iteration-1 1 succeeded -",
        ]
    );
    assert_eq!(
        rows_of(&show, "s"),
        [
            "one 0 succeeded -",
            "one 0 succeeded -",
            "one 1 succeeded -",
        ]
    );
    assert_eq!(
        rows_of(&show, "b"),
        ["two 0 failed -", "two 0 failed -", "two 1 failed -"]
    );
}

/// A fork of one step per agent under a policy.
fn fork(agents: &[&str], policy: &str) -> Vec<(String, String)> {
    let ids: Vec<_> = (0..agents.len()).map(|n| format!("s{n}")).collect();
    let branches: Vec<_> = ids
        .iter()
        .map(|id| format!(r#""b-{id}": {{"steps": ["{id}"]}}"#))
        .collect();
    let config = format!(
        r#""type": "fork_join", "fork_join_config": {{"branches": {{{}}}, {policy}}}"#,
        branches.join(", ")
    );
    let mut steps = vec![("f".to_owned(), config)];
    let step = |agent: &&str| format!(r#""agent_name": "{agent}""#);
    steps.extend(ids.into_iter().zip(agents.iter().map(step)));
    steps
}

#[test]
fn every_join_policy_judges_as_it_says_and_its_row_shows_it() {
    for (agents, policy, shown, status) in [
        (
            &["ok", "ok"][..],
            r#""join_policy": "all""#,
            "all",
            "succeeded",
        ),
        (&["ok", "bad"], r#""join_policy": "all""#, "all", "failed"),
        (
            &["bad", "ok", "bad"],
            r#""join_policy": "any""#,
            "any",
            "succeeded",
        ),
        (&["bad", "bad"], r#""join_policy": "any""#, "any", "failed"),
        (
            &["ok", "bad", "ok"],
            r#""join_policy": "majority""#,
            "majority",
            "succeeded",
        ),
        (
            &["ok", "bad"],
            r#""join_policy": "majority""#,
            "majority",
            "failed",
        ),
        (
            &["ok", "bad", "ok"],
            r#""join_policy": "n_of_m", "n_required": 2"#,
            "n_of_m:2",
            "succeeded",
        ),
        (
            &["ok", "bad", "bad"],
            r#""join_policy": "n_of_m", "n_required": 2"#,
            "n_of_m:2",
            "failed",
        ),
        (
            &["ok", "slow"],
            r#""join_policy": "any", "early_exit": "cancel""#,
            "any",
            "succeeded",
        ),
    ] {
        let steps = fork(agents, policy);
        let steps: Vec<_> = steps
            .iter()
            .map(|(id, text)| (id.as_str(), text.as_str()))
            .collect();
        let lab = lab(&steps, SIMULATED);
        run(&lab, &[]).expect(i32::from(status == "failed"));
        check_rows(&lab, &[("f", ["fork_join", "-", "-", shown, status])]);
        if policy.contains("cancel") {
            check_rows(&lab, &[("s1", ["agent", "f", "b-s1", "any", "cancelled"])]);
        }
    }
}

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
fn what_an_agent_cannot_be_given_fails_its_step_and_not_its_handler() {
    let lab = Lab::new();
    lab.write(
        "h.toml",
        "[handlers.'*']\ncommand = ['sh', '-c', 'echo x >> called; echo 7']\n",
    );
    for (mapping, error) in [
        (
            "${workflow.input.n.total}",
            "a (-) reference-unresolved: field x: ${workflow.input.n.total} is absent (n is a number); nothing can be passed; correct the path",
        ),
        (
            "n is ${workflow.input.n}",
            "a (-) embedded-not-text: field x: ${workflow.input.n} is a number inside text; it would lose its type; pass it alone",
        ),
    ] {
        let mapping = format!(r#""agent_name": "t", "input_mapping": {{"x": "{mapping}"}}"#);
        lab.write("w.json", &file(&[("a", &mapping)]));
        let done = run(&lab, &["--json", "--input", r#"{"n": 5}"#]);
        assert_eq!(errors(done), [error]);
    }
    assert_eq!(lab.read("called"), "");
    // Lenient leaves the field out and says so, with run and step.
    let mapping = r#""agent_name": "t", "input_mapping": {"x": "${workflow.input.gone}", "y": 1}"#;
    lab.write("w.json", &file(&[("a", mapping)]));
    let done = run(&lab, &["--lenient", "--json"]).expect(0);
    let id = done.json()["runs"][0]["run"].as_str().unwrap().to_owned();
    done.says(&[
        "field x: ${workflow.input.gone} is absent",
        "it is left out",
        &id,
        "step",
    ]);
    assert_eq!(lab.read("called"), "x\n");
}

/// Prints what it was given, in a JSON that is no object.
const ECHO: &str = "#!/bin/sh\nread -r given\necho \"[$given]\"\n";

#[test]
fn a_program_gets_its_input_resolved_and_may_give_any_json() {
    let read = r#""agent_name": "echo", "input_mapping": {"n": "${workflow.input[1]}", "item": "${loop.item.k}", "text": "no ${loop.item.k}"}"#;
    let looped = r#""type": "loop", "next_step": "z", "loop_config": {"collection": "${workflow.input[0]}", "loop_body": ["b"]}"#;
    let list = r#""agent_name": "list", "input_mapping": {"b": "${l.output.iterations[1].output_data[0].input.n}"}"#;
    let lab = lab(
        &[("l", looped), ("b", read), ("z", list)],
        "[handlers.echo]\ncommand = ['sh', './echo.sh']\ntimeout = '60s'\n[handlers.list]\ncommand = ['sh', '-c', 'cat > given; echo 5.5']\n",
    );
    lab.write("echo.sh", ECHO);
    let done = run(&lab, &["--input", r#"[[{"k": "a"}, {"k": "b"}], 7]"#]).expect(0);
    let outputs = done.json();
    assert_eq!(outputs["z"], json!(5.5));
    let show = lab.last_run();
    let rows = show["steps"].as_array().unwrap().iter();
    let shown = rows.filter(|row| row["step"] == "b");
    let shown: Vec<_> = shown.map(|row| row["input"]["item"].clone()).collect();
    assert_eq!(shown, ["a", "b"]);
    let given = &outputs["l"]["iterations"][1]["output_data"][0];
    assert_eq!(given["input"], json!({"n": 7, "item": "b", "text": "no b"}));
    for (key, expected) in [
        ("workflow_id", json!("test")),
        ("step_id", json!("b")),
        ("agent_name", json!("echo")),
        ("iteration_index", json!(1)),
        ("parent_step_id", json!("l")),
        ("branch_name", json!("iteration-1")),
        ("attempt", json!(1)),
        ("timeout_ms", json!(60_000)),
    ] {
        assert_eq!(given[key], expected, "{key}");
    }
    assert!(
        given["deadline"].as_str().unwrap().ends_with('Z'),
        "{given}"
    );
    assert_eq!(given.get("config"), None);
    let given: Value = serde_json::from_str(&lab.read("given")).unwrap();
    assert_eq!(
        (&given["input"], &given["iteration_index"]),
        (&json!({"b": 7}), &Value::Null)
    );
    // The dialect's own limit.
    assert_eq!(given["timeout_ms"], json!(300_000));

    lab.write("h.toml", "[handlers.'*']\ncommand = ['echo', 'hello']\n");
    run(&lab, &["--input", r#"[[{"k": "a"}], 7]"#])
        .expect(1)
        .says(&["no JSON", "print one JSON value to stdout", "hello"]);
}

#[test]
fn an_agent_called_shell_takes_its_command_from_the_file_and_never_a_value() {
    let say = r#""agent_name": "shell", "next_step": "b", "input_mapping": {"command": "echo \"$WHO\" ${HOME:+x}", "env": {"WHO": "${workflow.input.who}"}}"#
        .replace("${HOME:+x}", "");
    let five = r#""agent_name": "shell", "input_mapping": {"command": "echo $((4 + 1))"}"#;
    let good = lab(&[("a", &say), ("b", five)], "");
    let input = r#"{"who": "$(rm -rf .)"}"#;
    run(&good, &["--input", input])
        .expect(2)
        .says(&["--allow shell", "(steps a, b)"]);
    let done = run(&good, &["--allow", "shell", "--input", input]).expect(0);
    assert_eq!(done.json(), json!({"a": "$(rm -rf .)", "b": 5}));

    let bad = lab(
        &[
            (
                "a",
                r#""agent_name": "shell", "next_step": "b", "input_mapping": {"command": "rm ${workflow.input.x}"}"#,
            ),
            (
                "b",
                r#""agent_name": "shell", "input_mapping": {"env": {"A-B": "x"}}"#,
            ),
        ],
        "",
    );
    let check = bad.call(&["check", "w.json", "--json"]).expect(2).json();
    let found: Vec<_> = check["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            (
                found["pointer"].as_str().unwrap(),
                found["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("/steps/a/input_mapping/command", "shell-command-invalid"),
            ("/steps/b/input_mapping/command", "shell-command-invalid"),
            ("/steps/b/input_mapping/env", "shell-env-invalid"),
        ]
    );
    let text = bad.call(&["check", "w.json"]).expect(2).out;
    assert!(
        text.contains("input_mapping.command takes a value of the run"),
        "{text}"
    );
}

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
fn agents_have_limits_and_retries_and_may_be_unknown_until_their_step() {
    let steps = [
        ("a", r#""agent_name": "flaky", "next_step": "b""#),
        ("b", r#""agent_name": "gone""#),
    ];
    let lab = lab(
        &steps,
        "[handlers.flaky]\nsimulate = '1ms'\nfail = 'not yet'\nfail_attempts = 2\n",
    );
    run(&lab, &[])
        .expect(2)
        .says(&["no-handler", "\"gone\"", "flaky"]);
    let agents = "[dialects.parallel-json]\nresolve_agents = 'run'\n[dialects.parallel-json.agents.flaky]\nretry_config = { max_retries = 2, initial_delay_ms = 1 }\n";
    lab.write("windlass.toml", agents);
    assert_eq!(
        errors(run(&lab, &["--json"])),
        [
            "b (-) agent-unknown: no handler \"gone\"; the step cannot work; register it and start again"
        ]
    );
    let show = lab.last_run();
    assert_eq!(told(&show, "b"), "agent - - failed agent-unknown");
    let a = show["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["step"] == "a");
    assert_eq!(a.unwrap()["attempt"], 3);

    let breaker = format!("{agents}circuit_breaker_config = {{}}\n");
    lab.write("windlass.toml", &breaker);
    run(&lab, &[])
        .expect(2)
        .says(&["circuit-breaker-unsupported"]);
    run(&lab, &["--lenient"])
        .expect(1)
        .says(&["warning[circuit-breaker-unsupported]"]);
    let config = lab.call(&["config"]).expect(0).out;
    assert!(
        config.contains("dialects.parallel-json.agents.flaky"),
        "{config}"
    );

    let limit = "[dialects.parallel-json.agents.slow]\ntimeout_ms = 50\n";
    lab.write("windlass.toml", limit);
    lab.write("w.json", &file(&[("a", SLOW)]));
    lab.write("h.toml", SIMULATED);
    let found = errors(run(&lab, &["--json"]));
    assert!(found[0].starts_with("a (-) step-timeout:"), "{found:?}");
}

#[test]
fn a_step_that_was_copied_has_its_rows_under_its_own_id() {
    let on = |key: &str, more: &str| {
        format!(
            r#""type": "conditional", "condition": {{"expression": "${{workflow.input.{key}}}"}}, {more}"#
        )
    };
    let c = on(
        "c",
        r#""if_true_step": "d", "if_false_step": "t", "next_step": "y""#,
    );
    let d = on("d", r#""if_true_step": "t", "next_step": "x""#);
    let e = on("d", r#""if_true_step": "p", "next_step": "u""#);
    let steps = [
        ("c", &*c),
        ("d", &*d),
        ("t", r#""agent_name": "ok", "next_step": "e""#),
        ("e", &*e),
        ("p", r#""type": "parallel", "parallel_steps": ["q", "l"]"#),
        ("q", r#""agent_name": "late""#),
        (
            "l",
            r#""type": "loop", "loop_config": {"collection": [1, 2], "loop_body": ["each"]}"#,
        ),
        ("each", OK),
        ("u", OK),
        ("x", OK),
        ("y", OK),
    ];
    let late = "[handlers.late]\ncommand = ['sh', '-c', 'cat > /dev/null; test -e go && echo 7']\n[handlers.'*']\nsimulate = '1ms'\n";
    for input in [r#"{"c": true, "d": true}"#, r#"{"c": false, "d": true}"#] {
        let lab = lab(&steps, late);
        let told = errors(run(&lab, &["--json", "--input", input]));
        assert!(told[0].starts_with("p (then) children-failed:"), "{told:?}");
        assert!(told[1].starts_with("q (q) handler-failed:"), "{told:?}");
        let show = lab.last_run();
        assert_eq!(rows_of(&show, "q"), ["q - failed -"]);
        assert_eq!(rows_of(&show, "p"), ["then - failed -"]);
        assert_eq!(
            rows_of(&show, "each"),
            ["iteration-0 0 succeeded -", "iteration-1 1 succeeded -"]
        );
        assert_eq!(rows_of(&show, "u").len(), 1);
        lab.write("go", "");
        let done = lab.call(&["retry", "last", "--json"]).expect(0).json();
        let outputs = &done["runs"][0]["outputs"];
        assert_eq!(outputs["p"]["q"], 7);
        assert_eq!(outputs["e"]["branch_step_id"], "p");
        let show = lab.last_run();
        for (step, status) in [
            ("t", "succeeded"),
            ("p", "succeeded"),
            ("q", "succeeded"),
            ("e", "succeeded"),
            ("u", "succeeded"),
        ] {
            let rows = rows_of(&show, step);
            assert_eq!(rows.len(), 1, "{step}: {rows:?}");
            assert!(rows[0].contains(status), "{step}: {rows:?}");
        }
        let x = rows_of(&show, "x").join("");
        assert_eq!(
            x.contains("succeeded"),
            input.contains(r#""c": true"#),
            "{x}"
        );
    }
}

/// Where the last row of a step stands, and what it came to.
fn told(show: &Value, step: &str) -> String {
    let mut rows = show["steps"].as_array().unwrap().iter();
    let row = rows.rfind(|row| row["step"] == step).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    ["kind", "parent_step_id", "branch_name", "status"]
        .map(|key| text(&row[key]))
        .join(" ")
        + " "
        + &text(&row["error"]["code"])
}

#[test]
fn a_step_whose_agent_is_unknown_has_a_row_wherever_it_stands() {
    let looped = r#""type": "loop", "next_step": "f", "loop_config": {"collection": [0, 1], "on_error": "continue", "loop_body": ["e", "b"]}"#;
    let fork = r#""type": "fork_join", "fork_join_config": {"join_policy": "any", "branches": {"east": {"steps": ["c", "d"]}, "west": {"steps": ["a"]}}}"#;
    let gone = r#""agent_name": "gone""#;
    let steps = [
        ("l", looped),
        ("e", OK),
        ("b", gone),
        ("f", fork),
        ("c", gone),
        ("d", gone),
        ("a", OK),
    ];
    let lab = lab(&steps, "[handlers.ok]\nsimulate = '1ms'\n");
    lab.write(
        "windlass.toml",
        "[dialects.parallel-json]\nresolve_agents = 'run'\n",
    );
    run(&lab, &[]).expect(0);
    let show = lab.last_run();
    for (step, row) in [
        ("b", "agent l iteration-1 failed agent-unknown"),
        ("c", "agent f east failed agent-unknown"),
        ("d", "agent f east skipped -"),
        ("f/east", "branch f east failed agent-unknown"),
    ] {
        assert_eq!(told(&show, step), row);
    }
}

#[test]
fn a_dialect_can_be_named_and_lenient_repairs() {
    let lab = Lab::new();
    lab.write("h.toml", SIMULATED);
    lab.write(
        "w.json",
        r#"{"name": "w", "start_step": "a", "steps": {"a": {"agent_name": "ok", "retries": 3}}}"#,
    );
    let strict = lab.call(&["check", "w.json"]).expect(2);
    for code in ["error[field-missing]", "error[unknown-key]"] {
        assert!(strict.out.contains(code), "{}", strict.out);
    }
    let lenient = lab
        .call(&["check", "w.json", "--lenient", "--json"])
        .expect(0);
    assert_eq!(lenient.json()["dialect"], "parallel-json");
    run(&lab, &["--lenient"])
        .expect(0)
        .says(&["warning[field-missing]"]);
    lab.write(
        "windlass.toml",
        "[dialects.parallel-json]\nmode = 'lenient'\n",
    );
    run(&lab, &[]).expect(0);
    let named = ["check", "w.json", "--dialect", "step-groups-yaml"];
    lab.call(&named)
        .expect(2)
        .says(&["w.json is read as step-groups-yaml, as --dialect says"]);
    let wrong = lab
        .call(&["check", "w.json", "--dialect", "yaml"])
        .expect(2);
    wrong.says(&["\"yaml\" is no dialect", "parallel-json"]);
    lab.write("notes.txt", "hello: 1\n");
    lab.call(&["check", "notes.txt"])
        .expect(2)
        .says(&["name that with --dialect"]);
}

#[test]
fn a_condition_that_errs_is_false_or_fails_its_step_as_is_set() {
    let decide = r#""type": "conditional", "condition": {"expression": "${workflow.input.n} < 3"}, "if_true_step": "t", "if_false_step": "e""#;
    let lab = lab(&[("c", decide), ("t", OK), ("e", OK)], SIMULATED);
    let input = ["--json", "--input", r#"{"n": "5"}"#];
    let done = run(&lab, &input).expect(0).json();
    assert_eq!(done["runs"][0]["outputs"]["c"]["branch_taken"], "else");
    lab.write(
        "windlass.toml",
        "[dialects.parallel-json]\nstrict_conditions = true\n",
    );
    let found = errors(run(&lab, &input));
    assert!(
        found[0].starts_with("c (-) condition-error: text is compared with a number"),
        "{found:?}"
    );
    check_rows(
        &lab,
        &[("c", ["conditional", "-", "-", "exclusive", "failed"])],
    );
}

#[test]
fn the_row_of_a_conditional_tells_its_condition_and_what_that_came_to() {
    let on = |expression: &str, next: &str| {
        format!(
            r#""type": "conditional", "condition": {{"expression": "{expression}"}}, "if_true_step": "{next}t", "next_step": "{next}""#
        )
    };
    let looped = r#""type": "loop", "next_step": "b", "loop_config": {"collection": [0, 1, 2], "on_error": "continue", "loop_body": ["d", "q"]}"#;
    let (erring, skipped) = (on("${workflow.input.n} < 3", "e"), on("1 == 2", "z"));
    let (each, of) = (
        r#""type": "conditional", "condition": {"expression": "${loop.index} > 0"}, "if_true_step": "t", "if_false_step": "f""#,
        r#""type": "parallel", "parallel_steps": ["q1", "q2"]"#,
    );
    let steps = [
        ("c", &*erring),
        ("et", OK),
        ("e", r#""agent_name": "ok", "next_step": "l""#),
        ("l", looped),
        ("d", each),
        ("t", OK),
        ("f", BAD),
        ("q", of),
        ("q1", OK),
        ("q2", OK),
        ("b", r#""agent_name": "bad", "next_step": "s""#),
        ("s", &*skipped),
        ("zt", OK),
        ("z", OK),
    ];
    let lab = lab(&steps, SIMULATED);
    run(&lab, &["--input", r#"{"n": "5"}"#]).expect(1);
    let show = lab.last_run();
    let rows = show["steps"].as_array().unwrap();
    let told = |step: &str| -> Vec<String> {
        let keys = [
            "condition_expression",
            "condition_result",
            "branch_taken",
            "condition_error",
        ];
        let rows = rows.iter().filter(|row| row["step"] == step);
        rows.map(|row| {
            keys.map(|key| row[key].to_string().replace('"', ""))
                .join(" | ")
        })
        .collect()
    };
    let text = "text is compared with a number, but only two numbers or two texts have an order; convert one";
    assert_eq!(
        told("c"),
        [format!("${{workflow.input.n}} < 3 | false | else | {text}")]
    );
    assert_eq!(
        told("d"),
        [
            "${loop.index} > 0 | false | else | null",
            "${loop.index} > 0 | true | then | null",
            "${loop.index} > 0 | true | then | null",
        ]
    );
    assert_eq!(told("s"), ["1 == 2 | null | null | null"]);
    assert!(rows.iter().any(|row| row.get("condition_result").is_none()));
    let text = format!("taken as false: {text}");
    assert!(lab.call(&["show", "last"]).out.contains(&text));
}

#[test]
fn conditionals_of_an_iteration_that_failed_tell_what_they_decided() {
    let looped = r#""type": "loop", "loop_config": {"collection": [{"n": "5"}, {"n": 1}, {"n": 2}], "on_error": "continue", "loop_body": ["c", "b", "d"]}"#;
    let c = r#""type": "conditional", "condition": {"expression": "${loop.item.n} > 1"}, "if_true_step": "t""#;
    let d = r#""type": "conditional", "condition": {"expression": "1 == 1"}, "if_true_step": "t2""#;
    let inner = r#""type": "loop", "loop_config": {"collection": [0], "loop_body": ["e", "x"]}"#;
    let e = r#""type": "conditional", "condition": {"expression": "${loop.index} > 0"}, "if_true_step": "t3""#;
    let steps = [
        ("l", looped),
        ("c", c),
        ("t", OK),
        ("b", inner),
        ("e", e),
        ("t3", OK),
        ("x", BAD),
        ("d", d),
        ("t2", OK),
    ];
    let lab = lab(&steps, SIMULATED);
    run(&lab, &[]).expect(0);
    let show = lab.last_run();
    let rows = show["steps"].as_array().unwrap();
    let told = |step: &str| -> Vec<String> {
        let keys = ["condition_result", "branch_taken", "condition_error"];
        let rows = rows.iter().filter(|row| row["step"] == step);
        rows.map(|row| {
            keys.map(|key| row[key].to_string().replace('"', ""))
                .join(" ")
        })
        .collect()
    };
    let text = "text is compared with a number, but only two numbers or two texts have an order; convert one";
    assert_eq!(
        told("c"),
        [
            format!("false else {text}"),
            "false else null".to_owned(),
            "true then null".to_owned(),
        ]
    );
    assert_eq!(told("e"), ["false else null"; 3]);
    assert_eq!(told("d"), ["null null null"; 3]);
    assert_eq!(rows_of(&show, "e"), ["iteration-0 0 succeeded -"; 3]);
    assert_eq!(rows_of(&show, "t3"), ["then 0 skipped not-taken"; 3]);
    assert_eq!(rows_of(&show, "t2")[0], "then 0 skipped branch-failed");
    let iterations = rows.iter().filter(|row| row["kind"] == "iteration");
    assert!(iterations.clone().all(|row| row["output"].is_null()));
    assert_eq!(iterations.count(), 6);
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
fn the_example_has_all_four_kinds_of_blocks() {
    let lab = Lab::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/scores.json");
    let done = lab.call(&["run", example, "--allow", "shell"]).expect(0);
    let outputs = done.json();
    let mirrors = json!({"east": "copied in 12 ms", "west": null, "far": 250});
    assert_eq!(outputs["mirrors"], mirrors);
    assert_eq!(
        outputs["score"]["iterations"][1]["output_data"],
        "south has 10"
    );
    assert_eq!(outputs["announce"], "north has 6; branch then");
    done.says(&[
        "west-ping failed",
        "no route to west",
        "mirrors succeeded",
        "enough succeeded",
    ]);
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
fn all_mistakes_of_a_file_are_told_at_once_with_their_places() {
    let lab = Lab::new();
    let path = "/../dialects/tests/data/six-mistakes.json";
    let path = [env!("CARGO_MANIFEST_DIR"), path].concat();
    lab.write("w.json", &std::fs::read_to_string(path).unwrap());
    let check = lab.call(&["check", "w.json"]).expect(2);
    let lines: Vec<_> = check.out.lines().collect();
    for code in [
        "id-mismatch",
        "n-required-invalid",
        "duplicate-child",
        "type-unsupported",
        "cycle",
        "reference-not-ready",
    ] {
        let told = |line: &&str| line.contains(&format!("error[{code}]"));
        let line = lines.iter().find(|line| told(line));
        let line = line.unwrap_or_else(|| panic!("{code} is not in {lines:#?}"));
        let place: Vec<_> = line.split(':').take(3).collect();
        assert_eq!(place[0], "w.json", "{line}");
        assert!(
            place[1..].iter().all(|n| n.parse::<u32>().is_ok()),
            "{line}"
        );
    }
    lab.write("h.toml", SIMULATED);
    run(&lab, &[])
        .expect(2)
        .says(&lines)
        .says(&["nothing was run"]);
}
