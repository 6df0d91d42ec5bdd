//! Messages that name the mistake that was made, and the way out of it.

use windlass_dialects::{ImportOptions, import};

use crate::checks::{file, listing, options};

const OK: &str = r#""agent_name": "ok""#;

fn check_with(text: &str, options: &ImportOptions, expected: &[&str]) {
    let found = import(text, options);
    assert_eq!(listing(&found), expected.join("\n"), "{text}");
}

fn check(text: &str, expected: &[&str]) {
    check_with(text, &options(), expected);
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
