//! A soak: a mixed load on one file for a long time, while one of its processes is killed again and
//! again. Memory, the log, the file and the throughput must be at the end as they were soon after the
//! beginning.
//!
//! `WINDLASS_TEST_SOAK_MINUTES` sets how long it takes; without it half a minute, with wider bounds,
//! since other tests run beside it.

mod load;
mod samples;

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rusqlite::Connection;
use windlass::limits::scheduler::RETAIN_EVERY;
use windlass::{Clock as _, Inspector, RunFilter, SystemClock, limits};

pub(crate) use load::{produce, serve};

use crate::child::start;
use load::{DONE, END, KEEP, WRONG};
use samples::{Sample, growth, jobs_per_cpu, memory_kib, real, size_of, throughput, ticks};

/// How often one of the two processes that run steps is killed: at a steady rate, so that all parts of
/// the soak have the same trouble.
const KILL_EVERY: Duration = Duration::from_secs(3);

/// How much later than it should retention may come on a busy machine.
const LATE_MAX: Duration = Duration::from_secs(6);

/// How long it takes, and what it must hold.
#[derive(Debug)]
struct Plan {
    takes: Duration,
    /// Until caches are full and retention removes as much as comes.
    warm_up: Duration,
    /// The parts at the beginning and at the end, after the warm-up, that are compared.
    part: Duration,
    sample_every: Duration,
    /// By how much the memory of a process may grow after the warm-up, by the line through all
    /// samples: a leak of a byte or two for each job shows in the long form.
    growth_kib_max: f64,
    /// By how many bytes the part of the file that is in use may grow after the warm-up, by the line
    /// through all samples: a leak of a byte or two for each job shows in the long form.
    used_growth_max: f64,
    /// How large the file may be: it keeps the size of its fullest moment.
    file_bytes_max: u64,
    /// What the throughput at the end must be, against the beginning: by the clock, which others on the
    /// machine slow down as well, and by what it costs.
    throughput_min: f64,
    jobs_per_cpu_min: f64,
}

fn plan() -> Plan {
    match std::env::var("WINDLASS_TEST_SOAK_MINUTES") {
        Err(_) => {
            let takes = Duration::from_secs(27);
            Plan {
                takes,
                warm_up: takes / 3,
                part: takes / 4,
                sample_every: takes / 54,
                growth_kib_max: 12.0 * 1_024.0,
                used_growth_max: 24e6,
                file_bytes_max: 64 << 20,
                throughput_min: 0.2,
                jobs_per_cpu_min: 0.6,
            }
        }
        Ok(minutes) => {
            let takes = Duration::from_mins(minutes.parse().unwrap());
            let warm_up = (takes / 4).min(Duration::from_mins(3));
            Plan {
                takes,
                warm_up,
                part: (takes.saturating_sub(warm_up) / 4).min(Duration::from_mins(10)),
                sample_every: Duration::from_secs(10).min(takes / 60),
                growth_kib_max: 8.0 * 1_024.0,
                used_growth_max: 4e6,
                file_bytes_max: 64 << 20,
                throughput_min: 0.95,
                jobs_per_cpu_min: 0.9,
            }
        }
    }
}

/// The processes on the file.
struct Processes {
    database: PathBuf,
    /// Schedules and waits; runs no steps.
    load: Child,
    /// Runs steps, all along.
    elder: Child,
    /// Runs steps until it is killed, and another one takes its place.
    victim: Child,
    kills: u32,
    /// Processor time of those that were killed.
    killed_ticks: u64,
}

impl Processes {
    fn start(database: &Path) -> Self {
        let child = |role| start(role, database, None);
        let elder = child("soak serve");
        Self {
            database: database.to_owned(),
            load: child("soak load"),
            elder,
            victim: child("soak serve"),
            kills: 0,
            killed_ticks: 0,
        }
    }

    fn kill_one(&mut self) {
        self.killed_ticks += ticks(self.victim.id());
        self.victim.kill().unwrap();
        self.victim.wait().unwrap();
        self.victim = start("soak serve", &self.database, None);
        self.kills += 1;
    }

    fn sample(&mut self, at: Duration) -> Sample {
        let beside = |name: &str| self.database.with_file_name(name);
        for child in [&mut self.load, &mut self.elder] {
            if let Some(status) = child.try_wait().unwrap() {
                let wrong = std::fs::read_to_string(beside(WRONG));
                panic!("a process has ended by itself, {status}: {wrong:?}");
            }
        }
        let done = std::fs::read(beside(DONE)).unwrap_or_default();
        Sample {
            at,
            memory_kib: vec![memory_kib(self.elder.id()), memory_kib(self.load.id())],
            log_bytes: size_of(&beside("w.db-wal")),
            database_bytes: size_of(&self.database),
            used_bytes: used_bytes(&self.database),
            jobs: done.try_into().map_or(0, u64::from_le_bytes),
            ticks: self.killed_ticks
                + [&self.load, &self.elder, &self.victim]
                    .map(|child| ticks(child.id()))
                    .iter()
                    .sum::<u64>(),
        }
    }

