//! How often a step is tried, how long to wait between, and which errors are worth it.
//!
//! Owns the decision, as a pure function: chance comes in as a seed, so an attempt that is concluded
//! twice is due at the same moment. Never reads a clock, and never panics on a policy that nobody
//! has checked.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{SCRAMBLE, mix};
use crate::limits::{ATTEMPTS_MAX, NAME_BYTES_MAX};

/// Attempts of one step, with growing pauses between them.
///
/// ```
/// use std::time::Duration;
/// use windlass_workflow_model::RetryPolicy;
///
/// let policy = RetryPolicy::new(5, Duration::from_secs(1))
///     .factor(3.0)
///     .backoff_max(Duration::from_secs(20))
///     .give_up_on(["not-found"]);
/// let pauses: Vec<_> = (1..=5).map(|n| policy.pause_after(n, 0)).collect();
/// assert_eq!(pauses, [Some(1), Some(3), Some(9), Some(20), None].map(|s| s.map(Duration::from_secs)));
/// assert!(policy.retries("busy") && !policy.retries("not-found"));
/// ```
// What has its default is left out of the JSON: the fingerprint of a definition is taken from that,
// and must not change for workflows that were stored before a field was there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Tries in all, 1 to [`ATTEMPTS_MAX`]. Default 1.
    pub attempts: u32,
    /// Pause before the second attempt, in milliseconds. Default 1 s; with 0 there is no pause at
    /// all, and what is down gets all attempts at once.
    pub backoff_ms: u64,
    /// The pause grows up to this many milliseconds. Default 5 min.
    pub backoff_ms_max: u64,
    /// How many times longer each pause is than the one before, 1 or more. Default 2; with 1 all are
    /// the same, and with a large one all but the first are `backoff_ms_max`.
    #[serde(default = "doubling", skip_serializing_if = "is_doubling")]
    pub factor: f64,
    /// The share of a pause that chance may take away, 0 to 1. Default 0: what failed together is
    /// tried again together. With 1 some are tried again almost at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter: f64,
    /// Codes of the errors that are tried again. Default none, which means every error that may be
    /// tried again at all. An error that asks to be tried later uses up no attempt and needs no
    /// place here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retry_on: Vec<String>,
    /// Codes of the errors that end the attempts at once, whatever else is said of them: by
    /// `retry_on`, or by a handler that asks to be tried later. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub give_up_on: Vec<String>,
}

fn doubling() -> f64 {
    2.0
}

