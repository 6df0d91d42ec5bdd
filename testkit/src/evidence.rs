//! What is left of a run when nothing moves any more, and how two runs of one case differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;
use serde_json::Value;
use windlass::{Effect, Inspector, NodeKind, RunFilter, RunId, RunOutcome, StepStatus};

use crate::history::RunHistory;
use crate::outside::Look;
use crate::recorder::Note;
use crate::snapshot::snapshot;

/// Runs that one case has at most.
const RUNS_MAX: u32 = 10_000;

/// How the run of a case has ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum End {
    /// Well, with this data.
    Succeeded(Value),
    /// With errors: the step and the code of each, sorted.
    Failed(Vec<(String, String)>),
    /// Withdrawn, for this reason.
    Cancelled(String),
    /// Not at all: an operator has to decide about these steps.
    Parked(Vec<String>),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded(data) => write!(f, "succeeded with {data}"),
            Self::Failed(errors) => write!(f, "failed with {errors:?}"),
            Self::Cancelled(reason) => write!(f, "cancelled: {reason}"),
            Self::Parked(steps) => write!(f, "parked at {steps:?}"),
        }
    }
}

/// How often each step was committed, with its workflow, and whether to undo it.
type Committed = BTreeMap<(String, String, bool), usize>;

/// Rows of a query, as text.
type Rows = Vec<String>;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Evidence {
    pub(crate) end: End,
    pub(crate) committed: Committed,
    /// What was committed more than once in one activation.
    twice: Vec<String>,
    leftovers: Vec<(&'static str, u64)>,
    /// What each step has declared, by workflow and name.
    pub(crate) effects: BTreeMap<(String, String), Effect>,
    pub(crate) notes: Vec<Note>,
    tables: Vec<(String, Rows)>,
    pub(crate) snapshot: String,
    pub(crate) history: RunHistory,
    /// The commits of the last life.
    pub(crate) commits: u64,
}

impl Evidence {
    pub(crate) fn of(
        inspector: &mut Inspector,
        look: &Look,
        notes: Vec<Note>,
        tables: Vec<(String, Rows)>,
    ) -> Self {
        let mut evidence = Self {
            end: end(inspector, look),
            committed: Committed::new(),
            twice: Vec::new(),
            leftovers: Vec::new(),
            effects: BTreeMap::new(),
            notes,
            tables,
            snapshot: String::new(),
            history: RunHistory::of(inspector, look.run),
            commits: 0,
        };
        let leftovers = inspector.leftovers().expect("the store can be read");
        evidence.leftovers = leftovers;
        evidence.leftovers.retain(|(_, rows)| *rows > 0);
        let mut runs = inspector
            .runs(RunFilter::All, RUNS_MAX)
            .expect("the store can be read");
        runs.reverse();
        let ids = runs.iter().map(|run| run.run.to_string());
        let ids: Vec<_> = ids.collect();
        for run in runs {
            evidence.snapshot += &snapshot(inspector, run.run);
            evidence.add(inspector, run.run);
        }
        evidence.forget(&ids);
        evidence
    }

    /// Which number a run has depends on how often the engine was opened before. Steps may have put it
    /// into what they made, with the engine's keys.
    fn forget(&mut self, ids: &[String]) {
        let forget = |text: &mut String| {
            for (number, id) in ids.iter().enumerate() {
                *text = text.replace(id, &format!("<run {}>", number + 1));
            }
        };
        if let End::Succeeded(data) = &mut self.end {
            let mut text = data.to_string();
            forget(&mut text);
            *data = serde_json::from_str(&text).expect("an id stands in texts only");
        }
        forget(&mut self.snapshot);
        for note in &mut self.notes {
            forget(&mut note.what);
        }
        let rows = self.tables.iter_mut().flat_map(|(_, rows)| rows);
        rows.for_each(forget);
    }

    fn add(&mut self, inspector: &mut Inspector, run: RunId) {
        let detail = inspector.show(run).expect("the store can be read");
        let detail = detail.expect("the run is stored");
        let workflow = detail.summary.workflow;
        for node in detail.definition.nodes() {
            if let NodeKind::Step(step) = &node.kind {
                let place = (workflow.clone(), node.name.clone());
                self.effects.insert(place, step.effect.clone());
            }
        }
        let mut once = BTreeSet::new();
        let entries = RunHistory::of(inspector, run).entries.into_iter();
        let done = entries.filter(|entry| entry.is_step && entry.status == StepStatus::Succeeded);
        for entry in done {
            if !once.insert((entry.step.clone(), entry.activation, entry.is_undo)) {
                self.twice.push(entry.step.clone());
            }
            let place = (workflow.clone(), entry.step, entry.is_undo);
            *self.committed.entry(place).or_default() += 1;
        }
    }

    /// What must hold however a run was disturbed.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !self.twice.is_empty() {
            return Err(format!("outcomes were committed twice: {:?}", self.twice));
        }
        if !self.leftovers.is_empty() && !matches!(self.end, End::Parked(_)) {
            return Err(format!(
                "rows of unfinished work are left over: {:?}",
                self.leftovers
            ));
        }
        Ok(())
    }

    /// What must hold of a run that ends as the undisturbed one did.
    pub(crate) fn check_same(&self, plain: &Self) -> Result<(), String> {
        if self.committed != plain.committed {
            return Err(format!(
                "other outcomes were committed than in the undisturbed run:\n  {:?}\ninstead of\n  {:?}",
                self.committed, plain.committed
            ));
        }
        for ((query, rows), (_, expected)) in self.tables.iter().zip(&plain.tables) {
            if rows != expected {
                return Err(format!(
                    "a transactional effect did not count exactly once: {query} gives\n  {rows:?}\ninstead of\n  {expected:?}"
                ));
            }
        }
        Ok(())
    }
}

