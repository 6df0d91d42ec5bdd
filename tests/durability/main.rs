//! What must survive, counted and killed: write budgets, the kill sweep, two processes, the tree.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::print_stdout,
    reason = "figures for whoever runs it with --nocapture"
)]

mod backup;
mod budgets;
mod child;
mod damaged;
mod effects;
mod formats;
mod kill_sweep;
mod map;
mod poison;
mod random_kills;
mod soak;
mod stray_close;
mod tidy;
mod trace;
mod two_processes;
