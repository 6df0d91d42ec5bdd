//! The writing connection: its turn among other processes, and its log.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::files::Files;
use super::lock_window::LockWindow;
use super::log;
use super::rows::{column, first, storage};
use super::transaction::SqliteTransaction;
use crate::backend::{Backend, Result};
use crate::limits::WAL_BYTES_MAX;
use crate::sync::pause;

/// How often a writer asks again while another one writes.
pub(super) const BUSY_POLL: Duration = Duration::from_micros(500);

/// How often, in commits, the length of the log is looked at.
const TIDY_EVERY: u32 = 256;

/// Says to other processes that we wait for our turn to write, and asks whether they do.
pub(crate) trait Yielding: Send {
    /// We begin, or stop, to wait.
    fn waiting(&mut self, waits: bool);
    /// Whether somebody else waits.
    fn others_wait(&mut self) -> bool;
}

/// The writing connection.
pub(crate) struct SqliteBackend {
    db: Connection,
    yielding: Box<dyn Yielding>,
    data_version: i64,
    commits: u32,
    /// Where our locks are; there are none before we are registered as an owner.
    window: Option<LockWindow>,
    files: Files,
}

impl SqliteBackend {
    /// `db`: at `path`.
    pub(crate) fn new(db: Connection, path: &Path, yielding: Box<dyn Yielding>) -> Self {
        log::empty_when_long(&db);
        Self {
            files: Files::at(path),
            db,
            yielding,
            data_version: -1,
            commits: 0,
            window: None,
        }
    }

    /// Begins a write at once; while another process writes, asks again every half millisecond
    /// (SQLite's own busy handler lets one of four writers starve for seconds).
    fn begin_immediate(&mut self) -> Result<()> {
        let mut waits = false;
        loop {
            let begun = self
                .db
                .prepare_cached("BEGIN IMMEDIATE")
                .and_then(|mut s| s.execute([]));
            match begun {
                Ok(_) => {
                    if waits {
                        self.yielding.waiting(false);
                    }
                    return Ok(());
                }
                Err(error) if is_busy(&error) => {
                    if !waits {
                        self.yielding.waiting(true);
                        waits = true;
                    }
                    pause(BUSY_POLL);
                }
                Err(error) => {
                    if waits {
                        self.yielding.waiting(false);
                    }
                    return Err(storage(error));
                }
            }
        }
    }
}

pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

impl Backend for SqliteBackend {
    type Transaction<'t> = SqliteTransaction<'t>;

    fn begin(&mut self) -> Result<(SqliteTransaction<'_>, bool)> {
        self.begin_immediate()?;
        self.commits += 1;
        let transaction = SqliteTransaction::new(&self.db, &mut self.window, &self.files);
        let version = first(&self.db, "PRAGMA data_version", &[], |row| column(row, 0))?;
        let version = version.unwrap_or_default();
        let foreign = version != self.data_version;
        self.data_version = version;
        Ok((transaction, foreign))
    }

    fn tidy(&mut self) -> Result<()> {
        if self.commits >= TIDY_EVERY {
            self.commits = 0;
            if log::empty(&self.db, "PASSIVE")? * 4096 >= WAL_BYTES_MAX {
                log::empty(&self.db, "RESTART")?;
            }
        }
        if self.yielding.others_wait() {
            pause(BUSY_POLL * 2);
        }
        Ok(())
    }

    fn finish(&mut self) {
        if !self.files.can_be_saved() {
            // Others have written since: what is in our log does not fit theirs any more.
            log::keep(&self.db);
            return;
        }
        // While others read or write it stays in the log, which is as good; so it does if a sync fails.
        let _ = log::empty(&self.db, "TRUNCATE");
    }
}
