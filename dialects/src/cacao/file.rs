//! A whole file, from its text to its workflow and those that it calls.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_workflow_model::{Definition, InvalidWorkflow};

use crate::cacao::lowering::{Called, Plan, lower};
use crate::cacao::playbook::{Kind, Playbook};
use crate::cacao::read::{self, Reader};
use crate::cacao::store::{Entry, Store};
use crate::cacao::{check, feature, graph, parallelizable, rule, upgrade};
use crate::diagnostic::{Diagnostic, Report, Spot, listed, quoted};
use crate::import::ImportedWorkflow;
use crate::json;
use crate::limits::FILE_BYTES_MAX;
use crate::options::{ImportOptions, Mode, PlaybookFile};

/// What was made of a file.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) workflow: Option<ImportedWorkflow>,
    /// The workflows of called playbooks, each before those that call it.
    pub(crate) called: Vec<ImportedWorkflow>,
    pub(crate) handlers_needed: Vec<String>,
    /// The processing flags that are set, with the steps that set them.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// What there is to say about the files of called playbooks.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Whether a text looks like a playbook.
pub(crate) fn recognises(text: &str) -> bool {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if text.len() > FILE_BYTES_MAX || !start.starts_with('{') {
        return false;
    }
    match json::entries(text) {
        Some(entries) => {
            let is_playbook = |(key, value): &(String, &str)| {
                key == "workflow_start" || (key == "type" && *value == "\"playbook\"")
            };
            entries.iter().any(is_playbook)
        }
        // One that cannot be read gives itself away by a key that only this dialect has.
        None => text.contains("workflow_start"),
    }
}

/// Imports the playbook of a text.
pub(crate) fn import(text: &str, options: &ImportOptions, report: &mut Report) -> Found {
    let mut importer = Importer {
        options,
        store: None,
        path: Vec::new(),
        done: BTreeMap::new(),
        unread: BTreeSet::new(),
        found: Found::default(),
        handlers: BTreeSet::new(),
    };
    check_options(options, report);
    let one = importer.playbook(text, report);
    let mut found = importer.found;
    found.handlers_needed = importer.handlers.into_iter().collect();
    if let Some(one) = one {
        (found.workflow, found.features) = (one.workflow, one.features);
    }
    found
}

fn check_options(options: &ImportOptions, report: &mut Report) {
    let cacao = &options.cacao;
    for (name, is_zero, why) in [
        (
            "max_loop_iterations",
            cacao.max_loop_iterations == 0,
            "no while step could run",
        ),
        (
            "max_parallel_branches",
            cacao.max_parallel_branches == Some(0),
            "no step could ever start",
        ),
        (
            "max_playbook_depth",
            cacao.max_playbook_depth == 0,
            "no playbook could be called",
        ),
    ] {
        if is_zero {
            let what = format!("option {name} is 0; {why}; use 1 or more");
            report.error("option-invalid", &Spot::default(), what);
        }
    }
}

/// A playbook that was imported.
#[derive(Clone)]
struct One {
    name: String,
    /// How deep calls nest in it; 0 if it calls nothing.
    height: u32,
    workflow: Option<ImportedWorkflow>,
    features: BTreeMap<String, Vec<String>>,
    /// Names and whether they are external.
    variables: Vec<(String, bool)>,
}

struct Importer<'o> {
    options: &'o ImportOptions,
    /// Read when a playbook first calls another.
    store: Option<Store>,
    /// The ids of the playbooks that are being imported, each called by the one before.
    path: Vec<String>,
    /// What called playbooks came to, by id and version.
    done: BTreeMap<(String, String), One>,
    /// Files of the store whose syntax errors were told.
    unread: BTreeSet<String>,
    found: Found,
    handlers: BTreeSet<String>,
}

