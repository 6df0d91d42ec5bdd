//! What can go wrong between the engine and its store.

use std::path::PathBuf;
use std::time::Duration;

use windlass_workflow_model::{BranchId, FencingToken, RunId};

/// Why the disk, or what stands on it, did not do what it should.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No room. Nothing was written; the engine goes on by itself when there is room again.
    #[error("the disk is full, nothing was written: make room, work then resumes by itself")]
    Full,
    /// The file or its folder cannot be written. Nothing was written.
    #[error("the database cannot be written ({why}), nothing was written: check its permissions")]
    ReadOnly {
        /// What SQLite says.
        why: String,
    },
    /// A write or its sync failed: what was being written may or may not be there after a restart.
    #[error("the store is closed after a failed write ({why}): reopen it to see what is on disk")]
    Poisoned {
        /// What SQLite says.
        why: String,
    },
    /// What is stored cannot be read.
    #[error("the stored {what} is damaged: {why}; restore a backup, or report it")]
    Corrupt {
        /// What should have been there.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The database was restored or replaced while this engine ran.
    #[error(
        "the database began a new epoch ({found}, ours is {ours}): it was restored from a backup; reopen it"
    )]
    Epoch {
        /// The epoch at opening.
        ours: i64,
        /// The epoch now.
        found: i64,
    },
    /// The database or its log was deleted or replaced while this engine wrote in it. What was stored
    /// before was acknowledged, this was not.
    #[error(
        "the store is closed: {path} or its log was deleted or replaced under this engine; shut this process down and do not kill it, which saves its newest work if nobody else has written; find out what opens, closes, copies or deletes the database file beside it",
        path = path.display()
    )]
    LogLost {
        /// The database.
        path: PathBuf,
    },
    /// Another engine took this one for dead and freed its jobs, which the lock on its owner file should
    /// have kept it from. What was asked for until then is stored.
    #[error(
        "the store is closed: another engine took this one for dead and has freed its jobs; end this process and start it again, and keep the database where a lock on a file (flock) is seen by all who open it"
    )]
    TakenForDead,
    /// The engine is shut down.
    #[error("the store is closed: the engine is shut down")]
    Closed,
    /// A statement of a step of this branch has rolled back more than itself. It is tried again
    /// without that statement, and nobody outside sees this.
    #[error("a statement of a step of branch {0} ended the transaction that it was to ride in")]
    EffectEndedTransaction(BranchId),
    /// Anything else that SQLite reports.
    #[error("the database reports: {why}")]
    Sqlite {
        /// What SQLite says.
        why: String,
    },
}

impl StorageError {
    /// Whether the same write can work later without anybody reopening the store.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Full | Self::ReadOnly { .. })
    }

    /// Whether what was being written may or may not be stored.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Poisoned { .. } | Self::LogLost { .. })
    }
}

/// Why a store could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The folder or file cannot be made or opened.
    #[error("cannot open {path}: {why}", path = path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// What is in the way, and what to do.
        why: String,
    },
    /// It is no database, or a damaged one.
    #[error("{path} is not a usable database: {why}; restore a backup, or give another path", path = path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        why: String,
    },
    /// It is a database of something else.
    #[error("{path} is a database of another program (application id {found:#x}); give another path", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The application id found.
        found: i64,
    },
    /// A newer Windlass made it.
    #[error("{path} has schema {found}, this version knows up to {known}: use a newer windlass", path = path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// A setting that a guarantee rests on did not take.
    #[error("{path}: {setting} is {found} and cannot be made {wanted}; {hint}", path = path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// Which.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: String,
        /// What to do.
        hint: &'static str,
    },
    /// The file is on a filesystem of another machine, where locks prove nothing.
    #[error("{path} is on a network filesystem ({kind}), where locks prove nothing: move it to a local disk", path = path.display())]
    NetworkFilesystem {
        /// The file.
        path: PathBuf,
        /// Which.
        kind: String,
    },
    /// An engine works on the file, but its log was deleted or replaced under its feet.
    #[error("the log of {path} is gone, and process {pid} still writes in it: shut that process down and do not kill it, which saves its newest work if nobody else has written; find out what opens, closes, copies or deletes the database file beside it", path = path.display())]
    LogLost {
        /// The database.
        path: PathBuf,
        /// The engine's process.
        pid: u32,
    },
    /// The first reads or writes failed.
    #[error("{path} cannot be used", path = path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: StorageError,
    },
}

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A copy replaces nothing.
    #[error("{} exists: give another file, or remove it", .0.display())]
    Exists(PathBuf),
    /// An engine works on the database that was to be replaced.
    #[error("an engine works on {}: stop it, then restore", .0.display())]
    InUse(PathBuf),
    /// Others kept writing in a way that leaves nothing to copy.
    #[error("{} is busy: try again", .0.display())]
    Busy(PathBuf),
    /// What was copied is damaged, and so is the original.
    #[error("{path} is damaged ({found}): restore an earlier backup", path = path.display())]
    Damaged {
        /// The original.
        path: PathBuf,
        /// What SQLite found.
        found: String,
    },
    /// A file cannot be made, renamed or synced.
    #[error("cannot write {path}: {why}; its folder must be writable by this user, and have room", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        why: String,
    },
    /// One of the two cannot be opened.
    #[error(transparent)]
    Open(OpenError),
}

