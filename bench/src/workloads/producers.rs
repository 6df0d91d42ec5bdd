//! E: a thousand asynchronous producers, each awaiting its own acknowledgement before its next job.
//!
//! They share one thread. Compared with A in the same round.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use windlass::Request;

use crate::child::{Role, call};
use crate::clock::Stopwatch;
use crate::error::{BenchError, Result};
use crate::figure::{Bound, Figure, Goal};
use crate::noop::{Channel as _, NOOP, Progress, builder, check_all_ended, noop, payload};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};
use crate::stats::per_second;

pub(crate) const GOALS: &[Goal] = &[Goal {
    figure: "rate",
    under: Durability::Full,
    bound: Bound::RatioAtLeast(0.7),
}];

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Producers {
    folder: PathBuf,
    durability: Durability,
    runners: usize,
    capacity: Option<usize>,
    count: u64,
    jobs_each: u64,
}

impl Producers {
    /// Jobs per second, from the first schedule to the last completion on disk.
    pub(crate) fn measure(&self) -> Result<f64> {
        let folder = new_folder(&self.folder)?;
        let jobs = self.count * self.jobs_each;
        let progress = Progress::of(jobs);
        let engine = builder(Some(&folder.path().join("bench.db")), self.durability, jobs)
            .runners(self.runners)
            .channel(self.capacity)
            .workflow(&noop(&progress)?)
            .open()?;
        let scheduler = engine.scheduler();
        let payload = payload(PAYLOAD_BYTES);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let watch = Stopwatch::start();
        runtime.block_on(async {
            let mut producers = JoinSet::new();
            for _ in 0..self.count {
                let (scheduler, payload) = (scheduler.clone(), payload.clone());
                let jobs = self.jobs_each;
                producers.spawn(async move {
                    for _ in 0..jobs {
                        scheduler
                            .schedule(Request::new(NOOP, payload.clone()))
                            .await?;
                    }
                    Ok::<_, BenchError>(())
                });
            }
            while let Some(done) = producers.join_next().await {
                done.map_err(|error| BenchError::Child(error.to_string()))??;
            }
            Ok::<_, BenchError>(())
        })?;
        progress.wait(&scheduler)?;
        let elapsed = watch.elapsed();
        check_all_ended(&engine)?;
        engine.shutdown(Duration::from_secs(5));
        Ok(per_second(jobs, elapsed))
    }
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let producers = setting.sizes.producers.max(1);
    let ours = || {
        call::<f64>(&Role::Producers(Producers {
            folder: setting.folder.clone(),
            durability: setting.durability,
            runners: setting.runners,
            capacity: setting.capacity,
            count: producers,
            jobs_each: setting.sizes.jobs.div_ceil(producers),
        }))
    };
    let (rate, of_a) = super::in_turns(setting, ours, || super::noop_jobs::rate(setting))?;
    Ok(vec![Figure::new("rate", "jobs/s", rate).against("A", of_a)])
}
