//! Failures on their way: `on_failure`, the exception chain, the branch.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass_workflow_model::{ErrorEntry, Fault, Function, Payload};

use crate::cacao::rule::{Wording, stray};
use crate::cacao::state::{Failure, State};

/// What the message of an error ends with whose exception chain came to its end. An error that is stored
/// has no field for it.
pub(super) const EXCEPTION_HANDLED: &str = " (exception_handled: true)";

/// Whether the exception chain came to its end for the error of a playbook that has this message.
pub fn exception_handled(message: &str) -> bool {
    message.ends_with(EXCEPTION_HANDLED)
}

/// How the failure of a node is written into the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Folding {
    /// The step's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// What it is called. Nodes of newer definitions have said so themselves before.
    #[serde(flatten)]
    pub(crate) wording: Wording,
}

impl Folding {
    pub(super) fn fold(&self, data: &Payload, fault: &Fault) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        let mut fault = fault.clone();
        // Here they have the step's name already.
        let step = &self.wording.at.step;
        let named = fault.errors.iter_mut().filter(|error| error.step == *step);
        named.for_each(|error| error.step.clear());
        let own = fault.errors.first();
        let own = own.is_some_and(|error| self.wording.is_own(error));
        state.fail(&Failure {
            errors: self.wording.words(&fault),
            own,
            id: self.id.clone(),
        });
        state.write()
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
            None => errors.iter_mut().for_each(|error| {
                error.message.push_str(EXCEPTION_HANDLED);
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
        output: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cacao::rule::Rule;
    use crate::stored_rule::StoredRule;

    #[test]
    fn a_failure_is_written_down_as_an_older_version_said_it() {
        let stored = r#"cacao {"do":"fail","at":{"step":"A"},"id":"action--1","limit_ms":5,"own":["A/limit"],"called":"Clean"}"#;
        let Some(Rule::Fail(folding)) = Rule::named(stored) else {
            panic!("it reads")
        };
        for (step, code, told) in [
            ("A/limit", "scope-timeout", "ACTION_TIMEOUT after 5 ms"),
            ("A", "wait-timeout", "ACTION_TIMEOUT after 5 ms"),
            ("A", "out-arg-missing", "as it was"),
            (
                "C",
                "handler-failed",
                "playbook \"Clean\" step \"C\": as it was",
            ),
        ] {
            let fault = Fault::new(code, "as it was").at(step, None, None);
            let data = State::new().write().unwrap();
            let folded = State::read(&folding.fold(&data, &fault).unwrap()).unwrap();
            let failure = folded.failure().unwrap();
            let error = &failure.errors[0];
            assert_eq!((error.step.as_str(), failure.own), ("A", step != "C"));
            assert!(error.message.starts_with(told), "{error:?}");
        }
    }
}
