//! Workload C: how long an idle engine takes from schedule to the start of the handler.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::Measured;

/// Samples before the first that counts: connections open, statements are prepared.
const WARM_UP: u64 = 20;

/// How long a job may take to start before the peer is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// Held by the handler, which calls [`Start::now`] first.
#[derive(Clone, Debug)]
pub struct Start(Sender<Instant>);

impl Start {
    /// The handler has begun.
    pub fn now(&self) {
        // Fails only when the measurement is over.
        let _ = self.0.send(Instant::now());
    }
}

/// The starts of handlers, in order.
#[derive(Debug)]
pub struct Starts(Receiver<Instant>);

impl Starts {
    /// The end for the handler, and the end for [`idle_latencies`].
    pub fn new() -> (Start, Self) {
        let (sender, receiver) = channel();
        (Start(sender), Self(receiver))
    }
}

/// Schedules one job after another, each a few milliseconds after the last one was done.
///
/// `schedule` returns once the peer has acknowledged the job, `settle` once nothing of it is left to
/// do. The clock runs from the call of `schedule` to the first line of the handler. The pause
/// varies so that it does not fall into step with a peer's polling.
///
/// # Panics
/// If a handler does not start within a minute.
pub fn idle_latencies(
    samples: u64,
    starts: &Starts,
    mut schedule: impl FnMut(),
    mut settle: impl FnMut(),
) -> Measured {
    let begin = Instant::now();
    let mut latencies = Vec::new();
    for sample in 0..samples + WARM_UP {
        std::thread::sleep(Duration::from_micros(3_000 + sample * 617 % 2_000));
        let scheduled = Instant::now();
        schedule();
        let started = starts.0.recv_timeout(PATIENCE);
        let started = started.expect("the handler should start within a minute");
        settle();
        if sample >= WARM_UP {
            latencies.push(started.saturating_duration_since(scheduled));
        }
    }
    Measured::latencies(latencies, begin.elapsed())
}
