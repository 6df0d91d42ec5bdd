//! The trials of all patterns, and what came of them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use libtest_mimic::Trial;

use super::live::Setting;
use super::{kill_sweep, plain, stale_writer};
use crate::catalogue::{Entry, Written};

/// The modes that every pattern is run in.
pub(crate) const PLAIN: &str = "plain";
pub(crate) const KILL_SWEEP: &str = "kill_sweep";
pub(crate) const STALE_WRITER: &str = "stale_writer";

/// Which trials have passed, by name.
#[derive(Clone, Default)]
pub(crate) struct Results(Arc<Mutex<BTreeMap<String, bool>>>);

impl Results {
    /// Whether all trials of a pattern whose names begin so have been run and have passed.
    pub(crate) fn passed(&self, trials: &[String]) -> bool {
        let results = self.0.lock().expect("nobody panics here");
        trials.iter().all(|trial| results.get(trial) == Some(&true))
    }

    /// How many were run.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("nobody panics here").len()
    }

    /// A trial whose outcome is kept here.
    fn trial(&self, name: String, run: impl FnOnce() + Send + 'static) -> Trial {
        let (results, key) = (self.clone(), name.clone());
        Trial::test(name, move || {
            let outcome = catch_unwind(AssertUnwindSafe(run));
            let mut all = results.0.lock().expect("nobody panics here");
            all.insert(key, outcome.is_ok());
            drop(all);
            match outcome {
                Ok(()) => Ok(()),
                Err(panic) => resume_unwind(panic),
            }
        })
    }
}

/// The name of a trial.
pub(crate) fn name(pattern: &str, mode: &str) -> String {
    format!("{pattern}::{mode}")
}

/// The plain trials of a pattern: the mode and its own assertions.
pub(crate) fn plain_names(written: &Written) -> Vec<String> {
    let pattern = (written.pattern)();
    let own = pattern.assertions.iter().map(|assertion| assertion.name);
    let modes = std::iter::once(PLAIN).chain(own);
    modes.map(|mode| name(written.name, mode)).collect()
}

/// All trials of all patterns that are written.
pub(crate) fn all(catalogue: &[Entry], results: &Results) -> Vec<Trial> {
    let written = catalogue.iter().filter_map(|entry| entry.written.as_ref());
    written
        .flat_map(|written| of_pattern(written, results))
        .collect()
}

fn of_pattern(written: &Written, results: &Results) -> Vec<Trial> {
    let (pattern, called) = (written.pattern, written.name);
    let trial = |mode: &str, run: Box<dyn FnOnce() + Send>| results.trial(name(called, mode), run);
    let mut trials = vec![
        trial(PLAIN, Box::new(move || plain::run(&pattern()))),
        trial(
            KILL_SWEEP,
            Box::new(move || {
                let kills = kill_sweep::run(&pattern(), called);
                println!("{called}: killed {kills} times");
            }),
        ),
        trial(
            STALE_WRITER,
            Box::new(move || {
                stale_writer::run(&pattern());
            }),
        ),
    ];
    for (index, assertion) in pattern().assertions.iter().enumerate() {
        let check = move || {
            let pattern = pattern();
            for setting in Setting::ALL {
                (pattern.assertions[index].check)(&pattern, setting);
            }
        };
        trials.push(trial(assertion.name, Box::new(check)));
    }
    trials
}
