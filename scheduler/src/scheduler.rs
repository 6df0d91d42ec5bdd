//! The door: how work comes in from outside, and how its end is awaited.

use std::time::Duration;

use windlass_store::inspect::Inspector;
use windlass_store::sync::{Arc, Mutex, block_on, oneshot};
use windlass_store::{
    Admission, Admit, AdmitError, Change, MapChange, MapOutcome, RunOutcome, SignalOutcome,
    StorageError, Store, WriteError,
};
use windlass_workflow_model::{RunId, Timestamp};

use crate::catalog::Catalog;
use crate::request::{Event, Request, Start};
use crate::waiters::Waiters;

/// Why runs were not scheduled. None of them is stored, but for [`AdmitError::Unknown`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// There is no such workflow here.
    #[error("no workflow {name:?}{} is registered with this engine (there are: {known:?}): register it first", of(version.as_deref()))]
    UnknownWorkflow {
        /// What was asked for.
        name: String,
        /// Its version, if one was asked for.
        version: Option<String>,
        /// What there is.
        known: Vec<String>,
    },
    /// The door refused, or the store did.
    #[error(transparent)]
    Refused(#[from] AdmitError<Vec<Request>>),
    /// On a Runner thread waiting for room would be waiting for oneself.
    #[error(
        "a step must not wait for room on its own runner: use Context::schedule, which is never refused"
    )]
    OnRunner,
}

fn of(version: Option<&str>) -> String {
    version
        .map(|version| format!(" version {version:?}"))
        .unwrap_or_default()
}

/// Why the end of a run was not seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It did not end in time.
    #[error("the run has not ended within {0:?}; it goes on")]
    TimedOut(Duration),
    /// There is no such run.
    #[error("there is no run {0}: it was never admitted here, or retention has removed it")]
    NoSuchRun(RunId),
    /// The engine was shut down before.
    #[error(
        "the engine was shut down before the run ended; it goes on when an engine opens the store"
    )]
    Closed,
    /// On a Runner thread this would be waiting for oneself.
    #[error(
        "a step must not wait for a run on its own runner: split, or wait for an event instead"
    )]
    OnRunner,
    /// The store cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Schedules, signals, cancels. Cheap to clone; may be used from any thread and any runtime.
#[derive(Clone, Debug)]
pub struct Scheduler {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    catalog: Arc<Catalog>,
    waiters: Arc<Waiters>,
    inspector: Mutex<Inspector>,
    on_runner: fn() -> bool,
}

