//! The message pump of one Runner: receive, attempt, hand over, receive.
//!
//! It handles one job at a time, or, with `in_flight` above 1, as many asynchronous steps at once as
//! it has seats. Threads for Runners, async steps on them: ADRs/0006-threads-for-runners.md.

use std::cell::Cell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::{AbortHandle, Id, JoinSet};
use tracing::Instrument as _;
use windlass_store::sync::{
    Arc, AtomicBool, Mutex, Notify, Ordering, Receiver, RecvTimeoutError, pause, thread_local,
};
use windlass_store::{Change, Checkpoint, LockedJob, OwnerLife, Running, Store, Then};
use windlass_workflow_model::{Effect, Handover, Payload, StepStatus, Timestamp, codes};

use crate::attempt::{Outcome, Task, conclude, panicked, prepare, silent, time_left, timed_out};
use crate::context::Context;
use crate::handler::{Handler, StepError, StepResult};
use crate::inputs::LazyReader;
use crate::seat::{Coming, InFlight, Seats};
use crate::serving::{Served, Serving};
use crate::work::Work;

/// How long to wait when what a branch waited for cannot be read.
const UNREADABLE_PAUSE: Duration = Duration::from_millis(100);

thread_local! {
    static ON_RUNNER: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is a Runner: a wait for other work would be a wait for itself.
pub fn on_runner_thread() -> bool {
    ON_RUNNER.with(Cell::get)
}

/// What all Runners of an engine share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) serving: Arc<Serving>,
    pub(crate) jobs: Receiver<Arc<LockedJob>>,
    pub(crate) seats: Arc<Seats>,
    /// Told when jobs come on the channel, for Runners that wait for steps at the same time.
    pub(crate) arrivals: Arc<Notify>,
    /// Set when no more jobs are to be taken.
    pub(crate) stop: Arc<AtomicBool>,
}

/// What one turn of a pump did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PumpTurn {
    /// It took a job or finished one.
    Worked,
    /// There was nothing to do.
    Idle,
    /// It was told to stop, and nothing is in flight.
    Stopped,
}

/// One Runner.
#[derive(Debug)]
pub struct Pump {
    shared: Shared,
    /// Told to stop alone, when the crew shrinks.
    leave: Arc<AtomicBool>,
    /// Numbers and places of the jobs it can have in flight.
    seats: Vec<(usize, Arc<Mutex<Option<InFlight>>>)>,
    /// Places of the seats that are free, the last one next.
    free: Vec<usize>,
    /// Where it says what it does, for those who look after a crash.
    life: Option<OwnerLife>,
    reader: LazyReader,
    runtime: Option<Runtime>,
    tasks: JoinSet<StepResult>,
    flying: HashMap<Id, Flight>,
    idle_noted: bool,
    /// Whether it has no thread: then nothing of it may depend on the machine's clock.
    is_stepped: bool,
}

type Seat = Arc<Mutex<Option<InFlight>>>;

/// An asynchronous step on its way.
#[derive(Debug)]
struct Flight {
    seat: usize,
    context: Context,
    abort: AbortHandle,
}

impl Pump {
    pub(crate) fn new(
        shared: Shared,
        leave: Arc<AtomicBool>,
        numbers: std::ops::Range<usize>,
    ) -> Self {
        let seats: Vec<_> = numbers
            .map(|number| (number, shared.seats.seat(number)))
            .collect();
        let reader = LazyReader::new(shared.store.clone());
        Self {
            leave,
            free: (0..seats.len()).rev().collect(),
            life: shared.store.life(),
            seats,
            reader,
            runtime: None,
            tasks: JoinSet::new(),
            flying: HashMap::new(),
            idle_noted: true,
            is_stepped: false,
            shared,
        }
    }

    /// The same, turned by hand: asynchronous steps are over when the engine's clock says so, and a
    /// turn without rest never waits.
    pub(crate) fn stepped(mut self) -> Self {
        self.is_stepped = true;
        self
    }

    /// Turns until it is told to stop.
    pub(crate) fn run(mut self) {
        ON_RUNNER.with(|on| on.set(true));
        while self.turn(Duration::from_millis(50)) != PumpTurn::Stopped {}
    }

    fn stops(&self) -> bool {
        self.leave.load(Ordering::SeqCst) || self.shared.stop.load(Ordering::SeqCst)
    }

