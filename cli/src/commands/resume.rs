//! `windlass resume [RUN…]`: finishes runs that were interrupted.

use windlass::{Inspector, RunDetail, RunFilter};

use super::settings;
use crate::args::{Global, ResumeArgs};
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::note::Note;
use crate::resumption::{Resumption, named};
use crate::session::Session;
use crate::stdout::say;

/// Runs that one call goes on with; more take another call.
const RUNS_MAX: u32 = 10_000;

pub(super) fn resume(global: &Global, args: &ResumeArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, args.engine.layers())?;
    let mut inspector = engine::inspect(&config.database)?;
    let details = if args.runs.is_empty() {
        unfinished(&mut inspector)?
    } else {
        named(&mut inspector, &args.runs)?
    };
    if details.is_empty() {
        say(format!(
            "no unfinished run of the command line in {}",
            config.database.display()
        ));
    }
    let resumption = Resumption::prepare(&details, &args.handlers, &config)?;
    let session = Session::open(&config)?;
    resumption.finish(session, global, &config, &details)
}

/// Every unfinished run that the command line began, oldest first.
pub(super) fn unfinished(inspector: &mut Inspector) -> Result<Vec<RunDetail>, Failure> {
    let runs = inspector
        .runs(RunFilter::Unfinished, RUNS_MAX)
        .map_err(|error| Failure::broken_off(&error))?;
    let mut details = Vec::new();
    for run in runs.iter().rev() {
        let detail = engine::show(inspector, run.run)?;
        if Note::parse(detail.note.as_deref()).is_some() {
            details.push(detail);
        }
    }
    Ok(details)
}
