//! Backups: taken while others work, and restored into an epoch of their own.

use std::path::Path;
use std::time::Duration;

use windlass::{
    BackupError, Engine, EngineError, Handler, Inspector, Json, OpenError, RunFilter, RunHandle,
    RunOutcome, RunStatus, StepOutput, Workflow, backup, restore,
};

const PATIENCE: Duration = Duration::from_mins(1);

/// A step that gives its key, and one that waits for an event before it.
fn keyed() -> Workflow<String> {
    Workflow::build("keyed", "1", |flow| {
        flow.step("key", |context, key: &mut String| {
            *key = context.idempotency_key();
            Ok(())
        })
    })
    .unwrap()
}

fn open(database: &Path) -> Result<Engine, EngineError> {
    let builder = Engine::builder().database(database).runners(2);
    builder.workflow(&keyed()).open()
}

fn schedule(engine: &Engine) -> RunHandle {
    let request = keyed().request(&String::new()).unwrap();
    engine.scheduler().schedule_blocking(request).unwrap()
}

fn key_of(engine: &Engine) -> String {
    let outcome = schedule(engine).wait_blocking(Some(PATIENCE)).unwrap();
    let RunOutcome::Succeeded(data) = outcome else {
        panic!("it cannot fail: {outcome:?}")
    };
    data.decode().unwrap()
}

#[test]
fn a_backup_beside_a_busy_engine_holds_all_that_was_acknowledged_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (database, copy) = (folder.path().join("w.db"), folder.path().join("copy.db"));
    let engine = open(&database).unwrap();
    let before: Vec<_> = (0..500).map(|_| schedule(&engine).id()).collect();
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| (0..500).for_each(|_| drop(schedule(&engine))));
        backup(&database, &copy).unwrap();
        busy.join().unwrap();
    });
    let restored = open(&copy).unwrap();
    let mut inspector = Inspector::open(&copy).unwrap();
    for run in before {
        let run = restored.scheduler().handle(run);
        let outcome = run.wait_blocking(Some(PATIENCE)).unwrap();
        assert!(matches!(outcome, RunOutcome::Succeeded(_)), "{outcome:?}");
    }
    restored.shutdown(PATIENCE);
    let left = inspector.leftovers().unwrap();
    assert!(left.iter().all(|(_, count)| *count == 0), "{left:?}");
    let mode = std::os::unix::fs::MetadataExt::mode(&copy.metadata().unwrap());
    assert_eq!(mode & 0o777, 0o600, "only its owner may read it");
}

/// A workflow whose one step stands still while its engine lives.
fn stands() -> Workflow<String> {
    Workflow::build("stands", "1", |flow| {
        flow.step_async("stands", |context, data| async move {
            if data == "first life" {
                context.cancelled().await;
            }
            Ok(data)
        })
    })
    .unwrap()
}

#[test]
fn what_a_living_engine_had_locked_is_free_in_the_copy_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (database, copy) = (folder.path().join("w.db"), folder.path().join("copy.db"));
    let builder = Engine::builder().runners(1).workflow(&stands());
    let engine = builder.clone().database(&database).open().unwrap();
    let request = stands().request(&"first life".to_owned()).unwrap();
    let run = engine.scheduler().schedule_blocking(request).unwrap();
    let mut inspector = Inspector::open(&database).unwrap();
    while inspector.show(run.id()).unwrap().unwrap().summary.status != RunStatus::Running {
        std::thread::yield_now();
    }
    backup(&database, &copy).unwrap();
    // The engine lives, and its owner file is another database's: nothing proves its death.
    let second = builder.database(&copy).open().unwrap();
    let mut copied = Inspector::open(&copy).unwrap();
    while copied.show(run.id()).unwrap().unwrap().summary.status != RunStatus::Running {
        std::thread::yield_now();
    }
    second.shutdown(Duration::ZERO);
    engine.shutdown(Duration::ZERO);
}

#[test]
fn each_life_of_a_backup_gives_other_keys_and_other_ids() {
    let folder = tempfile::tempdir().unwrap();
    let (database, copy) = (folder.path().join("w.db"), folder.path().join("copy.db"));
    let engine = open(&database).unwrap();
    backup(&database, &copy).unwrap();
    let mut keys = vec![key_of(&engine)];
    engine.shutdown(PATIENCE);
    for life in 0..2 {
        assert!(restore(&copy, &database).unwrap().is_some(), "{life}");
        let engine = open(&database).unwrap();
        keys.push(key_of(&engine));
        engine.shutdown(PATIENCE);
    }
    let ids = Inspector::open(&database).unwrap().runs(RunFilter::All, 10);
    assert_eq!(ids.unwrap().len(), 1, "of the other lives nothing is left");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

#[test]
fn an_engine_of_the_old_life_cannot_commit_into_what_was_restored_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (database, copy) = (folder.path().join("w.db"), folder.path().join("copy.db"));
    let engine = open(&database).unwrap();
    backup(&database, &copy).unwrap();
    key_of(&engine);
    // As a tool of SQLite would restore it, under the feet of the engine.
    let from = rusqlite::Connection::open(&copy).unwrap();
    let mut to = rusqlite::Connection::open(&database).unwrap();
    let over = rusqlite::backup::Backup::new(&from, &mut to).unwrap();
    while over.step(-1).unwrap() != rusqlite::backup::StepResult::Done {}
    drop(over);
    drop((from, to));
    let request = keyed().request(&String::new()).unwrap();
    let refused = engine.scheduler().schedule_blocking(request).unwrap_err();
    let refused = format!("{:#}", whole(&refused));
    assert!(refused.contains("began a new epoch"), "{refused}");
    engine.shutdown(PATIENCE);
    let second = open(&database).unwrap();
    key_of(&second);
}

