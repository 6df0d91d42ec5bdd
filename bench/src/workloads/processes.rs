//! H: several processes on one file, each scheduling its share of the jobs and running whatever comes.
//!
//! From the moment all are told to begin to the last completion on disk. The longest wait is that
//! of any producer for the acknowledgement of a bulk. Compared with A in the same round.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass::{Handler, Inspector, Request, RunFilter, RunId, Scheduler, StepOutput};

use crate::child::{Other, Role, hear, tell};
use crate::clock::{Stopwatch, pause};
use crate::error::{BenchError, Result};
use crate::figure::{Bound, Figure, Goal};
use crate::noop::{Channel as _, NOOP, builder, one_step, payload};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};
use crate::stats::{most, per_second};

/// How often each process is asked how far it is.
const LOOK: Duration = Duration::from_millis(2);

/// The last jobs of each process, which are awaited: a Runner hands its outcomes over in order.
const TAIL: usize = 256;

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: "rate",
        under: Durability::Full,
        bound: Bound::RatioAtLeast(0.5),
    },
    Goal {
        figure: "longest wait",
        under: Durability::Full,
        bound: Bound::AtMost(1_000.0),
    },
];

/// One of the processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Share {
    database: PathBuf,
    durability: Durability,
    runners: usize,
    capacity: Option<usize>,
    jobs: u64,
    bulk: u64,
}

/// How many jobs it has begun, and the last of them.
#[derive(Debug, Default)]
struct Begun {
    count: u64,
    last: VecDeque<RunId>,
}

impl Share {
    /// Answers every question with how many jobs it has begun; to the last one, when all its jobs
    /// are on disk, with the milliseconds of its longest wait.
    pub(crate) fn measure(&self) -> Result<f64> {
        let begun = Arc::new(Mutex::new(Begun::default()));
        let counted = Arc::clone(&begun);
        let workflow = one_step(Handler::blocking(move |context, data| {
            let mut begun = counted.lock().unwrap_or_else(PoisonError::into_inner);
            begun.count += 1;
            begun.last.push_back(context.run());
            if begun.last.len() > TAIL {
                begun.last.pop_front();
            }
            Ok(StepOutput::data(data.clone()))
        }))?;
        let engine = builder(Some(&self.database), self.durability, self.jobs)
            .runners(self.runners)
            .channel(self.capacity)
            .workflow(&workflow)
            .open()?;
        tell("ready")?;
        hear()?;
        let (scheduler, share) = (engine.scheduler(), self.clone());
        let producer = std::thread::spawn(move || share.schedule(&scheduler));
        while hear()?.trim() == "how many" {
            tell(&begun.lock().unwrap_or_else(PoisonError::into_inner).count)?;
        }
        let last = std::mem::take(&mut begun.lock().unwrap_or_else(PoisonError::into_inner).last);
        for run in last {
            engine.scheduler().handle(run).wait_blocking(None)?;
        }
        let panicked = |_| BenchError::Child("its producer panicked".to_owned());
        let longest = producer.join().map_err(panicked)??;
        tell(&(longest.as_secs_f64() * 1_000.0))?;
        hear()?;
        engine.shutdown(Duration::from_secs(5));
        Ok(0.0)
    }

    fn schedule(&self, scheduler: &Scheduler) -> Result<Duration> {
        let payload = payload(PAYLOAD_BYTES);
        let (mut accepted, mut longest) = (0, Duration::ZERO);
        while accepted < self.jobs {
            let bulk = self.bulk.clamp(1, self.jobs - accepted);
            let requests = (0..bulk).map(|_| Request::new(NOOP, payload.clone()));
            let watch = Stopwatch::start();
            scheduler.schedule_all_blocking(requests.collect())?;
            longest = longest.max(watch.elapsed());
            accepted += bulk;
        }
        Ok(longest)
    }
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let (ours, of_a) = super::in_turns(
        setting,
        || together(setting),
        || super::noop_jobs::rate(setting),
    )?;
    let (rate, longest, least_share) = ours;
    Ok(vec![
        Figure::new("rate", "jobs/s", rate).against("A", of_a),
        Figure::new("longest wait", "ms", longest),
        Figure::new("smallest share run", "%", least_share * 100.0),
    ])
}

/// Rate, longest wait in milliseconds, and the smallest part that one process ran.
fn together(setting: &Setting) -> Result<(f64, f64, f64)> {
    let folder = new_folder(&setting.folder)?;
    let processes = setting.sizes.processes.max(1);
    let jobs_each = setting.sizes.jobs.div_ceil(processes);
    let jobs = jobs_each * processes;
    let share = Share {
        database: folder.path().join("bench.db"),
        durability: setting.durability,
        runners: setting.runners,
        capacity: setting.capacity,
        jobs: jobs_each,
        bulk: setting.sizes.bulk,
    };
    let mut others = Vec::new();
    for _ in 0..processes {
        let mut other = Other::start(&Role::Share(share.clone()))?;
        other.answer::<String>()?;
        others.push(other);
    }
    let watch = Stopwatch::start();
    for other in &mut others {
        other.say("go")?;
    }
    let counts = loop {
        let mut counts = Vec::new();
        for other in &mut others {
            other.say("how many")?;
            counts.push(other.answer::<u64>()?);
        }
        if counts.iter().sum::<u64>() >= jobs {
            break counts;
        }
        pause(LOOK);
    };
    let mut waits = Vec::new();
    for other in &mut others {
        other.say("that is all")?;
    }
    for other in &mut others {
        waits.push(other.answer::<f64>()?);
    }
    let elapsed = watch.elapsed();
    let mut inspector =
        Inspector::open(&share.database).map_err(|error| BenchError::Unsound(error.to_string()))?;
    if !inspector.runs(RunFilter::Unfinished, 1)?.is_empty() {
        let text = "a run had not ended when all were counted as done";
        return Err(BenchError::Unsound(text.to_owned()));
    }
    for mut other in others {
        other.say("end")?;
        other.end()?;
    }
    let second = Duration::from_secs(1);
    let least = counts.iter().copied().min().unwrap_or(0);
    Ok((
        per_second(jobs, elapsed),
        most(&waits),
        per_second(least, second) / per_second(jobs, second),
    ))
}
