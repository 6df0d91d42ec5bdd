//! Every promise that must survive a crash.
//!
//! Owns the outbox, the locks with their fencing tokens, joins, timers, stored events, history and
//! the owner files. All writes are [`Change`]s that one writer thread applies in group commits;
//! reads go over [`Reader`]s of their own. Nothing above this crate knows SQL.
//!
//! ```
//! use windlass_store::{Options, Store, SystemClock};
//! use std::sync::Arc;
//!
//! let (store, _writer, _committed) = Store::memory(Options::default(), Arc::new(SystemClock::new()));
//! assert!(store.reader().unwrap().runs(None, 10).unwrap().is_empty());
//! ```

#![forbid(unsafe_code)]

mod apply;
mod backend;
mod change;
mod clock;
mod codec;
#[cfg(test)]
mod conformance;
mod error;
mod group_commit;
pub mod inspect;
pub mod limits;
mod memory;
mod meter;
mod owner;
mod paths;
mod record;
mod sqlite;
mod store;
#[cfg(not(windlass_shuttle))]
pub mod sync;

#[cfg(windlass_shuttle)]
pub use windlass_interleavings as sync;

pub use apply::outcome_of;
pub use backend::{MapRow, MapStanding, Reader, ResultRow, RunFilter, SqlEffect, UndoRow};
pub use change::{
    Admit, Admitted, Aside, AttemptRecord, CalledRun, Change, Checkpoint, Committed, Dispatch,
    Ended, MapChange, MapOutcome, PassedWait, Recovered, Reply, RunOutcome, SignalOutcome, Then,
    Withdrawn,
};
pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{AdmitError, BackupError, OpenError, StorageError, Unknown, WriteError};
pub use group_commit::{CommitHook, CommitPoint, Turn, Writer};
pub use meter::{Meter, Ticket};
pub use owner::{DeadOwner, OwnerFiles, OwnerLife, Proof, Running};
pub use record::{
    BranchRow, Caller, ChildRange, Extras, Flow, HistoryDetail, HistoryRow, JobKey, LockedJob,
    Membership, OwnerRow, Priority, Record, Role, RunAttributes, State, Undoing, Wait, Woken,
};
pub use sqlite::{
    Examination, Finding, SQLITE_VERSION, Severity, TemporaryCopy, backup, examine, restore,
};
pub use store::{Admission, Durability, History, Options, Retention, ShedPolicy, Store, StoreKind};
