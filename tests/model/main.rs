//! Random workflows, played on a stepped engine and on a reference interpreter that fits on a page.
//!
//! Each case is a tree of constructs grown from a seed. What the engine makes of it, under a random
//! order of its parts and with crashes, must be what the reference says. Only trees are grown whose
//! outcome does not depend on who is faster.

#![allow(
    clippy::unwrap_used,
    reason = "a test says what is wrong by stopping there"
)]

mod build;
mod engine;
mod reference;
mod shape;
mod undo;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use shape::Shape;

/// Cases of a run that nobody asked to be longer; their seeds count up from 0, or from
/// `WINDLASS_TEST_MODEL_FIRST`.
const CASES: u64 = 400;

/// What an environment variable says, if it is set.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("the variable is a number"))
}

/// Plays the case of `seed`; when it goes wrong it says which it was.
fn check(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let shape = Shape::grow(&mut rng);
    let expected = reference::interpret(&shape);
    let played = catch_unwind(AssertUnwindSafe(|| {
        engine::play(&shape, &expected, &mut rng);
    }));
    if let Err(panic) = played {
        eprintln!("WINDLASS_TEST_MODEL_SEED={seed} fails: {shape:?}\nexpected: {expected:?}");
        resume_unwind(panic);
    }
}

#[test]
fn random_workflows_do_what_the_reference_says() {
    if let Some(seed) = number("WINDLASS_TEST_MODEL_SEED") {
        return check(seed);
    }
    let first = number("WINDLASS_TEST_MODEL_FIRST").unwrap_or(0);
    let cases = number("WINDLASS_TEST_MODEL_CASES").unwrap_or(CASES);
    (first..first + cases).for_each(check);
}
