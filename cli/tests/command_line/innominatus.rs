//! Real files of step groups, where they are at hand: what `check` says of each in both modes, and
//! those that can be run are run to their ends, also once killed in the middle.

use std::path::PathBuf;

use serde_json::Value;

use crate::lab::{Lab, eventually};

const UNKNOWN: &str = "unknown-reference";
const BARE: &str = "bare-reference";
const TEMPLATE: &str = "template-unsupported";
const ON_ENV: &str = "workflow-prefix-on-env";

/// File, codes of errors in strict and in lenient mode, codes of warnings in lenient mode.
const FILES: [(&str, &[&str], &[&str], &[&str]); 8] = [
    (
        "archive-conditional-workflow.yaml",
        &[UNKNOWN],
        &[],
        &[UNKNOWN],
    ),
    ("archive-context-workflow.yaml", &[UNKNOWN], &[], &[ON_ENV]),
    (
        "archive-score-spec-with-workflow.yaml",
        &["no-workflow-found"],
        &["no-workflow-found"],
        &["document-without-workflow"],
    ),
    ("guide-parallel-groups-interleaved.yaml", &[], &[], &[]),
    ("parallel-workflow.yaml", &[], &[], &[]),
    (
        "provider-provision-postgres.yaml",
        &[TEMPLATE],
        &[],
        &[TEMPLATE],
    ),
    (
        "workflows-archive-db-lifecycle.yaml",
        &[UNKNOWN],
        &[],
        &[UNKNOWN],
    ),
    (
        "workflows-archive-deploy-app.yaml",
        &[BARE],
        &[],
        &[BARE, UNKNOWN],
    ),
];

/// Every step pretends; those of one type take their time.
fn handlers(slow: &str) -> String {
    format!("[handlers.'*']\nsimulate = '1ms'\n[handlers.'{slow}']\nsimulate = '100s'\n")
}

/// The folder with the files, if it is there.
#[expect(clippy::print_stdout, reason = "says that there was nothing to check")]
fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("WINDLASS_SHARED").map(PathBuf::from);
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let folder = shared.unwrap_or_else(beside).join("data/innominatus");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("no shared files at {}; nothing checked", folder.display());
    None
}

/// The codes of one severity, sorted, each once.
fn codes(check: &Value, severity: &str) -> Vec<String> {
    let found = check["diagnostics"].as_array().unwrap().iter();
    let found = found.filter(|found| found["severity"] == severity);
    let mut codes: Vec<_> = found
        .map(|found| found["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[test]
fn each_file_is_accepted_or_refused_for_the_reason_noted_here() {
    let Some(folder) = folder() else { return };
    let lab = Lab::new();
    for (name, strict, lenient, warnings) in FILES {
        let path = folder.join(name);
        let check = |mode: &[&str]| {
            let words = ["check", path.to_str().unwrap(), "--json"];
            let check = lab.call(&[&words, mode].concat());
            let code = check.code;
            (check.json(), code)
        };
        let (found, code) = check(&[]);
        assert_eq!(codes(&found, "error"), strict, "{name}");
        assert_eq!(code, Some(if strict.is_empty() { 0 } else { 2 }), "{name}");
        let (found, code) = check(&["--lenient"]);
        assert_eq!(codes(&found, "error"), lenient, "{name}");
        assert_eq!(codes(&found, "warning"), warnings, "{name}");
        assert_eq!(code, Some(if lenient.is_empty() { 0 } else { 2 }), "{name}");
    }
    for file in folder.read_dir().unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = FILES.iter().any(|(file, ..)| *file == name) || name == "SOURCES.md";
        assert!(known, "{name} is not in the table; note what becomes of it");
    }
}

/// The names of the workflows of a file.
fn workflows(check: &Value) -> Vec<String> {
    let workflows = check["workflows"].as_array().unwrap().iter();
    let name = |workflow: &Value| workflow["name"].as_str().unwrap().to_owned();
    workflows.map(name).collect()
}

/// What the files leave to whoever starts them.
fn given(workflow: &str) -> &'static [&'static str] {
    match workflow {
        "provision-postgres" => &["--param", "app_name=a", "--param", "resource_name=r"],
        "db-lifecycle" | "deploy-app" => &[
            "--input",
            r#"{"context": {"environment": {"type": "prod"}, "metadata": {"name": "shop"}}}"#,
        ],
        _ => &[],
    }
}

/// The steps and phases of a run with what became of them.
fn rows(show: &Value) -> Vec<(&str, &str, &str)> {
    let mut rows: Vec<_> = show["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            (text("step"), text("kind"), text("status"))
        })
        .collect();
    rows.sort_unstable();
    rows
}

#[test]
fn those_that_are_accepted_come_to_their_ends_also_when_killed_in_the_middle() {
    let Some(folder) = folder() else { return };
    for (name, strict, lenient, _) in FILES {
        let mode: &[&str] = match (strict, lenient) {
            ([], _) => &[],
            (_, []) => &["--lenient"],
            _ => continue,
        };
        let path = folder.join(name);
        let file = path.to_str().unwrap();
        let lab = Lab::new();
        lab.write("fast.toml", &handlers("none"));
        let check = [&["check", file, "--json"], mode].concat();
        let check = lab.call(&check).expect(0).json();
        for workflow in workflows(&check) {
            let run = ["run", file, "--document", &workflow, "--handlers"];
            let run = |handlers| [&run[..], &[handlers], mode, given(&workflow)].concat();
            lab.call(&run("fast.toml")).expect(0);
            let plain = lab.last_run();
            assert_eq!(plain["run"]["status"], "succeeded", "{workflow}");
            let rows = rows(&plain);
            let ends = ["succeeded", "skipped"];
            assert!(rows.iter().all(|row| ends.contains(&row.2)), "{rows:#?}");
            if mode.is_empty() {
                assert!(rows.iter().all(|row| row.2 == "succeeded"), "{rows:#?}");
            }
            let held = type_in_the_middle(&plain);
            lab.write("slow.toml", &handlers(&held));
            let mut engine = lab.start(&run("slow.toml"));
            eventually("it is in the middle", || {
                let show = lab.call(&["show", "last", "--json"]);
                let steps = show.json()["steps"].clone();
                let mut steps = steps.as_array().unwrap().iter();
                steps.any(|row| row["kind"] == *held && row["status"] == "running")
            });
            engine.kill().unwrap();
            engine.wait().unwrap();
            let killed = lab.last_run();
            assert_ne!(killed["run"]["status"], "succeeded", "{workflow}");
            lab.call(&["resume", "last", "--handlers", "fast.toml"])
                .expect(0);
            let resumed = lab.last_run();
            assert_eq!(resumed["run"]["run"], killed["run"]["run"]);
            assert_eq!(resumed["run"]["status"], "succeeded", "{workflow}");
            assert_eq!(self::rows(&resumed), rows, "{workflow}");
            assert_eq!(resumed["outputs"], plain["outputs"], "{workflow}");
        }
    }
}

/// A type of steps that did their work, other than the first one's where there is one.
fn type_in_the_middle(show: &Value) -> String {
    let rows = show["steps"].as_array().unwrap().iter();
    let worked = rows.filter(|row| row["kind"] != "phase" && row["status"] == "succeeded");
    let types: Vec<_> = worked.map(|row| row["kind"].as_str().unwrap()).collect();
    let later = types.iter().find(|kind| **kind != types[0]);
    later.unwrap_or(&types[0]).to_string()
}
