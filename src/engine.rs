//! The engine: puts the parts together and starts their threads.

use std::path::PathBuf;
use std::time::Duration;

use windlass_runner::{Crew, Handlers, Served, Serving, on_runner_thread};
use windlass_scheduler::{Catalog, Dispatcher, Hooks, Recovery, Scheduler, Waiters};
use windlass_store::inspect::Inspector;
use windlass_store::sync::{
    Arc, JoinHandle, Mutex, Receiver, Sender, block_on, bounded, oneshot, spawn,
};
use windlass_store::{
    Change, Committed, LockedJob, OwnerLife, OwnerRow, StorageError, Store, StoreKind, Writer,
};
use windlass_workflow_model::{OwnerId, WorkflowKey};

use crate::builder::{EngineBuilder, EngineError, Wrapping};
use crate::expressions::complete;
use crate::workflow::Workflow;

/// How an engine was shut down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Jobs that were given back unfinished; they begin again when an engine opens the store.
    pub given_back: usize,
    /// Threads that are still in steps that did not stop.
    pub abandoned: usize,
}

/// A few counts of a living engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Attempts going on.
    pub running: u64,
    /// Jobs on the channel.
    pub on_channel: u64,
    /// Transactions that wrote something since the engine was opened.
    pub transactions: u64,
    /// Rows that they inserted, updated or deleted.
    pub rows_written: u64,
    /// Threads in steps that ignore that their time is over.
    pub abandoned: usize,
}

/// A running engine: Scheduler, Runners and store in this process.
///
/// Dropping it shuts it down as [`shutdown`](Self::shutdown) does, with a deadline of a second.
#[derive(Debug)]
pub struct Engine {
    core: Core,
    jobs: Receiver<Arc<LockedJob>>,
    crew: Arc<Crew>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What an engine has in common with a stepped one.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) store: Store,
    pub(crate) serving: Arc<Serving>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) scheduler: Scheduler,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) handlers: Handlers,
    pub(crate) wrapping: Wrapping,
    pub(crate) owner: OwnerId,
}

/// The parts of an engine before anything runs.
pub(crate) struct Opening {
    pub(crate) core: Core,
    pub(crate) writer: Writer,
    pub(crate) committed: Receiver<Committed>,
    pub(crate) recovery: Option<Recovery>,
}

impl Opening {
    /// Opens the store, claims its owner file, frees what dead owners left, registers the workflows.
    /// All on this thread: nothing else runs yet.
    pub(crate) fn new(builder: &EngineBuilder) -> Result<Self, EngineError> {
        let clock = builder.the_clock();
        let (store, mut writer, committed) = match &builder.database {
            Some(path) => Store::open(path, builder.options, clock, builder.commit_hook.clone())?,
            None => Store::memory(builder.options, clock),
        };
        store.meter().set_capacity(builder.capacity.max(1));
        let owner = claim(&store, &mut writer, &committed)?;
        let mut recovery = Recovery::new(&store, owner, builder.max_crashes)?;
        if let Some(recovery) = &mut recovery {
            recovery.recover(|| step(&mut writer, &committed))?;
        }
        let (catalog, waiters) = (Arc::new(Catalog::default()), Arc::new(Waiters::default()));
        let scheduler = Scheduler::new(
            store.clone(),
            Arc::clone(&catalog),
            Arc::clone(&waiters),
            on_runner_thread,
        )?;
        let core = Core {
            serving: Arc::new(Serving::new(store.clone())),
            store,
            catalog,
            scheduler,
            waiters,
            handlers: builder.handlers.clone(),
            wrapping: builder.wrapping.clone(),
            owner,
        };
        let mut opening = Self {
            core,
            writer,
            committed,
            recovery,
        };
        for workflow in &builder.workflows {
            opening.register(workflow)?;
        }
        Ok(opening)
    }

    /// Makes a workflow known and serves it.
    pub(crate) fn register<T>(&mut self, workflow: &Workflow<T>) -> Result<(), EngineError> {
        let (served, change, mut answer) = self.core.registration(workflow)?;
        ask(&self.core.store, change)?;
        let key = wait_for(&mut answer, || step(&mut self.writer, &self.committed))??;
        self.core.serve(key, served);
        Ok(())
    }
}