fn end(inspector: &mut Inspector, look: &Look) -> End {
    match inspector.outcome(look.run).expect("the store can be read") {
        Some(RunOutcome::Succeeded(data)) => {
            End::Succeeded(data.decode().expect("what is stored is JSON"))
        }
        Some(RunOutcome::Failed(fault)) => {
            let errors = fault.errors.into_iter();
            let mut errors: Vec<_> = errors.map(|error| (error.step, error.code)).collect();
            errors.sort_unstable();
            End::Failed(errors)
        }
        Some(RunOutcome::Cancelled(reason)) => End::Cancelled(reason),
        None => {
            let branches = look.unfinished.iter().flat_map(|why| &why.branches);
            let parked = branches.filter(|branch| branch.waits_for.kind == "operator");
            End::Parked(parked.map(|branch| branch.step.clone()).collect())
        }
    }
}

/// The rows that each query gives now.
pub(crate) fn rows(database: &Path, queries: &[String]) -> Vec<(String, Rows)> {
    if queries.is_empty() {
        return Vec::new();
    }
    let connection = Connection::open(database).expect("the database can be opened");
    let rows_of = |query: &String| {
        let mut statement = connection.prepare(query).expect("the query is SQL");
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values = (0..columns).map(|column| row.get::<_, SqlValue>(column));
            let values: Result<Vec<_>, _> = values.collect();
            Ok(format!("{:?}", values?))
        });
        let rows: Result<Rows, _> = rows.expect("the query can be run").collect();
        (query.clone(), rows.expect("the rows can be read"))
    };
    queries.iter().map(rows_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the engine itself never leaves: only this says that it would be seen.
    #[test]
    fn an_outcome_that_counts_twice_and_a_row_that_is_left_are_seen() {
        let right = Evidence {
            end: End::Cancelled("why".to_owned()),
            committed: Committed::new(),
            twice: Vec::new(),
            leftovers: Vec::new(),
            effects: BTreeMap::new(),
            notes: Vec::new(),
            tables: Vec::new(),
            snapshot: String::new(),
            history: RunHistory {
                entries: Vec::new(),
            },
            commits: 0,
        };
        assert_eq!(right.check(), Ok(()));
        let twice = Evidence {
            twice: vec!["step".to_owned()],
            ..right.clone()
        };
        assert!(twice.check().unwrap_err().contains("twice"));
        let left = Evidence {
            leftovers: vec![("joins", 1)],
            ..right
        };
        assert!(left.check().unwrap_err().contains("joins"));
        let parked = Evidence {
            end: End::Parked(vec!["step".to_owned()]),
            ..left
        };
        assert_eq!(parked.check(), Ok(()), "it is unfinished work");
    }
}
