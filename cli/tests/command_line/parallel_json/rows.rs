//! The rows of steps, blocks and branches.

use serde_json::{Value, json};

use super::{
    BAD, EVERYTHING, OK, SIMULATED, SLOW, check_rows, errors, fork, lab, rows_of, run, told,
};
use crate::lab::Lab;

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
