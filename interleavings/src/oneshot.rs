//! One answer for one who asked, with the manners of tokio's.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::locks::Mutex;

/// Why there is no answer.
pub mod error {
    pub use tokio::sync::oneshot::error::TryRecvError;

    /// Nobody will ever answer.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RecvError;
}

#[derive(Debug)]
struct State<T> {
    value: Option<T>,
    /// Whether nobody can send any more.
    is_told: bool,
    /// Whether nobody waits any more.
    is_closed: bool,
    waiting: Option<Waker>,
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// Who answers.
#[derive(Debug)]
pub struct Sender<T>(Shared<T>);

/// Who asked.
pub struct Receiver<T>(Shared<T>);

/// A place for one answer.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(State {
        value: None,
        is_told: false,
        is_closed: false,
        waiting: None,
    }));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Sender<T> {
    /// Answers.
    ///
    /// # Errors
    /// The answer, when nobody waits for it any more.
    pub fn send(self, value: T) -> Result<(), T> {
        let mut state = self.0.lock();
        if state.is_closed {
            return Err(value);
        }
        state.value = Some(value);
        drop(state);
        Ok(()) // Dropping ourselves wakes whoever waits.
    }

    /// Whether nobody waits any more.
    pub fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_told = true;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl<T> Receiver<T> {
    /// The answer, if it is there.
    ///
    /// # Errors
    /// When it is not, or there will be none.
    pub fn try_recv(&mut self) -> Result<T, error::TryRecvError> {
        let mut state = self.0.lock();
        match state.value.take() {
            Some(value) => Ok(value),
            None if state.is_told => Err(error::TryRecvError::Closed),
            None => Err(error::TryRecvError::Empty),
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, error::RecvError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.lock();
        match state.value.take() {
            Some(value) => Poll::Ready(Ok(value)),
            None if state.is_told => Poll::Ready(Err(error::RecvError)),
            None => {
                state.waiting = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        let left = (state.value.take(), state.waiting.take());
        drop(state);
        drop(left);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}
