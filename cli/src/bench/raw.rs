//! What SQLite alone can do: the rows that a job leaves behind, written in batches.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

use super::Workload;
use super::jobs::payload;
use crate::clock::Stopwatch;
use crate::config::DurabilityName;

/// Jobs in one transaction, about what a group commit holds under load.
pub(super) const BATCH: u64 = 1_024;

/// As wide as the engine's own rows, with the same kinds of keys.
const SCHEMA: &str = "
CREATE TABLE branches (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, workflow INTEGER NOT NULL,
    position INTEGER NOT NULL, activation INTEGER NOT NULL, state INTEGER NOT NULL,
    rank INTEGER NOT NULL, owner INTEGER NOT NULL, token INTEGER NOT NULL,
    attempt INTEGER NOT NULL, data BLOB, created_at INTEGER NOT NULL, started_at INTEGER,
    ended_at INTEGER
) STRICT;
CREATE INDEX ready ON branches (workflow, rank) WHERE state = 0 AND owner = 0;
CREATE INDEX locked ON branches (owner) WHERE owner <> 0;
CREATE TABLE history (
    run INTEGER NOT NULL, branch INTEGER NOT NULL, token INTEGER NOT NULL, node INTEGER NOT NULL,
    activation INTEGER NOT NULL, attempt INTEGER NOT NULL, status INTEGER NOT NULL,
    started_at INTEGER, ended_at INTEGER NOT NULL,
    PRIMARY KEY (run, branch, token)
) STRICT, WITHOUT ROWID;
";

/// Jobs per second: insert, lock, finish and history row of each.
pub(super) fn rate(folder: &Path, workload: Workload<'_>) -> rusqlite::Result<f64> {
    let mut db = open(folder, workload.durability)?;
    let payload = payload();
    let watch = Stopwatch::start();
    for first in (1..=workload.jobs).step_by(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
        let ids = first..=(first + BATCH - 1).min(workload.jobs);
        batch(
            &mut db,
            ids.clone(),
            "INSERT INTO branches VALUES (?1, ?1, 1, 1, ?1, 0, 8, 0, 0, 1, ?2, ?1, NULL, NULL)",
            Some(payload.as_bytes()),
        )?;
        batch(
            &mut db,
            ids.clone(),
            "UPDATE branches SET owner = 1, token = token + 1 WHERE id = ?1",
            None,
        )?;
        finish(&mut db, ids)?;
    }
    let elapsed = watch.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "the count is far below 2^52")]
    let jobs = workload.jobs as f64;
    Ok(jobs / elapsed.as_secs_f64())
}

fn open(folder: &Path, durability: DurabilityName) -> rusqlite::Result<Connection> {
    let db = Connection::open(folder.join("raw.db"))?;
    let synchronous = match durability {
        DurabilityName::Full => "FULL",
        DurabilityName::Normal => "NORMAL",
    };
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", synchronous)?;
    db.pragma_update(None, "cache_size", -65_536)?;
    db.execute_batch(SCHEMA)?;
    Ok(db)
}

fn batch(
    db: &mut Connection,
    ids: impl Iterator<Item = u64>,
    sql: &str,
    data: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut statement = transaction.prepare_cached(sql)?;
        for id in ids {
            match data {
                Some(data) => statement.execute(params![id.cast_signed(), data])?,
                None => statement.execute(params![id.cast_signed()])?,
            };
        }
    }
    transaction.commit()
}

fn finish(db: &mut Connection, ids: impl Iterator<Item = u64>) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut end = transaction.prepare_cached(
            "UPDATE branches SET state = 8, owner = 0, started_at = ?1, ended_at = ?1 WHERE id = ?1 AND token = 1",
        )?;
        let mut history = transaction
            .prepare_cached("INSERT INTO history VALUES (?1, ?1, 1, 1, ?1, 1, 3, ?1, ?1)")?;
        for id in ids {
            end.execute([id.cast_signed()])?;
            history.execute([id.cast_signed()])?;
        }
    }
    transaction.commit()
}
