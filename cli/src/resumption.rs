//! Going on with runs that an earlier process began.

use std::collections::{BTreeMap, HashSet};

use windlass::{Definition, Inspector, RunDetail, RunId};
use windlass_dialects::{
    Dialect, ImportedWorkflow, group_functions, group_rehearsal, import, playbook_functions,
};

use crate::args::{Global, HandlerArgs};
use crate::config::{Config, DialectSettings};
use crate::failure::{Exit, Failure};
use crate::follow::follow;
use crate::handlers_file::HandlerEntries;
use crate::note::Note;
use crate::playbook::Equipment;
use crate::progress::Progress;
use crate::report::report;
use crate::session::Session;
use crate::steps::{Serving, missing_handlers, obstacles};

/// Runs with everything that is needed to go on with them.
#[derive(Debug)]
pub(crate) struct Resumption {
    runs: Vec<RunId>,
    /// One per workflow and version.
    workflows: Vec<Served>,
}

#[derive(Debug)]
struct Served {
    workflow: ImportedWorkflow,
    note: Note,
    entries: HandlerEntries,
}

impl Resumption {
    /// Gathers what is stored with the runs; flags win over it.
    ///
    /// # Errors
    /// A refusal with every reason why a step of one of them could not work.
    pub(crate) fn prepare(
        details: &[RunDetail],
        args: &HandlerArgs,
        config: &Config,
    ) -> Result<Self, Failure> {
        let mut known = HashSet::new();
        let (mut workflows, mut problems) = (Vec::new(), Vec::new());
        for detail in details
            .iter()
            .filter(|detail| !detail.summary.status.is_end())
        {
            let summary = &detail.summary;
            if known.insert((summary.workflow.clone(), summary.version.clone())) {
                match Served::prepare(detail, args, config) {
                    Ok(served) => workflows.push(served),
                    Err(failure) => {
                        let name = |problem| format!("run {}: {problem}", summary.run);
                        problems.extend(failure.problems.into_iter().map(name));
                    }
                }
            }
        }
        if !problems.is_empty() {
            return Err(Failure::all(problems));
        }
        let runs = details.iter().map(|detail| detail.summary.run).collect();
        Ok(Self { runs, workflows })
    }

    /// The same for a single run, also if it has failed.
    pub(crate) fn prepare_retry(
        detail: &RunDetail,
        args: &HandlerArgs,
        config: &Config,
    ) -> Result<Self, Failure> {
        Ok(Self {
            runs: vec![detail.summary.run],
            workflows: vec![Served::prepare(detail, args, config)?],
        })
    }

    /// Serves the workflows, follows the runs, which `before` shows as they were, to their ends and
    /// reports.
    pub(crate) fn finish(
        self,
        session: Session,
        global: &Global,
        config: &Config,
        before: &[RunDetail],
    ) -> Result<Exit, Failure> {
        let mut inspector = session.inspector()?;
        let mut progress = Progress::start();
        for detail in before {
            progress.skip(detail);
        }
        let programs = session.programs()?;
        for served in self.workflows {
            let folder = served.note.folder.clone();
            let equipment = Equipment::new(config, programs.clone(), folder)?;
            let called = called(&mut inspector, &served, config)?;
            let serving = Serving {
                entries: served.entries,
                equipment,
            };
            for workflow in called.into_iter().chain([served.workflow]) {
                session.serve(workflow, &serving)?;
            }
        }
        let followed = follow(&session, &mut inspector, &self.runs, &mut progress)?;
        let followed = session.close(followed, &mut inspector, &mut progress)?;
        drop(progress);
        report(global, config, &followed)
    }
}

impl Served {
    fn prepare(detail: &RunDetail, args: &HandlerArgs, config: &Config) -> Result<Self, Failure> {
        let note = match Note::parse(detail.note.as_deref()) {
            Some(note) => note.overridden(args)?,
            None => Note::of_here(args, config)?,
        };
        let dialects = note.dialects.as_ref().unwrap_or(&config.dialects);
        let workflow = imported_again(&detail.definition, dialects)?;
        let entries = note.entries()?;
        let definitions = [&*detail.definition];
        let mut problems = missing_handlers(&definitions, &entries);
        problems.extend(obstacles(&definitions, &entries, &note.allow, &note.folder));
        if !problems.is_empty() {
            return Err(Failure::all(problems));
        }
        Ok(Self {
            workflow,
            note,
            entries,
        })
    }
}

