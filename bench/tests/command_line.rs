//! The binary measures every workload that needs no other binary, and says what it measured.
//!
//! Small sizes: what the figures are does not matter here, only that they are there and that the
//! measurements found nothing unsound (runs that did not end, processes that did not answer).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

fn measure(words: &[&str]) -> Json {
    let folder = tempfile::tempdir().unwrap();
    let databases = folder.path().join("databases");
    let json = folder.path().join("figures.json");
    let done = Command::new(env!("CARGO_BIN_EXE_windlass-bench"))
        .args(words)
        .args(["--quick", "--rounds", "1", "--durability", "normal"])
        .arg("--folder")
        .arg(&databases)
        .arg("--json")
        .arg(&json)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    assert_eq!(left_in(&databases), 0, "nothing is left behind");
    serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap()
}

fn left_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn every_workload_gives_figures() {
    let report = measure(&[
        "run",
        "A",
        "B",
        "C",
        "D",
        "E",
        "F",
        "G",
        "H",
        "I",
        "J",
        "--jobs",
        "500",
        "--samples",
        "40",
        "--backlogs",
        "200,600",
        "--branches",
        "20,200",
        "--queued",
        "300",
    ]);
    for key in ["machine", "sqlite", "windlass", "settings", "results"] {
        assert!(!report[key].is_null(), "{key} is missing");
    }
    let results = report["results"].as_array().unwrap();
    for letter in ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"] {
        let figures: Vec<_> = results
            .iter()
            .filter(|row| row["workload"] == letter)
            .collect();
        assert!(!figures.is_empty(), "{letter} has no figures");
        for figure in figures {
            assert!(figure["median"].as_f64().is_some(), "{figure}");
            assert_eq!(figure["rounds"].as_array().unwrap().len(), 1, "{figure}");
        }
    }
    let of_a = results.iter().find(|row| row["workload"] == "A").unwrap();
    assert_eq!(of_a["reference"]["name"], "raw SQLite");
    let of_c = results.iter().find(|row| row["workload"] == "C").unwrap();
    assert_eq!(of_c["samples"].as_array().unwrap().len(), 40);
}

#[test]
fn a_sweep_gives_its_points() {
    let sweep = measure(&["sweep", "backlog", "--jobs", "100", "--backlogs", "100,300"]);
    assert_eq!(sweep["sweep"], "backlog");
    let at: Vec<_> = sweep["points"]
        .as_array()
        .unwrap()
        .iter()
        .map(|point| point["at"].as_u64().unwrap())
        .collect();
    assert_eq!(at, [100, 300]);
}
