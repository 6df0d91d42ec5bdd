//! What is told when a case goes wrong, and how exactly that is played again.

use std::fmt;
use std::str::FromStr;

use crate::kill::CrashPoint;

/// The environment variable that plays one crash or one seed again.
pub const REPLAY: &str = "WINDLASS_TESTKIT_REPLAY";

/// What is played: a seed, and where the engine dies if it is a crash test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) crash: Option<CrashPoint>,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)?;
        match &self.crash {
            Some(point) => write!(f, " {point}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Scene {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no scene: write `seed 7` or `seed 7 before 3`");
        let rest = text.strip_prefix("seed ").ok_or_else(wrong)?;
        let (seed, crash) = match rest.split_once(' ') {
            Some((seed, crash)) => (seed, Some(crash.parse()?)),
            None => (rest, None),
        };
        let seed = seed.parse().map_err(|_| wrong())?;
        Ok(Self { seed, crash })
    }
}

/// The scene of `workflow` that the environment asks for.
///
/// # Panics
/// When the variable is set for this workflow and says nothing that can be played.
pub(crate) fn asked_for(workflow: &str) -> Option<Scene> {
    let text = std::env::var(REPLAY).ok()?;
    let (of, scene) = text.split_once(": ")?;
    let scene = || {
        scene
            .parse()
            .unwrap_or_else(|wrong| panic!("{REPLAY}: {wrong}"))
    };
    (of == workflow).then(scene)
}

/// A case that went wrong. Its text says where, what the run did, and how to play it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The workflow.
    pub workflow: String,
    /// What is wrong.
    pub what: String,
    pub(crate) scene: Scene,
    pub(crate) is_in_processes: bool,
    /// What disturbed the run, in order.
    pub disturbances: Vec<String>,
    /// The runs as text, as far as they came.
    pub snapshot: String,
    /// The test, if its thread tells.
    pub(crate) test: Option<String>,
}

impl Failure {
    /// The seed of the order of things.
    pub fn seed(&self) -> u64 {
        self.scene.seed
    }

    /// Where the engine died; `None` in a simulation, whose seed says so.
    pub fn crash_point(&self) -> Option<CrashPoint> {
        self.scene.crash
    }

    /// The command that plays it again.
    pub fn replay(&self) -> String {
        let test = self.test.as_deref().unwrap_or("the_name_of_the_test");
        format!(
            "{REPLAY}='{}: {}' cargo test -- --exact {test}",
            self.workflow, self.scene
        )
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workflow {:?} went wrong: {}", self.workflow, self.what)?;
        match &self.scene.crash {
            Some(point) if self.is_in_processes => {
                writeln!(f, "crash point: SIGKILL {point} (commits of the process)")?;
            }
            Some(point) => writeln!(f, "crash point: {point} (commits of the engine)")?,
            None => {}
        }
        writeln!(f, "seed: {}", self.scene.seed)?;
        for disturbance in &self.disturbances {
            writeln!(f, "  then {disturbance}")?;
        }
        writeln!(f, "history:")?;
        for line in self.snapshot.lines() {
            writeln!(f, "  {line}")?;
        }
        write!(f, "replay: {}", self.replay())
    }
}

/// The name of the test that runs on this thread, as libtest gives it.
pub(crate) fn test_name() -> Option<String> {
    let thread = std::thread::current();
    let name = thread.name().filter(|name| *name != "main");
    name.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use windlass::CommitPoint;

    use super::*;

    #[test]
    fn a_scene_is_read_as_it_is_written() {
        let crash = Some(CrashPoint(CommitPoint::Before(12)));
        for scene in [
            Scene {
                seed: 3,
                crash: None,
            },
            Scene { seed: 0, crash },
        ] {
            assert_eq!(scene.to_string().parse(), Ok(scene));
        }
        for wrong in ["", "seed", "seed x", "seed 1 before", "seed 1 during 2"] {
            assert!(wrong.parse::<Scene>().is_err(), "{wrong}");
        }
    }
}
