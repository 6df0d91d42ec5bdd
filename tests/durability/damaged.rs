//! Database files that are damaged at random: whoever opens one gets a typed error, or works with what
//! is there. Nothing panics, and everything comes to an end.
//!
//! `WINDLASS_TEST_FILES` says how many are damaged, and `WINDLASS_TEST_FILES_FIRST` from which seed on.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::{Arc, mpsc};
use std::task::{Context as Waiting, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use rusqlite::types::Value;
use windlass::{
    BranchResult, Engine, EngineError, Event, Inspector, ManualClock, Payload, RunFilter,
    RunOutcome, StepError, SteppedEngine, Timestamp, Workflow, examine,
};

/// Files that are damaged when nothing else is asked for.
const FILES: u64 = 300;

/// Seeds that have found something: 4084, a tree whose rows fall back, so that whoever paged through it
/// began anew for ever.
const FOUND: [u64; 1] = [4_084];

/// Turns that an engine has for what it finds.
const TURNS: usize = 120;

/// A file whose engine is not done after this time never will be: it takes some milliseconds.
const PATIENCE: Duration = Duration::from_mins(1);

#[expect(clippy::unnecessary_wraps, reason = "a join can fail")]
fn gather(sum: &mut u32, branches: Vec<BranchResult<u32>>) -> Result<(), StepError> {
    *sum += branches.into_iter().map(|branch| branch.data).sum::<u32>();
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "a step can fail")]
fn add(_: &windlass::Context, number: &mut u32) -> Result<(), StepError> {
    *number += 1;
    Ok(())
}

/// Goes as far as its number says: fails, ends, or waits at a join, for a time and for an event.
fn workflow() -> Workflow<u32> {
    Workflow::build("kept", "1", |flow| {
        flow.step("first", |_, number: &mut u32| match *number {
            0 => Err(StepError::failed("as it was asked").permanent()),
            _ => Ok(()),
        })
        .split("both", |split| {
            split
                .branch("left", |flow| flow.step("left", add))
                .branch("right", |flow| {
                    flow.step("right", add)
                        .wait_event("go", "go", |number: &mut u32, more: u32| *number += more)
                        .step("more", add)
                })
                .join(gather)
        })
        .sleep("nap", Duration::from_mins(1))
        .step("last", add)
    })
    .unwrap()
}

fn open(database: &Path, clock: &Arc<ManualClock>) -> Result<SteppedEngine, EngineError> {
    Engine::builder()
        .database(database)
        .runners(1)
        .page_cache(1)
        .clock(Arc::clone(clock) as Arc<dyn windlass::Clock>)
        .workflow(&workflow())
        .open_stepped()
}

/// Turns the engine until `asked` is answered, so often at most.
fn ask<F: Future>(engine: &mut SteppedEngine, asked: F) -> Option<F::Output> {
    let mut asked: Pin<&mut F> = pin!(asked);
    for _ in 0..TURNS {
        let mut waiting = Waiting::from_waker(Waker::noop());
        if let Poll::Ready(answer) = asked.as_mut().poll(&mut waiting) {
            return Some(answer);
        }
        engine.step_writer();
        engine.step_dispatcher();
    }
    None
}

fn go(run: windlass::RunId) -> Event {
    Event::new(run, "go", "1", Payload::encode(&7_u32).unwrap())
}

/// What a killed engine left: runs that succeeded, failed, were withdrawn, wait in every way, are
/// locked and are not begun.
fn leave(folder: &Path, emptied: bool) {
    let database = folder.join("w.db");
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000_000)));
    let mut engine = open(&database, &clock).unwrap();
    let scheduler = engine.scheduler();
    let mut runs = Vec::new();
    for number in [1, 0, 2, 3, 4] {
        let request = workflow()
            .request(&number)
            .unwrap()
            .dedupe_key(format!("key {number}"));
        let handle = ask(&mut engine, scheduler.schedule(request))
            .unwrap()
            .unwrap();
        runs.push(handle.id());
        engine.settle();
    }
    ask(&mut engine, scheduler.signal(go(runs[0])))
        .unwrap()
        .unwrap();
    engine.settle();
    clock.advance(Duration::from_secs(61));
    engine.settle();
    ask(&mut engine, scheduler.cancel(runs[2], "not wanted"))
        .unwrap()
        .unwrap();
    ask(&mut engine, scheduler.signal(go(runs[3])))
        .unwrap()
        .unwrap();
    engine.settle();
    for number in 5..12 {
        let request = workflow().request(&number).unwrap();
        ask(&mut engine, scheduler.schedule(request))
            .unwrap()
            .unwrap();
    }
    engine.step_runner(0);
    engine.step_writer();
    engine.crash();
    if emptied {
        let db = rusqlite::Connection::open(&database).unwrap();
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
    }
}