    /// Takes a job if there is a seat, or waits up to `rest` for a step in flight.
    pub fn turn(&mut self, rest: Duration) -> PumpTurn {
        if self.stops() && self.flying.is_empty() {
            return PumpTurn::Stopped;
        }
        if self.stops() {
            self.drop_concluded();
        }
        if self.is_stepped && !self.flying.is_empty() && self.end_overdue() {
            return PumpTurn::Worked;
        }
        let full = self.flying.len() >= self.seats.len() || self.stops();
        if !full {
            match self.receive(rest) {
                Some(job) => {
                    self.start(&job);
                    return PumpTurn::Worked;
                }
                None if self.flying.is_empty() => return PumpTurn::Idle,
                None => {}
            }
        }
        if self.await_steps(rest, full) {
            PumpTurn::Worked
        } else {
            PumpTurn::Idle
        }
    }

    /// Lets go of steps whose jobs were given back because the engine stops.
    fn drop_concluded(&mut self) {
        let (seats, free) = (&self.seats, &mut self.free);
        self.flying.retain(|_, flight| {
            let mut seat = seats[flight.seat].1.lock();
            let over = seat
                .as_ref()
                .is_none_or(|in_flight| in_flight.job.ticket.is_over());
            if over {
                flight.abort.abort();
                *seat = None;
                free.push(flight.seat);
            }
            !over
        });
    }

    /// Ends an asynchronous step whose time is over on the engine's clock, or that has been silent for
    /// too long. `false`: there is none.
    fn end_overdue(&mut self) -> bool {
        let now = self.shared.store.clock().elapsed();
        let ended = |flight: &Flight| {
            let seat = self.seats[flight.seat].1.lock();
            let in_flight = seat.as_ref()?;
            let late = in_flight.deadline.filter(|deadline| *deadline <= now);
            if let Some(deadline) = late {
                return Some(timed_out(deadline.saturating_sub(in_flight.started)));
            }
            let limit = in_flight.pulse.as_ref().map(|(limit, _)| *limit)?;
            in_flight.is_silent(now).then(|| silent(limit))
        };
        let overdue = self
            .flying
            .iter()
            .filter_map(|(id, flight)| Some((flight.seat, *id, ended(flight)?)))
            .min_by_key(|(seat, ..)| *seat);
        let Some((_, id, fault)) = overdue else {
            return false;
        };
        if let Some(flight) = self.flying.remove(&id) {
            flight.abort.abort();
            let seat = Arc::clone(&self.seats[flight.seat].1);
            self.free.push(flight.seat);
            self.finish(&seat, &flight.context, Err(fault.into()));
        }
        true
    }

