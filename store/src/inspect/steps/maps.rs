//! The maps of a run that are blocks: what stands in them, for each of their instances.

use std::collections::{HashMap, HashSet};

use windlass_workflow_model::{Definition, ErrorEntry, Node, NodeId, NodeKind};

use super::super::views::StepView;
use super::blocks::Blocks;
use super::instances::Instances;
use super::loops::{InRound, Loops};
use super::times::Times;

/// The nodes right in the body of a map that is a block. Their branch is one of its instances; which
/// one, only the rows of a run say.
pub(super) struct Bodies(HashSet<NodeId>);

impl Bodies {
    pub(super) fn of(definition: &Definition) -> Self {
        let is_map = |node: &&Node| matches!(node.kind, NodeKind::Map { .. });
        let maps = definition.nodes().iter().filter(is_map);
        let maps: HashSet<&str> = maps.map(Node::step_name).collect();
        let inside = |node: &Node| {
            let parent = node.place.parent.as_deref();
            parent.is_some_and(|parent| maps.contains(parent))
        };
        let nodes = (0..).map(NodeId).zip(definition.nodes());
        Self(
            nodes
                .filter(|(_, node)| inside(node))
                .map(|(id, _)| id)
                .collect(),
        )
    }

    /// The view of a node with the name of its instance in it.
    pub(super) fn named(
        &self,
        mut view: StepView,
        node: NodeId,
        instance: Option<&str>,
    ) -> StepView {
        if let (Some(instance), true) = (instance, self.0.contains(&node)) {
            name_instance(&mut view, instance);
        }
        view
    }
}

/// Says in a view which instance its branch is.
pub(super) fn name_instance(view: &mut StepView, instance: &str) {
    if let Some(branch) = &mut view.branch {
        branch.push('-');
        branch.push_str(instance);
    }
}

/// What an instance of a map has left behind, with those inside it.
#[derive(Default)]
pub(super) struct Left {
    pub(super) by_node: HashMap<NodeId, Vec<StepView>>,
    pub(super) errors: Vec<ErrorEntry>,
    /// Where it has living branches.
    pub(super) living: Vec<NodeId>,
}

/// What the views of a run are made of.
pub(super) struct All<'a> {
    pub(super) blocks: &'a Blocks<'a>,
    pub(super) times: &'a Times<'a>,
    pub(super) maps: &'a Maps<'a>,
    pub(super) instances: &'a Instances,
    /// By instance: how the blocks in it stand.
    pub(super) inside: HashMap<usize, (Blocks<'a>, Times<'a>)>,
    pub(super) loops: &'a Loops<'a>,
    /// By loop: its rounds, in order.
    pub(super) rounds: HashMap<NodeId, Vec<InRound<'a>>>,
}

impl<'a> All<'a> {
    /// The loop around what stands right in the block `parent`, and its instances in order. None where
    /// rows are not told apart by them.
    pub(super) fn around(&self, parent: Option<&str>) -> (Option<&'a str>, &'a [usize]) {
        let around = parent.and_then(|parent| self.maps.around(parent));
        match around {
            Some((name, map)) => (Some(name), self.instances.of_map(map, self.maps.size(map))),
            None => (None, &[]),
        }
    }
}

impl<'a> All<'a> {
    /// The same for a loop that goes round, and its rounds.
    pub(super) fn rounds_around(&self, parent: Option<&str>) -> (Option<&'a str>, &[InRound<'a>]) {
        match self.loops.around(parent) {
            Some((name, of)) => (Some(name), self.rounds.get(&of).map_or(&[], Vec::as_slice)),
            None => (None, &[]),
        }
    }
}

/// The maps of a workflow that are blocks.
pub(super) struct Maps<'a> {
    /// For each block: the map that it is, or else the innermost that it is in.
    around: HashMap<&'a str, (&'a str, NodeId)>,
    /// How many nodes and blocks there are for each map that are in no map inside it.
    sizes: HashMap<NodeId, usize>,
}

impl<'a> Maps<'a> {
    pub(super) fn new(definition: &'a Definition) -> Self {
        let blocks = definition.blocks().iter();
        let parents: HashMap<&str, Option<&str>> = blocks
            .map(|block| (block.name.as_str(), block.parent.as_deref()))
            .collect();
        let nodes = (0..).map(NodeId).zip(definition.nodes());
        let maps = nodes.filter(|(_, node)| matches!(node.kind, NodeKind::Map { .. }));
        let maps = maps.filter(|(_, node)| node.copy_of.is_none());
        let maps: HashMap<&str, NodeId> = maps.map(|(id, node)| (&*node.name, id)).collect();
        let mut found = Self {
            around: HashMap::new(),
            sizes: HashMap::new(),
        };
        if maps.is_empty() {
            return found;
        }
        for block in definition.blocks() {
            let mut at = Some(block.name.as_str());
            // As many levels as there are blocks, whatever is stored.
            for _ in 0..parents.len() {
                let Some(name) = at else { break };
                if let Some((name, map)) = maps.get_key_value(name) {
                    found.around.insert(&block.name, (name, *map));
                    break;
                }
                at = parents.get(name).copied().flatten();
            }
        }
        let nodes = definition.nodes().iter();
        let nodes = nodes.filter_map(|node| node.place.parent.as_deref());
        let blocks = definition.blocks().iter();
        let blocks = blocks.filter_map(|block| block.parent.as_deref());
        for parent in nodes.chain(blocks) {
            if let Some((_, map)) = found.around.get(parent) {
                *found.sizes.entry(*map).or_default() += 1;
            }
        }
        found
    }

    pub(super) fn around(&self, block: &str) -> Option<(&'a str, NodeId)> {
        self.around.get(block).copied()
    }

    pub(super) fn size(&self, map: NodeId) -> usize {
        self.sizes.get(&map).copied().unwrap_or(0)
    }

    /// How the blocks in each instance stand.
    pub(super) fn inside(
        &self,
        instances: &Instances,
        blocks: &Blocks<'a>,
        left: &'a HashMap<usize, Left>,
    ) -> HashMap<usize, (Blocks<'a>, Times<'a>)> {
        static NOTHING: std::sync::LazyLock<Left> = std::sync::LazyLock::new(Left::default);
        let mut inside = HashMap::new();
        for (name, map) in self.around.values() {
            for at in instances.of_map(*map, self.size(*map)) {
                let left = left.get(at).unwrap_or(&NOTHING);
                inside.entry(*at).or_insert_with(|| {
                    let standing = blocks.within(name, &left.living, &left.by_node, &left.errors);
                    (standing, Times::new(blocks.definition(), &left.by_node))
                });
            }
        }
        inside
    }
}
