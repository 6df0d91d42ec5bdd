//! Crashes your workflows at every commit, and simulates them by seed.
//!
//! For users of Windlass who want to know that their own steps bear what the engine bears. It stands
//! above the engine and uses nothing but its public builder. A [`Case`] is a workflow with all that
//! surrounds it; it is played undisturbed once, and then with everything that can come in between.
//!
//! ```
//! use windlass::Workflow;
//! use windlass_testkit::{Recorder, crash_everywhere};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mails = Recorder::new();
//! let sent = mails.clone();
//! let order = Workflow::<u32>::build("order", "1", |flow| {
//!     flow.step("price", |_, amount| {
//!         *amount *= 3;
//!         Ok(())
//!     })
//!     .step("mail", move |context, amount| {
//!         // In earnest: a call that carries the key.
//!         sent.note(context, format!("you owe {amount}"));
//!         Ok(())
//!     })
//!     .idempotent(|amount| format!("mail-{amount}"))
//! })?;
//! let report = crash_everywhere(&order, &7, |case| case.recorder(&mails));
//! assert_eq!(report.crashes, 2 * report.commits);
//! # Ok(())
//! # }
//! ```
//!
//! Three ways to play a case:
//!
//! | Way | Who dies, and when |
//! |---|---|
//! | [`Case::crash_everywhere`] | the engine, in this process, before and after each commit |
//! | [`Case::kill_everywhere`] | a process of its own, by SIGKILL, before and after each commit |
//! | [`Case::simulate`] | the engine, at moments drawn from a seed, while clocks jump and steps hang |
//!
//! A failure prints where it died, what the run did, the seed, and a command with
//! `WINDLASS_TESTKIT_REPLAY` that plays exactly that again. [`snapshot()`] gives a run as text without
//! ids and times, [`RunHistory`] what it did attempt by attempt, with assertions; [`assert_history!`]
//! compares it with a short pattern, such as `["price" succeeded, .., "mail" failed with "no-such-address"]`.
//! [`Simulation`] is the seeded order alone, for tests that drive the engine themselves.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        reason = "a test says what is wrong by stopping there"
    )
)]

mod attempts;
mod blank;
mod case;
mod clock;
mod crashes;
mod effects;
mod evidence;
mod failure;
mod history;
mod kill;
mod outside;
mod pattern;
mod process;
mod recorder;
mod seeds;
mod simulation;
mod snapshot;
mod trouble;

pub use case::{Case, crash_everywhere, kill_everywhere, simulate};
pub use clock::TestClock;
pub use crashes::CrashReport;
pub use evidence::End;
pub use failure::{Failure, REPLAY};
pub use history::{Entry, RunHistory};
pub use kill::CrashPoint;
pub use outside::{Act, Look};
pub use pattern::{How, Pattern};
pub use recorder::{Note, Recorder};
pub use seeds::{Simulated, seeds_from_environment};
pub use simulation::{Setting, Simulation};
pub use snapshot::snapshot;
pub use trouble::Trouble;
