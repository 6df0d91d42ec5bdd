//! Names of the files that belong to a database.

use std::path::{Path, PathBuf};

/// The path of a database with `suffix` after its name.
pub(crate) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut beside = database.as_os_str().to_owned();
    beside.push(suffix);
    PathBuf::from(beside)
}
