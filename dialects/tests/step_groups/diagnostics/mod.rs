//! Every diagnostic: when it is given, where it points, what it says.

mod condition;
mod document;
mod parameter;
mod phase;
mod reference;
mod step;
mod workflow;

use windlass_dialects::{Severity, import};

use crate::checks::{handlers, listing, options};

/// A text gives exactly these lines in strict mode. `t` and `u` have handlers.
fn check(text: &str, expected: &[&str]) {
    let imported = import(text, &handlers(&["t", "u"]));
    assert_eq!(listing(&imported), expected.join("\n"), "\n{text}");
}

/// The same for one step at line 2, of the text within its braces.
fn check_step(step: &str, expected: &[&str]) {
    check(&format!("steps:\n- {{{step}}}\n"), expected);
}

#[test]
fn ten_mistakes_are_reported_at_once() {
    let text = include_str!("../../data/ten-mistakes.yaml");
    let imported = import(text, &handlers(&["validation"]));
    let lines: Vec<_> = imported
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected = [
        r"ship.yaml:3:1: error[name-missing]: metadata.name is missing; runs and sub-workflows need it; add one",
        r"ship.yaml:6:3: error[variable-not-scalar]: variables.REGIONS: value is a list; variables hold one text each; join it",
        r#"ship.yaml:11:7: error[field-type]: step "lint": timeout is "30s"; it must be whole seconds; write 30"#,
        r#"ship.yaml:12:7: error[step-name-invalid]: step "api.v2": step name "api.v2" holds a dot; ${api.v2.x} could not be read; use api-v2"#,
        r"ship.yaml:14:7: error[step-name-missing]: step 3: no name; rows and references need it; add one",
        r#"ship.yaml:15:7: error[step-type-missing]: step "clean": no type; it chooses the handler; add one, e.g. validation"#,
        r#"ship.yaml:18:7: error[misspelt-key]: step "push": key parallel_group has no effect here; it would only be passed to the handler; write parallelGroup"#,
        r#"ship.yaml:19:7: error[duplicate-step]: step 6: name "lint" belongs to step 1; references would be ambiguous; rename one"#,
        r#"ship.yaml:22:7: error[no-handler]: step "scan": no handler for type "sbom" (registered: validation); the step could not work; register one or change the type"#,
        r#"ship.yaml:23:7: error[negative-group]: step "scan": parallelGroup is -1; groups start at 1 and 0 means none; use a positive number"#,
        r#"ship.yaml:26:7: error[unknown-when]: step "ship": when "on-success" is no keyword; the step might never run; did you mean "on_success"?"#,
        r#"ship.yaml:29:19: error[unknown-dependency]: step "tell": dependsOn "shp" names no step; it would wait for nothing; did you mean "ship"?"#,
    ];
    let mut missing = expected
        .iter()
        .filter(|line| !lines.iter().any(|found| found == *line));
    assert_eq!(missing.next(), None, "\n{}", lines.join("\n"));
    assert_eq!(lines.len(), expected.len() + 1, "and an unknown reference");
}

#[test]
fn a_diagnostic_points_at_document_pointer_line_column_and_step() {
    let text = "a: 1\n---\nkind: Workflow\nmetadata: {name: ship}\nspec:\n  steps:\n    - name: scan\n      type: t\n      timeout: 30s\n";
    let imported = import(text, &options());
    let found = imported.diagnostics.last().unwrap();
    assert_eq!(
        (found.code, found.severity),
        ("field-type", Severity::Error)
    );
    assert_eq!(found.file, "ship.yaml");
    assert_eq!(found.document, Some(2));
    assert_eq!(found.pointer.as_deref(), Some("/spec/steps/0/timeout"));
    assert_eq!((found.line, found.column), (Some(9), Some(7)));
    assert_eq!(found.step.as_deref(), Some("scan"));
    assert_eq!(
        found.message,
        "ship.yaml:9 step \"scan\": timeout is \"30s\"; it must be whole seconds; write 30"
    );
}
