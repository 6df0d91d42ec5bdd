//! What is said of files, word for word: place, code, why and how to fix it.

use windlass_dialects::{
    AgentOptions, HandlerTypes, ImportOptions, ResolveAgents, Severity, import,
};

use crate::checks::{codes, file, lenient, listing, options};

const OK: &str = r#""agent_name": "ok""#;

fn check_with(text: &str, options: &ImportOptions, expected: &[&str]) {
    let found = import(text, options);
    assert_eq!(listing(&found), expected.join("\n"), "{text}");
}

/// In strict mode.
fn check(text: &str, expected: &[&str]) {
    check_with(text, &options(), expected);
}

fn check_lenient(text: &str, expected: &[&str]) {
    check_with(text, &lenient(), expected);
}

/// A file of step `a` with these fields, and agents of these ids.
fn with(fields: &str, others: &[&str]) -> String {
    let mut steps = vec![("a", fields)];
    steps.extend(others.iter().map(|id| (*id, OK)));
    file(&steps)
}

#[test]
fn all_mistakes_of_a_file_come_at_once() {
    let text = include_str!("../data/six-mistakes.json");
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
fn children_may_point_back_at_their_block() {
    let child = r#""agent_name": "ok", "next_step": "par""#;
    let par = r#""type": "parallel", "parallel_steps": ["a", "b"]"#;
    let text = file(&[("par", par), ("a", child), ("b", child)]);
    check(
        &text,
        &[
            "f.json:2:1: warning[child-next-step-ignored]: /steps/par: next_step of children a, b has no effect; the block decides; set null",
        ],
    );
    assert_eq!(import(&text, &options()).workflows.len(), 1);
}

#[test]
fn agents_are_looked_up_when_the_file_is_loaded_or_when_they_run() {
    let text = with(r#""agent_name": "Scorer", "next_step": "b""#, &["b"]);
    let mut known = options();
    known.handlers = HandlerTypes::Known(vec!["Score".to_owned(), "ok".to_owned()]);
    check_with(
        &text,
        &known,
        &[
            "f.json:2:18: error[no-handler]: /steps/a/agent_name: no handler \"Scorer\" (registered: Score, ok); the step could not work; did you mean \"Score\"?",
        ],
    );
    known.parallel_json.resolve_agents = ResolveAgents::Run;
    check_with(&text, &known, &[]);
    let imported = import(&text, &known);
    assert_eq!(imported.handlers_needed, ["Scorer", "ok"]);
    assert_eq!(imported.workflows[0].definition.handlers(), ["ok"]);
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
fn ids_and_types() {
    check(
        &file(&[("loop", OK)]),
        &[
            r#"f.json:2:1: error[id-reserved]: /steps/loop: the name "loop" begins other references; values of the step could not be named; rename the step"#,
        ],
    );
    check(
        &file(&[("a.b", OK)]),
        &[
            r#"f.json:2:1: error[id-invalid]: /steps/a.b: "." is not allowed; paths use it or could not hold it; write "a_b""#,
        ],
    );
    check(
        &file(&[("", OK)]),
        &[
            "f.json:2:1: error[id-invalid]: /steps/: an id of 0 characters; rows repeat it; use 1 to 255",
        ],
    );
    check(
        r#"{"name": "n", "start_step": "a", "steps": {"a": {"id": "A", "agent_name": "ok"}}}"#,
        &[
            r#"f.json:1:50: error[id-mismatch]: /steps/a/id: is "A", key is "a"; references use the key; make them equal"#,
        ],
    );
    check(
        r#"{"name": "n", "start_step": "a", "steps": {"a": {"agent_name": "ok"}}}"#,
        &[
            r#"f.json:1:44: error[field-missing]: /steps/a/id: missing; the key "a" is the id; add "id": "a""#,
        ],
    );
    check(
        &with(r#""type": 5"#, &[]),
        &[
            "f.json:2:18: error[field-type]: /steps/a/type: is 5; nothing could be made of it; it must be a text",
        ],
    );
    check(
        &with(r#""type": "wait_for_event""#, &[]),
        &[
            "f.json:2:18: error[type-unsupported]: /steps/a/type: wait_for_event is named by the format but has no meaning there; nothing would be done; use an agent step",
        ],
    );
    check(
        &with(r#""type": "validate""#, &[]),
        &[
            "f.json:2:18: error[type-unsupported]: /steps/a/type: validate is named by the format but has no meaning there; nothing would be done; use an agent step",
        ],
    );
    check(
        &with(r#""type": "task""#, &[]),
        &[
            r#"f.json:2:18: error[type-unknown]: /steps/a/type: "task" is no step type; nothing would be done; use agent, parallel, fork_join, loop or conditional"#,
        ],
    );
    check(
        &with(r#""type": "paralel""#, &[]),
        &[
            r#"f.json:2:18: error[type-unknown]: /steps/a/type: "paralel" is no step type; nothing would be done; did you mean "parallel"?"#,
        ],
    );
}

#[test]
fn agents() {
    check(
        &with("", &[]),
        &[
            "f.json:2:1: error[field-missing]: /steps/a/agent_name: missing; it chooses who does the work; add it",
        ],
    );
    check(
        &with(r#""agent_name": """#, &[]),
        &[
            "f.json:2:18: error[field-missing]: /steps/a/agent_name: missing; it chooses who does the work; add it",
        ],
    );
    check(
        &with(r#""agent_name": 5"#, &[]),
        &[
            "f.json:2:18: error[field-type]: /steps/a/agent_name: is 5; nothing could be made of it; it must be a text",
        ],
    );
    check(
        &with(
            r#""agent_name": "ok", "next_step": "bb", "on_failure": 5"#,
            &[],
        ),
        &[
            r#"f.json:2:38: error[unknown-step]: /steps/a/next_step: no step "bb"; the chain would break; add it or correct the id"#,
            "f.json:2:57: error[field-type]: /steps/a/on_failure: is 5; nothing could be made of it; it must be a text",
        ],
    );
    check(
        &with(
            r#""agent_name": "ok", "next_step": "prep_are""#,
            &["prepare"],
        ),
        &[
            r#"f.json:2:38: error[unknown-step]: /steps/a/next_step: no step "prep_are"; the chain would break; did you mean "prepare"?"#,
        ],
    );
    check(
        &with(
            r#""agent_name": "ok", "retries": 3, "nextstep": "b", "note": 1, "input_mapping": 3"#,
            &[],
        ),
        &[
            "f.json:2:38: error[unknown-key]: /steps/a/retries: not a field of this format, so it would have no effect; use the agents option",
            "f.json:2:52: error[unknown-key]: /steps/a/nextstep: not a field of this format, so it would have no effect; write next_step",
            "f.json:2:69: error[unknown-key]: /steps/a/note: not a field of this format, so it would have no effect; remove it",
            "f.json:2:80: error[field-type]: /steps/a/input_mapping: is 3; nothing could be made of it; it must be an object",
        ],
    );
    check(
        &with(
            r#""agent_name": "ok", "parallel_steps": ["b"], "loop_config": null"#,
            &[],
        ),
        &[
            "f.json:2:38: warning[field-ignored]: /steps/a/parallel_steps: a step of type agent has no such field, so it has no effect; remove it or correct the type",
        ],
    );
}

#[test]
fn parallels() {
    check(
        &with(
            r#""type": "parallel", "parallel_steps": ["b"], "max_parallelism": 0"#,
            &["b"],
        ),
        &[
            "f.json:2:38: error[too-few-children]: /steps/a/parallel_steps: 1 entry; a block needs 2; use the step itself",
            "f.json:2:63: error[limit-invalid]: /steps/a/max_parallelism: 0 would start nothing; use 1 or more",
        ],
    );
    check(
        &with(
            r#""type": "parallel", "parallel_steps": "b", "max_parallelism": "2""#,
            &[],
        ),
        &[
            r#"f.json:2:38: error[field-type]: /steps/a/parallel_steps: is "b"; nothing could be made of it; it must be a list of step ids"#,
            "f.json:2:38: error[too-few-children]: /steps/a/parallel_steps: 0 entries; a block needs 2; use the step itself",
            r#"f.json:2:61: error[field-type]: /steps/a/max_parallelism: is "2"; nothing could be made of it; it must be a whole number"#,
        ],
    );
    check(
        &with(
            r#""type": "parallel", "parallel_steps": ["b", "b", 5, "x"]"#,
            &["b"],
        ),
        &[
            r#"f.json:2:62: error[duplicate-child]: /steps/a/parallel_steps/1: "b" is listed twice; it has one output; make a second step"#,
            "f.json:2:67: error[field-type]: /steps/a/parallel_steps/2: is 5; no step has such an id; write an id",
            r#"f.json:2:70: error[unknown-step]: /steps/a/parallel_steps/3: no step "x"; the chain would break; add it or correct the id"#,
        ],
    );
    check(
        &with(r#""type": "parallel""#, &[]),
        &[
            "f.json:2:1: error[too-few-children]: /steps/a/parallel_steps: 0 entries; a block needs 2; use the step itself",
        ],
    );
    check(
        &file(&[
            (
                "p",
                r#""type": "parallel", "parallel_steps": ["x", "y"], "next_step": "q""#,
            ),
            ("q", r#""type": "parallel", "parallel_steps": ["y", "z"]"#),
            ("x", OK),
            ("y", OK),
            ("z", OK),
        ]),
        &[
            r#"f.json:3:57: error[duplicate-child]: /steps/q/parallel_steps/0: "y" is also listed by "p"; it has one output; make a second step"#,
        ],
    );
}

#[test]
fn fork_joins() {
    check(
        &with(r#""type": "fork_join""#, &[]),
        &[
            "f.json:2:1: error[field-missing]: /steps/a/fork_join_config: missing; it says which branches there are; add it",
        ],
    );
    check(
        &with(r#""type": "fork_join", "fork_join_config": []"#, &[]),
        &[
            "f.json:2:39: error[field-type]: /steps/a/fork_join_config: is a list; nothing could be made of it; it must be an object",
        ],
    );
    check(
        &with(
            r#""type": "fork_join", "fork_join_config": {"branches": {"x": {"steps": ["b"]}}, "join_policy": "first", "branch_timeout_seconds": -1, "early_exit": "now", "timeout": 3}"#,
            &["b"],
        ),
        &[
            "f.json:2:60: error[too-few-children]: /steps/a/fork_join_config/branches: 1 entry; a block needs 2; use the steps themselves",
            r#"f.json:2:97: error[policy-unknown]: /steps/a/fork_join_config/join_policy: "first" is unknown; what it asks for would not happen; use all, any, majority, n_of_m"#,
            "f.json:2:121: error[limit-invalid]: /steps/a/fork_join_config/branch_timeout_seconds: -1 would be over at once; use 1 or more",
            r#"f.json:2:151: error[field-type]: /steps/a/fork_join_config/early_exit: "now" is unknown; what it asks for would not happen; use none, absorb, cancel"#,
            "f.json:2:172: error[unknown-key]: /steps/a/fork_join_config/timeout: not a field of this format, so it would have no effect; use the agents option",
        ],
    );
    check(
        &with(
            r#""type": "fork_join", "fork_join_config": {"branches": {"x": {"steps": ["b"]}, "y": {"steps": [], "timeout_seconds": 99999999999}, "z": []}, "join_policy": "all", "n_required": 2}"#,
            &["b"],
        ),
        &[
            "f.json:2:102: error[too-few-children]: /steps/a/fork_join_config/branches/y/steps: no steps; the branch would have no output; add one",
            "f.json:2:115: error[limit-invalid]: /steps/a/fork_join_config/branches/y/timeout_seconds: 99999999999 is more than anything can count; use at most 4294967295",
            "f.json:2:148: error[field-type]: /steps/a/fork_join_config/branches/z: is a list; nothing could be made of it; it must be an object with steps",
            "f.json:2:180: warning[field-ignored]: /steps/a/fork_join_config/n_required: the policy is another one than n_of_m; the number has no effect; remove it",
        ],
    );
    check(
        &with(
            r#""type": "fork_join", "fork_join_config": {"branches": {"x": {"steps": ["b"]}, "y": {"steps": ["c"]}}, "join_policy": "n_of_m"}"#,
            &["b", "c"],
        ),
        &[
            "f.json:2:39: error[n-required-invalid]: /steps/a/fork_join_config/n_required: missing; n_of_m does not say how many; use 1 to 2",
        ],
    );
    check(
        &with(
            r#""type": "fork_join", "fork_join_config": {"branches": {"x": {"steps": ["b"]}, "y": {"steps": ["c"]}}, "join_policy": "n_of_m", "n_required": 3}"#,
            &["b", "c"],
        ),
        &[
            "f.json:2:145: error[n-required-invalid]: /steps/a/fork_join_config/n_required: 3 of 2 branches can never succeed; use 1 to 2",
        ],
    );
    check(
        &with(
            r#""type": "fork_join", "fork_join_config": {"branches": {"x": {"steps": ["b"]}, "y": {"steps": ["c"]}}, "join_policy": "n_of_m", "n_required": 0}"#,
            &["b", "c"],
        ),
        &[
            "f.json:2:145: error[n-required-invalid]: /steps/a/fork_join_config/n_required: 0 of 2 branches would wait for none; use 1 to 2",
        ],
    );
}

#[test]
fn loops() {
    check(
        &with(r#""type": "loop", "loop_config": {}"#, &[]),
        &[
            "f.json:2:34: error[field-missing]: /steps/a/loop_config/collection: missing; there would be nothing to go through; add a reference to a list",
            "f.json:2:34: error[too-few-children]: /steps/a/loop_config/loop_body: no steps; every round would do nothing; add one",
        ],
    );
    check(
        &with(
            r#""type": "loop", "loop_config": {"collection": "items: ${workflow.input.x}", "loop_body": ["b", "b"], "execution_mode": "fast", "max_parallelism": 2, "on_error": "skip"}"#,
            &["b"],
        ),
        &[
            r#"f.json:2:50: error[collection-invalid]: /steps/a/loop_config/collection: "items: ${workflow.input.x}" is mixed text; a loop needs a list; keep the reference alone"#,
            r#"f.json:2:113: error[duplicate-child]: /steps/a/loop_config/loop_body/1: "b" is listed twice; it has one output; make a second step"#,
            r#"f.json:2:119: error[field-type]: /steps/a/loop_config/execution_mode: "fast" is unknown; what it asks for would not happen; use sequential, parallel"#,
            "f.json:2:145: warning[field-ignored]: /steps/a/loop_config/max_parallelism: the loop is sequential, so the limit has no effect; remove it or use execution_mode parallel",
            r#"f.json:2:167: error[field-type]: /steps/a/loop_config/on_error: "skip" is unknown; what it asks for would not happen; use stop, continue, collect"#,
        ],
    );
    check(
        &with(
            r#""type": "loop", "loop_config": {"collection": "x", "loop_body": ["b"], "max_iterations": 0}"#,
            &["b"],
        ),
        &[
            r#"f.json:2:50: error[collection-invalid]: /steps/a/loop_config/collection: "x" is no reference; a loop needs a list; write ${step.output.path}"#,
            "f.json:2:89: error[limit-invalid]: /steps/a/loop_config/max_iterations: 0 would start nothing; use 1 or more",
        ],
    );
    check(
        &with(
            r#""type": "loop", "loop_config": {"collection": "${x}", "loop_body": ["b"]}"#,
            &["b"],
        ),
        &[
            r#"f.json:2:50: error[reference-syntax]: /steps/a/loop_config/collection: "${x}" is no reference; no value could be found for it; write ${x.output}, or $${ for the text itself"#,
        ],
    );
    check(
        &with(
            r#""type": "loop", "loop_config": {"collection": {"a": 1}, "loop_body": ["b"]}"#,
            &["b"],
        ),
        &[
            "f.json:2:50: error[collection-invalid]: /steps/a/loop_config/collection: an object is no reference; a loop needs a list; write ${step.output.path}",
        ],
    );
}

#[test]
fn conditionals() {
    check(
        &with(
            r#""type": "conditional", "condition": {"expression": "${workflow.input} && 1", "operator": "eq"}"#,
            &[],
        ),
        &[
            "f.json:2:1: error[no-branch]: /steps/a: neither if_true_step nor if_false_step; the test decides nothing; add one",
            r#"f.json:2:55: error[condition-syntax]: /steps/a/condition/expression: "&&" at character 19 is not an operator; write and"#,
            "f.json:2:95: warning[field-ignored]: /steps/a/condition/operator: the expression says all; the operator has no effect; remove it",
        ],
    );
    check(
        &with(
            r#""type": "conditional", "condition": {"expression": "1 == 1"}, "then_step": "b", "else_step": "c""#,
            &["b", "c"],
        ),
        &[
            "f.json:2:1: error[no-branch]: /steps/a: neither if_true_step nor if_false_step; the test decides nothing; add one",
            "f.json:2:55: warning[constant-condition]: /steps/a/condition/expression: no reference in it; it always gives the same answer; check it",
            "f.json:2:80: error[unknown-key]: /steps/a/then_step: not a field of this format, so it would have no effect; write if_true_step",
            "f.json:2:98: error[unknown-key]: /steps/a/else_step: not a field of this format, so it would have no effect; write if_false_step",
        ],
    );
    check(
        &with(
            r#""type": "conditional", "condition": {"expression": " "}, "if_true_step": "b""#,
            &["b"],
        ),
        &[
            "f.json:2:55: error[field-missing]: /steps/a/condition/expression: missing; the step could not decide; write a condition",
        ],
    );
    check(
        &with(r#""type": "conditional", "if_true_step": "b""#, &["b"]),
        &[
            "f.json:2:1: error[field-missing]: /steps/a/condition: missing; the step could not decide; add it",
        ],
    );
    check(
        &with(
            r#""type": "conditional", "condition": {"expression": "${zz.output}"}, "if_true_step": "b""#,
            &["b"],
        ),
        &[
            r#"f.json:2:55: error[unknown-reference]: /steps/a/condition/expression: no step "zz"; it could never have a value; correct it"#,
        ],
    );
}

#[test]
fn ways_that_cannot_be() {
    check(
        &file(&[
            ("a", r#""agent_name": "ok", "next_step": "check""#),
            (
                "check",
                r#""type": "conditional", "condition": {"expression": "${a.output}"}, "if_true_step": "b""#,
            ),
            ("b", r#""agent_name": "ok", "next_step": "a""#),
        ]),
        &[
            "f.json:4:1: error[cycle]: ring a → check (then) → b → a; it would never end; use a loop step",
        ],
    );
    check(
        &file(&[
            ("p", r#""type": "parallel", "parallel_steps": ["x", "p"]"#),
            ("x", OK),
        ]),
        &["f.json:2:1: error[cycle]: ring p (contains) → p; it would never end; use a loop step"],
    );
    check(
        &file(&[("a", r#""agent_name": "ok", "on_failure": "a""#)]),
        &["f.json:2:1: error[cycle]: ring a (on failure) → a; it would never end; use a loop step"],
    );
    check(
        &file(&[
            (
                "p",
                r#""type": "parallel", "parallel_steps": ["x", "y"], "next_step": "x""#,
            ),
            ("x", OK),
            (
                "y",
                r#""agent_name": "ok", "on_failure": "x", "next_step": "x""#,
            ),
        ]),
        &[
            "f.json:2:1: warning[child-next-step-ignored]: /steps/p: next_step of children y has no effect; the block decides; set null",
            r#"f.json:3:1: error[step-in-two-places]: /steps/x: child of "p" and next_step of "p"; it has one output; make a second step"#,
            r#"f.json:4:38: error[child-on-failure-ignored]: /steps/y/on_failure: the step is a child of "p"; the block settles failures; move it to "p""#,
        ],
    );
    check(
        &file(&[
            ("p", r#""type": "parallel", "parallel_steps": ["c", "d"]"#),
            (
                "c",
                r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t""#,
            ),
            (
                "d",
                r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t""#,
            ),
            ("t", OK),
        ]),
        &[
            r#"f.json:5:1: error[step-in-two-places]: /steps/t: if_true_step of "c" and if_true_step of "d", in branches that may run side by side; it has one output; make a second step"#,
        ],
    );
    check(
        &file(&[
            (
                "c",
                r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t", "next_step": "y""#,
            ),
            ("t", r#""agent_name": "ok", "next_step": "z""#),
            ("y", r#""agent_name": "ok", "next_step": "z""#),
            ("z", OK),
        ]),
        &[
            r#"f.json:2:1: error[branch-joins-past-next-step]: /steps/c: a branch reaches "z", which also comes after its next_step "y"; it would run twice; set next_step to "z""#,
        ],
    );
    // Two that come one after the other are not exclusive.
    check(
        &file(&[
            (
                "c",
                r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t", "next_step": "d""#,
            ),
            (
                "d",
                r#""type": "conditional", "condition": {"expression": "${workflow.input}"}, "if_true_step": "t", "next_step": "x""#,
            ),
            ("t", OK),
            ("x", OK),
        ]),
        &[
            r#"f.json:2:1: error[branch-joins-past-next-step]: /steps/c: a branch reaches "t", which also comes after its next_step "d"; it would run twice; set next_step to "t""#,
        ],
    );
    check(
        &file(&[
            ("a", OK),
            ("old", r#""agent_name": "ok", "next_step": "older""#),
            ("older", OK),
        ]),
        &[
            "f.json:3:1: error[unreachable-step]: /steps/old: nothing leads to it; it would never run; link or remove it",
            "f.json:4:1: error[unreachable-step]: /steps/older: nothing leads to it; it would never run; link or remove it",
        ],
    );
}

#[test]
fn references_that_can_have_no_value() {
    check(
        &with(
            r#""agent_name": "ok", "input_mapping": {"x": ["${a.outpt}"], "y": 123456789012345678901234567890, "z": "${b.output}", "q": "${a.output}", "i": "${loop.index}", "w": "${aa.output}", "v": "${workflow.input[bb.output]}"}, "next_step": "b""#,
            &["b"],
        ),
        &[
            r#"f.json:2:62: error[reference-syntax]: /steps/a/input_mapping/x/0: "${a.outpt}" is no reference; no value could be found for it; write ${a.output}, or $${ for the text itself"#,
            "f.json:2:77: error[number-inexact]: /steps/a/input_mapping/y: number 123456789012345678901234567890 has more digits or a larger exponent than JSON readers keep, so another number would be passed on; write it as text",
            r#"f.json:2:114: error[reference-not-ready]: /steps/a/input_mapping/z: reads "b", which cannot have run before; it could never have a value; move the step behind it"#,
            "f.json:2:134: error[reference-not-ready]: /steps/a/input_mapping/q: reads the step's own output, which is not there yet; read another step",
            "f.json:2:154: error[loop-reference-outside-loop]: /steps/a/input_mapping/i: ${loop.index} outside a loop body has no value; no item is meant; use the loop's output",
            r#"f.json:2:176: error[unknown-reference]: /steps/a/input_mapping/w: no step "aa"; it could never have a value; correct it"#,
            r#"f.json:2:197: error[unknown-reference]: /steps/a/input_mapping/v: no step "bb"; it could never have a value; correct it"#,
        ],
    );
    check(
        &file(&[
            (
                "l",
                r#""type": "loop", "loop_config": {"collection": [1], "loop_body": ["e", "g"]}, "next_step": "z""#,
            ),
            (
                "e",
                r#""agent_name": "ok", "input_mapping": {"x": "${loop.parent.item}", "y": "${g.output}", "z": "${l.output}", "ok": "${loop.item}"}"#,
            ),
            (
                "g",
                r#""agent_name": "ok", "input_mapping": {"x": "${e.output}"}"#,
            ),
            (
                "z",
                r#""agent_name": "ok", "input_mapping": {"x": "${e.output}", "r": "${l.error.code}"}"#,
            ),
        ]),
        &[
            "f.json:3:56: error[loop-reference-outside-loop]: /steps/e/input_mapping/x: ${loop.parent.item} outside a loop body has no value; no item is meant; use the loop's output",
            r#"f.json:3:84: error[reference-not-ready]: /steps/e/input_mapping/y: reads "g", which cannot have run before; it could never have a value; move the step behind it"#,
            r#"f.json:3:104: error[reference-not-ready]: /steps/e/input_mapping/z: reads "l", the block that it is in, which has no output yet; read a step before it"#,
            r#"f.json:5:56: error[loop-body-reference]: /steps/z/input_mapping/x: "e" runs once per iteration; which one is meant is open; read ${l.output.iterations}"#,
            r#"f.json:5:76: error[reference-not-ready]: /steps/z/input_mapping/r: the error of "l" has a value only in its on_failure chain; the step is not in it; read the output"#,
        ],
    );
    check(
        &file(&[
            (
                "f",
                r#""type": "fork_join", "fork_join_config": {"branches": {"x": {"steps": ["b", "c"]}, "y": {"steps": ["d"]}}}, "next_step": "z""#,
            ),
            ("b", OK),
            (
                "c",
                r#""agent_name": "ok", "input_mapping": {"b": "${b.output}"}"#,
            ),
            (
                "d",
                r#""agent_name": "ok", "input_mapping": {"c": "${c.output}"}"#,
            ),
            (
                "z",
                r#""agent_name": "ok", "input_mapping": {"b": "${b.output}", "d": "${d.output}"}"#,
            ),
        ]),
        &[
            r#"f.json:5:56: error[reference-not-ready]: /steps/d/input_mapping/c: reads sibling "c"; siblings start together; move the step after the block"#,
        ],
    );
    check(
        &file(&[("a", OK), ("old", OK), ("z", OK)]),
        &[
            "f.json:3:1: error[unreachable-step]: /steps/old: nothing leads to it; it would never run; link or remove it",
            "f.json:4:1: error[unreachable-step]: /steps/z: nothing leads to it; it would never run; link or remove it",
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
