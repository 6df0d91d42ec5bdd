//! What only follows from another mistake is not told beside it, and everything else is.

use windlass_dialects::import;

use crate::checks::{codes, file, lenient, listing, options};

const OK: &str = r#""agent_name": "ok""#;
const IF: &str = r#""type": "conditional", "condition": {"expression": "${workflow.input}"}"#;

fn check(text: &str, expected: &[&str]) {
    let found = import(text, &options());
    assert_eq!(codes(&found), expected, "{text}\n{}", listing(&found));
}

#[test]
fn a_ring_is_told_alone() {
    let p = r#""type": "parallel", "parallel_steps": ["a", "q"]"#;
    let q = r#""type": "parallel", "parallel_steps": ["p", "b"]"#;
    check(
        &file(&[("p", p), ("q", q), ("a", OK), ("b", OK)]),
        &["cycle"],
    );
}

#[test]
fn a_ring_through_a_branch_is_told_alone() {
    // A branch of a conditional leads back to the block around it.
    let p = r#""type": "parallel", "parallel_steps": ["a", "c"]"#;
    let c = format!(r#"{IF}, "if_true_step": "t""#);
    let t = r#""agent_name": "ok", "next_step": "p""#;
    check(
        &file(&[("p", p), ("a", OK), ("c", &c), ("t", t)]),
        &["cycle"],
    );
    // What has nothing to do with it is told all the same.
    let a = r#""agent_name": "ok", "input_mapping": {"x": "${nobody.output}"}"#;
    check(
        &file(&[("p", p), ("a", a), ("c", &c), ("t", t), ("old", OK)]),
        &["unknown-reference", "cycle", "unreachable-step"],
    );
}

#[test]
fn a_reference_to_nobody_is_told_of_steps_that_stand_nowhere_too() {
    let p = r#""type": "parallel", "parallel_steps": ["a", "q"]"#;
    let q = r#""type": "parallel", "parallel_steps": ["p", "b"]"#;
    let a = r#""agent_name": "ok", "input_mapping": {"x": "${nobody.output}", "y": "${b.output}"}"#;
    check(
        &file(&[("p", p), ("q", q), ("a", a), ("b", OK)]),
        &["cycle", "unknown-reference"],
    );
}

#[test]
fn a_branch_that_comes_twice_is_told_alone() {
    let fork = |policy: &str| {
        let f = format!(
            r#""type": "fork_join", "fork_join_config": {{"branches": {{"x": {{"steps": ["a"]}},
"x": {{"steps": ["b"]}}}}{policy}}}"#
        );
        file(&[("f", &f), ("a", OK), ("b", OK)])
    };
    check(&fork(""), &["duplicate-key"]);
    check(
        &fork(r#", "join_policy": "n_of_m", "n_required": 2"#),
        &["duplicate-key"],
    );
    let twice = r#"{"name": "n", "start_step": "a", "steps": {"a": {"id": "a", "agent_name": "ok"}, "a": {"id": "a", "agent_name": "ok", "next_step": "b"}, "b": {"id": "b", "agent_name": "ok"}}}"#;
    check(twice, &["duplicate-key"]);
}

#[test]
fn nesting_too_deep_is_told_once() {
    let steps: Vec<_> = (0..40)
        .flat_map(|n| {
            let block = format!(
                r#""type": "parallel", "parallel_steps": ["b{}", "x{n}"]"#,
                n + 1
            );
            [(format!("b{n}"), block), (format!("x{n}"), OK.to_owned())]
        })
        .chain([("b40".to_owned(), OK.to_owned())])
        .collect();
    let steps: Vec<_> = steps.iter().map(|(id, f)| (&**id, &**f)).collect();
    check(&file(&steps), &["nesting-too-deep"]);
}

