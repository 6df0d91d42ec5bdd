//! Who waits for the end of which run, in this process.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use windlass_store::RunOutcome;
use windlass_store::inspect::Inspector;
use windlass_store::sync::{Mutex, oneshot};
use windlass_workflow_model::RunId;

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Waiters(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    runs: HashMap<RunId, Vec<oneshot::Sender<RunOutcome>>>,
    /// Nobody will be told anything any more.
    closed: bool,
}

impl Waiters {
    pub(crate) fn add(&self, run: RunId) -> oneshot::Receiver<RunOutcome> {
        let (told, tell) = oneshot::channel();
        let mut all = self.0.lock();
        if !all.closed {
            all.runs.entry(run).or_default().push(told);
        }
        tell
    }

    /// Tells all who wait for `run`. Runs foreign wakers.
    pub(crate) fn tell(&self, run: RunId, outcome: &RunOutcome) {
        let waiting = self.0.lock().runs.remove(&run);
        for waiter in waiting.into_iter().flatten() {
            // Whoever waited may have gone, or its waker may panic: neither is our concern.
            let _ = catch_unwind(AssertUnwindSafe(|| waiter.send(outcome.clone())));
        }
    }

    /// Forgets those who do not wait any more.
    pub(crate) fn prune(&self, run: RunId) {
        let all = &mut self.0.lock().runs;
        if let Some(waiting) = all.get_mut(&run) {
            waiting.retain(|waiter| !waiter.is_closed());
            if waiting.is_empty() {
                all.remove(&run);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().runs.is_empty()
    }

    /// Looks for runs that others have ended.
    pub(crate) fn look(&self, inspector: &mut Inspector) {
        let runs: Vec<_> = {
            let all = &mut self.0.lock().runs;
            all.retain(|_, waiting| {
                waiting.retain(|waiter| !waiter.is_closed());
                !waiting.is_empty()
            });
            all.keys().copied().collect()
        };
        for run in runs {
            if let Ok(Some(outcome)) = inspector.outcome(run) {
                self.tell(run, &outcome);
            }
        }
    }

    /// Nobody will be told anything any more.
    pub(crate) fn close(&self) {
        let mut all = self.0.lock();
        all.closed = true;
        all.runs.clear();
    }
}
