//! What a stray close costs: a process that opens and closes a database file of its own with `std::fs`,
//! to copy it, drops all locks that it has on it. Who closes the file next takes itself for the last
//! one and deletes the log in which the other still writes.
//!
//! We never do so (`crate::trace`). A step or the program around us may; then the engine notices with its
//! next commit, before it answers.
//! The rule of POSIX: <https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rusqlite::Connection;
use windlass::{
    Engine, EngineBuilder, EngineError, Inspector, OpenError, Severity, Workflow, backup, examine,
};

use crate::child::start;
use crate::two_processes::until;

/// Runs of the engine before it loses its log: a quick one, and the one that copies.
const RUNS_BEFORE: u32 = 2;

/// Runs that it is asked for afterwards.
const RUNS: u32 = 20;

/// A place in the play, passed by one process and waited for by the other.
fn pass(database: &Path, place: &str) {
    fs::write(database.with_file_name(place), "").unwrap();
}

fn await_place(database: &Path, place: &str) {
    until(place, || database.with_file_name(place).exists());
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Copies what is in `suffixes`, as a program does that knows nothing of locks.
fn copy_with_std(database: &Path, suffixes: &[&str]) {
    for suffix in suffixes {
        let copy = beside(&database.with_file_name("copy"), suffix);
        fs::copy(beside(database, suffix), copy).unwrap();
    }
}

fn count(connection: &Connection, table: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM {table}");
    connection.query_row(&sql, [], |row| row.get(0)).unwrap()
}

/// The rows that whoever opens the file now finds.
fn left(database: &Path, table: &str) -> u32 {
    count(&Connection::open(database).unwrap(), table)
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What the child copies, by the name that the parent leaves for it.
const COPIES: [(&str, &[&str]); 4] = [
    ("copy nothing", &[]),
    ("copy the database", &[""]),
    ("copy the index of the log", &["-shm"]),
    ("copy all", &["", "-wal", "-shm"]),
];

/// The child's part: two rows by one connection, and copies of the files between them.
pub(crate) fn write_and_copy(database: &Path) {
    let connection = Connection::open(database).unwrap();
    let begin = "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
        CREATE TABLE t (a); INSERT INTO t VALUES (1);";
    connection.execute_batch(begin).unwrap();
    pass(database, "stored");
    await_place(database, "looking");
    for (name, suffixes) in COPIES {
        if database.with_file_name(name).exists() {
            copy_with_std(database, suffixes);
        }
    }
    pass(database, "copied");
    await_place(database, "closed");
    let acknowledged = connection.execute("INSERT INTO t VALUES (2)", []);
    assert_eq!(acknowledged, Ok(1));
    pass(database, "acknowledged");
    await_place(database, "stop");
}

/// Two SQLite connections in two processes. The child copies; gives how many of its two rows are there
/// after its death.
fn rows_left(copies: &str) -> u32 {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("plain.db");
    pass(&database, copies);
    let mut child = start("stray connection", &database, None);
    await_place(&database, "stored");
    let other = Connection::open(&database).unwrap();
    assert_eq!(count(&other, "t"), 1);
    pass(&database, "looking");
    await_place(&database, "copied");
    other.close().unwrap();
    pass(&database, "closed");
    await_place(&database, "acknowledged");
    kill(&mut child);
    left(&database, "t")
}

#[test]
fn an_acknowledged_row_is_lost_where_a_process_copies_its_database_with_std_fs() {
    // The danger itself, without us. Since 3.51 SQLite also asks for the lock in the index of the log
    // before it deletes that, so that a copy of only one of the two files costs nothing here.
    for ((copies, _), left) in COPIES.into_iter().zip([2, 2, 2, 1]) {
        assert_eq!(rows_left(copies), left, "{copies}");
    }
}

/// A run that does nothing, and one that copies the database of its own engine.
fn workflows(database: &Path) -> [Workflow<u32>; 2] {
    let database = database.to_owned();
    let quick = Workflow::build("quick", "1", |flow| flow.step("a", |_, _| Ok(())));
    let copying = Workflow::build("copying", "1", |flow| {
        flow.step("copy", move |_, _| {
            copy_with_std(&database, &["", "-wal", "-shm"]);
            Ok(())
        })
    });
    [quick.unwrap(), copying.unwrap()]
}

/// The child's part: an engine with a step that copies its database; then it is asked for more runs.
pub(crate) fn work_and_copy(builder: EngineBuilder, database: &Path) {
    let [quick, copying] = workflows(database);
    let engine = builder.workflow(&quick).workflow(&copying).open().unwrap();
    let schedule = |workflow: &Workflow<u32>| {
        let request = workflow.request(&0).unwrap();
        engine.scheduler().schedule_blocking(request)
    };
    schedule(&quick).unwrap();
    pass(database, "stored");
    await_place(database, "looking");
    let copied = schedule(&copying).unwrap();
    copied.wait_blocking(Some(Duration::from_mins(1))).unwrap();
    pass(database, "copied");
    await_place(database, "closed");
    let answers = (0..RUNS).map(|_| schedule(&quick));
    let refused: Vec<_> = answers.filter_map(Result::err).collect();
    for error in &refused {
        assert!(error.to_string().contains("do not kill it"), "{error}");
    }
    fs::write(database.with_file_name("count"), refused.len().to_string()).unwrap();
    pass(database, "asked");
    await_place(database, "stop");
    engine.shutdown(Duration::from_secs(5));
}

/// A child whose log is gone: somebody who looked into the file was the last that had a lock on it.
fn robbed(database: &Path) -> Child {
    let child = start("stray engine", database, None);
    await_place(database, "stored");
    let other = Connection::open(database).unwrap();
    assert_eq!(count(&other, "branches"), 1);
    pass(database, "looking");
    await_place(database, "copied");
    other.close().unwrap();
    assert!(!beside(database, "-wal").exists(), "it has deleted the log");
    pass(database, "closed");
    await_place(database, "asked");
    let refused = fs::read_to_string(database.with_file_name("count")).unwrap();
    assert_eq!(refused, RUNS.to_string(), "it acknowledges nothing more");
    child
}

#[track_caller]
fn assert_lost(opened: &Result<(), OpenError>, child: &Child) {
    let Err(OpenError::LogLost { pid, .. }) = opened else {
        panic!("it was not noticed: {opened:?}");
    };
    assert_eq!(*pid, child.id());
}

#[test]
fn whoever_comes_next_is_told_that_an_engine_has_lost_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut child = robbed(&database);
    let started = match Engine::builder().database(&database).open() {
        Err(EngineError::Open(error)) => Err(error),
        other => panic!("it was not noticed: {other:?}"),
    };
    assert_lost(&started, &child);
    assert_lost(&Inspector::open(&database).map(drop), &child);
    let copied = match backup(&database, &folder.path().join("backup.db")) {
        Err(windlass::BackupError::Open(error)) => Err(error),
        other => panic!("it was not noticed: {other:?}"),
    };
    assert_lost(&copied, &child);
    let examination = examine(&database).unwrap();
    assert_eq!(examination.severity(), Severity::Problem);
    let pid = child.id().to_string();
    let named = |finding: &windlass::Finding| finding.check == "log" && finding.what.contains(&pid);
    assert!(examination.findings.iter().any(named), "{examination:?}");
    kill(&mut child);
}

#[test]
fn an_engine_that_has_lost_its_log_acknowledges_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    kill(&mut robbed(&database));
    assert_eq!(left(&database, "branches"), RUNS_BEFORE);
}

