//! A workflow file on disk, imported.

use std::path::Path;

use windlass::NodeKind;
use windlass_dialects::{
    Diagnostic, HandlerTypes, ImportOptions, Imported, Severity, import_bytes,
};

use crate::failure::Failure;
use crate::handlers_file::SHELL;
use crate::stdout::say;
use crate::steps::{ShellFault, ShellStep};

/// How a file is read.
#[derive(Debug)]
pub(crate) struct Reading<'r> {
    /// Only the workflow of this name.
    pub(crate) document: Option<&'r str>,
    /// Steps of one run that may work at once.
    pub(crate) max_concurrent_steps: u32,
    /// The step types that have a handler; `None` if that does not matter yet.
    pub(crate) types: Option<Vec<String>>,
    /// Whether the shell does the steps of its type, so that it must be able to take their settings.
    pub(crate) uses_shell: bool,
}

/// Reads and imports a file; what is wrong inside stands in the diagnostics.
///
/// Steps without a limit of their own get none here: it comes with the policies of their type.
pub(crate) fn read(path: &Path, reading: Reading<'_>) -> Result<Imported, Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::refused(format!(
            "workflow file {name} cannot be read ({error}); correct the path or its permissions"
        ))
    })?;
    let mut options = ImportOptions::new(name);
    options.document = reading.document.map(str::to_owned);
    options.max_concurrent_steps = reading.max_concurrent_steps;
    options.step_timeout = None;
    if let Some(types) = reading.types {
        options.handlers = HandlerTypes::Known(types);
    }
    let mut imported = import_bytes(&bytes, &options);
    if reading.uses_shell {
        judge_shell_steps(&mut imported, &bytes, &options);
    }
    Ok(imported)
}

/// Adds a diagnostic for each setting of a step that the shell cannot take.
fn judge_shell_steps(imported: &mut Imported, bytes: &[u8], options: &ImportOptions) {
    let nodes = imported
        .workflows
        .iter()
        .flat_map(|found| found.definition.nodes());
    let faults: Vec<_> = nodes
        .filter_map(|node| match &node.kind {
            NodeKind::Step(step) if step.handler == SHELL => {
                let faults = ShellStep::read(&step.config).err();
                Some((node.name.clone(), faults.unwrap_or_default()))
            }
            _ => None,
        })
        .collect();
    if faults.iter().all(|(_, faults)| faults.is_empty()) {
        return;
    }
    let mut places = shell_places(&imported.handlers_needed, bytes, options.clone());
    for (step, faults) in faults {
        let here = |place: &Diagnostic| place.step.as_deref() == Some(step.as_str());
        let place = places.iter().position(here).map(|at| places.remove(at));
        for fault in faults {
            let found = diagnostic(&options.file, &step, place.as_ref(), &fault);
            let is_later = |other: &Diagnostic| other.line > found.line;
            let at = imported.diagnostics.iter().position(is_later);
            let at = at.unwrap_or(imported.diagnostics.len());
            imported.diagnostics.insert(at, found);
        }
    }
}

/// Where the steps of the shell stand: a workflow does not know the lines of its file, but an
/// import that finds no handler for them says where they are.
fn shell_places(needed: &[String], bytes: &[u8], mut options: ImportOptions) -> Vec<Diagnostic> {
    let others = needed.iter().filter(|kind| *kind != SHELL).cloned();
    options.handlers = HandlerTypes::Known(others.collect());
    let mut places = import_bytes(bytes, &options).diagnostics;
    places.retain(|found| found.code == "no-handler");
    places
}

fn diagnostic(
    file: &str,
    step: &str,
    place: Option<&Diagnostic>,
    fault: &ShellFault,
) -> Diagnostic {
    let line = place.and_then(|place| place.line);
    let at = line.map_or_else(String::new, |line| format!(":{line}"));
    let pointer = place.and_then(|place| place.pointer.as_deref());
    let step_pointer = pointer.and_then(|pointer| pointer.strip_suffix("/type"));
    Diagnostic {
        code: fault.code,
        severity: Severity::Error,
        file: file.to_owned(),
        document: place.and_then(|place| place.document),
        pointer: step_pointer.map(|pointer| format!("{pointer}{}", fault.pointer)),
        line,
        column: place.and_then(|place| place.column),
        step: Some(step.to_owned()),
        message: format!("{file}{at}: step {step:?}: {}", fault.message),
    }
}

/// Tells the diagnostics to whoever watches.
pub(crate) fn say_diagnostics(imported: &Imported) {
    for diagnostic in &imported.diagnostics {
        say(diagnostic);
    }
}
