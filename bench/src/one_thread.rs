//! A fixed number of jobs on one thread and a clock that stands still: the same work each time, so
//! that instructions and allocations can be counted instead of timed.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use windlass::{Handler, ManualClock, Request, StepOutput, SteppedEngine, Timestamp};

use crate::error::{BenchError, Result};
use crate::noop::{NOOP, builder, one_step, payload};
use crate::setting::{Durability, PAYLOAD_BYTES, new_folder};

/// Jobs in one bulk, which is one transaction; their checkpoints are another one.
const BULK: u64 = 500;

/// Does `jobs` no-op jobs, rounded up to whole bulks, from their admission to their last checkpoint.
/// `disk`: in SQLite in a temporary folder, with every commit synced; else in memory.
///
/// # Errors
/// [`BenchError`], also if a job is not done.
pub fn jobs_on_one_thread(jobs: u64, disk: bool) -> Result<()> {
    let folder = new_folder(&std::env::temp_dir())?;
    let database = folder.path().join("one-thread.db");
    let pass = Handler::blocking(|_, data| Ok(StepOutput::data(data.clone())));
    let clock = ManualClock::at(Timestamp(1_700_000_000_000_000));
    let mut engine = builder(disk.then_some(&*database), Durability::Full, jobs)
        .runners(1)
        .clock(Arc::new(clock))
        .workflow(&one_step(pass)?)
        .open_stepped()?;
    engine.settle();
    for _ in 0..jobs.div_ceil(BULK) {
        one_bulk(&mut engine)?;
    }
    Ok(())
}

fn one_bulk(engine: &mut SteppedEngine) -> Result<()> {
    let payload = payload(PAYLOAD_BYTES);
    let requests = (0..BULK).map(|_| Request::new(NOOP, payload.clone()));
    let scheduler = engine.scheduler();
    let mut admission = pin!(scheduler.schedule_all(requests.collect()));
    let mut context = Context::from_waker(Waker::noop());
    let mut answer = admission.as_mut().poll(&mut context);
    let mut done = 0;
    while answer.is_pending() || done < BULK {
        let wrote = engine.step_writer();
        engine.step_dispatcher();
        if answer.is_pending() {
            answer = admission.as_mut().poll(&mut context);
        }
        let before = done;
        while engine.step_runner(0) {
            done += 1;
        }
        if !wrote && done == before {
            let text = format!("nothing moves any more after {done} of {BULK} jobs");
            return Err(BenchError::Unsound(text));
        }
    }
    engine.step_writer();
    engine.step_dispatcher();
    match answer {
        Poll::Ready(handles) => handles.map(|_| ()).map_err(Into::into),
        Poll::Pending => Err(BenchError::Unsound("a bulk has no answer".to_owned())),
    }
}
