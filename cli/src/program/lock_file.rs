//! The lock of one job's program: a file that is locked while anything of the program lives.
//!
//! The lock belongs to the open file, which guard and program share, so the kernel gives it back
//! only when the last of them is gone, in whatever way they went. Only its holder removes the file.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, FdFlags, fcntl_setfd};

/// A lock that is held.
#[derive(Debug)]
pub(super) struct JobLock {
    file: File,
    path: PathBuf,
}

impl JobLock {
    /// Takes the lock; waits as long as another process has it.
    pub(super) fn take(path: &Path) -> io::Result<Self> {
        Self::take_how(path, FlockOperation::LockExclusive)
    }

    fn take_how(path: &Path, how: FlockOperation) -> io::Result<Self> {
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .mode(0o600)
                .open(path)?;
            match flock(&file, how) {
                Err(Errno::INTR) => continue,
                taken => taken?,
            }
            // The holder before us may have removed the file while we waited for it.
            let ours = file.metadata()?;
            if std::fs::metadata(path)
                .is_ok_and(|now| now.ino() == ours.ino() && now.dev() == ours.dev())
            {
                let path = path.to_path_buf();
                return Ok(Self { file, path });
            }
        }
    }

    /// From now on every program that this process starts holds the lock too.
    pub(super) fn share_with_children(&self) -> io::Result<()> {
        Ok(fcntl_setfd(&self.file, FdFlags::empty())?)
    }

    /// Removes the file and gives the lock back.
    pub(super) fn give_back(self) {
        // A file that stays behind is taken again by the next attempt, or swept.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The file name for a job: its name, with everything unusual written as hexadecimal.
pub(super) fn name_of(job: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let letters = job.bytes().map(|byte| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("_{byte:02x}")
        }
    });
    letters.chain(std::iter::once(".lock".to_owned())).collect()
}

/// Makes the folder, for us alone.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes the files that nobody holds: their guards were killed.
pub(super) fn sweep(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
            && let Ok(lock) = JobLock::take_how(&path, FlockOperation::NonBlockingLockExclusive)
        {
            lock.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_leaves_held_locks_and_removes_others() {
        let folder = tempfile::tempdir().unwrap();
        let (held, left) = (folder.path().join("a.lock"), folder.path().join("b.lock"));
        let lock = JobLock::take(&held).unwrap();
        std::fs::write(&left, "").unwrap();
        sweep(folder.path());
        assert_eq!((held.exists(), left.exists()), (true, false));
        lock.give_back();
        assert!(!held.exists());
    }

    #[test]
    fn whoever_waited_for_a_removed_file_takes_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.lock");
        let first = JobLock::take(&path).unwrap();
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || JobLock::take(&path).map(|lock| (path.exists(), lock))
        });
        first.give_back();
        let (exists, second) = waiting.join().unwrap().unwrap();
        assert!(exists);
        second.give_back();
    }

    #[test]
    fn names_are_plain_and_distinct() {
        assert_eq!(name_of("1-ab-2"), "1-ab-2.lock");
        assert_eq!(name_of("../x"), "_2e_2e_2fx.lock");
        assert_ne!(name_of("a_b"), name_of("a b"));
    }
}
