//! What must have happened in a run, one thing after the other, and where its history stops to fit.

use std::fmt;

use windlass::StepStatus;

use crate::history::{Entry, RunHistory};

/// Claims what a run has done, one entry of its history after the other.
///
/// Each place is a step and how it ended: `succeeded`, `failed`, `cancelled`, `skipped`, `undone`, or
/// `undo failed`. Then, as far as it matters, `with` the code of its error, `on` its branch, and which
/// `attempt` it was. `..` stands for any entries, or none: as in a pattern of a slice, what is not said
/// to be there must not be there. Each attempt has an entry, and so have waits and timers. Which of two
/// branches ended first no workflow says; put `..` around them, or look at one
/// [branch](RunHistory::of_branch).
///
/// ```
/// # use windlass::{StepError, Workflow};
/// # use windlass_testkit::{Case, Trouble, assert_history};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let trip = Workflow::<u32>::build("trip", "1", |flow| {
///     flow.step("book", |_, _| Ok(()))
///         .undo(|_, _| Ok(()))
///         .step("pack", |_, _| Ok(()))
///         .step("leave", |_, _| Err(StepError::new("rain", "not today")))
///         .step("arrive", |_, _| Ok(()))
/// })?;
/// let simulated = Case::new(&trip, &0).trouble(Trouble::none()).simulate(1);
/// assert_history!(simulated.history, [
///     "book" succeeded,
///     ..,
///     "leave" failed with "rain" attempt 1,
///     "book" undone,
/// ]);
/// # Ok(())
/// # }
/// ```
///
/// # Panics
/// When the history does not fit. Shows the pattern, the history, and where they part.
#[macro_export]
macro_rules! assert_history {
    ($history:expr, [ $($pattern:tt)* ] $(,)?) => {
        $crate::RunHistory::assert_fits(
            &$history,
            &$crate::assert_history!(@next $crate::Pattern::new() ; $($pattern)*),
        )
    };
    (@next $made:expr ;) => { $made };
    (@next $made:expr ; .. $(, $($rest:tt)*)?) => {
        $crate::assert_history!(@next $made.any() ; $($($rest)*)?)
    };
    (@next $made:expr ; $step:literal succeeded $($rest:tt)*) => {
        $crate::assert_history!(@of $made.ended($step, $crate::How::Succeeded) ; $($rest)*)
    };
    (@next $made:expr ; $step:literal failed $($rest:tt)*) => {
        $crate::assert_history!(@of $made.ended($step, $crate::How::Failed) ; $($rest)*)
    };
    (@next $made:expr ; $step:literal cancelled $($rest:tt)*) => {
        $crate::assert_history!(@of $made.ended($step, $crate::How::Cancelled) ; $($rest)*)
    };
    (@next $made:expr ; $step:literal skipped $($rest:tt)*) => {
        $crate::assert_history!(@of $made.ended($step, $crate::How::Skipped) ; $($rest)*)
    };
    (@next $made:expr ; $step:literal undone $($rest:tt)*) => {
        $crate::assert_history!(@of $made.ended($step, $crate::How::Undone) ; $($rest)*)
    };
    (@next $made:expr ; $step:literal undo failed $($rest:tt)*) => {
        $crate::assert_history!(@of $made.ended($step, $crate::How::UndoFailed) ; $($rest)*)
    };
    (@of $made:expr ; with $code:literal $($rest:tt)*) => {
        $crate::assert_history!(@of $made.with($code) ; $($rest)*)
    };
    (@of $made:expr ; on $branch:literal $($rest:tt)*) => {
        $crate::assert_history!(@of $made.on($branch) ; $($rest)*)
    };
    (@of $made:expr ; attempt $attempt:literal $($rest:tt)*) => {
        $crate::assert_history!(@of $made.attempt($attempt) ; $($rest)*)
    };
    (@of $made:expr ; $(, $($rest:tt)*)?) => {
        $crate::assert_history!(@next $made ; $($($rest)*)?)
    };
}

/// How an entry of a history ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Well.
    Succeeded,
    /// With an error, whether it is tried again or not.
    Failed,
    /// Withdrawn.
    Cancelled,
    /// It was passed by.
    Skipped,
    /// What it had done was undone.
    Undone,
    /// Undoing it failed.
    UndoFailed,
}

impl How {
    fn fits(self, entry: &Entry) -> bool {
        let (status, is_undo) = match self {
            Self::Succeeded => (StepStatus::Succeeded, false),
            Self::Failed => (StepStatus::Failed, false),
            Self::Cancelled => (StepStatus::Cancelled, false),
            Self::Skipped => (StepStatus::Skipped, false),
            Self::Undone => (StepStatus::Succeeded, true),
            Self::UndoFailed => (StepStatus::Failed, true),
        };
        (entry.status, entry.is_undo) == (status, is_undo)
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Undone => "undone",
            Self::UndoFailed => "undo failed",
        })
    }
}

/// What a history must be, entry by entry; [`assert_history!`](crate::assert_history!) writes it down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern(Vec<Place>);

/// One place of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Any entries, or none.
    Any,
    One(Expected),
}

