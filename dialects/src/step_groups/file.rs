//! A whole file: which of its documents are workflows, and which of those are wanted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use windlass_workflow_model::InvalidWorkflow;

use crate::diagnostic::{Diagnostic, Report, Spot, listed, quoted, shortened};
use crate::import::ImportedWorkflow;
use crate::limits::{FILE_BYTES_MAX, KEPT_BYTES_MAX};
use crate::options::ImportOptions;
use crate::pointer::Pointer;
use crate::step_groups::document::{self, Form, Head, KINDS};
use crate::step_groups::registry;
use crate::step_groups::workflow::Workflow;
use crate::suggestion::{did_you_mean, misspelt};
use crate::tree::{Node, Value};
use crate::yaml::{self, Document, Problem, Stream};

/// The workflows of a file and what they need.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) workflows: Vec<ImportedWorkflow>,
    /// The workflows that these start, each before those that start it.
    pub(crate) called: Vec<ImportedWorkflow>,
    pub(crate) handlers_needed: Vec<String>,
    /// What there is to say about the files of called workflows.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Whether a text looks like this dialect.
pub(crate) fn recognises(text: &str) -> bool {
    if text.len() > FILE_BYTES_MAX {
        return false;
    }
    let stream = yaml::read(text);
    let has_form = |document: &Document| match document::form(&document.root) {
        // Other dialects hold steps too, but as a map.
        Some(Form::Bare) => !matches!(
            document.root.get("steps").map(|entry| &entry.value.value),
            Some(Value::Map(_))
        ),
        Some(Form::Full | Form::Application) => true,
        None => false,
    };
    if stream.documents.iter().any(has_form) {
        return true;
    }
    let unreadable = stream.documents.len() < stream.count as usize || stream.count == 0;
    unreadable && !text.trim_start().starts_with('{') && text.lines().any(is_telling)
}

/// Whether a line stands only in files of this dialect, for files that cannot be read.
fn is_telling(line: &str) -> bool {
    let line = line.trim_end();
    let kind = line.strip_prefix("kind:").map(str::trim);
    kind.is_some_and(|kind| KINDS.contains(&kind)) || matches!(line, "steps:" | "workflows:")
}

/// Imports the workflows of a text.
pub(crate) fn import(text: &str, options: &ImportOptions, report: &mut Report) -> Found {
    check_options(options, report);
    let stream = yaml::read(text);
    let heads: Vec<_> = stream
        .documents
        .iter()
        .flat_map(|document| document::heads(document, &options.file))
        .collect();
    report_documents(&stream, &heads, options, report);
    check_workflow_names(&heads, options, report);
    let is_wanted: Vec<bool> = heads.iter().map(|head| is_wanted(head, options)).collect();
    let wanted = is_wanted.iter().filter(|wanted| **wanted).count();
    if !is_bounded(wanted, text, report) {
        return Found::default();
    }
    registry::import(text, heads, &is_wanted, options, report)
}

fn check_options(options: &ImportOptions, report: &mut Report) {
    if options.max_concurrent_steps == 0 {
        let what = "option max_concurrent_steps is 0; no step could ever start; use 1 or more";
        report.error("limit-invalid", &Spot::default(), what);
    }
}

/// Each workflow keeps the text of its file, so many in one large file are refused.
fn is_bounded(wanted: usize, text: &str, report: &mut Report) -> bool {
    if wanted.saturating_mul(text.len()) <= KEPT_BYTES_MAX {
        return true;
    }
    let what = format!(
        "{wanted} workflows would each keep its {} bytes, together more than {KEPT_BYTES_MAX}; split the file, or import one workflow by name",
        text.len()
    );
    report.error("too-many-workflows", &Spot::default(), what);
    false
}

fn is_wanted(head: &Head<'_>, options: &ImportOptions) -> bool {
    options.document.is_none() || head.name == options.document
}

