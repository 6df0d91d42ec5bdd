//! What one commit costs on this disk: a row in a transaction of its own, on a database at rest.

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::params;
use serde::{Deserialize, Serialize};

use crate::clock::{Stopwatch, pause};
use crate::error::Result;
use crate::noop::payload;
use crate::setting::{Durability, PAYLOAD_BYTES, new_folder};

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Commits {
    pub(crate) folder: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) count: u64,
}

impl Commits {
    /// Milliseconds of each `COMMIT`; the insert before it is not in it.
    pub(crate) fn measure(&self) -> Result<Vec<f64>> {
        let folder = new_folder(&self.folder)?;
        let db = super::open(&folder.path().join("raw.db"), self.durability)?;
        db.execute_batch("CREATE TABLE commits (id INTEGER PRIMARY KEY, data BLOB) STRICT")?;
        let payload = payload(PAYLOAD_BYTES);
        let mut begin = db.prepare("BEGIN IMMEDIATE")?;
        let mut insert = db.prepare("INSERT INTO commits (data) VALUES (?1)")?;
        let mut commit = db.prepare("COMMIT")?;
        let mut random = fastrand::Rng::with_seed(1);
        let mut took = Vec::new();
        for _ in 0..self.count {
            begin.execute([])?;
            insert.execute(params![payload.as_bytes()])?;
            let watch = Stopwatch::start();
            commit.execute([])?;
            took.push(watch.elapsed().as_secs_f64() * 1_000.0);
            // As idle as the engine that this is compared with.
            pause(Duration::from_micros(random.u64(1_000..2_000)));
        }
        Ok(took)
    }
}
