//! `windlass cancel RUN`: withdraws a run, whichever process works on it.

use serde_json::json;

use super::changing;
use crate::args::{CancelArgs, Global};
use crate::engine::{self, SHUTDOWN};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json};

pub(super) fn cancel(global: &Global, args: &CancelArgs) -> Result<Exit, Failure> {
    let (engine, mut inspector) = changing(global)?;
    let run = engine::find(&mut inspector, &args.run)?;
    let cancelled = engine
        .scheduler()
        .cancel_blocking(run, args.reason.as_str())
        .map_err(|error| Failure::refused_by(&error))?;
    engine.shutdown(SHUTDOWN);
    let status = engine::show(&mut inspector, run)?.summary.status;
    if global.json {
        print_json(
            &json!({ "run": run.to_string(), "cancelled": cancelled, "status": status.as_str() }),
        )?;
    } else if cancelled {
        print(&format!("run {run} is cancelled\n"))?;
    } else {
        print(&format!(
            "run {run} had ended already ({status}); nothing changed\n"
        ))?;
    }
    Ok(if cancelled {
        Exit::Succeeded
    } else {
        Exit::Refused
    })
}
