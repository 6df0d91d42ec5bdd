//! When what stands in a block was at work.

use std::collections::HashMap;

use windlass_workflow_model::{Definition, NodeId, Timestamp};

use super::super::views::StepView;

/// When the first step of each block, and of each branch of it, began, and when the last one ended.
#[derive(Default)]
pub(super) struct Times<'a> {
    blocks: HashMap<&'a str, Span>,
    branches: HashMap<(&'a str, &'a str), Span>,
}

pub(super) type Span = (Option<Timestamp>, Option<Timestamp>);

impl<'a> Times<'a> {
    pub(super) fn new(
        definition: &'a Definition,
        by_node: &HashMap<NodeId, Vec<StepView>>,
    ) -> Self {
        let blocks = definition.blocks().iter();
        let places: HashMap<&str, (Option<&str>, Option<&str>)> = blocks
            .map(|block| {
                let place = (block.parent.as_deref(), block.label.as_deref());
                (block.name.as_str(), place)
            })
            .collect();
        let mut times = Self::default();
        for (id, views) in by_node {
            let node = definition.node(*id);
            let place = &node.place;
            let own = places.get_key_value(node.step_name());
            let own = own.map(|(name, _)| *name);
            for view in views {
                // What a block failed with itself.
                if let Some(name) = own {
                    extend(times.blocks.entry(name).or_default(), view);
                }
                let mut at = (place.parent.as_deref(), place.branch.as_deref());
                // As many levels as there are blocks, whatever is stored.
                for _ in 0..places.len() {
                    let (Some(name), branch) = at else { break };
                    extend(times.blocks.entry(name).or_default(), view);
                    if let Some(branch) = branch {
                        extend(times.branches.entry((name, branch)).or_default(), view);
                    }
                    at = places.get(name).copied().unwrap_or_default();
                }
            }
        }
        times
    }

    pub(super) fn of(&self, name: &str) -> Span {
        self.blocks.get(name).copied().unwrap_or_default()
    }

    pub(super) fn of_branch(&self, block: &str, branch: &str) -> Span {
        self.branches
            .get(&(block, branch))
            .copied()
            .unwrap_or_default()
    }
}

pub(super) fn extend((began, ended): &mut Span, view: &StepView) {
    *began = [*began, view.started_at].into_iter().flatten().min();
    *ended = [*ended, view.ended_at].into_iter().flatten().max();
}
