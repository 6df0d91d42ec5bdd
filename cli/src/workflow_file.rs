//! A workflow file on disk, imported.

use std::path::{Path, PathBuf};

use windlass::NodeKind;
use windlass_dialects::{
    Diagnostic, Dialect, HandlerTypes, ImportOptions, Imported, PlaybookFile, ResolveAgents,
    Severity, import_bytes,
};

use crate::config::Config;
use crate::failure::Failure;
use crate::handlers_file::{HandlerEntries, SHELL};
use crate::stdout::say;
use crate::steps::{ShellFault, ShellStep};

/// How a file is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'r> {
    /// Only the workflow of this name.
    pub(crate) document: Option<&'r str>,
    /// Its dialect; `None` is found out by its content.
    pub(crate) dialect: Option<Dialect>,
    /// The settings of each dialect, and which variables are secrets.
    pub(crate) config: &'r Config,
    /// What does the work of steps; `None` if that does not matter yet.
    pub(crate) entries: Option<&'r HandlerEntries>,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct WorkflowFile {
    pub(crate) imported: Imported,
    by: By,
}

/// What says in which dialect a file is written.
#[derive(Clone, Copy, Debug)]
enum By {
    Flag,
    Content,
    /// Nothing.
    Default,
}

/// Reads and imports a file; what is wrong inside stands in the diagnostics.
pub(crate) fn read(path: &Path, reading: Reading<'_>) -> Result<WorkflowFile, Failure> {
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::refused(format!(
            "workflow file {name} cannot be read ({error}); correct the path or its permissions"
        ))
    })?;
    let (dialect, by) = match reading.dialect {
        Some(named) => (Some(named), By::Flag),
        None => match recognise(&bytes) {
            Some(found) => (Some(found), By::Content),
            None => (None, By::Default),
        },
    };
    let mut options = reading.config.dialects.options(&name, dialect);
    options.document = reading.document.map(str::to_owned);
    if dialect == Some(Dialect::Cacao) {
        let folder = &reading.config.dialects.cacao.playbooks;
        options.cacao.playbooks = files_of(folder, &["json"], "--playbooks")?;
        options.cacao.secrets = reading.config.secrets.names();
    }
    if matches!(dialect, Some(Dialect::StepGroupsYaml) | None) {
        let folder = &reading.config.dialects.step_groups_yaml.workflows;
        options.step_groups.workflows = files_of(folder, &["yaml", "yml"], "--workflows")?;
    }
    if let Some(entries) = reading.entries {
        options.step_groups.approve_all = entries.rehearses();
        options.handlers = HandlerTypes::Known(match dialect {
            Some(Dialect::Cacao) => entries.command_types(),
            _ => entries.types(),
        });
    }
    let mut imported = import_bytes(&bytes, &options);
    let entries = reading.entries.filter(|_| dialect != Some(Dialect::Cacao));
    // Without any entry the shell does the steps of its type.
    if entries.is_none_or(HandlerEntries::uses_shell) && dialect != Some(Dialect::Cacao) {
        judge_shell_steps(&mut imported, &bytes, &options);
    }
    Ok(WorkflowFile { imported, by })
}

/// The files of a folder with these endings, in the order of their names; none without a folder.
fn files_of(folder: &Path, ends: &[&str], flag: &str) -> Result<Vec<PlaybookFile>, Failure> {
    if folder.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let cannot = |path: &Path, error| {
        let name = path.display();
        let what = flag.trim_start_matches('-');
        Failure::refused(format!(
            "{what} in {name} cannot be read ({error}); correct {flag} or the permissions"
        ))
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| cannot(folder, error))? {
        paths.push(entry.map_err(|error| cannot(folder, error))?.path());
    }
    let is_wanted = |path: &PathBuf| {
        let end = path.extension().and_then(|end| end.to_str());
        end.is_some_and(|end| ends.contains(&end))
    };
    paths.retain(is_wanted);
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|error| cannot(path, error))?;
        let file = path.display().to_string();
        Ok(PlaybookFile { file, text })
    };
    paths.iter().map(read).collect()
}

fn recognise(bytes: &[u8]) -> Option<Dialect> {
    Dialect::recognise(std::str::from_utf8(bytes).ok()?)
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
    options.parallel_json.resolve_agents = ResolveAgents::Load;
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
    let keys = ["/type", "/agent_name"];
    let step_pointer = pointer.and_then(|pointer| {
        let mut steps = keys.iter().filter_map(|key| pointer.strip_suffix(key));
        steps.next()
    });
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

impl WorkflowFile {
    /// Tells what the file was read as.
    pub(crate) fn say_dialect(&self, path: &Path) {
        let (file, dialect) = (path.display(), self.imported.dialect);
        match self.by {
            By::Flag => say(format!("{file} is read as {dialect}, as --dialect says")),
            By::Content => say(format!("{file} is recognised as {dialect}")),
            By::Default => say(format!(
                "{file} is read as {dialect}; if it is something else, name that with --dialect"
            )),
        }
    }
}

/// Tells the diagnostics to whoever watches.
pub(crate) fn say_diagnostics(imported: &Imported) {
    for diagnostic in &imported.diagnostics {
        say(diagnostic);
    }
}
