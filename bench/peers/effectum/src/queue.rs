//! A queue with its file in the right journal mode, its workers, and what it runs with.

use effectum::{Job, JobRunner, Queue, RunningJob, Worker};
use peer_harness::{Done, Durability, Pragmas, Run, Start, payload};
use rusqlite::Connection;
use tokio::runtime::Runtime;

/// Jobs in one `add_jobs`: 10,000 and 100,000 were slower, because the one thread that writes then
/// keeps the workers waiting.
pub const BULK: u64 = 100;

/// The name of the only job.
const NOOP: &str = "noop";

/// What a handler tells.
#[derive(Clone, Debug)]
pub struct Told {
    pub done: Done,
    /// Only where the latency is measured.
    pub start: Option<Start>,
}

/// The concurrency of each worker, which is also the size of its batches.
#[derive(Clone, Copy, Debug)]
pub struct Concurrency {
    pub min: u16,
    pub max: u16,
}

/// Opens the queue in a file that is WAL for `normal` and as shipped for `full`.
pub fn open(run: &Run, runtime: &Runtime) -> Queue {
    if run.durability == Durability::Normal {
        let file = Connection::open(run.database()).expect("the file should open");
        file.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
            .expect("the journal mode should change");
    }
    runtime
        .block_on(Queue::new(&run.database()))
        .expect("the queue should open")
}

/// Starts the workers; they stop when dropped.
pub fn workers(
    run: &Run,
    runtime: &Runtime,
    queue: &Queue,
    told: &Told,
    concurrency: Concurrency,
) -> Vec<Worker> {
    let start = |_| runtime.block_on(worker(queue, told, concurrency));
    (0..run.workers).map(start).collect()
}

async fn worker(queue: &Queue, told: &Told, concurrency: Concurrency) -> Worker {
    let noop = JobRunner::builder(NOOP, |_: RunningJob, told: Told| async move {
        if let Some(start) = &told.start {
            start.now();
        }
        told.done.add();
        Ok::<_, String>(())
    });
    Worker::builder(queue, told.clone())
        .jobs([noop.build()])
        .min_concurrency(concurrency.min)
        .max_concurrency(concurrency.max)
        .build()
        .await
        .expect("the worker should start")
}

/// One job with the payload that all peers get.
pub fn job() -> Job {
    Job::builder(NOOP)
        .json_payload(&payload())
        .expect("the payload should be JSON")
        .build()
}

/// Jobs that are not yet recorded as done.
pub fn active(runtime: &Runtime, queue: &Queue) -> u64 {
    let active = runtime.block_on(queue.num_active_jobs());
    let active = active.expect("the queue should count its jobs");
    active.pending + active.running
}

/// The journal mode of the file, and the `synchronous` that effectum fixes.
pub fn pragmas(run: &Run) -> Pragmas {
    let file = Connection::open(run.database()).expect("the file should open");
    let ask = |sql: &str| file.query_row(sql, [], |row| row.get::<_, String>(0));
    let sqlite = ask("SELECT sqlite_version()").expect("SQLite should know its version");
    let mode = ask("PRAGMA journal_mode").expect("the file should have a journal mode");
    Pragmas::new(&sqlite, &mode, "normal")
}
