//! The protocol of locks, fencing tokens, dead owners, checkpoints, joins and withdrawals, as a model
//! small enough that every state of it can be looked at.
//!
//! Owns the rules of `store/src/apply/` without their tables: [`World`] is what is written down and
//! what is under way, [`Protocol`] says what can happen next, in every order, and what must hold in
//! every state. A [`Flaw`] leaves one rule out, to see that the search would notice. Never used by the
//! engine, and knows none of its crates: it is compared with them by reading.
//!
//! ```
//! use stateright::{Checker, Model};
//! use windlass_protocol::Protocol;
//!
//! let search = Protocol::tiny().checker().spawn_bfs().join();
//! search.assert_properties();
//! assert!(search.unique_state_count() > 100);
//! ```

#![forbid(unsafe_code)]

mod flaw;
mod must_hold;
mod protocol;
mod world;
mod writer;

pub use flaw::Flaw;
pub use protocol::{Protocol, Step};
pub use world::{Attempt, Branch, BranchState, Count, Mutex, OwnerLife, World};
