//! The engine's rate: runs of one step that does nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass::{
    Admission, Draft, Engine, Functions, Handler, Handlers, History, Inspector, Json, Payload,
    Request, RunFilter, Scheduler, StepOutput, StepSpec, Workflow,
};

use super::Workload;
use crate::clock::{Stopwatch, pause};
use crate::engine;
use crate::failure::Failure;

/// Bytes of JSON that each run begins with.
pub(super) const PAYLOAD_BYTES: usize = 100;

/// Runs in one bulk schedule: large enough that its reply does not count, small enough that Runners
/// begin at once.
const BULK: u64 = 1_000;

/// Jobs per second from the first schedule to the last completion on disk.
pub(super) fn rate(folder: &Path, workload: Workload<'_>) -> Result<f64, Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let engine = open(folder, workload)?;
    let noop = noop(&done)?;
    engine
        .register(&noop)
        .map_err(|error| Failure::broken_off(&error))?;
    let mut inspector = engine
        .inspector()
        .map_err(|error| Failure::broken_off(&error))?;

    let watch = Stopwatch::start();
    schedule(&engine.scheduler(), workload.jobs)?;
    while done.load(Ordering::Relaxed) < workload.jobs {
        pause(Duration::from_micros(200));
    }
    while !all_on_disk(&mut inspector)? {
        pause(Duration::from_micros(200));
    }
    let elapsed = watch.elapsed();
    engine.shutdown(engine::SHUTDOWN);
    #[expect(clippy::cast_precision_loss, reason = "the count is far below 2^52")]
    let jobs = workload.jobs as f64;
    Ok(jobs / elapsed.as_secs_f64())
}

fn open(folder: &Path, workload: Workload<'_>) -> Result<Engine, Failure> {
    Engine::builder()
        .database(folder.join("bench.db"))
        .durability(engine::durability(workload.durability))
        .history(History::All)
        .runners(usize::try_from(workload.runners).unwrap_or(usize::MAX))
        .admission(Admission::Backpressure {
            max_pending: workload.jobs.max(1_000_000),
            timeout: Duration::from_mins(10),
        })
        .open()
        .map_err(|error| Failure::refused_by(&error))
}

/// A workflow of one step that counts itself.
fn noop(done: &Arc<AtomicU64>) -> Result<Workflow<Json>, Failure> {
    let mut draft = Draft::new("noop", "1");
    let step = draft.step("noop", StepSpec::new("noop"));
    draft.start_at(step);
    let definition = draft
        .finish()
        .map_err(|error| Failure::broken_off(&error))?;
    let done = Arc::clone(done);
    let handler = Handler::blocking(move |_, data| {
        done.fetch_add(1, Ordering::Relaxed);
        Ok(StepOutput::data(data.clone()))
    });
    let handlers = Handlers::new().with("noop", handler);
    Ok(Workflow::from_parts(definition, Functions::new(), handlers))
}

/// One producer, in bulks.
fn schedule(scheduler: &Scheduler, jobs: u64) -> Result<(), Failure> {
    let payload = payload();
    let mut accepted = 0;
    while accepted < jobs {
        let bulk = BULK.min(jobs - accepted);
        let requests = (0..bulk).map(|_| Request::new("noop", payload.clone()));
        scheduler
            .schedule_all_blocking(requests.collect())
            .map_err(|error| Failure::broken_off(&error))?;
        accepted += bulk;
    }
    Ok(())
}

/// Exactly [`PAYLOAD_BYTES`] of JSON.
pub(super) fn payload() -> Payload {
    let frame = r#"{"text":""}"#.len();
    let text = "x".repeat(PAYLOAD_BYTES - frame);
    Payload::from_json(format!(r#"{{"text":"{text}"}}"#).into_bytes())
}

fn all_on_disk(inspector: &mut Inspector) -> Result<bool, Failure> {
    let unfinished = inspector.runs(RunFilter::Unfinished, 1);
    Ok(unfinished
        .map_err(|error| Failure::broken_off(&error))?
        .is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_payload_has_its_length_and_is_json() {
        let payload = super::payload();
        assert_eq!(payload.len(), super::PAYLOAD_BYTES);
        payload.decode::<serde_json::Value>().unwrap();
    }
}
