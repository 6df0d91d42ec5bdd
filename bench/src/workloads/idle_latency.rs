//! C: how long a job waits on an idle engine, from the call of `schedule` to the call of its step.
//!
//! One job at a time, 1 to 2 ms after the one before is done. The time of the call travels in the
//! payload, by a clock that all processes of the machine share. In the same round: what one commit
//! of SQLite alone takes on this disk, and the same latency from one process (no Runners) to
//! another on the same file.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{Handler, Json, Payload, Request, StepError, StepOutput, Workflow};

use crate::child::{Other, Role, call, hear, tell};
use crate::clock::{monotonic_ns, pause};
use crate::error::{BenchError, Result};
use crate::figure::{Bound, Figure, Goal};
use crate::noop::{NOOP, builder, one_step};
use crate::raw::commits::Commits;
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};
use crate::stats::{median, percentile, sorted};

/// Pauses between jobs within one process, in microseconds.
const GAP_US: std::ops::Range<u64> = 1_000..2_000;

/// Pauses between jobs for another process: longer, since nobody waits for its step here.
const GAP_ACROSS_US: std::ops::Range<u64> = 6_000..10_000;

/// How long a step may be waited for before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: "p50",
        under: Durability::Full,
        bound: Bound::RatioAtMost(2.0),
    },
    Goal {
        figure: "p50",
        under: Durability::Normal,
        bound: Bound::AtMost(0.3),
    },
    Goal {
        figure: "p99",
        under: Durability::Normal,
        bound: Bound::AtMost(2.0),
    },
    Goal {
        figure: "across processes p99",
        under: Durability::Full,
        bound: Bound::AtMost(5.0),
    },
    Goal {
        figure: "across processes p99",
        under: Durability::Normal,
        bound: Bound::AtMost(5.0),
    },
];

/// What travels with a job.
#[derive(Serialize, Deserialize)]
struct Sent {
    at_ns: u64,
    pad: String,
}

impl Sent {
    /// A request that is sent now, as long as all others.
    fn now() -> Result<Request> {
        let mut sent = Self {
            at_ns: monotonic_ns(),
            pad: String::new(),
        };
        let short = serde_json::to_vec(&sent)?.len();
        sent.pad = "x".repeat(PAYLOAD_BYTES.saturating_sub(short));
        // The clock is read last, so that making the payload is not part of the latency; as many
        // digits as before keep its length.
        sent.at_ns = monotonic_ns();
        Ok(Request::new(NOOP, Payload::encode(&sent)?))
    }
}

/// Milliseconds from the call to the step, of each job so far.
#[derive(Clone, Debug, Default)]
struct Latencies(Arc<Mutex<Vec<f64>>>);

impl Latencies {
    fn workflow(&self) -> Result<Workflow<Json>> {
        let latencies = self.clone();
        one_step(Handler::blocking(move |_, data| {
            let now = monotonic_ns();
            let sent: Sent = data
                .decode()
                .map_err(|error| StepError::failed(error.to_string()).permanent())?;
            let late = Duration::from_nanos(now.saturating_sub(sent.at_ns));
            latencies.all().push(late.as_secs_f64() * 1_000.0);
            Ok(StepOutput::data(data.clone()))
        }))
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, count: u64) -> Result<()> {
        let since = monotonic_ns();
        while (self.all().len() as u64) < count {
            if Duration::from_nanos(monotonic_ns() - since) > PATIENCE {
                let text = format!("a step has not started within {PATIENCE:?}");
                return Err(BenchError::Unsound(text));
            }
            pause(Duration::from_micros(200));
        }
        Ok(())
    }
}

/// One measurement within one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IdleLatency {
    folder: PathBuf,
    durability: Durability,
    runners: usize,
    samples: u64,
}

impl IdleLatency {
    /// Milliseconds of each sample.
    pub(crate) fn measure(&self) -> Result<Vec<f64>> {
        let folder = new_folder(&self.folder)?;
        let latencies = Latencies::default();
        let database = folder.path().join("bench.db");
        let engine = builder(Some(&database), self.durability, 1)
            .runners(self.runners)
            .workflow(&latencies.workflow()?)
            .open()?;
        let scheduler = engine.scheduler();
        let warm_up = self.samples.div_ceil(10);
        let mut random = fastrand::Rng::with_seed(1);
        for sample in 1..=warm_up + self.samples {
            scheduler.schedule_blocking(Sent::now()?)?;
            latencies.wait_for(sample)?;
            pause(Duration::from_micros(random.u64(GAP_US)));
        }
        engine.shutdown(Duration::from_secs(5));
        let after_warm_up = usize::try_from(warm_up).unwrap_or(usize::MAX);
        Ok(latencies.all().split_off(after_warm_up))
    }
}