/// The workflows that one calls, and those that these call.
///
/// # Errors
/// A refusal with every reason why a step of one of them could not work.
fn called(
    inspector: &mut Inspector,
    served: &Served,
    config: &Config,
) -> Result<Vec<ImportedWorkflow>, Failure> {
    let dialects = served.note.dialects.as_ref().unwrap_or(&config.dialects);
    let mut found: Vec<ImportedWorkflow> = Vec::new();
    let own = |definition: &Definition| -> Vec<(String, String)> {
        let called = definition.called().into_iter();
        called
            .map(|(name, version)| (name.to_owned(), version.to_owned()))
            .collect()
    };
    let mut open = own(&served.workflow.definition);
    let mut known: HashSet<(String, String)> = HashSet::new();
    while let Some((name, version)) = open.pop() {
        if !known.insert((name.clone(), version.clone())) {
            continue;
        }
        let stored = inspector
            .workflow(&name, &version)
            .map_err(|error| Failure::broken_off(&error))?;
        let Some(stored) = stored else {
            return Err(Failure::refused(format!(
                "workflow {name} (version {version}) is called and not stored here; start the program that defines it"
            )));
        };
        open.extend(own(&stored));
        found.push(imported_again(&stored, dialects)?);
    }
    let definitions: Vec<_> = found.iter().map(|workflow| &workflow.definition).collect();
    let mut problems = missing_handlers(&definitions, &served.entries);
    let note = &served.note;
    problems.extend(obstacles(
        &definitions,
        &served.entries,
        &note.allow,
        &note.folder,
    ));
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(Failure::all(problems))
    }
}

/// A stored workflow with what only its file gives, imported again from its stored text.
fn imported_again(
    definition: &Definition,
    dialects: &DialectSettings,
) -> Result<ImportedWorkflow, Failure> {
    let Some(source) = definition.source() else {
        return Err(Failure::refused(
            "its workflow was not imported from a file, so only the program that defines it can go on with it; start that program",
        ));
    };
    let dialect: Dialect = source
        .dialect
        .parse()
        .map_err(|error| Failure::refused_by(&error))?;
    if dialect == Dialect::Cacao {
        return playbook_again(definition);
    }
    if dialect == Dialect::StepGroupsYaml
        && let Ok(functions) = group_functions(definition)
    {
        return Ok(ImportedWorkflow {
            definition: definition.clone(),
            functions,
            rehearsal: group_rehearsal(definition),
        });
    }
    let mut options = dialects.options(&source.file, Some(dialect));
    options.document = Some(definition.name().to_owned());
    let imported = import(&source.text, &options);
    let mut workflows = imported.workflows.into_iter();
    let found = workflows.find(|workflow| workflow.definition.name() == definition.name());
    let found = found.ok_or_else(|| {
        Failure::refused("its stored workflow file can no longer be read by this version; use the version that began it")
    })?;
    Ok(ImportedWorkflow {
        definition: definition.clone(),
        ..found
    })
}

/// The functions of a playbook stand in its definition.
fn playbook_again(definition: &Definition) -> Result<ImportedWorkflow, Failure> {
    let functions = playbook_functions(definition).map_err(|unknown| {
        Failure::refused(format!(
            "{} of its functions are unknown to this version; use the version that began it",
            unknown.len()
        ))
    })?;
    Ok(ImportedWorkflow {
        definition: definition.clone(),
        functions,
        rehearsal: BTreeMap::new(),
    })
}

/// The runs that words on the command line name, in full.
pub(crate) fn named(
    inspector: &mut Inspector,
    words: &[String],
) -> Result<Vec<RunDetail>, Failure> {
    let mut details: Vec<RunDetail> = Vec::new();
    let mut problems = Vec::new();
    for word in words {
        let found = crate::engine::find(inspector, word)
            .and_then(|run| crate::engine::show(inspector, run));
        match found {
            Ok(detail)
                if details
                    .iter()
                    .any(|known| known.summary.run == detail.summary.run) => {}
            Ok(detail) => details.push(detail),
            Err(failure) => problems.extend(failure.problems),
        }
    }
    if problems.is_empty() {
        Ok(details)
    } else {
        Err(Failure::all(problems))
    }
}