impl Scheduler {
    /// A door to `store`. `on_runner` says whether the calling thread is a Runner.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(
        store: Store,
        catalog: Arc<Catalog>,
        waiters: Arc<Waiters>,
        on_runner: fn() -> bool,
    ) -> Result<Self, StorageError> {
        let inspector = Mutex::new(Inspector::of(&store)?);
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                catalog,
                waiters,
                inspector,
                on_runner,
            }),
        })
    }

    /// Schedules a run; returns when it is durable.
    ///
    /// # Errors
    /// [`ScheduleError`]; then it is not stored, but for [`AdmitError::Unknown`].
    pub async fn schedule(&self, request: Request) -> Result<RunHandle, ScheduleError> {
        let mut handles = self.schedule_all(vec![request]).await?;
        Ok(handles.remove(0))
    }

    /// Like [`schedule`](Self::schedule), on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn schedule_blocking(&self, request: Request) -> Result<RunHandle, ScheduleError> {
        block_on(self.schedule(request))
    }

    /// Like [`schedule`](Self::schedule); the run begins not before `at`. It is durable, and counts as
    /// pending, at once.
    ///
    /// # Errors
    /// As there.
    pub async fn schedule_at(
        &self,
        request: Request,
        at: Timestamp,
    ) -> Result<RunHandle, ScheduleError> {
        self.schedule(request.at(at)).await
    }

    /// Like [`schedule_at`](Self::schedule_at), after `delay` from now.
    ///
    /// # Errors
    /// As there.
    pub async fn schedule_after(
        &self,
        request: Request,
        delay: Duration,
    ) -> Result<RunHandle, ScheduleError> {
        self.schedule(request.after(delay)).await
    }

    /// Schedules runs in one group commit, all or none; handles come in the order of the requests.
    ///
    /// # Errors
    /// [`ScheduleError`]; then none is stored, but for [`AdmitError::Unknown`].
    pub async fn schedule_all(
        &self,
        requests: Vec<Request>,
    ) -> Result<Vec<RunHandle>, ScheduleError> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        if (self.inner.on_runner)() {
            return Err(ScheduleError::OnRunner);
        }
        let runs = requests
            .iter()
            .map(|request| self.admit(request))
            .collect::<Result<_, _>>()?;
        let (reply, answer) = oneshot::channel();
        let patience = match self.inner.store.options().admission {
            Admission::Backpressure { timeout, .. } => timeout,
            Admission::Shed { .. } => Duration::ZERO,
        };
        let give_up_at = self.inner.store.clock().elapsed().saturating_add(patience);
        let closed = |value| AdmitError::Storage {
            value,
            source: StorageError::Closed,
        };
        if self
            .inner
            .store
            .submit(Change::Admit {
                runs,
                give_up_at,
                reply,
            })
            .is_err()
        {
            return Err(closed(requests).into());
        }
        match answer.await {
            Ok(Ok(admitted)) => Ok(admitted
                .into_iter()
                .map(|admitted| self.handle(admitted.run))
                .collect()),
            Ok(Err(error)) => Err(handed_back(error, requests).into()),
            Err(_) => Err(closed(requests).into()),
        }
    }

    /// Like [`schedule_all`](Self::schedule_all), on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn schedule_all_blocking(
        &self,
        requests: Vec<Request>,
    ) -> Result<Vec<RunHandle>, ScheduleError> {
        block_on(self.schedule_all(requests))
    }

    fn admit(&self, request: &Request) -> Result<Admit, ScheduleError> {
        let version = request.version.as_deref();
        let Some(entry) = self.inner.catalog.find(&request.workflow, version) else {
            return Err(ScheduleError::UnknownWorkflow {
                name: request.workflow.clone(),
                version: request.version.clone(),
                known: self.inner.catalog.names(),
            });
        };
        let not_before = match request.start {
            Start::Now => None,
            Start::At(at) => Some(at),
            Start::After(delay) => Some(self.inner.store.clock().now().after(delay)),
        };
        Ok(Admit {
            priority: request.priority,
            not_before,
            attributes: request.attributes.clone(),
            ..Admit::new(entry.key, &entry.definition, request.input.clone())
        })
    }

    /// A handle on a run, whoever scheduled it.
    pub fn handle(&self, run: RunId) -> RunHandle {
        RunHandle {
            run,
            scheduler: self.clone(),
        }
    }

    /// Sends an event to a run; returns when it is durable.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing is stored.
    pub async fn signal(&self, event: Event) -> Result<SignalOutcome, WriteError> {
        let Event {
            run,
            name,
            id,
            payload,
            correlation,
            transient,
            is_fault,
        } = event;
        self.ask(|reply| Change::Signal {
            run,
            event: name,
            id,
            payload,
            correlation,
            transient,
            is_fault,
            reply,
        })
        .await
    }

    /// Like [`signal`](Self::signal), on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn signal_blocking(&self, event: Event) -> Result<SignalOutcome, WriteError> {
        block_on(self.signal(event))
    }

    /// Withdraws a run: what is queued never starts, what runs is told to stop and its late outcome
    /// is refused. `false`: it had ended already, and nothing changed.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing changed.
    pub async fn cancel(&self, run: RunId, reason: &str) -> Result<bool, WriteError> {
        let reason = reason.to_owned();
        self.ask(|reply| Change::Cancel { run, reason, reply })
            .await
    }

    /// Like [`cancel`](Self::cancel), on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn cancel_blocking(&self, run: RunId, reason: &str) -> Result<bool, WriteError> {
        block_on(self.cancel(run, reason))
    }

    /// Withdraws all that goes on in one step, wait, scope, split or map of a run: what is queued
    /// never starts, what runs is told to stop, and its late outcome is refused. The branches that
    /// were in it end there; a join that expected them counts them as withdrawn. Says how many there
    /// were: with 0 it was finished, or not reached, and nothing changed.
    ///
    /// # Errors
    /// [`WriteError`], such as when the run has no such node; then nothing changed.
    pub async fn cancel_node(
        &self,
        run: RunId,
        node: &str,
        reason: &str,
    ) -> Result<u32, WriteError> {
        let (node, reason) = (node.to_owned(), reason.to_owned());
        self.ask(|reply| Change::CancelNode {
            run,
            node,
            reason,
            reply,
        })
        .await
    }

    /// Like [`cancel_node`](Self::cancel_node), on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn cancel_node_blocking(
        &self,
        run: RunId,
        node: &str,
        reason: &str,
    ) -> Result<u32, WriteError> {
        block_on(self.cancel_node(run, node, reason))
    }

    /// Adds to an open map, closes it, or ends a map with what is done.
    ///
    /// # Errors
    /// [`WriteError`], such as when the run has no such map; then nothing changed.
    pub async fn change_map(
        &self,
        run: RunId,
        map: &str,
        what: MapChange,
    ) -> Result<MapOutcome, WriteError> {
        let map = map.to_owned();
        self.ask(|reply| Change::ChangeMap {
            run,
            map,
            what,
            reply,
        })
        .await
    }

    /// Like [`change_map`](Self::change_map), on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn change_map_blocking(
        &self,
        run: RunId,
        map: &str,
        what: MapChange,
    ) -> Result<MapOutcome, WriteError> {
        block_on(self.change_map(run, map, what))
    }

    /// Lets a parked or failed run go on from where it stopped; says how many branches do.
    ///
    /// # Errors
    /// [`WriteError`]; then nothing changed.
    pub async fn retry(&self, run: RunId) -> Result<u32, WriteError> {
        self.ask(|reply| Change::Retry { run, reply }).await
    }

    /// Like [`retry`](Self::retry), on a thread that may block.
    ///
    /// # Errors
    /// As there.
    pub fn retry_blocking(&self, run: RunId) -> Result<u32, WriteError> {
        block_on(self.retry(run))
    }

    async fn ask<T>(
        &self,
        change: impl FnOnce(oneshot::Sender<Result<T, WriteError>>) -> Change,
    ) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        let closed = || WriteError::Storage(StorageError::Closed);
        self.inner
            .store
            .submit(change(reply))
            .map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

