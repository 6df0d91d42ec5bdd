//! What went wrong, kept whole: a fault is a list of errors and never loses one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Payload;
use crate::limits::{FAULT_ERRORS_MAX, FAULT_MESSAGE_BYTES_MAX, NAME_BYTES_MAX};

/// Codes of the errors that the engine itself finds. Steps bring their own.
pub mod codes {
    /// The handler returned an error without a code of its own.
    pub const STEP_FAILED: &str = "step-failed";
    /// The handler or a function of the workflow panicked.
    pub const PANICKED: &str = "panicked";
    /// The attempt took longer than the step's timeout.
    pub const STEP_TIMEOUT: &str = "step-timeout";
    /// The data is not what the code expects (it does not decode, or does not encode).
    pub const DATA_INVALID: &str = "data-invalid";
    /// A result is larger than the store takes.
    pub const PAYLOAD_TOO_LARGE: &str = "payload-too-large";
    /// The reply to a wait was a fault, and the wait has no fault path.
    pub const FAULT_REPLY: &str = "fault-reply";
    /// The token passed more gateways than allowed without doing a step.
    pub const LOOP_WITHOUT_STEP: &str = "loop-without-step";
    /// A split gave more branches than allowed.
    pub const TOO_MANY_BRANCHES: &str = "too-many-branches";
    /// A loop went round more often than allowed.
    pub const LOOP_LIMIT: &str = "loop-limit";
    /// Calls are nested deeper than allowed.
    pub const CALL_DEPTH: &str = "call-depth";
    /// The called workflow is not known here.
    pub const CALL_UNKNOWN: &str = "call-unknown";
    /// The called run was withdrawn.
    pub const CALL_CANCELLED: &str = "call-cancelled";
    /// Too few branches succeeded for the join, without any having failed.
    pub const JOIN_UNMET: &str = "join-unmet";
    /// The milestone at which alone the step may start has passed.
    pub const MILESTONE_PASSED: &str = "milestone-passed";
    /// A mutex is held by one who waits for a mutex that is held here.
    pub const DEADLOCK: &str = "deadlock";
    /// No Runner began the step in time.
    pub const START_TOO_LATE: &str = "start-too-late";
    /// The attempt gave no sign of life for too long.
    pub const HEARTBEAT_MISSED: &str = "heartbeat-missed";
    /// What the step wrote to the database was refused there.
    pub const EFFECT_FAILED: &str = "effect-failed";
    /// The wait took longer than its timeout.
    pub const WAIT_TIMEOUT: &str = "wait-timeout";
    /// The scope took longer than its timeout.
    pub const SCOPE_TIMEOUT: &str = "scope-timeout";
    /// The run took longer than its deadline.
    pub const RUN_DEADLINE: &str = "run-deadline";
    /// More errors than one fault keeps; the message has their number.
    pub const MORE_ERRORS: &str = "more-errors";
    /// Something the engine holds to be impossible; please report it.
    pub const INTERNAL: &str = "internal";
}

/// One error of one step, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// The step or gateway that failed.
    pub step: String,
    /// The block it stands in.
    pub parent: Option<String>,
    /// The branch it ran on, if the run was split.
    pub branch: Option<String>,
    /// What kind of error, for machines.
    pub code: String,
    /// What happened, why, and what to do, for people.
    pub message: String,
}

/// Why a branch did not come to its end: one error or more, in branch order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// All of them; at most [`FAULT_ERRORS_MAX`] and one that counts the rest.
    pub errors: Vec<ErrorEntry>,
    /// Whether trying again can help.
    pub retryable: bool,
    /// What the function that failed gave in spite of it, as JSON. It stays in the row of history of its
    /// node, and goes nowhere else: it is not stored with the fault.
    #[serde(skip)]
    pub output: Option<Box<Payload>>,
}

impl Fault {
    /// A fault of one error, whose step is filled in by [`at`](Self::at).
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let entry = ErrorEntry {
            step: String::new(),
            parent: None,
            branch: None,
            code: cut(code.into(), NAME_BYTES_MAX),
            message: cut(message.into(), FAULT_MESSAGE_BYTES_MAX),
        };
        Self {
            errors: vec![entry],
            retryable: true,
            output: None,
        }
    }

    /// There was no result within this limit.
    pub fn late(limit: Duration) -> Self {
        let limit = match limit.subsec_nanos() {
            0 => format!("{} s", limit.as_secs()),
            _ => format!("{limit:?}"),
        };
        let text =
            format!("no result after {limit}; its limit has passed; raise timeout or speed it up");
        Self::new(codes::STEP_TIMEOUT, text)
    }

    /// A fault of errors that somebody has put together, as long as they may be.
    pub(crate) fn of_errors(errors: Vec<ErrorEntry>) -> Self {
        let within = errors.into_iter().map(|error| ErrorEntry {
            code: cut(error.code, NAME_BYTES_MAX),
            message: cut(error.message, FAULT_MESSAGE_BYTES_MAX),
            ..error
        });
        Self::join([Self {
            errors: within.collect(),
            retryable: false,
            output: None,
        }])
    }

    /// The same fault, not to be tried again.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// Fills in where it happened, in the errors that do not say so yet.
    #[must_use]
    pub fn at(mut self, step: &str, parent: Option<&str>, branch: Option<&str>) -> Self {
        for error in self.errors.iter_mut().filter(|error| error.step.is_empty()) {
            step.clone_into(&mut error.step);
            error.parent = parent.map(str::to_owned);
            error.branch = branch.map(str::to_owned);
        }
        self
    }

    /// All faults in one, in the order given.
    pub fn join(faults: impl IntoIterator<Item = Self>) -> Self {
        let mut errors: Vec<_> = faults.into_iter().flat_map(|fault| fault.errors).collect();
        if errors.len() > FAULT_ERRORS_MAX {
            let rest = errors.split_off(FAULT_ERRORS_MAX).len();
            let mut last = Self::new(codes::MORE_ERRORS, format!("and {rest} more errors")).errors;
            errors.append(&mut last);
        }
        Self {
            errors,
            retryable: false,
            output: None,
        }
    }

    /// The errors in one line, for logs and texts.
    pub fn summary(&self) -> String {
        let texts: Vec<_> = self
            .errors
            .iter()
            .map(|e| {
                if e.step.is_empty() {
                    e.message.clone()
                } else {
                    format!("{}: {}", e.step, e.message)
                }
            })
            .collect();
        texts.join("; ")
    }
}

/// The text, or its beginning with a word on what is missing.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = text.floor_char_boundary(max);
        let rest = text.len() - end;
        text.truncate(end);
        text = format!("{text}… ({rest} bytes more)");
    }
    text
}
