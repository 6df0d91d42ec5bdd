//! The backend on SQLite: one connection that writes, and read-only ones beside it.

mod connection;
mod reader;
mod rows;
mod schema;
mod tables;

pub(crate) use connection::{check, open};
pub(crate) use reader::SqliteReader;
pub(crate) use tables::{SqliteTables, Yielding};

/// The version of SQLite that is linked in, such as `3.53.2`.
pub const SQLITE_VERSION: &std::ffi::CStr = rusqlite::ffi::SQLITE_VERSION;
