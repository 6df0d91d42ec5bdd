//! K: from the start of the binary `windlass run` to the start of its first job.
//!
//! The first figure ends where the history says that the first step began: the start of the process,
//! reading the workflow file, opening the database, scheduling with its commit. The second one is
//! seen from outside: the step is a shell command that notes the time, so it holds the start of the
//! step's guard, of the shell and of `date`, too. Shell and `date` alone are measured in the same
//! round. All times are by the wall clock.

use std::path::Path;
use std::process::{Command, Stdio};

use windlass::{Inspector, RunFilter};

use crate::clock::wall_ns;
use crate::error::{BenchError, Result};
use crate::figure::{Bound, Figure, Goal};
use crate::setting::{Durability, Setting, new_folder};
use crate::stats::{median, percentile, sorted};

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        figure: NEW,
        under: Durability::Full,
        bound: Bound::AtMost(50.0),
    },
    Goal {
        figure: KNOWN,
        under: Durability::Full,
        bound: Bound::AtMost(50.0),
    },
];

const NEW: &str = "new database";
const KNOWN: &str = "database is there";

pub(crate) fn round(setting: &Setting) -> Result<Vec<Figure>> {
    let missing = || {
        let text = "the binary windlass is not beside this one: build windlass-cli, or name it";
        BenchError::Unsound(text.to_owned())
    };
    let windlass = setting.windlass.as_deref().ok_or_else(missing)?;
    let folder = new_folder(&setting.folder)?;
    let file = folder.path().join("start.yaml");
    let stamp = folder.path().join("stamp");
    std::fs::write(
        &file,
        format!(
            "kind: Workflow\nmetadata:\n  name: start\nsteps:\n  - name: stamp\n    type: shell\n    config:\n      command: date +%s%N > '{}'\n",
            stamp.display()
        ),
    )?;
    let known = folder.path().join("known.db");
    start(setting, windlass, &file, &known, &stamp)?;
    let (mut with_new, mut with_known, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..setting.sizes.starts {
        let new = folder.path().join(format!("new-{number}.db"));
        with_new.push(start(setting, windlass, &file, &new, &stamp)?);
        with_known.push(start(setting, windlass, &file, &known, &stamp)?);
        alone.push(shell_alone(&stamp)?);
    }
    let shell = median(&alone);
    let mut figures = Vec::new();
    for (name, starts) in [(NEW, with_new), (KNOWN, with_known)] {
        let (begun, noted): (Vec<_>, Vec<_>) = starts.into_iter().unzip();
        let slowest = percentile(&sorted(&begun), 100.0);
        figures.extend([
            Figure::new(name, "ms", median(&begun)).of(begun),
            Figure::new(format!("{name}, slowest"), "ms", slowest),
            Figure::new(format!("{name}, its program"), "ms", median(&noted))
                .against("shell and date alone", shell),
        ]);
    }
    Ok(figures)
}

/// Milliseconds until the first step begins, and until its program notes the time.
fn start(
    setting: &Setting,
    windlass: &Path,
    file: &Path,
    database: &Path,
    stamp: &Path,
) -> Result<(f64, f64)> {
    let durability = setting.durability.name().to_ascii_lowercase();
    let mut command = Command::new(windlass);
    command
        .arg("run")
        .arg(file)
        .args(["--allow", "shell", "--durability", &durability])
        .arg("--db")
        .arg(database);
    let begun = wall_ns();
    let noted = until_stamp(command, stamp)?;
    Ok((since(begun, first_step(database)?), noted))
}

/// When the only step of the newest run began, in nanoseconds since 1970.
fn first_step(database: &Path) -> Result<u64> {
    let unsound = |text: String| BenchError::Unsound(text);
    let mut inspector = Inspector::open(database).map_err(|error| unsound(error.to_string()))?;
    let newest = inspector.runs(RunFilter::All, 1)?;
    let detail = match newest.first() {
        Some(run) => inspector.show(run.run)?,
        None => None,
    };
    let steps = detail.into_iter().flat_map(|detail| detail.steps);
    let first = steps.filter_map(|step| step.started_at).min();
    let first = first.ok_or_else(|| unsound("the run has no step that began".to_owned()))?;
    Ok(u64::try_from(first.0).unwrap_or_default() * 1_000)
}

fn shell_alone(stamp: &Path) -> Result<f64> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("date +%s%N > '{}'", stamp.display())]);
    until_stamp(command, stamp)
}

fn until_stamp(mut command: Command, stamp: &Path) -> Result<f64> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let begun = wall_ns();
    let ended = command.status()?;
    if !ended.success() {
        return Err(BenchError::Child(format!("{command:?}: {ended}")));
    }
    let text = std::fs::read_to_string(stamp)?;
    let stamped: u64 = text
        .trim()
        .parse()
        .map_err(|_| BenchError::Unsound(format!("date said {text:?}, no nanoseconds")))?;
    Ok(since(begun, stamped))
}

/// Milliseconds between two times in nanoseconds.
fn since(begun: u64, ended: u64) -> f64 {
    std::time::Duration::from_nanos(ended.saturating_sub(begun)).as_secs_f64() * 1_000.0
}
