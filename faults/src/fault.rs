//! Which call fails, and how.

/// A kind of call that SQLite makes to its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// Opens or makes a file.
    Open,
    /// Removes a file.
    Delete,
    /// Asks whether a file is there.
    Access,
    /// Makes a path absolute.
    FullPathname,
    /// Closes a file. A failing one has closed it all the same, as `close(2)` does.
    Close,
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Cuts a file off.
    Truncate,
    /// Syncs a file.
    Sync,
    /// Asks how long a file is.
    FileSize,
    /// Takes a lock of the rollback journal's kind; in WAL mode when a connection begins.
    Lock,
    /// Gives such a lock back. A failing one has done so all the same.
    Unlock,
    /// Everything else, among it each PRAGMA.
    FileControl,
    /// Maps a part of the index of the log, which is shared memory.
    ShmMap,
    /// Takes a lock in that index: each transaction does. Giving it back does not fail.
    ShmLock,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Open,
        Self::Delete,
        Self::Access,
        Self::FullPathname,
        Self::Close,
        Self::Read,
        Self::Write,
        Self::Truncate,
        Self::Sync,
        Self::FileSize,
        Self::Lock,
        Self::Unlock,
        Self::FileControl,
        Self::ShmMap,
        Self::ShmLock,
    ];

    /// What such a call can meet on a real disk.
    pub fn faults(self) -> &'static [Fault] {
        match self {
            Self::Write => &[Fault::Eio, Fault::Enospc, Fault::ShortWrite],
            Self::Sync => &[Fault::FailedSync],
            Self::Open | Self::ShmMap => &[Fault::Eio, Fault::Enospc],
            Self::Delete
            | Self::Access
            | Self::FullPathname
            | Self::Close
            | Self::Read
            | Self::Truncate
            | Self::FileSize
            | Self::Lock
            | Self::Unlock
            | Self::FileControl
            | Self::ShmLock => &[Fault::Eio],
        }
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device reports an error; nothing was done.
    Eio,
    /// There is no room; nothing was done.
    Enospc,
    /// There was room for one half.
    ShortWrite,
    /// Nothing was synced. A later sync of the same file succeeds and does not sync it either: the
    /// kernel has dropped what it could not write, and reports it once.
    FailedSync,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The n-th call and no other.
    Once,
    /// The n-th and all later calls of its kind, until the disk [is healed](crate::Disk::heal).
    ForEver,
}