/// One of the values in one of the tables becomes another, as by a bit of its cell.
fn change_a_value(database: &Path, random: &mut Rng) -> rusqlite::Result<()> {
    let db = rusqlite::Connection::open(database)?;
    let names = |sql: &str| -> rusqlite::Result<Vec<String>> {
        db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    let tables = names("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
    let table = match random.u8(0..2) {
        0 => "branches",
        _ => &tables[random.usize(0..tables.len())],
    };
    let columns = names(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
    let keys = names(&format!(
        "SELECT name FROM pragma_table_info('{table}') WHERE pk > 0"
    ))?;
    let column = &columns[random.usize(0..columns.len())];
    let rows: i64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
        row.get(0)
    })?;
    let (keys, row) = (keys.join(", "), random.i64(0..rows.max(1)));
    let place = format!("({keys}) = (SELECT {keys} FROM {table} LIMIT 1 OFFSET {row})");
    let sql = format!("SELECT {column} FROM {table} WHERE {place}");
    let damaged = match db.query_row(&sql, [], |row| row.get(0))? {
        Value::Integer(number) if random.bool() => Value::Integer(number ^ (1 << random.u32(0..5))),
        Value::Integer(number) => Value::Integer(number ^ (1 << random.u32(0..64))),
        Value::Blob(mut bytes) if !bytes.is_empty() => {
            let at = random.usize(0..bytes.len());
            bytes[at] ^= 1 << random.u32(0..8);
            Value::Blob(bytes)
        }
        Value::Text(text) => Value::Text(text.chars().skip(1).collect()),
        // Most that can be empty is the number of a row, or a time.
        _ => Value::Integer(random.i64(0..64)),
    };
    let sql = format!("UPDATE {table} SET {column} = ?1 WHERE {place}");
    db.execute(&sql, [damaged])?;
    Ok(())
}

/// Bits, pages or the end of a file are damaged.
fn damage_bytes(file: &Path, random: &mut Rng) {
    const PAGE: usize = 4096;
    let mut bytes = std::fs::read(file).unwrap();
    if bytes.is_empty() {
        return;
    }
    let pages = bytes.len().div_ceil(PAGE);
    let page = random.usize(0..pages) * PAGE;
    let end = (page + PAGE).min(bytes.len());
    match random.u8(0..8) {
        0..3 => {
            for _ in 0..random.usize(1..17) {
                let at = random.usize(0..bytes.len());
                bytes[at] ^= 1 << random.u32(0..8);
            }
        }
        // Where a page says what is in it.
        3..5 => {
            for _ in 0..random.usize(1..5) {
                let at = (page + random.usize(0..120)).min(bytes.len() - 1);
                bytes[at] ^= 1 << random.u32(0..8);
            }
        }
        5 => bytes.truncate(random.usize(0..bytes.len())),
        6 => bytes[page..end].fill(0),
        _ => {
            let from = random.usize(0..pages) * PAGE;
            let copy = bytes[from..(from + end - page).min(bytes.len())].to_vec();
            bytes[page..page + copy.len()].copy_from_slice(&copy);
        }
    }
    std::fs::write(file, bytes).unwrap();
}

fn damage(folder: &Path, random: &mut Rng) {
    let database = folder.join("w.db");
    let log = folder.join("w.db-wal");
    match random.u8(0..8) {
        0..4 => {
            // What is refused changes nothing, and that is a case too.
            let _ = change_a_value(&database, random);
        }
        4 if log.exists() => damage_bytes(&log, random),
        _ => damage_bytes(&database, random),
    }
}

/// Everything there is to be asked. Whatever cannot be answered is a typed error.
fn inspect(database: &Path) {
    let _ = examine(database);
    let Ok(mut inspector) = Inspector::open(database) else {
        return;
    };
    let _ = inspector.leftovers();
    let _ = inspector.admission();
    for run in inspector.runs(RunFilter::All, 100).unwrap_or_default() {
        let run = run.run;
        let _ = inspector.show(run);
        let _ = inspector.why(run);
        let _ = inspector.history(run);
        let _ = inspector.outcome(run);
        let _ = inspector.maps(run);
    }
}

/// An engine goes on with what there is. Says whether it opened.
fn go_on(database: &Path, turns: usize) -> bool {
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_100_000_000)));
    let Ok(mut engine) = open(database, &clock) else {
        return false;
    };
    let scheduler = engine.scheduler();
    let request = workflow().request(&1).unwrap();
    let _ = ask(&mut engine, scheduler.schedule(request));
    let mut inspector = engine.inspector().ok();
    let runs = inspector
        .as_mut()
        .and_then(|inspector| inspector.runs(RunFilter::All, 100).ok());
    for run in runs.unwrap_or_default() {
        let _ = ask(&mut engine, scheduler.signal(go(run.run)));
        let _ = ask(&mut engine, scheduler.retry(run.run));
    }
    for turn in 0..turns {
        engine.step_writer();
        engine.step_dispatcher();
        engine.step_runner(0);
        if turn % 20 == 0 {
            clock.advance(Duration::from_secs(30));
        }
    }
    engine.crash();
    true
}

