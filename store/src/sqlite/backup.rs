//! Copies of a database: made while others work on it, and put in the place of another.
//!
//! A copy says that the life it was taken from is over (I2): the first engine that opens it begins a new
//! epoch, in which nothing of the old one can commit and its locks are free.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::connection::{check, create_private, failed};
use crate::error::{BackupError, OpenError};
use crate::owner::{is_in_use, lock_opening};
use crate::paths::beside;

/// Copies the database at `from`, which others may be writing, to the new file `to`: as it is after
/// some commit, verified, synced, and readable by its owner alone. `to` appears when it is whole.
///
/// # Errors
/// [`BackupError`]; then there is no `to`.
pub fn backup(from: &Path, to: &Path) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    check(from)?;
    let draft = beside(to, &format!(".new-{}", std::process::id()));
    let copied = copy(from, &draft).and_then(|()| {
        fs::hard_link(&draft, to).map_err(|error| BackupError::file(to, &error))?;
        sync_folder(to)
    });
    // SQLite's own files of the draft went with its connection.
    let _ = fs::remove_file(&draft);
    copied
}

/// Puts the database at `from`, such as a backup, in the place of the one at `to`; that one, with its
/// log, gets the name that is returned. Nobody may be working on it.
///
/// # Errors
/// [`BackupError`]; then what stands at `to` is as it was.
pub fn restore(from: &Path, to: &Path) -> Result<Option<PathBuf>, BackupError> {
    check(from)?;
    let to = &canonical(to)?;
    let draft = beside(to, &format!(".new-{}", std::process::id()));
    let restored = copy(from, &draft).and_then(|()| {
        let _alone = lock_opening(to).map_err(|error| BackupError::file(to, &error))?;
        let replaced = set_aside(to)?;
        if let Err(error) = fs::rename(&draft, to) {
            if let Some(replaced) = &replaced {
                rename_all(replaced, to)?;
            }
            return Err(BackupError::file(to, &error));
        }
        sync_folder(to)?;
        Ok(replaced)
    });
    let _ = fs::remove_file(&draft);
    restored
}

/// A copy of a database beside it, for as long as this value lives.
#[derive(Debug)]
pub struct TemporaryCopy(PathBuf);

impl TemporaryCopy {
    /// Copies the database at `path`, as [`backup`] does.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn of(path: &Path) -> Result<Self, BackupError> {
        let copy = Self(beside(path, &format!(".copy-{}", std::process::id())));
        copy.remove();
        backup(path, &copy.0)?;
        Ok(copy)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn remove(&self) {
        for suffix in FILES {
            let _ = fs::remove_file(beside(&self.0, suffix));
        }
        let _ = fs::remove_dir_all(beside(&self.0, ".owners"));
    }
}

impl Drop for TemporaryCopy {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The path by which engines know a database, also before there is one.
fn canonical(path: &Path) -> Result<PathBuf, BackupError> {
    let fail = |error| BackupError::file(path, &error);
    if path.exists() {
        return path.canonicalize().map_err(fail);
    }
    let folder = folder_of(path).canonicalize().map_err(fail)?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

/// Gives the database at `path` another name, with the files that SQLite has beside it: a log that
/// stayed, even one without a database, would be taken for that of its successor.
fn set_aside(path: &Path) -> Result<Option<PathBuf>, BackupError> {
    if !FILES.iter().any(|suffix| beside(path, suffix).exists()) {
        return Ok(None);
    }
    // Whether it can still be read or not.
    if is_in_use(path) {
        return Err(BackupError::InUse(path.to_owned()));
    }
    let aside = (1..u32::MAX)
        .map(|number| beside(path, &format!(".replaced-{number}")))
        .find(|aside| !FILES.iter().any(|suffix| beside(aside, suffix).exists()))
        .unwrap_or_default();
    rename_all(path, &aside)?;
    Ok(Some(aside))
}

/// What SQLite has of a database.
const FILES: [&str; 3] = ["-wal", "-shm", ""];

/// All of them, or none.
fn rename_all(from: &Path, to: &Path) -> Result<(), BackupError> {
    let mut renamed: Vec<(PathBuf, PathBuf)> = Vec::new();
    for suffix in FILES {
        let (old, new) = (beside(from, suffix), beside(to, suffix));
        if !old.exists() {
            continue;
        }
        if let Err(error) = fs::rename(&old, &new) {
            for (old, new) in renamed {
                let _ = fs::rename(new, old);
            }
            return Err(BackupError::file(&old, &error));
        }
        renamed.push((old, new));
    }
    Ok(())
}

/// A whole, verified and synced copy of which the old life is over.
fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let _ = fs::remove_file(to);
    create_private(to)?;
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |error| BackupError::Open(failed(&path, error))
    };
    let read = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let write = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, read).map_err(fail(from))?;
    let mut target = Connection::open_with_flags(to, write).map_err(fail(to))?;
    let all = {
        let backup = Backup::new(&source, &mut target).map_err(fail(to))?;
        // All pages at once: taken one after the other beside a writer it would never end.
        backup.step(-1).map_err(fail(to))?
    };
    if all != StepResult::Done {
        return Err(BackupError::Busy(from.to_owned()));
    }
    target
        .pragma_update(None, "journal_mode", "delete")
        .map_err(fail(to))?;
    let sound: String = target
        .pragma_query_value(None, "quick_check", |row| row.get(0))
        .map_err(fail(to))?;
    if sound != "ok" {
        let (path, found) = (from.to_owned(), sound);
        return Err(BackupError::Damaged { path, found });
    }
    target
        .execute("UPDATE meta SET epoch = -abs(epoch)", [])
        .map_err(fail(to))?;
    target.close().map_err(|(_, error)| fail(to)(error))?;
    // Nobody else has this file open: closing it can drop nobody's locks.
    let synced = File::open(to).and_then(|file| file.sync_all());
    synced.map_err(|error| BackupError::file(to, &error))
}

/// Makes the name of a new file durable.
fn sync_folder(path: &Path) -> Result<(), BackupError> {
    let synced = File::open(folder_of(path)).and_then(|folder| folder.sync_all());
    synced.map_err(|error| BackupError::file(path, &error))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

impl From<OpenError> for BackupError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}
