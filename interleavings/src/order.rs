//! Who goes on: one seed, one order.
//!
//! Half of the seeds choose at random at each step. The others give each thread a priority and lower it
//! at a few random steps, which finds rare orders of few events more often (PCT: Burckhardt et al.,
//! "A randomized scheduler with probabilistic guarantees of finding bugs", 2010). Shuttle has both, but
//! its PCT learns from the executions before; here a seed alone says all, so that it can be played again.

use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use crate::time::{self, KEEPER};

/// Over how many steps the changes of priority are spread: few threads that do little, or many.
const SPREADS: [u32; 3] = [100, 600, 3_000];

/// Changes of priority.
const CHANGES_MAX: usize = 6;

/// Once in how many steps time moves, where it does not wait for all others.
const HURRIES: [u32; 3] = [8, 40, 200];

/// Once in how many moves time jumps, where it does not wait, and how far: as if the machine had slept.
const LEAPS: u32 = 16;
const LEAP_MS_MAX: u64 = 1_500;

/// Priorities that threads begin with are above those that they sink to.
const BEGIN: u32 = 1 << 16;

thread_local! {
    /// The seed that is being played, and the steps of all so far.
    static PLAYED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// The seed that is being played, and the steps of all so far.
pub(crate) fn played() -> (u64, u64) {
    PLAYED.get()
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Order {
    seeds: Range<u64>,
    rng: Rng,
    by: By,
    /// Once in how many steps time moves; `None`: when all others wait.
    hurry: Option<u32>,
    step: u32,
}

#[derive(Debug)]
enum By {
    Chance,
    Priority {
        /// By thread; the highest goes on.
        of: Vec<u32>,
        /// The steps at which the thread that ran gets the lowest.
        changes: Vec<u32>,
        lowest: u32,
    },
}

impl Order {
    pub(crate) fn new(seeds: Range<u64>) -> Self {
        PLAYED.set((0, 0));
        Self {
            seeds,
            rng: Rng::with_seed(0),
            by: By::Chance,
            hurry: None,
            step: 0,
        }
    }

    fn keeper_has_turn(&mut self) -> bool {
        match self.hurry {
            Some(steps) => self.rng.u32(..steps) == 0,
            None => false,
        }
    }

    fn let_keeper(&mut self, alone: bool) {
        let leaps = self.hurry.is_some() && self.rng.u32(..LEAPS) == 0;
        let leap = if leaps {
            Duration::from_millis(self.rng.u64(..LEAP_MS_MAX))
        } else {
            Duration::ZERO
        };
        time::turn(alone, leap);
    }

    fn choose(&mut self, threads: &[TaskId], ran: Option<TaskId>) -> TaskId {
        // Where time goes on by itself, nobody may keep another from going on for ever.
        let at_random = match self.by {
            By::Chance => true,
            By::Priority { .. } => self.hurry.is_some() && self.rng.u32(..16) == 0,
        };
        let By::Priority {
            of,
            changes,
            lowest,
        } = &mut self.by
        else {
            return threads[self.rng.usize(..threads.len())];
        };
        for thread in threads.iter().chain(&ran) {
            while of.len() <= usize::from(*thread) {
                of.push(self.rng.u32(BEGIN..));
            }
        }
        if let Some(ran) = ran
            && changes.contains(&self.step)
        {
            *lowest -= 1;
            of[usize::from(ran)] = *lowest;
        }
        if at_random {
            return threads[self.rng.usize(..threads.len())];
        }
        let first = threads
            .iter()
            .max_by_key(|thread| of[usize::from(**thread)]);
        *first.expect("somebody can go on")
    }
}

impl Scheduler for Order {
    fn new_execution(&mut self) -> Option<Schedule> {
        let seed = self.seeds.next()?;
        PLAYED.set((seed, PLAYED.get().1));
        self.rng = Rng::with_seed(seed);
        self.step = 0;
        self.by = if self.rng.bool() {
            By::Chance
        } else {
            let spread = SPREADS[self.rng.usize(..SPREADS.len())];
            let changes = self.rng.usize(..=CHANGES_MAX);
            By::Priority {
                of: Vec::new(),
                changes: (0..changes).map(|_| self.rng.u32(..spread)).collect(),
                lowest: BEGIN,
            }
        };
        let hurries = self.rng.bool();
        self.hurry = hurries.then(|| HURRIES[self.rng.usize(..HURRIES.len())]);
        time::begin(!hurries);
        Some(Schedule::new(seed))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        ran: Option<TaskId>,
        _yields: bool,
    ) -> Option<TaskId> {
        self.step += 1;
        let (seed, steps) = PLAYED.get();
        PLAYED.set((seed, steps + 1));
        let keeper = TaskId::from(KEEPER);
        let mut threads = [keeper; 32];
        let others = runnable.iter().map(|task| task.id());
        let mut count = 0;
        for thread in others.filter(|id| *id != keeper) {
            threads[count] = thread;
            count += 1;
        }
        let keeper_can = count < runnable.len();
        if keeper_can && (count == 0 || self.keeper_has_turn()) {
            self.let_keeper(count == 0);
            return Some(keeper);
        }
        Some(self.choose(&threads[..count], ran))
    }

    fn next_u64(&mut self) -> u64 {
        self.rng.u64(..)
    }
}
