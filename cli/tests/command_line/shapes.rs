//! The shapes that `--json` promises.

use serde_json::Value;

use crate::lab::Lab;

const RUN: [&str; 8] = [
    "run",
    "workflow",
    "version",
    "status",
    "reason",
    "created_at",
    "started_at",
    "ended_at",
];

fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "{field} is not in {value}");
    }
}

fn lab() -> Lab {
    let lab = Lab::with(
        "name: w\nsteps:\n  - {name: a, type: shell, parallelGroup: 1, config: {command: echo hi}}\n  - {name: b, type: shell, parallelGroup: 1, config: {command: exit 1}}\n",
    );
    lab.call(&["run", "w.yaml", "--allow", "shell"]).expect(1);
    lab
}

#[test]
fn run_runs_and_show() {
    let lab = lab();
    let run = lab
        .call(&["run", "w.yaml", "--allow", "shell", "--json"])
        .expect(1)
        .json();
    let first = &run["runs"][0];
    has(first, &RUN);
    has(first, &["outputs", "errors"]);
    has(
        &first["errors"][0],
        &["step", "parent", "branch", "code", "message"],
    );
    assert!(first["ended_at"].as_str().unwrap().ends_with('Z'));

    let runs = lab.call(&["runs", "--json"]).expect(0).json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2);
    has(&runs["runs"][0], &RUN);
    assert_eq!(runs["runs"][0]["run"], first["run"], "newest first");

    let show = lab.last_run();
    has(&show, &["run", "outputs", "errors", "steps", "graph"]);
    has(&show["run"], &RUN);
    let step = show["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|step| step["step"] == "b")
        .unwrap();
    let fields = [
        "step",
        "kind",
        "parent",
        "branch",
        "join_policy",
        "activation",
        "attempt",
        "status",
        "reason",
        "started_at",
        "ended_at",
        "output",
        "error",
    ];
    has(step, &fields);
    assert_eq!(
        (&step["status"], &step["branch"], &step["join_policy"]),
        (&"failed".into(), &"b".into(), &"all".into())
    );
    has(&step["error"], &["step", "code", "message"]);
    has(&show["graph"]["nodes"][0], &["id", "kind"]);
    has(&show["graph"]["edges"][0], &["from", "to", "label"]);
    assert_eq!(show["outputs"]["a"]["stdout"], "hi", "also of a failed run");
}

#[test]
fn a_prefix_names_a_run() {
    let lab = lab();
    let run = lab.last_run()["run"]["run"].clone();
    let prefix = &run.as_str().unwrap()[..6];
    let show = lab.call(&["show", prefix, "--json"]).expect(0).json();
    assert_eq!(show["run"]["run"], run);
}

#[test]
fn lists_are_filtered() {
    let lab = lab();
    for (words, count) in [
        (&["--status", "failed"][..], 1),
        (&["--status", "succeeded"], 0),
        (&["--workflow", "w"], 1),
        (&["--workflow", "x"], 0),
        (&["--limit", "0"], 0),
    ] {
        let runs = lab
            .call(&[&["runs", "--json"], words].concat())
            .expect(0)
            .json();
        assert_eq!(runs["runs"].as_array().unwrap().len(), count, "{words:?}");
    }
}

#[test]
fn config_says_where_each_value_came_from() {
    let lab = Lab::new();
    lab.write("windlass.toml", "runners = 3\n");
    let mut command = lab.command(&["config", "--json", "--capacity", "9"]);
    let done = crate::lab::ended(command.env("WINDLASS_IN_FLIGHT", "4").spawn().unwrap());
    let config = done.expect(0).json();
    let of = |key: &str| {
        let entry = config["config"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["key"] == key);
        let entry = entry.unwrap();
        (
            entry["value"].clone(),
            entry["from"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(of("runners"), (3.into(), "windlass.toml:1".to_owned()));
    assert_eq!(
        of("in_flight"),
        (4.into(), "variable WINDLASS_IN_FLIGHT".to_owned())
    );
    assert_eq!(of("capacity"), (9.into(), "flag --capacity".to_owned()));
    assert_eq!(of("durability"), ("full".into(), "default".to_owned()));
}

#[test]
fn texts_for_people_name_the_same_things() {
    let lab = lab();
    let show = lab.call(&["show", "last"]).expect(0).out;
    for word in [
        "status    failed",
        "STEP",
        "phase 1",
        "exit code 1",
        "graph",
        "outputs",
    ] {
        assert!(show.contains(word), "{word} is not in {show}");
    }
    assert!(lab.call(&["runs"]).expect(0).out.contains("failed"));
    assert!(lab.call(&["config"]).expect(0).out.contains("default"));
}

#[test]
fn bench_says_what_was_measured_and_on_what() {
    let lab = Lab::new();
    let words = [
        "bench",
        "--jobs",
        "500",
        "--runners",
        "1",
        "--repeat",
        "1",
        "--json",
    ];
    let bench = lab.call(&words).expect(0).json();
    has(
        &bench,
        &[
            "machine",
            "sqlite",
            "jobs",
            "runners",
            "history",
            "full",
            "normal",
            "workloads",
        ],
    );
    for durability in ["full", "normal"] {
        has(&bench[durability], &["jobs_per_s", "raw_jobs_per_s"]);
        assert!(bench[durability]["jobs_per_s"].as_f64().unwrap() > 0.0);
    }
    for workload in ["A", "B", "C"] {
        let summary = &bench["workloads"][workload];
        has(summary, &["median", "spread", "rounds", "unit", "normal"]);
        assert!(summary["median"].as_f64().unwrap() > 0.0, "{summary}");
    }
    has(&bench["workloads"]["C"], &["p99", "across_processes_p99"]);
    assert_eq!(
        std::fs::read_dir(lab.path(".")).unwrap().count(),
        0,
        "nothing is left behind"
    );
}
