//! The model itself: a seed is one order, lost wake-ups and races are found, and time waits if it is to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex as Seen;
use std::time::Duration;

use windlass_interleavings::{
    Arc, AtomicU64, Mutex, Ordering, Plan, RecvTimeoutError, TryRecvError, TrySendError, block_on,
    block_on_for, bounded, elapsed, explore, is_patient, oneshot, pause, spawn, unbounded,
};

/// What the orders of a scenario come to.
fn outcomes<T: Ord + Send + 'static>(
    orders: u64,
    scenario: impl Fn() -> T + Send + Sync + 'static,
) -> BTreeSet<T> {
    let seen = Arc::new(Seen::new(BTreeSet::new()));
    let note = Arc::clone(&seen);
    explore(&Plan::new("outcomes", orders), move || {
        let outcome = scenario();
        note.lock().unwrap().insert(outcome);
    });
    std::mem::take(&mut *seen.lock().unwrap())
}

/// What is said of the failure of a scenario, if it fails in one of many orders.
fn failure(scenario: impl Fn() + Send + Sync + 'static) -> Option<String> {
    let all = || explore(&Plan::new("to fail", 1_000), scenario);
    let explored = catch_unwind(AssertUnwindSafe(all));
    let panic = explored.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap_or(&"?")).to_owned()))
}

/// Adds one without care for others.
fn count_badly(count: &AtomicU64) {
    let now = count.load(Ordering::SeqCst);
    count.store(now + 1, Ordering::SeqCst);
}

fn two_count(count_one: fn(&AtomicU64)) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    let theirs = Arc::clone(&count);
    let other = spawn("other".to_owned(), move || count_one(&theirs)).unwrap();
    count_one(&count);
    other.join().unwrap();
    count.load(Ordering::SeqCst)
}

#[test]
fn all_orders_of_a_race_are_met() {
    assert_eq!(outcomes(200, || two_count(count_badly)), [1, 2].into());
    let well = |count: &AtomicU64| {
        count.fetch_add(1, Ordering::SeqCst);
    };
    assert_eq!(outcomes(200, move || two_count(well)), [2].into());
}

#[test]
fn a_seed_is_one_order() {
    let play = || {
        let trail = Arc::new(Seen::new(Vec::new()));
        let note = Arc::clone(&trail);
        explore(&Plan::new("the same again", 100), move || {
            let (send, receive) = bounded(2);
            let senders = [0, 1, 2].map(|number| {
                let send = send.clone();
                let all = move || {
                    (0..5).for_each(|_| {
                        let _ = send.send(number);
                    });
                };
                spawn(format!("{number}"), all).unwrap()
            });
            drop(send);
            while let Ok(number) = receive.recv_timeout(Duration::from_millis(1)) {
                note.lock().unwrap().push((number, elapsed()));
            }
            drop(receive); // Where time ran on, some are not through yet: they get an error.
            for sender in senders {
                sender.join().unwrap();
            }
        });
        std::mem::take(&mut *trail.lock().unwrap())
    };
    let (first, second) = (play(), play());
    assert!(first.len() > 100);
    assert!(first == second, "the same seeds, and another order");
}

#[test]
fn a_channel_keeps_its_bound_its_order_and_its_manners() {
    explore(&Plan::new("a channel", 500), || {
        let (send, receive) = bounded(1);
        assert_eq!(receive.try_recv(), Err(TryRecvError::Empty));
        send.send(0).unwrap();
        assert_eq!(send.try_send(9), Err(TrySendError::Full(9)));
        let sender = spawn("sender".to_owned(), move || {
            (1..4).for_each(|number| send.send(number).unwrap());
        });
        let limit = Duration::from_secs(1);
        let mut got: Vec<u32> = Vec::new();
        while got.len() < 4 {
            match receive.recv_timeout(limit) {
                Ok(number) => got.push(number),
                Err(error) => assert_eq!((error, is_patient()), (RecvTimeoutError::Timeout, false)),
            }
        }
        assert_eq!(got, [0, 1, 2, 3]);
        sender.unwrap().join().unwrap();
        let gone = Err(RecvTimeoutError::Disconnected);
        assert_eq!(receive.recv_timeout(limit), gone);

        let (send, receive) = unbounded();
        let before = elapsed();
        let waits = receive.recv_timeout(limit);
        assert_eq!(waits, Err::<u32, _>(RecvTimeoutError::Timeout));
        assert!(elapsed() >= before + limit);
        drop(receive);
        assert_eq!(send.try_send(1), Err(TrySendError::Disconnected(1)));
    });
}

#[test]
fn an_answer_comes_or_it_is_known_that_it_never_will() {
    let answers = outcomes(300, || {
        let (tell, told) = oneshot::channel();
        let teller = spawn("teller".to_owned(), move || {
            pause(Duration::from_millis(1));
            tell.send(7)
        });
        let answer = block_on_for(told, Duration::from_millis(1)).map(|told| told.unwrap());
        let is_sent = teller.unwrap().join().unwrap().is_ok();
        assert!(is_sent || answer.is_none());
        answer
    });
    assert_eq!(answers, [None, Some(7)].into());
    explore(&Plan::new("no answer", 100), || {
        let (tell, told) = oneshot::channel::<u32>();
        let teller = spawn("teller".to_owned(), move || drop(tell)).unwrap();
        assert!(block_on(told).is_err());
        teller.join().unwrap();
    });
}

#[test]
fn time_waits_for_all_or_for_nobody() {
    let takes = outcomes(300, || {
        let count = Arc::new(Mutex::new(0));
        let theirs = Arc::clone(&count);
        let worker = spawn("worker".to_owned(), move || {
            (0..50).for_each(|_| *theirs.lock() += 1);
        });
        pause(Duration::from_millis(1));
        let done = *count.lock();
        worker.unwrap().join().unwrap();
        (is_patient(), done == 50)
    });
    assert_eq!(takes, [(true, true), (false, false), (false, true)].into());
}

#[test]
fn who_waits_for_ever_is_found_whether_others_look_again_or_not() {
    let locked = failure(|| {
        let (left, right) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(())));
        let (my_left, my_right) = (Arc::clone(&left), Arc::clone(&right));
        let other = spawn("other".to_owned(), move || {
            let _right = my_right.lock();
            let _left = my_left.lock();
        });
        let held = left.lock();
        drop(right.lock());
        drop(held);
        other.unwrap().join().unwrap();
    });
    assert!(locked.unwrap().starts_with("deadlock"));
    let waits = failure(|| {
        let (send, receive) = bounded::<()>(1);
        let patient = spawn("patient".to_owned(), move || {
            while receive.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout) {
            }
        });
        patient.unwrap().join().unwrap();
        drop(send);
    });
    assert!(waits.unwrap().starts_with("somebody waits for ever"));
}
