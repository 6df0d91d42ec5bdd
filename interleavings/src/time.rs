//! The time of an execution: it moves from one deadline to the next, never by itself.
//!
//! A keeper on a thread of its own moves it, and wakes whoever waits for that moment. When the keeper
//! gets its turn is the order's choice ([`crate::order`]): in a patient execution only when nobody else
//! can do anything, so that what happens without waiting takes no time at all; else now and then.
//! Kept beside shuttle, in the operating system's thread: reading it lets nobody else go first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::monitor::Monitor;

/// The keeper is the thread that is started first, by the first.
pub(crate) const KEEPER: usize = 1;

/// Moves of the time after which nothing will ever come of it.
const MOVES_MAX: u32 = 20_000;

/// What can be woken.
pub(crate) trait Ring {
    fn ring(&self);
}

#[derive(Default)]
struct Time {
    elapsed: Duration,
    timers: BTreeMap<Timer, Arc<dyn Ring>>,
    numbered: u64,
    moves: u32,
    is_patient: bool,
    /// The scenario has ended.
    is_over: bool,
    /// Whether the keeper had its turn because nobody else could do anything.
    alone: bool,
    /// How far the time jumps at the next move, as when the machine slept.
    leap: Duration,
}

/// A deadline, and a number that tells it from others.
pub(crate) type Timer = (Duration, u64);

thread_local! {
    static TIME: RefCell<Time> = RefCell::default();
}

/// Time since the execution began.
pub fn elapsed() -> Duration {
    TIME.with_borrow(|time| time.elapsed)
}

/// Whether time moves only when nobody can do anything: then what takes time has waited for it.
pub fn is_patient() -> bool {
    TIME.with_borrow(|time| time.is_patient)
}

/// A new execution begins.
pub(crate) fn begin(is_patient: bool) {
    let left = TIME.replace(Time {
        is_patient,
        ..Time::default()
    });
    // Of a failed execution: its locks must not be touched any more.
    std::mem::forget(left);
}

/// The keeper gets its turn.
pub(crate) fn turn(alone: bool, leap: Duration) {
    TIME.with_borrow_mut(|time| (time.alone, time.leap) = (alone, leap));
}

pub(crate) fn set(deadline: Duration, bell: Arc<dyn Ring>) -> Timer {
    TIME.with_borrow_mut(|time| {
        time.numbered += 1;
        let timer = (deadline, time.numbered);
        time.timers.insert(timer, bell);
        timer
    })
}

pub(crate) fn forget(timer: Timer) {
    let bell = TIME.with_borrow_mut(|time| time.timers.remove(&timer));
    drop(bell); // Outside: it may be the last to hold what it rings.
}

/// The scenario has ended: the keeper stays while somebody waits for a time.
pub(crate) fn end() {
    TIME.with_borrow_mut(|time| (time.is_over, time.moves) = (true, 0));
}

enum Move {
    /// To the next deadline: all who wait for it, or for an earlier one.
    To(Vec<Arc<dyn Ring>>),
    Nowhere,
    Stuck,
    End,
}

fn next() -> Move {
    TIME.with_borrow_mut(|time| {
        let Some((deadline, _)) = time.timers.keys().next().copied() else {
            return match (time.is_over, time.alone) {
                (true, true) => Move::End,
                (false, true) => Move::Stuck,
                (_, false) => Move::Nowhere,
            };
        };
        time.moves += 1;
        assert!(
            time.moves <= MOVES_MAX,
            "somebody waits for ever: threads only wake each other by time, {:?} of it",
            time.elapsed
        );
        time.elapsed = time.elapsed.max(deadline) + time.leap;
        let later = time.timers.split_off(&(time.elapsed, u64::MAX));
        let due = std::mem::replace(&mut time.timers, later);
        Move::To(due.into_values().collect())
    })
}

/// Moves the time until the end of the execution.
pub(crate) fn keep() {
    loop {
        match next() {
            Move::To(bells) => bells.iter().for_each(|bell| bell.ring()),
            Move::Nowhere => {}
            Move::End => return,
            Move::Stuck => {
                // Everybody waits, and for no time. Now we do as well: shuttle says who.
                let never = Monitor::new(());
                drop(never.wait(never.lock(), None));
            }
        }
        shuttle::thread::yield_now();
    }
}
