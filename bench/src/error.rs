//! Why a measurement was broken off.

use std::path::PathBuf;

use windlass::{EngineError, InvalidWorkflow, ScheduleError, StorageError, WaitError};

/// Why there is no figure. The folders of the measurement are removed all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// No folder for the databases.
    #[error(
        "no folder for the databases can be made in {folder} ({source}); name another one",
        folder = .folder.display()
    )]
    Folder {
        /// Where it was to be.
        folder: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The engine was not opened.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A workload's own workflow is wrong.
    #[error(transparent)]
    Workflow(#[from] InvalidWorkflow),
    /// The engine took no work.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The end of a run was not seen.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The engine's store cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// SQLite alone failed.
    #[error("SQLite alone failed: {0}; free space in the folder of the databases, or name another")]
    Sqlite(#[from] rusqlite::Error),
    /// A process cannot be started, or a file not be written.
    #[error("the measurement cannot go on: {0}")]
    Io(#[from] std::io::Error),
    /// What a process of ours said is not what we expect.
    #[error("a process of the measurement said something else than its figures: {0}")]
    Said(#[from] serde_json::Error),
    /// A process of ours ended badly.
    #[error("a process of the measurement failed: {0}")]
    Child(String),
    /// The engine did something else than the workload is about, so the figure would be wrong.
    #[error("the measurement would be wrong: {0}")]
    Unsound(String),
}

pub(crate) type Result<T> = std::result::Result<T, BenchError>;
