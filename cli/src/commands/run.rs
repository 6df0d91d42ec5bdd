//! `windlass run FILE`: the workflows of a file, one after another, to their ends.

use std::time::Duration;

use serde_json::Value as Json;
use windlass::{Definition, Engine, Inspector, Payload, Request, RunFilter, RunId};
use windlass_dialects::{
    Imported, ImportedWorkflow, StartRefusal, start_refusals, validity_refusals,
};

use super::settings;
use crate::args::{Global, RunArgs};
use crate::clock::{now_micros, unique_text};
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::follow::{Followed, follow};
use crate::handlers_file::HandlerEntries;
use crate::input;
use crate::note::Note;
use crate::playbook::Equipment;
use crate::progress::Progress;
use crate::report::report;
use crate::session::Session;
use crate::stdout::say;
use crate::steps::{Policies, Serving, obstacles, settle};
use crate::suggestion::listed;
use crate::workflow_file::{self, Reading, say_diagnostics};

/// Unfinished runs that are counted before it says "or more".
const COUNTED_MAX: u32 = 1_000;

pub(super) fn run(global: &Global, args: &RunArgs) -> Result<Exit, Failure> {
    let flags = [args.engine.layers(), args.file_args.layers()].concat();
    let (config, _) = settings(global, flags)?;
    let note = Note::of_here(&args.handlers, &config)?;
    let entries = note.entries()?;
    let reading = Reading {
        document: args.document.as_deref(),
        dialect: args.file_args.dialect,
        config: &config,
        entries: Some(&entries),
    };
    let file = workflow_file::read(&args.file, reading)?;
    say_diagnostics(&file.imported);
    file.say_dialect(&args.file);
    let imported = file.imported;
    let input = judge(args, &imported, &note, &entries)?;

    let session = Session::open(&config)?;
    let mut inspector = session.inspector()?;
    let mut progress = Progress::start();
    say_older(&mut inspector, &config, &progress)?;
    let equipment = Equipment::new(&config, session.programs()?, note.folder.clone())?;
    let serving = Serving { entries, equipment };
    let begin = Beginning {
        session: &session,
        serving: &serving,
        note: &note,
        input: &input,
        step_timeout: config.dialects.step_timeout(imported.dialect),
        invocation: unique_text(),
    };
    for called in imported.called {
        begin.serve(called)?;
    }
    let mut followed: Vec<Followed> = Vec::new();
    let mut workflows = imported.workflows.into_iter();
    while followed
        .iter()
        .all(|before| before.exit() == Exit::Succeeded)
        && let Some(workflow) = workflows.next()
    {
        let name = workflow.definition.name().to_owned();
        let run = begin.begin(workflow)?;
        progress.say(&format!("run {run} of workflow {name} begins"));
        followed.append(&mut follow(
            &session,
            &mut inspector,
            &[run],
            &mut progress,
        )?);
    }
    let followed = session.close(followed, &mut inspector, &mut progress)?;
    drop(progress);
    let exit = report(global, &config, &followed)?;
    say_not_run(workflows.map(|workflow| workflow.definition));
    Ok(exit)
}

/// The run's input, or everything that speaks against running the file.
fn judge(
    args: &RunArgs,
    imported: &Imported,
    note: &Note,
    entries: &HandlerEntries,
) -> Result<Json, Failure> {
    let all = imported.workflows.iter().chain(&imported.called);
    let definitions: Vec<_> = all.map(|found| &found.definition).collect();
    let mut problems = obstacles(&definitions, entries, &note.allow, &note.folder);
    let mut unread = Vec::new();
    let mut input =
        input::read(args.input.as_deref(), imported.dialect).unwrap_or_else(|failure| {
            unread = failure.problems;
            Json::Null
        });
    let own: Vec<_> = imported.workflows.iter().collect();
    unread.extend(input::set_parameters(&args.param, &own, &mut input));
    input::add_process_env(&own, &mut input);
    let is_read = unread.is_empty();
    problems.extend(unread);
    if !imported.ok() {
        let file = args.file.display();
        problems.push(format!(
            "{file} cannot be run as it is: nothing was run; correct the errors above"
        ));
    }
    let now_ms = now_micros() / 1_000;
    // What was not understood would be missed there once more.
    for workflow in imported.workflows.iter().filter(|_| is_read) {
        let refusals = start_refusals(&workflow.definition, &input, now_ms);
        problems.extend(refusals.iter().map(coded));
    }
    for workflow in &imported.called {
        let refusals = validity_refusals(&workflow.definition, now_ms);
        problems.extend(refusals.iter().map(coded));
    }
    if problems.is_empty() {
        Ok(input)
    } else {
        Err(Failure::all(problems).with_diagnostics(&imported.diagnostics))
    }
}

fn coded(refusal: &StartRefusal) -> String {
    format!("{} [{}]", refusal.message, refusal.code)
}

/// Everything that runs of one invocation begin with.
struct Beginning<'b> {
    session: &'b Session,
    serving: &'b Serving,
    note: &'b Note,
    input: &'b Json,
    /// Limit for a step that has none of its own.
    step_timeout: Option<Duration>,
    invocation: String,
}

impl Beginning<'_> {
    /// Makes the run durable; it begins at once.
    fn begin(&self, workflow: ImportedWorkflow) -> Result<RunId, Failure> {
        let definition = self.serve(workflow)?;
        schedule(self.session.engine(), &definition, self.input, self.note)
    }

    /// From now on the engine takes jobs of this workflow.
    fn serve(&self, workflow: ImportedWorkflow) -> Result<Definition, Failure> {
        let policies = Policies {
            entries: &self.serving.entries,
            step_timeout: self.step_timeout,
        };
        let definition = settle(workflow.definition, policies, &self.invocation);
        let workflow = ImportedWorkflow {
            definition: definition.clone(),
            ..workflow
        };
        self.session.serve(workflow, self.serving)?;
        Ok(definition)
    }
}

fn schedule(
    engine: &Engine,
    definition: &Definition,
    input: &Json,
    note: &Note,
) -> Result<RunId, Failure> {
    let input = Payload::encode(input).map_err(|error| Failure::refused_by(&error))?;
    let request = Request::new(definition.name(), input)
        .version(definition.version())
        .note(note.to_text()?);
    let handle = engine.scheduler().schedule_blocking(request);
    Ok(handle.map_err(|error| Failure::refused_by(&error))?.id())
}

fn say_older(
    inspector: &mut Inspector,
    config: &Config,
    progress: &Progress,
) -> Result<(), Failure> {
    let older = inspector
        .runs(RunFilter::Unfinished, COUNTED_MAX)
        .map_err(|error| Failure::broken_off(&error))?
        .len();
    let db = config.database.display();
    match older {
        0 => {}
        1 => progress.say(&format!("1 older unfinished run in {db} is left alone; windlass resume --db {db} finishes it")),
        _ => progress.say(&format!("{older} older unfinished runs in {db} are left alone; windlass resume --db {db} finishes them")),
    }
    Ok(())
}

fn say_not_run(definitions: impl Iterator<Item = Definition>) {
    let names: Vec<_> = definitions
        .map(|definition| definition.name().to_owned())
        .collect();
    if !names.is_empty() {
        let names = listed(names.iter().map(String::as_str));
        say(format!(
            "not run, because the workflow before did not succeed: {names}; run one with --document NAME"
        ));
    }
}
