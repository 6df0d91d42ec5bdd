//! What is said of ids, types and agents.

use windlass_dialects::{HandlerTypes, ResolveAgents, import};

use super::{OK, with};
use crate::checks::{check, check_with, file, options};

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
