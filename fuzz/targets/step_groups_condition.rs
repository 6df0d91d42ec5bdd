//! Any text as a condition and as a text with references of step groups: read, and evaluated where
//! it was accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use windlass_dialects::{Dialect, ImportOptions, Mode, group_input, import};
use windlass_workflow_model::{NodeKind, Payload};

fuzz_target!(|text: &str| {
    let file = json!({"variables": {"V": "x", "N": "10"}, "steps": [
        {"name": "a", "type": "t"},
        {"name": "b", "type": "t", "if": text, "env": {"E": text}, "config": {"command": text}},
    ]});
    let data = Payload::from_json(
        &br#"{"variables": {"V": "x", "N": "10"}, "steps": {"a": {"outputs": {"n": 4, "s": "x", "l": [1]}}}}"#[..],
    );
    for mode in [Mode::Strict, Mode::Lenient] {
        let mut options = ImportOptions::new("f.yaml");
        options.dialect = Some(Dialect::StepGroupsYaml);
        options.mode = mode;
        for workflow in import(&file.to_string(), &options).workflows {
            for node in workflow.definition.nodes() {
                if let NodeKind::Step(spec) = &node.kind {
                    drop(group_input(&spec.config, &data));
                }
            }
        }
    }
});
