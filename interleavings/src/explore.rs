//! Plays a scenario in many orders, and names the seed of the one that failed.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::order::{Order, played};
use crate::threads::{JoinHandle, spawn};
use crate::{order, time};

/// Set: how many orders all scenarios play together.
const ALL: &str = "WINDLASS_TEST_SCHEDULES";

/// If it is not set: some 20 seconds without optimization.
const ALL_DEFAULT: u64 = 2_000;

/// Set: the first seed.
const FIRST: &str = "WINDLASS_TEST_SCHEDULE_FIRST";

/// Set: the one seed to play.
const SEED: &str = "WINDLASS_TEST_SCHEDULE_SEED";

/// Bytes of a thread's stack: steps run on it.
const STACK: usize = 1 << 20;

/// Steps after which a scenario will never end.
const STEPS_MAX: usize = 1_000_000;

/// Which orders of a scenario are played.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    first: u64,
    count: u64,
}

impl Plan {
    /// So many orders, from seed 0 on, whatever the environment says.
    pub fn new(name: &str, count: u64) -> Self {
        Self {
            name: name.to_owned(),
            first: 0,
            count,
        }
    }

    /// A part of what is played in all: of each 10,000 of `WINDLASS_TEST_SCHEDULES` so many, rounded up. From
    /// seed `WINDLASS_TEST_SCHEDULE_FIRST` on, or `WINDLASS_TEST_SCHEDULE_SEED` alone.
    ///
    /// # Panics
    /// If one of them is set to what is no number.
    pub fn of_10_000(name: &str, share: u64) -> Self {
        let (first, count) = if let Some(seed) = number(SEED) {
            (seed, 1)
        } else {
            let all = number(ALL).unwrap_or(ALL_DEFAULT);
            (number(FIRST).unwrap_or(0), (all * share).div_ceil(10_000))
        };
        Self {
            first,
            count,
            ..Self::new(name, count)
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is no number: {text:?}")))
}

/// Plays `scenario` once for each seed of `plan`. It has ended when all threads that it started have.
///
/// # Panics
/// When an order of it panics, deadlocks or does not end; the seed is said on standard error.
pub fn explore(plan: &Plan, scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    config
        .ungraceful_shutdown_config
        .immediately_return_on_panic = true;
    let runner = Runner::new(Order::new(plan.first..plan.first + plan.count), config);
    let all = move || {
        let keeper = spawn("time".to_owned(), time::keep);
        scenario();
        time::end();
        let _ = keeper.map(JoinHandle::join);
    };
    let name = &plan.name;
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| runner.run(all))) {
        let (seed, _) = played();
        eprintln!("{name}: failed in the order of seed {seed}; {SEED}={seed} plays it again");
        resume_unwind(panic);
    }
    let (_, steps) = order::played();
    eprintln!("{name}: {} orders, {steps} steps", plan.count);
}
