//! The words of the command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use windlass::ActivationId;
use windlass_dialects::Dialect;

use crate::allowed::{Allowed, Kind};
use crate::config::{HELP, Layer};

/// Runs workflow files durably: every step that is done stays done, whatever crashes.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Whether whoever reads stdout expects JSON, also about a failure.
    pub(crate) fn wants_json(&self) -> bool {
        let by_format =
            matches!(&self.command, Command::Check(args) if args.format == CheckFormat::Json);
        self.global.json || by_format
    }
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The database file [default: windlass.db in the current folder]
    #[arg(long, value_name = "PATH", global = true)]
    pub(crate) db: Option<PathBuf>,
    /// The configuration file [default: windlass.toml in the current folder, if it is there]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log lines on stderr: error, warn, info, debug, trace, or filters such as windlass=debug
    #[arg(long, value_name = "LEVEL", global = true)]
    pub(crate) log: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the workflows of a file to their end
    Run(RunArgs),
    /// Finish runs that were interrupted
    Resume(ResumeArgs),
    /// List runs, newest first
    Runs(RunsArgs),
    /// Show a run: its steps, errors, outputs and graph
    Show(OneRun),
    /// Say what exactly each live branch of a run waits for
    Why(OneRun),
    /// Check a workflow file: all problems, or its graph
    Check(CheckArgs),
    /// Withdraw a run
    Cancel(CancelArgs),
    /// Send an event to a run
    Signal(SignalArgs),
    /// Answer a step of a playbook that waits for a person: it is done
    Approve(AnswerArgs),
    /// Answer a step of a playbook that waits for a person: it will not be done
    Reject(AnswerArgs),
    /// Add to an open map of a run, close it, or end a map with what is done
    #[command(subcommand)]
    Map(MapCommand),
    /// Print what the instances of a map gave, in index order; with --json one object on each line
    Results(ResultsArgs),
    /// Let a parked or failed run go on from the step it stopped at
    Retry(RetryArgs),
    /// Say what is wrong with the database, or soon will be; the exit code is 1 if something is broken
    Doctor(DoctorArgs),
    /// Copy the database to a new file, while others work on it
    Backup(CopyArgs),
    /// Put a backup in the place of the database; that gets another name
    Restore(CopyArgs),
    /// Print the effective settings and where each comes from; --help explains them all
    #[command(after_long_help = HELP)]
    Config(EngineArgs),
    /// Perform one command of a playbook: a call as JSON on stdin, what it gave as JSON on stdout
    #[command(hide = true)]
    Perform(PerformArgs),
    /// Measure throughput and latency on this machine, beside SQLite alone
    Bench(BenchArgs),
}

/// An answer to a step that waits for a person.
#[derive(Debug, Args)]
pub(crate) struct AnswerArgs {
    /// The run, or as much of its id as is unique
    pub(crate) run: String,
    /// The step, as show names it
    pub(crate) step: String,
    /// A value for a variable that the step asks for
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) var: Vec<Parameter>,
    /// Who answers, for the record
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also open a copy with what this windlass knows, and list the runs that it could not go on with
    #[arg(long)]
    pub(crate) compat: bool,
    #[command(flatten)]
    pub(crate) handlers: HandlerArgs,
}

/// A copy of the database.
#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// The copy
    pub(crate) file: PathBuf,
}

/// How the engine works; each flag wins over the configuration file.
#[derive(Debug, Default, Args)]
pub(crate) struct EngineArgs {
    /// Runner threads [default: one per processor]
    #[arg(long, value_name = "N")]
    pub(crate) runners: Option<u32>,
    /// Steps that wait at once on one Runner [default: 5]
    #[arg(long, value_name = "N")]
    pub(crate) in_flight: Option<u32>,
    /// Jobs between Scheduler and Runners [default: 8192]
    #[arg(long, value_name = "N")]
    pub(crate) capacity: Option<u32>,
    /// What a power loss may cost: nothing (full) or the newest work (normal) [default: full]
    #[arg(long, value_name = "full|normal")]
    pub(crate) durability: Option<String>,
}

