//! What is said of a file as a whole, and of options.

use windlass_dialects::{AgentOptions, Severity, import};

use super::{OK, with};
use crate::checks::{check, check_with, codes, file, lenient, listing, options};

fn check_lenient(text: &str, expected: &[&str]) {
    check_with(text, &lenient(), expected);
}

#[test]
fn all_mistakes_of_a_file_come_at_once() {
    let text = include_str!("../../data/six-mistakes.json");
    let found = import(text, &options());
    assert!(found.workflows.is_empty());
    let expected = [
        "f.json:5:14: error[id-mismatch]: /steps/load/id: is \"Load\", key is \"load\"; references use the key; make them equal",
        "f.json:14:34: error[n-required-invalid]: /steps/fork/fork_join_config/n_required: 4 of 3 branches can never succeed; use 1 to 3",
    ];
    let text = listing(&found);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..2], expected);
    assert_eq!(
        codes(&found),
        [
            "id-mismatch",
            "n-required-invalid",
            "type-unsupported",
            "duplicate-child",
            "reference-not-ready",
            "cycle"
        ]
    );
    let ring = "ring load → fork → pair → check (else) → load; it would never end; use a loop step";
    assert!(lines[5].contains(ring), "{}", lines[5]);
    let places: Vec<_> = found
        .diagnostics
        .iter()
        .filter_map(|d| d.pointer.as_deref())
        .collect();
    assert_eq!(
        places[3..5],
        ["/steps/pair/parallel_steps/2", "/steps/p2/input_mapping/x"]
    );
    let steps: Vec<_> = found
        .diagnostics
        .iter()
        .filter_map(|d| d.step.as_deref())
        .collect();
    assert_eq!(steps, ["load", "fork", "n1", "pair", "p2", "check"]);
}

#[test]
fn options_that_cannot_be_are_errors_too() {
    let mut wrong = options();
    wrong.parallel_json.max_concurrent_steps = Some(0);
    let agent = AgentOptions {
        has_circuit_breaker: true,
        ..AgentOptions::default()
    };
    wrong.parallel_json.agents.insert("ok".to_owned(), agent);
    let breaker = "f.json: error[circuit-breaker-unsupported]: agents /ok/circuit_breaker_config: not offered here, so calls would be unprotected; remove it from the settings ([dialects.parallel-json.agents.ok] on the command line) or put the breaker in the handler";
    check_with(
        &with(OK, &[]),
        &wrong,
        &[
            "f.json: error[limit-invalid]: option max_concurrent_steps is 0; no step could ever start; use 1 or more",
            breaker,
        ],
    );
    wrong.parallel_json.max_concurrent_steps = None;
    wrong.mode = windlass_dialects::Mode::Lenient;
    let found = import(&with(OK, &[]), &wrong);
    assert_eq!(found.diagnostics[0].severity, Severity::Warning);
    wrong.document = Some("other".to_owned());
    assert_eq!(
        codes(&import(&with(OK, &[]), &wrong)),
        ["no-workflow-found", "circuit-breaker-unsupported"]
    );
}

#[test]
fn texts_that_are_no_workflow() {
    check(
        "{",
        &[
            "f.json:1:1: error[document-syntax]: the text ends, but \"{\" of line 1 is not closed; nothing can be read; add \"}\"",
        ],
    );
    check(
        "{\"name\": \"x\"\n \"b\": 1}",
        &[
            "f.json:2:2: error[document-syntax]: a comma is missing after \"name\"; nothing after it can be read; add it",
        ],
    );
    check(
        "{\"name\": \"x\", \"start_step\": \"a\", \"steps\": {\"a\": {\"id\": \"a\", \"agent_name\": \"q\"},\n \"a\": {\"id\": \"a\"}}}",
        &[
            r#"f.json:2:2: error[duplicate-key]: /steps/a: key "a" appears at lines 1 and 2; one of them would be lost; rename one"#,
        ],
    );
    check(
        r#"{"steps": {"a~/b": {"x": "\ud800"}}}"#,
        &[
            "f.json:1:26: error[document-syntax]: /steps/a~0~1b/x: unexpected end of hex escape; the text cannot be read; correct it",
        ],
    );
    check(
        "[]",
        &[
            "f.json:1:1: error[not-a-workflow]: no steps object; it looks like input data or an agent record; pass the workflow document",
        ],
    );
    check(
        "{}",
        &[
            "f.json:1:1: error[not-a-workflow]: no steps object; it looks like input data or an agent record; pass the workflow document",
        ],
    );
    check(
        r#"{"agent_name": "x"}"#,
        &[
            "f.json:1:1: error[not-a-workflow]: no steps object; it looks like input data or an agent record; pass the workflow document",
        ],
    );
    check(
        r#"{"steps": {}}"#,
        &[
            "f.json:1:1: error[not-a-workflow]: no steps object; it looks like input data or an agent record; pass the workflow document",
        ],
    );
}

