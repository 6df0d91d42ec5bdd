//! The one place where these tests touch the API.

use windlass_dialects::{
    HandlerTypes, ImportOptions, Imported, ImportedWorkflow, Mode, Severity, import,
};
use windlass_workflow_model::{Branches, Definition, NodeId, NodeKind};

/// Options for a file called `ship.yaml`.
pub(crate) fn options() -> ImportOptions {
    ImportOptions::new("ship.yaml")
}

/// Options under which only these types have handlers.
pub(crate) fn handlers(types: &[&str]) -> ImportOptions {
    let mut options = options();
    options.handlers = HandlerTypes::Known(types.iter().map(|kind| (*kind).to_owned()).collect());
    options
}

/// Options in lenient mode.
pub(crate) fn lenient() -> ImportOptions {
    let mut options = options();
    options.mode = Mode::Lenient;
    options
}

/// The only workflow of a text without errors.
pub(crate) fn workflow(text: &str) -> ImportedWorkflow {
    let mut imported = import(text, &options());
    assert!(imported.ok(), "{}", listing(&imported));
    assert_eq!(imported.workflows.len(), 1);
    imported.workflows.remove(0)
}

/// All diagnostics, a line each.
pub(crate) fn listing(imported: &Imported) -> String {
    let lines = imported.diagnostics.iter().map(ToString::to_string);
    lines.collect::<Vec<_>>().join("\n")
}

/// The codes of one severity, sorted, each once.
pub(crate) fn codes(imported: &Imported, severity: Severity) -> Vec<&'static str> {
    let of = |d: &&windlass_dialects::Diagnostic| d.severity == severity;
    let mut codes: Vec<_> = imported
        .diagnostics
        .iter()
        .filter(of)
        .map(|d| d.code)
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// A graph in one line: `[a|b] → c`.
pub(crate) fn shape(definition: &Definition) -> String {
    let mut parts = Vec::new();
    let mut at = Some(definition.start());
    while let Some(id) = at {
        let node = definition.node(id);
        let (part, next) = match &node.kind {
            NodeKind::Step(_) => (node.name.clone(), node.next),
            NodeKind::Split {
                branches: Branches::Static(list),
                join,
                ..
            } => {
                for (name, first) in list {
                    check_branch(definition, name, *first, *join);
                }
                let names: Vec<_> = list.iter().map(|(name, _)| name.as_str()).collect();
                (
                    format!("[{}]", names.join("|")),
                    definition.node(*join).next,
                )
            }
            other => panic!("unexpected {}", other.word()),
        };
        parts.push(part);
        at = next;
    }
    parts.join(" → ")
}

fn check_branch(definition: &Definition, branch: &str, first: NodeId, join: NodeId) {
    let node = definition.node(first);
    assert_eq!(node.name, branch, "a branch has the name of its step");
    assert_eq!(node.next, Some(join), "{branch} leads to the join");
}
