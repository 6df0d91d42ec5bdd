//! `windlass check FILE`: everything that is wrong with a workflow file, or its graph.

use windlass::{GraphFormat, draw};
use windlass_dialects::{Imported, ImportedWorkflow};

use super::settings;
use crate::args::{CheckArgs, CheckFormat, Global};
use crate::failure::{Exit, Failure};
use crate::json::CheckJson;
use crate::note::Note;
use crate::stdout::{print, print_json};
use crate::suggestion::listed;
use crate::text;
use crate::workflow_file::{self, Reading, say_diagnostics};

pub(super) fn check(global: &Global, args: &CheckArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, args.file_args.layers())?;
    let entries = Note::of_here(&args.handlers, &config)?.entries()?;
    // Without any handlers at hand the file is judged alone.
    let reading = Reading {
        document: args.document.as_deref(),
        dialect: args.file_args.dialect,
        config: &config,
        entries: Some(&entries).filter(|entries| !entries.0.is_empty()),
    };
    let file = workflow_file::read(&args.file, reading)?;
    file.say_dialect(&args.file);
    let imported = file.imported;
    match args.format {
        _ if global.json => json(args, &imported)?,
        CheckFormat::Json => json(args, &imported)?,
        CheckFormat::Text => print(&lines(&imported))?,
        CheckFormat::Mermaid => drawing(&imported, GraphFormat::Mermaid, "%%")?,
        CheckFormat::Dot => drawing(&imported, GraphFormat::Dot, "//")?,
    }
    Ok(if imported.ok() {
        Exit::Succeeded
    } else {
        Exit::Refused
    })
}

fn json(args: &CheckArgs, imported: &Imported) -> Result<(), Failure> {
    print_json(&CheckJson::of(&args.file.display().to_string(), imported))
}

/// The problems, and the graphs if the file can be run.
fn lines(imported: &Imported) -> String {
    let diagnostics = text::lines(imported.diagnostics.iter().map(ToString::to_string));
    if !imported.ok() {
        return diagnostics;
    }
    let graph = |workflow: &ImportedWorkflow| {
        let definition = &workflow.definition;
        let (name, version) = (definition.name(), definition.version());
        format!(
            "workflow {name} (version {version})\n{}",
            text::graph(definition)
        )
    };
    let all = imported.called.iter().chain(&imported.workflows);
    let graphs: Vec<_> = all.map(graph).collect();
    let needed = listed(imported.handlers_needed.iter().map(String::as_str));
    let features = imported.features.keys().map(String::as_str);
    let features = if imported.features.is_empty() {
        String::new()
    } else {
        format!("processing flags: {}\n", listed(features))
    };
    format!(
        "{diagnostics}{}handlers needed: {needed}\n{features}",
        graphs.concat()
    )
}

fn drawing(imported: &Imported, format: GraphFormat, comment: &str) -> Result<(), Failure> {
    say_diagnostics(imported);
    let one = |workflow: &ImportedWorkflow| {
        let name = workflow.definition.name();
        let drawn = draw(&workflow.definition, format);
        match imported.workflows.len() {
            1 => drawn,
            _ => format!("{comment} {name}\n{drawn}"),
        }
    };
    print(
        &imported
            .workflows
            .iter()
            .map(one)
            .collect::<Vec<_>>()
            .concat(),
    )
}
