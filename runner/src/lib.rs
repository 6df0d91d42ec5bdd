//! One step at a time, well.
//!
//! A [`Crew`] keeps a number of named threads, each with one message pump: receive a locked job, make
//! the attempt, hand the outcome over, receive again. A panic, a timeout and a cancel are outcomes
//! too. A Runner never waits for the disk and never for room on the channel.
//!
//! ```
//! use windlass_runner::{Handler, Handlers, StepOutput};
//! use windlass_workflow_model::Payload;
//!
//! let handlers = Handlers::new().with(
//!     "greet",
//!     Handler::blocking(|_context, data: &Payload| Ok(StepOutput::data(data.clone()))),
//! );
//! assert!(handlers.get("greet").is_some());
//! ```

#![forbid(unsafe_code)]

mod attempt;
mod context;
mod crew;
mod handler;
mod inputs;
pub mod limits;
mod pump;
mod seat;
mod serving;
mod work;

pub use context::{Cancellation, Context, StepEffectError, StepScheduleError};
pub use crew::{Crew, CrewOptions, CrewReport};
pub use handler::{Handler, Handlers, StepError, StepOutput};
pub use pump::{Pump, PumpTurn, on_runner_thread};
pub use seat::{InFlight, Seats};
pub use serving::{MissingParts, Served, Serving};
