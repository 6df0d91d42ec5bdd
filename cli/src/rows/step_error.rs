//! Errors of steps as `--json` shows them.

use serde::Serialize;
use serde_json::Value as Json;
use windlass::{ErrorEntry, RunDetail};
use windlass_dialects::{Dialect, exception_handled};

use crate::json::dialect_of;

/// One error of one step.
#[derive(Debug, Serialize)]
pub(crate) struct StepErrorJson {
    #[serde(flatten)]
    error: ErrorEntry,
    /// Whether the exception chain of the playbook was gone through for it; only in runs of playbooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    exception_handled: Option<bool>,
}

impl StepErrorJson {
    /// An error of a run that was imported from this dialect, if from any.
    pub(crate) fn of(dialect: Option<Dialect>, error: &ErrorEntry) -> Self {
        let is_playbook = dialect == Some(Dialect::Cacao);
        Self {
            error: error.clone(),
            exception_handled: is_playbook.then(|| exception_handled(&error.message)),
        }
    }

    /// Why a run failed, all of it.
    pub(crate) fn all(detail: &RunDetail) -> Vec<Self> {
        let dialect = dialect_of(detail);
        let errors = detail.errors.iter();
        errors.map(|error| Self::of(dialect, error)).collect()
    }
}

/// The same for failures that the flow of a playbook went on from, as its data keeps them.
pub(crate) fn with_exception_handled(failures: &mut [Json]) {
    let errors = failures
        .iter_mut()
        .filter_map(|failure| failure["errors"].as_array_mut())
        .flatten();
    for error in errors.filter_map(Json::as_object_mut) {
        let message = error.get("message").and_then(Json::as_str);
        let handled = exception_handled(message.unwrap_or_default());
        error.insert("exception_handled".to_owned(), handled.into());
    }
}