fn folder() -> tempfile::TempDir {
    // In memory, where the system has such a thing: nothing is to outlast anything.
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Damages what was left as the seed says, and looks at it. Says whether an engine opened.
fn case(left: &[PathBuf; 2], seed: u64) -> bool {
    let random = &mut Rng::with_seed(seed);
    let folder = folder();
    copy(&left[random.usize(0..2)], folder.path());
    damage(folder.path(), random);
    let database = folder.path().join("w.db");
    inspect(&database);
    let opened = go_on(&database, TURNS);
    inspect(&database);
    opened
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A watch on the side sees whether one of them never ends.
#[test]
fn a_damaged_database_is_a_typed_error_or_works_and_nothing_hangs_or_panics() {
    let kept = [folder(), folder()];
    leave(kept[0].path(), false);
    leave(kept[1].path(), true);
    let left = [kept[0].path().to_owned(), kept[1].path().to_owned()];
    let first = number("WINDLASS_TEST_FILES_FIRST").unwrap_or(0);
    let files = number("WINDLASS_TEST_FILES").unwrap_or(FILES);
    let seeds = move || FOUND.into_iter().chain(first..first + files);
    let (done, next) = mpsc::channel();
    std::thread::spawn(move || {
        for seed in seeds() {
            let opened = std::panic::catch_unwind(|| case(&left, seed));
            if done.send(opened).is_err() {
                return;
            }
        }
    });
    let mut opened = 0;
    let mut failed = Vec::new();
    for seed in seeds() {
        match next.recv_timeout(PATIENCE) {
            Ok(Ok(true)) => opened += 1,
            Ok(Ok(false)) => {}
            Ok(Err(_)) => failed.push(seed),
            Err(error) => panic!(
                "WINDLASS_TEST_FILES_FIRST={seed}: {error}, it never ends ({failed:?} panicked)"
            ),
        }
    }
    println!("{files} damaged files, {opened} of which an engine could open");
    assert!(
        failed.is_empty(),
        "WINDLASS_TEST_FILES_FIRST of {failed:?} panics"
    );
    assert!(
        opened > 0 && opened < files || files < 50,
        "the damage is not what it was"
    );
}

/// Seeds find this one seldom: a job of a dead engine stands at a node that its workflow does not have.
#[test]
fn a_job_at_a_node_that_is_not_there_harms_no_other() {
    let folder = folder();
    leave(folder.path(), true);
    let database = folder.path().join("w.db");
    let db = rusqlite::Connection::open(&database).unwrap();
    let sql = "UPDATE branches SET position = position + (1 << 21) \
               WHERE id = (SELECT max(id) FROM branches WHERE state = 0)";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
    drop(db);
    inspect(&database);
    assert!(go_on(&database, 40));
    let mut inspector = Inspector::open(&database).unwrap();
    let runs = inspector.runs(RunFilter::All, 100).unwrap();
    let waits = runs.iter().filter(|run| inspector.why(run.run).is_ok());
    assert_eq!(
        waits.count(),
        runs.len() - 1,
        "one cannot be read, and only one"
    );
    let damaged = runs.iter().find(|run| inspector.why(run.run).is_err());
    let damaged = damaged.unwrap().run;
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_200_000_000)));
    let mut engine = open(&database, &clock).unwrap();
    let scheduler = engine.scheduler();
    let cancelled = ask(&mut engine, scheduler.cancel(damaged, "damaged")).unwrap();
    assert!(cancelled.unwrap(), "an operator can be rid of it");
    let outcome = inspector.outcome(damaged).unwrap();
    assert_eq!(outcome, Some(RunOutcome::Cancelled("damaged".to_owned())));
}

