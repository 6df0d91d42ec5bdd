//! The dispatcher: the only one that fills the channel, and the one who tells.
//!
//! It takes what the writer has committed, puts the locked jobs on the channel, wakes whoever waits
//! for an answer or the end of a run, and looks around in between: for other processes, for jobs
//! that lie on the channel too long, for suspects that have to run alone. It never blocks: the
//! writer has reserved a place for each job.

use std::collections::VecDeque;
use std::time::Duration;

use windlass_store::inspect::Inspector;
use windlass_store::sync::{
    Arc, Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, oneshot,
};
use windlass_store::{
    Change, Committed, LockedJob, Reader, Retention, Store, StoreKind, Withdrawn, WriteError,
};
use windlass_workflow_model::{BranchId, FencingToken, RunId};

use crate::limits::{
    ALONE_DOUBLINGS_MAX, ALONE_MAX, ALONE_PATIENCE, ALONE_PAUSE, LOOK_EVERY, ON_CHANNEL_MAX,
    RECOVER_EVERY, RETAIN_EVERY,
};
use crate::recovery::Recovery;
use crate::waiters::Waiters;

/// What the dispatcher tells the Runners, which it does not know.
pub struct Hooks {
    /// Jobs were put on the channel.
    pub arrived: Box<dyn Fn() + Send>,
    /// A run was cancelled: its steps should stop.
    pub cancelled: Box<dyn Fn(RunId) + Send>,
    /// A branch was withdrawn, under locks up to this token: its step should stop.
    pub withdrawn: Box<dyn Fn(BranchId, FencingToken) + Send>,
    /// Jobs in flight whose locks may have been taken by others, to be checked.
    pub in_flight: Box<dyn Fn() -> Vec<Arc<LockedJob>> + Send>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

/// See the module.
#[derive(Debug)]
pub struct Dispatcher {
    store: Store,
    committed: Receiver<Committed>,
    jobs: Sender<Arc<LockedJob>>,
    waiters: Arc<Waiters>,
    hooks: Hooks,
    recovery: Option<Recovery>,
    reader: Box<dyn Reader>,
    inspector: Option<Inspector>,
    data_version: i64,
    /// Jobs on the channel, oldest first; those that were taken are forgotten lazily.
    on_channel: VecDeque<Arc<LockedJob>>,
    /// Jobs that may run only while nothing else does.
    alone: VecDeque<Arc<LockedJob>>,
    /// The one that runs alone now, and until when it may.
    running_alone: Option<(Arc<LockedJob>, Duration)>,
    looked_at: Duration,
    recovered_at: Duration,
    /// Whether somebody has written since jobs in flight were checked.
    changed_since_check: bool,
    /// Since when nothing is dispatched because a job is to run alone.
    closed_at: Option<Duration>,
    /// Until when that is not tried again.
    closes_after: Duration,
    retention: Option<Retention>,
    retained_at: Duration,
    /// What the last piece of retention did, while it is not known.
    retaining: Option<oneshot::Receiver<Result<(u32, bool), WriteError>>>,
    /// Whether nothing could be written the last time.
    troubled: bool,
    closed: bool,
}

impl Dispatcher {
    /// Puts jobs on `jobs`, whose capacity the meter knows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(
        store: Store,
        committed: Receiver<Committed>,
        jobs: Sender<Arc<LockedJob>>,
        waiters: Arc<Waiters>,
        hooks: Hooks,
        recovery: Option<Recovery>,
        retention: Option<Retention>,
    ) -> Result<Self, windlass_store::StorageError> {
        let reader = store.reader()?;
        let inspector = Recovery::inspector(&store);
        Ok(Self {
            store,
            committed,
            jobs,
            waiters,
            hooks,
            recovery,
            reader,
            inspector,
            data_version: -1,
            on_channel: VecDeque::new(),
            alone: VecDeque::new(),
            running_alone: None,
            looked_at: Duration::ZERO,
            recovered_at: Duration::ZERO,
            changed_since_check: false,
            closed_at: None,
            closes_after: Duration::ZERO,
            retention,
            retained_at: Duration::ZERO,
            retaining: None,
            troubled: false,
            closed: false,
        })
    }

    /// Turns until the writer has ended.
    pub fn run(mut self) {
        while self.turn(LOOK_EVERY) {}
        self.waiters.close();
    }

