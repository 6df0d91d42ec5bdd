//! The workloads on duroxide 0.1, durable orchestrations, with its SQLite provider.
//!
//! Settings, and where they are documented:
//! - `RuntimeOptions` with two orchestration workers and two activity workers: its default, and the
//!   best of its own stress tests (`stress-test-results.md`, "File SQLite 2/2").
//! - `dispatcher_min_poll_interval` of a few milliseconds instead of 100: the pause of a dispatcher
//!   that found nothing; its docs call it the back-off when queues are idle, and its own tests go
//!   down to 5 ms. The SQLite provider has no long polling, so this is its latency.
//! - `SqliteProvider::new` takes no options that exist. It sets WAL, a checkpoint every 10,000
//!   pages and a cache of 64 MB on a pool of five. Its `synchronous = WAL` is no value that SQLite
//!   knows and leaves `FULL`. `normal` sets it on each connection of the pool, through
//!   `SqliteProvider::get_pool`.
//! - A no-op job is an orchestration of one activity: code with effects belongs into activities, an
//!   orchestration is replayed. There is no bulk start.
//! - No subscriber for its traces is installed.

#![forbid(unsafe_code)]

mod engine;
mod orchestrations;
mod workloads;

use peer_harness::Run;

/// As pinned in `Cargo.toml`.
const VERSION: &str = "0.1.32";

fn main() {
    let run = Run::from_args();
    run.print("duroxide", VERSION, &workloads::measure(&run));
}
