//! A file system for SQLite that fails when it is told to, and that knows what a power loss leaves.
//!
//! For tests only. [`Disk::watch`] stands between SQLite and the disk for one database: the n-th
//! read, write, sync and so on [fails](Disk::fail), once or from then on, and a
//! [recording](Disk::record) of all writes since the last sync of each file gives every
//! [`Image`] of the files that the machine could find when it has power again. What is tested needs
//! no change: the shim is SQLite's default file system in this process, and passes on every file
//! that nobody watches.
//!
//! ```
//! use windlass_faults::{Call, Disk, Fault, Times};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! let disk = Disk::watch(&folder.path().join("a.db"));
//! let db = rusqlite::Connection::open(folder.path().join("a.db")).unwrap();
//! disk.fail(Call::Sync, 1, Fault::FailedSync, Times::Once);
//! assert!(db.execute_batch("CREATE TABLE t (a)").is_err());
//! assert_eq!(disk.struck(), 1);
//! assert!(db.execute_batch("CREATE TABLE t (a)").is_ok());
//! ```
//!
//! [`locking()`] reads in a system-call trace whether a process let go of its own locks on a database.
//!
//! This is the one crate with `unsafe` code, all of it in one module: SQLite calls a file system
//! through C.

#![deny(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]

mod disk;
mod fault;
mod image;
mod recording;
mod trace;
#[expect(unsafe_code, reason = "SQLite calls its file system through C")]
mod vfs;

pub use disk::Disk;
pub use fault::{Call, Fault, Times};
pub use image::{Image, Sampling};
pub use recording::Recording;
pub use trace::{Locking, locking, strace};
