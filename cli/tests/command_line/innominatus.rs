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

/// Workflow, steps and types of a file.
fn workflows(check: &Value) -> Vec<(String, usize)> {
    let workflows = check["workflows"].as_array().unwrap().iter();
    let steps = |workflow: &Value| {
        let gateways = ["split", "join"];
        let nodes = workflow["graph"]["nodes"].as_array().unwrap().iter();
        let is_step = |node: &&Value| !gateways.contains(&node["kind"].as_str().unwrap());
        nodes.filter(is_step).count()
    };
    workflows
        .map(|workflow| {
            (
                workflow["name"].as_str().unwrap().to_owned(),
                steps(workflow),
            )
        })
        .collect()
}

/// That a run of the command line has succeeded with every step, each once.
fn all_succeeded(show: &Value, steps: usize) {
    assert_eq!(show["run"]["status"], "succeeded");
    let rows = show["steps"].as_array().unwrap();
    for row in rows {
        assert_eq!(row["status"], "succeeded", "{row}");
    }
    let phases = rows.iter().filter(|row| row["kind"] == "phase").count();
    assert_eq!(rows.len() - phases, steps, "{rows:#?}");
    assert_eq!(show["outputs"].as_object().unwrap().len(), steps);
}

#[test]
fn those_that_can_be_run_come_to_their_ends_also_when_killed_in_the_middle() {
    let Some(folder) = folder() else { return };
    for (name, ..) in FILES.iter().filter(|(_, strict, ..)| strict.is_empty()) {
        let path = folder.join(name);
        let file = path.to_str().unwrap();
        let lab = Lab::new();
        lab.write("fast.toml", &handlers("none"));
        let check = lab.call(&["check", file, "--json"]).expect(0).json();
        let types = check["handlers_needed"].as_array().unwrap();
        for (workflow, steps) in workflows(&check) {
            let run = ["run", file, "--document", &workflow, "--handlers"];
            lab.call(&[&run[..], &["fast.toml"]].concat()).expect(0);
            let show = lab.last_run();
            all_succeeded(&show, steps);
            // A type whose steps do not all come first.
            let is_later = |kind: &&Value| {
                let rows = show["steps"].as_array().unwrap().iter();
                let mut rows = rows.filter(|row| row["kind"] != "phase");
                rows.position(|row| row["kind"] == **kind)
                    .is_some_and(|at| at > 0)
            };
            let longest = types.iter().find(is_later).unwrap_or(&types[0]);
            let longest = longest.as_str().unwrap();
            lab.write("slow.toml", &handlers(longest));
            let mut engine = lab.start(&[&run[..], &["slow.toml"]].concat());
            eventually("it is in the middle", || {
                let show = lab.call(&["show", "last", "--json"]);
                let steps = show.json()["steps"].clone();
                let mut steps = steps.as_array().unwrap().iter();
                steps.any(|row| row["kind"] == longest && row["status"] == "running")
            });
            engine.kill().unwrap();
            engine.wait().unwrap();
            let killed = lab.last_run();
            assert_ne!(killed["run"]["status"], "succeeded", "{workflow}");
            lab.call(&["resume", "last", "--handlers", "fast.toml"])
                .expect(0);
            let resumed = lab.last_run();
            assert_eq!(resumed["run"]["run"], killed["run"]["run"]);
            all_succeeded(&resumed, steps);
        }
    }
}

#[test]
fn those_that_lenient_mode_repairs_come_to_their_ends() {
    let Some(folder) = folder() else { return };
    let lab = Lab::new();
    lab.write("fast.toml", &handlers("none"));
    let context = r#"{"context": {"environment": {"type": "prod"}, "metadata": {"name": "shop"}}}"#;
    let is_repaired = |file: &&(&str, &[&str], &[&str], &[&str])| {
        let (_, strict, lenient, _) = file;
        !strict.is_empty() && lenient.is_empty()
    };
    for (name, ..) in FILES.iter().filter(is_repaired) {
        let path = folder.join(name);
        let file = path.to_str().unwrap();
        let check = lab.call(&["check", file, "--lenient", "--json"]);
        let check = check.expect(0).json();
        for (workflow, _) in workflows(&check) {
            // A person is asked in it.
            if workflow == "manual-approval" {
                continue;
            }
            let mut run = vec!["run", file, "--document", &workflow, "--lenient"];
            run.extend(["--handlers", "fast.toml"]);
            run.extend(match workflow.as_str() {
                "provision-postgres" => {
                    vec!["--param", "app_name=a", "--param", "resource_name=r"]
                }
                "db-lifecycle" | "deploy-app" => vec!["--input", context],
                _ => Vec::new(),
            });
            lab.call(&run).expect(0);
            let show = lab.last_run();
            assert_eq!(show["run"]["status"], "succeeded", "{workflow}");
            let rows = show["steps"].as_array().unwrap();
            let settled = |row: &Value| row["status"] == "succeeded" || row["status"] == "skipped";
            assert!(rows.iter().all(settled), "{workflow}: {rows:#?}");
        }
    }
}
