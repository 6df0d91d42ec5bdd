//! Seats: where jobs in flight can be seen and told to stop, without asking their thread.

use std::time::Duration;

use windlass_store::LockedJob;
use windlass_store::sync::{Arc, Mutex};
use windlass_workflow_model::{BranchId, FencingToken, Handover, RunId, Timestamp};

use crate::context::{Cancellation, Context};
use crate::limits::STOP_GRACE;
use crate::serving::Served;
use crate::work::Work;

/// A job in flight.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// The job.
    pub job: Arc<LockedJob>,
    /// Tells its step to stop.
    pub cancellation: Cancellation,
    pub(crate) served: Arc<Served>,
    pub(crate) handover: Handover,
    pub(crate) work: Work,
    /// Where it gives signs of life, if it has to.
    pub(crate) pulse: Option<(Duration, Context)>,
    pub(crate) attempt: u32,
    pub(crate) started_at: Timestamp,
    /// On the engine's clock.
    pub(crate) started: Duration,
    pub(crate) deadline: Option<Duration>,
    /// Whether its step occupies the thread.
    pub(crate) blocking: bool,
}

impl InFlight {
    /// Whether it has given no sign of life for longer than it may.
    pub(crate) fn is_silent(&self, now: Duration) -> bool {
        self.pulse
            .as_ref()
            .is_some_and(|(limit, context)| context.last_beat().max(self.started) + *limit <= now)
    }

    /// Whether it has its outcome, and its thread has not come back for longer than the grace.
    pub(crate) fn is_stuck(&self, now: Duration) -> bool {
        let late = self
            .deadline
            .is_some_and(|deadline| deadline + STOP_GRACE <= now)
            || self.is_silent(now.saturating_sub(STOP_GRACE));
        self.blocking && late && self.job.ticket.is_over()
    }
}

/// The seats of all Runners of one engine; a job in flight sits on one.
#[derive(Debug, Default)]
pub struct Seats(Mutex<Vec<Arc<Mutex<Option<InFlight>>>>>);

impl Seats {
    /// The seat with this number; it is also the slot in the owner file.
    pub(crate) fn seat(&self, number: usize) -> Arc<Mutex<Option<InFlight>>> {
        let mut seats = self.0.lock();
        while seats.len() <= number {
            seats.push(Arc::default());
        }
        Arc::clone(&seats[number])
    }

    /// Gives a seat whose thread may never come back to nobody, and makes a new one in its place.
    pub(crate) fn renew(&self, number: usize) {
        if let Some(seat) = self.0.lock().get_mut(number) {
            *seat = Arc::default();
        }
    }

    /// All jobs in flight.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.0
            .lock()
            .iter()
            .filter_map(|seat| seat.lock().clone())
            .collect()
    }

    /// Tells the step of a branch to stop, if it runs under a lock up to `token`.
    pub fn cancel_branch(&self, branch: BranchId, token: FencingToken) {
        let in_flight = self.in_flight();
        for job in in_flight.iter().filter(|job| job.job.row.id == branch) {
            if job.job.row.token <= token {
                job.cancellation.cancel();
            }
        }
    }

    /// Tells all steps of a run to stop.
    pub fn cancel(&self, run: RunId) {
        for job in self.in_flight().iter().filter(|job| job.job.row.run == run) {
            job.cancellation.cancel();
        }
    }
}