    /// Handles one commit, or looks around. `false`: the writer has ended.
    pub fn turn(&mut self, rest: Duration) -> bool {
        let received = if rest.is_zero() {
            self.committed.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        } else {
            self.committed.recv_timeout(rest)
        };
        // A clock that stands still must not keep us from looking.
        let mut timed_out = rest.is_zero();
        match received {
            Ok(committed) => self.handle(committed),
            Err(RecvTimeoutError::Timeout) => timed_out = true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        let now = self.store.clock().elapsed();
        if !self.closed && (timed_out || now.saturating_sub(self.looked_at) >= LOOK_EVERY) {
            self.looked_at = now;
            self.look(now);
        }
        true
    }

    fn handle(&mut self, mut committed: Committed) {
        if let Some(error) = &committed.closed {
            if !matches!(error, windlass_store::StorageError::Closed) {
                tracing::error!(%error, "the store is closed");
            }
            self.closed = true;
            self.waiters.close();
        }
        if let Some(error) = &committed.trouble
            && !self.troubled
        {
            self.troubled = true;
            tracing::error!(%error, "nothing can be written for now, so no step counts; it is tried again");
        } else if committed.trouble.is_none() && self.troubled {
            self.troubled = false;
            tracing::warn!("writing works again");
        }
        let any = !committed.dispatch.is_empty();
        for job in committed.dispatch.drain(..) {
            self.put(job);
        }
        if any {
            (self.hooks.arrived)();
        }
        for withdrawn in &committed.withdrawn {
            match *withdrawn {
                Withdrawn::Run(run) => {
                    // What is undone because of it was made ready in the same commit.
                    self.withdraw(|job| {
                        job.row.run == run && job.row.record.flow().undoing.is_none()
                    });
                    (self.hooks.cancelled)(run);
                }
                Withdrawn::Branch(branch, token) => {
                    self.withdraw(|job| job.row.id == branch && job.row.token <= token);
                    (self.hooks.withdrawn)(branch, token);
                }
            }
        }
        for ended in &committed.ended {
            self.waiters.tell(ended.run, &ended.outcome);
        }
        committed.tell();
    }

    fn put(&mut self, job: Arc<LockedJob>) {
        if job.is_alone() {
            // While it waits it takes nobody's place on the channel.
            self.store.meter().give_back(1);
            self.alone.push_back(job);
            return;
        }
        self.send(job);
    }

    fn send(&mut self, job: Arc<LockedJob>) {
        job.ticket.queued_at(self.store.clock().elapsed());
        match self.jobs.try_send(Arc::clone(&job)) {
            Ok(()) => {
                while self
                    .on_channel
                    .front()
                    .is_some_and(|job| !job.ticket.is_queued())
                {
                    self.on_channel.pop_front();
                }
                self.on_channel.push_back(job);
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.store.meter().give_back(1);
                if job.ticket.withdraw() {
                    self.submit(Change::Unlock(vec![job.row.key()]));
                }
            }
        }
    }

    fn submit(&self, change: Change) {
        if self.store.submit(change).is_err() {
            tracing::debug!("the store is closed");
        }
    }

    fn look(&mut self, now: Duration) {
        self.take_back(now);
        self.run_alone(now);
        if let Ok(version) = self.reader.data_version()
            && version != self.data_version
        {
            self.data_version = version;
            self.notice_others();
        }
        if self.store.meter().should_refill() {
            self.store.nudge();
        }
        self.retain(now);
        if now.saturating_sub(self.recovered_at) >= RECOVER_EVERY {
            self.recovered_at = now;
            if self.changed_since_check {
                self.changed_since_check = false;
                self.check_in_flight();
            }
            if let Some(recovery) = &mut self.recovery {
                recovery.look_and_free();
            }
        }
    }

    /// Deletes what has been kept long enough: a piece every few seconds, and piece after piece while
    /// there is more to delete, or a busy engine would fill the disk.
    fn retain(&mut self, now: Duration) {
        let Some(Retention { keep }) = self.retention else {
            return;
        };
        let answer = self.retaining.as_mut().map(oneshot::Receiver::try_recv);
        let has_more = match answer {
            Some(Err(oneshot::error::TryRecvError::Empty)) => return,
            Some(Ok(Ok((_, is_all)))) => !is_all,
            // What could not be written is tried again when it is time.
            Some(Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed)) | None => false,
        };
        self.retaining = None;
        if !has_more && now.saturating_sub(self.retained_at) < RETAIN_EVERY {
            return;
        }
        self.retained_at = now;
        let ended_before = self.store.clock().now().before(keep);
        let (reply, answer) = oneshot::channel();
        self.retaining = Some(answer);
        self.submit(Change::Retain {
            ended_before,
            reply,
        });
    }

