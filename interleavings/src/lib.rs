//! Threads, locks, atomics, channels and time as a model whose order is chosen by seed.
//!
//! For tests only. Under `--cfg windlass_shuttle` the store has this crate in the place of its module
//! `sync`, so that the same writer, dispatcher and Runners run on threads of
//! [shuttle](https://docs.rs/shuttle): one at a time, and at each lock, atomic, channel and answer the
//! seed says who goes on. [`explore`] does that for many seeds, and names the one that failed.
//!
//! ```
//! use windlass_interleavings::{Arc, Mutex, Plan, explore, spawn};
//!
//! explore(&Plan::new("counting", 100), || {
//!     let count = Arc::new(Mutex::new(0));
//!     let theirs = Arc::clone(&count);
//!     let other = spawn("other".to_owned(), move || *theirs.lock() += 1).unwrap();
//!     *count.lock() += 1;
//!     other.join().unwrap();
//!     assert_eq!(*count.lock(), 2);
//! });
//! ```
//!
//! What it does not show: every atomic is as strong as `SeqCst`, whatever was asked for; a `Notify`
//! and what asynchronous steps do are not modelled; and an order is one of those that seeds choose,
//! not each that there is.

#![forbid(unsafe_code)]

mod channel;
mod explore;
mod locks;
mod monitor;
pub mod oneshot;
mod order;
mod threads;
mod time;

pub use std::sync::Arc;
pub use std::sync::atomic::Ordering;

pub use channel::{
    Receiver, RecvTimeoutError, SendError, Sender, TryRecvError, TrySendError, bounded, unbounded,
};
pub use explore::{Plan, explore};
pub use locks::{Mutex, MutexGuard, RwLock};
pub use shuttle::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64};
pub use shuttle::thread_local;
pub use threads::{JoinHandle, block_on, block_on_for, pause, refuse_threads, spawn};
pub use time::{elapsed, is_patient};
pub use tokio::sync::Notify;
