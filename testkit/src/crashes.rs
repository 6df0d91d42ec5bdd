//! The crash test: once undisturbed, then once for each commit, with a crash right before and one
//! right after it.

use windlass::CommitPoint;

use crate::case::Case;
use crate::evidence::Evidence;
use crate::failure::{Failure, Scene, asked_for, test_name};
use crate::kill::CrashPoint;
use crate::trouble::Trouble;

/// How a crash test went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// The commits of an undisturbed run, those of opening the engine included.
    pub commits: u64,
    /// How often it crashed.
    pub crashes: u64,
}

impl Case {
    /// Crashes the engine right before and right after each commit of the run, and sees it through
    /// after each. In this process: the engine, which has no threads, is torn down as if it was killed,
    /// with what was in flight, and opened again.
    ///
    /// After each crash the run must end with the same data or errors, each outcome must count once,
    /// nothing of unfinished work may be left over, and what the steps declare about their effects must
    /// be what the [`recorder`](Self::recorder) and the [`table`](Self::table)s show. A run that is
    /// parked because nobody knows whether an at-most-once step happened is right, too.
    ///
    /// # Panics
    /// When something is wrong. The text has the crash point, the history, the seed and a command that
    /// plays it again.
    #[track_caller]
    pub fn crash_everywhere(&self) -> CrashReport {
        told(self.try_crash_everywhere())
    }

    /// The same, but gives back what is wrong.
    ///
    /// # Errors
    /// [`Failure`] of the first crash that shows something.
    pub fn try_crash_everywhere(&self) -> Result<CrashReport, Box<Failure>> {
        let plain = self.undisturbed(self.seed)?;
        if let Some(scene) = asked_for(&self.name).filter(|scene| scene.crash.is_some()) {
            let plain = self.undisturbed(scene.seed)?;
            self.play(scene, Trouble::none(), Some(&plain))?;
            let (commits, crashes) = (plain.commits, 1);
            return Ok(CrashReport { commits, crashes });
        }
        let mut report = CrashReport {
            commits: plain.commits,
            crashes: 0,
        };
        for number in 1..=plain.commits {
            for point in [CommitPoint::Before(number), CommitPoint::After(number)] {
                let scene = Scene {
                    seed: self.seed,
                    crash: Some(CrashPoint(point)),
                };
                let (got, disturbances) = self.play(scene, Trouble::none(), Some(&plain))?;
                if disturbances.is_empty() {
                    return Err(self.took_another_way(scene, &got));
                }
                report.crashes += 1;
            }
        }
        Ok(report)
    }

    /// An undisturbed run has this commit, and this one ended before it.
    fn took_another_way(&self, scene: Scene, got: &Evidence) -> Box<Failure> {
        let what = "a run takes another way when it is repeated, so it did not come to this crash: \
                    steps must not depend on real time, threads or chance";
        Box::new(Failure {
            workflow: self.name.clone(),
            what: what.to_owned(),
            scene,
            is_in_processes: false,
            disturbances: Vec::new(),
            snapshot: got.snapshot.clone(),
            test: test_name(),
        })
    }

    /// What comes of the run when nothing goes wrong.
    pub(crate) fn undisturbed(&self, seed: u64) -> Result<Evidence, Box<Failure>> {
        let scene = Scene { seed, crash: None };
        let (evidence, _) = self.play(scene, Trouble::none(), None)?;
        Ok(evidence)
    }
}

/// What went well; or the end of the test.
#[track_caller]
pub(crate) fn told<T>(result: Result<T, Box<Failure>>) -> T {
    match result {
        Ok(value) => value,
        Err(failure) => panic!("{failure}"),
    }
}
