//! What must hold of a database, whatever its disk did.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use windlass::{Inspector, RunFilter, RunOutcome};

use crate::play::{Acknowledged, Told};
use crate::workload::{Key, Workload};

/// A folder in memory, where the system has such a thing: a sync costs nothing there, and what it
/// means is for the tests to say.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// A look at the files as they are: going away it leaves the log where it is.
pub(crate) fn look(database: &Path) -> Connection {
    let db = Connection::open(database).unwrap();
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .unwrap();
    db
}

pub(crate) fn assert_sound(db: &Connection) {
    let verdict: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok", "the database is damaged");
}

pub(crate) fn tables(db: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = db.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    names.collect::<Result<_, _>>().unwrap()
}

fn count(db: &Connection, sql: &str, of: &str) -> i64 {
    let parameters: &[&dyn rusqlite::ToSql] = if of.is_empty() { &[] } else { &[&of] };
    db.query_row(sql, parameters, |row| row.get(0)).unwrap()
}

/// What was told stands in the files, and what was refused does not.
pub(crate) fn assert_kept(database: &Path, workload: &Workload, told: &Acknowledged) {
    let db = look(database);
    assert_sound(&db);
    if !tables(&db).iter().any(|table| table == "deadlines") {
        assert!(
            told.runs
                .values()
                .all(|told| !matches!(told, Told::Done(_)))
        );
        return;
    }
    for key in &workload.keys {
        let mut stored = db.prepare("SELECT run FROM dedupe WHERE key = ?1").unwrap();
        let mut stored = stored.query([key.text()]).unwrap();
        let stored: Option<i64> = stored.next().unwrap().map(|row| row.get(0).unwrap());
        match told.runs.get(key) {
            Some(Told::Done(run)) => assert_eq!(stored, Some(run.0), "{key:?} is lost"),
            Some(Told::Refused) | None => assert_eq!(stored, None, "{key:?} was refused"),
            Some(Told::Unknown) => {}
        }
        let Some(run) = told.run(*key) else { continue };
        let sent = count(
            &db,
            "SELECT count(*) FROM events WHERE run = ?1",
            &run.0.to_string(),
        );
        if told.signals.get(key) == Some(&Told::Refused) {
            assert_eq!(sent, 0, "the event of {key:?} was refused");
        }
    }
    drop(db);
    let mut inspector = Inspector::open(database).unwrap();
    for (key, outcome) in &told.ends {
        let run = told.run(*key).expect("its run was acknowledged before");
        let found = inspector.outcome(run).unwrap();
        assert_eq!(found.as_ref(), Some(outcome), "the end of {key:?} is lost");
    }
    for (key, cancel) in &told.cancels {
        let run = told.run(*key).expect("its run was acknowledged before");
        let found = inspector.outcome(run).unwrap();
        match cancel {
            Told::Done(()) => assert!(
                matches!(found, Some(RunOutcome::Cancelled(_))),
                "the cancel of {key:?} is lost: {found:?}"
            ),
            Told::Refused => assert_eq!(found, None, "the cancel of {key:?} was refused"),
            Told::Unknown => {}
        }
    }
}

/// Every run has ended once, as it must; nothing is left over, nothing is there that nobody asked
/// for.
pub(crate) fn assert_finished(database: &Path, workload: &Workload, told: &Acknowledged) {
    let mut inspector = Inspector::open(database).unwrap();
    for key in &workload.keys {
        let run = told.run(*key).unwrap();
        let outcome = inspector.outcome(run).unwrap();
        match (workload.expected(*key), &outcome) {
            (Some(trail), Some(RunOutcome::Succeeded(data))) => {
                assert_eq!(data.decode::<Vec<String>>().unwrap(), trail, "{key:?}");
            }
            (None, Some(RunOutcome::Cancelled(_))) => {}
            _ => panic!(
                "{key:?} has ended otherwise: {outcome:?}, {:?}",
                inspector.why(run)
            ),
        }
        if let Some(earlier) = told.ends.get(key) {
            assert_eq!(outcome.as_ref(), Some(earlier), "{key:?} has ended twice");
        }
    }
    let runs = inspector.runs(RunFilter::All, 100).unwrap();
    assert_eq!(
        runs.len(),
        workload.keys.len(),
        "a run that nobody asked for"
    );
    let left: Vec<_> = inspector.leftovers().unwrap();
    let left: Vec<_> = left.iter().filter(|(_, rows)| *rows > 0).collect();
    assert!(left.is_empty(), "left over: {left:?}");
    drop(inspector);
    let db = look(database);
    assert_sound(&db);
    let doubled = "SELECT count(*) FROM (SELECT 1 FROM history WHERE status = 3 \
                   GROUP BY run, activation, branch HAVING count(*) > 1)";
    assert_eq!(count(&db, doubled, ""), 0, "an outcome counts twice");
    for key in &workload.keys {
        let notes = count(
            &db,
            "SELECT count(*) FROM notes WHERE run = ?1",
            &key.text(),
        );
        let once = i64::from(matches!(key, Key::Order(_)));
        assert_eq!(notes, once, "the statement of {key:?}");
    }
}
