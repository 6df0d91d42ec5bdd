//! What `run`, `resume` and `retry` print at their end.

use std::path::Path;

use windlass::{NodeKind, RunDetail, RunId, RunStatus};

use crate::args::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::follow::{Ending, Followed};
use crate::json::{FinishedJson, FinishedRunsJson, NotesJson, outputs};
use crate::stdout::{print_json, say};
use crate::text;

/// Prints outputs or JSON, says what is to be said about runs that did not succeed, and gives the
/// exit code of the worst.
pub(crate) fn report(
    global: &Global,
    config: &Config,
    followed: &[Followed],
) -> Result<Exit, Failure> {
    for run in followed {
        say_ending(config, run);
    }
    print_results(global, followed).map_err(|mut failure| {
        let ends = followed.iter().map(|run| end_in_spite(config, run));
        failure.problems.extend(ends);
        failure
    })?;
    let exits = followed.iter().map(Followed::exit);
    Ok(exits
        .max_by_key(|exit| severity(*exit))
        .unwrap_or(Exit::Succeeded))
}

fn print_results(global: &Global, followed: &[Followed]) -> Result<(), Failure> {
    if global.json {
        let runs = followed.iter().map(|run| FinishedJson::from(&run.detail));
        return print_json(&FinishedRunsJson {
            runs: runs.collect(),
        });
    }
    let over = |run: &&Followed| run.ending != Ending::Interrupted;
    let mut over = followed.iter().filter(over);
    over.try_for_each(|run| print_json(&outputs(&run.detail)))
}

/// What a run came to, though its result could not be printed.
fn end_in_spite(config: &Config, followed: &Followed) -> String {
    let summary = &followed.detail.summary;
    let (run, status, db) = (summary.run, summary.status, config.database.display());
    let stands = if status.is_end() { "ended" } else { "goes on" };
    format!("run {run} itself {stands} ({status}) and is stored: windlass show {run} --db {db}")
}

/// How to go on with a run that this process leaves unfinished.
pub(crate) fn go_on(run: RunId, database: &Path) -> String {
    let db = database.display();
    format!("run {run} is interrupted; go on with: windlass resume {run} --db {db}")
}

/// Later is worse.
fn severity(exit: Exit) -> u8 {
    match exit {
        Exit::Succeeded => 0,
        Exit::Parked => 1,
        Exit::Failed => 2,
        Exit::Refused => 3,
        Exit::Interrupted => 4,
    }
}

/// What a run has to say though it went on.
fn say_notes(detail: &RunDetail) {
    let notes = NotesJson::from(detail);
    for line in text::handled(&notes) {
        say(format!("went on after a failure: {}", line.trim_start()));
    }
    for warning in &notes.warnings {
        say(format!("warning: {warning}"));
    }
}

fn say_ending(config: &Config, followed: &Followed) {
    say_notes(&followed.detail);
    let summary = &followed.detail.summary;
    let (run, db) = (summary.run, config.database.display());
    match (followed.ending, summary.status) {
        (Ending::Interrupted, _) => {
            say(go_on(run, &config.database));
        }
        (Ending::Parked, _) => {
            let reason = summary.reason.as_deref().unwrap_or("no reason is stored");
            say(format!(
                "run {run} is parked and waits for an operator ({reason}); see windlass why {run} --db {db}, then: windlass retry {run} --db {db}"
            ));
        }
        (Ending::Ended, RunStatus::Failed) => {
            let errors = text::errors(&followed.detail.errors);
            let then = match futile_retry(&followed.detail) {
                Some(_) => "what failed cannot be done again by retry; start it anew".to_owned(),
                None => format!("after a correction: windlass retry {run} --db {db}"),
            };
            say(format!("run {run} failed; {then}\n{errors}").trim_end());
        }
        (Ending::Ended, RunStatus::Cancelled) => {
            let reason = summary.reason.as_deref().unwrap_or("no reason is stored");
            say(format!("run {run} was cancelled ({reason})"));
        }
        (Ending::Ended, _) => say(format!("run {run} succeeded")),
    }
}

/// The node at which a retry of a failed run of a file would only meet the same error: what stands
/// there, and in the file, alone decides what comes of it.
pub(crate) fn futile_retry(detail: &RunDetail) -> Option<&str> {
    let definition = &detail.definition;
    definition.source()?;
    let is_computed = |name: &String| {
        let node = definition
            .find(name)
            .map(|node| &definition.node(node).kind);
        matches!(node, Some(NodeKind::Compute { .. }))
    };
    let all = detail.retries_at.iter().all(is_computed);
    detail
        .retries_at
        .first()
        .filter(|_| all)
        .map(String::as_str)
}