/// What one entry must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Expected {
    step: String,
    how: How,
    code: Option<String>,
    branch: Option<String>,
    attempt: Option<u32>,
}

/// Where a history and a pattern part: the first place that nothing fits, and the first entry that
/// fits no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parting {
    place: usize,
    entry: usize,
}

impl Pattern {
    /// The pattern of a history without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Then anything, or nothing.
    #[must_use]
    pub fn any(mut self) -> Self {
        self.0.push(Place::Any);
        self
    }

    /// Then `step`, a wait or a timer ended so.
    #[must_use]
    pub fn ended(mut self, step: &str, how: How) -> Self {
        let step = step.to_owned();
        let (code, branch, attempt) = (None, None, None);
        self.0.push(Place::One(Expected {
            step,
            how,
            code,
            branch,
            attempt,
        }));
        self
    }

    /// What ended last has an error with this code.
    #[must_use]
    pub fn with(self, code: &str) -> Self {
        self.of_last(|last| last.code = Some(code.to_owned()))
    }

    /// What ended last was on the branch of this name.
    #[must_use]
    pub fn on(self, branch: &str) -> Self {
        self.of_last(|last| last.branch = Some(branch.to_owned()))
    }

    /// What ended last was this attempt, from 1.
    #[must_use]
    pub fn attempt(self, attempt: u32) -> Self {
        self.of_last(|last| last.attempt = Some(attempt))
    }

    fn of_last(mut self, change: impl FnOnce(&mut Expected)) -> Self {
        // After `..` there is nothing to be said of it.
        if let Some(Place::One(last)) = self.0.last_mut() {
            change(last);
        }
        self
    }

    /// Where `entries` stop to fit; `None` if they fit.
    fn parting(&self, entries: &[Entry]) -> Option<Parting> {
        // Up to which entries the places so far may have come.
        let mut reached = vec![0];
        for (place, expected) in self.0.iter().enumerate() {
            let next: Vec<usize> = match expected {
                Place::Any => (reached[0]..=entries.len()).collect(),
                Place::One(expected) => {
                    let fits = |at: &usize| entries.get(*at).is_some_and(|e| expected.fits(e));
                    let fitting = reached.iter().filter(|at| fits(at));
                    fitting.map(|at| at + 1).collect()
                }
            };
            if next.is_empty() {
                let entry = reached[0];
                return Some(Parting { place, entry });
            }
            reached = next;
        }
        let (place, entry) = (self.0.len(), reached[reached.len() - 1]);
        (entry < entries.len()).then_some(Parting { place, entry })
    }
}

impl Expected {
    fn fits(&self, entry: &Entry) -> bool {
        self.step == entry.step
            && self.how.fits(entry)
            && (self.code.is_none() || self.code == entry.code)
            && (self.branch.is_none() || self.branch == entry.branch)
            && self.attempt.is_none_or(|attempt| attempt == entry.attempt)
    }
}

impl fmt::Display for Place {
    /// As the macro takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::One(expected) = self else {
            return f.write_str("..");
        };
        write!(f, "{:?} {}", expected.step, expected.how)?;
        if let Some(code) = &expected.code {
            write!(f, " with {code:?}")?;
        }
        if let Some(branch) = &expected.branch {
            write!(f, " on {branch:?}")?;
        }
        if let Some(attempt) = expected.attempt {
            write!(f, " attempt {attempt}")?;
        }
        Ok(())
    }
}

impl RunHistory {
    /// The whole history fits `pattern`; [`assert_history!`](crate::assert_history!) calls it.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn assert_fits(&self, pattern: &Pattern) {
        if let Some(parting) = pattern.parting(&self.entries) {
            panic!("{}", told(pattern, self, parting));
        }
    }
}

/// The pattern and the history, each with a mark where they part.
fn told(pattern: &Pattern, history: &RunHistory, parting: Parting) -> String {
    let Parting { place, entry } = parting;
    let found = history.entries.get(entry);
    let is_after_any = place > 0 && pattern.0[place - 1] == Place::Any;
    let why = match (pattern.0.get(place), found) {
        (None, Some(found)) => format!("the pattern ends, but then comes {found}"),
        (Some(expected), Some(found)) if !is_after_any => {
            format!("expected {expected}, found {found}")
        }
        (expected, _) => {
            let expected = expected.map(ToString::to_string).unwrap_or_default();
            format!("expected {expected}, but nothing more comes that fits")
        }
    };
    let places = pattern.0.iter().map(ToString::to_string);
    let entries = history.entries.iter().map(ToString::to_string);
    let (pattern, history) = (marked(places, place), marked(entries, entry));
    format!("the history does not fit: {why}\npattern:\n{pattern}history:\n{history}")
}

/// One line each, and an arrow at one; where it is the end, on a line of its own.
fn marked(lines: impl Iterator<Item = String>, at: usize) -> String {
    let mut text: Vec<_> = lines.map(|line| format!("     {line}\n")).collect();
    match text.get_mut(at) {
        Some(line) => line.replace_range(..5, "  -> "),
        None => text.push("  -> (its end)\n".to_owned()),
    }
    text.concat()
}
