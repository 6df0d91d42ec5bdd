//! `windlass signal RUN EVENT [JSON]`: sends an event to a run.

use serde_json::{Value as Json, json};
use windlass::{Event, Payload, SignalOutcome};

use super::changing;
use crate::args::{Global, SignalArgs};
use crate::clock::unique_text;
use crate::engine::{self, SHUTDOWN};
use crate::failure::{Exit, Failure};
use crate::stdout::{print, print_json};

pub(super) fn signal(global: &Global, args: &SignalArgs) -> Result<Exit, Failure> {
    let payload: Json = serde_json::from_str(&args.payload).map_err(|error| {
        Failure::refused(format!(
            "the payload is no JSON ({error}); quote texts, such as '\"yes\"'"
        ))
    })?;
    let payload = Payload::encode(&payload).map_err(|error| Failure::refused_by(&error))?;
    let (engine, mut inspector) = changing(global)?;
    let run = engine::find(&mut inspector, &args.run)?;
    let id = args.id.clone().unwrap_or_else(unique_text);
    let event = Event::new(run, &args.event, &id, payload);
    let event = if args.fault { event.fault() } else { event };
    let outcome = engine
        .scheduler()
        .signal_blocking(event)
        .map_err(|error| Failure::refused_by(&error))?;
    engine.shutdown(SHUTDOWN);
    let (word, says) = match outcome {
        SignalOutcome::Delivered => ("delivered", "a branch waited for it and goes on"),
        SignalOutcome::Stored => (
            "stored",
            "nobody waits for it yet; it is kept until somebody does",
        ),
        SignalOutcome::Duplicate => (
            "duplicate",
            "an event with this id was sent before; nothing changed",
        ),
        SignalOutcome::RunEnded => ("run-ended", "the run has ended; nothing changed"),
    };
    if global.json {
        print_json(
            &json!({ "run": run.to_string(), "event": args.event, "id": id, "outcome": word }),
        )?;
    } else {
        print(&format!(
            "event {:?} for run {run} is {word}: {says}\n",
            args.event
        ))?;
    }
    Ok(Exit::Succeeded)
}
