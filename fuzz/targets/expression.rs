//! Any text as an expression of a workflow: compiled and evaluated.
#![no_main]

use libfuzzer_sys::fuzz_target;
use windlass_workflow_model::{Function, FunctionRole, Payload};

fuzz_target!(|text: &str| {
    let data = Payload::from_json(
        &br#"{"n": 3, "s": "text", "list": [1, 2.5, null], "deep": {"a": {"b": true}}}"#[..],
    );
    for role in [
        FunctionRole::Predicate,
        FunctionRole::Compute,
        FunctionRole::Delay,
    ] {
        match windlass_expressions::compile(text, role) {
            Ok(Function::Predicate(holds)) => drop(holds(&data)),
            Ok(Function::Compute(compute)) => drop(compute(&data)),
            Ok(Function::Delay(delay)) => drop(delay(&data)),
            Ok(_) | Err(_) => {}
        }
    }
});