#[test]
fn what_a_wrong_step_leads_to_is_not_called_unreachable() {
    for fields in [
        r#""type": "paralel", "parallel_steps": ["b", "c"]"#,
        r#""type": "parallel", "parallel_steps": "b, c", "next_step": "b", "on_failure": ["c"]"#,
        r#""agent_name": "ok", "nextstep": "b", "on_fail": "c""#,
        r#""agent_name": "ok", "next_step": ["b", "c"]"#,
    ] {
        let found = import(&file(&[("a", fields), ("b", OK), ("c", OK)]), &options());
        assert!(!found.ok() && !codes(&found).contains(&"unreachable-step"));
    }
    // The step that is meant by a misspelt id.
    let a = r#""agent_name": "ok", "next_step": "prep_are""#;
    let prepare = r#""agent_name": "ok", "next_step": "z""#;
    check(
        &file(&[("a", a), ("prepare", prepare), ("z", OK)]),
        &["unknown-step"],
    );
    // What a child does when it fails, it may not say.
    let p = r#""type": "parallel", "parallel_steps": ["a", "b"]"#;
    let b = r#""agent_name": "ok", "on_failure": "z""#;
    let steps = [("p", p), ("a", OK), ("b", b), ("z", OK)];
    check(&file(&steps), &["child-on-failure-ignored"]);
    let found = import(&file(&steps), &lenient());
    assert_eq!(
        codes(&found),
        ["child-on-failure-ignored", "unreachable-step"]
    );
    // What lenient mode imports all the same, it tells.
    let a = r#""agent_name": "ok", "nextstep": "b""#;
    let found = import(&file(&[("a", a), ("b", OK)]), &lenient());
    assert_eq!(codes(&found), ["unknown-key", "unreachable-step"]);
}

#[test]
fn a_step_behind_one_that_stands_in_two_places_is_not_called_unreachable() {
    let a = r#""agent_name": "ok", "next_step": "x""#;
    let old = r#""type": "parallel", "parallel_steps": ["x", "y"]"#;
    let x = r#""agent_name": "ok", "next_step": "z""#;
    check(
        &file(&[("a", a), ("old", old), ("x", x), ("y", OK), ("z", OK)]),
        &[
            "unreachable-step",
            "child-next-step-ignored",
            "step-in-two-places",
            "unreachable-step",
        ],
    );
}

#[test]
fn a_branch_ends_where_its_conditional_goes_on_whatever_step_that_names() {
    let p = r#""type": "parallel", "parallel_steps": ["c", "d"], "next_step": "z""#;
    for end in ["p", "a", "z"] {
        let c =
            format!(r#"{IF}, "if_true_step": "t", "if_false_step": "{end}", "next_step": "{end}""#);
        let t2 = format!(r#""agent_name": "ok", "next_step": "{end}""#);
        let steps = [
            ("a", r#""agent_name": "ok", "next_step": "p""#),
            ("p", p),
            ("c", &c),
            ("d", OK),
            ("t", r#""agent_name": "ok", "next_step": "t2""#),
            ("t2", &t2),
            ("z", OK),
        ];
        check(&file(&steps), &[]);
    }
    // Such an end leads nowhere.
    let file_of = |marker: &str, t: &str, more: &[(&str, &str)]| {
        let c = format!(r#"{IF}, "if_true_step": "t", "next_step": "{marker}""#);
        let t = format!(r#""agent_name": "ok", "next_step": "{t}""#);
        let steps = [("p", p), ("c", &*c), ("d", OK), ("t", &*t), ("z", OK)];
        file(&[&steps[..], more].concat())
    };
    check(
        &file_of("end", "end", &[("end", OK)]),
        &["unreachable-step"],
    );
    // A ring beside it is still found.
    check(&file_of("p", "c", &[]), &["cycle"]);
}

#[test]
fn a_shared_tail_says_nothing_beside_another_mistake() {
    let c = format!(r#"{IF}, "if_true_step": "d", "if_false_step": "t", "next_step": "y""#);
    let d = format!(r#"{IF}, "if_true_step": "t", "next_step": "x""#);
    let t = r#""agent_name": "ok", "input_mapping": {"x": "${nobody.output}"}"#;
    let x = r#""agent_name": "ok", "input_mapping": {"x": "${t.output.v}"}"#;
    check(
        &file(&[("c", &c), ("d", &d), ("t", t), ("x", x), ("y", x)]),
        &["unknown-reference"],
    );
}