/// Claims an owner file, if there are files, and registers its owner.
fn claim(
    store: &Store,
    writer: &mut Writer,
    committed: &Receiver<Committed>,
) -> Result<OwnerId, EngineError> {
    let life = match store.kind() {
        StoreKind::Sqlite { owners, .. } => owners.claim()?,
        StoreKind::Memory { .. } => OwnerLife::in_memory(),
    };
    let file = life.name().to_owned();
    store.set_life(life);
    let owner = OwnerRow {
        id: OwnerId(0),
        started_at: store.clock().now(),
        pid: std::process::id(),
        host: host(),
        file,
    };
    let (reply, mut answer) = oneshot::channel();
    ask(store, Change::RegisterOwner { owner, reply })?;
    let owner = wait_for(&mut answer, || step(writer, committed))??;
    store.note_log();
    Ok(owner)
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

fn ask(store: &Store, change: Change) -> Result<(), StorageError> {
    store.submit(change).map_err(|_| StorageError::Closed)
}

/// Lets the writer work once and gives the answers, while there is no dispatcher to do so.
fn step(writer: &mut Writer, committed: &Receiver<Committed>) {
    writer.turn(Duration::ZERO);
    while let Ok(mut committed) = committed.try_recv() {
        committed.tell();
    }
}

fn wait_for<T>(
    answer: &mut oneshot::Receiver<T>,
    mut step: impl FnMut(),
) -> Result<T, StorageError> {
    loop {
        step();
        match answer.try_recv() {
            Ok(answer) => return Ok(answer),
            Err(oneshot::error::TryRecvError::Empty) => {}
            Err(oneshot::error::TryRecvError::Closed) => return Err(StorageError::Closed),
        }
    }
}

impl Core {
    #[expect(
        clippy::type_complexity,
        reason = "what is asked, and where the answer comes"
    )]
    pub(crate) fn registration<T>(
        &self,
        workflow: &Workflow<T>,
    ) -> Result<
        (
            Arc<Served>,
            Change,
            oneshot::Receiver<Result<WorkflowKey, windlass_store::WriteError>>,
        ),
        EngineError,
    > {
        let mut handlers = self.handlers.clone();
        handlers.extend(workflow.handlers.clone());
        let handlers = self.wrapping.wrap(handlers);
        let definition = Arc::clone(&workflow.definition);
        let mut functions = workflow.functions.clone();
        complete(&definition, &mut functions)?;
        let served = Served::new(definition, functions, &handlers)?;
        let (reply, answer) = oneshot::channel();
        let definition = Arc::clone(&workflow.definition);
        Ok((
            Arc::new(served),
            Change::Register {
                definition,
                serve: true,
                reply,
            },
            answer,
        ))
    }

    pub(crate) fn serve(&self, key: WorkflowKey, served: Arc<Served>) {
        self.catalog.insert(key, Arc::clone(served.definition()));
        self.serving.insert(key, served);
        // Its jobs may have waited in the outbox for somebody who has its code.
        self.store.nudge();
    }
}

impl Engine {
    /// Opens an engine on a SQLite file with the defaults of [`EngineBuilder`].
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, EngineError> {
        Self::builder().database(path).open()
    }

