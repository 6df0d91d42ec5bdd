//! What is said of blocks and what they contain.

use windlass_dialects::import;

use super::{OK, with};
use crate::checks::{check, file, options};

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
