//! The arguments of a peer's binary, the same for all.

use std::path::PathBuf;

/// How the binary is called; told when it is called wrongly.
const USAGE: &str =
    "--workload A|B|C|D|E --jobs N --workers N --durability full|normal --folder DIR";

/// What is measured; the letters are those of the project's own workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// No-op jobs from the first schedule to the last completion on disk, one producer.
    A,
    /// Workflows of three steps, a split of four and a join.
    B,
    /// Idle: one job scheduled, how long until its handler starts.
    C,
    /// All jobs are queued before the workers start.
    D,
    /// As A, from a thousand producers that each wait for their own acknowledgement.
    E,
}

/// What a power loss may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was acknowledged: every commit is synced.
    Full,
    /// The last moments: in WAL mode only checkpoints are synced.
    Normal,
}

impl Durability {
    /// The value of `PRAGMA synchronous`.
    pub fn synchronous(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Normal => "normal",
        }
    }
}

/// One measurement, as asked for on the command line.
#[derive(Clone, Debug)]
pub struct Run {
    /// What is measured.
    pub workload: Workload,
    /// Jobs of A, D and E, workflows of B, samples of C.
    pub jobs: u64,
    /// Workers, in whatever form the peer has them.
    pub workers: usize,
    /// What is asked of the peer; its figures say what it did in fact run with.
    pub durability: Durability,
    /// An empty folder for the database.
    pub folder: PathBuf,
}

impl Run {
    /// Reads the command line.
    ///
    /// # Panics
    /// If an argument is missing or unknown: the message is the usage.
    pub fn from_args() -> Self {
        let mut args = std::env::args().skip(1);
        let (mut workload, mut durability, mut folder) = (None, None, None);
        let (mut jobs, mut workers) = (10_000, 2);
        while let Some(name) = args.next() {
            let value = args.next().unwrap_or_default();
            match (name.as_str(), value.as_str()) {
                ("--workload", "A") => workload = Some(Workload::A),
                ("--workload", "B") => workload = Some(Workload::B),
                ("--workload", "C") => workload = Some(Workload::C),
                ("--workload", "D") => workload = Some(Workload::D),
                ("--workload", "E") => workload = Some(Workload::E),
                ("--durability", "full") => durability = Some(Durability::Full),
                ("--durability", "normal") => durability = Some(Durability::Normal),
                ("--jobs", count) => jobs = count.parse().expect(USAGE),
                ("--workers", count) => workers = count.parse().expect(USAGE),
                ("--folder", path) => folder = Some(PathBuf::from(path)),
                _ => panic!("{name} {value}: {USAGE}"),
            }
        }
        Self {
            workload: workload.expect(USAGE),
            jobs,
            workers,
            durability: durability.expect(USAGE),
            folder: folder.expect(USAGE),
        }
    }

    /// Where the peer's database belongs.
    pub fn database(&self) -> PathBuf {
        self.folder.join("peer.db")
    }
}
