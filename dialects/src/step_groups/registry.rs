//! Workflows by name, and those that they start.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_workflow_model::Source;

use crate::diagnostic::{Report, Spot, quoted};
use crate::dialect::Dialect;
use crate::import::ImportedWorkflow;
use crate::options::{ImportOptions, Mode};
use crate::step_groups::begin::Begin;
use crate::step_groups::document::{self, Form, Head};
use crate::step_groups::file::{Found, report_invalid};
use crate::step_groups::lowering::{Called, Plan, lower};
use crate::step_groups::names::Names;
use crate::step_groups::resolve::{is_call, resolve};
use crate::step_groups::rule;
use crate::step_groups::step::{SUB_WORKFLOW, Step};
use crate::step_groups::workflow::{self, Workflow};
use crate::suggestion::did_you_mean;
use crate::tree::Node;
use crate::yaml::{self, Stream};

/// Imports the wanted workflows of a file, each after those that it starts.
pub(crate) fn import(
    text: &str,
    heads: Vec<Head<'_>>,
    wanted: &[bool],
    options: &ImportOptions,
    report: &mut Report,
) -> Found {
    let files: Vec<(&str, &str, Stream)> = options
        .step_groups
        .workflows
        .iter()
        .map(|file| {
            (
                file.file.as_str(),
                file.text.as_str(),
                yaml::read(&file.text),
            )
        })
        .collect();
    let mut registry = Registry {
        options,
        known: Vec::new(),
        by_name: HashMap::new(),
        path: Vec::new(),
        done: BTreeMap::new(),
        found: Found::default(),
        handlers: BTreeSet::new(),
    };
    let own = heads.len();
    for head in heads {
        registry.add(head, None, text);
    }
    for (file, text, stream) in &files {
        for document in &stream.documents {
            for head in document::heads(document, file) {
                registry.add(head, Some(file), text);
            }
        }
    }
    for index in (0..own).filter(|index| wanted[*index]) {
        let workflow = registry.workflow(index, report);
        registry.found.workflows.extend(workflow);
    }
    let mut found = registry.found;
    found.handlers_needed = registry.handlers.into_iter().collect();
    found
}

/// A workflow that can be started by name.
struct Known<'a> {
    head: Option<Head<'a>>,
    /// The file it stands in, if it is another one.
    file: Option<&'a str>,
    text: &'a str,
}

struct Registry<'a> {
    options: &'a ImportOptions,
    known: Vec<Known<'a>>,
    by_name: HashMap<String, usize>,
    /// Those that are being imported, each started by the one before.
    path: Vec<usize>,
    /// Name and version of those that were; `None` could not be.
    done: BTreeMap<usize, Option<ImportedWorkflow>>,
    found: Found,
    handlers: BTreeSet<String>,
}

impl<'a> Registry<'a> {
    fn add(&mut self, head: Head<'a>, file: Option<&'a str>, text: &'a str) {
        if let Some(name) = &head.name {
            self.by_name.entry(name.clone()).or_insert(self.known.len());
        }
        self.known.push(Known {
            head: Some(head),
            file,
            text,
        });
    }

    /// Imports one workflow and, before it, those that it starts. Recursive, as deep as there are
    /// workflows that start each other.
    fn workflow(&mut self, index: usize, report: &mut Report) -> Option<ImportedWorkflow> {
        if let Some(done) = self.done.get(&index) {
            return done.clone();
        }
        let options = self.options;
        let head = self.known[index].head.take()?;
        let (file, text) = (self.known[index].file, self.known[index].text);
        let root = &head.document.root;
        let is_application = head.form == Form::Application;
        let workflow = workflow::read(head, &options.handlers, report);
        for kind in workflow.steps.iter().filter_map(|step| step.kind) {
            if kind != SUB_WORKFLOW {
                self.handlers.insert(kind.to_owned());
            }
        }
        self.path.push(index);
        let called = self.called(&workflow, report);
        self.path.pop();
        let names = names(&workflow, is_application.then_some(root), options);
        let resolution = resolve(&workflow, &names, &options.step_groups, report);
        let lowered = workflow.name.as_deref().and_then(|name| {
            let whole = workflow.steps.iter().all(Step::is_whole);
            if !whole || workflow.steps.is_empty() || !workflow.names_are_unique {
                return None;
            }
            // What is wrong with these is told, and no graph could stand for it.
            let calls = workflow.steps.iter().filter(|step| is_call(step)).count();
            if called.len() < calls || has_ring(&workflow) {
                return None;
            }
            let plan = Plan {
                workflow: &workflow,
                name,
                resolution,
                called,
                options,
                lenient: options.mode == Mode::Lenient,
            };
            let source = Source {
                dialect: Dialect::StepGroupsYaml.as_str().to_owned(),
                file: file.unwrap_or(&options.file).to_owned(),
                text: text.to_owned(),
            };
            lower(&plan, source)
                .map_err(|invalid| report_invalid(&workflow, &invalid, report))
                .ok()
        });
        self.done.insert(index, lowered.clone());
        lowered
    }

