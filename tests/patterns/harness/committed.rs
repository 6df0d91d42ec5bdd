//! What a run has left behind: how it ended, which steps it committed, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use windlass::{ActivationId, Inspector, Json, RunFilter, RunId, RunOutcome, StepStatus};
use windlass_store::{HistoryRow, Options, Reader, ResultRow, Store, SystemClock};

use super::tree::{RUNS_MAX, tree};

/// How a run has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// With this data.
    Succeeded(Json),
    /// With these codes, in the fault's order.
    Failed(Vec<String>),
    /// Withdrawn.
    Cancelled,
}

impl From<RunOutcome> for End {
    fn from(outcome: RunOutcome) -> Self {
        match outcome {
            RunOutcome::Succeeded(data) => Self::Succeeded(data.decode().expect("data is JSON")),
            RunOutcome::Failed(fault) => {
                Self::Failed(fault.errors.into_iter().map(|error| error.code).collect())
            }
            RunOutcome::Cancelled(_) => Self::Cancelled,
        }
    }
}

/// The steps that a run and those that it called have done, each activation of a node once per run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed {
    /// How often each activation of a step was done: once in each of so many runs.
    steps: BTreeMap<(String, u64), usize>,
    /// How many runs of each workflow there were.
    runs: BTreeMap<String, usize>,
}

impl Committed {
    /// Of a run in any store, as people are shown it.
    pub(crate) fn of(inspector: &mut Inspector, run: RunId) -> Self {
        let mut committed = Self::default();
        for detail in tree(inspector, run) {
            let done = detail
                .steps
                .into_iter()
                .filter(|step| step.kind == "step" && step.status == StepStatus::Succeeded);
            let done = done.filter_map(|step| Some((step.step, step.activation?)));
            committed.add(&detail.summary.workflow, done);
        }
        committed
    }

    /// Of all runs in a file, from the rows of history themselves: what people are shown would hide a
    /// second outcome of one activation, and what belongs to one run another one that came of nothing.
    pub(crate) fn of_rows(database: &Path) -> Self {
        let mut inspector = Inspector::open(database).expect("the file is a store");
        let runs = inspector.runs(RunFilter::All, RUNS_MAX);
        let mut committed = Self::default();
        for summary in runs.expect("the store can be read") {
            let detail = inspector.show(summary.run).expect("the store can be read");
            let definition = detail.expect("the run is stored").definition;
            let done = history(database, summary.run)
                .into_iter()
                .filter(|row| row.status == StepStatus::Succeeded)
                .filter(|row| definition.node(row.node).kind.word() == "step")
                .map(|row| (definition.node(row.node).name.clone(), row.activation));
            committed.add(&summary.workflow, done);
        }
        committed
    }

    /// What one more run has done.
    fn add(&mut self, workflow: &str, done: impl Iterator<Item = (String, ActivationId)>) {
        *self.runs.entry(workflow.to_owned()).or_default() += 1;
        let mut once = BTreeSet::new();
        for (step, activation) in done {
            assert!(
                once.insert((step.clone(), activation.0)),
                "{step:?} was committed twice in activation {activation}"
            );
            *self.steps.entry((step, activation.0)).or_default() += 1;
        }
    }

    /// The names of the steps, sorted, as often as they were done.
    pub(crate) fn steps(&self) -> Vec<&str> {
        let times = self.steps.iter();
        times
            .flat_map(|((step, _), times)| std::iter::repeat_n(step.as_str(), *times))
            .collect()
    }

    /// How often `step` was done.
    pub(crate) fn count(&self, step: &str) -> usize {
        let of_step = self.steps.iter().filter(|((name, _), _)| name == step);
        of_step.map(|(_, times)| times).sum()
    }

    /// How many activations were done.
    pub(crate) fn len(&self) -> usize {
        self.steps.values().sum()
    }

    /// How many runs of `workflow` there were.
    pub(crate) fn runs(&self, workflow: &str) -> usize {
        self.runs.get(workflow).copied().unwrap_or_default()
    }
}

/// The rows of history of a run in a file.
pub(crate) fn history(database: &Path, run: RunId) -> Vec<HistoryRow> {
    let history = reader(database).history(run);
    history.expect("the store can be read")
}

/// The results of a map in a file, by index.
pub(crate) fn results(database: &Path, run: RunId, map: ActivationId) -> Vec<ResultRow> {
    let results = reader(database).results(run, map, 0, 1_000);
    results.expect("the store can be read")
}

fn reader(database: &Path) -> Box<dyn Reader> {
    let clock = std::sync::Arc::new(SystemClock::new());
    let (store, _writer, _committed) =
        Store::open(database, Options::default(), clock, None).expect("the file is a store");
    store.reader().expect("the store can be read")
}

/// Nothing is left of the runs but themselves and their history.
#[track_caller]
pub(crate) fn assert_no_leftovers(inspector: &mut Inspector, when: &str) {
    let open = inspector.runs(RunFilter::Unfinished, 10);
    let open = open.expect("the store can be read");
    assert!(open.is_empty(), "{when}: runs are open still: {open:?}");
    let leftovers = inspector.leftovers().expect("the store can be read");
    let left: Vec<_> = leftovers.iter().filter(|(_, rows)| *rows > 0).collect();
    assert!(left.is_empty(), "{when}: left over: {left:?}");
}
