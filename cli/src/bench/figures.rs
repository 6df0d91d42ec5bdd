//! The figures of a benchmark, and how they are shown.

use serde_json::{Value as Json, json};

use super::jobs::PAYLOAD_BYTES;
use super::raw::BATCH;

/// Everything that was measured, and on what.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) machine: String,
    pub(super) sqlite: String,
    pub(super) jobs: u64,
    pub(super) runners: u32,
    pub(super) full: Measured,
    pub(super) normal: Measured,
}

/// The rounds under one durability.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) jobs_per_s: Vec<f64>,
    pub(super) raw_per_s: Vec<f64>,
}

impl Figures {
    /// The shape of `--json`.
    pub(super) fn json(&self) -> Json {
        let of = |measured: &Measured| {
            json!({
                "jobs_per_s": median(&measured.jobs_per_s).round(),
                "raw_jobs_per_s": median(&measured.raw_per_s).round(),
            })
        };
        let rates = &self.full.jobs_per_s;
        json!({
            "machine": self.machine,
            "sqlite": self.sqlite,
            "jobs": self.jobs,
            "runners": self.runners,
            "history": "all",
            "payload_bytes": PAYLOAD_BYTES,
            "full": of(&self.full),
            "normal": of(&self.normal),
            // A: no-op jobs from schedule to done, every commit synced.
            "workloads": {
                "A": { "median": median(rates).round(), "spread": spread(rates), "rounds": rates.len() },
            },
        })
    }

    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let line = |name: &str, measured: &Measured| {
            format!(
                "{name:<8}{:>10.0} jobs/s (spread {:.0} %), raw SQLite {:>10.0} jobs/s (spread {:.0} %)\n",
                median(&measured.jobs_per_s),
                spread(&measured.jobs_per_s) * 100.0,
                median(&measured.raw_per_s),
                spread(&measured.raw_per_s) * 100.0,
            )
        };
        format!(
            "{}, SQLite {}\n{} no-op jobs of {PAYLOAD_BYTES} bytes, {} runners, history all, median of {}\n{}{}raw SQLite: insert, lock, finish and history row, {BATCH} jobs to a transaction\n",
            self.machine,
            self.sqlite,
            self.jobs,
            self.runners,
            self.full.jobs_per_s.len(),
            line("FULL", &self.full),
            line("NORMAL", &self.normal),
        )
    }
}

/// The middle one, or between the middle two; 0 of none.
fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2);
    upper
        .zip(lower)
        .map_or(0.0, |(upper, lower)| f64::midpoint(*upper, *lower))
}

/// From the slowest to the fastest, as a part of the median.
fn spread(rates: &[f64]) -> f64 {
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let most = rates.iter().copied().fold(0.0, f64::max);
    let middle = median(rates);
    if middle > 0.0 {
        (most - least) / middle
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ignores_an_outlier_and_the_spread_does_not() {
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(median(&[9.0, 1.0, 2.0]), 2.0));
        assert!(close(median(&[1.0, 3.0]), 2.0));
        assert!(close(spread(&[9.0, 1.0, 2.0]), 4.0));
        assert!(close(median(&[]), 0.0) && close(spread(&[]), 0.0));
    }
}
