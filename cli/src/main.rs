//! The command line of Windlass: workflow files in, durable runs out.
//!
//! Stands above everything: turns files, flags and settings into an engine with workflows and
//! handlers, and shows what becomes of the runs. Results go to stdout, everything else to stderr.
//! The same binary is the guard of each program that a step starts (see [`program`]), what answers
//! `ssh` when it asks for a password, and each process that `bench` measures.

#![forbid(unsafe_code)]

mod allowed;
mod args;
mod bench;
mod clock;
mod commands;
mod config;
mod engine;
mod failure;
mod follow;
mod handlers_file;
mod input;
mod interrupt;
mod items;
mod json;
mod logging;
mod masks;
mod note;
mod playbook;
mod program;
mod progress;
mod report;
mod resumption;
mod rows;
mod secret_sources;
mod secrets;
mod session;
mod stdout;
mod steps;
mod suggestion;
mod tasks;
mod text;
mod time_text;
mod toml_text;
mod workflow_file;

use std::process::ExitCode;

use clap::Parser;

/// The system's allocator gives memory back after every transaction, which costs SQLite more than
/// half of its speed. With its feature `override` this one serves SQLite too, not only Rust code.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A guard starts with every program of every step, so it does nothing else first.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == program::GUARD)
    {
        return program::guard_main().into();
    }
    // So does what answers a question of `ssh`.
    if let Some(file) = std::env::var_os(playbook::PASSWORD_FILE) {
        return playbook::answer_ssh(file).into();
    }
    // So does a process that measures.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == windlass_bench::CHILD)
    {
        return windlass_bench::child_main();
    }
    let cli = args::Cli::parse();
    let wants_json = cli.wants_json();
    let exit = commands::dispatch(cli).unwrap_or_else(|failure| {
        for problem in &failure.problems {
            stdout::say(format!("error: {problem}"));
        }
        if wants_json {
            // A stdout that cannot be written has been told about, or nobody reads it.
            let _ = stdout::print_json(&json::FailureJson::from(&failure));
        }
        failure.exit
    });
    (exit as u8).into()
}
