//! The kill sweep: SIGKILL before and after commit 1, 2, 3 … of a pattern's run, then on to its end.
//!
//! The process to be killed is this test binary again, told what to do by its environment. Each of
//! its commits takes one change only, so every state between two changes is seen.

use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use windlass::{CommitPoint, Durability, Engine, EngineBuilder, Inspector, RunFilter};

use super::committed::{Committed, End, assert_no_leftovers};
use super::driver::Look;
use super::live::{Live, database};
use super::pattern::Pattern;
use super::tree::RUNS_MAX;
use super::{Stage, Stepped, plain};

/// The pattern that the child plays.
const PATTERN: &str = "WINDLASS_TEST_PATTERN";
const DATABASE: &str = "WINDLASS_TEST_DATABASE";
const KILL_AT: &str = "WINDLASS_TEST_KILL_AT";

/// Bytes of an owner's file before the first slot of a Runner.
const OWNER_HEADER: u64 = 64;

/// What a killed process left behind, before anything goes on.
pub(crate) struct Wreck {
    /// `None` if the run was not yet admitted.
    pub(crate) look: Option<Look>,
    /// When it was killed, for people.
    pub(crate) when: String,
}

/// The kills that a sweep has at least: before and after the commits of admission and of each step.
pub(crate) fn kills_min(steps: usize) -> usize {
    2 * (steps + 1)
}

/// Kills at every commit; says how often.
pub(crate) fn run(pattern: &Pattern, name: &str) -> usize {
    let plain = plain::committed(pattern);
    let mut kills = 0;
    let mut wrecks = Vec::new();
    for commit in 1.. {
        let mut reached = false;
        for phase in ["before", "after"] {
            let killed = kill_once(
                pattern,
                name,
                &format!("{phase} {commit}"),
                &plain,
                &mut wrecks,
            );
            reached |= killed;
            kills += usize::from(killed);
        }
        if !reached {
            break;
        }
    }
    for after_kills in &pattern.after_kills {
        (after_kills.check)(&wrecks);
    }
    let steps = pattern.steps_min(&plain);
    let least = kills_min(steps);
    assert!(
        kills >= least,
        "{kills} kills: {steps} steps make {least} at least"
    );
    kills
}

/// Kills a child at one commit and sees its run to the end; `false` when that was not reached.
fn kill_once(
    pattern: &Pattern,
    name: &str,
    kill_at: &str,
    plain: &Committed,
    wrecks: &mut Vec<Wreck>,
) -> bool {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = database(&folder);
    let status = Command::new(std::env::current_exe().expect("we are a file"))
        .env(PATTERN, name)
        .env(DATABASE, &database)
        .env(KILL_AT, kill_at)
        .stdout(Stdio::null())
        .status()
        .expect("the child starts");
    let killed = status.signal() == Some(9);
    assert!(
        killed || status.success(),
        "{kill_at}: the child failed by itself: {status:?}"
    );
    let when = format!("killed {kill_at}");
    if killed && !pattern.after_kills.is_empty() {
        let (look, when) = (look(&database), when.clone());
        wrecks.push(Wreck { look, when });
    }
    see_through(pattern, &database, plain, &when);
    killed
}

fn look(database: &Path) -> Option<Look> {
    // Killed while it made the file: there is no store, and no run.
    let mut inspector = Inspector::open(database).ok()?;
    let runs = inspector.runs(RunFilter::All, RUNS_MAX);
    let runs = runs.expect("the store can be read");
    let mut admitted = runs.into_iter().filter(|summary| {
        let detail = inspector.show(summary.run).expect("the store can be read");
        detail.is_some_and(|detail| detail.called_by.is_none())
    });
    let run = admitted.next()?.run;
    assert_eq!(admitted.count(), 0, "the dedupe key finds the run again");
    Look::at(&mut inspector, run)
}

fn see_through(pattern: &Pattern, database: &Path, plain: &Committed, when: &str) {
    blame_nobody(database);
    // Without threads there are none to wait for at the end: that is most of the time.
    let mut resumed = Stepped::open(pattern, database);
    let run = resumed.begin();
    let end = End::from(resumed.finish(run));
    let mut inspector = Inspector::open(database).expect("the file is a store");
    let committed = Committed::of_rows(database);
    let of_run = Committed::of(&mut inspector, run);
    assert_eq!(
        committed, of_run,
        "{when}: the dedupe key finds the run again, and all is its own"
    );
    pattern.assert_allowed(&end, &committed, plain, when);
    assert_no_leftovers(&mut inspector, when);
}

/// Takes away what the killed process said its Runners were in. A step that is charged with the crash
/// runs while nothing else does, and here steps wait for each other. Who is charged is tested in
/// `tests/durability/poison.rs`.
fn blame_nobody(database: &Path) {
    let mut owners = database.as_os_str().to_owned();
    owners.push(".owners");
    let folders = fs::read_dir(owners).into_iter().flatten().flatten();
    let files = folders.filter_map(|folder| fs::read_dir(folder.path()).ok());
    for file in files.flatten().flatten() {
        let file = OpenOptions::new().write(true).open(file.path());
        let file = file.expect("an owner's file can be written");
        let length = file.metadata().expect("it is there").len();
        file.set_len(length.min(OWNER_HEADER))
            .expect("it can be cut");
    }
}

/// An engine for a run that is to be killed: one Runner, so that its commits come in much the
/// same order each time, and seats for steps that wait for each other.
fn builder(database: &Path) -> EngineBuilder {
    Engine::builder()
        .database(database)
        .durability(Durability::Normal)
        .runners(1)
        .in_flight(8)
        .changes_per_commit(1)
}

/// Plays the child's part if this process is one; then it does not return.
pub(crate) fn act_if_child(pattern_of: impl Fn(&str) -> Pattern) {
    let Ok(name) = std::env::var(PATTERN) else {
        return;
    };
    let pattern = pattern_of(&name);
    let database = PathBuf::from(std::env::var_os(DATABASE).expect("told which file"));
    let kill_at = std::env::var(KILL_AT).expect("told when");
    let (phase, number) = kill_at.split_once(' ').expect("a phase and a number");
    let number: u64 = number.parse().expect("a number");
    let at = if phase == "before" {
        CommitPoint::Before(number)
    } else {
        CommitPoint::After(number)
    };
    let builder = builder(&database).commit_hook(Arc::new(move |point| {
        if point == at {
            die();
        }
    }));
    let live = Live::over(&pattern, builder, Stage::interrupted());
    live.play();
    std::process::exit(0);
}

/// Kills this process as the kernel does, at once.
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
}
