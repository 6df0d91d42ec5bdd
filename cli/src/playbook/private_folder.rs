//! A folder that only this user can look into, for files that a program needs and nobody may read.
//!
//! It is gone after the call; the program's guard removes it if we cannot.

use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::steps::Setback;

pub(super) struct PrivateFolder(TempDir);

impl PrivateFolder {
    /// Makes an empty one, in the folder for temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn new() -> Result<Self, Setback> {
        let ours = std::fs::Permissions::from_mode(0o700);
        let mut builder = tempfile::Builder::new();
        let made = builder.prefix("windlass-").permissions(ours).tempdir();
        made.map(Self).map_err(|error| unusable(&error))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file and says where it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Setback> {
        let path = self.path().join(name);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()));
        written.map_err(|error| unusable(&error))?;
        Ok(path)
    }
}

fn unusable(error: &io::Error) -> Setback {
    let folder = std::env::temp_dir();
    let folder = folder.display();
    Setback::passing(
        "folder-unusable",
        format!(
            "a private folder in {folder} cannot be used ({error}); check its permissions and room, or set TMPDIR"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_can_look_into_it_and_it_goes() {
        let folder = PrivateFolder::new().unwrap();
        let file = folder.write("key", "k").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&file)), (0o700, 0o600));
        let path = folder.path().to_path_buf();
        drop(folder);
        assert!(!path.exists());
    }
}
