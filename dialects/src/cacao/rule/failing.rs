//! Failures on their way: `on_failure`, the exception chain, the branch.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_workflow_model::{ErrorEntry, Fault, Function, Payload, codes};

use crate::cacao::rule::{Standing, stray};
use crate::cacao::state::{Failure, State};
use crate::diagnostic::quoted;

/// How the failure of a node is written into the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Folding {
    pub(crate) at: Standing,
    /// The step's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// The limit of the step, for its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) limit_ms: Option<u64>,
    /// The nodes whose failure is the step's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) own: Vec<String>,
    /// The name of the playbook that the step calls: errors of other steps are that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) called: Option<String>,
}

impl Folding {
    pub(super) fn fold(&self, data: &Payload, fault: &Fault) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        let is_own =
            |error: &ErrorEntry| error.step == self.at.step || self.own.contains(&error.step);
        let own = fault.errors.first().is_some_and(is_own);
        let errors = fault.errors.iter().map(|error| self.told(error)).collect();
        state.fail(&Failure {
            errors,
            own,
            id: self.id.clone(),
        });
        state.write()
    }

    /// The error in the dialect's words.
    fn told(&self, error: &ErrorEntry) -> ErrorEntry {
        let mut error = error.clone();
        if self.own.contains(&error.step) {
            error.step.clone_from(&self.at.step);
        }
        if let Some(called) = self.called.as_ref().filter(|_| error.step != self.at.step) {
            // Nobody knows the steps of another playbook here.
            return ErrorEntry {
                step: self.at.step.clone(),
                parent: self.at.parent.clone(),
                branch: self.at.branch.clone(),
                message: format!(
                    "playbook {} step {}: {}",
                    quoted(called),
                    quoted(&error.step),
                    error.message
                ),
                code: error.code,
            };
        }
        let late = matches!(
            error.code.as_str(),
            codes::SCOPE_TIMEOUT | codes::WAIT_TIMEOUT | codes::STEP_TIMEOUT
        );
        if let (true, true, Some(limit)) = (late, error.step == self.at.step, self.limit_ms) {
            "step-timeout".clone_into(&mut error.code);
            error.message =
                format!("ACTION_TIMEOUT after {limit} ms; its work was cancelled; raise timeout");
        }
        error
    }
}

pub(super) fn has_failed() -> Function {
    Function::Predicate(Arc::new(|data| Ok(State::read(data)?.failure().is_some())))
}

pub(super) fn is_own() -> Function {
    Function::Predicate(Arc::new(|data| {
        Ok(State::read(data)?
            .failure()
            .is_some_and(|failure| failure.own))
    }))
}

pub(super) fn handled(step: String) -> Function {
    Function::Compute(Arc::new(move |data| {
        let mut state = State::read(data)?;
        if let Some(failure) = state.take_failure() {
            state.note_handled(&step, &failure.errors);
        }
        state.write()
    }))
}

pub(super) fn begin_exception() -> Function {
    Function::Compute(Arc::new(|data| {
        let mut state = State::read(data)?;
        let failure = state
            .take_failure()
            .ok_or_else(|| stray("an exception chain began without a failure"))?;
        let first = failure.errors.first();
        let text = |of: fn(&ErrorEntry) -> &String| first.map(of).cloned();
        state.begin_exception(json!({
            // Data of an older version has names only.
            "step_id": failure.id.or_else(|| text(|error| &error.step)),
            "code": text(|error| &error.code),
            "message": text(|error| &error.message),
            "errors": failure.errors,
        }));
        state.write()
    }))
}

pub(super) fn raise() -> Function {
    Function::Compute(Arc::new(|data| {
        let failure = State::read(data)?.failure();
        Err(failed_with(
            failure.map(|failure| failure.errors).unwrap_or_default(),
        ))
    }))
}

/// The branch counts as failed although the chain was gone through.
pub(super) fn raise_exception() -> Function {
    Function::Compute(Arc::new(|data| {
        let state = State::read(data)?;
        let mut errors = state.exception_errors();
        match state.failure() {
            // An error has no field for it.
            None => errors.iter_mut().for_each(|error| {
                error.message.push_str(" (exception_handled: true)");
            }),
            Some(failure) => errors.extend(failure.errors),
        }
        Err(failed_with(errors))
    }))
}

fn failed_with(errors: Vec<ErrorEntry>) -> Fault {
    if errors.is_empty() {
        return stray("a failure was raised that nobody has written down");
    }
    Fault {
        errors,
        retryable: false,
    }
}
