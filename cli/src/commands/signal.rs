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
    let event = if args.transient {
        event.transient()
    } else {
        event
    };
    let event = match &args.correlation {
        Some(correlation) => event.correlation(correlation),
        None => event,
    };
    let outcome = engine
        .scheduler()
        .signal_blocking(event)
        .map_err(|error| Failure::refused_by(&error))?;
    engine.shutdown(SHUTDOWN);
    let event = &args.event;
    let (word, says) = match outcome {
        SignalOutcome::Delivered => (
            "delivered",
            format!(
                "event {event:?} for run {run} is delivered: a branch waited for it and goes on"
            ),
        ),
        SignalOutcome::Stored => (
            "stored",
            format!(
                "event {event:?} for run {run} is stored: nobody waits for it yet; it is kept until somebody does"
            ),
        ),
        SignalOutcome::Duplicate => (
            "duplicate",
            format!("an event with id {id:?} was sent to run {run} before; nothing changed"),
        ),
        SignalOutcome::RunEnded => (
            "run-ended",
            format!(
                "run {run} had ended already, so event {event:?} reaches nobody; nothing changed"
            ),
        ),
        SignalOutcome::Lost => (
            "lost",
            format!(
                "nobody waits for event {event:?} in run {run} now, so it is lost, as it was sent to be"
            ),
        ),
    };
    if global.json {
        print_json(&json!({ "run": run.to_string(), "event": event, "id": id, "outcome": word }))?;
    } else {
        print(&format!("{says}\n"))?;
    }
    Ok(match outcome {
        SignalOutcome::RunEnded | SignalOutcome::Lost => Exit::Refused,
        SignalOutcome::Delivered | SignalOutcome::Stored | SignalOutcome::Duplicate => {
            Exit::Succeeded
        }
    })
}
