//! What Scheduler, Runners and writer must know of each other at once: counts, no data.
//!
//! Owns the credits of the channel (how much the writer may lock for it) and the ticket of each job
//! on it. A wrong prediction here costs time, never work: the outbox is the only source.

use std::time::Duration;

use crate::limits::CHANNEL_BYTES_MAX;
use crate::sync::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// How far ahead the channel is filled: what Runners take within this time, at their measured rate.
const HORIZON: Duration = Duration::from_millis(200);

/// Attempts shorter than this, in nanoseconds, end before a commit does.
const QUICK_NS: u64 = 500_000;

/// Shared counts of one engine.
#[derive(Debug, Default)]
pub struct Meter {
    capacity: AtomicU64,
    seats: AtomicU64,
    /// Jobs locked for the channel and not yet taken from it.
    outstanding: AtomicU64,
    running: AtomicU64,
    /// Mean duration of an attempt in nanoseconds, smoothed; 0 while unknown.
    service_ns: AtomicU64,
    /// Mean size of a job's data in bytes, smoothed.
    job_bytes: AtomicU64,
    /// First jobs that have started, but whose first checkpoint is not applied yet.
    started_unrecorded: AtomicU64,
    rows_written: AtomicU64,
    transactions: AtomicU64,
    producers_wait: AtomicBool,
    /// Whether jobs of ours may wait in the outbox.
    backlog: AtomicBool,
    /// Set while a job must run alone: nothing else is dispatched.
    closed: AtomicBool,
    /// Set when the engine stops: nothing is dispatched any more.
    shut: AtomicBool,
}

impl Meter {
    /// Sets the channel's capacity, in jobs.
    pub fn set_capacity(&self, capacity: usize) {
        self.capacity.store(capacity as u64, Ordering::Relaxed);
    }

    /// Sets how many jobs the Runners can have in flight together.
    pub fn set_seats(&self, seats: usize) {
        self.seats.store(seats as u64, Ordering::Relaxed);
    }

    /// Stops dispatching for good, because the engine stops.
    pub fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    /// Stops or resumes dispatching, for a job that must run alone.
    pub fn close(&self, closed: bool) {
        self.closed.store(closed, Ordering::SeqCst);
    }

    /// Whether dispatching is stopped.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// How many jobs may be on the channel now: what the Runners will take within 200 ms at their
    /// measured rate (no hoarding), at most the capacity, at most about [`CHANNEL_BYTES_MAX`] of data,
    /// and at least one for each free seat.
    fn target(&self) -> u64 {
        let seats = self.seats.load(Ordering::Relaxed);
        if seats == 0 || self.closed.load(Ordering::SeqCst) || self.shut.load(Ordering::SeqCst) {
            return 0;
        }
        let horizon = u64::try_from(HORIZON.as_nanos()).unwrap_or(u64::MAX);
        let predicted = match self.service_ns.load(Ordering::Relaxed) {
            0 => 0,
            service_ns => (horizon / service_ns).saturating_mul(seats),
        };
        let free = seats.saturating_sub(self.running.load(Ordering::SeqCst));
        let fits = CHANNEL_BYTES_MAX / self.job_bytes.load(Ordering::Relaxed).max(1);
        predicted
            .min(fits)
            .max(free)
            .min(self.capacity.load(Ordering::Relaxed).max(1))
    }

    /// A job with so much data was locked for the channel.
    pub(crate) fn dispatched(&self, bytes: usize) {
        let mean = self.job_bytes.load(Ordering::Relaxed);
        let smoothed = mean - mean / 8 + bytes as u64 / 8;
        self.job_bytes.store(smoothed, Ordering::Relaxed);
    }

