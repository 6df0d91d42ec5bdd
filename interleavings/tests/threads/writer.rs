//! The writer's queue alone: tickets in, answers out, and an end in the middle of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use windlass::{AdmitError, Payload};
use windlass_interleavings::{Plan, block_on, elapsed, explore, is_patient, oneshot, spawn};
use windlass_store::{Admit, Change, Options, StorageError, Store};

use crate::stage::{Stage, TheTime};

/// Runs that each producer asks for, one after the other.
const EACH: u64 = 3;

/// What became of a producer's runs: the ids of those that were acknowledged, and how many were refused.
type Told = (Vec<i64>, u64);

/// Three producers fill a queue for two changes; the store is closed while they do, or after.
fn queue(closes_early: bool, options: Options) {
    let (store, mut writer, committed) = Store::memory(options, Arc::new(TheTime));
    let definition = Arc::new(Stage::default().single().definition().clone());
    let (reply, mut answer) = oneshot::channel();
    let register = Change::Register {
        definition: Arc::clone(&definition),
        serve: false,
        reply,
    };
    store.submit(register).unwrap();
    writer.turn(Duration::ZERO);
    committed.try_recv().unwrap().tell();
    let workflow = answer.try_recv().unwrap().unwrap();

    let writer = spawn("writer".to_owned(), move || writer.run()).unwrap();
    let teller = move || {
        let mut batches = 0;
        loop {
            match committed.recv_timeout(Duration::from_secs(1)) {
                Ok(mut committed) => {
                    committed.tell();
                    batches += 1;
                }
                Err(windlass_store::sync::RecvTimeoutError::Timeout) => {}
                Err(windlass_store::sync::RecvTimeoutError::Disconnected) => return batches,
            }
        }
    };
    let teller = spawn("teller".to_owned(), teller).unwrap();
    let producers = [0, 1, 2].map(|number| {
        let (store, definition) = (store.clone(), Arc::clone(&definition));
        let produce = move || -> Told {
            let (mut ids, mut refused) = (Vec::new(), 0);
            for _ in 0..EACH {
                let input = Payload::encode(&number).unwrap();
                let (reply, answer) = oneshot::channel();
                let admit = Change::Admit {
                    runs: vec![Admit::new(workflow, &definition, input)],
                    give_up_at: Duration::from_hours(1),
                    reply,
                };
                if store.submit(admit).is_err() {
                    refused += 1;
                    continue;
                }
                match block_on(answer) {
                    Ok(Ok(admitted)) => ids.extend(admitted.iter().map(|run| run.run.0)),
                    Ok(Err(AdmitError::Storage { source, .. })) => {
                        assert!(matches!(source, StorageError::Closed), "{source}");
                        refused += 1;
                    }
                    Ok(Err(error)) => panic!("{error}"),
                    Err(_) => refused += 1, // It came in when the writer had looked for the last time.
                }
            }
            (ids, refused)
        };
        spawn(format!("producer-{number}"), produce).unwrap()
    });
    let close = || store.submit(Change::Close).unwrap();
    if closes_early {
        close();
    }
    let told = producers.map(|producer| producer.join().unwrap());
    if !closes_early {
        assert!(told.iter().all(|(_, refused)| *refused == 0), "{told:?}");
        close();
    }
    writer.join().unwrap();
    teller.join().unwrap();
    if is_patient() {
        let took = elapsed();
        assert!(
            took.is_zero(),
            "somebody waited {took:?} for what was there"
        );
    }

    let acknowledged: Vec<_> = told.iter().flat_map(|(ids, _)| ids).copied().collect();
    let distinct: BTreeSet<_> = acknowledged.iter().copied().collect();
    assert_eq!(distinct.len(), acknowledged.len(), "an id was given twice");
    let stored = store.reader().unwrap().runs(None, 100).unwrap();
    let stored: BTreeSet<_> = stored.iter().map(|row| row.id.0).collect();
    assert_eq!(stored, distinct, "what is stored is what was acknowledged");
    let refused: u64 = told.iter().map(|(_, refused)| *refused).sum();
    assert_eq!(distinct.len() as u64 + refused, 3 * EACH);
}

#[test]
fn each_change_is_written_once_and_answered_once() {
    explore(&Plan::of_10_000("a full queue", 1_000), || {
        queue(false, Options::default());
    });
}

#[test]
fn what_is_refused_at_the_end_is_not_written() {
    explore(&Plan::of_10_000("a queue that is closed", 700), || {
        queue(true, Options::default());
    });
}

#[test]
fn one_change_for_each_commit_is_the_same() {
    explore(&Plan::of_10_000("commits of one change", 300), || {
        let options = Options {
            changes_per_commit: 1,
            ..Options::default()
        };
        queue(true, options);
    });
}
