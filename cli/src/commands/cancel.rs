//! `windlass cancel RUN`: withdraws a run, or a step of it, whichever process works on it.

use serde_json::json;
use windlass::RunId;

use super::changing;
use crate::args::{CancelArgs, Global};
use crate::engine::{self, SHUTDOWN};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json};

pub(super) fn cancel(global: &Global, args: &CancelArgs) -> Result<Exit, Failure> {
    let (engine, mut inspector) = changing(global)?;
    let run = engine::find(&mut inspector, &args.run)?;
    if let Some(step) = &args.step {
        let branches = engine
            .scheduler()
            .cancel_node_blocking(run, step, &args.reason)
            .map_err(|error| Failure::refused_by(&error))?;
        engine.shutdown(SHUTDOWN);
        return tell_step(global, run, step, branches);
    }
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

fn tell_step(global: &Global, run: RunId, step: &str, branches: u32) -> Result<Exit, Failure> {
    if global.json {
        print_json(&json!({ "run": run.to_string(), "step": step, "branches": branches }))?;
    } else if branches > 0 {
        print(&format!(
            "{branches} branch(es) of run {run} in {step:?} are withdrawn\n"
        ))?;
    } else {
        print(&format!(
            "nothing goes on in {step:?} of run {run}: it is finished, or not reached; nothing changed\n"
        ))?;
    }
    Ok(if branches > 0 {
        Exit::Succeeded
    } else {
        Exit::Refused
    })
}
