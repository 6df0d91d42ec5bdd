//! Channels with the manners of crossbeam's: many senders, many receivers, perhaps a bound.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use crossbeam_channel::{RecvTimeoutError, SendError, TryRecvError, TrySendError};

use crate::locks::MutexGuard;
use crate::monitor::Monitor;
use crate::time::elapsed;

struct State<T> {
    queue: VecDeque<T>,
    capacity: usize,
    senders: usize,
    receivers: usize,
}

struct Channel<T: 'static> {
    state: Arc<Monitor<State<T>>>,
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
        }
    }
}

/// A channel that holds at most `capacity`, at least one.
///
/// # Panics
/// With a capacity of 0, which is not modelled.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a meeting without a place is not modelled");
    let state = Monitor::new(State {
        queue: VecDeque::new(),
        capacity,
        senders: 1,
        receivers: 1,
    });
    let channel = Channel { state };
    (Sender(channel.clone()), Receiver(channel))
}

/// A channel without a bound.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

/// The side that sends.
pub struct Sender<T: 'static>(Channel<T>);

/// The side that receives.
pub struct Receiver<T: 'static>(Channel<T>);

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock()
    }

    fn put(&self, mut state: MutexGuard<'_, State<T>>, value: T) {
        state.queue.push_back(value);
        let bound = state.capacity;
        assert!(
            state.queue.len() <= bound,
            "a channel holds at most {bound}"
        );
        self.state.wake_all();
    }

    fn take(&self, state: &mut MutexGuard<'_, State<T>>) -> Option<T> {
        let value = state.queue.pop_front()?;
        self.state.wake_all();
        Some(value)
    }
}

impl<T> Sender<T> {
    /// Sends, and waits for room if there is none.
    ///
    /// # Errors
    /// The value, when nobody receives any more.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        loop {
            if state.receivers == 0 {
                return Err(SendError(value));
            }
            if state.queue.len() < state.capacity {
                self.0.put(state, value);
                return Ok(());
            }
            state = self.0.state.wait(state, None);
        }
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// The value, when there is none or nobody receives any more.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let state = self.0.lock();
        if state.receivers == 0 {
            return Err(TrySendError::Disconnected(value));
        }
        if state.queue.len() >= state.capacity {
            return Err(TrySendError::Full(value));
        }
        self.0.put(state, value);
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Receives if there is something.
    ///
    /// # Errors
    /// When there is nothing, now or for ever.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut state = self.0.lock();
        match self.0.take(&mut state) {
            Some(value) => Ok(value),
            None if state.senders == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Receives, and waits for at most `limit`.
    ///
    /// # Errors
    /// When there was nothing by then, or will never be.
    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        let until = elapsed().saturating_add(limit);
        let mut state = self.0.lock();
        loop {
            if let Some(value) = self.0.take(&mut state) {
                return Ok(value);
            }
            if state.senders == 0 {
                return Err(RecvTimeoutError::Disconnected);
            }
            if until <= elapsed() {
                return Err(RecvTimeoutError::Timeout);
            }
            state = self.0.state.wait(state, Some(until));
        }
    }

    /// Receives what is there.
    pub fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.lock().queue.is_empty()
    }

    /// How much is there.
    pub fn len(&self) -> usize {
        self.0.lock().queue.len()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.lock().receivers += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.lock().senders -= 1;
        self.0.state.wake_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.receivers -= 1;
        // As there is nobody to take it, what is there goes: it may hold somebody's answer.
        let left = if state.receivers == 0 {
            std::mem::take(&mut state.queue)
        } else {
            VecDeque::new()
        };
        drop(state);
        self.0.state.wake_all();
        drop(left);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}
