//! A whole file, from its text to its workflow.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use windlass_workflow_model::{InvalidWorkflow, Source};

use crate::diagnostic::{Report, Spot, quoted, settings_key};
use crate::dialect::Dialect;
use crate::import::ImportedWorkflow;
use crate::json;
use crate::limits::FILE_BYTES_MAX;
use crate::options::{ImportOptions, ParallelJsonOptions};
use crate::parallel_json::document::{self, Document};
use crate::parallel_json::step::Kind;
use crate::parallel_json::{binding, lowering, seat};
use crate::pointer::Pointer;

/// The workflow of a file and what it needs.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) workflow: Option<ImportedWorkflow>,
    pub(crate) handlers_needed: Vec<String>,
}

/// Keys beside `steps` by which step groups are known.
const STEP_GROUPS: [&str; 7] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "variables",
    "workflows",
    "containers",
];

/// Whether a text that no dialect knows for its own is told as this one's: JSON is, because the
/// dialect that is left over is YAML.
pub(crate) fn takes_unknown(text: &str, file: &str) -> bool {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    let is_named_json = Path::new(file)
        .extension()
        .is_some_and(|ending| ending == "json");
    start.starts_with(['{', '[']) && (is_named_json || json::is_json(text))
}

/// Whether a text looks like this dialect.
pub(crate) fn recognises(text: &str) -> bool {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if text.len() > FILE_BYTES_MAX || !start.starts_with('{') {
        return false;
    }
    match json::entries(text) {
        Some(entries) => {
            let first = |name: &str| entries.iter().find(|(key, _)| key == name);
            let steps = first("steps").is_some_and(|(_, value)| {
                let is_empty_list = value.starts_with('[') && value[1..].trim_start() == "]";
                // Empty, it is nobody's, unless other keys tell.
                let is_ours = is_empty_list && !STEP_GROUPS.iter().any(|key| first(key).is_some());
                value.starts_with('{') || is_ours
            });
            steps || first("start_step").is_some_and(|(_, value)| *value != "null")
        }
        // One that cannot be read gives itself away by a key that only this dialect has.
        None => text.contains("\"start_step\""),
    }
}

/// Imports the workflow of a text.
pub(crate) fn import(text: &str, options: &ImportOptions, report: &mut Report) -> Found {
    check_options(&options.parallel_json, report);
    let read = json::read(text);
    for problem in read.problems {
        let spot = Spot {
            document: Some(1),
            mark: Some(problem.mark),
            step: step_of(&problem.pointer),
            pointer: Some(problem.pointer),
            ..Spot::default()
        }
        .called_by_pointer();
        report.error(problem.code, &spot, problem.what);
    }
    let Some(root) = read.root else {
        return Found::default();
    };
    let Some(mut document) = document::read(&root, &read.dropped, options, report) else {
        return Found::default();
    };
    if is_other(&document, options, report) {
        return Found::default();
    }
    let seats = seat::seat(&mut document, report);
    binding::check(&document, &seats, report);
    let workflow = if report.is_broken() {
        None
    } else {
        let source = Source {
            dialect: Dialect::ParallelJson.as_str().to_owned(),
            file: options.file.clone(),
            text: text.to_owned(),
        };
        match lowering::lower(&document, &seats, source, options) {
            Ok(lowered) => Some(lowered),
            Err(invalid) => {
                report_invalid(&document, &invalid, report);
                None
            }
        }
    };
    Found {
        workflow,
        handlers_needed: handlers_needed(&document),
    }
}

/// The step that a pointer leads into.
fn step_of(pointer: &Pointer) -> Option<Arc<str>> {
    match pointer.segments().as_slice() {
        ["steps", id, ..] => Some(Arc::from(*id)),
        _ => None,
    }
}

fn check_options(options: &ParallelJsonOptions, report: &mut Report) {
    if options.max_concurrent_steps == Some(0) {
        let what = "option max_concurrent_steps is 0; no step could ever start; use 1 or more";
        report.error("limit-invalid", &Spot::default(), what);
    }
    for (name, agent) in &options.agents {
        if agent.has_circuit_breaker {
            let spot = Spot::default().called(format!("agents /{name}/circuit_breaker_config"));
            let what = format!(
                "not offered here, so calls would be unprotected; remove it from the settings ([dialects.parallel-json.agents.{}] on the command line) or put the breaker in the handler",
                settings_key(name)
            );
            report.repairable("circuit-breaker-unsupported", &spot, what);
        }
    }
}

/// Whether another workflow was asked for by name.
fn is_other(document: &Document<'_>, options: &ImportOptions, report: &mut Report) -> bool {
    let Some(wanted) = &options.document else {
        return false;
    };
    if *wanted == document.workflow_id || wanted == document.name {
        return false;
    }
    let what = format!(
        "no workflow is named {} (it has: {}); nothing can be run; correct the name",
        quoted(wanted),
        quoted(&document.workflow_id)
    );
    report.error("no-workflow-found", &document.spot, what);
    true
}

fn handlers_needed(document: &Document<'_>) -> Vec<String> {
    let agents = document.steps.iter().filter_map(|step| match &step.kind {
        Kind::Agent { agent, .. } if !agent.is_empty() => Some((*agent).to_owned()),
        _ => None,
    });
    agents.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Reports what only the finished graph shows: names and sizes that the engine refuses.
fn report_invalid(document: &Document<'_>, invalid: &InvalidWorkflow, report: &mut Report) {
    for problem in &invalid.problems {
        let name = problem.node.as_deref().unwrap_or_default();
        let id = name.split('/').next().unwrap_or_default();
        let step = document.steps.iter().find(|step| step.id == id);
        let spot = step.map_or(&document.spot, |step| &step.spot);
        report.error("workflow-invalid", spot, &problem.message);
    }
}
