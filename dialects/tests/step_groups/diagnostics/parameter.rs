//! Parameters of a workflow.

use windlass_dialects::import;

use crate::checks::{lenient, listing};
use crate::diagnostics::check;

#[test]
fn keys_of_a_parameter_are_read_or_told() {
    let text = |parameter: &str| {
        format!("parameters:\n- {{{parameter}}}\nsteps: [{{name: a, type: t}}]\n")
    };
    for (required, fix) in [
        (
            "yes",
            "is \"yes\"; it must be true or false; write true or false without quotes",
        ),
        (
            "'yes'",
            "is \"yes\"; it must be true or false; write true or false without quotes",
        ),
        ("1", "is 1; it must be true or false; write true or false"),
        (
            "'true'",
            "is \"true\"; it must be true or false; write true",
        ),
    ] {
        check(
            &text(&format!("name: rq, type: string, required: {required}")),
            &[&format!(
                "ship.yaml:2:28: error[field-type]: parameter rq: required {fix}"
            )],
        );
    }
    check(
        &text("name: n, type: string, defualt: x, description: d, hint: h"),
        &[
            "ship.yaml:2:27: error[misspelt-key]: parameter n: key defualt has no effect here; what it holds would be lost; write default",
            "ship.yaml:2:55: info[not-workflow-content]: parameter n: hint is kept but not run, because only name, type, required, default and description are read; nothing to do",
        ],
    );
    let imported = import(
        &text("name: rq, type: string, required: 'true'"),
        &lenient(),
    );
    assert!(imported.ok(), "{}", listing(&imported));
}

#[test]
fn a_default_of_another_type_is_told_with_its_cure() {
    for (kind, default, cure) in [
        (
            "string",
            "3",
            "default 3 is no string; the run would start with a wrong value; quote it or change type",
        ),
        (
            "number",
            "'3'",
            "default \"3\" is no number; the run would start with a wrong value; write it without quotes or change type",
        ),
        (
            "number",
            "many",
            "default \"many\" is no number; the run would start with a wrong value; write a number or change type",
        ),
        (
            "boolean",
            "'True'",
            "default \"True\" is no boolean; the run would start with a wrong value; write it without quotes or change type",
        ),
        (
            "boolean",
            "1",
            "default 1 is no boolean; the run would start with a wrong value; write true or false, or change type",
        ),
        (
            "object",
            "[1]",
            "default a list is no object; the run would start with a wrong value; write names and their values, or change type",
        ),
    ] {
        check(
            &format!(
                "parameters:\n- {{name: n, type: {kind}, default: {default}}}\nsteps: [{{name: a, type: t}}]\n"
            ),
            &[&format!(
                "ship.yaml:2:3: error[parameter-invalid]: parameter n: {cure}"
            )],
        );
    }
}
