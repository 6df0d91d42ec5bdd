//! G: an engine is killed with a million jobs queued and a thousand asynchronous steps running; how
//! soon does another process go on?
//!
//! The killed process is gone, its database in the system's page cache. The clock starts when the new
//! process calls `open`. Counted are the first job that runs, whichever it is; when no row is locked
//! by the dead engine any more; and when all steps that were running have run again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use windlass::{Handler, RunId, StepOutput};

use crate::child::{Other, Role, call, hear, tell};
use crate::clock::{Stopwatch, pause};
use crate::error::{BenchError, Result};
use crate::figure::{Bound, Figure, Goal};
use crate::noop::{builder, one_step, payload, schedule_in_bulks};
use crate::setting::{Durability, PAYLOAD_BYTES, Setting, new_folder};

/// Asynchronous steps that each Runner has in flight when it is killed.
const IN_FLIGHT: usize = 500;

/// Runs in one bulk while the database is filled.
const FILL_BULK: u64 = 10_000;

/// How long the steps that were running may take until all have run again.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: "first job",
        under: Durability::Full,
        bound: Bound::AtMost(100.0),
    },
    Goal {
        figure: "all unlocked",
        under: Durability::Full,
        bound: Bound::AtMost(1_000.0),
    },
];

/// The process that is killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HoldJobs {
    database: PathBuf,
    durability: Durability,
    runners: usize,
    queued: u64,
}

/// Who held what when it was killed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    owner: i64,
    runs: Vec<i64>,
}

impl HoldJobs {
    /// Says what it holds and goes on holding it until it is killed.
    pub(crate) fn hold(&self) -> Result<()> {
        let held = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&held);
        let workflow = one_step(Handler::future(move |context, _| {
            note(&noted, context.run());
            std::future::pending()
        }))?;
        let running = self.runners * IN_FLIGHT;
        let all = self.queued + running as u64;
        let engine = builder(Some(&self.database), self.durability, all)
            .runners(0)
            .in_flight(IN_FLIGHT)
            .workflow(&workflow)
            .open()?;
        schedule_in_bulks(&engine.scheduler(), all, FILL_BULK, &payload(PAYLOAD_BYTES))?;
        engine.set_runners(self.runners);
        while held.lock().unwrap_or_else(PoisonError::into_inner).len() < running {
            pause(Duration::from_millis(1));
        }
        let db = read_only(&self.database)?;
        let sql = "SELECT owner FROM branches WHERE owner <> 0 LIMIT 1";
        tell(&Held {
            owner: db.query_row(sql, [], |row| row.get(0))?,
            runs: held.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })?;
        hear()?;
        Ok(())
    }
}

fn note(runs: &Mutex<Vec<i64>>, run: RunId) {
    runs.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(run.0);
}

fn read_only(database: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    Ok(Connection::open_with_flags(database, flags)?)
}

/// The process that goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunAgain {
    database: PathBuf,
    durability: Durability,
    runners: usize,
    queued: u64,
    held: Held,
}

/// Milliseconds since `open` was called.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    opened: f64,
    first_job: f64,
    all_unlocked: f64,
    all_again: f64,
}

/// What its steps have seen.
#[derive(Debug)]
struct Seen {
    first: Option<Duration>,
    /// Steps that were running when the other process was killed, and have not run again.
    missing: HashSet<i64>,
    last: Duration,
}

impl RunAgain {
    pub(crate) fn measure(&self) -> Result<Took> {
        let seen = Arc::new(Mutex::new(Seen {
            first: None,
            missing: self.held.runs.iter().copied().collect(),
            last: Duration::ZERO,
        }));
        let noted = Arc::clone(&seen);
        let watch = Stopwatch::start();
        let workflow = one_step(Handler::future(move |context, data| {
            let mut seen = noted.lock().unwrap_or_else(PoisonError::into_inner);
            seen.first.get_or_insert_with(|| watch.elapsed());
            if seen.missing.remove(&context.run().0) {
                seen.last = watch.elapsed();
            }
            std::future::ready(Ok(StepOutput::data(data)))
        }))?;
        let engine = builder(Some(&self.database), self.durability, self.queued)
            .runners(self.runners)
            .in_flight(IN_FLIGHT)
            .workflow(&workflow)
            .open()?;
        let opened = watch.elapsed();
        let db = read_only(&self.database)?;
        let sql = "SELECT count(*) FROM branches WHERE owner = ?1 AND owner <> 0";
        let mut locked = db.prepare(sql)?;
        while locked.query_row([self.held.owner], |row| row.get::<_, i64>(0))? > 0 {
            wait(watch)?;
        }
        let all_unlocked = watch.elapsed();
        let (first, last) = loop {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            if let (Some(first), true) = (seen.first, seen.missing.is_empty()) {
                break (first, seen.last);
            }
            drop(seen);
            wait(watch)?;
        };
        engine.shutdown(Duration::from_secs(5));
        let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        Ok(Took {
            opened: ms(opened),
            first_job: ms(first),
            all_unlocked: ms(all_unlocked),
            all_again: ms(last),
        })
    }
}

fn wait(since: Stopwatch) -> Result<()> {
    if since.elapsed() > PATIENCE {
        let text = format!("what was running has not all run again within {PATIENCE:?}");
        return Err(BenchError::Unsound(text));
    }
    pause(Duration::from_millis(1));
    Ok(())
}

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let folder = new_folder(&setting.folder)?;
    let database = folder.path().join("bench.db");
    let mut victim = Other::start(&Role::HoldJobs(HoldJobs {
        database: database.clone(),
        durability: setting.durability,
        runners: setting.runners,
        queued: setting.sizes.recovery_queued,
    }))?;
    let held: Held = victim.answer()?;
    victim.kill()?;
    let took: Took = call(&Role::RunAgain(RunAgain {
        database,
        durability: setting.durability,
        runners: setting.runners,
        queued: setting.sizes.recovery_queued,
        held,
    }))?;
    Ok(vec![
        Figure::new("first job", "ms", took.first_job),
        Figure::new("opened", "ms", took.opened),
        Figure::new("all unlocked", "ms", took.all_unlocked),
        Figure::new("all that ran run again", "ms", took.all_again),
    ])
}
