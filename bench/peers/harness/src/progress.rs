//! How far the handlers are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the measuring thread looks; as in the project's own benchmark.
pub const TICK: Duration = Duration::from_micros(200);

/// Counts the jobs that a handler has seen. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Done(Arc<AtomicU64>);

impl Done {
    /// One more job is through its handler.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Jobs so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Blocks until `jobs` are through. Say afterwards that they are also on disk.
    pub fn wait_for(&self, jobs: u64) {
        while self.count() < jobs {
            std::thread::sleep(TICK);
        }
    }
}
