//! Everything that was written to the files of a database, in order.

use std::fmt;

/// A name that a file of a database can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    Log,
    Journal,
    Database,
}

impl Name {
    /// The longest suffix first.
    pub(crate) const ALL: [Self; 3] = [Self::Journal, Self::Log, Self::Database];

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Log => "-wal",
            Self::Journal => "-journal",
            Self::Database => "",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Log => "log",
            Self::Journal => "journal",
            Self::Database => "database",
        })
    }
}

/// A file. One that is deleted and made again is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u32);

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A file that was there before, with what is in it; all of it is on the disk.
    Found {
        name: Name,
        file: FileId,
        bytes: Vec<u8>,
    },
    Make {
        name: Name,
        file: FileId,
    },
    Delete {
        name: Name,
        /// And its folder was synced.
        synced: bool,
    },
    Write {
        file: FileId,
        at: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        file: FileId,
        length: u64,
    },
    Sync(FileId),
    FailedSync(FileId),
    Mark(u64),
}

/// What was written between [`Disk::record`](crate::Disk::record) and
/// [`Disk::recorded`](crate::Disk::recorded).
#[derive(Clone, Debug)]
pub struct Recording(pub(crate) Vec<Event>);

impl Recording {
    /// How many writes and syncs there are in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many writes came after a sync had failed.
    pub fn written_after_failed_sync(&self) -> usize {
        let mut events = self.0.iter();
        let failed = |event: &Event| matches!(event, Event::FailedSync(_));
        let writes = |event: &&Event| matches!(event, Event::Write { .. } | Event::Truncate { .. });
        match events.position(failed) {
            Some(_) => events.filter(writes).count(),
            None => 0,
        }
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// One line for each event, without what was written: for whoever asks how an image came about.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, event) in self.0.iter().enumerate() {
            write!(f, "{number}: ")?;
            match event {
                Event::Found { name, file, bytes } => {
                    writeln!(f, "found {name} as {file:?}, {} bytes", bytes.len())
                }
                Event::Make { name, file } => writeln!(f, "make {name} as {file:?}"),
                Event::Delete { name, synced } => writeln!(f, "delete {name}, synced: {synced}"),
                Event::Write { file, at, bytes } => {
                    writeln!(f, "write {file:?} at {at}, {} bytes", bytes.len())
                }
                Event::Truncate { file, length } => writeln!(f, "truncate {file:?} to {length}"),
                Event::Sync(file) => writeln!(f, "sync {file:?}"),
                Event::FailedSync(file) => writeln!(f, "fail to sync {file:?}"),
                Event::Mark(so_far) => writeln!(f, "mark {so_far}"),
            }?;
        }
        Ok(())
    }
}
