//! Opens a store and hands changes to its writer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::{Backend, Reader};
use crate::change::{Change, Committed};
use crate::clock::Clock;
use crate::error::{OpenError, StorageError};
use crate::group_commit::{CommitHook, Writer};
use crate::limits::{BATCH_CHANGES_MAX, PAGE_CACHE_BYTES, QUEUE_CHANGES_MAX};
use crate::memory::{MemoryBackend, MemoryReader, SharedRows};
use crate::meter::Meter;
use crate::owner::{OwnerFiles, OwnerLife};
use crate::sqlite::{self, SqliteBackend, SqliteReader, Yielding};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, Receiver, Sender, bounded, unbounded};

/// What survives a power loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Everything that was acknowledged: each group commit is synced. Under load this costs almost
    /// nothing, since many changes share one sync.
    #[default]
    Full,
    /// Everything survives a crash of the process. A power loss may cost the last moments (a
    /// suffix, never consistency).
    Normal,
}

/// Which attempts leave a row behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum History {
    /// All.
    #[default]
    All,
    /// Those that failed.
    Failures,
    /// None: fastest, and `show` knows only what is going on now.
    Off,
}

/// What the door does when too many admitted runs wait for their first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The producer waits.
    Backpressure {
        /// Admitted runs whose first job has not started. Default 1,000,000.
        max_pending: u64,
        /// How long a producer waits before it gets a typed error. Default 30 s.
        timeout: Duration,
    },
    /// Nobody waits: somebody is refused.
    Shed {
        /// Admitted runs whose first job has not started.
        max_pending: u64,
        /// Who.
        policy: ShedPolicy,
    },
}

/// Who is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShedPolicy {
    /// The new run: the caller gets it back with a time to try again.
    RejectNew,
    /// The oldest run that has not started: it ends cancelled, with reason `shed`. If there is none
    /// that can be dropped, the new one is rejected.
    DropOldest,
}

impl Admission {
    pub(crate) fn max_pending(self) -> u64 {
        match self {
            Self::Backpressure { max_pending, .. } | Self::Shed { max_pending, .. } => max_pending,
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::Backpressure {
            max_pending: 1_000_000,
            timeout: Duration::from_secs(30),
        }
    }
}

/// How long ended runs stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Runs that ended longer ago than this are deleted, with their history.
    pub keep: Duration,
}

/// The settings of a store.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What survives a power loss.
    pub durability: Durability,
    /// Which attempts leave a row.
    pub history: History,
    /// What the door does.
    pub admission: Admission,
    /// Changes that one transaction takes at most, 1 to [`BATCH_CHANGES_MAX`], the default.
    pub changes_per_commit: usize,
    /// Bytes of the file's pages that are kept in memory at most.
    pub page_cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            history: History::default(),
            admission: Admission::default(),
            changes_per_commit: BATCH_CHANGES_MAX,
            page_cache_bytes: PAGE_CACHE_BYTES,
        }
    }
}

/// Where a store keeps its rows.
#[derive(Clone, Debug)]
pub enum StoreKind {
    /// In memory; gone with the process.
    Memory {
        /// Tells it apart from every other store.
        nonce: String,
    },
    /// In a SQLite file.
    Sqlite {
        /// The canonical path of the file.
        path: PathBuf,
        /// Tells it apart from every other store, also one that has its path later.
        nonce: String,
        /// The folder of its owners' files.
        owners: OwnerFiles,
    },
}

/// The way to a store: cheap to clone, may be used from any thread.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: Sender<Change>,
    nudged: Arc<AtomicBool>,
    meter: Arc<Meter>,
    clock: Arc<dyn Clock>,
    options: Options,
    kind: StoreKind,
    rows: Option<Arc<SharedRows>>,
    life: Arc<Mutex<Option<OwnerLife>>>,
}

impl Store {
    /// Opens or makes a database. The writer must be [run](Writer::run) on a thread of its own or
    /// stepped; what it commits comes out of the receiver. `hook` is called around every commit.
    ///
    /// # Errors
    /// [`OpenError`]; then nothing was changed.
    pub fn open(
        path: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
        hook: Option<CommitHook>,
    ) -> Result<(Self, Writer, Receiver<Committed>), OpenError> {
        let opened = sqlite::open(path, &options)?;
        let owners = OwnerFiles::beside(&opened.path, &opened.nonce);
        let life = Arc::new(Mutex::new(None));
        let yielding = FileYielding {
            owners: owners.clone(),
            life: Arc::clone(&life),
            others: Vec::new(),
            commits: 0,
        };
        let backend = SqliteBackend::new(opened.connection, &opened.path, Box::new(yielding));
        let kind = StoreKind::Sqlite {
            nonce: opened.nonce,
            path: opened.path,
            owners,
        };
        Self::start(backend, kind, None, life, options, clock, hook).map_err(|source| {
            OpenError::Storage {
                path: path.to_owned(),
                source,
            }
        })
    }