impl BackupError {
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            why: error.to_string(),
        }
    }
}

/// A write of which nobody can say whether it is on disk. Ask again after reopening; a
/// `dedupe_key` makes trying again safe.
#[derive(Clone, Debug, thiserror::Error)]
#[error("whether it was written is unknown: {0}")]
pub struct Unknown(pub StorageError);

/// Why a run was not admitted. Nothing of it is stored, but in the case of `Unknown`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdmitError<T> {
    /// Backpressure: there was no room within the time.
    #[error(
        "no room within {waited:?}: {depth} runs wait for their first step (at most {max_pending}); slow down or add runners"
    )]
    TimedOut {
        /// What was to be scheduled.
        value: T,
        /// Admitted runs that had not started when the time was over.
        depth: u64,
        /// The bound.
        max_pending: u64,
        /// How long the producer waited.
        waited: Duration,
    },
    /// Load shedding: there was no room.
    #[error(
        "refused: {depth} runs wait for their first step (at most {max_pending}); try again in about {retry_after:?}"
    )]
    Shed {
        /// What was to be scheduled.
        value: T,
        /// Admitted runs that had not started.
        depth: u64,
        /// The bound.
        max_pending: u64,
        /// When there may be room, judged by how fast runs start now.
        retry_after: Duration,
    },
    /// More at once than can ever be admitted.
    #[error(
        "{asked} runs at once are more than the bound of {bound}: schedule them in smaller parts"
    )]
    TooMany {
        /// What was to be scheduled.
        value: T,
        /// How many.
        asked: u64,
        /// How many are possible.
        bound: u64,
    },
    /// A payload, key or name beyond its bound.
    #[error(
        "{what} has {bytes} bytes, the limit is {max}: store large data elsewhere and schedule its address"
    )]
    TooLarge {
        /// What was to be scheduled.
        value: T,
        /// What is too large.
        what: &'static str,
        /// How large.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The store refused or is closed.
    #[error("not admitted")]
    Storage {
        /// What was to be scheduled.
        value: T,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// It may or may not be stored.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

/// Why a change to a run was not made. Nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is no such run.
    #[error("there is no run {0}: it was never admitted here, or retention has removed it")]
    NoSuchRun(RunId),
    /// A newer lock exists; the outcome is void.
    #[error(
        "branch {branch} was locked again or withdrawn (our token {ours}): this outcome is dropped"
    )]
    Fenced {
        /// The branch we ran.
        branch: BranchId,
        /// The token we held.
        ours: FencingToken,
    },
    /// The run is not in a state for it.
    #[error("run {run} {why}")]
    WrongState {
        /// The run.
        run: RunId,
        /// What it is, and what to do instead.
        why: String,
    },
    /// A bound was reached.
    #[error("{what}: {count} is more than {max}; {help}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many there would be.
        count: u64,
        /// The bound.
        max: u64,
        /// What to do instead.
        help: &'static str,
    },
    /// The name and version is registered with another definition.
    #[error(
        "workflow {name:?} version {version:?} is registered with a different definition: give the changed one a new version"
    )]
    WorkflowDiffers {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// The store refused or is closed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It may or may not be stored.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}
