//! What references and conditions give.

use serde_json::{Value, json};

use crate::checks::{file, lenient, options, workflow_with};
use crate::play::{Order, Played, agents, play};

fn mapped(mapping: &str, input: &Value, options: &windlass_dialects::ImportOptions) -> Played {
    let step = format!(r#""agent_name": "ok", "input_mapping": {mapping}"#);
    let workflow = workflow_with(&file(&[("b", &step)]), options);
    play(&workflow, input, Order::First, &agents)
}

fn input() -> Value {
    json!({"n": 7, "w": {"k": "hi"}, "i": ["p", "q"], "null": null, "steps": 1, "kind": "w",
        "record": {"output_data": 5}, "list": [{"record": {"index": 0}}]})
}

#[test]
fn references_keep_types_and_text_takes_text() {
    let mapping = r#"{"a": "${workflow.input.n}", "b": "${workflow.input.w}", "c": "say ${workflow.input.w.k}",
        "d": "${workflow.input.i[1]}", "e": ["${workflow.input.n}"], "f": "$${x} $1", "g": {"${k}": 1.50},
        "h": "${workflow.input[\"w\"]['k']}", "i": "${workflow.input[workflow.input.kind].k}",
        "j": "${workflow.input.null}", "k": 1e3, "l": "${workflow.input.steps}"}"#;
    let played = mapped(mapping, &input(), &options());
    let expected = r#"{"a":7,"b":{"k":"hi"},"c":"say hi","d":"q","e":[7],"f":"${x} $1","g":{"${k}":1.5},"h":"hi","i":"hi","j":null,"k":1000.0,"l":1}"#;
    assert_eq!(played.inputs[0].to_string(), expected);
    let played = mapped(r#"{"all": "${workflow.input}"}"#, &json!([1]), &options());
    assert_eq!(played.inputs[0], json!({"all": [1]}));
}

#[test]
fn what_has_no_value_fails_the_step_before_its_agent_is_called() {
    for (mapping, error) in [
        (
            r#"{"x": "x${workflow.input.n}"}"#,
            "b (-) embedded-not-text: field x: ${workflow.input.n} is a number inside text; it would lose its type; pass it alone",
        ),
        (
            r#"{"x": "${workflow.input.w.total}"}"#,
            "b (-) reference-unresolved: field x: ${workflow.input.w.total} is absent (w has: k); nothing can be passed; correct the path",
        ),
        (
            r#"{"x": {"y": ["${workflow.input.i[2]}"]}}"#,
            "b (-) reference-unresolved: field x.y[0]: ${workflow.input.i[2]} is absent (i is a list of 2); nothing can be passed; correct the path",
        ),
        (
            r#"{"x": "${workflow.input.n.y}"}"#,
            "b (-) reference-unresolved: field x: ${workflow.input.n.y} is absent (n is a number); nothing can be passed; correct the path",
        ),
        (
            r#"{"x": "${workflow.input.record.output}"}"#,
            "b (-) reference-unresolved: field x: ${workflow.input.record.output} is absent (record has: output_data); nothing can be passed; correct the path",
        ),
        (
            r#"{"x": "${workflow.input.list[0].record.v}"}"#,
            "b (-) reference-unresolved: field x: ${workflow.input.list[0].record.v} is absent (list[0].record has: index); nothing can be passed; correct the path",
        ),
        (
            r#"{"x": "${workflow.input[workflow.input.w]}"}"#,
            "b (-) reference-unresolved: field x: ${workflow.input.w} is an object, and only a text or a number leads further; nothing can be passed; correct the path",
        ),
    ] {
        let played = mapped(mapping, &input(), &options());
        assert_eq!(played.errors(), [error]);
        assert!(played.called.is_empty(), "{mapping}");
    }
}

#[test]
fn lenient_leaves_out_what_is_missing_and_knows_the_old_name_of_outputs() {
    let mapping = r#"{"x": "${workflow.input.no}", "y": ["${workflow.input.no}", 1], "t": "a ${workflow.input.no}",
        "z": "${workflow.input.record.output}"}"#;
    let played = mapped(mapping, &input(), &lenient());
    assert_eq!(played.inputs[0], json!({"y": [null, 1], "z": 5}));
    let played = mapped(r#"{"x": "x${workflow.input.n}"}"#, &input(), &lenient());
    assert!(played.errors()[0].contains("embedded-not-text"));
}

/// What a condition says of this input, and whether it erred.
fn condition(expression: &str) -> (bool, bool) {
    let text = expression.replace('"', "\\\"");
    let c = format!(
        r#""type": "conditional", "condition": {{"expression": "{text}"}}, "if_true_step": "t""#
    );
    let workflow = workflow_with(
        &file(&[("c", &c), ("t", r#""agent_name": "ok""#)]),
        &options(),
    );
    let input = json!({"msg": "disk error", "tags": ["x"], "n": 0, "o": {"k": 1}, "null": null,
        "evil": "' or 1==1 or '"});
    let played = play(&workflow, &input, Order::First, &agents);
    let decision = &played.data()["steps"]["c"];
    let holds = decision["outputs"]["condition_result"] == true;
    assert_eq!(holds, played.called == ["t"], "{expression}");
    (holds, decision.get("condition_error").is_some())
}

#[test]
fn conditions_hold_as_their_page_says() {
    let all = |expressions: &[&str], expected| {
        for expression in expressions {
            let written = expression.replace("${", "${workflow.input.");
            assert_eq!(condition(&written), expected, "{expression}");
        }
    };
    all(
        &[
            "${msg} contains 'error'",
            "'error' in ${msg}",
            "'x' in ${tags}",
            "${tags} contains \"x\"",
            "not ${n}",
            "${none} == null",
            "null == ${none}",
            "not (${none} != null)",
            "${msg} == 'a' or true",
            "1 == 1.0",
            "'1' != 1",
            "true != 1",
            "'k' in ${o}",
            "'y' not in ${tags}",
            "len(${msg}) == 10",
            "len(${tags}) >= 1 and len(${o}) < 2",
            "${o} == ${o}",
            "[1, 'a'] == [1.0, 'a']",
            "'a' < 'b'",
            "-1 < 0.5",
            "true or ${none} > 1",
            "not (false and ${none} > 1)",
            "${msg} == ${msg} and not not ${o}",
            "${null} == None",
            "9007199254740993 > 9007199254740992",
        ],
        (true, false),
    );
    all(
        &[
            "${n}",
            "''",
            "[]",
            "${null}",
            "false",
            "0.0",
            "not ${msg}",
            "${evil} == 'a'",
            "${evil} == '' or false",
            "${null} != null",
            "'b' < 'a'",
            "1 in [2, '1']",
            "not True",
        ],
        (false, false),
    );
    all(
        &[
            "${none} > 1",
            "${none}",
            "not ${none}",
            "${none} == 1",
            "${msg} < 3",
            "3 in ${msg}",
            "3 in 4",
            "len(3) == 1",
            "${none} == null and ${none} == 1",
            "${none} > 1 or true",
        ],
        (false, true),
    );
}
