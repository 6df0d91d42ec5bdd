//! Sweeps: how a rate changes with one setting, for plots.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use windlass::SQLITE_VERSION;

use crate::child::{Role, call};
use crate::error::Result;
use crate::machine;
use crate::plan::Plan;
use crate::raw::rows::{Kind, RawRows, Took as RawTook};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting};
use crate::stats::{least, median, most, rounded};
use crate::workloads::backlog;
use crate::workloads::noop_jobs::{NoopJobs, Took};

/// What is changed from point to point; all else is as in workload A.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Jobs that are queued while the rate of finishing is measured, as in workload D.
    Backlog,
    /// Runs in one `schedule_all`, beside raw SQLite with as many in a transaction.
    Bulk,
    /// Runner threads.
    Runners,
    /// Jobs that the channel holds.
    Capacity,
}

/// Bulks of a point: where one bulk is one commit of a few jobs, fewer jobs say enough.
const BULKS_MAX: u64 = 2_000;

impl Sweep {
    fn name(self) -> &'static str {
        match self {
            Self::Backlog => "backlog",
            Self::Bulk => "bulk",
            Self::Runners => "runners",
            Self::Capacity => "capacity",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Backlog => "queued jobs",
            Self::Bulk => "runs in one schedule_all",
            Self::Runners => "Runners",
            Self::Capacity => "jobs that the channel holds",
        }
    }

    /// The settings that are measured.
    fn points(self, plan: &Plan) -> Vec<u64> {
        match self {
            Self::Backlog => plan.sizes.backlogs.clone(),
            Self::Bulk => vec![1, 10, 100, 1_000, 10_000],
            Self::Runners => vec![1, 2, 3, 4, 6, 8],
            Self::Capacity => vec![1, 16, 64, 256, 1_024, 4_096, 16_384],
        }
    }

    /// The rate at one point, and that of raw SQLite where there is one.
    fn at(self, point: u64, setting: &Setting) -> Result<(f64, Option<f64>)> {
        let count = usize::try_from(point).unwrap_or(usize::MAX);
        let standard = NoopJobs::standard(setting);
        let piece = match self {
            Self::Backlog => return Ok((backlog::finish(setting, point)?.rate, None)),
            Self::Bulk => NoopJobs {
                bulk: point,
                jobs: standard.jobs.min(point * BULKS_MAX),
                ..standard
            },
            Self::Runners => NoopJobs {
                runners: count,
                ..standard
            },
            Self::Capacity => NoopJobs {
                capacity: Some(count),
                ..standard
            },
        };
        let took: Took = call(&Role::NoopJobs(piece.clone()))?;
        if self != Self::Bulk {
            return Ok((took.rate, None));
        }
        let raw: RawTook = call(&Role::RawRows(RawRows {
            folder: setting.folder.clone(),
            durability: setting.durability,
            kind: Kind::NoopJobs {
                payload_bytes: PAYLOAD_BYTES,
                direct: true,
            },
            runs: piece.jobs,
            batch: point,
        }))?;
        Ok((took.rate, Some(raw.rate)))
    }

    /// Measures all points, round by round; `say` is told each as soon as it is there. Returns the
    /// shape of `--json`.
    ///
    /// # Errors
    /// [`BenchError`](crate::BenchError) of the first point that gives no figure.
    pub fn run(self, plan: &Plan, mut say: impl FnMut(&str)) -> Result<Json> {
        let mut points = Vec::new();
        for durability in &plan.durabilities {
            for point in self.points(plan) {
                points.push(self.point(point, *durability, plan, &mut say)?);
            }
        }
        Ok(json!({
            "sweep": self.name(),
            "about": self.about(),
            "unit": "jobs/s",
            "machine": machine::describe(),
            "sqlite": SQLITE_VERSION.to_string_lossy(),
            "windlass": env!("CARGO_PKG_VERSION"),
            "settings": {
                "runners": plan.runners,
                "capacity": plan.capacity,
                "history": "all",
                "payload_bytes": PAYLOAD_BYTES,
                "sizes": plan.sizes,
            },
            "points": points,
        }))
    }

    fn point(
        self,
        point: u64,
        durability: Durability,
        plan: &Plan,
        say: &mut impl FnMut(&str),
    ) -> Result<Json> {
        let (mut rates, mut raws) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            let (rate, raw) = self.at(point, &plan.setting(durability, round))?;
            rates.push(rate);
            raws.extend(raw);
        }
        let mut json = json!({
            "at": point,
            "durability": durability,
            "median": rounded(median(&rates)),
            "min": rounded(least(&rates)),
            "max": rounded(most(&rates)),
            "rounds": rates.iter().copied().map(rounded).collect::<Vec<_>>(),
        });
        let mut line = format!(
            "{} {} {point}: {:.0} jobs/s ({:.0}..{:.0})",
            self.name(),
            durability.name(),
            median(&rates),
            least(&rates),
            most(&rates),
        );
        if !raws.is_empty() {
            json["raw"] = json!({
                "median": rounded(median(&raws)),
                "rounds": raws.iter().copied().map(rounded).collect::<Vec<_>>(),
            });
            // Writing to a string cannot fail.
            let _ = write!(line, ", raw SQLite {:.0}", median(&raws));
        }
        say(&line);
        Ok(json)
    }
}
