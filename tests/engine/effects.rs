//! What steps do to the world, and what a crash in the middle of it means.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use windlass::{Durability, RunOutcome, RunStatus, StepError, Workflow};

use crate::harness::{Counter, Place, Stepped, Trail, codes, mark, on_each, standing_clock};

const MINUTE: Duration = Duration::from_mins(1);

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

/// A sequence of steps that can be undone; each undoing leaves its mark on `undone`.
fn saga(undone: &std::sync::Arc<std::sync::Mutex<Trail>>) -> Workflow<Trail> {
    let undo = |name: &'static str| {
        let undone = std::sync::Arc::clone(undone);
        move |_: &windlass::Context, _: &Trail| {
            undone.lock().unwrap().push(name.to_owned());
            Ok(())
        }
    };
    Workflow::build("saga", "1", |flow| {
        flow.step("a", mark("a"))
            .undo(undo("a"))
            .scope("inner", |flow| {
                flow.step("b", mark("b"))
                    .undo(undo("b"))
                    .step("c", mark("c"))
                    .undo(undo("c"))
            })
            .wait_event("wait", "go", |_, (): ()| {})
            .step("fails", |_, _| Err(StepError::failed("no")))
            .undo(undo("fails"))
    })
    .unwrap()
}

#[test]
fn a_failed_run_undoes_what_was_done_in_reverse_order() {
    on_each(|place| {
        let undone = std::sync::Arc::default();
        let workflow = saga(&undone);
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(undone.lock().unwrap().len(), 0);
        let go = windlass::Event::new(run, "go", "1", windlass::Payload::null());
        stepped.signal(go);
        stepped.settle();
        assert_eq!(codes(&stepped.fault(run)), ["step-failed"]);
        assert_eq!(*undone.lock().unwrap(), ["c", "b", "a"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_withdrawn_run_undoes_what_was_done_and_then_is_cancelled() {
    on_each(|place| {
        let undone = std::sync::Arc::default();
        let workflow = saga(&undone);
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert!(stepped.cancel(run, "enough"));
        stepped.settle();
        let end = stepped.outcome(run);
        assert_eq!(end, Some(RunOutcome::Cancelled("enough".to_owned())));
        assert_eq!(*undone.lock().unwrap(), ["c", "b", "a"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_failed_scope_undoes_its_own_steps_and_the_run_goes_on_by_its_fault_path() {
    on_each(|place| {
        let undone: std::sync::Arc<std::sync::Mutex<Trail>> = std::sync::Arc::default();
        let noted = std::sync::Arc::clone(&undone);
        let workflow = Workflow::build("w", "1", |flow| {
            flow.step("before", mark("before"))
                .undo(|_, _: &Trail| panic!("it stays as it is"))
                .scope("scope", |flow| {
                    flow.step("book", mark("book"))
                        .undo(move |_, _| {
                            noted.lock().unwrap().push("book".to_owned());
                            Ok(())
                        })
                        .step("fails", |_, _| Err(StepError::failed("no")))
                })
                .recover(
                    |trail, _| trail.push("sorry".to_owned()),
                    |flow| flow.step("other", mark("other")),
                )
        })
        .unwrap();
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["before", "sorry", "other"]);
        assert_eq!(*undone.lock().unwrap(), ["book"]);
        stepped.assert_no_leftovers();
    });
}

#[test]
fn an_undoing_that_fails_parks_the_run_until_somebody_has_seen_to_it() {
    on_each(|place| {
        let calls = Counter::default();
        let counted = calls.clone();
        let workflow = Workflow::build("w", "1", |flow| {
            flow.step("book", mark("book"))
                .undo(move |_, _: &Trail| match counted.up() {
                    1 | 2 => Err(StepError::failed("the hotel does not answer")),
                    _ => Ok(()),
                })
                .retry(2, MINUTE)
                .step("fails", |_, _| Err(StepError::failed("no")))
        })
        .unwrap();
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone());
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!(calls.get(), 1);
        clock.advance(MINUTE);
        stepped.settle();
        assert_eq!((calls.get(), stepped.status(run)), (2, RunStatus::Parked));
        let why = stepped.inspector().why(run).unwrap().unwrap();
        let reason = &why.branches[0].waits_for.missing[0];
        assert!(reason.contains("\"book\" could not be undone"), "{reason}");
        assert_eq!(stepped.retry(run), 1);
        stepped.settle();
        assert_eq!(codes(&stepped.fault(run)), ["step-failed"]);
        assert_eq!(calls.get(), 3);
        stepped.assert_no_leftovers();
    });
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
