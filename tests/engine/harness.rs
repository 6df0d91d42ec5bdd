//! What the tests share: places for a store, an engine on one thread, and ways to meet.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::Semaphore;
use windlass::{
    Context, Engine, EngineBuilder, Event, Fault, Inspector, ManualClock, Payload, Request,
    RunDetail, RunFilter, RunHandle, RunId, RunOutcome, RunStatus, Scheduler, SignalOutcome,
    StepError, SteppedEngine, Timestamp, Workflow,
};

/// How long a test waits for what must happen before it says that it did not.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The smallest time that a clock tells.
pub(crate) const TICK: Duration = Duration::from_micros(1);

/// Rounds of an engine on one thread after which what was asked for must have been answered.
const ROUNDS_MAX: usize = 100_000;

/// The data of most test workflows: the names of the steps passed, in order.
pub(crate) type Trail = Vec<String>;

/// A step that leaves its name in the trail.
pub(crate) fn mark(
    name: &'static str,
) -> impl Fn(&Context, &mut Trail) -> Result<(), StepError> + Send + Sync + 'static {
    move |_, trail| {
        trail.push(name.to_owned());
        Ok(())
    }
}

/// A step that fails with its name as the message.
pub(crate) fn fail(
    name: &'static str,
) -> impl Fn(&Context, &mut Trail) -> Result<(), StepError> + Send + Sync + 'static {
    move |_, _| Err(StepError::failed(name))
}

/// A join that appends what each branch has added to the trail, in branch order.
#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
pub(crate) fn gather(
    trail: &mut Trail,
    branches: Vec<windlass::BranchResult<Trail>>,
) -> Result<(), StepError> {
    let before = trail.len();
    for branch in branches {
        trail.extend(branch.data.into_iter().skip(before));
    }
    Ok(())
}

/// A place where a store can be: in memory, or a file in a folder of its own.
pub(crate) struct Place {
    folder: Option<TempDir>,
}

impl Place {
    pub(crate) fn memory() -> Self {
        Self { folder: None }
    }

    pub(crate) fn file() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self {
            folder: Some(folder),
        }
    }

    pub(crate) fn is_file(&self) -> bool {
        self.folder.is_some()
    }

    /// The database of a place that is a file.
    pub(crate) fn path(&self) -> PathBuf {
        let folder = self.folder.as_ref().expect("a place on disk").path();
        Path::new(folder).join("windlass.db")
    }

    /// An engine here, with one Runner unless the test says otherwise.
    pub(crate) fn builder(&self) -> EngineBuilder {
        let builder = Engine::builder().runners(1);
        if self.is_file() {
            builder.database(self.path())
        } else {
            builder.in_memory()
        }
    }
}

/// Does the same in memory and on SQLite.
pub(crate) fn on_each(test: impl Fn(&Place)) {
    for place in [Place::memory(), Place::file()] {
        test(&place);
    }
}

/// A clock that stands until it is told to move.
pub(crate) fn standing_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp(1_700_000_000_000_000)))
}

/// All but the last moment of `duration`.
pub(crate) fn almost(duration: Duration) -> Duration {
    duration.saturating_sub(TICK)
}

/// An engine on this thread: nothing happens unless it is stepped.
pub(crate) struct Stepped {
    pub(crate) engine: SteppedEngine,
    pub(crate) scheduler: Scheduler,
}

impl Stepped {
    pub(crate) fn open(builder: EngineBuilder) -> Self {
        let engine = builder.open_stepped().expect("the engine opens");
        let scheduler = engine.scheduler();
        Self { engine, scheduler }
    }

    /// Lets writer and dispatcher work until `asked` is answered; no Runner takes a job.
    pub(crate) fn ask<F: Future>(&mut self, asked: F) -> F::Output {
        let mut asked = pin!(asked);
        let mut context = std::task::Context::from_waker(Waker::noop());
        for _ in 0..ROUNDS_MAX {
            if let Poll::Ready(answer) = asked.as_mut().poll(&mut context) {
                return answer;
            }
            self.engine.step_writer();
            self.engine.step_dispatcher();
        }
        panic!("the engine does not answer");
    }

    pub(crate) fn schedule(&mut self, request: Request) -> RunId {
        let scheduler = self.scheduler.clone();
        self.ask(scheduler.schedule(request))
            .expect("the run is admitted")
            .id()
    }

    pub(crate) fn begin<T>(&mut self, workflow: &Workflow<T>, input: &T) -> RunId
    where
        T: serde::Serialize + serde::de::DeserializeOwned + 'static,
    {
        self.schedule(workflow.request(input).expect("the input has a JSON form"))
    }

    pub(crate) fn signal(&mut self, event: Event) -> SignalOutcome {
        let scheduler = self.scheduler.clone();
        self.ask(scheduler.signal(event))
            .expect("the event is taken")
    }

    pub(crate) fn cancel(&mut self, run: RunId, reason: &str) -> bool {
        let scheduler = self.scheduler.clone();
        self.ask(scheduler.cancel(run, reason))
            .expect("the run is known")
    }

    pub(crate) fn retry(&mut self, run: RunId) -> u32 {
        let scheduler = self.scheduler.clone();
        self.ask(scheduler.retry(run)).expect("the run can go on")
    }

    pub(crate) fn settle(&mut self) {
        self.engine.settle();
    }

    pub(crate) fn inspector(&self) -> Inspector {
        self.engine.inspector().expect("the store can be read")
    }

