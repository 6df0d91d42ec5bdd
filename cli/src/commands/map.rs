//! `windlass map add|close|complete RUN MAP`: changes a map of a run, whichever process works on it.

use serde_json::json;
use windlass::{Engine, Inspector, MapChange, MapOutcome, RunId};

use super::changing;
use crate::args::{Global, MapAddArgs, MapCommand, OneMap};
use crate::engine::{self, SHUTDOWN};
use crate::failure::{Exit, Failure};
use crate::items::Items;
use crate::stdout::{print, print_json};
use crate::text::counted;

pub(super) fn map(global: &Global, change: &MapCommand) -> Result<Exit, Failure> {
    match change {
        MapCommand::Add(args) => add(global, args),
        MapCommand::Close(at) => end(global, at, "close", MapChange::Close),
        MapCommand::Complete(at) => end(global, at, "complete", MapChange::Complete),
    }
}

fn add(global: &Global, args: &MapAddArgs) -> Result<Exit, Failure> {
    let mut items = Items::checked(&args.item, args.items.as_deref())?;
    let (engine, mut inspector) = changing(global)?;
    let run = engine::find(&mut inspector, &args.at.run)?;
    let mut added = 0;
    let mut outcome = MapOutcome::Done;
    loop {
        let portion = items.portion().map_err(|failure| partly(failure, added))?;
        if portion.is_empty() {
            break;
        }
        let count = portion.len() as u64;
        outcome = change_map(&engine, run, &args.at.map, MapChange::Add(portion))
            .map_err(|failure| partly(failure, added))?;
        if outcome != MapOutcome::Done {
            break;
        }
        added += count;
    }
    engine.shutdown(SHUTDOWN);
    let told = Told {
        run,
        map: &args.at.map,
        change: "add",
        added: Some(added),
    };
    told.tell(global, outcome, &mut inspector)
}

fn end(global: &Global, at: &OneMap, word: &str, change: MapChange) -> Result<Exit, Failure> {
    let (engine, mut inspector) = changing(global)?;
    let run = engine::find(&mut inspector, &at.run)?;
    let outcome = change_map(&engine, run, &at.map, change)?;
    engine.shutdown(SHUTDOWN);
    let told = Told {
        run,
        map: &at.map,
        change: word,
        added: None,
    };
    told.tell(global, outcome, &mut inspector)
}

fn change_map(
    engine: &Engine,
    run: RunId,
    map: &str,
    change: MapChange,
) -> Result<MapOutcome, Failure> {
    engine
        .scheduler()
        .change_map_blocking(run, map, change)
        .map_err(|error| Failure::refused_by(&error))
}

/// A failure after some of the items were added: whoever tries again must leave these out.
fn partly(failure: Failure, added: u64) -> Failure {
    if added == 0 {
        return failure;
    }
    let is = format!(
        "the first {} added and stay so",
        counted(added, "item is", "items are")
    );
    Failure {
        exit: Exit::Failed,
        problems: failure
            .problems
            .into_iter()
            .map(|problem| format!("{problem}; {is}"))
            .collect(),
        ..failure
    }
}

/// What was asked for.
struct Told<'a> {
    run: RunId,
    map: &'a str,
    change: &'a str,
    /// How many items were added, of an addition.
    added: Option<u64>,
}

impl Told<'_> {
    fn tell(
        &self,
        global: &Global,
        outcome: MapOutcome,
        inspector: &mut Inspector,
    ) -> Result<Exit, Failure> {
        let (run, map) = (self.run, self.map);
        let (word, says) = match outcome {
            MapOutcome::Done => ("done", self.done()),
            MapOutcome::Closed => (
                "closed",
                format!(
                    "map {map:?} of run {run} takes no more items: it was closed, or is not open"
                ),
            ),
            MapOutcome::NotThere => {
                let status = engine::show(inspector, run)?.summary.status;
                if status.is_end() {
                    (
                        "run-ended",
                        format!("run {run} had ended already ({status})"),
                    )
                } else {
                    (
                        "not-there",
                        format!(
                            "run {run} is not in map {map:?}: it has not come there, or the map is over; windlass why {run} says where it is"
                        ),
                    )
                }
            }
        };
        let says = match (outcome, self.added) {
            (MapOutcome::Done, _) => says,
            (_, Some(added @ 1..)) => {
                let is = counted(added, "item was", "items were");
                format!("{says}; {is} added before that")
            }
            _ => format!("{says}; nothing changed"),
        };
        if global.json {
            let mut told = json!({
                "run": run.to_string(), "map": map, "change": self.change, "outcome": word,
            });
            if let Some(added) = self.added {
                told["added"] = added.into();
            }
            print_json(&told)?;
        } else {
            print(&format!("{says}\n"))?;
        }
        Ok(match (outcome, self.added) {
            (MapOutcome::Done, _) => Exit::Succeeded,
            (MapOutcome::Closed | MapOutcome::NotThere, Some(1..)) => Exit::Failed,
            (MapOutcome::Closed | MapOutcome::NotThere, _) => Exit::Refused,
        })
    }

    fn done(&self) -> String {
        let (run, map) = (self.run, self.map);
        match (self.change, self.added) {
            (_, Some(added)) => {
                let is = counted(added, "item is", "items are");
                format!("{is} added to map {map:?} of run {run}")
            }
            ("close", _) => {
                format!("map {map:?} of run {run} is closed: it is over when its instances are")
            }
            _ => format!(
                "map {map:?} of run {run} is completed: what was not done is withdrawn, and the run goes on with what was"
            ),
        }
    }
}
