//! Ways to parts of the crate that only fuzzing uses; not there in any other build.

use windlass_workflow_model::Payload;

use crate::{cacao, parallel_json, step_groups};

/// Reads a text as a condition of a playbook, checks it and evaluates it in both modes.
pub fn cacao_condition(text: &str) {
    cacao::fuzz_condition(text);
}

/// Reads a text as a condition and as a reference of parallel JSON and evaluates them.
pub fn parallel_json_condition(text: &str) {
    let data = br#"{"input": {"list": [1, {"k": "v"}], "s": "x"}, "options": {}, "steps": {"a": {"outputs": {"n": 4, "s": "x", "l": [1, 2]}}}}"#;
    parallel_json::fuzz_condition(text, &Payload::from_json(&data[..]));
}

/// Reads a text as a condition and as texts with references of step groups and evaluates them in both
/// modes.
pub fn step_groups_condition(text: &str) {
    let data = br#"{"variables": {"V": "x", "N": "10"}, "steps": {"a": {"outputs": {"n": 4, "s": "x", "l": [1]}}}}"#;
    step_groups::fuzz_condition(text, &Payload::from_json(&data[..]));
}
