//! Every knob of an engine.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use windlass_runner::{Handler, Handlers, MissingParts};
use windlass_store::sync::Arc;
use windlass_store::{
    Admission, BackupError, Clock, CommitHook, Durability, History, OpenError, Options, Retention,
    StorageError, SystemClock, WriteError,
};

use crate::engine::Engine;
use crate::expressions::InvalidExpressions;
use crate::stepped::SteppedEngine;
use crate::workflow::{Json, Workflow};

/// Why an engine could not be opened, or could not take a workflow.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database cannot be copied.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// A workflow lacks code.
    #[error(transparent)]
    Missing(#[from] MissingParts),
    /// Expressions of a workflow cannot be used.
    #[error(transparent)]
    Expressions(#[from] InvalidExpressions),
    /// The store refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Our owner file cannot be made, or there is no thread.
    #[error(
        "the engine cannot be started: {0}; check the permissions and free space of the database's folder, and the limits of this user"
    )]
    System(#[from] std::io::Error),
}

/// The settings of an engine, with their defaults.
#[derive(Clone)]
pub struct EngineBuilder {
    pub(crate) database: Option<PathBuf>,
    pub(crate) options: Options,
    pub(crate) runners: usize,
    pub(crate) in_flight: usize,
    pub(crate) capacity: usize,
    pub(crate) max_crashes: u32,
    pub(crate) retention: Option<Retention>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) workflows: Vec<Workflow<Json>>,
    pub(crate) handlers: Handlers,
    pub(crate) commit_hook: Option<CommitHook>,
    pub(crate) wrapping: Wrapping,
}

/// Gives what is called in the place of the handler of that name.
pub type WrapHandlers = Arc<dyn Fn(&str, Handler) -> Handler + Send + Sync>;

/// What is called in the place of each handler: itself, if nothing is set.
#[derive(Clone, Default)]
pub(crate) struct Wrapping(Option<WrapHandlers>);

impl Wrapping {
    pub(crate) fn wrap(&self, handlers: Handlers) -> Handlers {
        match &self.0 {
            Some(wrap) => handlers.map(|name, handler| wrap(name, handler)),
            None => handlers,
        }
    }
}

impl fmt::Debug for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wrapping").field(&self.0.is_some()).finish()
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("database", &self.database)
            .field("options", &self.options)
            .field("runners", &self.runners)
            .field("in_flight", &self.in_flight)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

impl Default for EngineBuilder {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            database: None,
            options: Options::default(),
            runners: cores,
            in_flight: 1,
            capacity: 8_192,
            max_crashes: 3,
            retention: None,
            clock: None,
            workflows: Vec::new(),
            handlers: Handlers::new(),
            commit_hook: None,
            wrapping: Wrapping::default(),
        }
    }
}

impl EngineBuilder {
    /// The SQLite file; it is made if there is none. Default: in memory.
    #[must_use]
    pub fn database(mut self, path: impl Into<PathBuf>) -> Self {
        self.database = Some(path.into());
        self
    }

    /// Keeps everything in memory: gone with the process.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.database = None;
        self
    }

    /// What survives a power loss. Default [`Durability::Full`]: everything acknowledged.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.options.durability = durability;
        self
    }

    /// Which attempts leave a row behind. Default [`History::All`]; less is faster and shows less.
    #[must_use]
    pub fn history(mut self, history: History) -> Self {
        self.options.history = history;
        self
    }

    /// What the door does when too much waits. Default: backpressure at 1,000,000 runs, 30 s. A
    /// small bound refuses early; a large one lets the file and the waiting time grow.
    #[must_use]
    pub fn admission(mut self, admission: Admission) -> Self {
        self.options.admission = admission;
        self
    }

    /// Changes that one commit takes at most, 1 to 2,048. Default 2,048. With 1 every change is a
    /// commit of its own: for crash tests that are to see each state between two changes. A small
    /// bound costs one sync for each change under load; changes whose commit failed for want of
    /// room are still tried again together.
    #[must_use]
    pub fn changes_per_commit(mut self, changes: usize) -> Self {
        self.options.changes_per_commit = changes;
        self
    }

    /// Bytes of the file that are kept in memory at most. Default 64 MiB. With less, a store whose
    /// living rows do not fit reads them again and again.
    #[must_use]
    pub fn page_cache(mut self, bytes: usize) -> Self {
        self.options.page_cache_bytes = bytes;
        self
    }

    /// Runner threads, 0 to 1,024. Default: one for each core. With 0 nothing runs: for tools that
    /// only schedule or signal.
    #[must_use]
    pub fn runners(mut self, runners: usize) -> Self {
        self.runners = runners;
        self
    }

    /// Asynchronous steps that one Runner has in flight, 1 to 10,000. Default 1. Blocking steps
    /// occupy their Runner whatever it is.
    #[must_use]
    pub fn in_flight(mut self, steps: usize) -> Self {
        self.in_flight = steps;
        self
    }

    /// Jobs that the channel holds, at least 1. Default 8,192. A small one makes Runners wait for
    /// the disk (with 1, each quick job costs one commit); a large one costs memory, and nothing else:
    /// it is filled for 200 ms ahead only, and with about 64 MiB of data.
    #[must_use]
    pub fn capacity(mut self, jobs: usize) -> Self {
        self.capacity = jobs;
        self
    }

    /// After how many crashes of its engine, while it ran alone, a job is parked. Default 3.
    #[must_use]
    pub fn max_crashes(mut self, crashes: u32) -> Self {
        self.max_crashes = crashes.max(1);
        self
    }

    /// How long ended runs stay. Default: for ever.
    #[must_use]
    pub fn retention(mut self, retention: Option<Retention>) -> Self {
        self.retention = retention;
        self
    }

    /// Runs that ended longer ago than `keep` are deleted.
    #[must_use]
    pub fn keep(self, keep: Duration) -> Self {
        self.retention(Some(Retention { keep }))
    }

    /// Where time comes from. Default: the machine's clocks.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Called on the writer's thread before and after every commit, with its number: for crash tests
    /// and measurements. Not called in memory, where there are no commits.
    #[must_use]
    pub fn commit_hook(mut self, hook: CommitHook) -> Self {
        self.commit_hook = Some(hook);
        self
    }

    /// Called with every handler when its workflow is registered, those that undo and find out
    /// included; what it gives is called in its place: for crash tests and measurements. Of several
    /// only the last one counts.
    #[must_use]
    pub fn wrap_handlers(mut self, wrap: WrapHandlers) -> Self {
        self.wrapping = Wrapping(Some(wrap));
        self
    }

    /// A workflow to serve. More can be given to [`Engine::register`] later.
    #[must_use]
    pub fn workflow<T>(mut self, workflow: &Workflow<T>) -> Self {
        self.workflows.push(workflow.untyped());
        self
    }

    /// A handler for the steps that name it.
    #[must_use]
    pub fn handler(mut self, name: impl Into<String>, handler: Handler) -> Self {
        self.handlers.insert(name, handler);
        self
    }

    /// Opens the engine. What a crash left behind is free again when this returns.
    ///
    /// # Errors
    /// [`EngineError`]; then nothing runs.
    pub fn open(self) -> Result<Engine, EngineError> {
        Engine::start(&self)
    }

    /// Opens an engine without threads, which does only what it is told, step by step.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open_stepped(self) -> Result<SteppedEngine, EngineError> {
        SteppedEngine::start(&self)
    }

    pub(crate) fn the_clock(&self) -> Arc<dyn Clock> {
        self.clock
            .clone()
            .unwrap_or_else(|| Arc::new(SystemClock::new()))
    }
}
