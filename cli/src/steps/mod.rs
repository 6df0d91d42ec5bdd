//! How the steps of imported workflows get their work done here.
//!
//! Turns handler entries into the engine's handlers, checks before anything runs that every step
//! can work, and sets each step's policy.

mod command;
mod group_step;
mod outcome;
mod policies;
mod readiness;
mod serving;
mod shell;
mod simulation;
mod step_input;

pub(crate) use outcome::{Setback, succeeded};
pub(crate) use policies::{Policies, settle};
pub(crate) use readiness::{missing_handlers, obstacles};
pub(crate) use serving::Serving;
pub(crate) use shell::{ShellFault, ShellStep};
