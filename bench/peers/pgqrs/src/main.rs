//! The workloads on pgqrs 0.15, a queue and workflow engine, with its SQLite store.
//!
//! Settings, and where they are documented:
//! - `Producer::batch_enqueue`, `Consumer::dequeue_many` and `delete_many` for batches (API docs); a
//!   job that is done is deleted, which is less work than to archive it.
//! - No limit on the rate of the producer (`ValidationConfig::max_enqueue_per_second`), which is
//!   1,000 per second by default.
//! - WAL is its default (`SqliteConfig::use_wal`); a pool of four connections is fixed in its store.
//! - It sets no `synchronous`, so SQLite's default holds on each connection, `FULL`. Its connections
//!   are private and statements go to any of them, so it cannot be set for all: it runs with `FULL`
//!   whatever is asked for.
//! - A step is a `workflow_step`; the split of four are four of them awaited together. There is no
//!   split or join of its own, so the join is one more step.
//! - It has no wake-up: an idle consumer asks again after a pause, here of a millisecond.

#![forbid(unsafe_code)]

mod engine;
mod workers;
mod workloads;

use peer_harness::Run;

/// As pinned in `Cargo.toml`.
const VERSION: &str = "0.15.3";

fn main() {
    let run = Run::from_args();
    run.print("pgqrs", VERSION, &workloads::measure(&run));
}
