//! Pointers, branches, rings, chains.

use serde_json::{Value as Json, json};
use windlass_dialects::Mode;

use super::{changed, check, codes};
use crate::play::{accepted, codes_of, options};

#[test]
fn flows() {
    let with = |steps: Json| {
        changed(|p| {
            for (name, step) in steps.as_object().unwrap() {
                p["steps"][name] = step.clone();
            }
        })
    };
    check(
        "start",
        &changed(|p| p["workflow_start"] = "A".into()),
        "start-wrong-type unreachable-step",
        "repaired-l10 unreachable-step",
    );
    check(
        "nowhere",
        &with(json!({ "A": { "on_completion": "end--aaaaaaaa-0000-4000-8000-000000000000" } })),
        "unknown-step workflow-incomplete",
        "repaired-l1 unknown-step",
    );
    check(
        "type",
        &with(json!({ "A": { "type": "single", "on_completion": "e1" } })),
        "type-unknown",
        "type-unknown",
    );
    check(
        "no way on",
        &with(json!({ "B": { "on_completion": "e1" }, "A": {} })),
        "next-pointer-missing unreachable-step unreachable-step",
        "repaired-l1 unreachable-step unreachable-step",
    );
    check(
        "both",
        &with(json!({ "A": { "on_completion": "e1", "on_failure": "e2" } })),
        "pointer-conflict",
        "repaired-l14",
    );
    check(
        "both ways",
        &with(json!({ "A": { "on_completion": "e1", "on_success": "e2" } })),
        "pointer-conflict unreachable-step",
        "pointer-conflict unreachable-step",
    );
    check(
        "ring",
        &with(
            json!({ "A": { "on_completion": "B" }, "B": { "on_success": "e1", "on_failure": "A" } }),
        ),
        "cycle",
        "cycle",
    );
    check(
        "one branch",
        &with(
            json!({ "A": { "type": "parallel", "next_steps": ["B"], "on_completion": "e1" }, "B": { "on_completion": "e2" } }),
        ),
        "too-few-branches",
        "too-few-branches",
    );
    check(
        "zero",
        &with(json!({ "A": { "timeout": 0, "on_completion": "e1" } })),
        "timeout-zero",
        "timeout-zero",
    );
    let shared = with(
        json!({ "A": { "type": "parallel", "next_steps": ["B", "C"], "on_completion": "e1" }, "B": { "on_completion": "e2" }, "C": { "on_completion": "e2" } }),
    );
    check("shared end", &shared, "branch-end-shared", "repaired-l2");
    let copied = with(
        json!({ "A": { "type": "parallel", "next_steps": ["B", "C"], "on_completion": "e1" }, "B": { "on_completion": "D" }, "C": { "on_completion": "D" }, "D": { "on_completion": "e2" } }),
    );
    check(
        "shared step",
        &copied,
        "branch-end-shared",
        "repaired-l2 shared-step-copied",
    );
    let back = with(
        json!({ "A": { "type": "while-condition", "condition": "__n__:value < 1", "on_true": "B", "on_completion": "e1" }, "B": { "on_completion": "A" } }),
    );
    check("back", &back, "cycle", "repaired-l3");
    let uuid = changed(|p| p["steps"]["A"]["on_completion"] = "e1".into()).replace(
        "\"on_completion\": \"action--",
        "\"on_completion\": \"step--",
    );
    check(
        "by uuid",
        &uuid,
        "unknown-step unreachable-step unreachable-step",
        "repaired-l9",
    );
}

