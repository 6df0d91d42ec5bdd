//! All synchronisation of Windlass: the one place to exchange it for a model of itself.
//!
//! Locks, atomics, channels, replies and threads are taken from here. Under `--cfg windlass_shuttle`,
//! which only tests set, the crate `interleavings/` stands in this module's place
//! (ADRs/0019-orders-of-threads-are-played-by-seed.md). Asynchronous steps run on tokio's own
//! single-threaded runtime, and what is computed once sits in a `OnceLock`.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::clock::{Clock as _, SystemClock};

pub use std::sync::Arc;
pub use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};
pub use std::thread::JoinHandle;
pub use std::thread_local;

pub use crossbeam_channel::{
    Receiver, RecvTimeoutError, Sender, TryRecvError, TrySendError, bounded, unbounded,
};
pub use parking_lot::{Mutex, MutexGuard, RwLock};
pub use tokio::sync::{Notify, oneshot};

/// Starts a named thread.
///
/// # Errors
/// What the operating system says when it has no thread to give.
pub fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name).spawn(body)
}

/// Gives up the processor for at least `duration`.
#[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Like [`block_on`], for at most about `limit`; `None` if it is not ready by then.
pub fn block_on_for<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let clock = SystemClock::new();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let left = limit
            .checked_sub(clock.elapsed())
            .filter(|left| !left.is_zero())?;
        std::thread::park_timeout(left);
    }
}

/// Waits for a future on this thread, which must not be one that drives other futures.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
