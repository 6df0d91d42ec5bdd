//! What the instances of a map gave, read from outside: while it lives and after, in index order, a
//! page at a time. And how a reducer reads the same.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use windlass::limits::store::RESULTS_AT_ONCE;
use windlass::{
    BranchOutcome, FailurePolicy, Inspector, MapChange, MapError, MapOutcome, MapResult, Need,
    Payload, Rest, Retention, RunId, RunStatus, StepError, Workflow,
};

use super::harness::{Place, Stepped, on_each, standing_clock};

/// Instance `n` gives `10 * n`; those whose data is odd fail.
fn workflow(build: impl FnOnce(windlass::Map<u32>) -> windlass::Map<u32>) -> Workflow<u32> {
    let work = |_: &windlass::Context, n: &mut u32| {
        if *n % 2 == 1 {
            return Err(StepError::failed("odd"));
        }
        *n *= 10;
        Ok(())
    };
    let workflow = Workflow::<u32>::build("many", "1", |flow| {
        flow.map("many", |map| {
            let map = map.item(|_, index| index).max_parallelism(2);
            build(map.each(|flow| flow.step("work", work)))
        })
    });
    workflow.expect("it is valid")
}

/// Results in short: index and data, `failed`, `cancelled`, and whether they came late.
fn told(inspector: &mut Inspector, run: RunId) -> Vec<String> {
    let results = inspector.results(run, "many").expect("the map has begun");
    results
        .map(|result| short(&result.expect("the store can be read")))
        .collect()
}

fn short(result: &MapResult) -> String {
    let outcome = match &result.outcome {
        BranchOutcome::Succeeded(data) => data.decode::<u32>().expect("a number").to_string(),
        BranchOutcome::Failed(fault) => format!("failed {}", fault.errors[0].message),
        BranchOutcome::Cancelled(_) => "cancelled".to_owned(),
    };
    let late = if result.is_late { " late" } else { "" };
    format!("{}: {outcome}{late}", result.index)
}

#[test]
fn results_are_read_in_index_order_while_the_map_goes_on_and_after_the_run() {
    let workflow = workflow(|map| {
        let map = map.count(3).open();
        map.on_failure(FailurePolicy::Tolerate(9))
            .reduce(|_, _| Ok(()))
    });
    on_each(|place| {
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &0);
        let mut inspector = stepped.inspector();
        assert!(matches!(
            inspector.results(run, "many").map(|_| ()),
            Err(MapError::NotBegun { .. })
        ));
        assert_eq!(inspector.maps(run).unwrap(), Some(Vec::new()));
        stepped.settle();
        assert_eq!(
            told(&mut inspector, run),
            ["0: 0", "1: failed odd", "2: 20"]
        );
        let view = inspector.maps(run).unwrap().unwrap().remove(0);
        let counts = |view: &windlass::MapView| {
            let rest = [view.waiting, view.running, view.cancelled];
            (view.added(), view.succeeded, view.failed, rest)
        };
        assert_eq!((counts(&view), view.is_open), ((3, 2, 1, [0; 3]), true));
        let scheduler = stepped.scheduler.clone();
        let items = vec![Payload::encode(&4_u32).unwrap(); 5];
        let added = stepped.ask(scheduler.change_map(run, "many", MapChange::Add(items)));
        assert_eq!(added.unwrap(), MapOutcome::Done);
        let view = inspector.maps(run).unwrap().unwrap().remove(0);
        assert_eq!(counts(&view), (8, 2, 1, [3, 2, 0]), "two live at once");
        stepped.settle();
        let closed = stepped.ask(scheduler.change_map(run, "many", MapChange::Close));
        assert_eq!(closed.unwrap(), MapOutcome::Done);
        stepped.settle();
        assert_eq!(stepped.status(run), RunStatus::Succeeded);
        let all = told(&mut inspector, run);
        assert_eq!((all.len(), all[7].as_str()), (8, "7: 40"));
        let view = inspector.maps(run).unwrap().unwrap().remove(0);
        assert_eq!((counts(&view), view.is_open), ((8, 7, 1, [0; 3]), false));
        let of = inspector.results_of(run, "many", view.activation).unwrap();
        assert_eq!(of.count(), 8);
        stepped.assert_no_leftovers();
    });
}

