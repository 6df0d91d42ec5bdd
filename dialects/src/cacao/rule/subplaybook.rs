//! A playbook that another one calls.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{Event, Fault, Payload};

use crate::cacao::binding::Bindings;
use crate::cacao::call::Writing;
use crate::cacao::state::{PLAYBOOK, State};

/// What a called playbook begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Child {
    pub(crate) in_args: Vec<String>,
    pub(crate) bindings: Bindings,
}

impl Child {
    pub(super) fn input(&self, data: &Payload) -> Result<Payload, Fault> {
        let state = State::read(data)?;
        let given = self.in_args.iter().filter_map(|name| {
            let value = self.bindings.value(&state, name);
            (!value.is_null()).then(|| (name.clone(), value.clone()))
        });
        let given: Map<String, Json> = given.collect();
        let input = json!({ "variables": given });
        Payload::encode(&input).map_err(|error| {
            Fault::new(
                windlass_workflow_model::codes::DATA_INVALID,
                error.to_string(),
            )
            .permanent()
        })
    }
}

/// What it gives back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Returned {
    /// The node that called.
    pub(crate) node: String,
    pub(crate) writing: Writing,
}

impl Returned {
    pub(super) fn take(&self, data: &Payload, event: &Event) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        let child = State::read(&event.payload)?;
        let values = self.writing.out_args.iter().filter_map(|name| {
            let value = child.value(PLAYBOOK, name);
            (!value.is_null()).then(|| (name.clone(), value.clone()))
        });
        let values: Map<String, Json> = values.collect();
        state.record(&self.node, &json!({ "variables": values }));
        let written = self.writing.write(&mut state, values, None);
        written.map_err(|mut fault| {
            // An error that names a step is one of the called playbook.
            fault.errors.iter_mut().for_each(|error| error.step.clear());
            fault
        })?;
        state.write()
    }
}
