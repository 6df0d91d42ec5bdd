//! The workloads on duroxide 0.1, durable orchestrations, with its SQLite provider.
//!
//! Settings, and where they are documented:
//! - `RuntimeOptions` with two orchestration workers and two activity workers: its default, and the
//!   best of its own stress tests (`stress-test-results.md`, "File SQLite 2/2").
//! - `dispatcher_min_poll_interval`, the pause of a dispatcher that found nothing, is its default of
//!   100 ms where the rate counts and 1 ms where latency does: the SQLite provider has no long
//!   polling.
//! - `SqliteProvider::new` takes no options that exist. It sets WAL, a checkpoint every 10,000
//!   pages and a cache of 64 MB on a pool of five, which `SqliteProvider::get_pool` shows. Its
//!   `synchronous = WAL` is no value that SQLite knows, and comes out as `NORMAL`. What was asked for
//!   is set on each connection of the pool.
//! - A no-op job is an orchestration of one activity: code with effects belongs into activities, an
//!   orchestration is replayed. There is no bulk start.
//! - Its warnings are off with `RUST_LOG=off`, which `compare.py` sets.

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
