//! How an engine on one thread is killed in the middle of a commit: its thread unwinds.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use windlass::{CommitHook, CommitPoint};

/// What a killed engine unwinds with.
struct Killed;

/// Does something that may be killed on the way. `None`: it was. Any other panic goes on.
pub(crate) fn unless_killed<T>(body: impl FnOnce() -> T) -> Option<T> {
    let unwound: Box<dyn Any + Send> = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(done) => return Some(done),
        Err(unwound) => unwound,
    };
    if !unwound.is::<Killed>() {
        resume_unwind(unwound);
    }
    None
}

/// A moment in one life of an engine. Commits are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashPoint(pub CommitPoint);

impl fmt::Display for CrashPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CommitPoint::Before(number) => write!(f, "before {number}"),
            CommitPoint::After(number) => write!(f, "after {number}"),
        }
    }
}

impl FromStr for CrashPoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no crash point: write `before 3` or `after 3`");
        let (phase, number) = text.split_once(' ').ok_or_else(wrong)?;
        let number = number.parse().map_err(|_| wrong())?;
        match phase {
            "before" => Ok(Self(CommitPoint::Before(number))),
            "after" => Ok(Self(CommitPoint::After(number))),
            _ => Err(wrong()),
        }
    }
}

/// When the engine is killed next, and how far it came. Shared with its hook; clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Killer(Arc<Mutex<Armed>>);

#[derive(Debug, Default)]
struct Armed {
    at: Option<CrashPoint>,
    /// For a moment nobody is killed.
    spared: bool,
    commits: u64,
}

impl Killer {
    /// The hook of the engine to be killed.
    pub(crate) fn hook(&self) -> CommitHook {
        let killer = self.clone();
        Arc::new(move |point| {
            if killer.reached(point) {
                resume_unwind(Box::new(Killed));
            }
        })
    }

    fn reached(&self, point: CommitPoint) -> bool {
        let mut armed = self.lock();
        if let CommitPoint::After(number) = point {
            armed.commits = number;
        }
        let dies = !armed.spared && armed.at == Some(CrashPoint(point));
        if dies {
            armed.at = None;
        }
        dies
    }

    /// Kills at that moment of this life, or the next one if it has passed.
    pub(crate) fn arm(&self, at: CrashPoint) {
        self.lock().at = Some(at);
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.lock().at.is_some()
    }

    /// Kills nobody while `spared`.
    pub(crate) fn spare(&self, spared: bool) {
        self.lock().spared = spared;
    }

    /// The commits of this life so far.
    pub(crate) fn commits(&self) -> u64 {
        self.lock().commits
    }

    /// A new life begins.
    pub(crate) fn begin_life(&self) {
        self.lock().commits = 0;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Armed> {
        self.0.lock().expect("nobody panics here")
    }
}
