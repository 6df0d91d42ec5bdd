//! `windlass bench`: the workloads A to C on this machine and disk, beside what SQLite alone can do.
//!
//! The measuring itself is the library `windlass-bench`, which calls this binary again for each
//! figure (see [`CHILD`](windlass_bench::CHILD)). Here are only the words and the shape of `--json`.

use std::path::Path;

use serde_json::{Value as Json, json};
use windlass::SQLITE_VERSION;
use windlass_bench::{
    BenchError, Durability, PAYLOAD_BYTES, Plan, RAW_BATCH, Report, Row, Sizes, Workload, median,
    spread,
};

use crate::args::{BenchArgs, Global};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json, say};

pub(crate) fn bench(global: &Global, args: &BenchArgs) -> Result<Exit, Failure> {
    let plan = Plan {
        workloads: vec![Workload::A, Workload::B, Workload::C],
        durabilities: vec![Durability::Full, Durability::Normal],
        rounds: args.repeat,
        folder: args.db_dir.as_deref().unwrap_or(Path::new(".")).to_owned(),
        runners: usize::try_from(args.runners).unwrap_or(usize::MAX),
        capacity: None,
        sizes: Sizes::default().with_jobs(args.jobs),
        windlass: None,
    };
    let report = plan.run(|line| say(line)).map_err(failure)?;
    if global.json {
        print_json(&figures(&report, args))?;
    } else {
        let raw = format!(
            "\nraw SQLite: the rows of each job (insert, lock, finish, history), {RAW_BATCH} jobs to a transaction\n"
        );
        print(&(report.text() + &raw))?;
    }
    Ok(Exit::Succeeded)
}

fn failure(error: BenchError) -> Failure {
    match error {
        BenchError::Folder { folder, source } => {
            let folder = folder.display();
            Failure::refused(format!(
                "no folder for the databases can be made in {folder} ({source}); correct --db-dir"
            ))
        }
        other => Failure::broken_off(&other),
    }
}

/// The shape of `--json`.
fn figures(report: &Report, args: &BenchArgs) -> Json {
    let row = |workload, durability, name: &str| {
        let mut rows = report.rows.iter();
        rows.find(|row| (row.workload, row.durability, row.name()) == (workload, durability, name))
    };
    let rates = |durability| {
        let rate = row(Workload::A, durability, "rate");
        json!({
            "jobs_per_s": rate.map(|row| median(&row.values()).round()),
            "raw_jobs_per_s": rate.map(|row| median(&row.references()).round()),
        })
    };
    let of = |workload, name: &str| {
        let mut summary = summary(row(workload, Durability::Full, name));
        // Every commit is synced in the figures of a workload itself.
        summary["normal"] = self::summary(row(workload, Durability::Normal, name));
        summary
    };
    let mut latency = of(Workload::C, "p50");
    for name in [
        "p90",
        "p99",
        "max",
        "across processes p50",
        "across processes p99",
    ] {
        latency[name.replace(' ', "_")] = of(Workload::C, name);
    }
    json!({
        "machine": report.machine,
        "sqlite": SQLITE_VERSION.to_string_lossy(),
        "jobs": args.jobs,
        "runners": args.runners,
        "history": "all",
        "payload_bytes": PAYLOAD_BYTES,
        "full": rates(Durability::Full),
        "normal": rates(Durability::Normal),
        "workloads": {
            "A": of(Workload::A, "rate"),
            "B": of(Workload::B, "rate"),
            "C": latency,
        },
    })
}

/// A figure in short: its median, unit and spread, and what it is compared with.
fn summary(row: Option<&Row>) -> Json {
    let Some(row) = row else { return Json::Null };
    let values = row.values();
    let mut summary = json!({
        "median": rounded(median(&values)),
        "unit": row.unit(),
        "spread": spread(&values),
        "rounds": values.len(),
    });
    if let Some(name) = row.reference_name() {
        summary["compared_with"] = json!(name);
        summary["compared_median"] = json!(rounded(median(&row.references())));
        summary["ratio"] = json!(row.ratio());
    }
    summary
}

/// Whole jobs and steps; thousandths of a millisecond.
fn rounded(value: f64) -> f64 {
    if value >= 1_000.0 {
        value.round()
    } else {
        (value * 1_000.0).round() / 1_000.0
    }
}