impl Importer<'_> {
    /// Imports one playbook and, before it, those that it calls. Recursive, as deep as there are
    /// playbooks that call each other.
    fn playbook(&mut self, text: &str, report: &mut Report) -> Option<One> {
        let options = self.options;
        let lenient = options.mode == Mode::Lenient;
        let mut root = read_json(text, report)?;
        let mut reader = Reader { report };
        let upgrades = options.cacao.upgrade_1x.unwrap_or(lenient);
        let made = upgrade::settle_version(&mut root, upgrades, &mut reader)?;
        let mut playbook = read::read(&root, reader.report)?;
        let mut reader = Reader { report };
        let accepted = options.cacao.parallelizable.unwrap_or(lenient);
        parallelizable::rewrite(&mut playbook, accepted, &mut reader);
        let cut = graph::cut_iterations(&mut playbook, &mut reader);
        let has_rings = graph::report_rings(&playbook, &cut, &mut reader);
        let joins = if has_rings {
            HashMap::new()
        } else {
            let joins = graph::implied_joins(&playbook, &cut, &mut reader);
            graph::report_shared(&playbook, &cut, &joins, &mut reader);
            joins
        };
        graph::report_unreachable(&playbook, &mut reader);
        check::move_outputs(&mut playbook, &mut reader);
        check::check_variables(&mut playbook, &mut reader);
        check::check_handlers(&playbook, &options.handlers, &mut reader);
        let features = feature::computed(&playbook, &made);
        reader.judge_features(&playbook, &features, &options.cacao.refuse_features);
        self.note_handlers(&playbook);
        let (called, height) = self.called(&playbook, &mut reader);
        let mut one = One {
            name: playbook.name.clone(),
            height,
            workflow: None,
            features: features
                .into_iter()
                .map(|(flag, steps)| (flag.to_owned(), steps))
                .collect(),
            variables: playbook
                .variables
                .iter()
                .map(|variable| (variable.name.clone(), variable.external))
                .collect(),
        };
        if reader.report.is_broken() || has_errors(reader.report, lenient) {
            return Some(one);
        }
        let plan = Plan {
            playbook: &playbook,
            options,
            called,
            cut,
            joins,
        };
        match lower(&plan, &mut reader) {
            Ok(definition) => {
                one.workflow = definition
                    .and_then(|definition| with_functions(definition, &playbook, &mut reader));
            }
            Err(invalid) => report_invalid(&playbook, &invalid, &mut reader),
        }
        Some(one)
    }

    fn note_handlers(&mut self, playbook: &Playbook) {
        for (command, names) in check::handled_commands(playbook) {
            let handler = check::handler(&self.options.handlers, &names);
            self.handlers
                .insert(handler.unwrap_or_else(|| command.kind.clone()));
        }
    }

    /// The workflows of all called playbooks, and how deep calls nest.
    fn called(
        &mut self,
        playbook: &Playbook,
        reader: &mut Reader<'_>,
    ) -> (HashMap<usize, Called>, u32) {
        let (mut called, mut height) = (HashMap::new(), 0);
        let most = self.options.cacao.max_playbook_depth;
        self.path.push(playbook.id.clone());
        for (number, step) in playbook.steps.iter().enumerate() {
            let Kind::Playbook(action) = &step.kind else {
                continue;
            };
            if action.playbook.is_empty() {
                continue;
            }
            let spot = action.spot.clone().called(step.spot.subject.clone());
            if self.path.contains(&action.playbook) {
                let what = "calls lead back to this playbook; it would never end; use while";
                reader.error("playbook-recursion", &spot, what);
                continue;
            }
            let store = self
                .store
                .get_or_insert_with(|| Store::read(&self.options.cacao.playbooks));
            let Some(entry) = store
                .find(&action.playbook, action.version.as_deref())
                .cloned()
            else {
                let version = action
                    .version
                    .as_ref()
                    .map_or_else(String::new, |version| format!(" of {version}"));
                let unread: Vec<PlaybookFile> = store.unread(&action.playbook).cloned().collect();
                let fix = if unread.is_empty() {
                    "add it".to_owned()
                } else {
                    let files = unread.iter().map(|file| file.file.as_str());
                    format!(
                        "correct what cannot be read in {}, or add it",
                        listed(files)
                    )
                };
                let what = format!(
                    "{}{version} is not in the store; it could not run; {fix}",
                    action.playbook
                );
                reader.error("playbook-not-found", &spot, what);
                self.tell_unread(unread);
                continue;
            };
            if let Some(twin) = store.twin(&entry) {
                let what = format!(
                    "{} and {} both hold {} of {}; which one would run is open; remove one or change its modified",
                    quoted(&entry.file),
                    quoted(&twin.file),
                    action.playbook,
                    quoted(&entry.modified)
                );
                reader.error("playbook-ambiguous", &spot, what);
                continue;
            }
            let Some(one) = self.child(&entry) else {
                let what = format!(
                    "{} in {} cannot be run; correct the errors there",
                    action.playbook,
                    quoted(&entry.file)
                );
                reader.error("playbook-not-runnable", &spot, what);
                continue;
            };
            let deep = one.height.saturating_add(1);
            height = height.max(deep);
            // Told where it begins, once.
            if self.path.len() == 1 && most > 0 && deep > most {
                let what = format!(
                    "calls are nested {deep} deep from here, {most} is the bound; the last of them would fail; call less deep, or raise max_playbook_depth"
                );
                reader.error("call-depth", &spot, what);
            }
            for named in &action.in_args {
                if !one.variables.contains(&(named.name.clone(), true)) {
                    let what = format!(
                        "{} is not external in {}; callers may not set it; mark it external there",
                        named.name, action.playbook
                    );
                    reader.error("variable-not-external", &named.spot, what);
                }
            }
            for named in &action.out_args {
                if !one.variables.iter().any(|(name, _)| *name == named.name) {
                    let what = format!(
                        "{} is no variable of {}; nothing could come back; declare it there",
                        named.name, action.playbook
                    );
                    reader.error("unknown-variable", &named.spot, what);
                }
            }
            if let Some(workflow) = &one.workflow {
                let workflow = Called {
                    playbook: one.name.clone(),
                    workflow: workflow.definition.name().to_owned(),
                    version: workflow.definition.version().to_owned(),
                };
                called.insert(number, workflow);
            }
        }
        self.path.pop();
        (called, height)
    }

    /// Reports what is wrong with files of the store that are no JSON, each once.
    fn tell_unread(&mut self, files: Vec<PlaybookFile>) {
        for file in files {
            if self.unread.insert(file.file.clone()) {
                let mut report = Report::new(&file.file, self.options.mode);
                read_json(&file.text, &mut report);
                self.found.diagnostics.extend(report.finish());
            }
        }
    }

    /// A called playbook; `None` if it cannot be run.
    fn child(&mut self, entry: &Entry) -> Option<One> {
        let key = (entry.id.clone(), entry.modified.clone());
        if let Some(one) = self.done.get(&key) {
            return Some(one.clone()).filter(|one| one.workflow.is_some());
        }
        let mut report = Report::new(&entry.file, self.options.mode);
        let one = self.playbook(&entry.text, &mut report).unwrap_or(One {
            name: String::new(),
            height: 0,
            workflow: None,
            features: BTreeMap::new(),
            variables: Vec::new(),
        });
        self.found.diagnostics.extend(report.finish());
        self.found.called.extend(one.workflow.clone());
        self.done.insert(key, one.clone());
        Some(one).filter(|one| one.workflow.is_some())
    }
}

