//! When a job runs, and in which order.
//!
//! The [`Scheduler`] is the door for work from outside; the [`Dispatcher`] is the only one that fills
//! the channel, and never blocks. Between them stands the store: a job comes to the channel through
//! its outbox and no other way. Runners are not known here, only the end of the channel that leads to
//! them.

#![forbid(unsafe_code)]

mod catalog;
mod dispatcher;
pub mod limits;
mod recovery;
mod request;
mod scheduler;
mod waiters;

pub use catalog::Catalog;
pub use dispatcher::{Dispatcher, Hooks};
pub use recovery::Recovery;
pub use request::{Event, Request};
pub use scheduler::{RunHandle, ScheduleError, Scheduler, WaitError};
pub use waiters::Waiters;
