//! The rows of runs of files, where a file says more than the graph that was made of it.
//!
//! The engine shows steps and blocks. What they are called in the file, what a block came to that took
//! no branch, which approval a step waits for, and what became of branches and iterations follows from
//! that, from the definition and from the run's data; nothing of it is stored for itself.

mod approvals;
mod blocks;
mod branches;
mod called_workflows;
mod conditions;
mod decisions;
mod iterations;
mod playbook;
mod playbook_branches;
mod step_error;

use windlass::{Inspector, RunDetail};
use windlass_dialects::Dialect;

use crate::failure::Failure;
use crate::json::dialect_of;

pub(crate) use conditions::{Conditions, Judgement};
pub(crate) use step_error::{StepErrorJson, with_exception_handled};

/// Tells of steps and blocks what their file means by them.
///
/// # Errors
/// What iterations gave cannot be read.
pub(crate) fn settle(inspector: &mut Inspector, detail: &mut RunDetail) -> Result<(), Failure> {
    blocks::settle(inspector, detail)?;
    if dialect_of(detail) == Some(Dialect::ParallelJson) {
        branches::tell_late(detail);
    }
    approvals::settle(detail);
    called_workflows::settle(detail);
    Ok(())
}

/// Adds rows of branches and iterations.
///
/// # Errors
/// What iterations gave cannot be read.
pub(crate) fn add_branches(
    inspector: &mut Inspector,
    detail: &mut RunDetail,
) -> Result<(), Failure> {
    match dialect_of(detail) {
        Some(Dialect::Cacao) => playbook_branches::add(detail),
        Some(Dialect::ParallelJson) => branches::add(inspector, detail)?,
        Some(Dialect::StepGroupsYaml | Dialect::WorkflowJson) | None => {}
    }
    Ok(())
}
