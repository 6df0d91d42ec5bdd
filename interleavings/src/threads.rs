//! Threads, and what they wait for: the end of another, a time, a future.

use std::cell::RefCell;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use shuttle::sync::atomic::AtomicBool;

use crate::monitor::Monitor;
use crate::time::elapsed;

/// A thread that can be waited for.
#[derive(Debug)]
pub struct JoinHandle<T> {
    thread: shuttle::thread::JoinHandle<T>,
    is_finished: Arc<AtomicBool>,
}

impl<T> JoinHandle<T> {
    /// Whether its body has ended.
    pub fn is_finished(&self) -> bool {
        self.is_finished.load(Ordering::SeqCst)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Never: a panic on a thread ends the execution.
    pub fn join(self) -> std::thread::Result<T> {
        self.thread.join()
    }
}

thread_local! {
    static REFUSED: RefCell<(String, u32)> = RefCell::default();
}

/// The next `times` threads whose names begin like that are not to be had.
pub fn refuse_threads(begins: &str, times: u32) {
    REFUSED.set((begins.to_owned(), times));
}

/// Starts a named thread.
///
/// # Errors
/// As often as [`refuse_threads`] says.
pub fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    let is_refused = REFUSED.with_borrow_mut(|(begins, left)| {
        let is_refused = *left > 0 && name.starts_with(begins.as_str());
        *left -= u32::from(is_refused);
        is_refused
    });
    if is_refused {
        return Err(ErrorKind::WouldBlock.into());
    }
    let is_finished = Arc::new(AtomicBool::new(false));
    let finished = Arc::clone(&is_finished);
    let body = move || {
        let result = body();
        finished.store(true, Ordering::SeqCst);
        result
    };
    let thread = shuttle::thread::Builder::new().name(name).spawn(body)?;
    Ok(JoinHandle {
        thread,
        is_finished,
    })
}

/// Lets others go on for at least `duration`.
pub fn pause(duration: Duration) {
    let until = elapsed() + duration;
    let alarm = Monitor::new(());
    let mut guard = alarm.lock();
    while elapsed() < until {
        guard = alarm.wait(guard, Some(until));
    }
}

/// Wakes the thread that drives a future.
struct Woken(Arc<Monitor<bool>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        *self.0.lock() = true;
        self.0.wake_all();
    }
}

/// Like [`block_on`], for at most `limit`; `None` if it is not ready by then.
pub fn block_on_for<F: Future>(future: F, limit: Duration) -> Option<F::Output> {
    drive(future, Some(elapsed() + limit))
}

/// Waits for a future on this thread.
///
/// # Panics
/// Never: without a limit it is ready some day, or the execution has failed.
pub fn block_on<F: Future>(future: F) -> F::Output {
    drive(future, None).expect("without a limit it is ready some day")
}

fn drive<F: Future>(future: F, until: Option<Duration>) -> Option<F::Output> {
    let mut future = pin!(future);
    let woken = Monitor::new(false);
    let waker = Waker::from(Arc::new(Woken(Arc::clone(&woken))));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        let mut is_woken = woken.lock();
        while !*is_woken {
            if until.is_some_and(|until| until <= elapsed()) {
                return None;
            }
            is_woken = woken.wait(is_woken, until);
        }
        *is_woken = false;
    }
}
