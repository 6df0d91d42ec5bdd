//! The Runners of one engine: how many there are, that each lives, and how they stop.

use std::time::Duration;

use windlass_store::sync::{
    Arc, AtomicBool, AtomicU64, JoinHandle, Mutex, Notify, Ordering, Receiver, pause, spawn,
};
use windlass_store::{Change, LockedJob, Store};

use crate::attempt::give_back;
use crate::limits::{ABANDONED_MAX, IN_FLIGHT_MAX, RUNNERS_MAX};
use crate::pump::{Pump, Shared, gone_silent, killed_its_runner, overdue};
use crate::seat::Seats;
use crate::serving::Serving;

/// How often the supervisor looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The settings of a crew.
#[derive(Clone, Copy, Debug)]
pub struct CrewOptions {
    /// Runner threads.
    pub runners: usize,
    /// Steps that one Runner has in flight.
    pub in_flight: usize,
}

/// How a crew stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CrewReport {
    /// Jobs that were given back because their steps were not done in time.
    pub given_back: usize,
    /// Threads that are still in a step that did not stop.
    pub abandoned: usize,
}

/// The Runners of one engine.
#[derive(Debug)]
pub struct Crew {
    shared: Shared,
    in_flight: usize,
    members: Mutex<Vec<Option<Member>>>,
    wanted: AtomicU64,
    abandoned: Mutex<Vec<JoinHandle<()>>>,
    bound_reported: AtomicBool,
    /// The last Runner that was to begin got no thread, and that was reported.
    short_of_threads: AtomicBool,
}