// Compared by their bits: the default, and nothing that is only as good as it, is left out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for this signature"
)]
fn is_doubling(factor: &f64) -> bool {
    factor.to_bits() == doubling().to_bits()
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for this signature"
)]
fn is_zero(jitter: &f64) -> bool {
    jitter.to_bits() == 0.0_f64.to_bits()
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 1,
            backoff_ms: 1_000,
            backoff_ms_max: 300_000,
            factor: doubling(),
            jitter: 0.0,
            retry_on: Vec::new(),
            give_up_on: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// `attempts` tries, the first pause being `backoff`.
    pub fn new(attempts: u32, backoff: Duration) -> Self {
        let backoff_ms = whole_ms(backoff);
        let default = Self::default();
        Self {
            attempts,
            backoff_ms,
            backoff_ms_max: default.backoff_ms_max.max(backoff_ms),
            ..default
        }
    }

    /// Sets how many times longer each pause is than the one before.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets the share of a pause that chance may take away.
    #[must_use]
    pub fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets the longest pause.
    #[must_use]
    pub fn backoff_max(mut self, backoff: Duration) -> Self {
        self.backoff_ms_max = whole_ms(backoff);
        self
    }

    /// Sets the codes of the errors that are tried again.
    #[must_use]
    pub fn retry_on<C: Into<String>>(mut self, codes: impl IntoIterator<Item = C>) -> Self {
        self.retry_on = codes.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the codes of the errors that end the attempts at once.
    #[must_use]
    pub fn give_up_on<C: Into<String>>(mut self, codes: impl IntoIterator<Item = C>) -> Self {
        self.give_up_on = codes.into_iter().map(Into::into).collect();
        self
    }

    /// How long to wait after attempt number `attempt` (the first is 1) failed; `None` when that
    /// was the last one. Jitter is drawn from `seed`: the same seed and attempt give the same pause.
    pub fn pause_after(&self, attempt: u32, seed: u64) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let pause = self.backoff(attempt);
        let left = 1.0 - self.jitter * share(seed, attempt);
        Some(scaled(pause, left).min(pause))
    }

    /// Whether an error with this code is tried again while attempts are left. Giving up wins over
    /// trying.
    pub fn retries(&self, code: &str) -> bool {
        let tries = self.retry_on.is_empty() || self.retry_on.iter().any(|known| known == code);
        tries && !self.gives_up(code)
    }

    /// Whether an error with this code ends the attempts at once.
    pub fn gives_up(&self, code: &str) -> bool {
        self.give_up_on.iter().any(|known| known == code)
    }

    /// What is wrong with it: what, why and how to fix it. Empty if it can be used.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let attempts = self.attempts;
        if !(1..=ATTEMPTS_MAX).contains(&attempts) {
            problems.push(format!("{attempts} attempts; use 1 to {ATTEMPTS_MAX}"));
        }
        let factor = self.factor;
        if !factor.is_finite() || factor < 1.0 {
            problems.push(format!(
                "a factor of {factor}: pauses must not shrink, or what is down is tried ever more \
                 often; use 1 for equal pauses, or more"
            ));
        }
        let jitter = self.jitter;
        if !(0.0..=1.0).contains(&jitter) {
            problems.push(format!(
                "a jitter of {jitter}: it is the share of a pause that chance may take away; use 0 \
                 to 1"
            ));
        }
        for (list, codes) in [
            ("retry_on", &self.retry_on),
            ("give_up_on", &self.give_up_on),
        ] {
            problems.extend(codes.iter().filter_map(|code| code_problem(list, code)));
        }
        for code in self.retry_on.iter().filter(|c| self.give_up_on.contains(c)) {
            problems.push(format!(
                "code {code:?} is in retry_on and in give_up_on, which contradict each other; \
                 remove it from one"
            ));
        }
        problems
    }

    /// The pause before chance takes its share.
    fn backoff(&self, attempt: u32) -> Duration {
        let times = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        scaled(
            Duration::from_millis(self.backoff_ms),
            self.factor.powi(times),
        )
        .min(Duration::from_millis(self.backoff_ms_max))
    }
}

fn code_problem(list: &str, code: &str) -> Option<String> {
    let bytes = code.len();
    if code.trim().is_empty() {
        return Some(format!(
            "{list} has an empty code, which no error has; remove it or write the code"
        ));
    }
    (bytes > NAME_BYTES_MAX).then(|| {
        format!(
            "a code of {bytes} bytes in {list}: errors keep {NAME_BYTES_MAX}, so none has it; \
             shorten it"
        )
    })
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// So many times `duration`, in whole microseconds: a [`Timestamp`](crate::Timestamp) has no finer.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "exact up to 285 years (53 bits); more saturates, and what is no number (zero times \
              infinity) becomes no pause"
)]
fn scaled(duration: Duration, times: f64) -> Duration {
    let micros = duration.as_micros() as f64 * times;
    Duration::from_micros(micros.round() as u64)
}