    /// The workflows that steps start.
    fn called(&mut self, workflow: &Workflow<'_>, report: &mut Report) -> HashMap<usize, Called> {
        let mut called = HashMap::new();
        for (index, step) in workflow.steps.iter().enumerate() {
            let Some((name, spot)) = step.workflow.as_ref().filter(|_| is_call(step)) else {
                continue;
            };
            let Some(known) = self.by_name.get(*name).copied() else {
                let names = self.by_name.keys().map(String::as_str);
                let fix = did_you_mean(name, names, "register it or correct the name");
                let what = format!(
                    "workflow {} is not registered; the step could not start it; {fix}",
                    quoted(name)
                );
                report.error("unknown-workflow", spot, what);
                continue;
            };
            if self.path.contains(&known) {
                let what = format!(
                    "workflow {} leads back to this one; it would never end; start another one",
                    quoted(name)
                );
                report.error("workflow-recursion", spot, what);
                continue;
            }
            if let Some(made) = self.one(known, spot, report) {
                let version = made.definition.version().to_owned();
                let name = (*name).to_owned();
                let kinds = rule::begin(&made.definition).map(Begin::kinds);
                let kinds = kinds.unwrap_or_default();
                let made = Called {
                    name,
                    version,
                    kinds,
                };
                called.insert(index, made);
            }
        }
        called
    }

    /// A workflow that is started; what is wrong in another file is told apart.
    fn one(&mut self, known: usize, spot: &Spot, report: &mut Report) -> Option<ImportedWorkflow> {
        let is_new = !self.done.contains_key(&known);
        let made = match self.known[known].file {
            None => self.workflow(known, report),
            Some(file) => {
                let mut own = Report::new(file, self.options.mode);
                let made = self.workflow(known, &mut own);
                let has_errors = own.has_errors();
                self.found.diagnostics.extend(own.finish());
                if has_errors && is_new {
                    let what = format!(
                        "its workflow in {} has errors; the step could not start it; correct them",
                        quoted(file)
                    );
                    report.error("workflow-invalid", spot, what);
                }
                made
            }
        };
        let is_listed = |made: &ImportedWorkflow| {
            let mut called = self.found.called.iter();
            called.any(|one| one.definition.name() == made.definition.name())
        };
        if let Some(made) = made.as_ref().filter(|made| !is_listed(made)) {
            self.found.called.push(made.clone());
        }
        made
    }
}

/// Whether steps of a phase wait for each other in a ring.
fn has_ring(workflow: &Workflow<'_>) -> bool {
    let waits = &workflow.waits;
    let own = waits.iter().enumerate();
    let mut pairs = own.flat_map(|(step, on)| on.iter().map(move |on| (step, *on)));
    pairs.any(|(step, on)| waits[on].contains(&step))
}

/// Everything that the references of a workflow can mean.
fn names<'n>(
    workflow: &'n Workflow<'n>,
    application: Option<&'n Node>,
    options: &'n ImportOptions,
) -> Names<'n> {
    let steps = &workflow.steps;
    let mut names = Names {
        steps: workflow.numbers.clone(),
        order: steps
            .iter()
            .map(|step| step.name.unwrap_or_default())
            .collect(),
        kinds: steps.iter().map(|step| step.kind).collect(),
        phases: vec![0; steps.len()],
        waits: workflow.waits.clone(),
        ..Names::default()
    };
    for (number, phase) in workflow.phases.iter().enumerate() {
        for step in &phase.steps {
            names.phases[*step] = number;
        }
    }
    let declared = workflow.variables.iter().map(|(name, _)| *name);
    let set = steps.iter().filter_map(|step| step.set_variables);
    let set = set.flat_map(|entry| entry.value.entries());
    let set = set.map(|entry| entry.key.as_str());
    names.variables = declared.chain(set).collect();
    let own = &options.step_groups;
    names.process_env = own.process_env.iter().map(String::as_str).collect();
    let parameters = workflow.parameters.iter();
    names.parameters = parameters.map(|one| one.name.as_str()).collect();
    let resources = application.and_then(|root| root.get("resources"));
    let resources = resources
        .into_iter()
        .flat_map(|entry| entry.value.entries());
    let known = own.known_resources.iter().map(String::as_str);
    let made = steps.iter().filter_map(|step| step.resource);
    names.resources = resources
        .map(|entry| entry.key.as_str())
        .chain(known)
        .chain(made)
        .collect();
    names
}
