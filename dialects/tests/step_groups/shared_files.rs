//! Real files, where they are at hand: imported, or refused with the codes noted here.

use std::path::PathBuf;

use windlass_dialects::{Dialect, HandlerTypes, ImportOptions, Severity, import_bytes};

use crate::checks::{codes, listing, shape};

const UNKNOWN: &str = "unknown-reference";

/// File, error codes, workflows that can be drawn.
const FILES: [(&str, &[&str], usize); 8] = [
    ("parallel-workflow.yaml", &[], 3),
    ("guide-parallel-groups-interleaved.yaml", &[], 1),
    ("archive-conditional-workflow.yaml", &[UNKNOWN], 10),
    ("archive-context-workflow.yaml", &[UNKNOWN], 6),
    (
        "archive-score-spec-with-workflow.yaml",
        &["no-workflow-found"],
        0,
    ),
    (
        "provider-provision-postgres.yaml",
        &["template-unsupported"],
        1,
    ),
    ("workflows-archive-db-lifecycle.yaml", &[UNKNOWN], 1),
    ("workflows-archive-deploy-app.yaml", &["bare-reference"], 1),
];

/// Graphs of the files that are imported.
const SHAPES: [&str; 4] = [
    "[validate-syntax|security-scan|policy-check] → provision-database → [deploy-backend|deploy-frontend|deploy-worker] → health-check → setup-monitoring",
    "[task-a|task-b|task-c] → final-task",
    "initialize → [setup-database|setup-cache|setup-storage] → configure → [deploy-services|setup-monitoring] → verify",
    "[validate-syntax|security-scan] → provision-database → [deploy-backend|deploy-frontend|deploy-worker] → health-check",
];

fn folder() -> PathBuf {
    let shared = std::env::var_os("WINDLASS_SHARED").map(PathBuf::from);
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    shared.unwrap_or_else(beside).join("data/innominatus")
}

#[test]
#[expect(clippy::print_stdout, reason = "says that there was nothing to check")]
fn real_files_are_imported_or_refused_for_a_known_reason() {
    let folder = folder();
    if !folder.is_dir() {
        println!("no shared files at {}; nothing checked", folder.display());
        return;
    }
    let mut shapes = Vec::new();
    for (name, expected, drawn) in FILES {
        let bytes = std::fs::read(folder.join(name)).expect(name);
        let mut options = ImportOptions::new(name);
        options.handlers = HandlerTypes::Any;
        let imported = import_bytes(&bytes, &options);
        assert_eq!(
            codes(&imported, Severity::Error),
            expected,
            "{}",
            listing(&imported)
        );
        assert_eq!(imported.workflows.len(), drawn, "{name}");
        assert_eq!(imported.ok(), expected.is_empty());
        if imported.ok() {
            assert!(imported.diagnostics.is_empty(), "{}", listing(&imported));
            shapes.extend(imported.workflows.iter().map(|w| shape(&w.definition)));
        }
        let recognised = Dialect::recognise(&String::from_utf8_lossy(&bytes)).is_some();
        assert_eq!(recognised, drawn > 0, "{name}");
    }
    assert_eq!(shapes, SHAPES);
    let known = |name: &str| FILES.iter().any(|(file, ..)| *file == name) || name == "SOURCES.md";
    for file in folder.read_dir().expect("the folder can be listed") {
        let name = file
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned();
        assert!(
            known(&name),
            "{name} is not in the table; note what becomes of it"
        );
    }
}