#[derive(Debug)]
struct Member {
    leave: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Crew {
    /// A crew without members, which takes its jobs from `jobs`.
    pub fn new(
        store: Store,
        serving: Arc<Serving>,
        jobs: Receiver<Arc<LockedJob>>,
        in_flight: usize,
    ) -> Self {
        let shared = Shared {
            store,
            serving,
            jobs,
            seats: Arc::default(),
            arrivals: Arc::new(Notify::new()),
            stop: Arc::default(),
        };
        Self {
            shared,
            in_flight: in_flight.clamp(1, IN_FLIGHT_MAX),
            members: Mutex::default(),
            wanted: AtomicU64::new(0),
            abandoned: Mutex::default(),
            bound_reported: AtomicBool::new(false),
            short_of_threads: AtomicBool::new(false),
        }
    }

    /// The jobs in flight.
    pub fn seats(&self) -> &Arc<Seats> {
        &self.shared.seats
    }

    /// Told whenever jobs were put on the channel.
    pub fn arrivals(&self) -> &Arc<Notify> {
        &self.shared.arrivals
    }

    /// A pump that is not on a thread of its own, to be stepped. It takes the seats of Runner
    /// `number`.
    pub fn pump(&self, number: usize) -> Pump {
        Pump::new(self.shared.clone(), Arc::default(), self.seats_of(number)).stepped()
    }

    /// Makes it so many Runners, at most 1,024. Those that are too many leave after their step.
    pub fn set_runners(&self, runners: usize) {
        let runners = runners.min(RUNNERS_MAX);
        self.wanted.store(runners as u64, Ordering::SeqCst);
        self.shared
            .store
            .meter()
            .set_seats(runners * self.in_flight);
        let mut members = self.members.lock();
        for (number, member) in members.iter().enumerate() {
            if let Some(member) = member {
                // One that was to leave and has not yet stays after all; one that has gone in the
                // meantime is replaced by the supervisor.
                member.leave.store(number >= runners, Ordering::SeqCst);
            }
        }
        while members.len() < runners {
            members.push(None);
        }
        for (number, member) in members.iter_mut().enumerate().take(runners) {
            if member.is_none() {
                *member = self.engage(number);
            }
        }
        drop(members);
        self.shared.store.nudge();
    }

    /// How many Runners there should be.
    pub fn runners(&self) -> usize {
        usize::try_from(self.wanted.load(Ordering::SeqCst)).unwrap_or(usize::MAX)
    }

    fn engage(&self, number: usize) -> Option<Member> {
        let leave = Arc::new(AtomicBool::new(false));
        let pump = Pump::new(
            self.shared.clone(),
            Arc::clone(&leave),
            self.seats_of(number),
        );
        match spawn(format!("windlass-runner-{number}"), move || pump.run()) {
            Ok(thread) => {
                self.short_of_threads.store(false, Ordering::SeqCst);
                Some(Member { leave, thread })
            }
            Err(error) => {
                if !self.short_of_threads.swap(true, Ordering::SeqCst) {
                    tracing::error!(runner = number, %error, "no thread for a runner: it is tried again");
                }
                None
            }
        }
    }

    /// Looks after the Runners until the crew stops; runs on a thread of its own.
    pub fn supervise(&self) {
        while !self.shared.stop.load(Ordering::SeqCst) {
            self.look();
            pause(LOOK_EVERY);
        }
    }

    /// Ends attempts whose time is over and replaces Runners that died or do not come back.
    pub fn look(&self) {
        let clock = self.shared.store.clock();
        let now = clock.elapsed();
        for in_flight in self.shared.seats.in_flight() {
            let overdue_now = in_flight.deadline.is_some_and(|deadline| deadline <= now);
            if in_flight.blocking && in_flight.is_silent(now) && in_flight.job.ticket.conclude() {
                in_flight.cancellation.cancel();
                tracing::warn!(run = %in_flight.job.row.run, "a step gives no sign of life");
                let checkpoint = gone_silent(&self.shared.serving, in_flight, clock.now());
                let _ = self
                    .shared
                    .store
                    .submit(Change::Checkpoint(Box::new(checkpoint)));
                continue;
            }
            if in_flight.blocking && overdue_now && in_flight.job.ticket.conclude() {
                in_flight.cancellation.cancel();
                tracing::warn!(run = %in_flight.job.row.run, "a step took longer than its timeout");
                let checkpoint = overdue(&self.shared.serving, in_flight, clock.now());
                let _ = self
                    .shared
                    .store
                    .submit(Change::Checkpoint(Box::new(checkpoint)));
            }
        }
        let wanted = self.runners();
        let mut members = self.members.lock();
        for (number, member) in members.iter_mut().enumerate().take(wanted) {
            if self.shared.stop.load(Ordering::SeqCst) {
                return;
            }
            let Some(current) = member else {
                // There was no thread for it.
                *member = self.engage(number);
                continue;
            };
            if current.thread.is_finished() && !current.leave.load(Ordering::SeqCst) {
                tracing::error!(runner = number, "a runner died and is replaced");
                self.fail_seats(number);
                *member = self.engage(number);
            } else if self.is_stuck(number, now)
                && self.may_abandon()
                && self.let_go(number, now, &current.leave)
            {
                tracing::warn!(
                    runner = number,
                    "a step ignores that its time is over: its runner is replaced"
                );
                self.renew_seats(number);
                self.shared.store.nudge();
                if let (Some(old), new) = (member.take(), self.engage(number)) {
                    self.abandoned.lock().push(old.thread);
                    *member = new;
                }
            }
        }
    }

    fn seats_of(&self, number: usize) -> std::ops::Range<usize> {
        number * self.in_flight..(number + 1) * self.in_flight
    }

    /// Whether a blocking step has been over for longer than the grace and does not return.
    fn is_stuck(&self, number: usize, now: Duration) -> bool {
        let seats = self.seats_of(number);
        seats
            .map(|seat| self.shared.seats.seat(seat))
            .any(|seat| seat.lock().as_ref().is_some_and(|job| job.is_stuck(now)))
    }

    /// Takes the stuck step off its seat and tells its Runner to leave. `false`: it has returned.
    ///
    /// Both under the lock of the seat, which the Runner takes when its step returns: it either sees
    /// that it has to leave before it begins another job, or that job is not taken for the stuck one.
    fn let_go(&self, number: usize, now: Duration, leave: &AtomicBool) -> bool {
        let stuck = self.seats_of(number).find_map(|seat| {
            let seat = self.shared.seats.seat(seat);
            let mut on_seat = seat.lock();
            let job = on_seat.take_if(|job| job.is_stuck(now))?;
            leave.store(true, Ordering::SeqCst);
            Some(job)
        });
        let Some(job) = stuck else { return false };
        let took = now.saturating_sub(job.started);
        self.shared.store.meter().ended(took);
        true
    }

    fn may_abandon(&self) -> bool {
        let mut abandoned = self.abandoned.lock();
        abandoned.retain(|thread| !thread.is_finished());
        if abandoned.len() < ABANDONED_MAX {
            self.bound_reported.store(false, Ordering::SeqCst);
            return true;
        }
        if !self.bound_reported.swap(true, Ordering::SeqCst) {
            tracing::error!(
                bound = ABANDONED_MAX,
                "so many threads are in steps that never returned that no more are replaced"
            );
        }
        false
    }

    /// How many threads are in steps that ignore that their time is over.
    pub fn abandoned(&self) -> usize {
        let mut abandoned = self.abandoned.lock();
        abandoned.retain(|thread| !thread.is_finished());
        abandoned.len()
    }

    /// The thread may never come back: its seats are free again without it.
    fn renew_seats(&self, number: usize) {
        let now = self.shared.store.clock().elapsed();
        for seat in self.seats_of(number) {
            self.free_seat(seat, now);
            self.shared.seats.renew(seat);
        }
    }

    /// A thread died of a step: that attempt has failed, as with any other panic.
    fn fail_seats(&self, number: usize) {
        let clock = self.shared.store.clock();
        for seat in self.seats_of(number) {
            let Some(job) = self.shared.seats.seat(seat).lock().take() else {
                continue;
            };
            self.shared
                .store
                .meter()
                .ended(clock.elapsed().saturating_sub(job.started));
            if job.job.ticket.conclude() {
                let checkpoint = if job.blocking {
                    killed_its_runner(&self.shared.serving, job, clock.now())
                } else {
                    give_back(&job.job)
                };
                let _ = self
                    .shared
                    .store
                    .submit(Change::Checkpoint(Box::new(checkpoint)));
            }
        }
    }

    /// Gives the job on a seat back, unless it has its outcome already.
    fn free_seat(&self, seat: usize, now: Duration) {
        let Some(job) = self.shared.seats.seat(seat).lock().take() else {
            return;
        };
        self.shared
            .store
            .meter()
            .ended(now.saturating_sub(job.started));
        if job.job.ticket.conclude() {
            let checkpoint = give_back(&job.job);
            let _ = self
                .shared
                .store
                .submit(Change::Checkpoint(Box::new(checkpoint)));
        }
    }

    /// Takes no more jobs, waits up to `deadline` for those in flight, and gives the rest back.
    pub fn stop(&self, deadline: Duration) -> CrewReport {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.arrivals.notify_waiters();
        let clock = self.shared.store.clock();
        let until = clock.elapsed() + deadline;
        while !self.shared.seats.in_flight().is_empty() && clock.elapsed() < until {
            pause(Duration::from_millis(1));
        }
        let mut report = CrewReport::default();
        for job in self.shared.seats.in_flight() {
            // Given back first, told to stop then: what it says of being stopped is no outcome.
            if job.job.ticket.conclude() {
                report.given_back += 1;
                let checkpoint = give_back(&job.job);
                let _ = self
                    .shared
                    .store
                    .submit(Change::Checkpoint(Box::new(checkpoint)));
            }
            job.cancellation.cancel();
        }
        for member in self.members.lock().drain(..).flatten() {
            let waited = clock.elapsed() + Duration::from_millis(200);
            while !member.thread.is_finished() && clock.elapsed() < waited {
                pause(Duration::from_millis(1));
            }
            if member.thread.is_finished() {
                // A Runner that panicked has been reported when it was found.
                let _ = member.thread.join();
            } else {
                report.abandoned += 1;
            }
        }
        report.abandoned += self.abandoned();
        report
    }
}
