//! What is said of ways and references between steps.

use super::{OK, with};
use crate::checks::{check, file};

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
