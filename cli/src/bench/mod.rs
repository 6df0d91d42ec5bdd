//! `windlass bench`: no-op jobs per second on this machine, beside what SQLite alone can do.
//!
//! Each measurement has a database of its own. The engine is measured through its public interface,
//! from the first schedule to the last completion on disk; the raw rate writes the same rows with
//! the same durability in the same call, so that a slow disk slows both.

mod figures;
mod jobs;
mod machine;
mod raw;

use std::path::Path;

use windlass::SQLITE_VERSION;

use crate::args::{BenchArgs, Global};
use crate::config::DurabilityName;
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json, say};

use figures::{Figures, Measured};

/// What is measured.
#[derive(Clone, Copy, Debug)]
struct Workload<'w> {
    /// Runs of one step each.
    jobs: u64,
    runners: u32,
    durability: DurabilityName,
    /// Where the database lives.
    folder: &'w Path,
}

pub(crate) fn bench(global: &Global, args: &BenchArgs) -> Result<Exit, Failure> {
    let folder = args.db_dir.as_deref().unwrap_or(Path::new("."));
    let measured = |durability| {
        let workload = Workload {
            jobs: args.jobs,
            runners: args.runners,
            durability,
            folder,
        };
        measure(workload, args.repeat)
    };
    let figures = Figures {
        machine: machine::describe(),
        sqlite: SQLITE_VERSION.to_string_lossy().into_owned(),
        jobs: args.jobs,
        runners: args.runners,
        full: measured(DurabilityName::Full)?,
        normal: measured(DurabilityName::Normal)?,
    };
    if global.json {
        print_json(&figures.json())?;
    } else {
        print(&figures.text())?;
    }
    Ok(Exit::Succeeded)
}

fn measure(workload: Workload<'_>, repeat: u32) -> Result<Measured, Failure> {
    let mut measured = Measured::default();
    for round in 1..=repeat {
        let jobs_per_s = jobs::rate(in_new_folder(workload.folder)?.path(), workload)?;
        let raw_per_s = raw::rate(in_new_folder(workload.folder)?.path(), workload)
            .map_err(|error| Failure::broken_off(&error))?;
        say(format!(
            "{:?} {round}/{repeat}: {jobs_per_s:.0} jobs/s, raw SQLite {raw_per_s:.0} jobs/s",
            workload.durability
        ));
        measured.jobs_per_s.push(jobs_per_s);
        measured.raw_per_s.push(raw_per_s);
    }
    Ok(measured)
}

fn in_new_folder(folder: &Path) -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("windlass-bench-")
        .tempdir_in(folder)
        .map_err(|error| {
            let folder = folder.display();
            Failure::refused(format!(
                "no folder for the databases can be made in {folder} ({error}); correct --db-dir"
            ))
        })
}