fn handed_back(error: AdmitError<Vec<Admit>>, value: Vec<Request>) -> AdmitError<Vec<Request>> {
    match error {
        AdmitError::TimedOut {
            depth,
            max_pending,
            waited,
            ..
        } => AdmitError::TimedOut {
            value,
            depth,
            max_pending,
            waited,
        },
        AdmitError::Shed {
            depth,
            max_pending,
            retry_after,
            ..
        } => AdmitError::Shed {
            value,
            depth,
            max_pending,
            retry_after,
        },
        AdmitError::TooMany { asked, bound, .. } => AdmitError::TooMany {
            value,
            asked,
            bound,
        },
        AdmitError::TooLarge {
            what, bytes, max, ..
        } => AdmitError::TooLarge {
            value,
            what,
            bytes,
            max,
        },
        AdmitError::Unknown(unknown) => AdmitError::Unknown(unknown),
        AdmitError::Storage { source, .. } => AdmitError::Storage { value, source },
        _ => AdmitError::Storage {
            value,
            source: StorageError::Closed,
        },
    }
}

/// One run, to be awaited.
#[derive(Clone, Debug)]
pub struct RunHandle {
    run: RunId,
    scheduler: Scheduler,
}

impl RunHandle {
    /// The run.
    pub fn id(&self) -> RunId {
        self.run
    }

    /// Returns when the run has ended, whichever process ends it. A parked run has not.
    ///
    /// # Errors
    /// [`WaitError`]; the run goes on.
    pub async fn wait(&self) -> Result<RunOutcome, WaitError> {
        let inner = &self.scheduler.inner;
        if (inner.on_runner)() {
            return Err(WaitError::OnRunner);
        }
        // First wait, then look: an end in between is seen by one of the two.
        let told = inner.waiters.add(self.run);
        let seen = match inner.inspector.lock().end_of(self.run) {
            Ok(Some(None)) => None,
            Ok(Some(Some(outcome))) => Some(Ok(outcome)),
            Ok(None) => Some(Err(WaitError::NoSuchRun(self.run))),
            Err(error) => Some(Err(error.into())),
        };
        if let Some(seen) = seen {
            drop(told);
            inner.waiters.prune(self.run);
            return seen;
        }
        told.await.map_err(|_| WaitError::Closed)
    }

    /// Like [`wait`](Self::wait), on a thread that may block, for at most `timeout` if there is one.
    ///
    /// # Errors
    /// As there.
    pub fn wait_blocking(&self, timeout: Option<Duration>) -> Result<RunOutcome, WaitError> {
        let Some(timeout) = timeout else {
            return block_on(self.wait());
        };
        let waiting = self.wait();
        windlass_store::sync::block_on_for(waiting, timeout)
            .unwrap_or(Err(WaitError::TimedOut(timeout)))
    }
}
