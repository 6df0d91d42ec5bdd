//! An engine with threads that serves one pattern, in one of the settings of the plain mode.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use windlass::{Clock as _, Durability, Engine, EngineBuilder, Json, Request, RunHandle};
use windlass::{SystemClock, WaitError};

use super::committed::{Committed, End, assert_no_leftovers};
use super::driver::Look;
use super::pattern::{Pattern, Servable};
use super::{PATIENCE, Stage};

/// How long the outside rests between two looks at a run.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// Where the rows are and how many may be at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) on_disk: bool,
    pub(crate) runners: usize,
    pub(crate) in_flight: usize,
}

impl Setting {
    /// All of the plain mode: both stores, one Runner with eight seats, four Runners with one.
    pub(crate) const ALL: [Self; 4] = [
        Self::of(false, 1, 8),
        Self::of(false, 4, 1),
        Self::ON_DISK,
        Self::of(true, 4, 1),
    ];

    /// For assertions about a lost engine: only a file outlives it.
    pub(crate) const ON_DISK: Self = Self::of(true, 1, 8);

    const fn of(on_disk: bool, runners: usize, in_flight: usize) -> Self {
        Self {
            on_disk,
            runners,
            in_flight,
        }
    }

    /// An engine of this setting, and the folder that it needs to stay. A process is killed here,
    /// never the machine, so nothing waits for the disk.
    pub(crate) fn builder(self) -> (EngineBuilder, Option<TempDir>) {
        let builder = Engine::builder()
            .durability(Durability::Normal)
            .runners(self.runners)
            .in_flight(self.in_flight);
        if !self.on_disk {
            return (builder.in_memory(), None);
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        (builder.database(database(&folder)), Some(folder))
    }
}

/// The database in a folder.
pub(crate) fn database(folder: &TempDir) -> PathBuf {
    folder.path().join("w.db")
}

/// See the module.
pub(crate) struct Live<'a> {
    pub(crate) engine: Engine,
    pub(crate) stage: Stage,
    pattern: &'a Pattern,
    workflow: Box<dyn Servable>,
    _folder: Option<TempDir>,
}

/// A run that has ended.
pub(crate) struct Played {
    pub(crate) end: End,
    pub(crate) committed: Committed,
}

impl<'a> Live<'a> {
    /// A new engine in a new place.
    pub(crate) fn open(pattern: &'a Pattern, setting: Setting) -> Self {
        let (builder, folder) = setting.builder();
        let live = Self::over(pattern, builder, Stage::new());
        Self {
            _folder: folder,
            ..live
        }
    }

    /// An engine with these settings, and steps on `stage`.
    pub(crate) fn over(pattern: &'a Pattern, builder: EngineBuilder, stage: Stage) -> Self {
        let workflow = pattern.workflow(&stage);
        let engine = workflow.serve(builder).open().expect("the engine opens");
        Self {
            engine,
            stage,
            pattern,
            workflow,
            _folder: None,
        }
    }

    /// Begins the pattern's own run, or finds it again.
    pub(crate) fn begin(&self) -> RunHandle {
        self.schedule(self.pattern.the_run(self.workflow.definition()))
    }

    /// Begins a run with other data.
    pub(crate) fn begin_with(&self, input: &Json) -> RunHandle {
        self.schedule(Pattern::request(self.workflow.definition(), input))
    }

    fn schedule(&self, request: Request) -> RunHandle {
        let scheduler = self.engine.scheduler();
        scheduler
            .schedule_blocking(request)
            .expect("the run is admitted")
    }

    /// What can be seen of a run.
    pub(crate) fn look(&self, run: &RunHandle) -> Look {
        let mut inspector = self.engine.inspector().expect("the store can be read");
        Look::at(&mut inspector, run.id()).expect("the run is stored")
    }

    /// Waits until what is seen of a run is so; the outside does nothing meanwhile.
    #[track_caller]
    pub(crate) fn until(&self, run: &RunHandle, what: &str, holds: impl Fn(&Look) -> bool) {
        let clock = SystemClock::new();
        let mut inspector = self.engine.inspector().expect("the store can be read");
        loop {
            let look = Look::at(&mut inspector, run.id()).expect("the run is stored");
            if holds(&look) {
                return;
            }
            let why = &look.why;
            assert!(clock.elapsed() < PATIENCE, "{what} did not come: {why:?}");
            // Only a pause: whether it has ended is seen by looking.
            let _ = run.wait_blocking(Some(BETWEEN_LOOKS));
        }
    }

    /// Sees the pattern's own run to an end that it may have, with what the outside does.
    #[track_caller]
    pub(crate) fn drive(&self, run: &RunHandle) -> Played {
        let played = self.drive_any(run);
        let (end, ends) = (&played.end, &self.pattern.ends);
        assert!(ends.contains(end), "ends with {end:?}, allowed: {ends:?}");
        played
    }

    /// Sees any run to its end, with what the outside does.
    #[track_caller]
    pub(crate) fn drive_any(&self, run: &RunHandle) -> Played {
        let end = End::from(self.outcome(run));
        let mut inspector = self.engine.inspector().expect("the store can be read");
        let committed = Committed::of(&mut inspector, run.id());
        Played { end, committed }
    }

    #[track_caller]
    fn outcome(&self, run: &RunHandle) -> windlass::RunOutcome {
        let clock = SystemClock::new();
        let patience = if self.pattern.is_driven() {
            BETWEEN_LOOKS
        } else {
            PATIENCE
        };
        let mut inspector = self.engine.inspector().expect("the store can be read");
        loop {
            if self.pattern.is_driven() {
                let look = Look::at(&mut inspector, run.id()).expect("the run is stored");
                for act in self.pattern.acts(&look) {
                    let acting = act.act(self.engine.scheduler(), &self.stage, run.id());
                    windlass_store::sync::block_on(acting);
                }
            }
            match run.wait_blocking(Some(patience)) {
                Ok(outcome) => return outcome,
                Err(WaitError::TimedOut(_)) if clock.elapsed() < PATIENCE => {}
                Err(error) => {
                    let why = inspector.why(run.id());
                    panic!("the run has not ended: {error}; {why:?}")
                }
            }
        }
    }

    /// Plays the pattern's own run to an end that it may have.
    #[track_caller]
    pub(crate) fn play(&self) -> Played {
        self.drive(&self.begin())
    }

    /// Plays a run with other data to its end, whatever that is.
    #[track_caller]
    pub(crate) fn play_with(&self, input: &Json) -> Played {
        self.drive_any(&self.begin_with(input))
    }

    /// Stops the engine; nothing may be left over.
    #[track_caller]
    pub(crate) fn close(self) {
        let mut inspector = self.engine.inspector().expect("the store can be read");
        assert_no_leftovers(&mut inspector, "at the end");
        self.engine.shutdown(PATIENCE);
    }
}
