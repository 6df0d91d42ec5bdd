//! The n-th call of each kind fails, in each way, once and for ever: while opening, while working.
//!
//! `WINDLASS_TEST_LONG=1` goes on until 50,000 faults have struck; without it a sample is enough.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use windlass::{Clock as _, SystemClock};

use crate::case::{Case, cases, check};

/// Most of the time is spent in pauses of the writer before it tries again.
const THREADS: usize = 16;

/// How many of the cases have struck; panics with all that went wrong.
fn check_all(cases: &[Case]) -> usize {
    let (next, struck) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match catch_unwind(AssertUnwindSafe(|| check(*case))) {
                        Ok(hit) => {
                            struck.fetch_add(usize::from(hit), Ordering::Relaxed);
                        }
                        Err(panic) => {
                            let text = panic.downcast_ref::<String>().cloned();
                            failures.lock().unwrap().push((*case, text));
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    for (case, text) in failures.iter().take(20) {
        println!("{case:?}: {}", text.as_deref().unwrap_or("?"));
    }
    assert!(failures.is_empty(), "{} cases failed", failures.len());
    struck.into_inner()
}

#[test]
fn whichever_call_fails_nothing_acknowledged_is_lost_and_nothing_counts_twice() {
    let clock = SystemClock::new();
    let long = std::env::var_os("WINDLASS_TEST_LONG").is_some();
    let (wanted, mut struck, mut tried) = (if long { 50_000 } else { 1_500 }, 0, 0);
    for seed in 1.. {
        if struck >= wanted {
            break;
        }
        let mut cases = cases(seed);
        if !long {
            fastrand::Rng::with_seed(seed).shuffle(&mut cases);
            cases.truncate((wanted / 3).min(wanted - struck));
        }
        let all = cases.len();
        tried += all;
        struck += check_all(&cases);
        println!(
            "seed {seed}: {struck} of {tried} struck, {:?}",
            clock.elapsed()
        );
    }
    assert!(struck * 10 > tried * 8, "{struck} of {tried} were reached");
}
