//! The crash test with real processes: this test binary again, killed by SIGKILL at a commit.
//!
//! The child is the same test: it runs up to the same case, plays it with an engine with threads, and
//! never returns. What it is told stands in its environment.

use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use windlass::{Clock as _, Durability, RunHandle, SystemClock, Timestamp};

use crate::blank;
use crate::case::{Case, Stage};
use crate::crashes::{CrashReport, told};
use crate::failure::{Failure, Scene, asked_for, test_name};
use crate::kill::CrashPoint;
use crate::outside::Look;
use crate::trouble::Trouble;

/// The folder of the child, and the case that it plays.
const FOLDER: &str = "WINDLASS_TESTKIT_FOLDER";
const CASE: &str = "WINDLASS_TESTKIT_CASE";
/// When it is killed.
const KILL_AT: &str = "WINDLASS_TESTKIT_KILL_AT";

/// How often the child looks whether the outside is to do something.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long a child is waited for that is not killed.
const PATIENCE: Duration = Duration::from_mins(1);

/// Commits after which a run is taken for endless.
const COMMITS_MAX: u64 = 100_000;

impl Case {
    /// Like [`crash_everywhere`](Self::crash_everywhere), but the engine has threads, a process of its
    /// own, and dies by SIGKILL; what it left is then seen through in this process. Slower by a
    /// hundred times, and true to the letter: nothing of the process is torn down.
    ///
    /// Call it from a `#[test]`, on the thread of the test: the process is this test again, which ends in
    /// this call. What the test did before it, it does each time.
    ///
    /// # Panics
    /// When something is wrong; see there. When the name of the test is not to be known.
    #[track_caller]
    pub fn kill_everywhere(&self) -> CrashReport {
        told(self.try_kill_everywhere())
    }

    /// The same, but gives back what is wrong.
    ///
    /// # Errors
    /// [`Failure`] of the first kill that shows something.
    ///
    /// # Panics
    /// When the name of the test is not to be known.
    pub fn try_kill_everywhere(&self) -> Result<CrashReport, Box<Failure>> {
        if let Some(folder) = env::var_os(FOLDER) {
            if env::var(CASE).as_deref() == Ok(&self.name) {
                self.act_as_child(&PathBuf::from(folder));
            }
            return Ok(CrashReport::default());
        }
        let plain = self.undisturbed(self.seed)?;
        let asked = asked_for(&self.name).and_then(|scene| scene.crash);
        if let Some(point) = asked {
            self.kill_once(point, &plain)?;
            let (commits, crashes) = (plain.commits, 1);
            return Ok(CrashReport { commits, crashes });
        }
        let mut report = CrashReport::default();
        for number in 1..COMMITS_MAX {
            let mut reached = false;
            for phase in ["before", "after"] {
                let point: CrashPoint = format!("{phase} {number}").parse().expect("a crash point");
                let killed = self.kill_once(point, &plain)?;
                reached |= killed;
                report.crashes += u64::from(killed);
            }
            if !reached {
                break;
            }
            report.commits = number;
        }
        Ok(report)
    }

    /// Kills a child at one commit and sees its run through. `false`: that was not reached.
    fn kill_once(
        &self,
        point: CrashPoint,
        plain: &crate::evidence::Evidence,
    ) -> Result<bool, Box<Failure>> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        blank::put(&database(folder.path()));
        let test = test_name().expect(
            "this thread has the name of its test, as libtest gives it: call it there, and not from another thread",
        );
        let child = Command::new(env::current_exe().expect("we are a file"))
            .args(["--exact", &test, "--nocapture", "--include-ignored"])
            .env(FOLDER, folder.path())
            .env(CASE, &self.name)
            .env(KILL_AT, point.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .expect("the child starts");
        let killed = child.status.signal() == Some(Signal::KILL.as_raw());
        let said = String::from_utf8_lossy(&child.stderr);
        let scene = Scene {
            seed: self.seed,
            crash: Some(point),
        };
        let has_played = folder.path().join("played").exists();
        if !killed && !has_played {
            return Err(Box::new(Failure {
                workflow: self.name.clone(),
                what: format!("the child failed by itself ({}): {said}", child.status),
                scene,
                is_in_processes: true,
                disturbances: Vec::new(),
                snapshot: String::new(),
                test: Some(test),
            }));
        }
        let stage = Stage {
            database: database(folder.path()),
            // What it wrote down is of the real time.
            began: SystemClock::new().now(),
            trouble: Trouble::none(),
        };
        self.recorder.keep_in(Some(&notes(folder.path())));
        let played = self.play_on(&stage, scene, true, Some(plain));
        self.recorder.keep_in(None);
        played.map(|_| killed)
    }

    /// Plays the case, and ends this process if nothing else does.
    fn act_as_child(&self, folder: &Path) -> ! {
        self.recorder.keep_in(Some(&notes(folder)));
        let kill_at: CrashPoint = env::var(KILL_AT)
            .expect("told when")
            .parse()
            .expect("a crash point");
        self.clock.begin_at(SystemClock::new().now());
        let engine = self
            .builder()
            .database(database(folder))
            .durability(Durability::Normal)
            .runners(self.runners)
            .in_flight(self.in_flight)
            .clock(self.clock.clone())
            .commit_hook(Arc::new(move |point| {
                if point == kill_at.0 {
                    die();
                }
            }))
            .open()
            .expect("the engine opens");
        self.make_tables(&database(folder));
        let scheduler = engine.scheduler();
        let run = scheduler.schedule_blocking(self.request.clone());
        let run = run.expect("the run is admitted");
        let real = SystemClock::new();
        let mut looked_at = real.elapsed();
        loop {
            let look = Look::at(
                &mut engine.inspector().expect("the store can be read"),
                run.id(),
            );
            let acts = self.outside.acts(&look);
            if look.unfinished.is_empty() || (look.is_parked() && acts.is_empty()) {
                break;
            }
            assert!(
                real.elapsed() < PATIENCE,
                "the run does not go on: {:?}",
                look.unfinished
            );
            for act in acts {
                act.act_blocking(&scheduler);
            }
            rest(&run);
            let now = real.elapsed();
            self.clock.advance(now.saturating_sub(looked_at));
            looked_at = now;
            self.skip_waits(&look);
        }
        engine.shutdown(Duration::from_secs(1));
        fs::write(folder.join("played"), "").expect("the folder can be written");
        std::process::exit(0);
    }

    /// Where all that is left waits for a time, that time comes.
    fn skip_waits(&self, look: &Look) {
        let branches = || look.unfinished.iter().flat_map(|why| &why.branches);
        let moves =
            |kind: &str| matches!(kind, "running" | "runner" | "channel" | "outbox" | "lock");
        if branches().any(|branch| moves(branch.waits_for.kind)) {
            return;
        }
        let due: Option<Timestamp> = branches()
            .filter_map(|branch| branch.waits_for.until)
            .min_by_key(|due| due.0);
        if let Some(due) = due {
            self.clock.advance(due.since(self.clock.now()));
        }
    }
}

/// Waits for a moment, or until the run has ended.
fn rest(run: &RunHandle) {
    // That it has not ended by then is no trouble.
    let _ = run.wait_blocking(Some(LOOK_EVERY));
}

fn database(folder: &Path) -> PathBuf {
    folder.join("case.db")
}

fn notes(folder: &Path) -> PathBuf {
    folder.join("notes")
}

/// Kills this process as the kernel does, at once.
fn die() {
    let _ = kill_process(getpid(), Signal::KILL);
}