/// The first instance is put off until two others have ended, which are enough.
#[test]
fn results_that_came_when_the_map_was_over_stand_in_their_place_and_say_so() {
    let second = Duration::from_secs(1);
    let is_early = Arc::new(AtomicBool::new(true));
    let early = Arc::clone(&is_early);
    let workflow = Workflow::<u32>::build("many", "1", move |flow| {
        flow.map("many", |map| {
            map.count(4)
                .max_parallelism(2)
                .item(|_, index| index)
                .need(Need::AtLeast(2), Rest::Absorb)
                .each(|flow| {
                    flow.step("work", move |_, n| {
                        if *n == 0 && early.load(Ordering::SeqCst) {
                            return Err(StepError::failed("too early").retry_after(second));
                        }
                        Ok(())
                    })
                })
                .reduce(|_, _| Ok(()))
        })
    });
    let workflow = workflow.unwrap();
    on_each(|place| {
        is_early.store(true, Ordering::SeqCst);
        let clock = standing_clock();
        let builder = place.builder().clock(Arc::clone(&clock) as Arc<_>);
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &0);
        stepped.settle();
        assert_eq!(stepped.status(run), RunStatus::Waiting, "for the first");
        is_early.store(false, Ordering::SeqCst);
        clock.advance(second);
        stepped.settle();
        assert_eq!(stepped.status(run), RunStatus::Succeeded);
        let all = told(&mut stepped.inspector(), run);
        assert_eq!(all, ["0: 0 late", "1: 1", "2: 2", "3: 3 late"]);
        let view = stepped.inspector().maps(run).unwrap().unwrap().remove(0);
        assert_eq!((view.succeeded, view.added()), (4, 4));
    });
}

/// Of three instances that live one fails while the first one is put off: it is waited for, and the
/// other three never start.
#[test]
fn a_map_that_drains_starts_no_more_after_a_failure_and_waits_for_those_that_live() {
    let second = Duration::from_secs(1);
    let is_early = Arc::new(AtomicBool::new(true));
    let early = Arc::clone(&is_early);
    let workflow = Workflow::<u32>::build("many", "1", move |flow| {
        flow.map("many", |map| {
            map.count(6)
                .max_parallelism(3)
                .item(|_, index| index)
                .on_failure(FailurePolicy::Drain)
                .each(|flow| {
                    flow.step("work", move |_, n| match *n {
                        0 if early.load(Ordering::SeqCst) => {
                            Err(StepError::failed("too early").retry_after(second))
                        }
                        1 => Err(StepError::failed("no").permanent()),
                        _ => Ok(()),
                    })
                })
        })
    });
    let workflow = workflow.unwrap();
    on_each(|place| {
        is_early.store(true, Ordering::SeqCst);
        let clock = standing_clock();
        let builder = place.builder().clock(Arc::clone(&clock) as Arc<_>);
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &0);
        stepped.settle();
        assert_eq!(stepped.status(run), RunStatus::Waiting, "for the first");
        is_early.store(false, Ordering::SeqCst);
        clock.advance(second);
        stepped.settle();
        assert_eq!(stepped.status(run), RunStatus::Failed);
        let mut all = told(&mut stepped.inspector(), run);
        all.retain(|line| !line.contains("no"));
        // Which of the two that were still to start had, depends on who ended first.
        assert!(all.contains(&"0: 0".to_owned()), "{all:?}");
        let view = stepped.inspector().maps(run).unwrap().unwrap().remove(0);
        assert_eq!(view.failed, 1);
        assert!(view.succeeded + view.failed < 6, "{view:?}");
        stepped.assert_no_leftovers();
    });
}

#[test]
fn a_map_that_is_retried_has_results_of_each_time() {
    let tries = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&tries);
    let workflow = Workflow::<u32>::build("many", "1", move |flow| {
        flow.map("many", |map| {
            map.count(2)
                .each(|flow| {
                    flow.step("work", move |_, _| {
                        match seen.fetch_add(1, Ordering::SeqCst) {
                            0..2 => Err(StepError::failed("not yet")),
                            _ => Ok(()),
                        }
                    })
                })
                .reduce(|_, _| Ok(()))
        })
    });
    let workflow = workflow.unwrap();
    on_each(|place| {
        tries.store(0, Ordering::SeqCst);
        let clock = standing_clock();
        let builder = place.builder().clock(Arc::clone(&clock) as Arc<_>);
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &7);
        stepped.settle();
        assert_eq!(stepped.status(run), RunStatus::Failed);
        clock.advance(Duration::from_secs(1));
        stepped.retry(run);
        stepped.settle();
        assert_eq!(stepped.status(run), RunStatus::Succeeded);
        let mut inspector = stepped.inspector();
        assert_eq!(told(&mut inspector, run), ["0: 7", "1: 7"], "the newest");
        let maps = inspector.maps(run).unwrap().unwrap();
        let failed: Vec<_> = maps.iter().map(|map| map.failed).collect();
        assert_eq!(failed, [2, 0], "oldest first");
        let first = inspector
            .results_of(run, "many", maps[0].activation)
            .unwrap();
        let first: Vec<_> = first.map(|result| short(&result.unwrap())).collect();
        assert_eq!(first, ["0: failed not yet", "1: failed not yet"]);
    });
}

