//! The job that does nothing, and how we know that all of them are done and on disk.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use windlass::{
    Admission, Draft, Engine, EngineBuilder, Functions, Handler, Handlers, History, Json, Payload,
    Request, RunFilter, RunId, Scheduler, StepOutput, StepSpec, Workflow,
};

use crate::clock::pause;
use crate::error::{BenchError, Result};
use crate::setting::Durability;

/// Name of the workflow with the one step that does nothing.
pub(crate) const NOOP: &str = "noop";

/// How often we look whether all are done: seldom enough to cost nothing, often enough to be below
/// the noise of a measurement that takes a second.
const LOOK: Duration = Duration::from_micros(500);

/// How many of the last jobs are awaited. A Runner hands its outcomes over in order, so only the
/// last one of each can be late; this is more than there are places in flight in any workload.
const TAIL: u64 = 256;

/// How many jobs have begun, and which were the last.
#[derive(Debug)]
pub(crate) struct Progress {
    begun: AtomicU64,
    expected: u64,
    last: Mutex<Vec<RunId>>,
}

impl Progress {
    pub(crate) fn of(expected: u64) -> Arc<Self> {
        Arc::new(Self {
            begun: AtomicU64::new(0),
            expected,
            last: Mutex::new(Vec::new()),
        })
    }

    /// One job of `run` begins.
    pub(crate) fn begin(&self, run: RunId) {
        let before = self.begun.fetch_add(1, Ordering::Relaxed);
        if before + TAIL >= self.expected && before < self.expected {
            self.last
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(run);
        }
    }

    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Returns when all expected jobs are done and durable.
    pub(crate) fn wait(&self, scheduler: &Scheduler) -> Result<()> {
        while self.begun() < self.expected {
            pause(LOOK);
        }
        let last = std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner));
        for run in last {
            scheduler.handle(run).wait_blocking(None)?;
        }
        Ok(())
    }
}

/// A workflow of one step that does nothing but count itself.
pub(crate) fn noop(progress: &Arc<Progress>) -> Result<Workflow<Json>> {
    let progress = Arc::clone(progress);
    one_step(Handler::blocking(move |context, data| {
        progress.begin(context.run());
        Ok(StepOutput::data(data.clone()))
    }))
}

/// A workflow of one step, done by `handler`. Its definition is the same whatever does the work.
pub(crate) fn one_step(handler: Handler) -> Result<Workflow<Json>> {
    let mut draft = Draft::new(NOOP, "1");
    let step = draft.step("step", StepSpec::new("step"));
    draft.start_at(step);
    let handlers = Handlers::new().with("step", handler);
    Ok(Workflow::from_parts(
        draft.finish()?,
        Functions::new(),
        handlers,
    ))
}

/// The settings of every measured engine: history of all attempts, and room for all that is queued.
pub(crate) fn builder(
    database: Option<&Path>,
    durability: Durability,
    max_pending: u64,
) -> EngineBuilder {
    let builder = match database {
        Some(path) => Engine::builder().database(path),
        None => Engine::builder().in_memory(),
    };
    builder
        .durability(durability.into())
        .history(History::All)
        .admission(Admission::Backpressure {
            max_pending: max_pending.max(1_000_000),
            timeout: Duration::from_mins(10),
        })
}

/// The length of a channel, if something else than the engine's default is measured.
pub(crate) trait Channel {
    /// Holds so many jobs; the engine's default if none is given.
    fn channel(self, capacity: Option<usize>) -> Self;
}

impl Channel for EngineBuilder {
    fn channel(self, capacity: Option<usize>) -> Self {
        match capacity {
            Some(jobs) => self.capacity(jobs),
            None => self,
        }
    }
}

/// Schedules `jobs` in bulks, each acknowledged before the next is sent.
pub(crate) fn schedule_in_bulks(
    scheduler: &Scheduler,
    jobs: u64,
    bulk: u64,
    payload: &Payload,
) -> Result<()> {
    let mut accepted = 0;
    while accepted < jobs {
        let bulk = bulk.clamp(1, jobs - accepted);
        let requests = (0..bulk).map(|_| Request::new(NOOP, payload.clone()));
        scheduler.schedule_all_blocking(requests.collect())?;
        accepted += bulk;
    }
    Ok(())
}

/// JSON text of exactly `bytes`, at least 11.
pub(crate) fn payload(bytes: usize) -> Payload {
    let frame = r#"{"text":""}"#.len();
    let text = "x".repeat(bytes.saturating_sub(frame));
    Payload::from_json(format!(r#"{{"text":"{text}"}}"#).into_bytes())
}

/// Refuses a figure when a run is left over. Reads all runs, so not while the time is taken.
pub(crate) fn check_all_ended(engine: &Engine) -> Result<()> {
    let left = engine.inspector()?.runs(RunFilter::Unfinished, 1)?;
    if left.is_empty() {
        Ok(())
    } else {
        let text = "a run had not ended when all were counted as done";
        Err(BenchError::Unsound(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_payload_has_its_length_and_is_json() {
        for bytes in [11, 100, 1_024] {
            let payload = super::payload(bytes);
            assert_eq!(payload.len(), bytes);
            payload.decode::<serde_json::Value>().unwrap();
        }
    }
}
