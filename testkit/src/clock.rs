//! A clock that moves only when it is told to, and wakes whoever sleeps by it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use windlass::{Clock, Timestamp};

/// When a clock that nobody set begins: 14 November 2023, 22:13:20 UTC.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000_000);

/// See the module. Handlers of a case get the one that their engine goes by from
/// [`Case::clock`](crate::Case::clock).
pub struct TestClock {
    now_us: AtomicI64,
    elapsed_us: AtomicI64,
    /// When each sleeper is to be woken, on [`elapsed`](Clock::elapsed), and how.
    sleepers: Mutex<Vec<(Duration, Waker)>>,
}

impl Default for TestClock {
    fn default() -> Self {
        Self::at(START)
    }
}

impl TestClock {
    /// Stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now_us: AtomicI64::new(now.0),
            elapsed_us: AtomicI64::new(0),
            sleepers: Mutex::default(),
        }
    }

    /// Lets time pass, and wakes who has slept for long enough.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.now_us.fetch_add(by, Ordering::SeqCst);
        self.elapsed_us.fetch_add(by, Ordering::SeqCst);
        let now = self.elapsed();
        let woken: Vec<_> = {
            let mut sleepers = self.lock();
            let due = |(at, _): &mut (Duration, Waker)| *at <= now;
            sleepers.extract_if(.., due).collect()
        };
        for (_, waker) in woken {
            waker.wake();
        }
    }

    /// Sets the wall clock alone, as an operator would: it may go back. Nobody is woken by it.
    pub fn jump_to(&self, now: Timestamp) {
        self.now_us.store(now.0, Ordering::SeqCst);
    }

    /// Begins anew, for another run of the same case.
    pub(crate) fn begin_at(&self, now: Timestamp) {
        self.now_us.store(now.0, Ordering::SeqCst);
        self.elapsed_us.store(0, Ordering::SeqCst);
        self.forget_sleepers();
    }

    /// Returns when so much time has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        let until = self.elapsed() + duration;
        poll_fn(|context| {
            if self.elapsed() >= until {
                return Poll::Ready(());
            }
            self.lock().push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// How long until somebody is woken; `None` if nobody sleeps.
    pub(crate) fn next_waking(&self) -> Option<Duration> {
        let now = self.elapsed();
        let next = self.lock().iter().map(|(at, _)| *at).min()?;
        Some(next.saturating_sub(now))
    }

    /// Forgets who sleeps: they died with their engine.
    pub(crate) fn forget_sleepers(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Duration, Waker)>> {
        self.sleepers.lock().expect("nobody panics here")
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_us.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        let elapsed = self.elapsed_us.load(Ordering::SeqCst);
        Duration::from_micros(u64::try_from(elapsed).unwrap_or(0))
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TestClock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::Context;

    use super::*;

    #[test]
    fn a_sleeper_wakes_when_the_time_has_passed_and_not_when_the_wall_clock_jumps() {
        let clock = TestClock::default();
        let mut sleep = pin!(clock.sleep(Duration::from_secs(2)));
        let mut poll = || sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(poll().is_pending());
        clock.jump_to(Timestamp(i64::MAX / 2));
        clock.advance(Duration::from_secs(1));
        assert!(poll().is_pending());
        assert_eq!(clock.next_waking(), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_secs(1));
        assert!(poll().is_ready());
        assert_eq!(clock.next_waking(), None);
    }
}
