//! A definition as a picture: plain graph data, Mermaid or Graphviz text.

use std::fmt::Write as _;

use serde::Serialize;

use crate::definition::{Definition, Need, Node, NodeKind, Rest, StepSpec};
use crate::ids::NodeId;
use crate::validate::edges;

/// Nodes and edges, ready to be drawn. Ids are the nodes' names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// In the order of the definition.
    pub nodes: Vec<GraphNode>,
    /// In the order of the nodes that they leave.
    pub edges: Vec<GraphEdge>,
}

/// One node of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphNode {
    /// The node's name.
    pub id: String,
    /// One word for what it is.
    pub kind: String,
}

/// One edge of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphEdge {
    /// The node it leaves.
    pub from: String,
    /// The node it enters.
    pub to: String,
    /// A branch, an arm or `fault`.
    pub label: Option<String>,
}

impl Graph {
    /// The graph of a definition.
    pub fn of(definition: &Definition) -> Self {
        let name = |id: NodeId| definition.node(id).name.clone();
        let nodes = definition
            .nodes()
            .iter()
            .map(|node| GraphNode {
                id: node.name.clone(),
                kind: node.kind.word().to_owned(),
            })
            .collect();
        let edges = (0..)
            .map(NodeId)
            .zip(definition.nodes())
            .flat_map(|(id, _)| {
                edges(definition, id)
                    .into_iter()
                    .map(move |edge| (id, edge))
            })
            .map(|(from, (to, label))| GraphEdge {
                from: name(from),
                to: name(to),
                label,
            })
            .collect();
        Self { nodes, edges }
    }
}

/// The languages a graph can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    /// A Mermaid flowchart.
    Mermaid,
    /// A Graphviz digraph.
    Dot,
}

/// The graph of a definition as text, ending with a newline.
pub fn draw(definition: &Definition, format: GraphFormat) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match format {
        GraphFormat::Mermaid => mermaid(definition, &mut out),
        GraphFormat::Dot => dot(definition, &mut out),
    };
    out
}

/// What a node looks like.
enum Shape {
    Work,
    Decision,
    Gateway,
    Wait,
    Nested,
    End,
}

fn shape(kind: &NodeKind) -> Shape {
    match kind {
        NodeKind::Step(_) | NodeKind::Compute { .. } => Shape::Work,
        NodeKind::Choice { .. } | NodeKind::Loop { .. } => Shape::Decision,
        NodeKind::Split { .. }
        | NodeKind::Join { .. }
        | NodeKind::Fork { .. }
        | NodeKind::Meet { .. }
        | NodeKind::Input { .. }
        | NodeKind::Merge { .. }
        | NodeKind::Again { .. }
        | NodeKind::Cancel { .. }
        | NodeKind::Milestone { .. }
        | NodeKind::Detach { .. } => Shape::Gateway,
        NodeKind::Sleep { .. } | NodeKind::Await { .. } | NodeKind::Select { .. } => Shape::Wait,
        NodeKind::Scope { .. } | NodeKind::Map { .. } | NodeKind::Call(_) => Shape::Nested,
        NodeKind::Terminate => Shape::End,
    }
}

/// A node's name, and what changes its meaning.
fn caption(node: &Node) -> String {
    let name = &node.name;
    match &node.kind {
        NodeKind::Join { need, rest, .. } | NodeKind::Meet { need, rest, .. } => {
            let need = match need {
                Need::All => return name.clone(),
                Need::First => "first".to_owned(),
                Need::AtLeast(needed) => format!("{needed}"),
                Need::ActiveLocal => "active-local".to_owned(),
                Need::ActiveGlobal => "active-global".to_owned(),
            };
            let rest = match rest {
                Rest::Absorb => "absorb",
                Rest::Cancel => "cancel",
                Rest::Block => "block",
                Rest::Queue => "queue",
            };
            format!("{name} ({need}, {rest})")
        }
        NodeKind::Scope {
            mutex: Some(mutex), ..
        } => format!("{name} (mutex {mutex})"),
        NodeKind::Merge { multi: true } => format!("{name} (multi)"),
        NodeKind::Milestone { milestone, reached } => {
            let verb = if *reached { "reached" } else { "passed" };
            format!("{name} ({milestone} {verb})")
        }
        NodeKind::Step(StepSpec {
            gate: Some(gate), ..
        }) => format!("{name} (while {gate})"),
        NodeKind::Call(call) => format!("{name} (runs {})", call.workflow),
        _ => name.clone(),
    }
}

fn mermaid(definition: &Definition, out: &mut String) -> std::fmt::Result {
    let text = |text: &str| {
        text.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;")
    };
    writeln!(out, "flowchart TD")?;
    for (index, node) in definition.nodes().iter().enumerate() {
        let (open, close) = match shape(&node.kind) {
            Shape::Work => ("[", "]"),
            Shape::Decision => ("{", "}"),
            Shape::Gateway => ("{{", "}}"),
            Shape::Wait => ("([", "])"),
            Shape::Nested => ("[[", "]]"),
            Shape::End => ("(((", ")))"),
        };
        writeln!(out, "  n{index}{open}\"{}\"{close}", text(&caption(node)))?;
    }
    for (index, _) in definition.nodes().iter().enumerate() {
        for (to, label) in edges(definition, NodeId(u32::try_from(index).unwrap_or(u32::MAX))) {
            match label {
                Some(label) => writeln!(out, "  n{index} -->|\"{}\"| n{to}", text(&label))?,
                None => writeln!(out, "  n{index} --> n{to}")?,
            }
        }
    }
    Ok(())
}

fn dot(definition: &Definition, out: &mut String) -> std::fmt::Result {
    let text = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    writeln!(out, "digraph \"{}\" {{", text(definition.name()))?;
    for (index, node) in definition.nodes().iter().enumerate() {
        let shape = match shape(&node.kind) {
            Shape::Work => "box",
            Shape::Decision => "diamond",
            Shape::Gateway => "hexagon",
            Shape::Wait => "ellipse",
            Shape::Nested => "component",
            Shape::End => "doublecircle",
        };
        writeln!(
            out,
            "  n{index} [label=\"{}\", shape={shape}];",
            text(&caption(node))
        )?;
    }
    for (index, _) in definition.nodes().iter().enumerate() {
        for (to, label) in edges(definition, NodeId(u32::try_from(index).unwrap_or(u32::MAX))) {
            match label {
                Some(label) => writeln!(out, "  n{index} -> n{to} [label=\"{}\"];", text(&label))?,
                None => writeln!(out, "  n{index} -> n{to};")?,
            }
        }
    }
    writeln!(out, "}}")
}