/// Evenly from 0 up to but without 1: one draw of `SplitMix64`, `attempt` steps after `seed`.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits are all that a float of this size has"
)]
fn share(seed: u64, attempt: u32) -> f64 {
    let draw = mix(seed.wrapping_add(SCRAMBLE.wrapping_mul(u64::from(attempt))));
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The pauses of `policy` in milliseconds, until it gives up or the list is full.
    fn check(policy: &RetryPolicy, expected: &[u64]) {
        let pauses: Vec<_> = (1..)
            .map_while(|attempt| policy.pause_after(attempt, 7))
            .take(8)
            .collect();
        let expected: Vec<_> = expected.iter().copied().map(ms).collect();
        assert_eq!(pauses, expected, "{policy:?}");
    }

    #[test]
    fn the_pause_grows_up_to_its_bound_and_ends_with_the_attempts() {
        let five = RetryPolicy::new(5, ms(100));
        check(&RetryPolicy::default(), &[]);
        check(&five, &[100, 200, 400, 800]);
        check(&five.clone().backoff_max(ms(350)), &[100, 200, 350, 350]);
        check(&five.clone().backoff_max(ms(50)), &[50; 4]);
        check(&five.clone().factor(1.0), &[100; 4]);
        check(
            &RetryPolicy::new(4, ms(800)).factor(1.5),
            &[800, 1_200, 1_800],
        );
        check(&five.clone().factor(10.0), &[100, 1_000, 10_000, 100_000]);
    }

    #[test]
    fn a_million_attempts_do_not_overflow_the_pause() {
        let last = ATTEMPTS_MAX - 1;
        for (backoff, expected) in [(0, 0), (1, 300_000)] {
            let policy = RetryPolicy::new(ATTEMPTS_MAX, ms(backoff));
            assert_eq!(policy.pause_after(last, 0), Some(ms(expected)));
            assert_eq!(policy.pause_after(ATTEMPTS_MAX, 0), None);
        }
        let ages = RetryPolicy::new(3, Duration::MAX)
            .pause_after(2, 0)
            .unwrap();
        assert!(ages > ms(1_000 * 365 * 86_400 * 1_000), "{ages:?}");
    }

    #[test]
    fn jitter_shortens_a_pause_by_up_to_its_share_and_uses_all_of_it() {
        for jitter in [0.1, 0.5, 1.0] {
            let policy = RetryPolicy::new(9, ms(1_000)).factor(1.0).jitter(jitter);
            let shares: Vec<_> = (0..1_000)
                .flat_map(|seed| (1..9).map(move |attempt| (seed, attempt)))
                .map(|(seed, attempt)| policy.pause_after(attempt, seed).unwrap())
                .map(|pause| 1.0 - pause.as_secs_f64())
                .collect();
            let (least, most) = shares
                .iter()
                .fold((1.0_f64, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
            assert!((0.0..0.001).contains(&least), "{jitter}: {least}");
            // A microsecond of rounding may come on top.
            let bounds = jitter * 0.999..=jitter + 1e-6;
            assert!(bounds.contains(&most), "{jitter}: {most}");
            let mean = shares.iter().sum::<f64>() / 8_000.0;
            assert!((mean / jitter - 0.5).abs() < 0.02, "{jitter}: {mean}");
        }
    }

    #[test]
    fn the_same_seed_and_attempt_draw_the_same_pause_and_others_draw_others() {
        let policy = RetryPolicy::new(9, ms(1_000)).factor(1.0).jitter(1.0);
        assert_eq!(policy.pause_after(1, 5), policy.clone().pause_after(1, 5));
        let mut pauses: Vec<_> = (0..100)
            .flat_map(|seed| (1..9).map(move |attempt| (seed, attempt)))
            .map(|(seed, attempt)| policy.pause_after(attempt, seed))
            .collect();
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 780, "{} of 800 differ", pauses.len());
        // Pinned, so that a change of the draw is noticed.
        assert_eq!(
            policy.pause_after(1, 0),
            Some(Duration::from_micros(116_689))
        );
    }

    #[test]
    fn giving_up_wins_over_retrying_and_an_empty_list_retries_all() {
        let cases: [(&[&str], &[&str], &str, bool); 6] = [
            (&[], &[], "any", true),
            (&["a", "b"], &[], "b", true),
            (&["a", "b"], &[], "c", false),
            (&[], &["a"], "a", false),
            (&[], &["a"], "b", true),
            (&["a"], &["a"], "a", false),
        ];
        for (retry_on, give_up_on, code, expected) in cases {
            let policy = RetryPolicy::default()
                .retry_on(retry_on.iter().copied())
                .give_up_on(give_up_on.iter().copied());
            assert_eq!(policy.retries(code), expected, "{policy:?} {code}");
            let gives_up = give_up_on.contains(&code);
            assert_eq!(policy.gives_up(code), gives_up, "{policy:?} {code}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_policy_is_said_at_once() {
        let sound = RetryPolicy::new(2, ms(1));
        let extreme = sound.clone().factor(1.0).jitter(1.0);
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let cases: [(RetryPolicy, &[&str]); 12] = [
            (sound.clone(), &[]),
            (extreme.retry_on(["a"]).give_up_on(["b"]), &[]),
            (RetryPolicy::new(0, ms(1)), &["0 attempts"]),
            (sound.clone().factor(0.9), &["a factor of 0.9"]),
            (sound.clone().factor(f64::NAN), &["a factor of NaN"]),
            (sound.clone().factor(f64::INFINITY), &["a factor of inf"]),
            (sound.clone().jitter(-0.1), &["a jitter of -0.1"]),
            (sound.clone().jitter(1.1), &["a jitter of 1.1"]),
            (sound.clone().jitter(f64::NAN), &["a jitter of NaN"]),
            (
                sound.clone().retry_on(["", "a"]),
                &["retry_on has an empty"],
            ),
            (sound.clone().give_up_on([long]), &["a code of 257 bytes"]),
            (
                RetryPolicy::new(0, ms(1))
                    .factor(0.0)
                    .jitter(2.0)
                    .retry_on(["a", " "])
                    .give_up_on(["a"]),
                &[
                    "0 attempts",
                    "a factor of 0",
                    "a jitter of 2",
                    "retry_on has an empty",
                    "code \"a\" is in retry_on and in give_up_on",
                ],
            ),
        ];
        for (policy, expected) in cases {
            let found = policy.problems();
            let matches = found.iter().zip(expected).all(|(f, e)| f.starts_with(e));
            assert!(matches && found.len() == expected.len(), "{found:#?}");
        }
    }

    #[test]
    fn what_nobody_has_checked_gives_a_pause_within_its_bound() {
        let wrong = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 0.0, 1e300];
        for (factor, jitter) in wrong.iter().flat_map(|f| wrong.map(|j| (*f, j))) {
            let policy = RetryPolicy::new(9, ms(10)).factor(factor).jitter(jitter);
            for attempt in 0..9 {
                let pause = policy.pause_after(attempt, 3).unwrap();
                assert!(pause <= ms(policy.backoff_ms_max), "{policy:?}: {pause:?}");
            }
        }
    }

    #[test]
    fn a_policy_is_read_back_as_it_was_and_an_old_one_still_reads() {
        let old = r#"{"attempts":3,"backoff_ms":20,"backoff_ms_max":300000}"#;
        let plain = RetryPolicy::new(3, ms(20));
        assert_eq!(serde_json::from_str::<RetryPolicy>(old).unwrap(), plain);
        // The fingerprint of a stored workflow is taken from this text.
        assert_eq!(serde_json::to_string(&plain).unwrap(), old);
        let full = plain
            .factor(1.5)
            .jitter(0.2)
            .retry_on(["busy"])
            .give_up_on(["gone"]);
        let json = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<RetryPolicy>(&json).unwrap(), full);
        assert!(
            json.ends_with(
                r#""factor":1.5,"jitter":0.2,"retry_on":["busy"],"give_up_on":["gone"]}"#
            )
        );
    }
}