/// The process that does the steps of another one's jobs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServeLatency {
    database: PathBuf,
    durability: Durability,
    runners: usize,
}

impl ServeLatency {
    /// Says when it is ready; told how many jobs there were, milliseconds of each.
    pub(crate) fn measure(&self) -> Result<Vec<f64>> {
        let latencies = Latencies::default();
        let engine = builder(Some(&self.database), self.durability, 1)
            .runners(self.runners)
            .workflow(&latencies.workflow()?)
            .open()?;
        tell("ready")?;
        let jobs: u64 = serde_json::from_str(&hear()?)?;
        latencies.wait_for(jobs)?;
        engine.shutdown(Duration::from_secs(5));
        let all = latencies.all();
        Ok(all.clone())
    }
}

/// The process that schedules, and runs nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AskLatency {
    database: PathBuf,
    durability: Durability,
    jobs: u64,
}

impl AskLatency {
    /// How many it has scheduled.
    pub(crate) fn ask(&self) -> Result<u64> {
        let engine = builder(Some(&self.database), self.durability, 1)
            .runners(0)
            .workflow(&Latencies::default().workflow()?)
            .open()?;
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..self.jobs {
            engine.scheduler().schedule_blocking(Sent::now()?)?;
            pause(Duration::from_micros(random.u64(GAP_ACROSS_US)));
        }
        engine.shutdown(Duration::from_secs(1));
        Ok(self.jobs)
    }
}

fn across(setting: &Setting) -> Result<Vec<f64>> {
    let folder = new_folder(&setting.folder)?;
    let database = folder.path().join("bench.db");
    let warm_up = setting.sizes.latency_samples_across.div_ceil(10);
    let mut server = Other::start(&Role::ServeLatency(ServeLatency {
        database: database.clone(),
        durability: setting.durability,
        runners: setting.runners,
    }))?;
    server.answer::<String>()?;
    let jobs: u64 = call(&Role::AskLatency(AskLatency {
        database,
        durability: setting.durability,
        jobs: warm_up + setting.sizes.latency_samples_across,
    }))?;
    server.say(&jobs.to_string())?;
    let mut latencies: Vec<f64> = server.answer()?;
    server.end()?;
    let after_warm_up = usize::try_from(warm_up).unwrap_or(usize::MAX);
    Ok(latencies.split_off(after_warm_up.min(latencies.len())))
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let ours = || {
        call::<Vec<f64>>(&Role::IdleLatency(IdleLatency {
            folder: setting.folder.clone(),
            durability: setting.durability,
            runners: setting.runners,
            samples: setting.sizes.latency_samples,
        }))
    };
    let commits = || {
        call::<Vec<f64>>(&Role::Commits(Commits {
            folder: setting.folder.clone(),
            durability: setting.durability,
            count: setting.sizes.latency_samples.div_ceil(4),
        }))
    };
    let (ours, commits) = super::in_turns(setting, ours, commits)?;
    let ours = sorted(&ours);
    let across = sorted(&across(setting)?);
    let commit = median(&commits);
    Ok(vec![
        Figure::new("p50", "ms", percentile(&ours, 50.0))
            .against("one commit", commit)
            .of(ours.clone()),
        Figure::new("p90", "ms", percentile(&ours, 90.0)),
        Figure::new("p99", "ms", percentile(&ours, 99.0)),
        Figure::new("max", "ms", percentile(&ours, 100.0)),
        Figure::new("one commit p50", "ms", commit).of(sorted(&commits)),
        Figure::new("across processes p50", "ms", percentile(&across, 50.0)).of(across.clone()),
        Figure::new("across processes p90", "ms", percentile(&across, 90.0)),
        Figure::new("across processes p99", "ms", percentile(&across, 99.0)),
        Figure::new("across processes max", "ms", percentile(&across, 100.0)),
    ])
}
