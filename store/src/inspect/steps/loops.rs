//! The loops of a run that are blocks: which round of them a row is of.

use std::collections::HashMap;

use windlass_workflow_model::{Block, Definition, Node, NodeId, NodeKind, Rounds};

use super::super::views::StepView;

/// The loops that are blocks, and what stands in them.
pub(super) struct Loops {
    /// The innermost loop around a node, and whether the node is right in it.
    around: HashMap<NodeId, (NodeId, bool)>,
}

impl Loops {
    pub(super) fn of(definition: &Definition) -> Self {
        let nodes = || (0..).map(NodeId).zip(definition.nodes());
        let blocks = definition.blocks().iter();
        let blocks: HashMap<&str, &Block> = blocks.map(|block| (&*block.name, block)).collect();
        let is_loop = |node: &Node| matches!(node.kind, NodeKind::Loop { .. });
        let loops = nodes().filter(|(_, node)| is_loop(node));
        let loops: HashMap<&str, NodeId> = loops.map(|(id, node)| (&*node.name, id)).collect();
        let mut around = HashMap::new();
        if loops.is_empty() {
            return Self { around };
        }
        for (id, node) in nodes() {
            let mut at = node.place.parent.as_deref();
            // As many levels as there are blocks, whatever is stored.
            for level in 0..blocks.len() {
                let Some(block) = at.and_then(|name| blocks.get(name)) else {
                    break;
                };
                if let Some(found) = loops.get(&*block.name) {
                    around.insert(id, (*found, level == 0));
                    break;
                }
                at = block.parent.as_deref();
            }
        }
        Self { around }
    }

    /// The view of a node with the number of its round; right in a loop its branch is that round.
    pub(super) fn counted(&self, mut view: StepView, node: NodeId, rounds: &Rounds) -> StepView {
        let Some((around, is_right_in)) = self.around.get(&node) else {
            return view;
        };
        let done = rounds.iter().find(|(of, _)| of == around);
        let Some((_, done)) = done else { return view };
        let round = done.saturating_add(1);
        view.round = Some(round);
        if let (Some(branch), true) = (&mut view.branch, *is_right_in) {
            *branch = format!("{branch}-{round}");
        }
        view
    }
}
