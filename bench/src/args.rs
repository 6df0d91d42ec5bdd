//! The words of `windlass-bench`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use windlass_bench::{Durability, Plan, Sizes, Sweep, Workload};

/// Measures Windlass, each figure in a fresh process on a fresh database.
#[derive(Debug, Parser)]
#[command(name = "windlass-bench", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure workloads and say which goals are met
    Run(RunArgs),
    /// Measure how the rate changes with one setting, for plots
    Sweep(SweepArgs),
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Letters of workloads, or all
    #[arg(required = true, value_name = "WORKLOAD")]
    workloads: Vec<Wanted>,
    /// What a power loss may cost
    #[arg(long, value_enum, default_value_t = Durabilities::Both)]
    durability: Durabilities,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// What is changed from point to point
    #[arg(value_enum)]
    pub(crate) sweep: Changed,
    /// What a power loss may cost
    #[arg(long, value_enum, default_value_t = Durabilities::Full)]
    durability: Durabilities,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Changed {
    /// Queued jobs
    Backlog,
    /// Runs in one `schedule_all`
    Bulk,
    /// Runner threads
    Runners,
    /// Jobs that the channel holds
    Capacity,
}

impl From<Changed> for Sweep {
    fn from(changed: Changed) -> Self {
        match changed {
            Changed::Backlog => Self::Backlog,
            Changed::Bulk => Self::Bulk,
            Changed::Runners => Self::Runners,
            Changed::Capacity => Self::Capacity,
        }
    }
}

impl SweepArgs {
    pub(crate) fn plan(&self, folder: &Path) -> Plan {
        let mut plan = self.common.plan(folder, self.durability);
        if !self.common.names_backlogs() {
            plan.sizes.backlogs = self.common.swept_backlogs();
        }
        plan
    }
}

/// What runs and sweeps have in common.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// How often each is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: u32,
    /// Folder for the databases, which decides the disk that is measured [default: a new one here]
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Smaller sizes, for trying: the figures mean little
    #[arg(long)]
    quick: bool,
    /// Jobs of each measurement that counts jobs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    jobs: Option<u64>,
    /// Runs in one `schedule_all`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    bulk: Option<u64>,
    /// Samples of the latency
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    samples: Option<u64>,
    /// Queued jobs of workload D, the smallest first
    #[arg(long, value_name = "N", value_delimiter = ',')]
    backlogs: Option<Vec<u64>>,
    /// Branches of workload F, the largest last
    #[arg(long, value_name = "N", value_delimiter = ',')]
    branches: Option<Vec<u64>>,
    /// Queued jobs of workload G
    #[arg(long, value_name = "N")]
    queued: Option<u64>,
    /// Runner threads of each engine
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=1024))]
    runners: u16,
    /// Jobs that each channel holds [default: the engine's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    capacity: Option<u32>,
    /// The binary windlass, for workload K [default: the one beside this binary]
    #[arg(long, value_name = "FILE")]
    windlass: Option<PathBuf>,
    /// Write everything that was measured to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Durabilities {
    /// Nothing: every commit is synced
    Full,
    /// The last moments
    Normal,
    /// One after the other
    Both,
}

impl Durabilities {
    fn list(self) -> Vec<Durability> {
        match self {
            Self::Full => vec![Durability::Full],
            Self::Normal => vec![Durability::Normal],
            Self::Both => vec![Durability::Full, Durability::Normal],
        }
    }
}

#[derive(Clone, Debug)]
enum Wanted {
    All,
    One(Workload),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            Ok(Self::All)
        } else {
            text.parse().map(Self::One)
        }
    }
}

impl RunArgs {
    pub(crate) fn plan(&self, folder: &Path) -> Plan {
        let wanted = self.workloads.iter().flat_map(|wanted| match wanted {
            Wanted::All => Workload::ALL.to_vec(),
            Wanted::One(workload) => vec![*workload],
        });
        Plan {
            workloads: wanted.collect(),
            ..self.common.plan(folder, self.durability)
        }
    }
}

impl Common {
    /// A plan without workloads.
    pub(crate) fn plan(&self, folder: &Path, durability: Durabilities) -> Plan {
        Plan {
            workloads: Vec::new(),
            durabilities: durability.list(),
            rounds: self.rounds,
            folder: folder.to_owned(),
            runners: self.runners.into(),
            capacity: self
                .capacity
                .map(|jobs| usize::try_from(jobs).unwrap_or(usize::MAX)),
            sizes: self.sizes(),
            windlass: self.windlass.clone().or_else(beside_us),
        }
    }

    fn names_backlogs(&self) -> bool {
        self.backlogs.is_some()
    }

    /// More of them than workload D has: they are the points of a plot.
    fn swept_backlogs(&self) -> Vec<u64> {
        if self.quick {
            vec![10_000, 50_000]
        } else {
            vec![10_000, 100_000, 1_000_000, 10_000_000]
        }
    }

    fn sizes(&self) -> Sizes {
        let mut sizes = if self.quick {
            Sizes::quick()
        } else {
            Sizes::default()
        };
        if let Some(jobs) = self.jobs {
            sizes = sizes.with_jobs(jobs);
        }
        if let Some(samples) = self.samples {
            sizes.latency_samples = samples;
            sizes.latency_samples_across = samples.div_ceil(4);
        }
        sizes.bulk = self.bulk.unwrap_or(sizes.bulk);
        sizes.recovery_queued = self.queued.unwrap_or(sizes.recovery_queued);
        sizes.backlogs = self.backlogs.clone().unwrap_or(sizes.backlogs);
        sizes.branches = self.branches.clone().unwrap_or(sizes.branches);
        sizes
    }
}

fn beside_us() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok()?.with_file_name("windlass");
    beside.is_file().then_some(beside)
}