    fn receive(&mut self, rest: Duration) -> Option<Arc<LockedJob>> {
        if let Ok(job) = self.shared.jobs.try_recv() {
            return Some(job);
        }
        if !self.flying.is_empty() || rest.is_zero() {
            return None;
        }
        if !self.idle_noted {
            // Nothing runs here: a crash from now on is not this Runner's last job's.
            if let Some(life) = &self.life {
                self.seats.iter().for_each(|(number, _)| life.idle(*number));
            }
            self.idle_noted = true;
        }
        match self.shared.jobs.recv_timeout(rest) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.leave.store(true, Ordering::SeqCst);
                None
            }
        }
    }

    /// Waits for a step in flight, or, if there is a free seat, for a job to arrive.
    fn await_steps(&mut self, rest: Duration, full: bool) -> bool {
        let Some(runtime) = &self.runtime else {
            return false;
        };
        let (tasks, arrivals, jobs) = (&mut self.tasks, &self.shared.arrivals, &self.shared.jobs);
        let done = runtime.block_on(async {
            let arrival = arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if !full && !jobs.is_empty() {
                return None;
            }
            tokio::select! {
                biased;
                done = tasks.join_next_with_id() => done,
                () = arrival, if !full => None,
                () = give_way(rest) => None,
            }
        });
        let Some(done) = done else { return false };
        let (id, result) = match done {
            Ok((id, result)) => (id, result),
            Err(error) => (
                error.id(),
                match error.try_into_panic() {
                    Ok(panic) => Err(panicked(panic.as_ref()).into()),
                    Err(_) => return true,
                },
            ),
        };
        if let Some(flight) = self.flying.remove(&id) {
            let seat = Arc::clone(&self.seats[flight.seat].1);
            self.free.push(flight.seat);
            self.finish(&seat, &flight.context, result);
        }
        true
    }

    /// Takes one locked job to its outcome and hands that over, or sets its step flying.
    fn start(&mut self, job: &Arc<LockedJob>) {
        let meter = Arc::clone(self.shared.store.meter());
        meter.taken();
        if meter.should_refill() && !meter.is_quick() {
            self.shared.store.nudge();
        }
        let coming = self.shared.seats.expect(job);
        if !job.ticket.start() {
            return;
        }
        meter.started(job.row.is_unstarted());
        if job.row.is_unstarted() && meter.producers_wait() {
            self.shared.store.nudge();
        }
        let clock = self.shared.store.clock();
        let (began, now) = (clock.elapsed(), clock.now());
        let Some(served) = self.shared.serving.get(job.row.workflow) else {
            tracing::error!(run = %job.row.run, "a job of a workflow that is not served here was locked");
            self.give_back(job, began);
            return;
        };
        let Some(free) = self.free.pop() else {
            tracing::error!(run = %job.row.run, "a job came without a free seat");
            self.give_back(job, began);
            return;
        };
        if let Some(life) = &self.life {
            let running = Running {
                branch: job.row.id,
                token: job.row.token,
                started_at: now,
                step: None,
            };
            life.begin(self.seats[free].0, running);
            self.idle_noted = false;
        }
        let flies = match prepare(&self.shared.serving, &served, job, &mut self.reader, now) {
            Ok(Task::Step(handover, work)) => {
                let task = (handover, work);
                self.begin_step(coming, &served, task, free, (began, now))
            }
            Ok(Task::Done(checkpoint)) => {
                if job.ticket.conclude() {
                    self.submit(Change::Checkpoint(checkpoint));
                }
                meter.ended(self.shared.store.clock().elapsed().saturating_sub(began));
                false
            }
            Err(error) => {
                tracing::error!(run = %job.row.run, %error, "what a branch waited for cannot be read");
                // It will be tried again; not at full speed.
                pause(UNREADABLE_PAUSE);
                self.give_back(job, began);
                false
            }
        };
        if !flies {
            self.free.push(free);
        }
    }

    /// Does a step, or sets it flying: then it is `true`, and its seat stays taken.
    fn begin_step(
        &mut self,
        coming: Coming,
        served: &Arc<Served>,
        (handover, work): (Handover, Work),
        free: usize,
        (began, now): (Duration, Timestamp),
    ) -> bool {
        let job = &Arc::clone(coming.job());
        let handler = match &work {
            Work::Do => served.step(handover.node).map(|(_, handler)| handler),
            Work::Reconcile => served.reconcile(handover.node),
            Work::Undo(_) => served.undo(handover.node),
        };
        let (Some((step, _)), Some(handler)) = (served.step(handover.node), handler) else {
            unreachable!("a served workflow has a handler for each step")
        };
        let is_undo = matches!(work, Work::Undo(_));
        let attempt = if is_undo || handover.activation == job.row.activation {
            job.row.attempt
        } else {
            1
        };
        let cancellation = coming.cancellation();
        let timeout = if is_undo {
            step.timeout_ms.map(Duration::from_millis)
        } else {
            time_left(step, &job.row, now)
        };
        let in_flight = InFlight {
            job: Arc::clone(job),
            cancellation: cancellation.clone(),
            served: Arc::clone(served),
            handover: handover.clone(),
            work,
            pulse: None,
            attempt,
            started_at: now,
            started: began,
            deadline: timeout.map(|timeout| began + timeout),
            blocking: matches!(handler, Handler::Blocking(_)),
        };
        let stored = (job.row.position.node, job.row.activation);
        let went_on = (handover.node, handover.activation) != stored;
        if let (Some(life), true) = (&self.life, went_on) {
            // The branch is stored where it waited or where its map began it; say to which step it
            // went on from there.
            let running = Running {
                branch: job.row.id,
                token: job.row.token,
                started_at: now,
                step: Some((handover.node, handover.activation)),
            };
            life.begin(self.seats[free].0, running);
        }
        let seat: Seat = Arc::clone(&self.seats[free].1);
        let place = (handover.node, handover.activation, attempt);
        let context = Context::new(
            Arc::clone(job),
            Arc::clone(served),
            Arc::clone(&self.shared.serving),
            place,
            cancellation,
            (timeout, now),
        );
        let heartbeat = step.heartbeat_ms.map(Duration::from_millis);
        *seat.lock() = Some(InFlight {
            pulse: heartbeat.map(|limit| (limit, context.clone())),
            ..in_flight
        });
        drop(coming); // It sits, and is told there from now on.
        if let Effect::Idempotent { key: Some(key) } = &step.effect {
            match served.functions().step_key(key, &handover.data) {
                Ok(key) => context.set_key(key),
                Err(fault) => {
                    self.finish(&seat, &context, Err(fault.into()));
                    return false;
                }
            }
        }
        let span = context.span().clone();
        match handler {
            Handler::Blocking(call) => {
                let result = span.in_scope(|| {
                    catch_unwind(AssertUnwindSafe(|| call(&context, &handover.data)))
                        .unwrap_or_else(|panic| Err(panicked(panic.as_ref()).into()))
                });
                self.finish(&seat, &context, result);
                false
            }
            Handler::Future(call) => {
                let (call, data) = (Arc::clone(call), handover.data);
                let limits = if self.is_stepped {
                    (None, None) // See `end_overdue`.
                } else {
                    (timeout, heartbeat)
                };
                self.fly(free, context, limits, data, span, move |context, data| {
                    call(context, data)
                })
            }
        }
    }

    fn fly(
        &mut self,
        free: usize,
        context: Context,
        (timeout, heartbeat): (Option<Duration>, Option<Duration>),
        data: Payload,
        span: tracing::Span,
        call: impl FnOnce(Context, Payload) -> crate::handler::StepFuture + Send + 'static,
    ) -> bool {
        let runtime = match &self.runtime {
            Some(runtime) => runtime,
            None => match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                Ok(runtime) => self.runtime.insert(runtime),
                Err(error) => {
                    let text = format!("no runtime for asynchronous steps: {error}");
                    let seat = Arc::clone(&self.seats[free].1);
                    let fault = windlass_workflow_model::Fault::new("step-failed", text);
                    self.finish(&seat, &context, Err(fault.into()));
                    return false;
                }
            },
        };
        let inner = context.clone();
        let task = async move {
            // The handler's own code runs inside the task, so its panic is the task's.
            let step = watched(call(inner.clone(), data), inner, heartbeat);
            match timeout {
                None => step.await,
                Some(timeout) => match tokio::time::timeout(timeout, step).await {
                    Ok(result) => result,
                    Err(_) => Err(timed_out(timeout).into()),
                },
            }
        };
        let handle = self.tasks.spawn_on(task.instrument(span), runtime.handle());
        self.flying.insert(
            handle.id(),
            Flight {
                seat: free,
                context,
                abort: handle,
            },
        );
        true
    }

    /// Hands the outcome over; does not wait for the disk.
    fn finish(&self, seat: &Seat, context: &Context, result: StepResult) {
        let Some(in_flight) = seat.lock().take() else {
            self.returned(context);
            return;
        };
        let clock = self.shared.store.clock();
        self.shared
            .store
            .meter()
            .ended(clock.elapsed().saturating_sub(in_flight.started));
        if !in_flight.job.ticket.conclude() {
            self.returned(context); // Its time was over, and somebody has said so already.
            return;
        }
        self.submit(Change::Checkpoint(Box::new(outcome(
            &self.shared.serving,
            in_flight,
            context,
            clock.now(),
            result,
        ))));
    }

    /// An attempt is over whose outcome does not count: a mutex may have waited for that.
    fn returned(&self, context: &Context) {
        let row = &context.job().row;
        if row.parent.is_some() {
            self.submit(Change::Returned(row.run, row.key()));
        }
    }

    fn give_back(&self, job: &Arc<LockedJob>, began: Duration) {
        if job.ticket.conclude() {
            self.submit(Change::Checkpoint(Box::new(crate::attempt::give_back(job))));
        }
        let took = self.shared.store.clock().elapsed().saturating_sub(began);
        self.shared.store.meter().ended(took);
    }

    fn submit(&self, change: Change) {
        if self.shared.store.submit(change).is_err() {
            // The store is closed: the job stays locked on disk until the next opening frees it.
            tracing::debug!("an outcome came after the store was closed");
        }
    }
}

