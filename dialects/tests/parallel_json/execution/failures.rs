//! Where failures go, and what is said of them.

use serde_json::{Value, json};
use windlass_dialects::{HandlerTypes, ResolveAgents};

use super::{BAD, OK, run, run_with};
use crate::checks::options;
use crate::play::Order;

#[test]
fn a_failure_may_lead_to_the_end_of_its_branch() {
    let c = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "t", "next_step": "END""#;
    let par = r#""type": "parallel", "parallel_steps": ["c", "x"], "next_step": "mark""#;
    let loops = r#""type": "loop", "loop_config": {"collection": [1], "loop_body": ["c"]}, "next_step": "mark""#;
    let fork = r#""type": "fork_join", "fork_join_config": {"branches": {"one": {"steps": ["c"], "timeout_seconds": 9}, "two": {"steps": ["x"]}}}, "next_step": "mark""#;
    let t = r#""agent_name": "bad", "next_step": "u", "on_failure": "END""#;
    // The step behind the block, or the block itself.
    for (block, end) in [(par, "mark"), (par, "b"), (loops, "mark"), (fork, "mark")] {
        let (c, t) = (c.replace("END", end), t.replace("END", end));
        let mut steps = vec![
            ("b", block),
            ("c", &*c),
            ("t", &*t),
            ("u", OK),
            ("mark", OK),
        ];
        if block != loops {
            steps.push(("x", OK));
        }
        let played = run_with(&steps, &options(), &Value::Null, Order::First);
        let called: Vec<_> = played.called.iter().filter(|step| *step != "x").collect();
        assert_eq!(called, ["t", "mark"], "{block} {end}");
        assert!(played.outputs()["b"].is_object());
        if block != loops {
            assert_eq!(played.data()["handled_failures"][0]["step"], "t");
        }
    }
    // A conditional hands over the failures of its branches there, and a block is handled so.
    let c = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "d", "next_step": "mark""#;
    let d = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "t", "on_failure": "mark", "next_step": "q""#;
    let q = r#""type": "parallel", "parallel_steps": ["q1", "q2"], "on_failure": "mark""#;
    for (t, expected) in [
        (BAD, &["t", "x", "mark"][..]),
        (OK, &["t", "q1", "q2", "x", "mark"]),
    ] {
        let steps = [
            ("b", par),
            ("c", c),
            ("x", OK),
            ("d", d),
            ("t", t),
            ("q", q),
            ("q1", BAD),
            ("q2", OK),
            ("mark", OK),
        ];
        let played = run_with(&steps, &options(), &Value::Null, Order::First);
        assert_eq!(played.called, expected);
    }
}

#[test]
fn a_branch_may_name_the_block_around_it_as_its_end() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t", "if_false_step": "p", "next_step": "p""#;
    let steps = [
        (
            "p",
            r#""type": "parallel", "parallel_steps": ["c", "d"], "next_step": "z""#,
        ),
        ("c", c),
        ("d", OK),
        ("t", r#""agent_name": "ok", "next_step": "t2""#),
        ("t2", r#""agent_name": "ok", "next_step": "p""#),
        ("z", OK),
    ];
    for (input, expected) in [(true, &["d", "t", "t2", "z"][..]), (false, &["d", "z"])] {
        let played = run_with(&steps, &options(), &json!(input), Order::Last);
        assert_eq!(played.called, expected);
    }
}

#[test]
fn failures_go_to_the_nearest_on_failure_and_else_fail_their_scope() {
    let a = r#""agent_name": "bad", "next_step": "b", "on_failure": "fix""#;
    let fix = r#""agent_name": "ok", "next_step": "b", "input_mapping": {"code": "${a.error.code}", "text": "${a.error.message}", "who": "${a.error.failed}"}"#;
    let played = run(&[("a", a), ("b", OK), ("fix", fix)]);
    assert_eq!(played.called, ["a", "fix", "b"]);
    assert_eq!(
        *played.input_of("fix"),
        json!({"code": "handler-failed", "text": "boom", "who": ["a"]})
    );
    assert_eq!(played.data()["handled_failures"][0]["step"], "a");

    let c = r#""type": "conditional", "condition": {"expression": "true"}, "if_true_step": "t", "next_step": "end", "on_failure": "fix""#;
    let fix =
        r#""agent_name": "ok", "next_step": "end", "input_mapping": {"who": "${c.error.failed}"}"#;
    let t = r#""agent_name": "ok", "next_step": "u""#;
    let played = run(&[("c", c), ("t", t), ("u", BAD), ("fix", fix), ("end", OK)]);
    assert_eq!(played.called, ["t", "u", "fix", "end"]);
    assert_eq!(*played.input_of("fix"), json!({"who": ["u"]}));

    let f = r#""type": "fork_join", "fork_join_config": {"branches": {"one": {"steps": ["x", "y", "w"]}, "two": {"steps": ["v"]}}, "join_policy": "any"}"#;
    let played = run(&[("f", f), ("x", OK), ("y", BAD), ("w", OK), ("v", OK)]);
    assert_eq!(
        played.called,
        ["v", "x", "y"],
        "later steps of the branch are skipped"
    );
    assert_eq!(
        played.outputs()["f"],
        json!({"one": null, "two": {"v": "v"}})
    );
}

#[test]
fn what_was_said_before_a_block_is_said_once_after_it() {
    let a = r#""agent_name": "bad", "next_step": "par", "on_failure": "par""#;
    let par = r#""type": "parallel", "parallel_steps": ["x", "l"]"#;
    let x = r#""type": "conditional", "condition": {"expression": "${workflow.input.no}"}, "if_true_step": "t""#;
    let l = r#""type": "loop", "loop_config": {"collection": [1, 2], "loop_body": ["each"], "on_error": "continue"}"#;
    let steps = [
        ("a", a),
        ("par", par),
        ("x", x),
        ("t", OK),
        ("l", l),
        ("each", BAD),
    ];
    let played = run_with(&steps, &options(), &json!({}), Order::First);
    let data = played.data();
    let handled = data["handled_failures"].as_array().unwrap();
    let steps: Vec<_> = handled
        .iter()
        .map(|noted| noted["step"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["a", "l"]);
    assert_eq!(data["warnings"].as_array().unwrap().len(), 1, "{data}");
}

#[test]
fn an_agent_that_is_looked_up_late_and_unknown_fails_its_step() {
    let mut late = options();
    late.handlers = HandlerTypes::Known(vec!["ok".to_owned()]);
    late.parallel_json.resolve_agents = ResolveAgents::Run;
    let a = r#""agent_name": "Scorer", "next_step": "z""#;
    let played = run_with(&[("a", a), ("z", OK)], &late, &Value::Null, Order::First);
    assert_eq!(
        played.errors(),
        [
            "a (-) agent-unknown: no handler \"Scorer\"; the step cannot work; register it and start again"
        ]
    );
    let fix = r#""agent_name": "Scorer", "on_failure": "z""#;
    let played = run_with(&[("a", fix), ("z", OK)], &late, &Value::Null, Order::First);
    assert_eq!(played.called, ["z"]);
}
