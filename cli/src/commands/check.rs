//! `windlass check FILE`: everything that is wrong with a workflow file, or its graph.

use windlass::{GraphFormat, draw};
use windlass_dialects::Imported;

use super::settings;
use crate::args::{CheckArgs, CheckFormat, Global};
use crate::failure::{Exit, Failure};
use crate::json::CheckJson;
use crate::note::Note;
use crate::stdout::{print, print_json};
use crate::text;
use crate::workflow_file::{self, Reading, say_diagnostics};

pub(super) fn check(global: &Global, args: &CheckArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, Vec::new())?;
    let entries = Note::of_here(&args.handlers, &config)?.entries()?;
    // Without any handlers at hand the file is judged alone.
    let types = (!entries.0.is_empty()).then(|| entries.types());
    let reading = Reading {
        document: args.document.as_deref(),
        max_concurrent_steps: config.max_concurrent_steps,
        types,
    };
    let imported = workflow_file::read(&args.file, reading)?;
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
    let mut text: String = imported
        .diagnostics
        .iter()
        .map(|found| format!("{found}\n"))
        .collect();
    if !imported.ok() {
        return text;
    }
    for workflow in &imported.workflows {
        let definition = &workflow.definition;
        text.push_str(&format!(
            "workflow {} (version {})\n",
            definition.name(),
            definition.version()
        ));
        text.push_str(&text::graph(definition));
    }
    let needed = if imported.handlers_needed.is_empty() {
        "none".to_owned()
    } else {
        imported.handlers_needed.join(", ")
    };
    text.push_str(&format!("handlers needed: {needed}\n"));
    text
}

fn drawing(imported: &Imported, format: GraphFormat, comment: &str) -> Result<(), Failure> {
    say_diagnostics(imported);
    let mut text = String::new();
    for workflow in &imported.workflows {
        if imported.workflows.len() > 1 {
            text.push_str(&format!("{comment} {}\n", workflow.definition.name()));
        }
        text.push_str(&draw(&workflow.definition, format));
    }
    print(&text)
}
