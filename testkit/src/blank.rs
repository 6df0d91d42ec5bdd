//! The empty database that every play of a case begins with.
//!
//! All are copies of one, with one name for the store: so the keys that steps get from the engine are
//! the same in each play, and data that has them in it can be compared.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rusqlite::Connection;
use windlass::Engine;

/// What tells the store apart from others. There are no others in a case.
const NONCE: &str = "7e57c1b39d2a4f68";

/// Puts an empty database at `path`.
///
/// # Panics
/// When it cannot be written.
pub(crate) fn put(path: &Path) {
    static BLANK: OnceLock<Vec<u8>> = OnceLock::new();
    let blank = BLANK.get_or_init(make);
    fs::write(path, blank).expect("the temporary folder can be written");
}

fn make() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("blank.db");
    let engine = Engine::builder().database(&path).runners(0).open();
    let engine = engine.expect("an engine opens where nothing is");
    engine.shutdown(Duration::from_secs(10));
    let own = Connection::open(&path).expect("the database can be opened");
    own.execute("UPDATE identity SET nonce = ?1", [NONCE])
        .expect("the store can be named");
    // Everything is in the one file that is copied.
    own.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("the log can be folded into the file");
    drop(own);
    fs::read(&path).expect("the database can be read")
}
