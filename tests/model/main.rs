//! Random workflows, played on a stepped engine and on a reference interpreter that fits on a page.
//!
//! Each case is a tree of constructs grown from a seed. What the engine makes of it, under a random
//! order of its parts and with crashes, must be what the reference says. Only trees are grown whose
//! outcome does not depend on who is faster. Steps may be slow and get stuck, and the wall clock may jump
//! by years, without any of it making a difference.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what is wrong by stopping there"
)]

mod build;
mod engine;
mod grow;
mod reference;
mod shape;
mod undo;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use shape::Shape;

/// Cases of a run that nobody asked to be longer; their seeds count up from 0, or from
/// `WINDLASS_TEST_MODEL_FIRST`.
const CASES: u64 = 2_000;

/// What an environment variable says, if it is set.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("the variable is a number"))
}

/// Cases that are played twice.
const TWICE: u64 = 60;

/// Plays the case of `seed`; when it goes wrong it says which it was. Gives what was done as text.
fn check(seed: u64) -> String {
    let mut rng = fastrand::Rng::with_seed(seed);
    let shape = Shape::grow(&mut rng);
    let expected = reference::interpret(&shape);
    let played = catch_unwind(AssertUnwindSafe(|| {
        engine::play(&shape, &expected, &mut rng)
    }));
    played.unwrap_or_else(|panic| {
        eprintln!("WINDLASS_TEST_MODEL_SEED={seed} fails: {shape:?}\nexpected: {expected:?}");
        resume_unwind(panic)
    })
}

#[test]
fn a_seed_gives_the_same_history_each_time() {
    let first = number("WINDLASS_TEST_MODEL_FIRST").unwrap_or(0);
    let cases = number("WINDLASS_TEST_MODEL_TWICE").unwrap_or(TWICE);
    for seed in first..first + cases {
        assert_eq!(check(seed), check(seed), "seed {seed}");
    }
}

#[test]
fn random_workflows_do_what_the_reference_says() {
    if let Some(seed) = number("WINDLASS_TEST_MODEL_SEED") {
        check(seed);
        return;
    }
    let first = number("WINDLASS_TEST_MODEL_FIRST").unwrap_or(0);
    let cases = number("WINDLASS_TEST_MODEL_CASES").unwrap_or(CASES);
    let (next, last) = (AtomicU64::new(first), first + cases);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed >= last {
                        break;
                    }
                    if let Err(panic) = catch_unwind(|| check(seed)) {
                        // One that has failed is enough.
                        next.store(last, Ordering::SeqCst);
                        resume_unwind(panic);
                    }
                }
            });
        }
    });
}
