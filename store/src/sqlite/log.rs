//! Empties the write-ahead log into the database, and ends if a sync fails on the way.
//!
//! With `Durability::Normal` the log is not synced by each commit, but before it is emptied. If that sync
//! fails the kernel may forget what was to be written, and the next sync succeeds without it
//! (<https://wiki.postgresql.org/wiki/Fsync_Errors>): pages of the database would then be overwritten whose
//! log is not on the disk. So nothing is tried twice. SQLite's own automatic checkpoint does not tell
//! of its errors.

use rusqlite::config::DbConfig;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, ffi};

use super::rows::storage;
use crate::backend::Result;

/// Pages in the log from which on each commit moves what it can into the database.
const PAGES: i32 = 4_096;

/// Lets each commit that leaves a long log empty it. The commit fails if a sync does.
pub(super) fn empty_when_long(db: &Connection) {
    db.wal_hook(Some(|log: &Wal, pages| {
        if pages < PAGES {
            return Ok(());
        }
        log.checkpoint().or_else(only_failed_sync)
    }));
}

/// Moves what it can into the database; `mode` is one of SQLite's. Gives how many pages the log holds, 0
/// if that did not work. Then it is tried again with the next one, and nothing is lost by it.
///
/// # Errors
/// If a sync failed.
pub(super) fn empty(db: &Connection, mode: &str) -> Result<u64> {
    let pages = db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        row.get::<_, i64>(1)
    });
    match pages {
        Ok(pages) => Ok(u64::try_from(pages).unwrap_or(0)),
        Err(error) => {
            keep_after_failed_sync(db, &error);
            only_failed_sync(error).map_err(storage).map(|()| 0)
        }
    }
}

/// If it is a failed sync that was told, the log stays as it is when the database is closed.
pub(super) fn keep_after_failed_sync(db: &Connection, error: &rusqlite::Error) {
    if is_failed_sync(error) {
        keep(db);
    }
}

/// The log stays as it is when the database is closed.
pub(super) fn keep(db: &Connection) {
    let _ = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}

fn only_failed_sync(error: rusqlite::Error) -> rusqlite::Result<()> {
    if is_failed_sync(&error) {
        return Err(error);
    }
    Ok(())
}

fn is_failed_sync(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(ffi::SQLITE_IOERR_FSYNC)
}
