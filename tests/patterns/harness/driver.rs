//! The outside of a run: what it can see, and what it can do.
//!
//! A driver is a pure function from what is seen to what is done, so that it can be played again
//! after a kill, by another process, from any point on.

use windlass::{
    BranchWait, Event, Inspector, MapChange, Payload, RunDetail, RunId, Scheduler, StepStatus,
    StepView, Why,
};

use super::Stage;
use super::tree::tree;

/// See [`Pattern::driven_by`](super::Pattern::driven_by).
pub(crate) type Driver = Box<dyn Fn(&Look) -> Vec<Act>>;

/// What can be seen of a run that has not ended, and of those that it called.
pub(crate) struct Look {
    pub(crate) detail: RunDetail,
    pub(crate) why: Why,
    /// All runs below it, in the order in which they were called, with what each waits for.
    pub(crate) called: Vec<(RunDetail, Why)>,
}

impl Look {
    /// Of a run; `None` if it is not stored.
    pub(crate) fn at(inspector: &mut Inspector, run: RunId) -> Option<Self> {
        // What ends between two reads is missing in neither if what waits is read first.
        let why = inspector.why(run).expect("the store can be read")?;
        let mut runs = tree(inspector, run).into_iter();
        let detail = runs.next()?;
        let seen = runs.filter_map(|detail| {
            let why = inspector.why(detail.summary.run);
            Some((detail, why.expect("the store can be read")?))
        });
        let called = seen.collect();
        Some(Self {
            detail,
            why,
            called,
        })
    }

    /// How often `step` was done.
    pub(crate) fn done(&self, step: &str) -> usize {
        self.in_status(step, StepStatus::Succeeded)
    }

    /// How many Runners are in `step`.
    pub(crate) fn running(&self, step: &str) -> usize {
        self.in_status(step, StepStatus::Running)
    }

    /// How often `step` was withdrawn.
    pub(crate) fn cancelled(&self, step: &str) -> usize {
        let of_step = |view: &&StepView| view.activation.is_some() && view.step == step;
        let cancelled = |view: &&StepView| view.status == StepStatus::Cancelled;
        self.steps().filter(of_step).filter(cancelled).count()
    }

    /// Whether any step was withdrawn.
    pub(crate) fn any_cancelled(&self) -> bool {
        self.steps()
            .any(|view| view.status == StepStatus::Cancelled)
    }

    /// How many activations of `step` have not ended.
    pub(crate) fn in_hand(&self, step: &str) -> usize {
        let open = [
            StepStatus::Pending,
            StepStatus::Running,
            StepStatus::Waiting,
        ];
        let of_step = |view: &&StepView| view.activation.is_some() && view.step == step;
        let in_hand = |view: &&StepView| open.contains(&view.status);
        self.steps().filter(of_step).filter(in_hand).count()
    }

    /// How many activations of `step` there are, done or not.
    pub(crate) fn reached(&self, step: &str) -> usize {
        let of_step = |view: &&StepView| view.step == step && view.activation.is_some();
        self.steps().filter(of_step).count()
    }

    /// The steps of all runs.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &StepView> {
        let called = self.called.iter().flat_map(|(detail, _)| &detail.steps);
        self.detail.steps.iter().chain(called)
    }

    /// How many branches wait for something of this kind (see [`windlass::WaitsFor::kind`]).
    pub(crate) fn wait_for(&self, kind: &str) -> usize {
        let of_kind = |branch: &&BranchWait| branch.waits_for.kind == kind;
        self.branches().filter(of_kind).count()
    }

    /// The live branches of all runs.
    fn branches(&self) -> impl Iterator<Item = &BranchWait> {
        let called = self.called.iter().flat_map(|(_, why)| &why.branches);
        self.why.branches.iter().chain(called)
    }

    /// How many tokens wait at the meet of this name.
    pub(crate) fn waiting_at(&self, meet: &str) -> usize {
        let branches = self.why.branches.iter();
        branches
            .filter(|branch| {
                branch.waits_for.kind == "meet" && branch.waits_for.join.as_deref() == Some(meet)
            })
            .count()
    }

    /// Why the run is parked as stuck, if it is.
    pub(crate) fn stuck(&self) -> Option<&str> {
        let reasons = self.why.branches.iter();
        reasons
            .filter(|branch| branch.waits_for.kind == "operator")
            .flat_map(|branch| &branch.waits_for.missing)
            .find_map(|reason| reason.strip_prefix("stuck: "))
    }

    fn in_status(&self, step: &str, status: StepStatus) -> usize {
        self.steps()
            .filter(|view| view.step == step && view.status == status)
            .count()
    }

    /// Whether a branch waits for `event`.
    pub(crate) fn awaits(&self, event: &str) -> bool {
        let mut branches = self.branches();
        branches.any(|branch| branch.waits_for.event.as_deref() == Some(event))
    }
}

/// What the outside does to a run. Each changes nothing when it is done again.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Sends an event with a text; the id tells a repetition from a second event.
    Signal {
        event: &'static str,
        id: &'static str,
        text: &'static str,
    },
    /// Like `Signal`, but the event is lost if nobody waits for it.
    TransientSignal {
        event: &'static str,
        id: &'static str,
        text: &'static str,
    },
    /// Opens a latch of the stage, for good.
    Open(&'static str),
    /// Withdraws the run, for this reason.
    Cancel(&'static str),
    /// Withdraws what goes on in a node, by its name.
    CancelNode(&'static str),
    /// Closes a map, completes it or adds to it, by its name. What is added twice is there twice.
    ChangeMap(&'static str, MapChange),
}

impl Act {
    /// Does it, if it is done through the scheduler: then it is to be awaited.
    pub(crate) async fn act(self, scheduler: Scheduler, stage: &Stage, run: RunId) {
        match self {
            Self::Signal { event, id, text } => {
                let payload = Payload::encode(text).expect("text is JSON");
                // A run that has ended meanwhile takes no event.
                let _ = scheduler.signal(Event::new(run, event, id, payload)).await;
            }
            Self::TransientSignal { event, id, text } => {
                let payload = Payload::encode(text).expect("text is JSON");
                let event = Event::new(run, event, id, payload).transient();
                let _ = scheduler.signal(event).await;
            }
            Self::Open(latch) => stage.open(latch),
            Self::Cancel(reason) => {
                // Nor is it withdrawn then.
                let _ = scheduler.cancel(run, reason).await;
            }
            Self::CancelNode(node) => {
                let _ = scheduler.cancel_node(run, node, "by the driver").await;
            }
            Self::ChangeMap(map, change) => {
                let _ = scheduler.change_map(run, map, change).await;
            }
        }
    }
}
