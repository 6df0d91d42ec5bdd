//! What a run has done, attempt by attempt, and what a test may claim of it.

use std::fmt;

use windlass::{Inspector, NodeKind, RunId, StepStatus};

/// The reason that the engine gives an attempt that undid its step.
const UNDO: &str = "undo";

/// One attempt that has ended, a wait that is over, or a step that was passed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The step.
    pub step: String,
    /// Whether it is a step, and not a wait or a timer.
    pub is_step: bool,
    /// Whether the attempt undid the step.
    pub is_undo: bool,
    /// The activation.
    pub activation: u64,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How it ended.
    pub status: StepStatus,
    /// The name of its branch.
    pub branch: Option<String>,
    /// The code of its error.
    pub code: Option<String>,
}

/// What a run has left behind, in the order in which it ended by the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHistory {
    /// The attempts.
    pub entries: Vec<Entry>,
}

impl RunHistory {
    /// Reads the history of a run.
    ///
    /// # Panics
    /// When the store cannot be read, or has no such run.
    pub fn of(inspector: &mut Inspector, run: RunId) -> Self {
        let detail = inspector.show(run).expect("the store can be read");
        let definition = detail
            .unwrap_or_else(|| panic!("there is no run {run}"))
            .definition;
        let rows = inspector.history(run).expect("the store can be read");
        let entries = rows.into_iter().map(|row| {
            let node = definition.node(row.node);
            let errors = row.detail.fault.map(|fault| fault.errors);
            Entry {
                step: node.name.clone(),
                is_step: matches!(node.kind, NodeKind::Step(_)),
                is_undo: row.detail.reason.as_deref() == Some(UNDO),
                activation: row.activation.0,
                attempt: row.attempt,
                status: row.status,
                branch: row.branch_name,
                code: errors.and_then(|errors| Some(errors.first()?.code.clone())),
            }
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// What happened on the branches of one name, without those that split off from them.
    #[must_use]
    pub fn of_branch(&self, branch: &str) -> Self {
        let of_branch = |entry: &&Entry| entry.branch.as_deref() == Some(branch);
        Self {
            entries: self.entries.iter().filter(of_branch).cloned().collect(),
        }
    }

    /// The steps that succeeded, in order.
    pub fn succeeded(&self) -> Vec<&str> {
        self.names(|entry| entry.is_step && !entry.is_undo)
    }

    /// The steps that were undone, in order.
    pub fn undone(&self) -> Vec<&str> {
        self.names(|entry| entry.is_undo)
    }

    fn names(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<&str> {
        let done = self.entries.iter().filter(|entry| wanted(entry));
        let done = done.filter(|entry| entry.status == StepStatus::Succeeded);
        done.map(|entry| entry.step.as_str()).collect()
    }

    /// These steps succeeded in this order, perhaps with others in between.
    ///
    /// # Panics
    /// When they did not.
    #[track_caller]
    pub fn assert_order(&self, steps: &[&str]) {
        let succeeded = self.succeeded();
        let mut left = succeeded.iter();
        for step in steps {
            let found = left.any(|done| done == step);
            assert!(
                found,
                "{step:?} does not come after those before it in {steps:?}:\n{self}"
            );
        }
    }

    /// `step` succeeded so often.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn assert_count(&self, step: &str, times: usize) {
        let succeeded = self.succeeded();
        let count = succeeded.iter().filter(|done| **done == step).count();
        assert_eq!(count, times, "how often {step:?} succeeded:\n{self}");
    }

    /// `step` was attempted so often in all; attempts that a crash cut off are not among them.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn assert_attempts(&self, step: &str, times: usize) {
        let of_step = |entry: &&Entry| entry.step == step && !entry.is_undo;
        let count = self.entries.iter().filter(of_step).count();
        assert_eq!(count, times, "how often {step:?} was attempted:\n{self}");
    }

    /// These steps were undone, in this order, and no others.
    ///
    /// # Panics
    /// When they were not.
    #[track_caller]
    pub fn assert_undone(&self, steps: &[&str]) {
        assert_eq!(self.undone(), steps, "what was undone:\n{self}");
    }
}

impl fmt::Display for RunHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries
            .iter()
            .try_for_each(|entry| writeln!(f, "{entry}"))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undo = if self.is_undo { "undo of " } else { "" };
        let Self {
            step,
            attempt,
            status,
            ..
        } = self;
        write!(f, "{undo}{step}, attempt {attempt}: {status}")?;
        if let Some(branch) = &self.branch {
            write!(f, " on {branch}")?;
        }
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        Ok(())
    }
}