/// What does the work of steps.
#[derive(Debug, Default, Args)]
pub(crate) struct HandlerArgs {
    /// TOML file with handlers: step type → program or simulation
    #[arg(long, value_name = "FILE")]
    pub(crate) handlers: Option<PathBuf>,
    /// Kinds of step that may run: shell; bash, powershell, ssh, http-api, openc2-http of playbooks
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) allow: Option<Vec<Kind>>,
}

impl HandlerArgs {
    /// The kinds that flags allow, if they say anything.
    pub(crate) fn allowed(&self) -> Option<Allowed> {
        let kinds = self.allow.as_ref()?;
        Some(Allowed(kinds.iter().copied().collect()))
    }
}

/// How a workflow file is read; each flag wins over the configuration file.
#[derive(Debug, Default, Args)]
pub(crate) struct FileArgs {
    /// The file's dialect: step-groups-yaml, parallel-json, cacao or workflow-json [default: found out by content]
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: Option<Dialect>,
    /// Make the repairs that the dialect lists, each with a warning, instead of refusing the file
    #[arg(long)]
    pub(crate) lenient: bool,
    /// Folder of CACAO playbooks that others call
    #[arg(long, value_name = "DIR")]
    pub(crate) playbooks: Option<PathBuf>,
    /// Folder of step groups (*.yaml) whose workflows others start
    #[arg(long, value_name = "DIR")]
    pub(crate) workflows: Option<PathBuf>,
    /// Refuse playbooks that need one of these, such as `parallel_processing`
    #[arg(long, value_name = "FLAG", value_delimiter = ',')]
    pub(crate) refuse: Vec<String>,
}

impl FileArgs {
    /// The flags as settings.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let mut layers: Vec<Layer> = if self.lenient {
            Layer::lenient().into()
        } else {
            Vec::new()
        };
        layers.extend(self.playbooks.as_deref().map(Layer::playbooks));
        layers.extend(self.workflows.as_deref().map(Layer::workflows));
        if !self.refuse.is_empty() {
            layers.push(Layer::refused(&self.refuse));
        }
        layers
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The workflow file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) file_args: FileArgs,
    /// Run only the workflow of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) document: Option<String>,
    /// What the run begins with, or @FILE with it. Parallel JSON: any JSON, its workflow.input. Step
    /// groups: an object that may hold variables, parameters, resources and context. Playbooks: external
    /// variables by name. Graphs: their data
    #[arg(long, value_name = "JSON|@FILE")]
    pub(crate) input: Option<String>,
    /// A value for a parameter that the workflow declares
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) param: Vec<Parameter>,
    #[command(flatten)]
    pub(crate) handlers: HandlerArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Before the first `=`.
    pub(crate) name: String,
    /// After it.
    pub(crate) value: String,
}

