//! From the text of a file to its workflows.
//!
//! Never panics and never runs long, whatever the text is: size, nesting and copies by aliases are
//! bounded (see [`limits`](crate::limits)), and what exceeds them is a diagnostic.

use std::collections::BTreeMap;

use serde_json::Value;
use windlass_workflow_model::{Definition, Functions};

use crate::cacao;
use crate::diagnostic::{Diagnostic, Report, Severity, Spot};
use crate::dialect::Dialect;
use crate::limits::FILE_BYTES_MAX;
use crate::options::ImportOptions;
use crate::parallel_json;
use crate::step_groups;
use crate::tree::Mark;
use crate::workflow_json;

/// What became of a file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The dialect that it was read as.
    pub dialect: Dialect,
    /// In document order. With errors, those that can be drawn all the same.
    pub workflows: Vec<ImportedWorkflow>,
    /// The workflows that these call, each before those that call it. They need to be registered,
    /// too.
    pub called: Vec<ImportedWorkflow>,
    /// What a playbook asks of whoever runs it, such as `parallel_processing`, each with the names
    /// of the steps that ask it. Empty for other dialects.
    pub features: BTreeMap<String, Vec<String>>,
    /// The step types that need a handler, sorted, each once.
    pub handlers_needed: Vec<String>,
    /// Everything there is to say, by line.
    pub diagnostics: Vec<Diagnostic>,
}

impl Imported {
    /// Whether the workflows may be run: no diagnostic is an error.
    pub fn ok(&self) -> bool {
        let mut severities = self.diagnostics.iter().map(|found| found.severity);
        severities.all(|severity| severity != Severity::Error)
    }

    fn refused(options: &ImportOptions, report: Report) -> Self {
        Self {
            dialect: options.dialect.unwrap_or(Dialect::StepGroupsYaml),
            workflows: Vec::new(),
            called: Vec::new(),
            features: BTreeMap::new(),
            handlers_needed: Vec::new(),
            diagnostics: report.finish(),
        }
    }
}

/// A workflow with the functions that it names.
#[derive(Clone, Debug)]
pub struct ImportedWorkflow {
    /// The graph. Its source is the whole file, its version derives from its content.
    pub definition: Definition,
    /// What the graph needs to be run.
    pub functions: Functions,
    /// For a rehearsal without the steps' own work: an output for each step of which the file reads
    /// something, with all that it reads, made up. A value is the text `<step>.<key>`, a list where a
    /// loop goes through it. Steps that are not in it may give anything.
    pub rehearsal: BTreeMap<String, Value>,
}

/// Imports the workflows of a file.
pub fn import(text: &str, options: &ImportOptions) -> Imported {
    let mut report = Report::new(&options.file, options.mode);
    if refuses_size(text.len(), &mut report) {
        return Imported::refused(options, report);
    }
    let dialect = options
        .dialect
        .unwrap_or(if workflow_json::recognises(text) {
            Dialect::WorkflowJson
        } else if cacao::recognises(text) {
            Dialect::Cacao
        } else if parallel_json::recognises(text)
            || (parallel_json::takes_unknown(text, &options.file) && !step_groups::recognises(text))
        {
            Dialect::ParallelJson
        } else {
            Dialect::StepGroupsYaml
        });
    let (mut called, mut features, mut beside) = (Vec::new(), BTreeMap::new(), Vec::new());
    let (workflows, handlers_needed) = match dialect {
        Dialect::StepGroupsYaml => {
            let found = step_groups::import(text, options, &mut report);
            (called, beside) = (found.called, found.diagnostics);
            (found.workflows, found.handlers_needed)
        }
        Dialect::ParallelJson => {
            let found = parallel_json::import(text, options, &mut report);
            (found.workflow.into_iter().collect(), found.handlers_needed)
        }
        Dialect::Cacao => {
            let found = cacao::import(text, options, &mut report);
            (called, features, beside) = (found.called, found.features, found.diagnostics);
            (found.workflow.into_iter().collect(), found.handlers_needed)
        }
        Dialect::WorkflowJson => {
            let found = workflow_json::import(text, options, &mut report);
            let handlers = found.iter().flat_map(|found| found.definition.handlers());
            let handlers = handlers.map(str::to_owned).collect();
            (found.into_iter().collect(), handlers)
        }
    };
    let mut diagnostics = report.finish();
    diagnostics.append(&mut beside);
    Imported {
        dialect,
        workflows,
        called,
        features,
        handlers_needed,
        diagnostics,
    }
}

/// Imports the workflows of a file that may not even be text.
pub fn import_bytes(bytes: &[u8], options: &ImportOptions) -> Imported {
    let mut report = Report::new(&options.file, options.mode);
    if refuses_size(bytes.len(), &mut report) {
        return Imported::refused(options, report);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => import(text, options),
        Err(error) => {
            let (before, rest) = bytes.split_at(error.valid_up_to());
            let spot = Spot {
                mark: Some(end_of(&String::from_utf8_lossy(before))),
                ..Spot::default()
            };
            let what = format!(
                "byte 0x{:02x} is no UTF-8 text here; the file cannot be read; save it as UTF-8",
                rest.first().copied().unwrap_or_default()
            );
            report.error("document-syntax", &spot, what);
            Imported::refused(options, report)
        }
    }
}

fn refuses_size(bytes: usize, report: &mut Report) -> bool {
    let refused = bytes > FILE_BYTES_MAX;
    if refused {
        let what = format!(
            "{bytes} bytes, the limit is {FILE_BYTES_MAX}; the text is kept with every workflow made from it; split the file"
        );
        report.error("document-too-large", &Spot::default(), what);
    }
    refused
}

fn end_of(text: &str) -> Mark {
    let line = text.matches('\n').count() + 1;
    let column = text.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Mark::new(line, column)
}