    /// Tells steps whose jobs were cancelled or freed from outside: their outcomes would be refused.
    fn check_in_flight(&mut self) {
        for job in (self.hooks.in_flight)() {
            let taken = self
                .reader
                .branch(job.row.id)
                .is_ok_and(|row| row.is_none_or(|row| row.key() != job.row.key()));
            if taken && !job.ticket.is_over() {
                (self.hooks.withdrawn)(job.row.id, job.row.token);
            }
        }
    }

    /// Somebody, perhaps we, has written.
    fn notice_others(&mut self) {
        if matches!(self.store.kind(), StoreKind::Memory { .. }) {
            return;
        }
        self.store.nudge();
        self.changed_since_check = true;
        if !self.waiters.is_empty()
            && let Some(inspector) = &mut self.inspector
        {
            self.waiters.look(inspector);
        }
    }

    /// Jobs that lay on the channel too long go back: the prediction that they would be taken soon
    /// was wrong.
    fn take_back(&mut self, now: Duration) {
        let mut back = Vec::new();
        while let Some(job) = self.on_channel.front() {
            if job.ticket.is_queued() && job.ticket.waited(now) < ON_CHANNEL_MAX {
                break;
            }
            if job.ticket.withdraw() {
                back.push(job.row.key());
            }
            self.on_channel.pop_front();
        }
        if !back.is_empty() {
            self.store.meter().stalled(ON_CHANNEL_MAX);
            self.submit(Change::Unlock(back));
        }
    }

    /// Takes back jobs that have not begun, and will not.
    fn withdraw(&mut self, is_withdrawn: impl Fn(&LockedJob) -> bool) {
        let mut returned = Vec::new();
        let mut stays = |job: &Arc<LockedJob>| {
            let stays = !is_withdrawn(job) || !job.ticket.withdraw();
            if !stays && job.row.parent.is_some() {
                returned.push(Change::Returned(job.row.run, job.row.key()));
            }
            stays
        };
        self.on_channel.retain(&mut stays);
        self.alone.retain(&mut stays);
        for change in returned {
            self.submit(change);
        }
    }

    /// A job that ran during two crashes in a row runs while nothing else does, so that a third one
    /// blames the right one. For a moment nothing is dispatched, until all else is done; where a long
    /// step keeps that from happening, work goes on and it is tried again later. A long step does not
    /// stay alone for ever either.
    fn run_alone(&mut self, now: Duration) {
        if let Some((job, until)) = &self.running_alone
            && !job.ticket.is_over()
        {
            if now >= *until {
                self.running_alone = None;
                self.let_all_run(now);
            }
            return;
        }
        self.running_alone = None;
        if self.alone.is_empty()
            || self
                .closed_at
                .is_some_and(|at| now.saturating_sub(at) > ALONE_PATIENCE)
        {
            self.let_all_run(now);
            return;
        }
        let meter = Arc::clone(self.store.meter());
        if self.closed_at.is_none() {
            if now < self.closes_after {
                return;
            }
            self.closed_at = Some(now);
            meter.close(true);
        }
        if meter.outstanding() == 0 && meter.running() == 0 {
            self.closed_at = Some(now);
            if let Some(job) = self.alone.pop_front() {
                meter.take_credit();
                let doublings = job.row.suspect.min(ALONE_DOUBLINGS_MAX);
                self.running_alone = Some((Arc::clone(&job), now + ALONE_MAX * (1 << doublings)));
                self.send(job);
                (self.hooks.arrived)();
            }
        }
    }

    /// Work goes on beside the suspects, for a while at least.
    fn let_all_run(&mut self, now: Duration) {
        if self.closed_at.take().is_some() {
            self.closes_after = now + ALONE_PAUSE;
            self.store.meter().close(false);
            self.store.nudge();
        }
    }
}
