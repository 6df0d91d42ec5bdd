//! The commands, one per file.

mod answer;
mod backup;
mod cancel;
mod check;
mod config;
mod doctor;
mod map;
mod perform;
mod restore;
mod results;
mod resume;
mod retry;
mod run;
mod runs;
mod show;
mod signal;
mod why;

use windlass::{Engine, Inspector};

use crate::args::{Cli, Command, Global};
use crate::bench;
use crate::config::{Config, Effective, Layer, Sources};
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::logging;

/// Does what the command line asks.
pub(crate) fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let global = &cli.global;
    match cli.command {
        Command::Run(args) => run::run(global, &args),
        Command::Resume(args) => resume::resume(global, &args),
        Command::Runs(args) => runs::runs(global, &args),
        Command::Show(args) => show::show(global, &args),
        Command::Why(args) => why::why(global, &args),
        Command::Check(args) => check::check(global, &args),
        Command::Cancel(args) => cancel::cancel(global, &args),
        Command::Signal(args) => signal::signal(global, &args),
        Command::Approve(args) => answer::answer(global, &args, true),
        Command::Reject(args) => answer::answer(global, &args, false),
        Command::Map(change) => map::map(global, &change),
        Command::Results(args) => results::results(global, &args),
        Command::Retry(args) => retry::retry(global, &args),
        Command::Doctor(args) => doctor::doctor(global, &args),
        Command::Backup(args) => backup::backup(global, &args),
        Command::Restore(args) => restore::restore(global, &args),
        Command::Config(args) => config::config(global, &args),
        Command::Perform(args) => perform::perform(global, &args),
        Command::Bench(args) => bench::bench(global, &args),
    }
}

/// The effective settings; from here on the engine's log lines are shown.
fn settings(global: &Global, flags: Vec<Layer>) -> Result<(Config, Effective), Failure> {
    let mut layers = global.layers();
    layers.extend(flags);
    let loaded = Sources::of_process(global.config.clone(), layers).load()?;
    logging::start(&loaded.0.log)?;
    Ok(loaded)
}

/// The database for reading.
fn reading(global: &Global) -> Result<Inspector, Failure> {
    let (config, _) = settings(global, Vec::new())?;
    engine::inspect(&config.database)
}

/// The database for one change: it must exist, and no workflow is served.
fn changing(global: &Global) -> Result<(Engine, Inspector), Failure> {
    let (mut config, _) = settings(global, Vec::new())?;
    let inspector = engine::inspect(&config.database)?;
    config.runners = 0;
    // Whoever only sends a word does not also clean up.
    config.retention = None;
    Ok((engine::open(&config)?, inspector))
}
