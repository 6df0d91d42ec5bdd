//! The three forms of a document, and the workflows that stand in it.

use std::path::Path;

use crate::diagnostic::Spot;
use crate::pointer::Pointer;
use crate::tree::{Node, Value};
use crate::yaml::Document;

/// Values of `kind` that make a document a workflow.
pub(crate) const KINDS: [&str; 3] = ["Workflow", "ProductWorkflow", "PlatformWorkflow"];

/// How a document says that it is a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By its `kind`.
    Full,
    /// By nothing but its `steps`.
    Bare,
    /// A Score application with a map of workflows.
    Application,
}

/// A workflow where it stands, not read yet.
pub(crate) struct Head<'a> {
    pub(crate) form: Form,
    /// Missing if the file has none, which is an error.
    pub(crate) name: Option<String>,
    /// Where the name stands, or should.
    pub(crate) name_spot: Spot,
    pub(crate) document: &'a Document,
    /// The map that holds the workflow's fields.
    pub(crate) body: &'a Node,
    pub(crate) spot: Spot,
}

/// The form of a document, if it is a workflow.
pub(crate) fn form(root: &Node) -> Option<Form> {
    let text = |key| root.get(key).and_then(|entry| entry.value.text());
    if text("kind").is_some_and(|kind| KINDS.contains(&kind)) {
        return Some(Form::Full);
    }
    let workflows = root.get("workflows").map(|entry| &entry.value.value);
    let score = text("apiVersion").is_some_and(|version| version.starts_with("score.dev/"));
    if score && matches!(workflows, Some(Value::Map(_))) {
        return Some(Form::Application);
    }
    let bare =
        root.get("kind").is_none() && root.entries().iter().any(|entry| entry.key == "steps");
    bare.then_some(Form::Bare)
}

/// The workflows of a document, in order.
pub(crate) fn heads<'a>(document: &'a Document, file: &str) -> Vec<Head<'a>> {
    let root = &document.root;
    let spot = root_spot(document);
    let (named, name_spot) = metadata_name(root, &spot);
    match form(root) {
        None => Vec::new(),
        Some(form @ Form::Full) => vec![Head {
            form,
            name: named,
            name_spot,
            document,
            body: root,
            spot,
        }],
        Some(form @ Form::Bare) => {
            let entry = root
                .get("name")
                .filter(|entry| entry.value.text().is_some());
            let name = entry
                .and_then(|entry| entry.value.text())
                .map(str::to_owned);
            let name_spot = entry.map_or_else(|| spot.clone(), |entry| spot.entry(entry));
            vec![Head {
                form,
                name: Some(name.unwrap_or_else(|| default_name(file, document.number))),
                name_spot,
                document,
                body: root,
                spot,
            }]
        }
        Some(form @ Form::Application) => {
            let Some(workflows) = root.get("workflows") else {
                return Vec::new();
            };
            let map = spot.entry(workflows);
            let heads = workflows.value.entries().iter().map(|entry| Head {
                form,
                name: named.as_ref().map(|name| format!("{name}/{}", entry.key)),
                name_spot: if named.is_some() {
                    map.entry(entry)
                } else {
                    name_spot.clone()
                },
                document,
                body: &entry.value,
                spot: map.entry(entry),
            });
            heads.collect()
        }
    }
}

/// The place of a whole document.
pub(crate) fn root_spot(document: &Document) -> Spot {
    Spot {
        document: Some(document.number),
        pointer: Some(Pointer::default()),
        mark: Some(document.root.mark),
        ..Spot::default()
    }
}

fn metadata_name(root: &Node, spot: &Spot) -> (Option<String>, Spot) {
    let Some(metadata) = root.get("metadata") else {
        return (None, spot.clone());
    };
    let inside = spot.entry(metadata);
    let Some(entry) = metadata.value.get("name") else {
        return (None, inside);
    };
    let name = entry.value.text().filter(|name| !name.is_empty());
    (name.map(str::to_owned), inside.entry(entry))
}

fn default_name(file: &str, number: u32) -> String {
    let stem = Path::new(file).file_stem().unwrap_or_default();
    let stem = stem.to_string_lossy();
    let stem = if stem.is_empty() { "workflow" } else { &*stem };
    format!("{stem}-{number}")
}
