//! What the logic steps of a playbook decided, and on what: as each decision has noted it, or as the
//! run's data says it of the last ones, where nothing was noted.

use std::collections::{BTreeMap, HashMap};

use windlass::{ErrorEntry, Payload, RunDetail, StepView};
use windlass_dialects::{Decided, Handled, taken_branches};

/// A logic step and the rounds around it; of a while, also that which it ended.
type Key = (String, Vec<u32>);

/// The decisions of a run.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    noted: HashMap<Key, Decided>,
    /// What logic steps failed with, where their `on_failure` went on from that.
    handled: HashMap<Key, ErrorEntry>,
    /// The branch that each step took last.
    last: BTreeMap<String, String>,
    /// How many rounds of each while are noted.
    rounds: HashMap<Key, u32>,
}

impl Decisions {
    pub(crate) fn of(detail: &RunDetail) -> Self {
        let data = detail.data.as_ref();
        let last = data.map(|data| taken_branches(&detail.definition, data));
        let mut found = Self {
            last: last.unwrap_or_default(),
            ..Self::default()
        };
        for note in &detail.notes {
            if let Some(failure) = note.output.as_ref().and_then(Handled::read) {
                let key = (failure.handled, note.rounds.clone());
                found
                    .handled
                    .extend(failure.error.map(|error| (key, error)));
            }
            let Some(decided) = note.output.as_ref().and_then(Decided::read) else {
                continue;
            };
            if let Some((number, around)) = note.rounds.split_last() {
                let rounds = found.rounds.entry((decided.step.clone(), around.to_vec()));
                let most = rounds.or_default();
                *most = (*most).max(*number);
            }
            let key = (decided.step.clone(), note.rounds.clone());
            found.noted.insert(key, decided);
        }
        found
    }

    /// The branch that the logic step of this row took.
    pub(crate) fn taken(&self, row: &StepView) -> Option<&str> {
        let noted = self.at(&row.step, &row.rounds);
        let noted = noted.map(|decided| decided.branch.as_str());
        let last = self.last.get(&row.step).filter(|_| row.rounds.is_empty());
        noted.or_else(|| last.map(String::as_str))
    }

    /// What the logic step of this row failed with in its round of a loop, if its `on_failure` handled it.
    pub(crate) fn handled(&self, row: &StepView) -> Option<&ErrorEntry> {
        let key = (row.step.clone(), row.rounds.clone());
        self.handled.get(&key).filter(|_| !row.rounds.is_empty())
    }

    /// How many rounds of the while of this row were judged at their end.
    pub(crate) fn rounds(&self, row: &StepView) -> u32 {
        let key = (row.step.clone(), row.rounds.clone());
        self.rounds.get(&key).copied().unwrap_or(0)
    }

    /// What the logic step of this row has read; of a while, the last time.
    pub(crate) fn read(&self, row: &StepView) -> Option<Payload> {
        match self.rounds(row) {
            0 => self.shown(&row.step, &row.rounds),
            last => self.read_after(row, last),
        }
    }

    /// What a while has read that led to this round of it.
    pub(crate) fn read_for(&self, row: &StepView, round: u32) -> Option<Payload> {
        match round {
            0 | 1 => self.shown(&row.step, &row.rounds),
            round => self.read_after(row, round - 1),
        }
    }

    fn read_after(&self, row: &StepView, round: u32) -> Option<Payload> {
        let rounds = [&row.rounds[..], &[round]].concat();
        self.shown(&row.step, &rounds)
    }

    fn at(&self, step: &str, rounds: &[u32]) -> Option<&Decided> {
        self.noted.get(&(step.to_owned(), rounds.to_vec()))
    }

    fn shown(&self, step: &str, rounds: &[u32]) -> Option<Payload> {
        let decided = self.at(step, rounds)?;
        Payload::encode(&serde_json::json!({ "variables": decided.variables })).ok()
    }
}
