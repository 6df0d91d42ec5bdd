//! What goes wrong in a simulation: crashes, jumps of the wall clock, slow and stuck steps.

use std::time::Duration;

/// How much of what goes wrong. All of it is drawn from the seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub(crate) crashes: u32,
    pub(crate) clock_jumps: u32,
    pub(crate) slow_steps: u32,
    pub(crate) slow_max: Duration,
    pub(crate) stuck_steps: u32,
}

impl Trouble {
    /// Nothing goes wrong; only the order of things is drawn.
    pub fn none() -> Self {
        Self {
            crashes: 0,
            clock_jumps: 0,
            slow_steps: 0,
            slow_max: Duration::from_secs(10),
            stuck_steps: 0,
        }
    }

    /// Up to 6 crashes, 3 jumps of the clock, 4 slow steps and 2 that are stuck.
    pub fn all() -> Self {
        Self::none()
            .crashes(6)
            .clock_jumps(3)
            .slow_steps(4, Duration::from_secs(10))
            .stuck_steps(2)
    }

    /// The engine dies so often at most: between two turns, before and after a commit, and before and
    /// after a step does its work. Not in memory, where nothing is left.
    #[must_use]
    pub fn crashes(mut self, crashes: u32) -> Self {
        self.crashes = crashes;
        self
    }

    /// The wall clock is set so often at most, to anywhere up to ten years before or after where it
    /// began.
    #[must_use]
    pub fn clock_jumps(mut self, jumps: u32) -> Self {
        self.clock_jumps = jumps;
        self
    }

    /// So many attempts at most take up to `max` of the engine's time more. One with a timeout may
    /// fail of that.
    #[must_use]
    pub fn slow_steps(mut self, steps: u32, max: Duration) -> Self {
        (self.slow_steps, self.slow_max) = (steps, max);
        self
    }

    /// So many attempts at most do not go on until their time is over, somebody tells them to stop (half
    /// of them do not listen), or the engine dies, which it does when nothing else is left to do.
    #[must_use]
    pub fn stuck_steps(mut self, steps: u32) -> Self {
        self.stuck_steps = steps;
        self
    }
}
