//! `windlass perform`: one command of a playbook, without a run.
//!
//! For whoever writes a playbook and wants to see what a command does, and for tests. Nothing is
//! stored, and nothing is tried again.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::settings;
use crate::allowed::{Allowed, Kind};
use crate::args::{Global, PerformArgs};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::playbook::{self, Equipment, PlaybookCall};
use crate::program::Programs;
use crate::stdout::print_json;
use crate::steps::Setback;

/// How often it is asked whether somebody wants to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(super) fn perform(global: &Global, args: &PerformArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, Vec::new())?;
    let allowed = match &args.allow {
        Some(kinds) => Allowed(kinds.iter().copied().collect()),
        None => config.allow.clone(),
    };
    let call = PlaybookCall::read(&read_call()?).map_err(refused)?;
    let kind = Kind::Command(call.kind().map_err(refused)?);
    let needed = BTreeMap::from([(kind, vec!["of the call"])]);
    if let Some(refusal) = allowed.refusal(&needed) {
        return Err(Failure::refused(refusal));
    }
    let equipment = equipment(&config)?;
    let interrupt = Interrupt::watch()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::broken_off(&error))?;
    let performed = runtime.block_on(playbook::perform(&call, &equipment, asked(&interrupt)));
    let (answer, exit) = match performed {
        Ok(performed) => (json!(performed), Exit::Succeeded),
        Err(setback) => (as_json(setback), Exit::Failed),
    };
    print_json(&answer)?;
    Ok(exit)
}

fn read_call() -> Result<Json, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map_err(|error| {
        Failure::refused(format!("the call cannot be read from stdin ({error})"))
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::refused(format!("the call on stdin is no JSON ({error})")))
}

fn equipment(config: &Config) -> Result<Equipment, Failure> {
    let refused = |error| Failure::refused_by(&error);
    let programs = Programs::new(&config.guards()).map_err(refused)?;
    let folder = std::env::current_dir().map_err(refused)?;
    Equipment::new(config, programs, folder)
}

/// Ends when somebody asks to stop.
async fn asked(interrupt: &Interrupt) {
    while !interrupt.is_asked() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn refused(setback: Setback) -> Failure {
    match setback {
        Setback::Failed { message, .. } | Setback::Later(message) => Failure::refused(message),
    }
}

fn as_json(setback: Setback) -> Json {
    let (code, message, retryable) = match setback {
        Setback::Failed {
            code,
            message,
            permanent,
        } => (code, message, !permanent),
        Setback::Later(message) => ("try-later", message, true),
    };
    json!({"error": {"code": code, "message": message, "retryable": retryable}})
}