/// Repairable problems are errors in strict mode.
fn has_errors(report: &Report, lenient: bool) -> bool {
    !lenient && report.has_errors()
}

fn read_json(text: &str, report: &mut Report) -> Option<crate::tree::Node> {
    let read = json::read(text);
    for problem in read.problems {
        let spot = Spot {
            document: Some(1),
            mark: Some(problem.mark),
            pointer: Some(problem.pointer),
            ..Spot::default()
        }
        .called_by_pointer();
        let what = match (problem.code, curly(text)) {
            ("document-syntax", Some(line)) => {
                format!(
                    "{} (curly quotes in line {line} are not JSON quotes; use \")",
                    problem.what
                )
            }
            _ => problem.what,
        };
        report.error(problem.code, &spot, what);
    }
    read.root
}

/// The first line with a quotation mark of printed text.
fn curly(text: &str) -> Option<usize> {
    let place = text.find(['\u{201c}', '\u{201d}', '\u{201e}'])?;
    Some(text[..place].matches('\n').count() + 1)
}

fn with_functions(
    definition: Definition,
    playbook: &Playbook,
    reader: &mut Reader<'_>,
) -> Option<ImportedWorkflow> {
    match rule::functions(&definition) {
        Ok(functions) => Some(ImportedWorkflow {
            definition,
            functions,
            rehearsal: BTreeMap::new(),
        }),
        Err(unknown) => {
            let what = format!(
                "{} of its functions cannot be read back; please report it",
                unknown.len()
            );
            reader.error("workflow-invalid", &playbook.spot, what);
            None
        }
    }
}

/// Reports what only the finished graph shows: names and sizes that the engine refuses.
fn report_invalid(playbook: &Playbook, invalid: &InvalidWorkflow, reader: &mut Reader<'_>) {
    for problem in &invalid.problems {
        let name = problem.node.as_deref().unwrap_or_default();
        let step = playbook
            .steps
            .iter()
            .find(|step| name.starts_with(step.name.as_str()));
        let spot = step.map_or(&playbook.spot, |step| &step.spot);
        let what = format!("{name}: {}", problem.message);
        reader.error("workflow-invalid", spot, what);
    }
}
