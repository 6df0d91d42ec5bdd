//! `windlass-bench`: the workloads, and sweeps over one setting of them.

#![forbid(unsafe_code)]

mod args;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use windlass_bench::{BenchError, CHILD, Plan, child_main};

use args::{Cli, Command, Common};

/// The allocator that the binary `windlass` has too: the system's own gives memory back after every
/// transaction, which costs SQLite more than half of its speed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == CHILD) {
        return child_main();
    }
    match act(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn act(cli: Cli) -> Result<(), BenchError> {
    match cli.command {
        Command::Run(args) => {
            let folder = Folder::new(&args.common)?;
            run(&args.plan(folder.path()), args.common.json.as_deref())
        }
        Command::Sweep(args) => {
            let folder = Folder::new(&args.common)?;
            let plan = args.plan(folder.path());
            let points = windlass_bench::Sweep::from(args.sweep).run(&plan, say)?;
            write_json(args.common.json.as_deref(), &points)
        }
    }
}

/// One workload after the other. One that breaks off takes no figure of another one with it: what is
/// known is written down after each.
fn run(plan: &Plan, json: Option<&Path>) -> Result<(), BenchError> {
    let mut report = Plan {
        workloads: Vec::new(),
        ..plan.clone()
    }
    .run(say)?;
    let mut broken = Ok(());
    for workload in &plan.workloads {
        let one = Plan {
            workloads: vec![*workload],
            ..plan.clone()
        };
        match one.run(say) {
            Ok(measured) => report.rows.extend(measured.rows),
            Err(error) => {
                say(&format!("{workload} broke off: {error}"));
                broken = Err(error);
            }
        }
        write_json(json, &report.json())?;
    }
    print(&report.text())?;
    broken
}

/// Where the databases live: what was named, or a new folder that goes at the end.
enum Folder {
    Named(PathBuf),
    New(tempfile::TempDir),
}

impl Folder {
    fn new(common: &Common) -> Result<Self, BenchError> {
        let failed = |folder: &Path| {
            let folder = folder.to_owned();
            move |source| BenchError::Folder { folder, source }
        };
        if let Some(folder) = &common.folder {
            std::fs::create_dir_all(folder).map_err(failed(folder))?;
            return Ok(Self::Named(folder.clone()));
        }
        let here = Path::new(".");
        let new = tempfile::Builder::new()
            .prefix("windlass-bench-")
            .tempdir_in(here);
        Ok(Self::New(new.map_err(failed(here))?))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Named(path) => path,
            Self::New(folder) => folder.path(),
        }
    }
}

fn write_json(file: Option<&Path>, json: &serde_json::Value) -> Result<(), BenchError> {
    let Some(file) = file else { return Ok(()) };
    let mut text = serde_json::to_string_pretty(json)?;
    text.push('\n');
    Ok(std::fs::write(file, text)?)
}

fn print(text: &str) -> Result<(), BenchError> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn say(text: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
