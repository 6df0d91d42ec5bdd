//! `bash` and `powershell`: a script for a shell on this machine.
//!
//! The text goes to the shell over its stdin, because everybody can read command lines. `bash` runs
//! it only when it has read all of it, so nothing in the script can read the rest of the script, and
//! its own stdin is empty.

use super::environment;
use super::performed::Performed;
use super::work::{Program, Work};
use crate::steps::{Setback, succeeded};

/// Reads the whole text, forgets the variable it is in, and runs it.
const BASH: [&str; 3] = [
    "bash",
    "-c",
    "windlass_text=$(cat) || exit 127; eval \"unset windlass_text; $windlass_text\" </dev/null",
];

const POWERSHELL: [&str; 5] = ["pwsh", "-NoProfile", "-NonInteractive", "-Command", "-"];

pub(super) async fn bash(
    work: &Work<'_>,
    stop: impl Future<Output = ()>,
) -> Result<Performed, Setback> {
    run(work, &BASH, work.script()?, stop).await
}

pub(super) async fn powershell(
    work: &Work<'_>,
    stop: impl Future<Output = ()>,
) -> Result<Performed, Setback> {
    // It takes a statement of several lines for done at an empty line.
    let script = format!("{}\n\n", work.script()?);
    run(work, &POWERSHELL, script, stop).await
}

async fn run(
    work: &Work<'_>,
    command: &[&str],
    script: String,
    stop: impl Future<Output = ()>,
) -> Result<Performed, Setback> {
    let mut variables = environment::of_playbook(work)?;
    variables.extend(environment::of_attempt(work));
    let program = Program {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        variables,
        input: script.into_bytes(),
        ..Program::default()
    };
    let output = succeeded(work.run(program, stop).await)?;
    Ok(Performed::of_output(&output, &work.call.out_args))
}