/// A step, ended when it gives no sign of life for longer than it may.
async fn watched(
    step: crate::handler::StepFuture,
    context: Context,
    heartbeat: Option<Duration>,
) -> StepResult {
    let Some(limit) = heartbeat else {
        return step.await;
    };
    context.beat();
    tokio::pin!(step);
    loop {
        tokio::select! {
            result = &mut step => return result,
            () = tokio::time::sleep(limit / 4) => {
                if context.silent_for() >= limit {
                    return Err(silent(limit).into());
                }
            }
        }
    }
}

/// Lets the steps in flight go on for `rest`; with none, once around without waiting.
async fn give_way(rest: Duration) {
    if rest.is_zero() {
        // The first time they begin, the second time what they woke is seen.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(rest).await;
    }
}

/// The checkpoint of a step in flight.
fn outcome(
    serving: &Serving,
    in_flight: InFlight,
    context: &Context,
    ended_at: Timestamp,
    result: StepResult,
) -> Checkpoint {
    let effects = context.take_effects();
    let before = (!effects.is_empty()).then(|| Then::Retry {
        node: in_flight.handover.node,
        activation: in_flight.handover.activation,
        data: in_flight.handover.data.clone(),
        due: ended_at,
        counts: false,
    });
    let mut checkpoint = concluded(serving, in_flight, context.details(), ended_at, result);
    if let Some(attempt) = &mut checkpoint.attempt {
        attempt.input = context.take_input();
        if attempt.status == StepStatus::Failed && attempt.output.is_none() {
            attempt.output = context.take_output();
        }
    }
    let attempt = checkpoint.attempt.as_ref();
    if attempt.is_some_and(|attempt| attempt.status == StepStatus::Succeeded) {
        checkpoint.schedules = context.take_schedules();
        if before.is_some() {
            let aside = checkpoint.aside.get_or_insert_default();
            (aside.effects, aside.if_refused) = (effects, before);
        }
    }
    checkpoint
}