/// Branches that are their own parents, and take their data from those.
#[test]
fn branches_that_are_inside_themselves_are_a_typed_error() {
    let folder = folder();
    leave(folder.path(), true);
    let database = folder.path().join("w.db");
    let db = rusqlite::Connection::open(&database).unwrap();
    let sql = "UPDATE branches SET parent = id, data = NULL WHERE parent IS NOT NULL";
    assert!(db.execute(sql, []).unwrap() > 1);
    drop(db);
    inspect(&database);
    assert!(go_on(&database, 40), "it opens, and ends by itself");
}

/// What the inspector tells about all runs; `None` where it refuses to.
fn told(database: &Path) -> Vec<Option<String>> {
    let mut inspector = Inspector::open(database).unwrap();
    let runs = inspector.runs(RunFilter::All, 100).unwrap_or_default();
    let mut told = vec![Some(format!("{runs:?}")).filter(|_| !runs.is_empty())];
    for run in runs {
        let run = run.run;
        told.push(inspector.show(run).map(|detail| format!("{detail:?}")).ok());
        told.push(inspector.why(run).map(|why| format!("{why:?}")).ok());
        told.push(inspector.history(run).map(|rows| format!("{rows:?}")).ok());
        // By its data: a payload shows no more than its length.
        let outcome = inspector.outcome(run);
        told.push(
            outcome
                .map(|outcome| format!("{:?}", outcome.map(text_of)))
                .ok(),
        );
    }
    told
}

fn text_of(outcome: RunOutcome) -> String {
    match outcome {
        RunOutcome::Succeeded(data) => String::from_utf8_lossy(data.as_bytes()).into_owned(),
        other => format!("{other:?}"),
    }
}

/// Data, records and definitions carry checksums: with any bit of them changed they are refused, and never
/// taken for what was stored.
#[test]
fn no_stored_record_or_payload_with_a_changed_bit_is_believed() {
    let folder = folder();
    leave(folder.path(), true);
    let database = folder.path().join("w.db");
    let db = rusqlite::Connection::open(&database).unwrap();
    let cells = "SELECT 'branches', 'data', rowid, data FROM branches WHERE typeof(data) = 'blob' \
         UNION ALL SELECT 'branches', 'record', rowid, record FROM branches WHERE typeof(record) = 'blob' \
         UNION ALL SELECT 'workflows', 'definition', rowid, definition FROM workflows";
    let mut cells = db.prepare(cells).unwrap();
    let cells = cells.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    });
    let cells: Vec<(String, String, i64, Vec<u8>)> = cells.unwrap().map(Result::unwrap).collect();
    let whole = told(&database);
    assert!(whole.iter().all(Option::is_some));
    let random = &mut Rng::with_seed(number("WINDLASS_TEST_FILES_FIRST").unwrap_or(0));
    let mut refused = 0;
    for (table, column, row, kept) in &cells {
        let sql = format!("UPDATE {table} SET {column} = ?1 WHERE rowid = {row}");
        for _ in 0..8 {
            let mut damaged = kept.clone();
            let at = random.usize(0..damaged.len());
            damaged[at] ^= 1 << random.u32(0..8);
            db.execute(&sql, [&damaged]).unwrap();
            let told = told(&database);
            refused += told.iter().filter(|answer| answer.is_none()).count();
            for answer in told.iter().flatten() {
                let is_known = whole.iter().flatten().any(|known| known == answer);
                assert!(
                    is_known,
                    "byte {at} of {column} in row {row} of {table}: {answer}"
                );
            }
        }
        db.execute(&sql, [kept]).unwrap();
    }
    assert!(cells.len() > 20 && refused > cells.len(), "{refused}");
}
