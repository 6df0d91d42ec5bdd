//! Dialect `cacao`: OASIS CACAO Security Playbooks 2.0.
//!
//! Owns the grammar, what variables and conditions mean, and the functions of the graphs it makes.
//! Every function is a [rule](rule) that stands in the definition as data, so a run goes on without
//! its file. What the standard leaves open, and what real files get wrong, is decided by the
//! dialect's page alone.

mod binding;
mod branches;
mod call;
mod check;
mod condition;
mod feature;
mod file;
mod graph;
mod lowering;
mod manual;
mod parallelizable;
mod playbook;
mod read;
mod rule;
mod start;
mod state;
mod store;
mod template;
mod upgrade;
mod value;

pub use branches::{playbook_branches, taken_branches};
pub use call::{
    CommandCall, CommandResult, command_call, command_warnings, made_up_result, record_result,
};
pub use feature::ALL as PROCESSING_FLAGS;
pub(crate) use file::{import, recognises};
pub(crate) use manual::tasks;
pub use manual::{ManualTask, asked};
pub use rule::{Decided, Handled, exception_handled, functions as playbook_functions};
pub(crate) use start::{invalidity, refusals};

/// Reads, checks and evaluates any text.
#[cfg(fuzzing)]
pub(crate) fn fuzz_condition(text: &str) {
    condition::fuzz(text);
}