    /// Lets the load come to its end, and kills the others.
    fn end(mut self) {
        std::fs::write(self.database.with_file_name(END), "").unwrap();
        let status = self.load.wait().unwrap();
        let wrong = std::fs::read_to_string(self.database.with_file_name(WRONG));
        assert!(status.success(), "{wrong:?}");
        for child in [&mut self.elder, &mut self.victim] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Processes {
    /// A test that failed leaves no load behind.
    fn drop(&mut self) {
        for child in [&mut self.load, &mut self.elder, &mut self.victim] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The pages of a file that are in use. This process holds no lock on the file that closing it could
/// drop.
fn used_bytes(database: &Path) -> u64 {
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let pragma = |name| -> u32 {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    let [pages, free, size] = ["page_count", "freelist_count", "page_size"].map(pragma);
    u64::from(pages - free) * u64::from(size)
}

fn rows(database: &Path, table: &str) -> u64 {
    let connection = Connection::open(database).unwrap();
    let sql = format!("SELECT count(*) FROM {table}");
    let rows: u32 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
    rows.into()
}

fn soak(plan: &Plan, processes: &mut Processes) -> Vec<Sample> {
    let clock = SystemClock::new();
    let mut samples = Vec::new();
    let (mut kill_at, mut sample_at) = (KILL_EVERY, plan.sample_every);
    while clock.elapsed() < plan.takes {
        let next = kill_at.min(sample_at);
        windlass_store::sync::pause(next.saturating_sub(clock.elapsed()));
        if next == kill_at {
            processes.kill_one();
            kill_at += KILL_EVERY;
        }
        if next == sample_at {
            let sample = processes.sample(clock.elapsed());
            println!("{sample:?}");
            samples.push(sample);
            sample_at += plan.sample_every;
        }
    }
    samples
}

#[test]
fn soak_under_mixed_load_and_kills_grows_nothing_and_slows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let plan = plan();
    let mut processes = Processes::start(&database);
    let mut samples = soak(&plan, &mut processes);
    let kills = processes.kills;
    processes.end();

    samples.retain(|sample| sample.at >= plan.warm_up);
    let until = plan.warm_up + plan.part;
    let from = samples[samples.len() - 1].at.saturating_sub(plan.part);
    let first: Vec<_> = samples.iter().filter(|s| s.at <= until).cloned().collect();
    let last: Vec<_> = samples.iter().filter(|s| s.at >= from).cloned().collect();
    let largest = |samples: &[Sample], of: fn(&Sample) -> u64| samples.iter().map(of).max();
    let log_bytes = largest(&samples, |sample| sample.log_bytes).unwrap();
    let file_bytes = largest(&samples, |sample| sample.database_bytes).unwrap();
    let used_grown = growth(&samples, |sample| sample.used_bytes);
    let (before, after) = (throughput(&first), throughput(&last));
    let grown = [0, 1].map(|process| growth(&samples, |sample| sample.memory_kib[process]));
    let cheap = [&first, &last].map(|samples| jobs_per_cpu(samples));
    let end = &samples[samples.len() - 1];
    println!(
        "{:?}, {kills} kills, {} jobs; {before:.0} jobs/s, then {after:.0}; {cheap:.0?} per second of processor; \
        memory {:?} KiB, grown by {grown:.0?} KiB; log at most {} KiB; file at most {} KiB, in use {} KiB at the end, grown by {:.0} KiB",
        plan.takes,
        end.jobs,
        end.memory_kib,
        log_bytes >> 10,
        file_bytes >> 10,
        end.used_bytes >> 10,
        used_grown / 1_024.0,
    );
    assert!(
        grown.iter().all(|kib| *kib <= plan.growth_kib_max),
        "memory grows: {plan:?}"
    );
    assert!(log_bytes <= limits::store::WAL_BYTES_MAX, "the log grows");
    assert!(
        used_grown <= plan.used_growth_max && file_bytes <= plan.file_bytes_max,
        "the file grows: {plan:?}"
    );
    assert!(
        after >= before * plan.throughput_min,
        "it slows down: {plan:?}"
    );
    assert!(
        cheap[1] >= cheap[0] * plan.jobs_per_cpu_min,
        "jobs cost more and more: {plan:?}"
    );

    let mut inspector = Inspector::open(&database).unwrap();
    let left = inspector.leftovers().unwrap();
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
    let unfinished = inspector.runs(RunFilter::Unfinished, 1).unwrap();
    assert!(unfinished.is_empty(), "{unfinished:?}");
    // Each job has a row; retention has come for it within seconds.
    let kept_max = before.max(after) * (KEEP + RETAIN_EVERY + LATE_MAX).as_secs_f64();
    let kept = rows(&database, "history");
    println!("{kept} rows of history are left, {kept_max:.0} may be");
    assert!(real(kept) <= kept_max, "retention does not keep up");
}
