//! Two processes on one file under load, killed at random: nothing is lost, nothing counts twice.
//!
//! `WINDLASS_TEST_KILL_RUNS` sets the number of runs (default 2,000); kills go on until they are done.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use windlass::{Clock as _, Engine, Inspector, SystemClock};

use crate::child::{EXPECTED, start, workflow};

const SEED: u64 = 0x5eed_0001;

fn runs() -> usize {
    std::env::var("WINDLASS_TEST_KILL_RUNS").map_or(2_000, |runs| runs.parse().unwrap())
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
    let (mut scheduled, mut kills, mut random) = (0, 0, SEED);
    while scheduled < runs() || unfinished(&mut inspector) > 0 {
        if scheduled < runs() {
            let requests = (0..100)
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
        let pause = Duration::from_millis(20 + (random >> 33) % 100);
        windlass_store::sync::pause(pause);
        let victim = &mut workers[usize::from(random >> 63 == 1)];
        victim.kill().unwrap();
        victim.wait().unwrap();
        *victim = start("serve", &database, None);
        kills += 1;
        assert!(
            clock.elapsed() < Duration::from_mins(10),
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
    println!("{scheduled} runs, {kills} kills, seed {SEED:#x}");
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
