//! `windlass approve|reject RUN STEP`: answers a step of a playbook that waits for a person.

use std::collections::BTreeMap;

use serde_json::json;
use windlass::{Event, Payload, RunId, SignalOutcome};

use super::changing;
use crate::args::{AnswerArgs, Global};
use crate::clock::unique_text;
use crate::engine::{self, SHUTDOWN};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json};
use crate::tasks::{self, Waiting};
use crate::text::named_by_flag;

pub(super) fn answer(global: &Global, args: &AnswerArgs, approves: bool) -> Result<Exit, Failure> {
    let (engine, mut inspector) = changing(global)?;
    let run = engine::find(&mut inspector, &args.run)?;
    let waiting = tasks::waiting(&mut inspector, run)?;
    let waiting = named(&waiting, &args.step, &run.to_string())?;
    let variables: BTreeMap<String, String> = args
        .var
        .iter()
        .map(|var| (var.name.clone(), var.value.clone()))
        .collect();
    let problems = if approves {
        waiting.task.problems(&variables)
    } else if variables.is_empty() {
        Vec::new()
    } else {
        vec!["a step that is rejected brings no variables; drop --var".to_owned()]
    };
    if !problems.is_empty() {
        return Err(Failure::all(problems));
    }
    let status = if approves { "success" } else { "failure" };
    let payload = json!({
        "status": status,
        "variables": variables,
        "by": args.by,
        "message": args.message,
    });
    let payload = Payload::encode(&payload).map_err(|error| Failure::refused_by(&error))?;
    let step = &waiting.task.step;
    // Nobody else is to find this answer later.
    let event = Event::new(waiting.run, step, unique_text(), payload).transient();
    let outcome = engine
        .scheduler()
        .signal_blocking(event)
        .map_err(|error| Failure::refused_by(&error))?;
    engine.shutdown(SHUTDOWN);
    if outcome != SignalOutcome::Delivered {
        return Err(Failure::refused(format!(
            "step {step:?} of run {} no longer waits: somebody else has answered, or its time is over; nothing changed",
            waiting.run
        )));
    }
    say(global, &waiting, run, approves)?;
    Ok(Exit::Succeeded)
}

/// `asked` is the run that was named; what waits may be a run that it called.
fn say(global: &Global, waiting: &Waiting, asked: RunId, approves: bool) -> Result<(), Failure> {
    let (run, step) = (waiting.run, &waiting.task.step);
    let word = if approves { "approved" } else { "rejected" };
    if global.json {
        print_json(&json!({ "run": run.to_string(), "step": step, "outcome": word }))
    } else {
        let db = named_by_flag(global.db.as_deref());
        print(&format!(
            "step {step:?} of run {run} is {word}; the run goes on if an engine runs it, else with: windlass resume {asked}{db}\n"
        ))
    }
}

/// The waiting step of this name.
fn named(waiting: &[Waiting], step: &str, run: &str) -> Result<Waiting, Failure> {
    // What asks for the approval of a step has its name and this word.
    let asks = format!("{step} approval");
    let exact = |known: &&Waiting| known.task.step == step || known.task.step == asks;
    let exact = waiting.iter().find(exact);
    if let Some(found) = exact {
        return Ok(found.clone());
    }
    let alike: Vec<_> = waiting
        .iter()
        .filter(|known| {
            known
                .task
                .step
                .to_lowercase()
                .starts_with(&step.to_lowercase())
        })
        .collect();
    match alike[..] {
        [only] => Ok(only.clone()),
        _ if waiting.is_empty() => Err(Failure::refused(format!(
            "no step of run {run} waits for a person; windlass why {run} says what it waits for"
        ))),
        _ => {
            let names: Vec<_> = waiting
                .iter()
                .map(|known| format!("{:?}", known.task.step))
                .collect();
            Err(Failure::refused(format!(
                "step {step:?} of run {run} does not wait for a person; these do: {}",
                names.join(", ")
            )))
        }
    }
}
