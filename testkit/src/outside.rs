//! What the outside does to a run: it answers, changes maps, cancels.

use std::fmt;
use std::sync::Arc;

use windlass::{
    BranchWait, Event, Inspector, MapChange, Payload, RunFilter, RunId, RunStatus, Scheduler, Why,
};

/// Runs that one look shows at most.
const RUNS_MAX: u32 = 1_000;

/// What can be seen of all runs that have not ended, when nothing moves by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The run of the case.
    pub run: RunId,
    /// What keeps each unfinished run from going on, the newest first.
    pub unfinished: Vec<Why>,
}

impl Look {
    pub(crate) fn at(inspector: &mut Inspector, run: RunId) -> Self {
        let unfinished = inspector.runs(RunFilter::Unfinished, RUNS_MAX);
        let unfinished = unfinished.expect("the store can be read");
        let whys = unfinished
            .into_iter()
            .filter_map(|run| inspector.why(run.run).expect("the store can be read"));
        Self {
            run,
            unfinished: whys.collect(),
        }
    }

    /// Who waits for `event`.
    pub fn waiting_for(&self, event: &str) -> Vec<(RunId, BranchWait)> {
        let branches = self
            .unfinished
            .iter()
            .flat_map(|why| why.branches.iter().map(|branch| (why.run, branch.clone())));
        let waits = |branch: &BranchWait| {
            let waits_for = &branch.waits_for;
            // A select waits for several.
            waits_for.event.as_deref() == Some(event)
                || waits_for.kind == "event" && waits_for.missing.iter().any(|name| name == event)
        };
        branches.filter(|(_, branch)| waits(branch)).collect()
    }

    /// Nothing goes on without an operator.
    pub(crate) fn is_parked(&self) -> bool {
        let parked = |why: &Why| why.status == RunStatus::Parked;
        let waits = |why: &Why| why.branches.iter().all(|branch| !is_going_on(branch));
        self.unfinished.iter().any(parked) && self.unfinished.iter().all(waits)
    }
}

/// Whether it goes on by itself, or with something that does.
fn is_going_on(branch: &BranchWait) -> bool {
    let kind = branch.waits_for.kind;
    !matches!(kind, "operator" | "join" | "call" | "meet" | "mutex")
}

/// What the outside does. Each must do no harm when it is done twice: a crash may come before its
/// answer does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Act {
    /// Sends an event. Its id tells it apart from others, so that it counts once.
    Send(Event),
    /// Withdraws a run, for that reason.
    Cancel(RunId, String),
    /// Changes the open map of that name. What is added after a crash may be added twice: close and
    /// complete only, or add nothing that counts.
    ChangeMap(RunId, String, MapChange),
    /// An operator lets a parked or failed run go on.
    Retry(RunId),
}

impl Act {
    /// Does it. `false`: it made no difference, or was refused.
    pub(crate) async fn act(self, scheduler: Scheduler) -> bool {
        match self {
            Self::Send(event) => scheduler.signal(event).await.is_ok(),
            Self::Cancel(run, reason) => scheduler.cancel(run, &reason).await.unwrap_or(false),
            Self::ChangeMap(run, map, change) => {
                scheduler.change_map(run, &map, change).await.is_ok()
            }
            Self::Retry(run) => scheduler.retry(run).await.is_ok(),
        }
    }
}

impl Act {
    /// The same, on a thread of its own.
    pub(crate) fn act_blocking(self, scheduler: &Scheduler) {
        // One that is refused makes no difference.
        let _ = match self {
            Self::Send(event) => scheduler.signal_blocking(event).map(|_| ()),
            Self::Cancel(run, reason) => scheduler.cancel_blocking(run, &reason).map(|_| ()),
            Self::ChangeMap(run, map, change) => {
                scheduler.change_map_blocking(run, &map, change).map(|_| ())
            }
            Self::Retry(run) => scheduler.retry_blocking(run).map(|_| ()),
        };
    }
}

/// All that the outside does in a case.
#[derive(Clone, Default)]
pub(crate) struct Outside(Vec<Arc<dyn Fn(&Look) -> Vec<Act> + Send + Sync>>);

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outside").field(&self.0.len()).finish()
    }
}

impl Outside {
    pub(crate) fn add(&mut self, driver: impl Fn(&Look) -> Vec<Act> + Send + Sync + 'static) {
        self.0.push(Arc::new(driver));
    }

    pub(crate) fn answer(&mut self, event: String, payload: Payload) {
        self.add(move |look| {
            let waiting = look.waiting_for(&event).into_iter();
            let answers = waiting.map(|(run, branch)| {
                let id = format!("{event}-{}", branch.activation);
                Act::Send(Event::new(run, &event, id, payload.clone()))
            });
            answers.collect()
        });
    }

    pub(crate) fn acts(&self, look: &Look) -> Vec<Act> {
        self.0.iter().flat_map(|driver| driver(look)).collect()
    }
}
