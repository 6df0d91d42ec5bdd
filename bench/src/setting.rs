//! What all workloads have in common: where, how durable, how large.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// Bytes of JSON that each run begins with, where a workload says nothing else.
pub const PAYLOAD_BYTES: usize = 100;

/// What a power loss may cost, see [`windlass::Durability`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing that was acknowledged: every commit is synced.
    Full,
    /// The last moments.
    Normal,
}

impl Durability {
    /// As SQLite spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

impl From<Durability> for windlass::Durability {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Full => Self::Full,
            Durability::Normal => Self::Normal,
        }
    }
}

/// How large each workload is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// No-op jobs in all (A, E, H, I), and those that E, F and H are compared with.
    pub jobs: u64,
    /// Runs in one `schedule_all`.
    pub bulk: u64,
    /// Runs of the workflow with a split and a join (B).
    pub workflows: u64,
    /// Jobs on an idle engine (C), after a warm-up of a tenth.
    pub latency_samples: u64,
    /// Jobs from one process to another (C).
    pub latency_samples_across: u64,
    /// Queued jobs, the smallest first; the rate at the first is what the others are compared with (D).
    pub backlogs: Vec<u64>,
    /// Jobs finished of each backlog (D).
    pub backlog_jobs: u64,
    /// Producers that each await their own acknowledgement (E).
    pub producers: u64,
    /// Branches of the split, the last is the one that counts (F).
    pub branches: Vec<u64>,
    /// Jobs queued when the engine is killed (G).
    pub recovery_queued: u64,
    /// Processes on one file (H).
    pub processes: u64,
    /// Bytes written as payloads in each measurement (J).
    pub payload_volume: u64,
    /// Starts of the binary in each round (K).
    pub starts: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            jobs: 200_000,
            bulk: 1_000,
            workflows: 20_000,
            latency_samples: 2_000,
            latency_samples_across: 500,
            backlogs: vec![10_000, 10_000_000],
            backlog_jobs: 200_000,
            producers: 1_000,
            branches: vec![1_000, 10_000, 100_000],
            recovery_queued: 1_000_000,
            processes: 4,
            payload_volume: 200 << 20,
            starts: 20,
        }
    }
}

impl Sizes {
    /// Sizes for trying: the figures mean little.
    pub fn quick() -> Self {
        Self {
            jobs: 20_000,
            workflows: 2_000,
            latency_samples: 200,
            latency_samples_across: 50,
            backlogs: vec![10_000, 50_000],
            backlog_jobs: 20_000,
            producers: 100,
            branches: vec![1_000, 10_000],
            recovery_queued: 20_000,
            payload_volume: 20 << 20,
            starts: 3,
            ..Self::default()
        }
    }

    /// Everything that counts jobs, from one number of jobs.
    #[must_use]
    pub fn with_jobs(mut self, jobs: u64) -> Self {
        self.jobs = jobs;
        self.workflows = (jobs / 8).max(1);
        self.backlog_jobs = jobs;
        self.latency_samples = self.latency_samples.min(jobs);
        self.latency_samples_across = self.latency_samples_across.min(jobs.div_ceil(4));
        self
    }
}

/// What a workload is given.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Where the databases live, which decides the disk that is measured. Each has a new folder
    /// of its own in it.
    pub folder: PathBuf,
    /// What a power loss may cost.
    pub durability: Durability,
    /// Runner threads of each engine.
    pub runners: usize,
    /// Jobs that the channel holds; the engine's default if not given.
    pub capacity: Option<usize>,
    /// How large.
    pub sizes: Sizes,
    /// The binary `windlass` (K).
    pub windlass: Option<PathBuf>,
    /// Which round this is, from 0: what is compared takes turns in going first.
    pub round: u32,
}

/// A new folder in `parent` that is removed when it is dropped.
pub(crate) fn new_folder(parent: &Path) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix("windlass-bench-")
        .tempdir_in(parent)
        .map_err(|source| BenchError::Folder {
            folder: parent.to_owned(),
            source,
        })
}
