//! The backend on SQLite: one connection that writes, and read-only ones beside it.

mod backend;
mod backup;
mod bulk;
mod connection;
mod doctor;
mod files;
mod joins;
mod lock_window;
mod log;
mod reader;
mod rows;
mod schema;
mod statements;
mod tables;
mod transaction;
mod user_effects;

pub(crate) use backend::{SqliteBackend, Yielding};
pub use backup::{TemporaryCopy, backup, restore};
pub(crate) use connection::{check, open};
pub use doctor::{Examination, Finding, Severity, examine};
pub(crate) use reader::SqliteReader;

/// The version of SQLite that is linked in, such as `3.53.2`.
pub const SQLITE_VERSION: &std::ffi::CStr = rusqlite::ffi::SQLITE_VERSION;