#[test]
fn what_has_no_results_says_why() {
    let workflow = workflow(|map| map.count(1).reduce(|_, _| Ok(())));
    on_each(|place| {
        let mut stepped = Stepped::open(place.builder().workflow(&workflow));
        let run = stepped.begin(&workflow, &0);
        stepped.settle();
        let mut inspector = stepped.inspector();
        let other = windlass::ActivationId(1);
        let wrong = inspector.results_of(run, "many", other).map(|_| ());
        let wrong = wrong.unwrap_err().to_string();
        assert!(
            wrong.contains("\"many\" under activation 0000000000000001"),
            "{wrong}"
        );
        let mut error = |run, map| {
            inspector
                .results(run, map)
                .map(|_| ())
                .unwrap_err()
                .to_string()
        };
        assert!(error(run, "none").contains("name one of its maps (many)"));
        assert!(error(run, "work").contains("name one of its maps (many)"));
        assert!(error(RunId(12_345), "many").contains("there is no run"));
    });
}

#[test]
fn retention_takes_the_results_with_the_run() {
    let workflow = workflow(|map| {
        map.count(3)
            .on_failure(FailurePolicy::Tolerate(9))
            .reduce(|_, _| Ok(()))
    });
    on_each(|place| {
        let clock = standing_clock();
        let keep = Duration::from_mins(1);
        let builder = place.builder().clock(Arc::clone(&clock) as Arc<_>);
        let builder = builder.retention(Some(Retention { keep }));
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &0);
        stepped.settle();
        assert_eq!(told(&mut stepped.inspector(), run).len(), 3);
        for _ in 0..10 {
            clock.advance(keep);
            stepped.settle();
        }
        let mut inspector = stepped.inspector();
        assert_eq!(inspector.maps(run).unwrap(), None);
        assert!(matches!(
            inspector.results(run, "many").map(|_| ()),
            Err(MapError::NoSuchRun(_))
        ));
        if place.is_file() {
            let rows = "SELECT count(*) FROM results";
            let db = Connection::open(place.path()).unwrap();
            let left: u32 = db.query_row(rows, [], |row| row.get(0)).unwrap();
            assert_eq!(left, 0);
        }
    });
}

/// Deletes all results from this index on: whoever has read them already has them.
fn cut(database: &Path, from: u32) {
    let db = Connection::open(database).expect("the file is a database");
    db.busy_timeout(Duration::from_secs(5))
        .expect("the file is a database");
    db.execute("DELETE FROM results WHERE item >= ?1", [from])
        .expect("the file is a database");
}

/// Whoever holds all results sees all of them; whoever reads a page at a time sees the first page only
/// when the others are deleted meanwhile.
#[test]
fn ten_thousand_results_are_never_held_at_once() {
    const MANY: u32 = 10_000;
    let place = Place::file();
    let workflow = Workflow::<u32>::build("many", "1", move |flow| {
        flow.map("many", |map| {
            map.count(MANY)
                .max_parallelism(100)
                .item(|_, index| index)
                .each(|flow| flow.step("work", |_, _| Ok(())))
                .reduce(|_, _| Ok(()))
        })
    });
    let workflow = workflow.unwrap();
    let mut stepped = Stepped::open(place.builder().workflow(&workflow));
    let run = stepped.begin(&workflow, &0);
    stepped.settle();
    let mut inspector = stepped.inspector();
    let results = inspector.results(run, "many").unwrap();
    let data = |result: MapResult| match result.outcome {
        BranchOutcome::Succeeded(data) => data.decode::<u64>().unwrap(),
        other => panic!("{other:?}"),
    };
    let sum: u64 = results.map(|result| data(result.unwrap())).sum();
    assert_eq!(sum, u64::from(MANY) * u64::from(MANY - 1) / 2, "each once");

    let mut results = inspector.results(run, "many").unwrap();
    assert_eq!(results.next().unwrap().unwrap().index, 0);
    cut(&place.path(), RESULTS_AT_ONCE);
    assert_eq!(results.count(), RESULTS_AT_ONCE as usize - 1);
}

/// As above, of the function that makes the data after the map.
#[test]
fn a_reducer_holds_one_page_of_results() {
    let place = Place::file();
    let (path, reduced) = (place.path(), Arc::new(AtomicU32::new(0)));
    let seen = Arc::clone(&reduced);
    let workflow = Workflow::<u32>::build("many", "1", move |flow| {
        flow.map("many", |map| {
            map.count(RESULTS_AT_ONCE * 5)
                .each(|flow| flow.step("work", |_, _| Ok(())))
                .reduce(move |_, _| {
                    if seen.fetch_add(1, Ordering::SeqCst) == 0 {
                        cut(&path, RESULTS_AT_ONCE);
                    }
                    Ok(())
                })
        })
    });
    let workflow = workflow.unwrap();
    let mut stepped = Stepped::open(place.builder().workflow(&workflow));
    stepped.begin(&workflow, &0);
    stepped.settle();
    assert_eq!(reduced.load(Ordering::SeqCst), RESULTS_AT_ONCE);
}
