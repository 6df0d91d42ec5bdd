//! What an agent is given for its step.

use serde_json::Value as Json;
use windlass_workflow_model::{Fault, Payload};

use crate::dialect::Dialect;
use crate::parallel_json::evaluation::fill;
use crate::parallel_json::iteration::branch;
use crate::parallel_json::mapping::Mapping;
use crate::parallel_json::run_state::RunState;

/// The input of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepInput {
    /// The step's `input_mapping` with all references resolved.
    pub input: Json,
    /// The index of the innermost loop's iteration that the step runs in.
    pub iteration_index: Option<u64>,
    /// The block or conditional around the step.
    pub parent_step_id: Option<String>,
    /// The branch of that which the step is on: `iteration-<index>` in a loop's body.
    pub branch_name: Option<String>,
    /// What was repaired in lenient mode.
    pub warnings: Vec<String>,
}

/// Whether a value of an `input_mapping` takes something from the run, or is what stands in the file.
pub fn has_references(value: &Json) -> bool {
    Mapping::of(value).has_references()
}

/// The input of a step from its settings and the run's data; `None` for a step of another dialect.
/// Call it before the handler's work, and [`record_output`](crate::record_output) after it.
///
/// # Errors
/// A permanent [`Fault`] with which the step fails: `reference-unresolved`, `embedded-not-text`, or
/// `data-invalid` if it is not the data of such a run.
pub fn step_input(config: &Json, data: &Payload) -> Result<Option<StepInput>, Fault> {
    if config["dialect"] != Dialect::ParallelJson.as_str() {
        return Ok(None);
    }
    let state = RunState::read(data)?;
    let mapping = Mapping::of(&config["config"]["input_mapping"]);
    let mut warnings = Vec::new();
    let input = fill(&state, &mapping, "", &mut warnings)?;
    let index = state.loop_values(0).and_then(|values| values.get("index"));
    let iteration_index = index.and_then(Json::as_u64);
    let text = |key: &str| config[key].as_str().map(str::to_owned);
    let parent_step_id = text("parent_step_id");
    let in_body = iteration_index.filter(|_| parent_step_id.is_some());
    Ok(Some(StepInput {
        input: input.unwrap_or_default(),
        iteration_index,
        // Which iteration it is, only a run knows.
        branch_name: text("branch_name").or_else(|| in_body.map(branch)),
        parent_step_id,
        warnings,
    }))
}
