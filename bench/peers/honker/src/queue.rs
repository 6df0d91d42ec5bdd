//! The database, its queue, and the workers that claim in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use honker::{Database, EnqueueOpts, OpenOptions, Queue, QueueOpts};
use peer_harness::{Done, Pragmas, Run, Start, TICK, payload};

/// Jobs in one transaction of the producer.
pub const BULK: u64 = 2_000;

/// Jobs that a worker claims, and acknowledges, at once.
pub const BATCH: i64 = 2_000;

/// How often the watcher looks for a commit where latency counts; its default is a millisecond.
pub const WATCH: Duration = Duration::from_micros(100);

/// Opens the database with its connection at the durability asked for.
pub fn open(run: &Run, watch: Option<Duration>) -> Database {
    let mut options = OpenOptions::default();
    if let Some(watch) = watch {
        options = options
            .watcher_poll_interval(watch)
            .expect("the interval should be accepted");
    }
    let db = Database::open_with_options(run.database(), options).expect("the file should open");
    db.with_conn(|conn| conn.pragma_update(None, "synchronous", run.durability.synchronous()))
        .expect("synchronous should be settable");
    db
}

/// The only queue.
pub fn queue(db: &Database) -> Queue {
    db.queue("noop", QueueOpts::default())
}

/// Read back from one of the connections that do the work; all are opened alike.
pub fn pragmas(db: &Database) -> Pragmas {
    let ask = |sql: &str| {
        db.with_conn(|conn| conn.query_row(sql, [], |row| row.get::<_, String>(0)))
            .expect("SQLite should answer")
    };
    Pragmas::new(
        &ask("SELECT sqlite_version()"),
        &ask("PRAGMA journal_mode"),
        &ask("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous"),
    )
}

/// Enqueues `jobs`, [`BULK`] to a transaction.
pub fn enqueue_all(db: &Database, jobs: u64) {
    let (queue, payload) = (queue(db), payload());
    let mut added = 0;
    while added < jobs {
        let bulk = BULK.min(jobs - added);
        let tx = db.transaction().expect("the transaction should begin");
        for _ in 0..bulk {
            let id = queue.enqueue_tx(&tx, &payload, EnqueueOpts::default());
            id.expect("the job should be enqueued");
        }
        tx.commit().expect("the transaction should commit");
        added += bulk;
    }
}

/// Threads that claim and acknowledge in batches until dropped.
pub struct Workers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// A job counts as done when its acknowledgement is committed.
    /// `connection` gives each worker its handle: the one that all share, or one of its own.
    pub fn start(run: &Run, done: &Done, connection: impl Fn() -> Database) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let worker = |id: usize| {
            let db = connection();
            let (queue, done, stop) = (queue(&db), done.clone(), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    claim(&queue, &format!("worker-{id}"), &done);
                }
            })
        };
        let threads = (0..run.workers).map(worker).collect();
        Self { stop, threads }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a worker should not panic");
        }
    }
}

fn claim(queue: &Queue, worker: &str, done: &Done) {
    let jobs = queue.claim_batch(worker, BATCH);
    let jobs = jobs.expect("a batch should be claimed");
    if jobs.is_empty() {
        return std::thread::sleep(TICK);
    }
    let ids: Vec<i64> = jobs.iter().map(|job| job.id).collect();
    let acknowledged = queue.ack_batch(&ids, worker);
    for _ in 0..acknowledged.expect("the batch should be acknowledged") {
        done.add();
    }
}

/// Handlers that wait for a commit to wake them. They go with the process.
pub fn start_waiting(run: &Run, db: &Database, start: &Start) {
    for id in 0..run.workers {
        let (waker, start) = (queue(db).claim_waker(), start.clone());
        std::thread::spawn(move || {
            let worker = format!("worker-{id}");
            while let Ok(Some(job)) = waker.next(&worker) {
                start.now();
                job.ack().expect("the job should be acknowledged");
            }
        });
    }
}
