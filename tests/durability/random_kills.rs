//! Two processes on one file under load, killed at random: nothing is lost, nothing counts twice.
//!
//! `WINDLASS_TEST_KILLS` sets the number of kills (default 20), `WINDLASS_TEST_KILL_RUNS` that of runs
//! (default 1,000), each of ten jobs.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use rusqlite::OpenFlags;
use windlass::{Clock as _, Engine, Inspector, SystemClock};

use crate::child::{EXPECTED, start, workflow};

const SEED: u64 = 0x5eed_0001;

/// How soon the jobs of a killed process must be free for the other one.
const FREE_WITHIN: Duration = Duration::from_millis(500);

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

/// How long it takes until the other process has freed all that a killed one had locked.
fn time_to_free(database: &Path, killed: u32) -> Duration {
    let clock = SystemClock::new();
    let read = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let reader = rusqlite::Connection::open_with_flags(database, read).unwrap();
    let mut left = reader
        .prepare("SELECT count(*) FROM owners WHERE pid = ?1")
        .unwrap();
    while left
        .query_row([killed], |row| row.get::<_, i64>(0))
        .unwrap()
        > 0
    {
        windlass_store::sync::pause(Duration::from_millis(1));
    }
    clock.elapsed()
}

fn unfinished(inspector: &mut Inspector) -> u64 {
    let left = inspector.leftovers().unwrap();
    left.iter()
        .find(|(table, _)| *table == "branches")
        .unwrap()
        .1
}

fn count(database: &Path, sql: &str) -> usize {
    let connection = rusqlite::Connection::open(database).unwrap();
    let count: u32 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    count as usize
}

#[test]
fn two_processes_killed_at_random_under_load_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let workflow = workflow();
    let engine = Engine::builder()
        .database(&database)
        .runners(0)
        .workflow(&workflow)
        .open()
        .unwrap();
    let mut workers: [Child; 2] = [(); 2].map(|()| start("serve", &database, None));
    let mut inspector = engine.inspector().unwrap();
    let clock = SystemClock::new();
    let (runs, kills_min) = (
        number("WINDLASS_TEST_KILL_RUNS", 1_000),
        number("WINDLASS_TEST_KILLS", 20),
    );
    let portion = runs.div_ceil(kills_min);
    let (mut scheduled, mut random, mut freed) = (0, SEED, Vec::new());
    while scheduled < runs || freed.len() < kills_min || unfinished(&mut inspector) > 0 {
        if scheduled < runs {
            let requests = (0..portion)
                .map(|_| workflow.request(&Vec::new()).unwrap())
                .collect();
            scheduled += engine
                .scheduler()
                .schedule_all_blocking(requests)
                .unwrap()
                .len();
        }
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        windlass_store::sync::pause(Duration::from_millis(20 + (random >> 33) % 100));
        let victim = &mut workers[usize::from(random >> 63 == 1)];
        let killed = victim.id();
        victim.kill().unwrap();
        victim.wait().unwrap();
        freed.push(time_to_free(&database, killed));
        *victim = start("serve", &database, None);
        assert!(
            clock.elapsed() < Duration::from_mins(10 + kills_min as u64 / 100),
            "it does not come to an end"
        );
    }
    for worker in &mut workers {
        worker.kill().unwrap();
        worker.wait().unwrap();
    }
    let left = inspector.leftovers().unwrap();
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
    drop(inspector);
    engine.shutdown(Duration::ZERO);
    let steps = EXPECTED.len() + 1; // and the timer
    freed.sort_unstable();
    let (median, worst) = (freed[freed.len() / 2], freed[freed.len() - 1]);
    println!(
        "{} jobs, {} kills, seed {SEED:#x}; locks free after {median:.1?} in the median, {worst:.1?} at worst",
        scheduled * steps,
        freed.len(),
    );
    assert!(median < FREE_WITHIN, "{median:?}");
    assert_eq!(
        count(&database, "SELECT count(*) FROM branches WHERE state = 8"),
        scheduled
    );
    let once =
        "SELECT count(*) FROM (SELECT DISTINCT run, activation FROM history WHERE status = 3)";
    assert_eq!(count(&database, once), scheduled * steps, "lost");
    let all = "SELECT count(*) FROM history WHERE status = 3";
    assert_eq!(count(&database, all), scheduled * steps, "doubled");
    assert_eq!(
        count(&database, "SELECT count(DISTINCT data) FROM branches"),
        1,
        "the same data"
    );
}
