//! The 43 workflow control-flow patterns: each is built, run, killed at every commit, taken over at
//! every step, and written down in `docs/patterns.md`.
//!
//! To add one: write its function `wcp_NN_name` in the module of its category and name it in
//! `catalogue.rs`. What a [`harness::Pattern`] consists of stands there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures and reasons for whoever runs it"
)]

mod basic;
mod cancellation;
mod catalogue;
mod critical;
mod harness;
mod instances;
mod iteration;
mod partial_instances;
mod recursion;
mod regions;
mod state;
mod synchronization;
mod termination;
mod triggers;

use std::process::ExitCode;

use harness::{kill_sweep, page, trials};

/// The source of a module of patterns.
fn source(module: &str) -> &'static str {
    match module {
        "basic" => include_str!("basic.rs"),
        "cancellation" => include_str!("cancellation.rs"),
        "critical" => include_str!("critical.rs"),
        "instances" => include_str!("instances.rs"),
        "iteration" => include_str!("iteration.rs"),
        "partial_instances" => include_str!("partial_instances.rs"),
        "regions" => include_str!("regions.rs"),
        "recursion" => include_str!("recursion.rs"),
        "state" => include_str!("state.rs"),
        "synchronization/active" => include_str!("synchronization/active.rs"),
        "synchronization/choices" => include_str!("synchronization/choices.rs"),
        "synchronization/partial" => include_str!("synchronization/partial.rs"),
        "synchronization/rounds" => include_str!("synchronization/rounds.rs"),
        "synchronization/threads" => include_str!("synchronization/threads.rs"),
        "termination" => include_str!("termination.rs"),
        "triggers" => include_str!("triggers.rs"),
        other => panic!("no patterns stand in {other}.rs: name it here"),
    }
}

fn main() -> ExitCode {
    let catalogue = catalogue::all();
    kill_sweep::act_if_child(|name| {
        let mut written = catalogue.iter().filter_map(|entry| entry.written.as_ref());
        let found = written.find(|written| written.name == name);
        (found.expect("a pattern that is written").pattern)()
    });
    let arguments = libtest_mimic::Arguments::from_args();
    let results = trials::Results::default();
    let trials = trials::all(&catalogue, &results);
    let count = trials.len();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The page tells of all patterns, so only a run of all of them can write or judge it.
    if !arguments.list
        && results.len() == count
        && let Err(problem) = page::check(&catalogue, &results)
    {
        eprintln!("{problem}");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}
