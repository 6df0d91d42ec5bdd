//! The outside of a run: what it can see, and what it can do.
//!
//! A driver is a pure function from what is seen to what is done, so that it can be played again
//! after a kill, by another process, from any point on.

use windlass::{Event, Payload, RunDetail, RunId, Scheduler, StepStatus, Why};

use super::Stage;

/// See [`Pattern::driven_by`](super::Pattern::driven_by).
pub(crate) type Driver = Box<dyn Fn(&Look) -> Vec<Act>>;

/// What can be seen of a run that has not ended.
pub(crate) struct Look {
    pub(crate) detail: RunDetail,
    pub(crate) why: Why,
}

impl Look {
    /// Of a run; `None` if it is not stored.
    pub(crate) fn at(inspector: &mut windlass::Inspector, run: RunId) -> Option<Self> {
        let why = inspector.why(run).expect("the store can be read")?;
        let detail = inspector.show(run).expect("the store can be read")?;
        Some(Self { detail, why })
    }

    /// How often `step` was done.
    pub(crate) fn done(&self, step: &str) -> usize {
        self.in_status(step, StepStatus::Succeeded)
    }

    /// How many Runners are in `step`.
    pub(crate) fn running(&self, step: &str) -> usize {
        self.in_status(step, StepStatus::Running)
    }

    /// How many activations of `step` there are, done or not.
    pub(crate) fn reached(&self, step: &str) -> usize {
        let steps = self.detail.steps.iter();
        steps
            .filter(|view| view.step == step && view.activation.is_some())
            .count()
    }

    fn in_status(&self, step: &str, status: StepStatus) -> usize {
        let steps = self.detail.steps.iter();
        steps
            .filter(|view| view.step == step && view.status == status)
            .count()
    }

    /// Whether a branch waits for `event`.
    #[allow(dead_code, reason = "for drivers of patterns that are not written yet")]
    pub(crate) fn awaits(&self, event: &str) -> bool {
        let mut branches = self.why.branches.iter();
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
    /// Opens a latch of the stage, for good.
    Open(&'static str),
    /// Withdraws the run, for this reason.
    #[allow(dead_code, reason = "for patterns that are not written yet")]
    Cancel(&'static str),
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
            Self::Open(latch) => stage.open(latch),
            Self::Cancel(reason) => {
                // Nor is it withdrawn then.
                let _ = scheduler.cancel(run, reason).await;
            }
        }
    }
}