/// Reports what is to be said about documents as a whole.
fn report_documents(
    stream: &Stream,
    heads: &[Head<'_>],
    options: &ImportOptions,
    report: &mut Report,
) {
    let wanted: HashSet<u32> = heads
        .iter()
        .filter(|head| is_wanted(head, options))
        .map(|head| head.document.number)
        .collect();
    let readable: HashMap<u32, &Document> = stream
        .documents
        .iter()
        .map(|document| (document.number, document))
        .collect();
    // A document that was given up may have been the wanted one.
    let all = options.document.is_none() || wanted.is_empty();
    for problem in &stream.problems {
        let document = readable.get(&problem.document);
        if all || document.is_none() || wanted.contains(&problem.document) {
            report_problem(problem, document.map(|document| &document.root), report);
        }
    }
    for document in &stream.documents {
        let has_head = heads
            .iter()
            .any(|head| head.document.number == document.number);
        if !has_head && options.document.is_none() {
            let spot =
                document::root_spot(document).called(format!("document {}", document.number));
            report.warning(
                "document-without-workflow",
                &spot,
                without_workflow(&document.root),
            );
        } else if wanted.contains(&document.number) {
            report_application(document, report);
        }
    }
    if wanted.is_empty() && readable.len() == stream.count as usize {
        report.error(
            "no-workflow-found",
            &Spot::default(),
            nothing_found(stream, heads, options),
        );
    }
}

fn report_problem(problem: &Problem, root: Option<&Node>, report: &mut Report) {
    let step = root.and_then(|root| step_at(root, &problem.pointer));
    let spot = Spot {
        document: Some(problem.document),
        pointer: Some(problem.pointer.clone()),
        mark: Some(problem.mark),
        subject: step
            .map(|step| format!("step {}", quoted(step)))
            .unwrap_or_default(),
        step: step.map(Arc::from),
        names_pointer: false,
    };
    report.error(problem.code, &spot, &problem.what);
    report.excuse(problem.document, &problem.pointer);
}

/// The name of the step that a pointer leads into.
fn step_at<'a>(root: &'a Node, pointer: &Pointer) -> Option<&'a str> {
    let mut node = root;
    let mut in_steps = false;
    for segment in pointer.segments() {
        match &node.value {
            Value::List(items) => {
                let item = items.get(segment.parse::<usize>().ok()?)?;
                if in_steps {
                    return item.get("name")?.value.text();
                }
                node = item;
            }
            Value::Map(_) => {
                in_steps = segment == "steps";
                node = &node.get(segment)?.value;
            }
            Value::Scalar(_) => return None,
        }
    }
    None
}

fn without_workflow(root: &Node) -> String {
    let kind = root.get("kind").and_then(|entry| entry.value.text());
    let meant = kind
        .map(|kind| did_you_mean(kind, KINDS, ""))
        .unwrap_or_default();
    let slip = root.entries().iter().find_map(|entry| {
        let meant = misspelt(&entry.key, &["kind", "steps", "workflows"])?;
        Some(format!("did you mean {meant:?}?"))
    });
    let fix = match (kind, slip) {
        (Some(kind), _) if !meant.is_empty() => format!("kind is {}, {meant}", quoted(kind)),
        (_, Some(slip)) => slip,
        _ => "remove it or add steps".to_owned(),
    };
    format!("no workflow in it, only data; it is not imported; {fix}")
}

/// Reports what a Score file holds beside its workflows.
fn report_application(document: &Document, report: &mut Report) {
    if document::form(&document.root) != Some(Form::Application) {
        return;
    }
    let root = document::root_spot(document);
    for entry in document.root.entries() {
        let spot = root.entry(entry);
        match entry.key.as_str() {
            // The keys of resources are names that references know.
            "apiVersion" | "metadata" | "workflows" | "resources" => {}
            key => {
                let key = shortened(key);
                let what = format!(
                    "{key} is kept but not run, because only workflows are run; nothing to do"
                );
                report.info("not-workflow-content", &spot, what);
            }
        }
    }
}

fn nothing_found(stream: &Stream, heads: &[Head<'_>], options: &ImportOptions) -> String {
    let Some(name) = options.document.as_deref().filter(|_| !heads.is_empty()) else {
        let none = match stream.count {
            0 | 1 => {
                "its only document has no kind Workflow, steps, or Score workflows map".to_owned()
            }
            count => format!(
                "none of its {count} documents has kind Workflow, steps, or a Score workflows map"
            ),
        };
        return format!("{none}; nothing can be run; add steps or import another file");
    };
    let names = || heads.iter().filter_map(|head| head.name.as_deref());
    let fix = did_you_mean(name, names(), "correct the name");
    format!(
        "no workflow is named {} (it has: {}); nothing can be run; {fix}",
        quoted(name),
        listed(names())
    )
}

fn check_workflow_names(heads: &[Head<'_>], options: &ImportOptions, report: &mut Report) {
    let mut owners: HashMap<&str, u32> = HashMap::new();
    for head in heads.iter().filter(|head| is_wanted(head, options)) {
        let Some(name) = head.name.as_deref() else {
            continue;
        };
        if let Some(owner) = owners.get(name) {
            let what = format!(
                "name {} was used by document {owner}; one would hide the other; rename one",
                quoted(name)
            );
            let spot = head
                .name_spot
                .clone()
                .called(format!("document {}", head.document.number));
            report.error("duplicate-workflow", &spot, what);
            continue;
        }
        owners.insert(name, head.document.number);
    }
}

/// Reports what only the finished graph shows: names and sizes that the engine refuses.
pub(super) fn report_invalid(
    workflow: &Workflow<'_>,
    invalid: &InvalidWorkflow,
    report: &mut Report,
) {
    for problem in &invalid.problems {
        let step = workflow
            .steps
            .iter()
            .find(|step| step.name == problem.node.as_deref());
        match step {
            // An invalid name of a step is reported where it is read.
            Some(_) if problem.code == "name-invalid" => {}
            Some(step) => report.error("workflow-invalid", &step.spot, &problem.message),
            None => report.error("workflow-invalid", &workflow.name_spot, &problem.message),
        }
    }
}