    /// Room for one more job on the channel; taken at once if there is.
    pub(crate) fn reserve(&self) -> bool {
        let target = self.target();
        let more = |now| (now < target).then_some(now + 1);
        self.outstanding
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, more)
            .is_ok()
    }

    /// How many jobs to lock in one go: none until half the room is free, then all of it.
    pub(crate) fn refill(&self) -> u64 {
        let (target, outstanding) = (self.target(), self.outstanding.load(Ordering::SeqCst));
        if outstanding > target / 2 {
            0
        } else {
            target - outstanding
        }
    }

    /// Takes the place of one job on the channel, whether or not there is room.
    pub fn take_credit(&self) {
        self.outstanding.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the outbox should be asked for work.
    pub fn wants_jobs(&self) -> bool {
        self.refill() > 0
    }

    /// Gives the credits of jobs back that will not be taken from the channel.
    pub fn give_back(&self, jobs: u64) {
        self.outstanding.fetch_sub(jobs, Ordering::SeqCst);
    }

    /// A Runner took a job off the channel.
    pub fn taken(&self) {
        self.give_back(1);
    }

    /// Jobs on the channel, or locked for it.
    pub fn outstanding(&self) -> u64 {
        self.outstanding.load(Ordering::SeqCst)
    }

    /// An attempt begins; `unstarted` if it is the first of a run from outside.
    pub fn started(&self, unstarted: bool) {
        self.running.fetch_add(1, Ordering::SeqCst);
        if unstarted {
            self.started_unrecorded.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// An attempt ended after `took`.
    pub fn ended(&self, took: Duration) {
        self.running.fetch_sub(1, Ordering::SeqCst);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let mean = self.service_ns.load(Ordering::Relaxed);
        // A lost update between Runners costs one sample of an estimate.
        let smoothed = if mean == 0 {
            took
        } else {
            mean - mean / 8 + took / 8
        };
        self.service_ns.store(smoothed.max(1), Ordering::Relaxed);
    }

    /// Jobs lay on the channel for `waited`: the prediction was wrong, attempts take longer.
    pub fn stalled(&self, waited: Duration) {
        let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.service_ns.fetch_max(waited, Ordering::Relaxed);
    }

    /// Attempts going on.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::SeqCst)
    }

    /// Transactions that wrote something, and the rows that they wrote, since the store was opened.
    pub fn written(&self) -> (u64, u64) {
        (
            self.transactions.load(Ordering::SeqCst),
            self.rows_written.load(Ordering::SeqCst),
        )
    }

    pub(crate) fn note_commit(&self, rows: u64) {
        self.transactions.fetch_add(1, Ordering::SeqCst);
        self.rows_written.fetch_add(rows, Ordering::SeqCst);
    }

    pub(crate) fn started_unrecorded(&self) -> u64 {
        self.started_unrecorded.load(Ordering::SeqCst)
    }

    pub(crate) fn record_started(&self, runs: u64) {
        let less = |now: u64| Some(now.saturating_sub(runs));
        let _ = self
            .started_unrecorded
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    }

    /// Whether a producer waits for the next start.
    pub fn producers_wait(&self) -> bool {
        self.producers_wait.load(Ordering::SeqCst)
    }

    pub(crate) fn set_backlog(&self, waits: bool) {
        self.backlog.store(waits, Ordering::SeqCst);
    }

    /// Whether the writer should be asked for more: there is room, and something may wait.
    pub fn should_refill(&self) -> bool {
        self.backlog.load(Ordering::SeqCst) && self.wants_jobs()
    }

    /// Whether attempts are so short that the checkpoint of one comes before a commit for its sake
    /// alone would: it brings the next job along.
    pub fn is_quick(&self) -> bool {
        (1..QUICK_NS).contains(&self.service_ns.load(Ordering::Relaxed))
    }

    pub(crate) fn set_producers_wait(&self, wait: bool) {
        self.producers_wait.store(wait, Ordering::SeqCst);
    }

    /// How long until a run may start, judged by the mean attempt; for `retry after`.
    pub(crate) fn next_start(&self) -> Duration {
        let service_ns = self.service_ns.load(Ordering::Relaxed);
        let seats = self.seats.load(Ordering::Relaxed).max(1);
        Duration::from_nanos(service_ns / seats)
            .clamp(Duration::from_millis(1), Duration::from_mins(1))
    }
}

/// Who may act on a job that is on the channel: whoever changes its ticket first.
#[derive(Debug, Default)]
pub struct Ticket {
    stage: AtomicU8,
    /// When it came on the channel, in milliseconds of the engine's clock.
    since_ms: AtomicU32,
}

const QUEUED: u8 = 0;
const STARTED: u8 = 1;
const WITHDRAWN: u8 = 2;
const CONCLUDED: u8 = 3;

impl Ticket {
    fn change(&self, from: u8, to: u8) -> bool {
        self.stage
            .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// The Runner starts the job. `false`: it was withdrawn, drop it.
    pub fn start(&self) -> bool {
        self.change(QUEUED, STARTED)
    }

    /// The job is taken off the channel again. `false`: it has started.
    pub fn withdraw(&self) -> bool {
        self.change(QUEUED, WITHDRAWN)
    }

    /// The attempt has its outcome. `false`: somebody else gave it one (a timeout).
    pub fn conclude(&self) -> bool {
        self.change(STARTED, CONCLUDED)
    }

    /// Whether it still waits on the channel.
    pub fn is_queued(&self) -> bool {
        self.stage.load(Ordering::SeqCst) == QUEUED
    }

    /// Whether its attempt is over or it never began.
    pub fn is_over(&self) -> bool {
        matches!(self.stage.load(Ordering::SeqCst), WITHDRAWN | CONCLUDED)
    }

    /// Notes when it came on the channel.
    pub fn queued_at(&self, elapsed: Duration) {
        let ms = u32::try_from(elapsed.as_millis() & u128::from(u32::MAX)).unwrap_or(0);
        self.since_ms.store(ms, Ordering::Relaxed);
    }

    /// How long it has been on the channel.
    pub fn waited(&self, elapsed: Duration) -> Duration {
        let now = u32::try_from(elapsed.as_millis() & u128::from(u32::MAX)).unwrap_or(0);
        Duration::from_millis(u64::from(
            now.wrapping_sub(self.since_ms.load(Ordering::Relaxed)),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channel_is_filled_for_what_the_runners_take_and_no_more() {
        let meter = Meter::default();
        meter.set_capacity(1_000);
        meter.set_seats(2);
        assert_eq!(
            meter.refill(),
            2,
            "nothing is known yet: one for each free seat"
        );
        meter.started(false);
        assert_eq!(meter.refill(), 1, "a busy seat may stay busy");
        meter.ended(Duration::from_millis(10));
        assert_eq!(meter.refill(), 40, "two seats of 10 ms each within 200 ms");
        meter.started(false);
        (0..200).for_each(|_| {
            meter.started(false);
            meter.ended(Duration::from_micros(1));
        });
        assert_eq!(meter.refill(), 1_000, "never more than the capacity");
        meter.stalled(Duration::from_millis(500));
        meter.started(false);
        assert_eq!(meter.refill(), 0, "what lay too long is not locked again");
        (0..200).for_each(|_| {
            meter.started(false);
            meter.ended(Duration::from_micros(1));
        });
        (0..600).for_each(|_| assert!(meter.reserve()));
        assert_eq!(meter.refill(), 0, "not one at a time");
        meter.give_back(600);
        (0..50).for_each(|_| meter.dispatched(4 << 20));
        assert!(
            (2..=20).contains(&meter.refill()),
            "large jobs: few of them"
        );
    }

    #[test]
    fn a_ticket_goes_to_whoever_comes_first() {
        let ticket = Ticket::default();
        assert!(ticket.withdraw());
        assert!(!ticket.start());
        let ticket = Ticket::default();
        assert!(ticket.start());
        assert!(!ticket.withdraw());
        assert!(ticket.conclude());
        assert!(!ticket.conclude());
    }
}
