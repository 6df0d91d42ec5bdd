//! A disk that fails and a machine that loses power: nothing acknowledged is lost, nothing counts
//! twice, nothing is damaged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::print_stdout,
    reason = "figures for whoever runs it with --nocapture"
)]

mod case;
mod check;
mod full_disk;
mod opening;
mod play;
mod power_loss;
mod statements;
mod sweep;
mod workload;
