//! The workloads on apalis 1.0 with apalis-sqlite, background jobs and workflows.
//!
//! Settings, and where they are documented:
//! - `push_all` sends many jobs, one transaction for as many as are buffered (`TaskSink`).
//! - Two workers with a larger `Config::batch_size` than its default of 10 ("larger batches can
//!   improve throughput") and `lock_tasks(false)`, as its own example `realtime.rs`: fetching a job
//!   already marks it as taken by the worker. `parallelize(tokio::spawn)` changed nothing.
//! - Each worker polls every few milliseconds while it has nothing (`poll_with_interval`), which its
//!   example `config.rs` does every 100. The update hook (`connect_with_callback`) would tell of a
//!   job before the job is committed, and needs the interval beside it.
//! - A shorter `Config::heartbeat_interval`, which bounds the wait after a lost wake-up.
//! - `SqliteStorage::setup` puts `synchronous = OFF` on one connection of the pool and leaves the
//!   others at `FULL`. So it runs on a pool of its own here; the pool of the workers gets what was
//!   asked for on each connection, with the cache, the temporary store and the journal limit of
//!   `setup`.
//! - One connection in the pool: SQLite has one writer, and the pool's queue is fairer than the lock
//!   of the file.
//! - Its rate falls with the number of rows in the table, also of those that are done; a comparison
//!   should say how many jobs it ran.
//! - Workflows are a `GraphFlow` of `apalis-workflow`.

#![forbid(unsafe_code)]

mod graph;
mod storage;
mod workers;
mod workloads;

use peer_harness::Run;

/// As pinned in `Cargo.toml`.
const VERSION: &str = "1.0.0";

fn main() {
    let run = Run::from_args();
    run.print("apalis", VERSION, &workloads::measure(&run));
}
