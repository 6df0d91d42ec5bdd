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
pub struct Seats {
    all: Mutex<Vec<Arc<Mutex<Option<InFlight>>>>>,
    /// Jobs that Runners take off the channel and that do not sit yet. From there on nobody else can
    /// withdraw them, so they are told to stop here.
    coming: Mutex<Vec<(Arc<LockedJob>, Cancellation)>>,
}

/// A job on the way to its seat.
#[derive(Debug)]
pub(crate) struct Coming {
    seats: Arc<Seats>,
    job: Arc<LockedJob>,
    cancellation: Cancellation,
}

impl Coming {
    pub(crate) fn job(&self) -> &Arc<LockedJob> {
        &self.job
    }

    /// What tells its step to stop, on its seat, too.
    pub(crate) fn cancellation(&self) -> Cancellation {
        self.cancellation.clone()
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        let mut coming = self.seats.coming.lock();
        coming.retain(|(job, _)| !Arc::ptr_eq(job, &self.job));
    }
}

impl Seats {
    /// A job comes, until what this gives is dropped; to be said before it is started.
    pub(crate) fn expect(self: &Arc<Self>, job: &Arc<LockedJob>) -> Coming {
        let cancellation = Cancellation::default();
        let coming = (Arc::clone(job), cancellation.clone());
        self.coming.lock().push(coming);
        Coming {
            seats: Arc::clone(self),
            job: Arc::clone(job),
            cancellation,
        }
    }

    /// The seat with this number; it is also the slot in the owner file.
    pub(crate) fn seat(&self, number: usize) -> Arc<Mutex<Option<InFlight>>> {
        let mut seats = self.all.lock();
        while seats.len() <= number {
            seats.push(Arc::default());
        }
        Arc::clone(&seats[number])
    }

    /// Gives a seat whose thread may never come back to nobody, and makes a new one in its place.
    pub(crate) fn renew(&self, number: usize) {
        if let Some(seat) = self.all.lock().get_mut(number) {
            *seat = Arc::default();
        }
    }

    /// All jobs in flight.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.all
            .lock()
            .iter()
            .filter_map(|seat| seat.lock().clone())
            .collect()
    }

    /// Tells the step of a branch to stop, if it runs under a lock up to `token`.
    pub fn cancel_branch(&self, branch: BranchId, token: FencingToken) {
        self.tell(|job| job.row.id == branch && job.row.token <= token);
    }

    /// Tells all steps of a run to stop.
    pub fn cancel(&self, run: RunId) {
        self.tell(|job| job.row.run == run);
    }

    fn tell(&self, is_meant: impl Fn(&LockedJob) -> bool) {
        // Those that come first: one of them may sit by the time that the seats are looked at.
        for (job, cancellation) in self.coming.lock().iter() {
            if is_meant(job) {
                cancellation.cancel();
            }
        }
        for in_flight in self.in_flight() {
            if is_meant(&in_flight.job) {
                in_flight.cancellation.cancel();
            }
        }
    }
}
