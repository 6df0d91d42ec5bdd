//! Where time comes from. Nothing else reads a clock, so tests set their own.

use std::fmt::Debug;
use std::time::Duration;

use windlass_workflow_model::Timestamp;

use crate::sync::{AtomicI64, Ordering};

/// A source of time.
pub trait Clock: Send + Sync + Debug {
    /// The wall clock, which may jump. For what is stored and shown.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment of this process; never goes back. For timeouts and rates.
    fn elapsed(&self) -> Duration;
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// Counts [`elapsed`](Clock::elapsed) from now.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn new() -> Self {
        Self {
            origin: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| since.as_micros());
        Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that moves only when it is told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_us: AtomicI64,
    elapsed_us: AtomicI64,
}

impl ManualClock {
    /// Stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now_us: AtomicI64::new(now.0),
            elapsed_us: AtomicI64::new(0),
        }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.now_us.fetch_add(by, Ordering::SeqCst);
        self.elapsed_us.fetch_add(by, Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator would: it may go back.
    pub fn jump_to(&self, now: Timestamp) {
        self.now_us.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_us.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.elapsed_us.load(Ordering::SeqCst)).unwrap_or(0))
    }
}
