//! The only place of the benchmarks that looks at a clock.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self(Duration::from_nanos(nanos(ClockId::Monotonic)))
    }

    /// Since the start.
    pub(crate) fn elapsed(self) -> Duration {
        Duration::from_nanos(nanos(ClockId::Monotonic)).saturating_sub(self.0)
    }
}

/// Nanoseconds since some instant that is the same for all processes of this machine.
pub(crate) fn monotonic_ns() -> u64 {
    nanos(ClockId::Monotonic)
}

/// Nanoseconds since 1970, by the wall clock, as `date +%s%N` has them.
pub(crate) fn wall_ns() -> u64 {
    nanos(ClockId::Realtime)
}

fn nanos(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// Waits.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
