//! What SQLite alone can do with the rows that the engine writes.
//!
//! The rows are not written down here: one run of the workload is recorded in a scratch database
//! and played back, so the comparison stays the same rows when the engine's tables change.

pub(crate) mod commits;
pub(crate) mod recording;
pub(crate) mod rows;

use std::path::Path;

use rusqlite::Connection;

use crate::setting::Durability;

/// Opens a database as the engine does: a log, the same durability, cache and length of the log.
fn open(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", durability.name())?;
    db.pragma_update(None, "wal_autocheckpoint", 4_096)?;
    db.pragma_update(None, "temp_store", 2)?;
    db.pragma_update(None, "cache_size", -65_536)?;
    Ok(db)
}
