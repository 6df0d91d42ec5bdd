//! Which way conditionals take, and where their branches end.

use serde_json::{Value, json};
use windlass_workflow_model::Fault;

use super::{OK, run_with};
use crate::checks::{file, lenient, options, workflow_with};
use crate::play::{Order, Played, agents, play};

/// The conditional of the specification: s, c, then t1 and t2, and z behind it.
fn conditional(next: &str, t2: &str, input: &Value) -> Played {
    let c = format!(
        r#""type": "conditional", "condition": {{"expression": "${{s.output.n}} >= 3"}}, "if_true_step": "t1", "if_false_step": null, "next_step": {next}"#
    );
    let t2 = format!(r#""agent_name": "ok"{t2}"#);
    let steps = [
        ("s", r#""agent_name": "echo", "next_step": "c""#),
        ("c", c.as_str()),
        ("t1", r#""agent_name": "ok", "next_step": "t2""#),
        ("t2", t2.as_str()),
        ("z", r#""agent_name": "ok", "input_mapping": {}"#),
    ];
    let given = input.clone();
    let work = move |agent: &str, step: &str, input: &Value| match agent {
        "echo" => Ok(given.clone()),
        _ => agents(agent, step, input),
    };
    play(
        &workflow_with(&file(&steps), &options()),
        &Value::Null,
        Order::First,
        &work,
    )
}

#[test]
fn a_conditional_takes_a_branch_and_goes_on_behind_it() {
    let z = "\"z\"";
    let played = conditional(z, "", &json!({"n": 4}));
    assert_eq!(played.called, ["s", "t1", "t2", "z"]);
    assert_eq!(
        played.outputs()["c"],
        json!({"condition_result": true, "branch_taken": "then", "branch_step_id": "t1", "branch_output": {"v": "t1"}})
    );
    let played = conditional(z, "", &json!({"n": 1}));
    assert_eq!(played.called, ["s", "z"]);
    assert_eq!(
        played.outputs()["c"],
        json!({"condition_result": false, "branch_taken": "else", "branch_step_id": null, "branch_output": null})
    );
    let played = conditional(z, "", &json!({"m": 1}));
    assert_eq!(played.called, ["s", "z"]);
    let data = played.data();
    let error = data["steps"]["c"]["condition_error"].as_str().unwrap();
    assert_eq!(error, "${s.output.n} is absent (s has: m)");
    let marked = conditional(z, r#", "next_step": "z""#, &json!({"n": 4}));
    assert_eq!(marked.called, ["s", "t1", "t2", "z"]);
    let open = r#", "next_step": "z""#;
    assert_eq!(
        conditional("null", open, &json!({"n": 4})).called,
        ["s", "t1", "t2", "z"]
    );
    assert_eq!(conditional("null", open, &json!({"n": 1})).called, ["s"]);
}

#[test]
fn branches_of_conditionals_may_share_their_tail() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "a", "if_false_step": "d""#;
    let d = r#""type": "conditional", "condition": {"expression": "${workflow.input} == null"}, "if_true_step": "b", "if_false_step": "tail""#;
    let to_tail = r#""agent_name": "ok", "next_step": "tail""#;
    let steps = [
        ("c", c),
        ("a", to_tail),
        ("d", d),
        ("b", to_tail),
        ("tail", OK),
    ];
    for (input, expected) in [
        (json!(1), vec!["a", "tail"]),
        (json!(null), vec!["b", "tail"]),
        (json!(0), vec!["tail"]),
    ] {
        let played = run_with(&steps, &options(), &input, Order::First);
        assert_eq!(played.called, expected);
    }
    let played = run_with(&steps, &options(), &json!(null), Order::First);
    let nested = &played.outputs()["c"]["branch_output"];
    assert_eq!(
        (&nested["branch_step_id"], &nested["branch_output"]["v"]),
        (&json!("b"), &json!("b"))
    );
}

#[test]
fn a_tail_that_goes_on_differently_is_copied_for_each_way() {
    let on = |key: &str, more: &str| {
        format!(
            r#""type": "conditional", "condition": {{"expression": "${{workflow.input.{key}}}"}}, {more}"#
        )
    };
    let (c, d) = (
        on(
            "c",
            r#""if_true_step": "d", "if_false_step": "t", "next_step": "y""#,
        ),
        on("d", r#""if_true_step": "t", "next_step": "x""#),
    );
    let e = on(
        "e",
        r#""if_true_step": "p", "if_false_step": "u", "next_step": "u""#,
    );
    let steps = [
        ("c", &*c),
        ("d", &*d),
        (
            "t",
            r#""agent_name": "ok", "next_step": "e", "on_failure": "fix""#,
        ),
        ("e", &*e),
        (
            "p",
            r#""type": "parallel", "parallel_steps": ["q", "l"], "on_failure": "fix""#,
        ),
        (
            "q",
            r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "q2""#,
        ),
        ("q2", OK),
        (
            "l",
            r#""type": "loop", "loop_config": {"collection": [1, 2], "loop_body": ["each"]}"#,
        ),
        (
            "each",
            r#""agent_name": "ok", "input_mapping": {"t": "${t.output.v}", "i": "${loop.index}"}"#,
        ),
        ("fix", OK),
        (
            "u",
            r#""agent_name": "ok", "input_mapping": {"p": "${e.output.branch_taken}"}"#,
        ),
        (
            "x",
            r#""agent_name": "ok", "input_mapping": {"u": "${u.output.v}"}"#,
        ),
        (
            "y",
            r#""agent_name": "ok", "input_mapping": {"u": "${t.output.v}"}"#,
        ),
    ];
    let imported = workflow_with(&file(&steps), &options());
    for (input, expected) in [
        (
            json!({"c": false, "d": true, "e": false}),
            &["t", "u", "y"][..],
        ),
        (
            json!({"c": false, "d": true, "e": true}),
            &["t", "q2", "each", "each", "u", "y"],
        ),
        (
            json!({"c": true, "d": true, "e": false}),
            &["t", "u", "x", "y"],
        ),
        (
            json!({"c": true, "d": true, "e": true}),
            &["t", "q2", "each", "each", "u", "x", "y"],
        ),
    ] {
        let played = play(&imported, &input, Order::First, &agents);
        assert_eq!(played.called, expected, "{input}");
        let outputs = played.outputs();
        assert_eq!(outputs["u"], json!({"v": "u"}));
        if input["e"] == true {
            assert_eq!(outputs["p"]["l"]["total_count"], 2);
        }
    }
    // What fails in a copy is told of the step, and handled behind it.
    let broken = |agent: &str, step: &str, input: &Value| match step {
        "each" => Err(Fault::new("handler-failed", "boom")),
        _ => agents(agent, step, input),
    };
    for c in [false, true] {
        let input = json!({"c": c, "d": true, "e": true});
        let played = play(&imported, &input, Order::First, &broken);
        let noted = &played.data()["handled_failures"][0];
        assert_eq!(noted["step"], "p", "{noted}");
        assert_eq!(noted["errors"][0]["step"], "l");
        let all = if c {
            &["t", "q2", "each", "fix", "u", "x", "y"][..]
        } else {
            &["t", "q2", "each", "fix", "u", "y"]
        };
        assert_eq!(played.called, all);
    }
}

#[test]
fn a_conditional_in_a_block_ends_where_the_block_says() {
    let par = r#""type": "parallel", "parallel_steps": ["c", "x"], "next_step": "end""#;
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t", "next_step": "mark""#;
    let t = r#""agent_name": "ok", "next_step": "mark""#;
    let end = r#""agent_name": "ok", "next_step": "mark", "input_mapping": {"t": "${t.output}", "c": "${par.output.c.branch_taken}"}"#;
    let steps = [
        ("par", par),
        ("c", c),
        ("x", OK),
        ("t", t),
        ("end", end),
        ("mark", OK),
    ];
    let played = run_with(&steps, &options(), &json!(true), Order::First);
    assert_eq!(played.called, ["t", "x", "end", "mark"]);
    assert_eq!(
        *played.input_of("end"),
        json!({"t": {"v": "t"}, "c": "then"})
    );
    let played = run_with(&steps, &options(), &json!(false), Order::First);
    assert!(played.errors()[0].contains("${t.output} is absent (t has given no output)"));
    let played = run_with(&steps, &lenient(), &json!(false), Order::First);
    assert_eq!(*played.input_of("end"), json!({"c": "else"}));
}

#[test]
fn strict_conditions_fail_their_step() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input.a} < 3"}, "if_true_step": "t""#;
    let mut strict = options();
    strict.parallel_json.strict_conditions = true;
    let input = json!({"a": "5"});
    let played = run_with(&[("c", c), ("t", OK)], &strict, &input, Order::First);
    assert_eq!(
        played.errors(),
        [
            "c (-) condition-error: text is compared with a number, but only two numbers or two texts have an order; convert one; with strict_conditions the step fails"
        ]
    );
    let played = run_with(&[("c", c), ("t", OK)], &options(), &input, Order::First);
    assert!(played.called.is_empty());
}
