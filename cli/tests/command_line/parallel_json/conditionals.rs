//! What conditionals decide, and what their rows tell of it.

use super::{BAD, OK, SIMULATED, check_rows, errors, lab, rows_of, run};

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
