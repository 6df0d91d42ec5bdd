//! The tree itself: imports point down the levels only, and every module says what it is for.

use std::fs;
use std::path::{Path, PathBuf};

/// Crates by level; each may import only from the levels below its own.
const LEVELS: [&[(&str, &str)]; 6] = [
    &[
        ("workflow-model", "windlass-workflow-model"),
        ("faults", "windlass-faults"),
        ("protocol", "windlass-protocol"),
        ("interleavings", "windlass-interleavings"),
    ],
    &[
        ("expressions", "windlass-expressions"),
        ("store", "windlass-store"),
    ],
    &[
        ("scheduler", "windlass-scheduler"),
        ("runner", "windlass-runner"),
        ("dialects", "windlass-dialects"),
    ],
    &[(".", "windlass")],
    &[("bench", "windlass-bench"), ("testkit", "windlass-testkit")],
    &[("cli", "windlass-cli")],
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_point_down_the_levels_and_never_sideways() {
    for (level, crates) in LEVELS.iter().enumerate() {
        let below: Vec<_> = LEVELS[..level].iter().flat_map(|all| all.iter()).collect();
        for (folder, name) in *crates {
            let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
            let dependencies = manifest.split("[dependencies]").nth(1).unwrap_or_default();
            let dependencies = dependencies.split("\n[").next().unwrap_or_default();
            for line in dependencies
                .lines()
                .filter(|line| line.starts_with("windlass"))
            {
                let imported = line.split(['.', ' ', '=']).next().unwrap_or_default();
                assert!(
                    below.iter().any(|(_, lower)| *lower == imported),
                    "{name} (level {level}) imports {imported}, which is not below it"
                );
            }
        }
    }
}

#[test]
fn every_module_opens_by_saying_what_it_is_for() {
    let folders = [
        "workflow-model",
        "expressions",
        "store",
        "scheduler",
        "runner",
        "dialects",
        "testkit",
        "bench",
        "cli",
        "faults",
        "protocol",
        "interleavings",
    ];
    let mut found = Vec::new();
    sources(&root().join("src"), &mut found);
    sources(&root().join("tests"), &mut found);
    for folder in folders {
        sources(&root().join(folder).join("src"), &mut found);
        sources(&root().join(folder).join("tests"), &mut found);
    }
    assert!(found.len() > 40, "the sources are where they were");
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} does not open with //!",
            path.display()
        );
    }
}

#[test]
fn all_synchronisation_goes_through_one_module() {
    let mut found = Vec::new();
    for folder in ["src", "store/src", "scheduler/src", "runner/src"] {
        sources(&root().join(folder), &mut found);
    }
    for path in found
        .iter()
        .filter(|path| !path.ends_with("store/src/sync.rs"))
    {
        let text = fs::read_to_string(path).unwrap();
        for primitive in [
            "std::sync::Mutex",
            "std::sync::mpsc",
            "std::thread::spawn",
            "parking_lot::",
            "crossbeam_channel::",
        ] {
            assert!(
                !text.contains(primitive),
                "{} uses {primitive}: take it from sync",
                path.display()
            );
        }
    }
}
