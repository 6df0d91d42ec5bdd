//! Measures Windlass through its public interface: workloads from the first schedule to the last
//! completion on disk, beside what SQLite alone can do with the same rows in the same round.
//!
//! A [`Plan`] says which [`Workload`]s are measured and how often; its [`Report`] is a table or
//! JSON. Each figure comes from a fresh process on a fresh database: a binary that uses this library
//! hands over to [`child_main`] when its first argument is [`CHILD`].
//!
//! ```
//! use windlass_bench::Workload;
//!
//! assert_eq!("a".parse(), Ok(Workload::A));
//! ```

#![forbid(unsafe_code)]

mod child;
mod clock;
mod error;
mod figure;
mod machine;
mod noop;
mod one_thread;
mod plan;
mod raw;
mod report;
mod setting;
mod stats;
mod sweep;
mod workloads;

pub use child::{CHILD, child_main};
pub use error::BenchError;
pub use figure::{Bound, Figure, Goal, Reference};
pub use machine::describe as describe_machine;
pub use one_thread::jobs_on_one_thread;
pub use plan::Plan;
pub use report::{Report, Row};
pub use setting::{Durability, PAYLOAD_BYTES, Setting, Sizes};
pub use stats::{least, median, most, percentile, sorted, spread};
pub use sweep::Sweep;
pub use workloads::Workload;
pub use workloads::noop_jobs::RAW_BATCH;
