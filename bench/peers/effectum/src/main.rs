//! The workloads on effectum 0.7, an embeddable job queue on SQLite.
//!
//! Settings, and where they are documented:
//! - `Queue::add_jobs` puts many jobs into one transaction (its API docs, `add_job.rs`).
//! - Two `Worker`s, each with `max_concurrency` far above one and a lower `min_concurrency`, so that
//!   a worker fetches jobs in batches ("when the number of running jobs falls below this number, the
//!   worker will try to fetch more jobs, up to `max_concurrency`", `WorkerBuilder`).
//! - WAL: `Queue::new` means to turn it on, but sets a pragma named `journal`, which does not exist
//!   (`local_queue.rs`). The mode stays with the file, so `normal` hands it a file that is WAL
//!   already. This is what its author intended, and about twice as fast.
//! - `synchronous = normal` is fixed in `local_queue.rs`, so in WAL there is no way to have every
//!   commit synced. `full` is the file as shipped: a rollback journal, with which `normal` still
//!   syncs at each commit. That is the most durable it can be.
//!
//! The connections of the queue are private: the journal mode is read from the file, `synchronous`
//! is the fixed one.

#![forbid(unsafe_code)]

mod queue;
mod workloads;

use peer_harness::Run;

/// As pinned in `Cargo.toml`.
const VERSION: &str = "0.7.0";

fn main() {
    let run = Run::from_args();
    match workloads::measure(&run) {
        Ok(figures) => run.print("effectum", VERSION, &figures),
        Err(why) => run.print_unsupported("effectum", VERSION, why),
    }
}