#[test]
fn what_a_workflow_says_of_itself() {
    check(
        r#"{"steps": {"a": {"id": "a", "agent_name": "ok"}}, "name": 5, "version": [], "workflow_id": "", "tags": [1], "start_step": ["a"]}"#,
        &[
            "f.json:1:51: error[field-type]: /name: is 5; nothing could be made of it; it must be a text",
            "f.json:1:62: error[field-type]: /version: is a list; nothing could be made of it; it must be a text or a number",
            "f.json:1:77: error[field-missing]: /workflow_id: empty; runs are found by it; write one or leave it out",
            "f.json:1:96: warning[unknown-key]: /tags: not a field of this format; it is kept as a label and has no effect; remove it if that is not meant",
            "f.json:1:109: error[field-type]: /start_step: is a list; nothing could be made of it; it must be a text",
        ],
    );
    check(
        r#"{"steps": {"a": {"id": "a", "agent_name": "ok"}}, "name": "", "description": "d", "version": 1.5}"#,
        &[
            "f.json:1:1: error[field-missing]: /start_step: missing; a run would not know where to begin; add it",
            "f.json:1:51: error[field-missing]: /name: missing; runs are listed by it; add it",
        ],
    );
    check(
        r#"{"steps": {"a": 5}, "name": "n", "start_step": "b"}"#,
        &[
            "f.json:1:12: error[field-type]: /steps/a: is 5; it would do nothing; it must be an object",
            r#"f.json:1:34: error[unknown-step]: /start_step: no step "b"; the chain would break; add it or correct the id"#,
        ],
    );
}

#[test]
fn lenient_repairs_what_its_page_lists() {
    check_lenient(
        r#"{"name": "n", "start_step": "a", "steps": {"a": {"agent_name": "ok", "retries": 2}, "b": {"id": "b", "agent_name": "ok"}}}"#,
        &[
            r#"f.json:1:44: warning[field-missing]: /steps/a/id: missing; the key "a" is the id; add "id": "a""#,
            "f.json:1:70: warning[unknown-key]: /steps/a/retries: not a field of this format, so it would have no effect; use the agents option",
            "f.json:1:85: warning[unreachable-step]: /steps/b: nothing leads to it; it would never run; link or remove it",
        ],
    );
    check_lenient(
        &with(
            r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "then_step": "b", "else_step": "c""#,
            &["b", "c"],
        ),
        &[
            "f.json:2:91: warning[unknown-key]: /steps/a/then_step: another name of if_true_step and read as that; other readers may not know it; write if_true_step",
            "f.json:2:109: warning[unknown-key]: /steps/a/else_step: another name of if_false_step and read as that; other readers may not know it; write if_false_step",
        ],
    );
    check_lenient(
        &file(&[
            ("p", r#""type": "parallel", "parallel_steps": ["x", "y"]"#),
            ("x", OK),
            ("y", r#""agent_name": "ok", "on_failure": "x""#),
        ]),
        &[
            r#"f.json:4:38: warning[child-on-failure-ignored]: /steps/y/on_failure: the step is a child of "p"; the block settles failures; move it to "p""#,
        ],
    );
    check_lenient(
        &with(r#""type": "sub_workflow""#, &[]),
        &[
            "f.json:2:18: error[type-unsupported]: /steps/a/type: sub_workflow is named by the format but has no meaning there; nothing would be done; use an agent step",
        ],
    );
}
