//! Dialect `step-groups-yaml`: lists of steps in YAML, grouped into phases.
//!
//! Owns the grammar: three forms of documents, what a step may hold, how neighbours form phases,
//! conditions and references. A phase of several steps becomes a split whose join waits for all;
//! phases follow each other. Every function of a graph is a [rule](rule) that stands in the
//! definition as data, so a run goes on without its file.

mod approval;
mod begin;
mod condition;
mod conditions;
mod dependency;
mod digits;
mod document;
mod evaluation;
mod field;
mod file;
mod keys;
mod lowering;
mod names;
mod phase;
mod reference;
mod registry;
mod resolve;
mod rule;
mod secrets;
mod setters;
mod settings;
mod start;
mod state;
mod step;
mod template;
mod work;
mod workflow;

pub use approval::{Approval, approvals};
pub use digits::group_digits;
pub(crate) use file::{import, recognises};
pub use rule::functions as group_functions;
pub use start::{declared_parameters, process_env};
pub(crate) use start::{refusals, tasks};
pub use work::{
    GroupInput, GroupResult, group_input, group_puts_values, group_record, group_rehearsal,
    group_run_secrets, group_secrets,
};

/// Reads and evaluates any text.
#[cfg(fuzzing)]
pub(crate) fn fuzz_condition(text: &str, data: &windlass_workflow_model::Payload) {
    if let Ok(state) = state::State::read(data) {
        names::fuzz(text, &state);
    }
}