/// The checkpoint of a step that is taken from its thread because its time is over.
pub(crate) fn overdue(serving: &Serving, in_flight: InFlight, now: Timestamp) -> Checkpoint {
    let deadline = in_flight.deadline.unwrap_or_default();
    let timeout = deadline.saturating_sub(in_flight.started);
    cut_off(serving, in_flight, now, timed_out(timeout).into())
}

/// The checkpoint of a step that is taken from its thread because it gives no sign of life.
pub(crate) fn gone_silent(serving: &Serving, in_flight: InFlight, now: Timestamp) -> Checkpoint {
    let limit = in_flight
        .pulse
        .as_ref()
        .map_or(Duration::ZERO, |pulse| pulse.0);
    cut_off(serving, in_flight, now, silent(limit).into())
}

fn cut_off(serving: &Serving, in_flight: InFlight, now: Timestamp, error: StepError) -> Checkpoint {
    let nested = in_flight.job.row.parent.is_some();
    let details = in_flight
        .pulse
        .as_ref()
        .and_then(|(_, context)| context.details());
    let mut checkpoint = concluded(serving, in_flight, details, now, Err(error));
    if nested {
        // Its thread is in it still; should it be in a mutex, that waits for it.
        checkpoint.aside.get_or_insert_default().still_running = true;
    }
    checkpoint
}

/// The checkpoint of a step whose panic took its thread along.
pub(crate) fn killed_its_runner(
    serving: &Serving,
    in_flight: InFlight,
    now: Timestamp,
) -> Checkpoint {
    let text = "the step panicked, and what it panicked with panicked when it was dropped";
    concluded(
        serving,
        in_flight,
        None,
        now,
        Err(StepError::new(codes::PANICKED, text)),
    )
}

fn concluded(
    serving: &Serving,
    in_flight: InFlight,
    details: Option<Payload>,
    ended_at: Timestamp,
    result: StepResult,
) -> Checkpoint {
    conclude(Outcome {
        serving,
        served: &in_flight.served,
        job: &in_flight.job,
        handover: in_flight.handover,
        work: in_flight.work,
        details,
        attempt: in_flight.attempt,
        started_at: in_flight.started_at,
        ended_at,
        result,
    })
}
