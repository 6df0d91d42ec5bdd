//! What a run of an imported graph does.

use serde_json::json;
use windlass_dialects::run_outputs;

use crate::play::{failing, gives, run};

const TEXT: &str = "
steps:
  - {name: a, type: t, parallelGroup: 1}
  - {name: b, type: t, parallelGroup: 1}
  - {name: c, type: t}
  - {name: d, type: t}
";

#[test]
fn outputs_of_all_steps_come_in_document_order() {
    let played = run(TEXT, &|step, _| gives(json!({ "from": step })));
    assert_eq!(played.done, ["b", "a", "c", "d"]);
    let outputs = run_outputs(&played.result.unwrap());
    let names: Vec<_> = outputs.as_object().unwrap().keys().collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(outputs["b"], json!({"from": "b"}));
}

#[test]
fn a_failed_phase_settles_its_steps_and_ends_the_run_with_all_errors_in_document_order() {
    let played = run(TEXT, &failing(&["a", "b"]));
    assert_eq!(
        played.done,
        ["b", "a"],
        "siblings settle, later phases are never reached"
    );
    assert_eq!(played.errors(), ["a: handler-failed", "b: handler-failed"]);
    let errors = played.result.unwrap_err().errors;
    assert!(
        errors
            .iter()
            .all(|e| e.parent.as_deref() == Some("phase-1"))
    );
}

#[test]
fn one_failure_does_not_keep_its_sibling_from_working() {
    let played = run(TEXT, &failing(&["b"]));
    assert_eq!(played.done, ["b", "a"]);
    assert_eq!(played.errors(), ["b: handler-failed"]);
}
