//! What the row of a step shows that no handler does: the values that were read, and of a decision the
//! branch it has led to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{ErrorEntry, Fault, Payload, codes};

use crate::cacao::binding::Bindings;
use crate::cacao::state::State;
use crate::cacao::value::text_of;
use crate::limits::SHOWN_VALUE_BYTES_MAX;

/// In the place of a value that nobody may see.
const HIDDEN: &str = "***";

/// What a step reads: a logic step when it decides, others when a person is asked or a playbook called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// The step's name in rows.
    pub(crate) at: String,
    /// Its id, under which the choice is kept.
    pub(crate) step: String,
    pub(crate) bindings: Bindings,
    /// Variables that stand in credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) hidden: Vec<String>,
}

/// What a step of a playbook has read once, and how it has decided if it is a logic step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Its name in rows.
    pub step: String,
    /// The branch that it led to, empty if it is no logic step; that of a switch without a match has the
    /// name of no case.
    pub branch: String,
    /// The values that it read, by name: without those that have none, and of one that is too long to
    /// be shown `{"bytes": N}`.
    pub variables: Map<String, Json>,
}

impl Decided {
    /// Reads what a decision has noted; `None` if it is anything else.
    pub fn read(noted: &Payload) -> Option<Self> {
        noted.decode().ok()
    }
}

/// A failure of a step of a playbook that the flow went on from by its `on_failure`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handled {
    /// The step's name in rows.
    pub handled: String,
    /// What it failed with first.
    pub error: Option<ErrorEntry>,
}

impl Handled {
    /// Reads what was noted of it; `None` if it is anything else.
    pub fn read(noted: &Payload) -> Option<Self> {
        noted.decode().ok()
    }

    /// The same, to be noted behind the node that writes it down.
    pub(super) fn shown(step: &str, data: &Payload) -> Result<Payload, Fault> {
        let state = State::read(data)?;
        let error = state.last_handled();
        let handled = Self {
            handled: step.to_owned(),
            error,
        };
        Payload::encode(&handled)
            .map_err(|error| Fault::new(codes::DATA_INVALID, error.to_string()).permanent())
    }
}

impl Reading {
    /// What there is to show, from the data behind the decision: that changes no variable.
    pub(super) fn shown(&self, data: &Payload) -> Result<Payload, Fault> {
        let state = State::read(data)?;
        let values = self.bindings.0.keys().filter_map(|name| {
            let text = text_of(self.bindings.value(&state, name))?;
            let shown = if self.hidden.contains(name) {
                HIDDEN.into()
            } else if text.len() > SHOWN_VALUE_BYTES_MAX {
                json!({ "bytes": text.len() })
            } else {
                text.into()
            };
            Some((name.clone(), shown))
        });
        let decided = Decided {
            step: self.at.clone(),
            branch: state.choice(&self.step).unwrap_or_default().to_owned(),
            variables: values.collect(),
        };
        Payload::encode(&decided)
            .map_err(|error| Fault::new(codes::DATA_INVALID, error.to_string()).permanent())
    }
}
