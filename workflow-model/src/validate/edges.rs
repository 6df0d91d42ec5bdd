//! The edges of the graph, as they are drawn and followed.

use crate::definition::{Branches, Definition, NodeKind};
use crate::ids::NodeId;

/// All edges out of a node, with their labels.
pub(crate) fn edges(definition: &Definition, id: NodeId) -> Vec<(NodeId, Option<String>)> {
    let node = definition.node(id);
    let next = |label: Option<&str>| node.next.map(|to| (to, label.map(str::to_owned)));
    let named = |name: &str, to: NodeId| (to, Some(name.to_owned()));
    let mut edges: Vec<(NodeId, Option<String>)> = Vec::new();
    match &node.kind {
        NodeKind::Choice { arms, otherwise } => {
            let taken = |to: &Option<NodeId>| to.or(node.next);
            edges.extend(
                arms.iter()
                    .filter_map(|arm| Some(named(&arm.name, taken(&arm.to)?))),
            );
            edges.extend(taken(otherwise).map(|to| named("otherwise", to)));
        }
        NodeKind::Split { branches, .. } => match branches {
            Branches::Static(list) => edges.extend(list.iter().map(|(name, to)| named(name, *to))),
            Branches::Chosen { arms, otherwise } => {
                edges.extend(
                    arms.iter()
                        .filter_map(|arm| Some(named(&arm.name, arm.to?))),
                );
                edges.push(named(&otherwise.0, otherwise.1));
            }
            Branches::Copies { count, body } => {
                edges.push(named(&format!("{count} copies"), *body));
            }
            Branches::Computed { body, .. } => edges.push(named("each", *body)),
        },
        NodeKind::Fork { arms, otherwise } => {
            edges.extend(arms.iter().map(|arm| match arm.copies {
                1 => named(&arm.name, arm.to),
                copies => named(&format!("{} ({copies} copies)", arm.name), arm.to),
            }));
            if arms.iter().all(|arm| arm.when.is_some()) {
                edges.extend(otherwise.or(node.next).map(|to| named("otherwise", to)));
            }
        }
        NodeKind::Scope { body, .. } => edges.push((*body, None)),
        NodeKind::Map { body, .. } => edges.push(named("each", *body)),
        NodeKind::Input { meet, .. } => edges.push((*meet, None)),
        NodeKind::Loop { body, .. } => {
            edges.push(named("round", *body));
            edges.extend(next(Some("done")));
        }
        NodeKind::Again { of } => edges.push((*of, None)),
        NodeKind::Select { arms } => edges.extend(
            arms.iter()
                .filter_map(|arm| Some(named(&arm.name, arm.to.or(node.next)?))),
        ),
        NodeKind::Detach { body } => {
            edges.push(named("detached", *body));
            edges.extend(next(None));
        }
        NodeKind::Terminate => {}
        NodeKind::Step(_)
        | NodeKind::Join { .. }
        | NodeKind::Meet { .. }
        | NodeKind::Merge { .. }
        | NodeKind::Call(_)
        | NodeKind::Cancel { .. }
        | NodeKind::Milestone { .. }
        | NodeKind::Sleep { .. }
        | NodeKind::Await { .. }
        | NodeKind::Compute { .. } => edges.extend(next(None)),
    }
    let fault = node.on_fault.as_ref();
    edges.extend(fault.map(|path| named("fault", path.to)));
    edges
}
