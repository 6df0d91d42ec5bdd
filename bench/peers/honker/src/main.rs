//! The workloads on honker 0.5, queues, streams and notifications on SQLite.
//!
//! Settings, and where they are documented:
//! - Jobs are enqueued many to a transaction (`Database::transaction` with `Queue::enqueue_tx`), and
//!   claimed and acknowledged in batches (`claim_batch`, `ack_batch`): the README, "for batched
//!   work". The rates in its `bench/README.md` rise up to the largest batches there, 100 and 128;
//!   with 2,000 they were better still, above all with every commit synced.
//! - A `Database` for each worker in A and D: a handle serializes all threads through one connection
//!   (its API docs), which was slower with batches of this size. One for all in C and E, where many
//!   short transactions otherwise sleep on the lock of the file.
//! - The handler waits with `Queue::claim_waker`, the documented way without polling SQL; the
//!   watcher under it looks every 100 µs instead of every millisecond
//!   (`OpenOptions::watcher_poll_interval`) where latency is measured.
//! - `Database::open` sets WAL, `synchronous=NORMAL`, a cache of 32 MB and a checkpoint every 10,000
//!   pages. `full` sets `PRAGMA synchronous=FULL` on the same connection through
//!   `Database::with_conn`, its escape hatch.

#![forbid(unsafe_code)]

mod queue;
mod workloads;

use peer_harness::Run;

/// As pinned in `Cargo.toml`.
const VERSION: &str = "0.5.0";

fn main() {
    let run = Run::from_args();
    match workloads::measure(&run) {
        Ok(figures) => run.print("honker", VERSION, &figures),
        Err(why) => run.print_unsupported("honker", VERSION, why),
    }
}
