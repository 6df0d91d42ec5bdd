//! What the scenarios share: an engine in memory on the time of the execution, and what its steps did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::{Clock, Context, Engine, EngineBuilder, StepError, Timestamp, Workflow};
use windlass_interleavings::{AtomicU64, Ordering, elapsed, is_patient, pause};

/// The time of the execution, as an engine's clock.
#[derive(Debug)]
pub(crate) struct TheTime;

impl Clock for TheTime {
    fn now(&self) -> Timestamp {
        Timestamp::default().after(elapsed())
    }

    fn elapsed(&self) -> Duration {
        elapsed()
    }
}

/// How often each step of each run was done. Behind a lock of the machine: noting it is no step of the
/// order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stage {
    done: Arc<Mutex<BTreeMap<(u64, &'static str), u32>>>,
    /// Touched by each step, so that others may go on in the middle of it.
    touched: Arc<AtomicU64>,
}

/// A step of a workflow whose data is the number of its run.
type Step = Box<dyn Fn(&Context, &mut u64) -> Result<(), StepError> + Send + Sync>;

impl Stage {
    /// A step that notes that it was done.
    pub(crate) fn step(&self, name: &'static str) -> Step {
        let stage = self.clone();
        Box::new(move |_, run| {
            stage.note(*run, name);
            Ok(())
        })
    }

    pub(crate) fn note(&self, run: u64, name: &'static str) {
        self.touched.fetch_add(1, Ordering::SeqCst);
        *self.done.lock().unwrap().entry((run, name)).or_default() += 1;
    }

    /// How often a step of a run was done.
    pub(crate) fn times(&self, run: u64, name: &'static str) -> u32 {
        let done = self.done.lock().unwrap();
        done.get(&(run, name)).copied().unwrap_or(0)
    }

    /// How many steps were done in all.
    pub(crate) fn all(&self) -> u32 {
        self.done.lock().unwrap().values().sum()
    }

    /// A split of two, and a step behind its join.
    pub(crate) fn pair(&self) -> Workflow<u64> {
        Workflow::build("pair", "1", |flow| {
            flow.split("both", |split| {
                split
                    .branch("left", |flow| flow.step("left", self.step("left")))
                    .branch("right", |flow| flow.step("right", self.step("right")))
            })
            .step("last", self.step("last"))
        })
        .unwrap()
    }

    /// One step.
    pub(crate) fn single(&self) -> Workflow<u64> {
        Workflow::build("single", "1", |flow| flow.step("only", self.step("only"))).unwrap()
    }
}

/// An engine in memory with this workflow and two Runners.
pub(crate) fn engine(workflow: &Workflow<u64>) -> EngineBuilder {
    Engine::builder()
        .in_memory()
        .clock(Arc::new(TheTime))
        .runners(2)
        .capacity(2)
        .workflow(workflow)
}

/// Nothing is left of work: no job locked, no timer, no join.
pub(crate) fn assert_nothing_left(inspector: &mut windlass::Inspector) {
    for (table, rows) in inspector.leftovers().unwrap() {
        assert_eq!(rows, 0, "{table} has rows of runs that have ended");
    }
}

/// When all work is done, no seat is taken and the whole channel is free: no count was lost.
pub(crate) fn assert_comes_to_rest(engine: &Engine) {
    for _ in 0..1_000 {
        let stats = engine.stats();
        if (stats.running, stats.on_channel) == (0, 0) {
            return;
        }
        // A Runner may have handed its outcome over and not counted itself out yet.
        pause(Duration::from_millis(1));
    }
    panic!("never at rest: {:?}", engine.stats());
}

/// In a patient execution nothing that was there to be done has waited, but for the dispatcher's next look:
/// where a prediction of room was wrong, that look puts it right.
pub(crate) fn assert_no_wait_was_lost() {
    let took = elapsed();
    let looks = 2 * windlass::limits::scheduler::LOOK_EVERY;
    assert!(!is_patient() || took <= looks, "it took {took:?}");
}

/// Shuts down an engine that has nothing to do.
pub(crate) fn shut_down(engine: Engine) {
    let report = engine.shutdown(Duration::from_secs(10));
    assert_eq!(report.given_back, 0);
    // Where time runs on, it may be over before a Runner had its turn to leave. It still does.
    assert!(!is_patient() || report.abandoned == 0, "{report:?}");
}
