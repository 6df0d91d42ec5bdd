//! A definition as a picture: plain graph data, Mermaid or Graphviz text.

use std::fmt::Write as _;

use serde::Serialize;

use crate::definition::{Definition, NodeKind};
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

fn mermaid(definition: &Definition, out: &mut String) -> std::fmt::Result {
    let text = |text: &str| {
        text.replace('&', "&amp;")
            .replace('"', "&quot;")
            .replace('<', "&lt;")
    };
    writeln!(out, "flowchart TD")?;
    for (index, node) in definition.nodes().iter().enumerate() {
        let name = text(&node.name);
        match &node.kind {
            NodeKind::Step(_) | NodeKind::Compute { .. } => {
                writeln!(out, "  n{index}[\"{name}\"]")?;
            }
            NodeKind::Choice { .. } => writeln!(out, "  n{index}{{\"{name}\"}}")?,
            NodeKind::Split { .. } | NodeKind::Join { .. } | NodeKind::Detach { .. } => {
                writeln!(out, "  n{index}{{{{\"{name}\"}}}}")?;
            }
            NodeKind::Sleep { .. } | NodeKind::Await { .. } => {
                writeln!(out, "  n{index}([\"{name}\"])")?;
            }
        }
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
        let shape = match &node.kind {
            NodeKind::Step(_) | NodeKind::Compute { .. } => "box",
            NodeKind::Choice { .. } => "diamond",
            NodeKind::Split { .. } | NodeKind::Join { .. } | NodeKind::Detach { .. } => "hexagon",
            NodeKind::Sleep { .. } | NodeKind::Await { .. } => "ellipse",
        };
        writeln!(
            out,
            "  n{index} [label=\"{}\", shape={shape}];",
            text(&node.name)
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
