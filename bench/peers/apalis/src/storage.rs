//! The pool at the durability asked for, and what is in the database.

use std::time::Duration;

use apalis::prelude::{TaskBuilder, TaskSink as _};
use apalis_sqlite::{Config, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteStorage};
use futures::stream;
use peer_harness::{Durability, Pragmas, Run, payload};
use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};

/// Jobs that a worker fetches at once. Each acknowledgement looks through all rows that the worker
/// ever locked, so that 500 were slower.
pub const BATCH: usize = 50;

/// Jobs in one push of the producer.
pub const BULK: u64 = 100;

/// Connections in the pool of workers and producers: 2 and 4 were slower.
pub const POOL: u32 = 1;

/// A worker whose poll was lost finds its jobs at the next heartbeat, by default after 30 seconds.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// So that a busy worker is not taken for dead.
const MISSED_HEARTBEATS: usize = 60;

/// Long enough that no writer fails under load.
const BUSY: Duration = Duration::from_secs(60);

/// Sets the database up and opens the pool that everything runs on.
pub async fn open(run: &Run) -> SqlitePool {
    let file = SqliteConnectOptions::new()
        .filename(run.database())
        .create_if_missing(true)
        .busy_timeout(BUSY);
    let setup = SqlitePool::connect_with(file.clone()).await;
    let setup = setup.expect("the file should open");
    let done = SqliteStorage::setup(&setup).await;
    done.expect("the database should be set up");
    setup.close().await;

    let file = file
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(match run.durability {
            Durability::Full => SqliteSynchronous::Full,
            Durability::Normal => SqliteSynchronous::Normal,
        })
        .pragma("cache_size", "64000")
        .pragma("temp_store", "MEMORY")
        .pragma("journal_size_limit", "67108864");
    let pool = SqlitePoolOptions::new().max_connections(POOL);
    pool.connect_with(file).await.expect("the file should open")
}

/// A handle on the only queue, for a worker or for a producer.
pub fn storage<T>(pool: &SqlitePool) -> SqliteStorage<T> {
    let config = Config::default()
        .queue("noop")
        .batch_size(BATCH)
        .heartbeat_interval(HEARTBEAT)
        .missed_heartbeats(MISSED_HEARTBEATS)
        .lock_tasks(false);
    SqliteStorage::new(pool).with_config(config)
}

/// Pushes `jobs` with the payload that all peers get, [`BULK`] to a transaction.
pub async fn push_all(pool: &SqlitePool, jobs: u64) {
    let (mut storage, payload) = (storage(pool), payload());
    let mut pushed = 0;
    while pushed < jobs {
        let bulk = BULK.min(jobs - pushed);
        let tasks = (0..bulk).map(|_| TaskBuilder::new(payload.clone()).build());
        let sent = storage.push_all(stream::iter(tasks)).await;
        sent.expect("the jobs should be pushed");
        pushed += bulk;
    }
}

/// Rows that are not yet recorded as done.
pub async fn unfinished(pool: &SqlitePool) -> i64 {
    let counted = sqlx::query_scalar(
        "SELECT COUNT(*) FROM Jobs WHERE status IN ('Pending', 'Queued', 'Running', 'Failed')",
    );
    let counted = counted.fetch_one(pool).await;
    counted.expect("the jobs should be countable")
}

/// Read back from a connection of the pool.
pub async fn pragmas(pool: &SqlitePool) -> Pragmas {
    let ask = async |sql: &'static str| {
        let answer = sqlx::query_scalar::<_, String>(sql).fetch_one(pool).await;
        answer.expect("SQLite should answer")
    };
    Pragmas::new(
        &ask("SELECT sqlite_version()").await,
        &ask("PRAGMA journal_mode").await,
        &ask("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await,
    )
}