    pub(crate) fn outcome(&self, run: RunId) -> Option<RunOutcome> {
        self.inspector()
            .outcome(run)
            .expect("the store can be read")
    }

    pub(crate) fn status(&self, run: RunId) -> RunStatus {
        self.show(run).summary.status
    }

    pub(crate) fn show(&self, run: RunId) -> RunDetail {
        self.inspector()
            .show(run)
            .expect("the store can be read")
            .expect("the run is stored")
    }

    /// The kinds of waits of a run's live branches, sorted.
    pub(crate) fn waits(&self, run: RunId) -> Vec<&'static str> {
        let why = self.inspector().why(run).expect("the store can be read");
        let branches = why.expect("the run is stored").branches;
        let mut kinds: Vec<_> = branches.iter().map(|b| b.waits_for.kind).collect();
        kinds.sort_unstable();
        kinds
    }

    /// The data of a run that has succeeded.
    #[track_caller]
    pub(crate) fn data<T: serde::de::DeserializeOwned>(&self, run: RunId) -> T {
        data(self.outcome(run).unwrap_or_else(|| {
            let why = self.inspector().why(run);
            panic!("the run has not ended: {why:?}")
        }))
    }

    /// The fault of a run that has failed.
    #[track_caller]
    pub(crate) fn fault(&self, run: RunId) -> Fault {
        fault(self.outcome(run).expect("the run has ended"))
    }

    #[track_caller]
    pub(crate) fn assert_no_leftovers(&self) {
        no_leftovers(self.inspector());
    }
}

/// The data of a run that has succeeded.
#[track_caller]
pub(crate) fn data<T: serde::de::DeserializeOwned>(outcome: RunOutcome) -> T {
    match outcome {
        RunOutcome::Succeeded(data) => data.decode().expect("the data is what the workflow makes"),
        other => panic!("the run did not succeed: {other:?}"),
    }
}

/// The fault of a run that has failed.
#[track_caller]
pub(crate) fn fault(outcome: RunOutcome) -> Fault {
    match outcome {
        RunOutcome::Failed(fault) => fault,
        other => panic!("the run did not fail: {other:?}"),
    }
}

/// The messages of a fault, in its order.
pub(crate) fn messages(fault: &Fault) -> Vec<&str> {
    fault.errors.iter().map(|e| e.message.as_str()).collect()
}

/// The codes of a fault, in its order.
pub(crate) fn codes(fault: &Fault) -> Vec<&str> {
    fault.errors.iter().map(|e| e.code.as_str()).collect()
}

/// Begins a run on an engine with threads.
#[track_caller]
pub(crate) fn begin<T>(engine: &Engine, workflow: &Workflow<T>, input: &T) -> RunHandle
where
    T: serde::Serialize + serde::de::DeserializeOwned + 'static,
{
    let request = workflow.request(input).expect("the input has a JSON form");
    engine
        .scheduler()
        .schedule_blocking(request)
        .expect("the run is admitted")
}

#[track_caller]
pub(crate) fn end_of(run: &RunHandle) -> RunOutcome {
    run.wait_blocking(Some(PATIENCE)).expect("the run ends")
}

/// When every run has ended nothing is left of them but the runs themselves and their history (I8).
#[track_caller]
pub(crate) fn assert_no_leftovers(engine: &Engine) {
    no_leftovers(engine.inspector().expect("the store can be read"));
}

#[track_caller]
fn no_leftovers(mut inspector: Inspector) {
    let open = inspector
        .runs(RunFilter::Unfinished, 10)
        .expect("the store can be read");
    assert!(open.is_empty(), "runs are open still: {open:?}");
    let leftovers = inspector.leftovers().expect("the store can be read");
    let left: Vec<_> = leftovers.iter().filter(|(_, rows)| *rows > 0).collect();
    assert!(left.is_empty(), "left over: {left:?}");
}

/// An event with a JSON value.
pub(crate) fn event(run: RunId, name: &str, id: &str, value: &str) -> Event {
    Event::new(
        run,
        name,
        id,
        Payload::encode(&value).expect("text is JSON"),
    )
}

/// Where so many threads meet; whoever waits in vain is told so.
#[derive(Clone)]
pub(crate) struct Meeting(Arc<(Mutex<usize>, Condvar)>);

impl Meeting {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Counts one more arrival, and waits for nobody.
    pub(crate) fn arrive(&self) {
        *self.0.0.lock().expect("nobody panics here") += 1;
        self.0.1.notify_all();
    }

    /// Whether there have been so many arrivals before patience ended.
    #[must_use]
    pub(crate) fn wait_for(&self, arrivals: usize) -> bool {
        let count = self.0.0.lock().expect("nobody panics here");
        let (_count, timeout) = self
            .0
            .1
            .wait_timeout_while(count, PATIENCE, |count| *count < arrivals)
            .expect("nobody panics here");
        !timeout.timed_out()
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.0.lock().expect("nobody panics here")
    }
}

/// A gate before which asynchronous steps wait, and how many do.
#[derive(Clone)]
pub(crate) struct Gate {
    permits: Arc<Semaphore>,
    inside: Arc<AtomicUsize>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(0)),
            inside: Arc::default(),
        }
    }

    /// Waits until the gate lets one more pass.
    pub(crate) async fn pass(self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        self.permits
            .acquire()
            .await
            .expect("the gate is never taken away")
            .forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }

    pub(crate) fn let_pass(&self, how_many: usize) {
        self.permits.add_permits(how_many);
    }
}

/// Counts calls, by anybody.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// The number of this call, from 1.
    pub(crate) fn up(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