impl FromStr for Parameter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err("write NAME=VALUE".to_owned()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Runs: unique prefixes of their ids, or last [default: every unfinished run that the command line began]
    pub(crate) runs: Vec<String>,
    #[command(flatten)]
    pub(crate) handlers: HandlerArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Only runs with this status
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct OneRun {
    /// A unique prefix of the run's id, or last
    pub(crate) run: String,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The workflow file
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) file_args: FileArgs,
    /// Check only the workflow of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) document: Option<String>,
    /// How the graph is printed
    #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
    pub(crate) format: CheckFormat,
    #[command(flatten)]
    pub(crate) handlers: HandlerArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// Lines for people
    Text,
    /// A Mermaid flowchart
    Mermaid,
    /// A Graphviz digraph
    Dot,
    /// As --json
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// A unique prefix of the run's id, or last
    pub(crate) run: String,
    /// Only what goes on in this step, wait, scope, split or map
    #[arg(long)]
    pub(crate) step: Option<String>,
    /// Why, stored with the run
    #[arg(long, default_value = "cancelled from the command line")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct SignalArgs {
    /// A unique prefix of the run's id, or last
    pub(crate) run: String,
    /// The event's name
    pub(crate) event: String,
    /// What comes with it, as JSON
    #[arg(default_value = "null")]
    pub(crate) payload: String,
    /// Tells a repetition from a second event [default: a new one each time]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// For a wait that asks for this correlation
    #[arg(long)]
    pub(crate) correlation: Option<String>,
    /// Lose it if nobody waits for it now
    #[arg(long)]
    pub(crate) transient: bool,
    /// Report a fault instead of a reply
    #[arg(long)]
    pub(crate) fault: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MapCommand {
    /// Start an instance of an open map for each item; called twice, it adds them twice
    Add(MapAddArgs),
    /// Add no more to an open map, so that it is over when its instances are
    Close(OneMap),
    /// Withdraw what a map has not done, and go on with what it has
    Complete(OneMap),
}

#[derive(Debug, Args)]
pub(crate) struct OneMap {
    /// A unique prefix of the run's id, or last
    pub(crate) run: String,
    /// The map's name
    pub(crate) map: String,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("given").args(["item", "items"]).required(true).multiple(true))]
pub(crate) struct MapAddArgs {
    #[command(flatten)]
    pub(crate) at: OneMap,
    /// The data of one instance, as JSON; may be given several times
    #[arg(long, value_name = "JSON")]
    pub(crate) item: Vec<String>,
    /// A file with the data of one instance on each line, as JSON; added after those of --item, at
    /// most 10,000 of them in one transaction
    #[arg(long, value_name = "FILE")]
    pub(crate) items: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ResultsArgs {
    #[command(flatten)]
    pub(crate) at: OneMap,
    /// Of the time that the map had this activation, as show prints it [default: the last time]
    #[arg(long, value_name = "ID", value_parser = activation)]
    pub(crate) activation: Option<ActivationId>,
}

fn activation(text: &str) -> Result<ActivationId, String> {
    u64::from_str_radix(text, 16)
        .map(ActivationId)
        .map_err(|_| "an activation has up to 16 digits and letters from a to f".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// A unique prefix of the run's id, or last
    pub(crate) run: String,
    /// Only mark the run; another engine, or windlass resume, goes on with it
    #[arg(long)]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) handlers: HandlerArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Jobs per measurement of no-op jobs; an eighth as many workflows of 8 steps
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) jobs: u64,
    /// Runner threads
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) runners: u32,
    /// Measurements; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) repeat: u32,
    /// Folder for the databases, which decides the disk that is measured [default: the current folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) db_dir: Option<PathBuf>,
}

/// What one command may do; without flags, what the settings say.
#[derive(Debug, Args)]
pub(crate) struct PerformArgs {
    /// Kinds of command that may run
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) allow: Option<Vec<Kind>>,
}

impl Global {
    /// The flags as settings.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let db = self
            .db
            .as_ref()
            .map(|path| Layer::flag("--db", "database", path));
        let log = self
            .log
            .as_ref()
            .map(|log| Layer::flag("--log", "log", log));
        [db, log].into_iter().flatten().collect()
    }
}

impl EngineArgs {
    /// The flags as settings.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let numbers = [
            ("--runners", "runners", self.runners),
            ("--in-flight", "in_flight", self.in_flight),
            ("--capacity", "capacity", self.capacity),
        ];
        let numbers = numbers
            .into_iter()
            .filter_map(|(flag, key, number)| Some(Layer::flag(flag, key, number?)));
        let durability = self.durability.as_ref();
        numbers
            .chain(durability.map(|word| Layer::flag("--durability", "durability", word)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_command() {
        for words in [
            ["windlass", "--db", "x", "runs", "--json"],
            ["windlass", "runs", "--json", "--db", "x"],
        ] {
            let cli = Cli::try_parse_from(words).unwrap();
            assert_eq!((cli.global.db, cli.global.json), (Some("x".into()), true));
        }
    }
}
