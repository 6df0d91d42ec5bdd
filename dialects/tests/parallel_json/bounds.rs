//! Files that nobody writes by accident: every one ends in a typed diagnostic, soon.

use std::fmt::Write;

use serde_json::{Value, json};
use windlass_dialects::{Dialect, Imported, Severity, import, import_bytes, limits};

use crate::checks::{codes, file, listing, options, workflow_with};
use crate::play::{Order, agents, play};

fn check(text: &str, code: &str) -> Imported {
    let imported = import(text, &options());
    let found = imported.diagnostics.iter().any(|d| d.code == code);
    assert!(found, "{code} is not in\n{}", listing(&imported));
    assert!(!imported.ok() && imported.workflows.is_empty());
    imported
}

/// A file of a chain of so many steps.
fn chain(steps: usize) -> String {
    let mut text = r#"{"name": "n", "start_step": "s0", "steps": {"#.to_owned();
    for n in 0..steps {
        let next = if n + 1 < steps {
            format!(r#""s{}""#, n + 1)
        } else {
            "null".to_owned()
        };
        let comma = if n == 0 { "" } else { "," };
        write!(
            text,
            "{comma}\n\"s{n}\": {{\"id\": \"s{n}\", \"agent_name\": \"x\", \"next_step\": {next}, \"input_mapping\": {{\"x\": \"${{s0.output}}\"}}}}"
        )
        .expect("a text");
    }
    // The first reads nothing: its own output is not there yet.
    text.replacen("${s0.output}", "", 1) + "}}"
}

/// Blocks of this many levels inside each other.
fn nested(levels: usize) -> String {
    let steps: Vec<_> = (0..levels)
        .flat_map(|n| {
            let inner = format!("b{}", n + 1);
            let block = format!(r#""type": "parallel", "parallel_steps": ["{inner}", "x{n}"]"#);
            [
                (format!("b{n}"), block),
                (format!("x{n}"), r#""agent_name": "x""#.to_owned()),
            ]
        })
        .chain([(format!("b{levels}"), r#""agent_name": "x""#.to_owned())])
        .collect();
    let steps: Vec<_> = steps
        .iter()
        .map(|(id, fields)| (id.as_str(), fields.as_str()))
        .collect();
    file(&steps)
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_refused_unread() {
    let large = vec![b'{'; 50 * 1024 * 1024];
    assert_eq!(
        codes(&import_bytes(&large, &options())),
        ["document-too-large"]
    );
    let text = String::from_utf8(large).unwrap();
    check(&text, "document-too-large");
    assert_eq!(Dialect::recognise(&text), None);
    let imported = import_bytes(b"{\"name\": \"\xff\"}", &options());
    assert_eq!(
        listing(&imported),
        "f.json:1:11: error[document-syntax]: byte 0xff is no UTF-8 text here; the file cannot be read; save it as UTF-8"
    );
}

#[test]
fn as_many_steps_as_there_may_be_are_imported() {
    let text = chain(limits::STEPS_MAX);
    let imported = import(&text, &options());
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(
        imported.workflows[0].definition.nodes().len(),
        limits::STEPS_MAX + 1
    );
    check(&chain(limits::STEPS_MAX + 1), "expansion-too-large");
}

#[test]
fn deep_nesting_is_refused() {
    check(&"[".repeat(1_000_000), "document-syntax");
    check(&"{\"a\":".repeat(100_000), "document-syntax");
    let depth = 100_000;
    check(
        &format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
        "nesting-too-deep",
    );
    let deepest = import(&nested(limits::BLOCKS_DEEP_MAX), &options());
    assert!(deepest.ok(), "{}", listing(&deepest));
    check(&nested(limits::BLOCKS_DEEP_MAX + 1), "nesting-too-deep");
}

#[test]
fn ever_the_same_mistake_is_listed_a_thousand_times() {
    let text = chain(5_000).replace("\"agent_name\": \"x\"", "\"agent_name\": \"\"");
    let imported = check(&text, "field-missing");
    assert_eq!(imported.diagnostics.len(), limits::DIAGNOSTICS_MAX + 1);
    let last = imported.diagnostics.last().unwrap();
    assert_eq!(
        (last.code, last.severity),
        ("more-diagnostics", Severity::Error)
    );
    let text = chain(3_000).replace("s0.output", "s.output");
    check(&text, "unknown-reference");
}

#[test]
fn rings_and_odd_texts_end_too() {
    let ring = chain(5_000).replace("\"next_step\": null", "\"next_step\": \"s0\"");
    let imported = check(&ring, "cycle");
    let ring = imported
        .diagnostics
        .iter()
        .find(|d| d.code == "cycle")
        .unwrap();
    assert!(
        ring.message.len() < 500 && ring.message.contains("4980 more"),
        "{}",
        ring.message
    );
    let keys = format!(
        "{{\"steps\": {{{}}}}}",
        "\"a\": 1, ".repeat(50_000) + "\"a\": 1"
    );
    check(&keys, "duplicate-key");
    let id = "x".repeat(100_000);
    let long = file(&[(&id, r#""agent_name": "ok", "next_step": "y""#)]);
    let imported = check(&long, "id-invalid");
    assert!(imported.diagnostics.iter().all(|d| d.message.len() < 400));
    let digits = "9".repeat(100_000);
    check(
        &file(&[(
            "a",
            &format!(r#""agent_name": "x", "input_mapping": {{"n": {digits}}}"#),
        )]),
        "number-inexact",
    );
    let open = "${".repeat(100_000);
    check(
        &file(&[(
            "a",
            &format!(r#""agent_name": "x", "input_mapping": {{"n": "{open}"}}"#),
        )]),
        "reference-syntax",
    );
}

#[test]
fn every_beginning_of_a_file_is_read_without_a_panic() {
    let text = include_str!("../data/six-mistakes.json");
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        import(&text[..end], &options());
        Dialect::recognise(&text[..end]);
    }
    // Each character in turn becomes another one.
    for at in 0..text.len() {
        for other in ["\"", "{", "$", "\u{0}"] {
            let changed = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            import(&changed, &options());
        }
    }
}

#[test]
fn many_references_over_long_chains_are_checked() {
    // Each step reads the one before it, the first one, and one that comes later.
    let text = (1..4_000).fold(chain(4_000), |text, n| {
        let read = format!(
            "\"${{s{}.output}} ${{s0.output}} ${{s3999.output}}\"",
            n - 1
        );
        text.replacen("\"${s0.output}\"", &read, 1)
    });
    let imported = import(&text, &options());
    let count = imported.diagnostics.len();
    assert_eq!(
        count,
        limits::DIAGNOSTICS_MAX + 1,
        "{}",
        imported.diagnostics[0]
    );
    assert!(imported.diagnostics[0].message.contains("\"s3999\""));
}

#[test]
fn keys_as_long_as_the_file_are_neither_copied_nor_told_again_and_again() {
    let long = "k".repeat(500_000);
    // Whatever stands under such a key: values, mistakes, keys that come twice.
    let many = |item: &str| vec![item; 50_000].join(", ");
    let values = format!(
        r#""agent_name": "x", "input_mapping": {{"{long}": [{}]}}"#,
        many("\"${a.outpt}\"")
    );
    let twice = format!(
        r#""agent_name": "x", "input_mapping": {{"{long}": {{{}}}}}"#,
        many("\"q\": 1")
    );
    let branch = format!(
        r#""type": "fork_join", "fork_join_config": {{"branches": {{"{long}": {{"steps": [{}]}}}}}}"#,
        many("\"a\"")
    );
    for (fields, code) in [
        (&values, "reference-syntax"),
        (&twice, "duplicate-key"),
        (&branch, "id-invalid"),
    ] {
        let imported = check(&file(&[("a", fields)]), code);
        let told: usize = imported
            .diagnostics
            .iter()
            .map(|d| d.message.len() + d.pointer.as_ref().map_or(0, String::len))
            .sum();
        assert!(told < 4_000_000, "{code}: {told}");
    }
    let id = file(&[(
        &long,
        &format!(r#""agent_name": "x", {}"#, many("\"q\": 1")),
    )]);
    let imported = check(&id, "id-invalid");
    let steps = imported.diagnostics.iter().filter_map(|d| d.step.as_ref());
    assert!(steps.map(String::len).max().unwrap() < 2_000);
}

#[test]
fn ids_may_be_as_long_as_names_may_be() {
    let id = |of: &str| of.repeat(255);
    let ids = ["p", "f", "l", "c", "a", "b", "x", "y", "t", "h"].map(id);
    let [pair, fork, many, test, good, bad, one, two, then, fix] =
        ids.each_ref().map(String::as_str);
    let branch = "br".repeat(100);
    let fields = [
        (
            pair,
            format!(
                r#""type": "parallel", "parallel_steps": ["{good}", "{bad}"], "next_step": "{fork}", "on_failure": "{fix}""#
            ),
        ),
        (good, r#""agent_name": "ok""#.to_owned()),
        (bad, r#""agent_name": "bad""#.to_owned()),
        (fix, format!(r#""agent_name": "ok", "next_step": "{fork}""#)),
        (
            fork,
            format!(
                r#""type": "fork_join", "next_step": "{many}", "fork_join_config": {{"join_policy": "any", "early_exit": "absorb", "branches": {{"{branch}": {{"steps": ["{one}"], "timeout_seconds": 5}}, "{branch}2": {{"steps": ["{two}"], "timeout_seconds": 5}}}}}}"#
            ),
        ),
        (one, r#""agent_name": "hang""#.to_owned()),
        (two, r#""agent_name": "ok""#.to_owned()),
        (
            many,
            format!(
                r#""type": "loop", "loop_config": {{"collection": [1, 2], "loop_body": ["{test}"]}}"#
            ),
        ),
        (
            test,
            format!(
                r#""type": "conditional", "condition": {{"expression": "${{loop.index}} == 0"}}, "if_true_step": "{then}""#
            ),
        ),
        (then, r#""agent_name": "ok""#.to_owned()),
    ];
    let steps: Vec<_> = fields
        .iter()
        .map(|(id, fields)| (*id, fields.as_str()))
        .collect();
    let imported = workflow_with(&file(&steps), &options());
    let played = play(&imported, &Value::Null, Order::First, &agents);
    let outputs = played.outputs();
    assert_eq!(outputs[many]["failed_count"], 0);
    assert_eq!(outputs[fork][format!("{branch}2")], json!({"v": two}));
    assert!(outputs[fix].is_object());
}

#[test]
fn copies_are_as_many_as_steps_may_be() {
    // Each level doubles what comes behind it: one branch goes on at a step of its own.
    let doubled = |levels: usize| {
        let mut steps = Vec::new();
        for n in 0..levels {
            let next = format!("c{}", n + 1);
            let c = format!(
                r#""type": "conditional", "condition": {{"expression": "${{workflow.input}}"}}, "if_true_step": "d{n}", "if_false_step": "{next}""#
            );
            let d = format!(
                r#""type": "conditional", "condition": {{"expression": "${{workflow.input}}"}}, "if_true_step": "{next}", "next_step": "x{n}""#
            );
            let ok = r#""agent_name": "ok""#.to_owned();
            steps.extend([
                (format!("c{n}"), c),
                (format!("d{n}"), d),
                (format!("x{n}"), ok),
            ]);
        }
        steps.push((format!("c{levels}"), r#""agent_name": "ok""#.to_owned()));
        let steps: Vec<_> = steps
            .iter()
            .map(|(id, text)| (id.as_str(), text.as_str()))
            .collect();
        file(&steps)
    };
    let imported = workflow_with(&doubled(3), &options());
    let nodes = imported.definition.nodes().iter();
    let copies = nodes.filter(|node| node.step_name() == "c3").count();
    assert_eq!(copies, 8);
    check(&doubled(14), "expansion-too-large");
}
