//! Messages that name the mistake that was made, and the way out of it.

use windlass_dialects::{AgentOptions, Dialect, HandlerTypes, ImportOptions, import};

use crate::checks::{check, check_with, file, lenient, listing, options};

const OK: &str = r#""agent_name": "ok""#;

/// What is said of the only step `a`, after its place.
fn said_of(fields: &str) -> String {
    let text = listing(&import(&file(&[("a", fields)]), &options()));
    let parts: Vec<_> = text.splitn(2, ": error").collect();
    parts[1].to_owned()
}

#[test]
fn names_may_be_as_long_as_the_page_says() {
    let named = |name: &str, more: &str| {
        format!(
            r#"{{"name": "{name}",{more}
"start_step": "a", "steps": {{"a": {{"id": "a", "agent_name": "ok"}}}}}}"#
        )
    };
    check(&named(&"n".repeat(255), ""), &[]);
    check(
        &named(&"n".repeat(256), ""),
        &["f.json:1:2: error[id-invalid]: /name: 256 characters; rows repeat it; use 1 to 255"],
    );
    let long = "ü".repeat(255);
    check(
        &named(&long, ""),
        &[
            "f.json:1:2: error[id-invalid]: /name: the workflow_id that it becomes has 510 bytes, the limit is 256; runs are found by it; add a shorter workflow_id",
        ],
    );
    check(&named(&long, r#" "workflow_id": "short","#), &[]);
    check(
        &named("n", &format!(r#" "workflow_id": "{long}","#)),
        &[
            "f.json:1:15: error[id-invalid]: /workflow_id: 510 bytes, the limit is 256; runs are found by it; shorten it",
        ],
    );
    let agent = |name: &str| said_of(&format!(r#""agent_name": "{name}""#));
    assert_eq!(
        agent(&"a".repeat(256)),
        "[id-invalid]: /steps/a/agent_name: 256 characters; it chooses who does the work; use 1 to 255"
    );
    assert_eq!(
        agent(&long),
        "[id-invalid]: /steps/a/agent_name: 510 bytes, the limit is 256; handlers are found by it; shorten it"
    );
    check(
        &file(&[("a", &format!(r#""agent_name": "{}""#, "ü".repeat(128)))]),
        &[],
    );
}

#[test]
fn json_that_no_dialect_claims_is_no_workflow() {
    let none = "f.json:1:1: error[not-a-workflow]: no steps object; it looks like input data or an agent record; pass the workflow document";
    let list = "f.json:1:11: error[not-a-workflow]: /steps: is a list; steps are an object here, each under its id; write them so or pass the workflow document";
    for (text, expected) in [
        (r#"{"topic": "x"}"#, none),
        (
            r#"{"name": "Scorer", "url": "http://127.0.0.1", "timeout_ms": 5}"#,
            none,
        ),
        ("[1, 2]", none),
        ("{}", none),
        (r#"{"steps": []}"#, list),
    ] {
        let found = import(text, &ImportOptions::new("f.json"));
        assert_eq!(found.dialect, Dialect::ParallelJson, "{text}");
        assert_eq!(listing(&found), expected.replace(":1:11", ":1:2"), "{text}");
    }
    let found = import("{\"topic\": \"x\",}", &ImportOptions::new("f.json"));
    assert_eq!(found.diagnostics[0].code, "document-syntax");
    assert_eq!(found.dialect, Dialect::ParallelJson);
    // What other dialects claim stays theirs, and so does what only YAML can be.
    for (text, dialect) in [
        (
            r#"{"steps": [{"name": "a", "type": "t"}]}"#,
            Dialect::StepGroupsYaml,
        ),
        (
            r#"{"kind": "Workflow", "steps": []}"#,
            Dialect::StepGroupsYaml,
        ),
        (r#"{"type": "playbook"}"#, Dialect::Cacao),
        (r#"{"nodes": []}"#, Dialect::WorkflowJson),
    ] {
        let found = import(text, &ImportOptions::new("f.json"));
        assert_eq!(found.dialect, dialect, "{text}");
    }
    let found = import("{topic: x}", &ImportOptions::new("f.yaml"));
    assert_eq!(found.dialect, Dialect::StepGroupsYaml);
}

/// What is said of a condition.
fn condition(text: &str) -> String {
    let text = text.replace('"', "\\\"");
    let said = said_of(&format!(
        r#""type": "conditional", "condition": {{"expression": "{text}"}}, "if_true_step": null, "if_false_step": null"#
    ));
    let at = said.find("[condition-syntax]: /steps/a/condition/expression: ");
    let at = at.unwrap_or_else(|| panic!("{text}: {said}"));
    said[at..].replace("[condition-syntax]: /steps/a/condition/expression: ", "")
}

#[test]
fn conditions_are_told_what_is_missing() {
    let chained = "a second comparison begins at character 17; it would compare true or false; join two comparisons with and";
    for (text, expected) in [
        (
            "${x.output} == 1 == 2",
            "a second comparison begins at character 18; it would compare true or false; join two comparisons with and",
        ),
        ("${x.output} < 1 == 2", chained),
        ("${x.output} < 1 not in 2", chained),
        (
            "1 === 1",
            "\"===\" at character 3 is not an operator; write ==",
        ),
        (
            "true and 1 = 1",
            "\"=\" at character 12 is not an operator; write ==",
        ),
        (
            "== 1",
            "a value is missing before \"==\" at character 1; write one",
        ),
        (
            "true and == 1",
            "a value is missing before \"==\" at character 10; write one",
        ),
        (
            "(${x.output} == 1",
            "the \"(\" at character 1 is not closed; write \")\"",
        ),
        (
            "true or (1 in [1, 2)",
            "the \"[\" at character 15 is not closed before \")\" at character 20; write \"]\"",
        ),
        (
            "1 == 1)",
            "the \")\" at character 7 closes nothing; remove it",
        ),
        (
            "(${x.output} == ",
            "it ends where a value is missing; write one",
        ),
        ("1 == 1 and", "it ends where a value is missing; write one"),
        (
            "'abc",
            "the text at character 1 has no closing quote; write '",
        ),
        (
            "true or 'it\\\\'s",
            "the text at character 9 has no closing quote; write '",
        ),
        (
            "${x.outpt} == 1",
            "\"${x.outpt}\" at character 1 is no reference; write ${x.output}",
        ),
        (
            "true and ${x.output == 1",
            "\"${x.output\" at character 10 is no reference; write ${x.output}",
        ),
    ] {
        assert_eq!(condition(text), expected, "{text}");
    }
    let deep = format!("{}1{}", "(".repeat(34), ")".repeat(34));
    assert_eq!(
        condition(&deep),
        "brackets nest more than 32 levels deep at character 34; nobody could follow it; let an agent decide a part of it"
    );
}

#[test]
fn references_that_are_nearly_right_are_corrected() {
    let said = |text: &str| {
        let text = text.replace('"', "\\\"");
        said_of(&format!(
            r#""agent_name": "ok", "input_mapping": {{"x": "{text}"}}"#
        ))
    };
    for (text, better) in [
        ("${b.outpt}", "${b.output}"),
        ("${b.outputs.x}", "${b.output.x}"),
        ("${ b.output.x }", "${b.output.x}"),
        ("${b}", "${b.output}"),
        ("say ${b.output.x", "${b.output.x}"),
        ("${workflow.inputs.day}", "${workflow.input.day}"),
        ("${steps.b.outptu}", "${steps.b.output}"),
        ("${loop.itme.x}", "${loop.item.x}"),
        ("${b.total}", "${step.output.path}"),
        ("${HOME + 1}", "${step.output.path}"),
    ] {
        let said = said(text);
        let end = format!("; write {better}, or $${{ for the text itself");
        assert!(said.ends_with(&end), "{text}: {said}");
    }
}

#[test]
fn lenient_says_what_it_made_of_another_name() {
    let c = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "then_step": "b", "else_step": "b", "if_false_step": "b""#;
    check_with(
        &file(&[("a", c), ("b", OK)]),
        &lenient(),
        &[
            "f.json:2:91: warning[unknown-key]: /steps/a/then_step: another name of if_true_step and read as that; other readers may not know it; write if_true_step",
            "f.json:2:109: warning[unknown-key]: /steps/a/else_step: not a field of this format, so it would have no effect; write if_false_step",
        ],
    );
}

#[test]
fn texts_that_are_no_json_are_told_what_is_missing() {
    let mut wrong = Vec::new();
    for (text, place, expected) in [
        (
            "{\"a\": 1\n \"b\": 2}",
            "2:2",
            "a comma is missing after \"a\"; nothing after it can be read; add it",
        ),
        (
            "[1 2]",
            "1:4",
            "a comma is missing between two items; nothing after it can be read; add it",
        ),
        (
            "{\"a\": 1,\n}",
            "2:1",
            "a comma stands before \"}\", where nothing follows; remove it",
        ),
        (
            "[1,]",
            "1:4",
            "a comma stands before \"]\", where nothing follows; remove it",
        ),
        (
            "{\"a\": 1, // one\n}",
            "1:10",
            "a comment begins here, and JSON has none; remove it",
        ),
        (
            "{\"a\": # one\n1}",
            "1:7",
            "a comment begins here, and JSON has none; remove it",
        ),
        (
            "{'a': 1}",
            "1:2",
            "single quotes begin no text in JSON; write double quotes",
        ),
        (
            "{\"a\": 'b'}",
            "1:7",
            "single quotes begin no text in JSON; write double quotes",
        ),
        (
            "{name: 1}",
            "1:2",
            "a key stands without quotes; nothing after it can be read; write \"name\"",
        ),
        (
            "{\"a\": True}",
            "1:7",
            "\"True\" is no value in JSON; write true",
        ),
        (
            "{\"a\": None}",
            "1:7",
            "\"None\" is no value in JSON; write null",
        ),
        (
            "{\"a\": NaN}",
            "1:7",
            "\"NaN\" is no value in JSON; write a text in double quotes, a number, true, false or null",
        ),
        (
            "{\"a\" 1}",
            "1:6",
            "a colon is missing after \"a\"; nothing after it can be read; add it",
        ),
        (
            "{\"a\": }",
            "1:7",
            "the value of \"a\" is missing; nothing after it can be read; add it",
        ),
        (
            "{\"a\": {\"b\": 1}",
            "1:14",
            "the text ends, but \"{\" of line 1 is not closed; nothing can be read; add \"}\"",
        ),
        (
            "{\"a\":\n [1, 2",
            "2:6",
            "the text ends, but \"[\" of line 2 is not closed; nothing can be read; add \"]\"",
        ),
        (
            "{\"a\": \"b}",
            "1:9",
            "the text ends inside the text that begins in line 1; nothing can be read; add the closing quote",
        ),
        (
            "{\"a\": \"b\n\"}",
            "1:8",
            "a line ends inside the text that begins in line 1; nothing after it can be read; add the closing quote, or write the line break as \\n",
        ),
        (
            "{\"a\": \"\\d\"}",
            "1:9",
            "\"\\d\" is no escape in JSON; nothing after it can be read; write \\\\ for a backslash",
        ),
        (
            "",
            "1:1",
            "the file is empty; there is nothing to read; pass the workflow document",
        ),
        (
            "{} {}",
            "1:4",
            "more text follows the end of the document; a file holds one; remove it",
        ),
        (
            "{\"a\": 01}",
            "1:8",
            "a number begins with 0; nothing after it can be read; remove the zero, or write it as text in double quotes",
        ),
    ] {
        let expected = format!("f.json:{place}: error[document-syntax]: {expected}");
        let said = listing(&import(text, &options()));
        if said != expected {
            wrong.push((said, expected));
        }
    }
    assert_eq!(wrong, []);
}

#[test]
fn limits_of_no_time_would_be_over_at_once() {
    let fork = r#""type": "fork_join", "fork_join_config": {"branch_timeout_seconds": 0, "branches": {"x": {"steps": ["b"], "timeout_seconds": -1}, "y": {"steps": ["c"]}}}"#;
    check(
        &file(&[("a", fork), ("b", OK), ("c", OK)]),
        &[
            "f.json:2:60: error[limit-invalid]: /steps/a/fork_join_config/branch_timeout_seconds: 0 would be over at once; use 1 or more",
            "f.json:2:124: error[limit-invalid]: /steps/a/fork_join_config/branches/x/timeout_seconds: -1 would be over at once; use 1 or more",
        ],
    );
}

#[test]
fn short_ids_are_suggested_too() {
    check(
        &file(&[
            ("a", r#""agent_name": "ok", "next_step": "b2""#),
            ("b1", OK),
        ]),
        &[
            r#"f.json:2:38: error[unknown-step]: /steps/a/next_step: no step "b2"; the chain would break; did you mean "b1"?"#,
        ],
    );
}

#[test]
fn a_step_in_two_places_names_who_leads_to_it() {
    let parallel = r#""type": "parallel", "parallel_steps": ["x", "y"], "next_step": "x""#;
    check(
        &file(&[("p", parallel), ("x", OK), ("y", OK)]),
        &[
            r#"f.json:3:1: error[step-in-two-places]: /steps/x: child of "p" and next_step of "p"; it has one output; make a second step"#,
        ],
    );
    let check_next = |id: &str| {
        format!(
            r#""type": "conditional", "condition": {{"expression": "${{workflow.input}}"}}, "{id}": "t""#
        )
    };
    let (c, d) = (check_next("if_true_step"), check_next("if_false_step"));
    let parallel = r#""type": "parallel", "parallel_steps": ["c", "d"]"#;
    check(
        &file(&[("p", parallel), ("c", &c), ("d", &d), ("t", OK)]),
        &[
            r#"f.json:5:1: error[step-in-two-places]: /steps/t: if_true_step of "c" and if_false_step of "d", in branches that may run side by side; it has one output; make a second step"#,
        ],
    );
    check(
        &file(&[("x", OK), ("p", parallel), ("c", OK), ("d", OK)])
            .replace("\"start_step\": \"x\"", "\"start_step\": \"c\""),
        &[
            "f.json:2:1: error[unreachable-step]: /steps/x: nothing leads to it; it would never run; link or remove it",
            "f.json:3:1: error[unreachable-step]: /steps/p: nothing leads to it; it would never run; link or remove it",
            r#"f.json:4:1: error[step-in-two-places]: /steps/c: child of "p" and start_step; it has one output; make a second step"#,
            "f.json:5:1: error[unreachable-step]: /steps/d: nothing leads to it; it would never run; link or remove it",
        ],
    );
}

#[test]
fn what_the_settings_say_is_corrected_in_the_settings() {
    let mut wrong = options();
    let agent = AgentOptions {
        has_circuit_breaker: true,
        ..AgentOptions::default()
    };
    wrong
        .parallel_json
        .agents
        .insert("ok".to_owned(), agent.clone());
    wrong.parallel_json.agents.insert("an ok".to_owned(), agent);
    check_with(
        &file(&[("a", OK)]),
        &wrong,
        &[
            "f.json: error[circuit-breaker-unsupported]: agents /an ok/circuit_breaker_config: not offered here, so calls would be unprotected; remove it from the settings ([dialects.parallel-json.agents.\"an ok\"] on the command line) or put the breaker in the handler",
            "f.json: error[circuit-breaker-unsupported]: agents /ok/circuit_breaker_config: not offered here, so calls would be unprotected; remove it from the settings ([dialects.parallel-json.agents.ok] on the command line) or put the breaker in the handler",
        ],
    );
    let mut known = options();
    known.handlers = HandlerTypes::Known(vec!["shell".to_owned()]);
    check_with(
        &file(&[("a", r#""agent_name": "Scorer""#)]),
        &known,
        &[
            "f.json:2:18: error[no-handler]: /steps/a/agent_name: no handler \"Scorer\" (registered: shell); the step could not work; register it ([handlers.Scorer] in the handlers file on the command line)",
        ],
    );
}
