//! Simulations: a run with an order of things, and with trouble, that are drawn from a seed.

use std::ops::Range;

use crate::case::Case;
use crate::crashes::told;
use crate::evidence::{End, Evidence};
use crate::failure::{Failure, Scene, asked_for};
use crate::history::RunHistory;

/// How many seeds are played, and the first of them, where the environment says so.
const SEEDS: &str = "WINDLASS_TESTKIT_SEEDS";
const FIRST: &str = "WINDLASS_TESTKIT_FIRST";

/// What came of one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// How the run ended.
    pub end: End,
    /// All runs as text; see [`snapshot`](crate::snapshot()).
    pub snapshot: String,
    /// What the run did.
    pub history: RunHistory,
    /// What disturbed it, in order.
    pub disturbances: Vec<String>,
}

impl Simulated {
    /// The last data.
    ///
    /// # Panics
    /// When the run did not succeed.
    #[track_caller]
    pub fn data(&self) -> serde_json::Value {
        match &self.end {
            End::Succeeded(data) => data.clone(),
            end => panic!("the run {end}:\n{}", self.snapshot),
        }
    }
}

impl Case {
    /// Plays the run on one thread, in an order of Runners, writer, timers and trouble that is drawn
    /// from `seed`. The same seed gives the same history, as long as the steps take their time from
    /// [`clock`](Self::clock) and nothing else from outside.
    ///
    /// The end must be that of an undisturbed run, or [one that is right](Self::ends); a run that failed
    /// because it took too long is right, too, since its steps may be slow and the clock may jump.
    /// What [`crash_everywhere`](Self::crash_everywhere) checks is checked here.
    ///
    /// # Panics
    /// When something is wrong. The text has what disturbed it, the history, and a command that plays it
    /// again.
    #[track_caller]
    pub fn simulate(&self, seed: u64) -> Simulated {
        told(self.try_simulate(seed))
    }

    /// The same, but gives back what is wrong.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn try_simulate(&self, seed: u64) -> Result<Simulated, Box<Failure>> {
        let plain = self.undisturbed(seed)?;
        self.simulate_beside(seed, &plain)
    }

    /// Plays so many seeds from 0 on. `WINDLASS_TESTKIT_SEEDS` and `WINDLASS_TESTKIT_FIRST` ask for
    /// others; a replay of a seed plays that alone.
    ///
    /// # Panics
    /// See [`simulate`](Self::simulate).
    #[track_caller]
    pub fn simulate_all(&self, seeds: u64) {
        told(self.try_simulate_all(seeds));
    }

    /// The same, but gives back what is wrong.
    ///
    /// # Errors
    /// [`Failure`] of the first seed that shows something.
    pub fn try_simulate_all(&self, seeds: u64) -> Result<(), Box<Failure>> {
        if let Some(scene) = asked_for(&self.name).filter(|scene| scene.crash.is_none()) {
            return self.try_simulate(scene.seed).map(|_| ());
        }
        let plain = self.undisturbed(0)?;
        for seed in seeds_from_environment(seeds) {
            self.simulate_beside(seed, &plain)?;
        }
        Ok(())
    }

    fn simulate_beside(&self, seed: u64, plain: &Evidence) -> Result<Simulated, Box<Failure>> {
        let scene = Scene { seed, crash: None };
        let (evidence, disturbances) = self.play(scene, self.trouble, Some(plain))?;
        Ok(Simulated {
            end: evidence.end,
            snapshot: evidence.snapshot,
            history: evidence.history,
            disturbances,
        })
    }
}

/// The seeds of a test that plays `default` many unless the environment asks for others:
/// `WINDLASS_TESTKIT_SEEDS` many, from `WINDLASS_TESTKIT_FIRST` on.
///
/// # Panics
/// When one of them is set and no number.
pub fn seeds_from_environment(default: u64) -> Range<u64> {
    let number = |variable: &str| {
        let text = std::env::var(variable).ok()?;
        let number = text.parse::<u64>();
        Some(number.unwrap_or_else(|_| panic!("{variable}={text:?} is no number: give one")))
    };
    let first = number(FIRST).unwrap_or(0);
    first..first + number(SEEDS).unwrap_or(default)
}
