//! Dialect `parallel-json`: steps in JSON that lead to each other, some of them blocks.
//!
//! Owns the grammar, what references may name, and the functions of the graphs it makes: they
//! resolve references, judge conditions and join policies, and count iterations.

mod binding;
mod block;
mod condition;
mod decision;
mod document;
mod evaluation;
mod expression;
mod field;
mod file;
mod iteration;
mod lowering;
mod mapping;
mod reference;
mod rehearsal;
mod ring;
mod run_state;
mod seat;
mod step;
mod step_input;

pub use block::tell_branch_timeout;
pub use condition::condition_expressions;
pub use decision::{Decision, decisions_of_failed, run_decisions};
pub(crate) use file::{import, recognises, takes_unknown};
pub(crate) use run_state::RunState;
pub use step_input::{StepInput, has_references, step_input};

/// Reads and evaluates any text.
#[cfg(fuzzing)]
pub(crate) fn fuzz_condition(text: &str, data: &windlass_workflow_model::Payload) {
    let Ok(state) = RunState::read(data) else {
        return;
    };
    if let Ok(condition) = expression::parse(text) {
        drop(evaluation::holds(&state, &condition));
    }
    let mapping = mapping::Mapping::of(&serde_json::Value::String(text.to_owned()));
    drop(evaluation::fill(&state, &mapping, "", &mut Vec::new()));
}
