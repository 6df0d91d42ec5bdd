//! `windlass retry RUN`: a parked or failed run goes on from the step it stopped at.

use serde_json::json;

use super::settings;
use crate::args::{Global, RetryArgs};
use crate::engine;
use crate::failure::{Exit, Failure};
use crate::note::Note;
use crate::report::futile_retry;
use crate::resumption::Resumption;
use crate::session::Session;
use crate::stdout::{print, print_json, say};
use crate::text::counted;

pub(super) fn retry(global: &Global, args: &RetryArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, args.engine.layers())?;
    let mut inspector = engine::inspect(&config.database)?;
    let run = engine::find(&mut inspector, &args.run)?;
    let before = engine::show(&mut inspector, run)?;
    if let Some(node) = futile_retry(&before) {
        return Err(Failure::refused(format!(
            "run {run} failed at {node:?}, whose result follows from the run's data alone: a retry would meet the same error; start the run anew with windlass run"
        )));
    }
    let ours = Note::parse(before.note.as_deref()).is_some();
    let session = Session::open(&config)?;
    let go_on = |session: &Session| {
        let retried = session.engine().scheduler().retry_blocking(run);
        retried.map_err(|error| Failure::refused_by(&error))
    };
    if args.no_wait || !ours {
        let branches = go_on(&session)?;
        session.stop();
        if global.json {
            print_json(&json!({ "run": run.to_string(), "branches": branches }))?;
        } else {
            print(&format!(
                "run {run}: {} as soon as an engine has its workflow\n",
                match branches {
                    1 => "1 branch goes on".to_owned(),
                    _ => format!("{branches} branches go on"),
                }
            ))?;
        }
        return Ok(Exit::Succeeded);
    }
    let resumption = Resumption::prepare_retry(&before, &args.handlers, &config)?;
    let branches = go_on(&session)?;
    say(format!(
        "run {run} goes on from where it stopped ({})",
        counted(branches, "branch", "branches")
    ));
    resumption.finish(session, global, &config, std::slice::from_ref(&before))
}
