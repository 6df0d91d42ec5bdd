//! Our own system calls: no part of us opens a database but by SQLite, or drops its own locks.
//!
//! What it costs when somebody does stands in `crate::stray_close`. Skipped where `strace` is missing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass::{EngineBuilder, Inspector, RunFilter, TemporaryCopy, backup, examine, restore};
use windlass_faults::{Locking, locking, strace};

use crate::child::{DATABASE, ROLE, start, workflow};
use crate::two_processes::until;

const PATIENCE: Duration = Duration::from_mins(1);

/// Runs of each process.
const RUNS: usize = 20;

/// The child's part: all that can be done with a database, beside another process that does the same,
/// and beside a second engine in this one.
pub(crate) fn do_everything(builder: EngineBuilder, database: &Path) {
    let own = |name: &str| database.with_file_name(format!("{}-{name}", std::process::id()));
    let (copy, restored) = (own("copy.db"), own("restored.db"));
    let workflow = workflow();
    let builder = builder.workflow(&workflow);
    let engine = builder.clone().open().unwrap();
    std::fs::write(own("opened"), "").unwrap();
    until("both work", || named(database, "-opened").len() == 2);
    let requests = (0..RUNS).map(|_| workflow.request(&Vec::new()).unwrap());
    let runs = engine.scheduler().schedule_all_blocking(requests.collect());
    let runs = runs.unwrap();
    let mut looks = [
        engine.inspector().unwrap(),
        Inspector::open(database).unwrap(),
    ];
    for inspector in &mut looks {
        inspector.runs(RunFilter::All, 10).unwrap();
        inspector.show(runs[0].id()).unwrap();
        inspector.why(runs[0].id()).unwrap();
        inspector.history(runs[0].id()).unwrap();
        inspector.leftovers().unwrap();
    }
    drop(looks);
    backup(database, &copy).unwrap();
    drop(TemporaryCopy::of(database).unwrap());
    examine(database).unwrap();
    for _ in 0..2 {
        restore(&copy, &restored).unwrap();
        Inspector::open(&restored).unwrap();
    }
    builder.open().unwrap().shutdown(PATIENCE);
    for run in runs {
        run.wait_blocking(Some(PATIENCE)).unwrap();
    }
    engine.shutdown(PATIENCE);
}

/// The files beside the database whose names end so.
fn named(database: &Path, end: &str) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(database.parent().unwrap()).unwrap();
    let paths = folder.flatten().map(|entry| entry.path());
    paths
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect()
}

/// The child's part: two more of them.
pub(crate) fn do_everything_twice(database: &Path) {
    let children = [(); 2].map(|()| start("everything", database, None));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

/// What a child in this role does with the databases in its folder, where these files are already.
/// `None`: it cannot be seen here.
fn traced(role: &str, files: &[&str]) -> Option<Locking> {
    let folder = tempfile::tempdir().unwrap();
    // By the name that engines make of it.
    let place = folder.path().canonicalize().unwrap();
    for file in files {
        std::fs::write(place.join(file), "").unwrap();
    }
    let (database, trace) = (place.join("w.db"), place.join("trace"));
    let Some(mut command) = strace(&trace) else {
        eprintln!("skipped: there is no strace here; install it to see our system calls");
        return None;
    };
    let done = command
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "child::act", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(DATABASE, &database)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let trace = std::fs::read_to_string(trace).unwrap();
    let databases = named(&database, ".db");
    let databases: Vec<&Path> = databases.iter().map(PathBuf::as_path).collect();
    let locking = locking(&trace, &databases).unwrap();
    eprintln!("{role}: {locking:#?}");
    Some(locking)
}

#[test]
fn no_call_of_ours_drops_the_locks_of_its_process() {
    let Some(locking) = traced("everything twice", &[]) else {
        return;
    };
    assert!(locking.strays.is_empty(), "{:#?}", locking.strays);
    assert_eq!(locking.processes, 2);
    // The trace has seen something: each process opens some twenty connections.
    assert!(locking.opened > 50 && locking.locks > 200, "{locking:?}");
}

#[test]
fn a_step_that_copies_its_database_is_seen_in_the_trace() {
    // Nobody else is there to lose anything to.
    let Some(locking) = traced("stray engine", &["looking", "closed", "stop"]) else {
        return;
    };
    let because = |why: &str| {
        let strays = locking.strays.iter();
        strays.filter(|stray| stray.contains(why)).count()
    };
    assert_eq!(because("not SQLite opened it"), 3, "{locking:#?}");
    assert_eq!(because("it dropped the locks"), 2, "{locking:#?}");
}
