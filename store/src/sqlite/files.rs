//! Whether the files that a connection writes in are still those at their paths.
//!
//! Whoever closes the database as the last one deletes the log; who has lost its locks counts as gone
//! while it goes on writing (<https://sqlite.org/howtocorrupt.html>, section 2.2). Looked up without
//! opening anything: closing a descriptor would drop the locks that this process holds.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::owner::log_inode;

/// The database and its log.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    database: Option<u64>,
    log: Option<u64>,
}

impl Files {
    /// The files of a connection that was just opened, and has its log.
    pub(super) fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            database: inode(path),
            log: log_inode(path),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether both are there, and the same.
    pub(super) fn are_there(&self) -> bool {
        let is_log = self.log.is_none() || log_inode(&self.path) == self.log;
        is_log && inode(&self.path) == self.database
    }

    /// Whether the database is, and nobody else has made a log beside it: what stands in ours can still
    /// be written to the file.
    pub(super) fn can_be_saved(&self) -> bool {
        let log = log_inode(&self.path);
        inode(&self.path) == self.database && (log.is_none() || log == self.log)
    }
}

fn inode(path: &Path) -> Option<u64> {
    Some(std::fs::metadata(path).ok()?.ino())
}
