//! What a run has left behind: how it ended, which steps it committed, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use windlass::{ActivationId, Inspector, Json, RunFilter, RunId, RunOutcome, StepStatus};
use windlass_store::{HistoryRow, Options, Store, SystemClock};

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

/// The steps that a run has done, each activation of a node once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Committed(BTreeSet<(String, u64)>);

impl Committed {
    /// Of a run in any store, as people are shown it.
    pub(crate) fn of(inspector: &mut Inspector, run: RunId) -> Self {
        let detail = inspector.show(run).expect("the store can be read");
        let steps = detail.expect("the run is stored").steps;
        let done = steps
            .into_iter()
            .filter(|step| step.kind == "step" && step.status == StepStatus::Succeeded);
        Self::each_once(done.filter_map(|step| Some((step.step, step.activation?))))
    }

    /// Of a run in a file, from the rows of history themselves: what people are shown would hide a
    /// second outcome of one activation.
    pub(crate) fn of_rows(database: &Path, run: RunId) -> Self {
        let mut inspector = Inspector::open(database).expect("the file is a store");
        let detail = inspector.show(run).expect("the store can be read");
        let definition = detail.expect("the run is stored").definition;
        let done = history(database, run)
            .into_iter()
            .filter(|row| row.status == StepStatus::Succeeded)
            .filter(|row| definition.node(row.node).kind.word() == "step")
            .map(|row| (definition.node(row.node).name.clone(), row.activation));
        Self::each_once(done)
    }

    fn each_once(done: impl Iterator<Item = (String, ActivationId)>) -> Self {
        let mut committed = BTreeSet::new();
        for (step, activation) in done {
            assert!(
                committed.insert((step.clone(), activation.0)),
                "{step:?} was committed twice in activation {activation}"
            );
        }
        Self(committed)
    }

    /// The names of the steps, sorted, as often as they were done.
    pub(crate) fn steps(&self) -> Vec<&str> {
        self.0.iter().map(|(step, _)| step.as_str()).collect()
    }

    /// How often `step` was done.
    pub(crate) fn count(&self, step: &str) -> usize {
        self.0.iter().filter(|(name, _)| name == step).count()
    }

    /// How many activations were done.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The rows of history of a run in a file.
pub(crate) fn history(database: &Path, run: RunId) -> Vec<HistoryRow> {
    let clock = std::sync::Arc::new(SystemClock::new());
    let (store, _writer, _committed) =
        Store::open(database, Options::default(), clock, None).expect("the file is a store");
    let mut reader = store.reader().expect("the store can be read");
    reader.history(run).expect("the store can be read")
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
