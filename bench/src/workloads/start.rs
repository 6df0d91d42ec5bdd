//! K: from the start of the binary `windlass run` to the start of its first job.
//!
//! Seen from outside: the first step is a shell command that notes the time. So the figure holds
//! the start of the process, reading the workflow file, opening the database, scheduling, the
//! start of the step's guard and shell, and the start of `date`. Shell and `date` alone are
//! measured in the same round.

use std::path::Path;
use std::process::{Command, Stdio};

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
    let figure = |name: &str, samples: &[f64]| {
        Figure::new(name, "ms", median(samples)).against("shell and date alone", shell)
    };
    let last = |samples: &[f64]| percentile(&sorted(samples), 100.0);
    Ok(vec![
        figure(NEW, &with_new),
        figure(KNOWN, &with_known),
        Figure::new("new database, slowest", "ms", last(&with_new)),
        Figure::new("database is there, slowest", "ms", last(&with_known)),
    ])
}

/// Milliseconds until the first step notes the time.
fn start(
    setting: &Setting,
    windlass: &Path,
    file: &Path,
    database: &Path,
    stamp: &Path,
) -> Result<f64> {
    let durability = setting.durability.name().to_ascii_lowercase();
    let mut command = Command::new(windlass);
    command
        .arg("run")
        .arg(file)
        .args(["--allow", "shell", "--durability", &durability])
        .arg("--db")
        .arg(database);
    until_stamp(command, stamp)
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
    #[expect(clippy::cast_precision_loss, reason = "a short time")]
    let ns = stamped.saturating_sub(begun) as f64;
    Ok(ns / 1_000_000.0)
}
