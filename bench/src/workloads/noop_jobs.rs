//! A: no-op jobs, from the first schedule to the last completion on disk.
//!
//! One producer in bulks, each acknowledged before the next. Raw SQLite writes the same rows
//! (insert, lock, finish and history row) in batches, in the same round. A job that goes straight to
//! the channel is inserted locked, without a write of its own for the lock, so raw SQLite is measured
//! that way, too: this is the harder comparison, and the rows per job say which one is nearer.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::child::{Role, call};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::figure::{Bound, Figure, Goal};
use crate::noop::{
    Channel as _, Progress, builder, check_all_ended, noop, payload, schedule_in_bulks,
};
use crate::raw::rows::{Kind, RawRows, Took as RawTook};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};
use crate::stats::per_second;

/// Jobs in one transaction of raw SQLite.
pub const RAW_BATCH: u64 = 1_024;

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: "rate",
        under: Durability::Full,
        bound: Bound::RatioAtLeast(0.6),
    },
    Goal {
        figure: "rate",
        under: Durability::Full,
        bound: Bound::AtLeast(150_000.0),
    },
    Goal {
        figure: RATE_LOCKED,
        under: Durability::Full,
        bound: Bound::RatioAtLeast(0.6),
    },
];

/// The rate beside raw SQLite that inserts its jobs locked.
const RATE_LOCKED: &str = "rate, inserted locked";

/// One measurement of no-op jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct NoopJobs {
    /// Where the database is made; in memory if there is none.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) runners: usize,
    pub(crate) capacity: Option<usize>,
    pub(crate) jobs: u64,
    pub(crate) bulk: u64,
    pub(crate) payload_bytes: usize,
}

/// What it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) rate: f64,
    pub(crate) rows_per_job: f64,
    pub(crate) jobs_per_transaction: f64,
}

impl NoopJobs {
    /// As workload A has it.
    pub(crate) fn standard(setting: &Setting) -> Self {
        Self {
            folder: Some(setting.folder.clone()),
            durability: setting.durability,
            runners: setting.runners,
            capacity: setting.capacity,
            jobs: setting.sizes.jobs,
            bulk: setting.sizes.bulk,
            payload_bytes: PAYLOAD_BYTES,
        }
    }

    pub(crate) fn measure(&self) -> Result<Took> {
        let folder = self.folder.as_deref().map(new_folder).transpose()?;
        let database = folder.as_ref().map(|folder| folder.path().join("bench.db"));
        let progress = Progress::of(self.jobs);
        let engine = builder(database.as_deref(), self.durability, self.jobs)
            .runners(self.runners)
            .channel(self.capacity)
            .workflow(&noop(&progress)?)
            .open()?;
        let scheduler = engine.scheduler();
        let payload = payload(self.payload_bytes);
        let before = engine.stats();
        let watch = Stopwatch::start();
        schedule_in_bulks(&scheduler, self.jobs, self.bulk, &payload)?;
        progress.wait(&scheduler)?;
        let elapsed = watch.elapsed();
        let after = engine.stats();
        check_all_ended(&engine)?;
        engine.shutdown(Duration::from_secs(5));
        let each = |count: u64| per_second(count, Duration::from_secs(1));
        let transactions = after.transactions - before.transactions;
        Ok(Took {
            rate: per_second(self.jobs, elapsed),
            rows_per_job: each(after.rows_written - before.rows_written) / each(self.jobs),
            jobs_per_transaction: each(self.jobs) / each(transactions.max(1)),
        })
    }
}

/// The rate of A's jobs, in a process of its own: what other workloads are compared with.
pub(crate) fn rate(setting: &Setting) -> Result<f64> {
    let took: Took = call(&Role::NoopJobs(NoopJobs::standard(setting)))?;
    Ok(took.rate)
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let raw = |direct| {
        call::<RawTook>(&Role::RawRows(RawRows {
            folder: setting.folder.clone(),
            durability: setting.durability,
            kind: Kind::NoopJobs {
                payload_bytes: PAYLOAD_BYTES,
                direct,
            },
            runs: setting.sizes.jobs,
            batch: RAW_BATCH,
        }))
    };
    let ours = || call::<Took>(&Role::NoopJobs(NoopJobs::standard(setting)));
    let (ours, raw_with_lock) = super::in_turns(setting, ours, || raw(false))?;
    let raw_locked = raw(true)?;
    Ok(vec![
        Figure::new("rate", "jobs/s", ours.rate).against("raw SQLite", raw_with_lock.rate),
        Figure::new(RATE_LOCKED, "jobs/s", ours.rate)
            .against("raw SQLite, inserted locked", raw_locked.rate),
        Figure::new("rows per job", "rows", ours.rows_per_job)
            .against("raw SQLite", raw_with_lock.rows_per_run),
        Figure::new("jobs per transaction", "jobs", ours.jobs_per_transaction),
    ])
}
