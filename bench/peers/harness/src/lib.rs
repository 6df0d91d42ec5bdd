//! What the benchmarks of the peers share: arguments, payload, clock, figures, one line of JSON.
//!
//! A peer opens its queue with its best documented settings, does the workload and hands its
//! [`Figures`] to [`Run::print`]. No SQLite in here: each peer links its own.
//!
//! ```no_run
//! use peer_harness::{Figures, Measured, Pragmas, Run, Workload};
//!
//! let run = Run::from_args();
//! let figures = match run.workload {
//!     Workload::A => Figures {
//!         pragmas: Pragmas::new("3.50.0", "wal", "full"),
//!         measured: Measured::rate(run.jobs, "jobs/s", std::time::Duration::from_secs(1)),
//!         settings: "as shipped".to_owned(),
//!     },
//!     _ => return run.print_unsupported("example", "1.0.0", "has no such thing"),
//! };
//! run.print("example", "1.0.0", &figures);
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod args;
mod backlog;
mod figures;
mod idle;
mod payload;
mod progress;

pub use args::{Durability, Run, Workload};
pub use backlog::{DRAIN, drain};
pub use figures::{Figures, Measured, Pragmas};
pub use idle::{Start, Starts, idle_latencies};
pub use payload::{PAYLOAD_BYTES, payload};
pub use progress::{Done, TICK};

/// The project's own benchmark replaces the system's allocator for the whole process, which SQLite
/// gains much from; so does every peer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Producers of workload E, each waiting for its own acknowledgement before its next job.
pub const PRODUCERS: u64 = 1_000;

/// Durable steps of workload B: three in a row, a split of four, the join.
pub const STEPS: u64 = 8;
