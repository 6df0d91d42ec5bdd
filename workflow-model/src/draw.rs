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
    /// What changes its meaning, such as what a join needs or which mutex a scope holds.
    pub detail: Option<String>,
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
                detail: detail(definition, node),
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
fn caption(definition: &Definition, node: &Node) -> String {
    match detail(definition, node) {
        Some(detail) => format!("{} ({detail})", node.name),
        None => node.name.clone(),
    }
}

/// What changes the meaning of a node, where its name and kind do not say it.
fn detail(definition: &Definition, node: &Node) -> Option<String> {
    Some(match &node.kind {
        NodeKind::Join { need, rest, .. } | NodeKind::Meet { need, rest, .. } => {
            let need = match need {
                Need::All => return None,
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
            format!("{need}, {rest}")
        }
        NodeKind::Scope {
            mutex: Some(mutex), ..
        } => format!("mutex {mutex}"),
        NodeKind::Merge { multi: true } => "multi".to_owned(),
        NodeKind::Milestone { milestone, reached } => {
            let verb = if *reached { "reached" } else { "passed" };
            format!("{milestone} {verb}")
        }
        NodeKind::Step(StepSpec {
            gate: Some(gate), ..
        }) => format!("while {gate}"),
        NodeKind::Call(call) => format!("runs {}", call.workflow),
        NodeKind::Map { open: true, .. } => "open".to_owned(),
        NodeKind::Await { event, .. } if *event != node.name => format!("event {event}"),
        NodeKind::Cancel { target } => format!("cancels {}", definition.node(*target).name),
        _ => return None,
    })
}

/// A text for a quoted label of Mermaid: its entities begin with `#`, and a label in backquotes would
/// be Markdown.
fn mermaid_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' => out.push_str("#35;"),
            '&' => out.push_str("#amp;"),
            '"' => out.push_str("#quot;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '`' => out.push_str("#96;"),
            c => out.push(c),
        }
    }
    out
}

fn mermaid(definition: &Definition, out: &mut String) -> std::fmt::Result {
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
        writeln!(
            out,
            "  n{index}{open}\"{}\"{close}",
            mermaid_text(&caption(definition, node))
        )?;
    }
    for (index, _) in definition.nodes().iter().enumerate() {
        for (to, label) in edges(definition, NodeId(u32::try_from(index).unwrap_or(u32::MAX))) {
            match label {
                Some(label) => writeln!(out, "  n{index} -->|\"{}\"| n{to}", mermaid_text(&label))?,
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
            text(&caption(definition, node))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Draft;

    /// Two steps with this name on the edge between a choice and the step.
    fn drawn(name: &str, format: GraphFormat) -> String {
        let mut draft = Draft::new("w", "1");
        let choice = draft.choice("c");
        let step = draft.step(name, StepSpec::new("t"));
        draft.arm(choice, name, "=true", Some(step));
        draft.start_at(choice);
        draw(&draft.finish().unwrap(), format)
    }

    #[test]
    fn no_name_ends_a_label_or_means_something_in_it() {
        for (name, mermaid, dot) in [
            ("end", "end", "end"),
            ("subgraph", "subgraph", "subgraph"),
            ("a\"b", "a#quot;b", "a\\\"b"),
            ("a[b]{c}(d)|e|", "a[b]{c}(d)|e|", "a[b]{c}(d)|e|"),
            ("`md`", "#96;md#96;", "`md`"),
            ("#35;", "#35;35;", "#35;"),
            ("&amp;<b>", "#amp;amp;#lt;b#gt;", "&amp;<b>"),
            ("a\\n", "a\\n", "a\\\\n"),
        ] {
            let text = drawn(name, GraphFormat::Mermaid);
            assert!(text.contains(&format!("n1[\"{mermaid}\"]\n")), "{text}");
            assert!(text.contains(&format!("-->|\"{mermaid}\"| n1\n")), "{text}");
            let text = drawn(name, GraphFormat::Dot);
            assert!(text.contains(&format!("n1 [label=\"{dot}\", ")), "{text}");
            assert!(
                text.contains(&format!("n0 -> n1 [label=\"{dot}\"];")),
                "{text}"
            );
        }
    }
}