    /// A store that is gone with the process.
    ///
    /// # Panics
    /// Never: memory that is empty can be read.
    pub fn memory(options: Options, clock: Arc<dyn Clock>) -> (Self, Writer, Receiver<Committed>) {
        let rows = Arc::new(SharedRows::default());
        let backend = MemoryBackend::new(Arc::clone(&rows));
        let life = Arc::new(Mutex::new(None));
        let nonce = format!("memory-{}-{}", std::process::id(), clock.now().0);
        Self::start(
            backend,
            StoreKind::Memory { nonce },
            Some(rows),
            life,
            options,
            clock,
            None,
        )
        .expect("empty memory can be read")
    }

    fn start(
        backend: impl Backend + 'static,
        kind: StoreKind,
        rows: Option<Arc<SharedRows>>,
        life: Arc<Mutex<Option<OwnerLife>>>,
        options: Options,
        clock: Arc<dyn Clock>,
        hook: Option<CommitHook>,
    ) -> Result<(Self, Writer, Receiver<Committed>), StorageError> {
        let (queue, changes) = bounded(QUEUE_CHANGES_MAX);
        let (committed, out) = unbounded();
        let meter = Arc::new(Meter::default());
        let nudged = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(
            backend,
            changes,
            committed,
            Arc::clone(&meter),
            Arc::clone(&nudged),
            Arc::clone(&clock),
            options,
            Arc::clone(&life),
            hook,
        )?;
        let inner = Inner {
            queue,
            nudged,
            meter,
            clock,
            options,
            kind,
            rows,
            life,
        };
        Ok((
            Self {
                inner: Arc::new(inner),
            },
            writer,
            out,
        ))
    }

    /// Queues a change. Blocks while the queue is full: the writer is always on its way.
    ///
    /// # Errors
    /// The change itself, when the writer has ended.
    pub fn submit(&self, change: Change) -> Result<(), Change> {
        self.inner.queue.send(change).map_err(|refused| refused.0)
    }

    /// Asks the writer to look around: for room on the channel, timers, waiting producers.
    pub fn nudge(&self) {
        if !self.inner.nudged.swap(true, Ordering::SeqCst) {
            // A full queue means that the writer is about to look around anyway.
            let _ = self.inner.queue.try_send(Change::Tick);
        }
    }

    /// A reader of its own.
    ///
    /// # Errors
    /// When the database cannot be opened once more.
    pub fn reader(&self) -> Result<Box<dyn Reader>, StorageError> {
        match (&self.inner.kind, &self.inner.rows) {
            (StoreKind::Sqlite { path, .. }, _) => Ok(Box::new(SqliteReader::open(path)?)),
            (StoreKind::Memory { .. }, Some(rows)) => {
                Ok(Box::new(MemoryReader::new(Arc::clone(rows))))
            }
            (StoreKind::Memory { .. }, None) => unreachable!("a store in memory has its rows"),
        }
    }

    /// The shared counts.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.inner.meter
    }

    /// The engine's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// The settings.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// Where the rows are.
    pub fn kind(&self) -> &StoreKind {
        &self.inner.kind
    }

    /// Tells this store apart from every other one.
    pub fn nonce(&self) -> &str {
        match &self.inner.kind {
            StoreKind::Memory { nonce } | StoreKind::Sqlite { nonce, .. } => nonce,
        }
    }

    /// Ties our owner file to the writer: it is released when the writer ends.
    pub fn set_life(&self, life: OwnerLife) {
        *self.inner.life.lock() = Some(life);
    }

    /// Writes down beside our lock in which log we write, so that others notice when it is gone.
    pub fn note_log(&self) {
        if let StoreKind::Sqlite { path, .. } = self.kind()
            && let (Some(life), Some(inode)) = (self.life(), crate::owner::log_inode(path))
        {
            life.note_log(inode);
        }
    }

    /// Our owner file, if there is one.
    pub fn life(&self) -> Option<OwnerLife> {
        self.inner.life.lock().clone()
    }
}

/// Opens a read-only view of a database, without an engine.
///
/// # Errors
/// [`OpenError`] if there is no usable database of ours at `path`.
pub(crate) fn open_reader(path: &Path) -> Result<(Box<dyn Reader>, OwnerFiles), OpenError> {
    let (path, nonce) = sqlite::check(path)?;
    let reader = SqliteReader::open(&path).map_err(|source| OpenError::Storage {
        path: path.clone(),
        source,
    })?;
    Ok((Box::new(reader), OwnerFiles::beside(&path, &nonce)))
}

/// How often, in commits, we look which other owners there are.
const LOOK_EVERY: u32 = 64;

/// Fairness between processes through the owner files.
struct FileYielding {
    owners: OwnerFiles,
    life: Arc<Mutex<Option<OwnerLife>>>,
    others: Vec<String>,
    commits: u32,
}

impl Yielding for FileYielding {
    fn waiting(&mut self, waits: bool) {
        if let Some(life) = &*self.life.lock() {
            life.say_waiting(waits);
        }
    }

    fn others_wait(&mut self) -> bool {
        if self.commits.is_multiple_of(LOOK_EVERY) {
            let own = self.life.lock().as_ref().map(|life| life.name().to_owned());
            self.others = self.owners.names();
            self.others.retain(|name| Some(name) != own.as_ref());
        }
        self.commits = self.commits.wrapping_add(1);
        self.others.iter().any(|name| self.owners.waits(name))
    }
}