/// An error and all that it comes from.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[test]
fn nothing_is_replaced_that_is_there_or_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (database, copy) = (folder.path().join("w.db"), folder.path().join("copy.db"));
    let nothing = backup(&database, &copy).unwrap_err();
    assert!(
        matches!(nothing, BackupError::Open(OpenError::Open { .. })),
        "{nothing}"
    );
    let engine = open(&database).unwrap();
    backup(&database, &copy).unwrap();
    let there = backup(&database, &copy).unwrap_err();
    assert!(matches!(there, BackupError::Exists(_)), "{there}");
    let used = restore(&copy, &database).unwrap_err();
    assert!(matches!(used, BackupError::InUse(_)), "{used}");
    key_of(&engine);
    engine.shutdown(PATIENCE);
    let replaced = restore(&copy, &database).unwrap().unwrap();
    let mut before = Inspector::open(&replaced).unwrap();
    assert_eq!(before.runs(RunFilter::All, 10).unwrap().len(), 1);
    let mut now = Inspector::open(&database).unwrap();
    assert_eq!(now.runs(RunFilter::All, 10).unwrap().len(), 0);
    let left = std::fs::read_dir(folder.path()).unwrap();
    let drafts = left
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().contains(".new-"));
    assert_eq!(drafts.count(), 0, "no draft is left behind");
}

#[test]
fn a_damaged_database_in_use_is_not_replaced_and_a_log_without_one_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let (database, copy) = (folder.path().join("w.db"), folder.path().join("copy.db"));
    let engine = open(&database).unwrap();
    backup(&database, &copy).unwrap();
    // The log is gone: nobody can open the database, and an engine lives in it.
    let log = folder.path().join("w.db-wal");
    std::fs::rename(&log, folder.path().join("gone")).unwrap();
    let used = restore(&copy, &database).unwrap_err();
    assert!(matches!(used, BackupError::InUse(_)), "{used}");
    std::fs::rename(folder.path().join("gone"), &log).unwrap();
    engine.shutdown(PATIENCE);
    // Of a database that somebody deleted only the log is left.
    std::fs::remove_file(&database).unwrap();
    std::fs::write(&log, "of another one").unwrap();
    let replaced = restore(&copy, &database).unwrap().unwrap();
    let mut kept = replaced.into_os_string();
    kept.push("-wal");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "of another one");
    assert!(!log.exists());
    open(&database).unwrap();
}

/// A workflow that waits for an event; what comes then is of no interest.
fn waits(version: &str, then: &str) -> Workflow<Json> {
    let text = format!(
        r#"{{"name": "waits", "version": "{version}", "start": "wait", "nodes": [
            {{"name": "wait", "kind": {{"await": {{"event": "go"}}}}, "next": "{then}"}},
            {{"name": "{then}", "kind": {{"step": {{"handler": "work"}}}}}}
        ]}}"#
    );
    Workflow::from_json(&text).unwrap()
}

#[test]
fn the_runs_that_a_new_engine_would_break_are_known_before() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let work = || Handler::blocking(|_, data| Ok(StepOutput::data(data.clone())));
    let engine = Engine::builder()
        .database(&database)
        .handler("work", work());
    let before = waits("1", "a");
    let engine = engine.workflow(&before).open().unwrap();
    let request = before.request(&Json::default()).unwrap();
    let run = engine.scheduler().schedule_blocking(request).unwrap().id();
    let broken = |workflow: Option<&Workflow<Json>>, handler: bool| {
        let mut next = Engine::builder().database(&database);
        if handler {
            next = next.handler("work", work());
        }
        if let Some(workflow) = workflow {
            next = next.workflow(workflow);
        }
        let broken = next.broken_runs().unwrap();
        broken
            .into_iter()
            .map(|broken| (broken.run, broken.why))
            .collect::<Vec<_>>()
    };
    assert_eq!(broken(Some(&before), true), []);
    let cases = [
        (broken(None, true), "register it"),
        (broken(Some(&waits("2", "a")), true), "register it"),
        (
            broken(Some(&waits("1", "b")), true),
            "a different definition",
        ),
        (broken(Some(&before), false), "\"work\""),
    ];
    for (broken, why) in cases {
        assert_eq!(broken.len(), 1, "{why}");
        assert_eq!(broken[0].0, run);
        assert!(broken[0].1.contains(why), "{}", broken[0].1);
    }
    engine.shutdown(PATIENCE);
    let left = std::fs::read_dir(folder.path()).unwrap().flatten();
    let copies = left.filter(|file| file.file_name().to_string_lossy().contains(".copy-"));
    assert_eq!(copies.count(), 0);
}
