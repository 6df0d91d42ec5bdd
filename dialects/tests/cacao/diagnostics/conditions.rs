//! Conditions.

use serde_json::json;

use super::{changed, check};

#[test]
fn conditions() {
    let condition = |text: &str| {
        let text = text.to_owned();
        changed(move |p| {
            p["steps"]["A"] = json!({ "type": "if-condition", "on_true": "B", "on_completion": "e1", "condition": text });
            p["steps"]["B"] = json!({ "on_completion": "e2" });
        })
    };
    check("empty", &condition(""), "condition-missing", "repaired-l4");
    check(
        "syntax",
        &condition("__s__:value = "),
        "condition-syntax",
        "condition-syntax",
    );
    check(
        "bare word",
        &condition("__s__:value = yes"),
        "condition-syntax",
        "repaired-l6",
    );
    check(
        "unfinished",
        &condition("__b__.value == true"),
        "condition-syntax",
        "repaired-l5",
    );
    check(
        "no bool",
        &condition("__s__:value"),
        "condition-not-bool",
        "condition-not-bool",
    );
    check(
        "order",
        &condition("__ip__:value < 'a'"),
        "condition-type",
        "condition-type",
    );
    check(
        "in network",
        &condition("__ip__:value IN '10.0.0.0/8'"),
        "condition-type",
        "repaired-l19",
    );
    check(
        "observation",
        &condition("[file:name = 'x']"),
        "condition-observation",
        "condition-observation",
    );
    check(
        "unknown",
        &condition("__gone__:value = 'x'"),
        "unknown-variable",
        "unknown-variable",
    );
}