    /// All settings.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    pub(crate) fn start(builder: &EngineBuilder) -> Result<Self, EngineError> {
        let Opening {
            core,
            writer,
            committed,
            recovery,
        } = Opening::new(builder)?;
        let (send, jobs) = bounded(builder.capacity.max(1));
        let crew = Arc::new(Crew::new(
            core.store.clone(),
            Arc::clone(&core.serving),
            jobs.clone(),
            builder.in_flight,
        ));
        let dispatcher = dispatcher(&core, committed, send, &crew, recovery, builder)?;
        let mut threads = Vec::new();
        threads.push(spawn("windlass-writer".to_owned(), move || writer.run())?);
        threads.push(spawn("windlass-dispatcher".to_owned(), move || {
            dispatcher.run();
        })?);
        let supervisor = Arc::clone(&crew);
        threads.push(spawn("windlass-supervisor".to_owned(), move || {
            supervisor.supervise();
        })?);
        crew.set_runners(builder.runners);
        Ok(Self {
            core,
            jobs,
            crew,
            threads: Mutex::new(threads),
        })
    }

    /// The way in. Cheap to clone; outlives the engine, but then refuses.
    pub fn scheduler(&self) -> Scheduler {
        self.core.scheduler.clone()
    }

    /// Reads the engine's store.
    ///
    /// # Errors
    /// When it cannot be opened once more.
    pub fn inspector(&self) -> Result<Inspector, StorageError> {
        Inspector::of(&self.core.store)
    }

    /// Serves one more workflow from now on, runs that waited for its code included.
    ///
    /// # Errors
    /// [`EngineError`]: code is missing, or the name and version mean another definition.
    pub fn register<T>(&self, workflow: &Workflow<T>) -> Result<(), EngineError> {
        let (served, change, answer) = self.core.registration(workflow)?;
        // Known before its first job can be locked.
        let key = {
            ask(&self.core.store, unserved(change))?;
            block_on(answer).map_err(|_| StorageError::Closed)??
        };
        self.core.serve(key, served);
        let (_, change, answer) = self.core.registration(workflow)?;
        ask(&self.core.store, change)?;
        block_on(answer).map_err(|_| StorageError::Closed)??;
        Ok(())
    }

    /// Makes it so many Runners, while running. Those that are too many finish their step first.
    pub fn set_runners(&self, runners: usize) {
        self.crew.set_runners(runners);
    }

    /// How many Runners there are.
    pub fn runners(&self) -> usize {
        self.crew.runners()
    }

    /// A few counts.
    pub fn stats(&self) -> Stats {
        let meter = self.core.store.meter();
        let (transactions, rows_written) = meter.written();
        Stats {
            transactions,
            rows_written,
            running: meter.running(),
            on_channel: meter.outstanding(),
            abandoned: self.crew.abandoned(),
        }
    }

    /// Stops taking jobs, waits up to `deadline` for the steps in flight, gives the rest back, and
    /// closes the store. What is not finished has not failed: it begins again when an engine opens
    /// the store.
    pub fn shutdown(self, deadline: Duration) -> ShutdownReport {
        self.close(deadline)
    }

    fn close(&self, deadline: Duration) -> ShutdownReport {
        let threads = std::mem::take(&mut *self.threads.lock());
        if threads.is_empty() {
            return ShutdownReport::default();
        }
        let store = &self.core.store;
        store.meter().shut();
        let stopped = self.crew.stop(deadline);
        let left: Vec<_> = self
            .jobs
            .try_iter()
            .filter(|job| job.ticket.withdraw())
            .collect();
        let keys = left.iter().map(|job| job.row.key()).collect();
        let (reply, _) = oneshot::channel();
        let owner = self.core.owner;
        let changes = [
            Change::Unlock(keys),
            // Whatever is locked still: nobody is to blame.
            Change::Recover {
                owner,
                running: Vec::new(),
                crashed: false,
                max_crashes: 1,
                reply,
            },
            Change::Close,
        ];
        for change in changes {
            // A store that was closed by an error has told so already.
            let _ = store.submit(change);
        }
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the engine panicked; please report it");
            }
        }
        if let Some(life) = store.life() {
            life.end(true);
        }
        ShutdownReport {
            given_back: stopped.given_back,
            abandoned: stopped.abandoned,
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close(Duration::from_secs(1));
    }
}

fn unserved(change: Change) -> Change {
    match change {
        Change::Register {
            definition, reply, ..
        } => Change::Register {
            definition,
            serve: false,
            reply,
        },
        other => other,
    }
}

/// The dispatcher of an engine, tied to its Runners.
pub(crate) fn dispatcher(
    core: &Core,
    committed: Receiver<Committed>,
    jobs: Sender<Arc<LockedJob>>,
    crew: &Arc<Crew>,
    recovery: Option<Recovery>,
    builder: &EngineBuilder,
) -> Result<Dispatcher, StorageError> {
    let arrivals = Arc::clone(crew.arrivals());
    let seats = || Arc::clone(crew.seats());
    let (to_stop, to_withdraw, to_check) = (seats(), seats(), seats());
    let hooks = Hooks {
        arrived: Box::new(move || arrivals.notify_waiters()),
        cancelled: Box::new(move |run| to_stop.cancel(run)),
        withdrawn: Box::new(move |branch, token| to_withdraw.cancel_branch(branch, token)),
        in_flight: Box::new(move || {
            to_check
                .in_flight()
                .into_iter()
                .map(|in_flight| in_flight.job)
                .collect()
        }),
    };
    let waiters = Arc::clone(&core.waiters);
    let store = core.store.clone();
    Dispatcher::new(
        store,
        committed,
        jobs,
        waiters,
        hooks,
        recovery,
        builder.retention,
    )
}
