//! D: what a long backlog costs: rate, memory of the process and time to open.
//!
//! One process fills a database and ends; a fresh one opens it and finishes the first jobs. The
//! clock for the rate starts when the engine is open and gets its Runners, and stops when those
//! jobs are on disk. A small backlog is finished several times over, each time from a new database,
//! so that all rates stand on about as many jobs. Finding its pace costs an engine more of a small
//! backlog than of a large one, so the first jobs of the large one, as many as the small one has, are
//! compared, too. The file is in the system's page cache, since it was just written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{Handler, StepOutput};

use crate::child::{Role, call};
use crate::clock::Stopwatch;
use crate::error::{BenchError, Result};
use crate::figure::{Bound, Figure, Goal};
use crate::machine::peak_memory_mib;
use crate::noop::{Channel as _, Progress, builder, noop, one_step, payload, schedule_in_bulks};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};
use crate::stats::{median, most, per_second};

/// Runs in one bulk while the database is filled: filling is not measured.
const FILL_BULK: u64 = 10_000;

/// How often a backlog that is smaller than what is to be finished is filled and finished.
const REPEATS_MAX: u64 = 20;

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: "rate",
        under: Durability::Full,
        bound: Bound::RatioAtLeast(0.9),
    },
    Goal {
        figure: FIRST,
        under: Durability::Full,
        bound: Bound::RatioAtLeast(0.9),
    },
    Goal {
        figure: "memory",
        under: Durability::Full,
        bound: Bound::AtMost(150.0),
    },
    Goal {
        figure: "opening",
        under: Durability::Full,
        bound: Bound::AtMost(1_000.0),
    },
];

/// The rate of as many jobs of the largest backlog as the smallest one has.
const FIRST: &str = "rate of the first";

/// A process that only schedules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FillBacklog {
    database: PathBuf,
    durability: Durability,
    queued: u64,
}

impl FillBacklog {
    /// How many there are then.
    pub(crate) fn fill(&self) -> Result<u64> {
        let engine = builder(Some(&self.database), self.durability, self.queued)
            .runners(0)
            .workflow(&noop(&Progress::of(0))?)
            .open()?;
        let payload = payload(PAYLOAD_BYTES);
        schedule_in_bulks(&engine.scheduler(), self.queued, FILL_BULK, &payload)?;
        engine.shutdown(Duration::from_secs(5));
        Ok(self.queued)
    }
}

/// A process that finishes the first of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DrainBacklog {
    database: PathBuf,
    durability: Durability,
    runners: usize,
    capacity: Option<usize>,
    queued: u64,
    jobs: u64,
    /// Jobs after which the time is taken once before.
    first: u64,
}

/// What it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    seconds: f64,
    seconds_of_first: f64,
    opening_ms: f64,
    peak_mib: f64,
}

impl DrainBacklog {
    pub(crate) fn measure(&self) -> Result<Took> {
        let (first, progress) = (Progress::of(self.first), Progress::of(self.jobs));
        let counted = (Arc::clone(&first), Arc::clone(&progress));
        let workflow = one_step(Handler::blocking(move |context, data| {
            counted.0.begin(context.run());
            counted.1.begin(context.run());
            Ok(StepOutput::data(data.clone()))
        }))?;
        let builder = builder(Some(&self.database), self.durability, self.queued)
            .runners(0)
            .channel(self.capacity)
            .workflow(&workflow);
        let watch = Stopwatch::start();
        let engine = builder.open()?;
        let opening = watch.elapsed();
        let (unstarted, _) = engine.inspector()?.admission()?;
        if unstarted != self.queued {
            let text = format!("{unstarted} jobs are queued, not {}", self.queued);
            return Err(BenchError::Unsound(text));
        }
        let watch = Stopwatch::start();
        engine.set_runners(self.runners);
        first.wait(&engine.scheduler())?;
        let elapsed_of_first = watch.elapsed();
        progress.wait(&engine.scheduler())?;
        let elapsed = watch.elapsed();
        let peak_mib = peak_memory_mib().unwrap_or(f64::NAN);
        engine.shutdown(Duration::from_secs(5));
        Ok(Took {
            seconds: elapsed.as_secs_f64(),
            seconds_of_first: elapsed_of_first.as_secs_f64(),
            opening_ms: opening.as_secs_f64() * 1_000.0,
            peak_mib,
        })
    }
}

/// One backlog, filled and finished as often as it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) rate: f64,
    rate_of_first: f64,
    opening_ms: f64,
    peak_mib: f64,
}

pub(crate) fn finish(setting: &Setting, queued: u64) -> Result<Finished> {
    let jobs = setting.sizes.backlog_jobs.min(queued).max(1);
    let repeats = (setting.sizes.backlog_jobs / jobs).clamp(1, REPEATS_MAX);
    let mut all = Vec::new();
    for _ in 0..repeats {
        let folder = new_folder(&setting.folder)?;
        all.push(finish_once(
            setting,
            &folder.path().join("bench.db"),
            queued,
            jobs,
        )?);
    }
    let of = |part: fn(&Took) -> f64| all.iter().map(part).collect::<Vec<_>>();
    let rate = |jobs: u64, seconds: Vec<f64>| {
        per_second(
            jobs * repeats,
            Duration::from_secs_f64(seconds.iter().sum()),
        )
    };
    Ok(Finished {
        rate: rate(jobs, of(|took| took.seconds)),
        rate_of_first: rate(first_of(setting, queued), of(|took| took.seconds_of_first)),
        opening_ms: median(&of(|took| took.opening_ms)),
        peak_mib: most(&of(|took| took.peak_mib)),
    })
}

fn finish_once(setting: &Setting, database: &Path, queued: u64, jobs: u64) -> Result<Took> {
    call::<u64>(&Role::FillBacklog(FillBacklog {
        database: database.to_owned(),
        durability: setting.durability,
        queued,
    }))?;
    call(&Role::DrainBacklog(DrainBacklog {
        database: database.to_owned(),
        durability: setting.durability,
        runners: setting.runners,
        capacity: setting.capacity,
        queued,
        jobs,
        first: first_of(setting, queued).min(jobs),
    }))
}

/// As many jobs as the smallest backlog has.
fn first_of(setting: &Setting, queued: u64) -> u64 {
    let least = setting.sizes.backlogs.first().copied().unwrap_or(queued);
    least.min(setting.sizes.backlog_jobs).min(queued).max(1)
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let sizes = &setting.sizes.backlogs;
    let mut all = Vec::new();
    for queued in sizes {
        all.push((*queued, finish(setting, *queued)?));
    }
    let (Some((least, small)), Some((most, _))) = (all.first(), all.last()) else {
        return Ok(Vec::new());
    };
    let mut figures = Vec::new();
    for (queued, finished) in &all {
        // The largest is what the goals are about.
        let name = |what: &str| {
            if queued == most {
                what.to_owned()
            } else {
                format!("{what} at {queued}")
            }
        };
        figures.extend([Figure::new(name("rate"), "jobs/s", finished.rate)
            .against(format!("{least} queued"), small.rate)]);
        if queued == most && queued != least {
            figures.push(
                Figure::new(FIRST, "jobs/s", finished.rate_of_first)
                    .against(format!("{least} queued"), small.rate_of_first),
            );
        }
        figures.extend([
            Figure::new(name("memory"), "MiB", finished.peak_mib),
            Figure::new(name("opening"), "ms", finished.opening_ms),
        ]);
    }
    Ok(figures)
}
