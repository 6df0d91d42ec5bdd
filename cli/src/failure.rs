//! Why a command did not do what it was asked, and the exit code for it.

use std::fmt;

use windlass_dialects::Diagnostic;

/// The exit codes of every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything asked for is done.
    Succeeded = 0,
    /// A run failed or was cancelled, or the command broke off.
    Failed = 1,
    /// Refused before anything was changed.
    Refused = 2,
    /// A run waits for an operator.
    Parked = 3,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

/// A command that ends here, with every reason at once.
#[derive(Debug)]
pub(crate) struct Failure {
    /// [`Exit::Refused`] or [`Exit::Failed`].
    pub(crate) exit: Exit,
    /// One line each: where, what, why, how to fix.
    pub(crate) problems: Vec<String>,
    /// What is wrong with the workflow file, told already; for `--json`.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Failure {
    /// Refused before anything was changed, for one reason.
    pub(crate) fn refused(problem: impl fmt::Display) -> Self {
        Self {
            exit: Exit::Refused,
            problems: vec![problem.to_string()],
            diagnostics: Vec::new(),
        }
    }

    /// Refused, with the whole chain of sources in the one line.
    pub(crate) fn refused_by(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::refused(chain(error))
    }

    /// Refused for all of these reasons.
    pub(crate) fn all(problems: Vec<String>) -> Self {
        Self {
            exit: Exit::Refused,
            problems,
            diagnostics: Vec::new(),
        }
    }

    /// The same, with what was found in the workflow file.
    pub(crate) fn with_diagnostics(mut self, diagnostics: &[Diagnostic]) -> Self {
        self.diagnostics = diagnostics.to_vec();
        self
    }

    /// Broken off while it was at work, with the whole chain of sources in the one line.
    pub(crate) fn broken_off(error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            exit: Exit::Failed,
            problems: vec![chain(error)],
            diagnostics: Vec::new(),
        }
    }
}

/// An error and what caused it, in one line; a cause that its effect already quotes is left out.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the list cannot be read")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_failure_tells_the_whole_chain_once() {
        let error = Outer(std::io::Error::other("the disk is gone"));
        let failure = Failure::refused_by(&error);
        assert_eq!(
            failure.problems,
            ["the list cannot be read: the disk is gone"]
        );
        assert_eq!(failure.exit as u8, 2);
    }
}
