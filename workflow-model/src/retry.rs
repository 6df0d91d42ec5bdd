//! How often a step is tried, and how long to wait between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Attempts of one step, with exponential backoff between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries in all, at least 1. Default 1.
    pub attempts: u32,
    /// Pause before the second attempt, in milliseconds. Default 1 s.
    pub backoff_ms: u64,
    /// The pause doubles up to this many milliseconds. Default 5 min.
    pub backoff_ms_max: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff_ms: 1_000,
            backoff_ms_max: 300_000,
        }
    }
}

impl RetryPolicy {
    /// `attempts` tries, the first pause being `backoff`.
    pub fn new(attempts: u32, backoff: Duration) -> Self {
        let backoff_ms = u64::try_from(backoff.as_millis()).unwrap_or(u64::MAX);
        let default = Self::default();
        Self {
            attempts,
            backoff_ms,
            backoff_ms_max: default.backoff_ms_max.max(backoff_ms),
        }
    }

    /// How long to wait after attempt number `attempt` (the first is 1) failed; `None` when that
    /// was the last one.
    pub fn pause_after(self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doublings = attempt.saturating_sub(1).min(63);
        let pause_ms = self
            .backoff_ms
            .saturating_mul(1 << doublings)
            .min(self.backoff_ms_max);
        Some(Duration::from_millis(pause_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_bound_and_ends_with_the_attempts() {
        let policy = RetryPolicy {
            attempts: 5,
            backoff_ms: 100,
            backoff_ms_max: 350,
        };
        let pauses: Vec<_> = (1..=5).map(|n| policy.pause_after(n)).collect();
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(pauses, [ms(100), ms(200), ms(350), ms(350), None]);
        assert_eq!(RetryPolicy::default().pause_after(1), None);
    }
}
