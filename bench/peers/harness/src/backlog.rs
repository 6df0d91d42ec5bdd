//! Workload D: the rate against a backlog, in bounded time.

use std::time::{Duration, Instant};

use crate::{Done, Measured, TICK};

/// How long a backlog is drained at most: a peer that slows down with its backlog would otherwise
/// take minutes. The rate is that of the jobs done until then, while the backlog is largest, which
/// is what the workload asks for.
pub const DRAIN: Duration = Duration::from_secs(5);

/// Starts the workers and counts what they finish in [`DRAIN`], or until the backlog is gone.
pub fn drain(backlog: u64, done: &Done, start_workers: impl FnOnce()) -> Measured {
    let begin = Instant::now();
    start_workers();
    while done.count() < backlog && begin.elapsed() < DRAIN {
        std::thread::sleep(TICK);
    }
    Measured::rate(done.count(), "jobs/s", begin.elapsed())
}