#[test]
fn an_engine_that_has_lost_its_log_saves_its_work_if_it_is_shut_down() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut child = robbed(&database);
    pass(&database, "stop");
    assert!(child.wait().unwrap().success());
    // Of the first one after the loss it was not known whether it is stored; the others were refused.
    assert_eq!(left(&database, "branches"), RUNS_BEFORE + 1);
}

#[test]
fn an_engine_that_has_lost_its_log_does_not_write_over_what_others_have_written_since() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut child = robbed(&database);
    // Not one of ours: those refuse to open it.
    let stranger = Connection::open(&database).unwrap();
    let theirs = "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (randomblob(20000));
        UPDATE meta SET shed = 7;";
    stranger.execute_batch(theirs).unwrap();
    assert!(beside(&database, "-wal").exists(), "a log of its own");
    pass(&database, "stop");
    assert!(child.wait().unwrap().success());
    drop(stranger);
    let db = Connection::open(&database).unwrap();
    let sound: String = db
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sound, "ok");
    assert_eq!(count(&db, "theirs"), 1);
    assert_eq!(count(&db, "branches"), RUNS_BEFORE);
    let shed: u32 = db
        .query_row("SELECT shed FROM meta", [], |row| row.get(0))
        .unwrap();
    assert_eq!(shed, 7);
}
