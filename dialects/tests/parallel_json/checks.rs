//! The one place where these tests touch the API of the import.

use std::fmt::Write;

use windlass_dialects::{Dialect, ImportOptions, Imported, ImportedWorkflow, Mode, import};

/// Options for a file called `f.json` of this dialect.
pub(crate) fn options() -> ImportOptions {
    let mut options = ImportOptions::new("f.json");
    options.dialect = Some(Dialect::ParallelJson);
    options
}

/// Options in lenient mode.
pub(crate) fn lenient() -> ImportOptions {
    let mut options = options();
    options.mode = Mode::Lenient;
    options
}

/// A file whose steps are these, each `"id": {…}` without the id inside; the first is the start.
pub(crate) fn file(steps: &[(&str, &str)]) -> String {
    let mut text = format!(
        "{{\"name\": \"test\", \"start_step\": \"{}\", \"steps\": {{\n",
        steps[0].0
    );
    for (n, (id, fields)) in steps.iter().enumerate() {
        let comma = if n + 1 < steps.len() { "," } else { "" };
        let sep = if fields.is_empty() { "" } else { ", " };
        writeln!(text, "\"{id}\": {{\"id\": \"{id}\"{sep}{fields}}}{comma}").expect("a text");
    }
    text + "}}\n"
}

/// The workflow of a text without errors.
pub(crate) fn workflow_with(text: &str, options: &ImportOptions) -> ImportedWorkflow {
    let mut imported = import(text, options);
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(imported.workflows.len(), 1);
    imported.workflows.remove(0)
}

/// All diagnostics, a line each.
pub(crate) fn listing(imported: &Imported) -> String {
    let lines = imported.diagnostics.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("\n")
}

/// The codes of all diagnostics, in their order.
pub(crate) fn codes(imported: &Imported) -> Vec<&'static str> {
    imported
        .diagnostics
        .iter()
        .map(|found| found.code)
        .collect()
}

/// What is said of a text, word for word.
pub(crate) fn check_with(text: &str, options: &ImportOptions, expected: &[&str]) {
    let found = import(text, options);
    assert_eq!(listing(&found), expected.join("\n"), "{text}");
}

/// The same in strict mode.
pub(crate) fn check(text: &str, expected: &[&str]) {
    check_with(text, &options(), expected);
}