#[test]
fn chains_that_cannot_be() {
    let chain = |change: fn(&mut Json)| {
        changed(|p| {
            p["steps"]["A"] = json!({ "parallelizable": true, "on_completion": "B" });
            p["steps"]["B"] = json!({ "on_completion": "e1" });
            change(p);
        })
    };
    check("fine", &chain(|_| {}), "", "");
    let off = codes_of(&chain(|_| {}), &options(Mode::Strict));
    assert_eq!(off, ["unknown-property"]);
    check(
        "entered",
        &chain(|p| {
            p["steps"]["S"]["on_completion"] = "D".into();
            p["steps"]["D"] = json!({ "on_success": "A", "on_failure": "B" });
        }),
        "parallelizable-entered",
        "parallelizable-entered",
    );
    check(
        "branching",
        &chain(|p| {
            p["steps"]["B"] = json!({ "type": "if-condition", "condition": "__b__:value", "on_true": "C", "on_completion": "e1" });
            p["steps"]["C"] = json!({ "on_completion": "e2" });
        }),
        "parallelizable-branching",
        "parallelizable-branching",
    );
    check(
        "failures",
        &chain(|p| {
            p["steps"]["A"] =
                json!({ "parallelizable": true, "on_success": "B", "on_failure": "e3" });
        }),
        "parallelizable-failure-pointers",
        "parallelizable-failure-pointers",
    );
    check(
        "data",
        &chain(|p| {
            p["steps"]["A"]["out_args"] = json!(["__s__"]);
            p["steps"]["B"]["in_args"] = json!(["__s__"]);
        }),
        "parallelizable-data",
        "parallelizable-data",
    );
    check(
        "alone",
        &chain(|p| {
            p["steps"]["A"]["on_completion"] = "e1".into();
            p["steps"].as_object_mut().unwrap().remove("B");
        }),
        "parallelizable-alone",
        "parallelizable-alone",
    );
}

/// A ring stays a ring, also where the steps of a chain make it.
#[test]
fn a_ring_of_chained_steps_is_a_ring() {
    let ring = |change: fn(&mut Json)| {
        changed(|p| {
            p["steps"]["A"] = json!({ "parallelizable": true, "on_completion": "B" });
            p["steps"]["B"] = json!({ "on_completion": "A" });
            p["steps"]["C"] = json!({ "on_completion": "e1" });
            change(p);
        })
    };
    for (what, change) in [
        ("back", (|_| {}) as fn(&mut Json)),
        ("all marked", |p| {
            p["steps"]["B"]["parallelizable"] = true.into();
        }),
        ("itself", |p| {
            p["steps"]["A"]["on_completion"] = "A".into();
            p["steps"]["B"]["on_completion"] = "e2".into();
        }),
        ("through another", |p| {
            p["steps"]["B"]["on_completion"] = "C".into();
            p["steps"]["C"]["on_completion"] = "A".into();
        }),
        ("by a failure", |p| {
            p["steps"]["A"] =
                json!({ "parallelizable": true, "on_success": "B", "on_failure": "A" });
            p["steps"]["B"] = json!({ "on_success": "e2", "on_failure": "A" });
        }),
    ] {
        let (strict, lenient) = codes(&ring(change));
        for found in [strict, lenient] {
            assert!(found.starts_with("cycle"), "{what}: {found}");
            assert!(!found.contains("alone"), "{what}: {found}");
        }
    }
}

/// What the upgrade makes to run a list in order is no choice of the playbook.
#[test]
fn lists_of_1_1_are_no_if_logic() {
    let text = changed(|p| {
        p["steps"]["A"] = json!({ "type": "switch-condition", "switch": "__s__:value", "cases": { "a": "B" }, "on_completion": "e1" });
        p["steps"]["B"] = json!({ "on_completion": "e2" });
        p["steps"]["C"] = json!({ "on_completion": "e3" });
        p["playbook_processing_summary"] = json!({ "if_logic": false, "switch_logic": true });
    });
    let mut playbook: Json = serde_json::from_str(&text).unwrap();
    playbook["spec_version"] = "1.1".into();
    let id = |name: &str| crate::short::step_id("action", name);
    let switch = crate::short::step_id("switch-condition", "A");
    playbook["workflow"][switch]["cases"]["a"] = json!([id("B"), id("C")]);
    let mut options = options(Mode::Strict);
    options.cacao.upgrade_1x = Some(true);
    options.cacao.refuse_features = vec!["if_logic".to_owned()];
    let text = playbook.to_string();
    let found = codes_of(&text, &options);
    assert_eq!(found, ["upgraded"]);
    let imported = accepted(&text, &options);
    assert!(!imported.features.contains_key("if_logic"));
}
