//! The figures of one measurement, and the line of JSON that says them.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{Run, Workload};

/// What SQLite ran with, read back from a connection of the peer wherever there is a way to one.
#[derive(Clone, Debug)]
pub struct Pragmas {
    sqlite: String,
    journal_mode: String,
    synchronous: String,
}

impl Pragmas {
    /// `synchronous` as a name, or as the digit that the pragma answers.
    pub fn new(sqlite: &str, journal_mode: &str, synchronous: &str) -> Self {
        let synchronous = match synchronous {
            "0" => "off",
            "1" => "normal",
            "2" => "full",
            "3" => "extra",
            name => name,
        };
        Self {
            sqlite: sqlite.to_owned(),
            journal_mode: journal_mode.to_lowercase(),
            synchronous: synchronous.to_owned(),
        }
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Measured {
    count: u64,
    unit: &'static str,
    elapsed: Duration,
    /// Ascending; empty for a rate.
    latencies: Vec<Duration>,
}

impl Measured {
    /// `count` things in `elapsed`.
    pub fn rate(count: u64, unit: &'static str, elapsed: Duration) -> Self {
        Self {
            count,
            unit,
            elapsed,
            latencies: Vec::new(),
        }
    }

    /// One latency per sample, in any order.
    pub fn latencies(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        Self {
            count: latencies.len() as u64,
            unit: "ms",
            elapsed,
            latencies,
        }
    }

    /// A rate in units per second, or the median latency in milliseconds.
    fn figure(&self) -> f64 {
        if self.latencies.is_empty() {
            self.count as f64 / self.elapsed.as_secs_f64()
        } else {
            self.quantile_ms(0.5)
        }
    }

    /// Nearest rank.
    fn quantile_ms(&self, quantile: f64) -> f64 {
        let last = self.latencies.len() - 1;
        let rank = (quantile * last as f64).round() as usize;
        self.latencies[rank.min(last)].as_secs_f64() * 1e3
    }

    fn latency_json(&self) -> Value {
        json!({
            "p50_ms": self.quantile_ms(0.5),
            "p90_ms": self.quantile_ms(0.9),
            "p99_ms": self.quantile_ms(0.99),
            "max_ms": self.quantile_ms(1.0),
        })
    }
}

/// Everything that a peer has to say about one measurement.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What SQLite ran with.
    pub pragmas: Pragmas,
    /// What was measured.
    pub measured: Measured,
    /// The settings that were chosen, in words.
    pub settings: String,
}

impl Run {
    /// Prints the one line that the caller reads.
    pub fn print(&self, peer: &str, version: &str, figures: &Figures) {
        let measured = &figures.measured;
        let mut line = self.head(peer, version);
        let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
        put("sqlite", figures.pragmas.sqlite.as_str().into());
        put("journal_mode", figures.pragmas.journal_mode.as_str().into());
        put("synchronous", figures.pragmas.synchronous.as_str().into());
        put("jobs", self.jobs.into());
        put("counted", measured.count.into());
        put("workers", self.workers.into());
        put("seconds", measured.elapsed.as_secs_f64().into());
        put("rate", measured.figure().into());
        put("unit", measured.unit.into());
        if !measured.latencies.is_empty() {
            put("latency", measured.latency_json());
        }
        put("settings", figures.settings.as_str().into());
        println!("{}", Value::Object(line));
    }

    /// Says that the peer has no way to do this workload, and why.
    pub fn print_unsupported(&self, peer: &str, version: &str, why: &str) {
        let mut line = self.head(peer, version);
        line.insert("unsupported".to_owned(), why.into());
        println!("{}", Value::Object(line));
    }

    fn head(&self, peer: &str, version: &str) -> Map<String, Value> {
        let workload = match self.workload {
            Workload::A => "A",
            Workload::B => "B",
            Workload::C => "C",
            Workload::D => "D",
            Workload::E => "E",
        };
        let head = json!({
            "peer": peer,
            "version": version,
            "workload": workload,
            "durability": self.durability.synchronous(),
        });
        match head {
            Value::Object(fields) => fields,
            _ => unreachable!("an object literal is an object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_sample() {
        let samples = [5, 1, 9].map(Duration::from_millis);
        let measured = Measured::latencies(samples.to_vec(), Duration::from_secs(1));
        assert!((measured.figure() - 5.0).abs() < 1e-9);
        assert!((measured.quantile_ms(0.99) - 9.0).abs() < 1e-9);
    }
}
