//! What steps do to the world, and what a crash in the middle of it means.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use windlass::{Durability, RunOutcome, RunStatus, StepError, Workflow};

use crate::harness::{Counter, Place, Stepped, Trail, codes, on_each};

/// A connection of the user's own to the engine's database.
fn connection(place: &Place) -> rusqlite::Connection {
    rusqlite::Connection::open(place.path()).expect("the database can be opened")
}

fn notes(place: &Place) -> Vec<String> {
    let db = connection(place);
    let mut statement = db.prepare("SELECT note FROM notes ORDER BY id").unwrap();
    let notes = statement.query_map([], |row| row.get(0)).unwrap();
    notes.collect::<Result<_, _>>().unwrap()
}

/// A workflow whose one step writes a note by `sql`.
fn writer(sql: &'static str) -> Workflow<Trail> {
    Workflow::build("writer", "1", |flow| {
        flow.step("write", move |context, trail: &mut Trail| {
            context
                .execute(sql, sql.contains("?1").then(|| "note".into()))
                .map_err(|error| StepError::failed(error.to_string()))?;
            trail.push("write".to_owned());
            Ok(())
        })
        .transactional()
    })
    .unwrap()
}

fn with_notes(workflow: &Workflow<Trail>) -> (Place, Stepped) {
    let place = Place::file();
    let builder = place.builder().durability(Durability::Normal);
    let stepped = Stepped::open(builder.workflow(workflow));
    let create = "CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT NOT NULL UNIQUE)";
    connection(&place).execute_batch(create).unwrap();
    (place, stepped)
}

#[test]
fn what_a_transactional_step_writes_is_there_with_its_outcome() {
    let workflow = writer("INSERT INTO notes (note) VALUES (?1)");
    let (place, mut stepped) = with_notes(&workflow);
    let run = stepped.begin(&workflow, &Trail::new());
    stepped.settle();
    assert_eq!(stepped.data::<Trail>(run), ["write"]);
    assert_eq!(notes(&place), ["note"]);
}

#[test]
fn a_statement_that_the_database_refuses_fails_its_step_and_nothing_else() {
    let bad = [
        ("INSERT INTO notes (note) VALUES (NULL)", "NOT NULL"),
        ("INSERT INTO nowhere (note) VALUES (?1)", "no such table"),
        ("DELETE FROM branches WHERE ?1 = ?1", "not authorized"),
        ("UPDATE meta SET next_id = length(?1)", "not authorized"),
        ("PRAGMA user_version = 7", "not authorized"),
        ("ATTACH ?1 AS other", "not authorized"),
        ("COMMIT", "not authorized"),
        ("SAVEPOINT effects", "not authorized"),
        ("DROP TABLE notes", "not authorized"),
        (
            "INSERT OR ROLLBACK INTO notes (note) VALUES (NULL)",
            "rolled back",
        ),
        ("this is no SQL", "syntax error"),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
             INSERT INTO notes (note) SELECT i FROM n",
            "took too long",
        ),
    ];
    for (sql, why) in bad {
        let workflow = writer(sql);
        let (place, mut stepped) = with_notes(&workflow);
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        let fault = stepped.fault(run);
        assert_eq!(codes(&fault), ["effect-failed"], "{sql}");
        let message = &fault.errors[0].message;
        assert!(message.contains(why), "{sql}: {message}");
        assert_eq!(notes(&place), Vec::<String>::new(), "{sql}");
        stepped.assert_no_leftovers();
    }
}

#[test]
fn a_refused_statement_does_not_take_the_rest_of_its_batch_along() {
    let workflow = writer("INSERT OR ROLLBACK INTO notes (note) VALUES (?1)");
    let (place, mut stepped) = with_notes(&workflow);
    let runs: Vec<_> = (0..3)
        .map(|_| stepped.begin(&workflow, &Trail::new()))
        .collect();
    // All three are done before anything is written: the second and third violate UNIQUE.
    while stepped.engine.step_runner(0) {}
    stepped.settle();
    let succeeded = |run: &&_| matches!(stepped.outcome(**run), Some(RunOutcome::Succeeded(_)));
    assert_eq!(runs.iter().filter(succeeded).count(), 1);
    assert_eq!(notes(&place), ["note"]);
    stepped.assert_no_leftovers();
}

/// A workflow whose one step must not happen twice; `reconcile` says what is found out.
fn once(
    calls: &Counter,
    reconcile: Option<fn(&mut Trail) -> Result<(), StepError>>,
) -> Workflow<Trail> {
    let counted = calls.clone();
    Workflow::build("once", "1", |flow| {
        let flow = flow.step("pay", move |_, trail: &mut Trail| {
            counted.up();
            trail.push("paid".to_owned());
            Ok(())
        });
        match reconcile {
            Some(reconcile) => flow.at_most_once_or(move |_, trail| reconcile(trail)),
            None => flow.at_most_once(),
        }
    })
    .unwrap()
}

/// Lets an engine do the step and die before its outcome is written.
fn crash_in_the_step(place: &Place, workflow: &Workflow<Trail>) -> windlass::RunId {
    let mut stepped = Stepped::open(place.builder().workflow(workflow));
    let run = stepped.begin(workflow, &Trail::new());
    // The beginning is written down, and then the step is done.
    while !stepped.engine.step_runner(0) {
        stepped.engine.step_writer();
        stepped.engine.step_dispatcher();
    }
    while stepped.engine.step_writer() {
        stepped.engine.step_dispatcher();
    }
    assert!(stepped.engine.step_runner(0));
    run
}

#[test]
fn a_step_that_must_not_happen_twice_happens_once_when_nothing_goes_wrong() {
    on_each(|place| {
        let calls = Counter::default();
        let workflow = once(&calls, None);
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["paid"]);
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn after_a_crash_nobody_repeats_a_step_that_must_not_happen_twice() {
    type Reconcile = fn(&mut Trail) -> Result<(), StepError>;
    let happened: Reconcile = |trail| {
        trail.push("was paid".to_owned());
        Ok(())
    };
    let not: Reconcile = |_| Err(StepError::not_done());
    let unclear: Reconcile = |_| Err(StepError::failed("the bank does not answer"));
    let cases = [
        (Some(happened), 1, Some("was paid")),
        (Some(not), 2, Some("paid")),
        (Some(unclear), 1, None),
        (None, 1, None),
    ];
    for (reconcile, attempts, data) in cases {
        let place = Place::file();
        let calls = Counter::default();
        let workflow = once(&calls, reconcile);
        let run = crash_in_the_step(&place, &workflow);
        assert_eq!(calls.get(), 1);
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        stepped.settle();
        assert_eq!(calls.get(), attempts);
        if let Some(data) = data {
            assert_eq!(stepped.data::<Trail>(run), [data]);
        } else {
            assert_eq!(stepped.status(run), RunStatus::Parked);
            // An operator has found out that it did not happen.
            stepped.retry(run);
            stepped.settle();
            assert_eq!(stepped.data::<Trail>(run), ["paid"]);
            assert_eq!(calls.get(), 2);
        }
        stepped.assert_no_leftovers();
    }
}

#[test]
fn a_step_gives_the_key_that_its_data_makes() {
    on_each(|place| {
        let workflow = Workflow::build("w", "1", |flow| {
            flow.step("call", |context, trail: &mut Trail| {
                trail.push(context.idempotency_key());
                Ok(())
            })
            .idempotent(|trail: &Trail| format!("order-{}", trail[0]))
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &vec!["7".to_owned()]);
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["7", "order-7"]);
    });
}
