//! What a step fails with, in the words of the dialect.

use serde::{Deserialize, Serialize};
use windlass_workflow_model::{ErrorEntry, Fault, codes};

use crate::cacao::rule::Standing;
use crate::cacao::rule::failing::EXCEPTION_HANDLED;
use crate::diagnostic::quoted;

/// The code with which a host ends a command itself when its deadline has come, which may be a moment
/// before the engine does.
const COMMAND_TIMEOUT: &str = "command-timeout";

/// The node that makes the data of a run.
pub(crate) const BEGIN: &str = "playbook/begin";

/// How the errors of a node are told as those of its step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wording {
    pub(crate) at: Standing,
    /// The limit of the step, for its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_ms: Option<u64>,
    /// How often a while may run, for its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) iterations_max: Option<u32>,
    /// The nodes whose failure is the step's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) own: Vec<String>,
    /// The name of the playbook that the step calls: errors of other steps are that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) called: Option<String>,
}

impl Wording {
    /// As the errors of a step, which are not changed otherwise.
    pub(crate) fn of(at: Standing) -> Self {
        Self {
            at,
            limit_ms: None,
            iterations_max: None,
            own: Vec::new(),
            called: None,
        }
    }

    pub(super) fn words(&self, fault: &Fault) -> Vec<ErrorEntry> {
        fault.errors.iter().map(|error| self.told(error)).collect()
    }

    /// Whether it is an error of the step itself. Its own errors name no step yet, but for those that the
    /// dialect has made or that were worded before; a called playbook may have a step of the same name.
    pub(super) fn is_own(&self, error: &ErrorEntry) -> bool {
        let is_named_so = error.step == self.at.step && self.called.is_none();
        error.step.is_empty() || is_named_so || self.own.contains(&error.step)
    }

    fn told(&self, error: &ErrorEntry) -> ErrorEntry {
        if !self.is_own(error) {
            return match &self.called {
                Some(called) => self.told_of_called(called, error),
                None => error.clone(),
            };
        }
        let mut told = self.placed(error);
        let is_late = matches!(
            error.code.as_str(),
            codes::SCOPE_TIMEOUT | codes::WAIT_TIMEOUT | codes::STEP_TIMEOUT | COMMAND_TIMEOUT
        );
        if let Some(limit) = self.limit_ms.filter(|_| is_late) {
            codes::STEP_TIMEOUT.clone_into(&mut told.code);
            told.message =
                format!("ACTION_TIMEOUT after {limit} ms; its work was cancelled; raise timeout");
        }
        if let Some(most) = self
            .iterations_max
            .filter(|_| error.code == codes::LOOP_LIMIT)
        {
            told.message = format!(
                "{most} iterations; the cap is reached; change the condition or raise the cap"
            );
        }
        told
    }

    /// Nobody knows the steps of another playbook here.
    fn told_of_called(&self, called: &str, error: &ErrorEntry) -> ErrorEntry {
        // That its exception chain ran says nothing of ours.
        let (message, handled) = match error.message.strip_suffix(EXCEPTION_HANDLED) {
            Some(message) => (message, EXCEPTION_HANDLED),
            None => (error.message.as_str(), ""),
        };
        let step = match error.step.as_str() {
            // It could not start: its message says so, and this is no step of its file.
            BEGIN => String::new(),
            step => format!(" step {}", quoted(step)),
        };
        ErrorEntry {
            message: format!("playbook {}{step}{handled}: {message}", quoted(called)),
            ..self.placed(error)
        }
    }

    fn placed(&self, error: &ErrorEntry) -> ErrorEntry {
        ErrorEntry {
            step: self.at.step.clone(),
            parent: self.at.parent.clone(),
            branch: self.at.branch.clone(),
            ..error.clone()
        }
    }
}
