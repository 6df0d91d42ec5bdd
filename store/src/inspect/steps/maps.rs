//! The maps of a run that are blocks: what stands in them, for each of their instances.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use windlass_workflow_model::{
    Definition, ErrorEntry, Node, NodeId, NodeKind, Payload, StepStatus,
};

use super::super::maps::Stopped;
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
    /// What the gateway right in it that failed gave in spite of that.
    pub(super) given: Option<Payload>,
}

impl Left {
    /// Whether the instance of this map that left this was withdrawn before its first node, which leaves a
    /// row of the map.
    fn is_of_none_begun(&self, map: NodeId) -> bool {
        let mut own = self.by_node.get(&map).into_iter().flatten();
        own.any(|view| view.status == StepStatus::Cancelled)
    }
}

/// What the views of a run are made of.
pub(super) struct All<'a> {
    pub(super) blocks: &'a Blocks<'a>,
    pub(super) times: &'a Times<'a>,
    pub(super) maps: &'a Maps<'a>,
    pub(super) instances: &'a Instances,
    pub(super) left: &'a HashMap<usize, Left>,
    /// By instance: how the blocks in it stand.
    pub(super) inside: HashMap<usize, Inside<'a>>,
    pub(super) loops: &'a Loops<'a>,
    /// By loop: its rounds, in order.
    pub(super) rounds: HashMap<NodeId, Vec<InRound<'a>>>,
}

/// How the blocks in an instance stand. Those that never began share it.
pub(super) type Inside<'a> = Rc<(Blocks<'a>, Times<'a>)>;

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

    /// How the blocks in each instance stand; `unreached` is said of what failures kept from beginning.
    pub(super) fn inside(
        &self,
        instances: &Instances,
        blocks: &Blocks<'a>,
        left: &'a HashMap<usize, Left>,
        unreached: &str,
    ) -> HashMap<usize, Inside<'a>> {
        static NOTHING: std::sync::LazyLock<Left> = std::sync::LazyLock::new(Left::default);
        let passed_by = |stopped| Rc::new((blocks.passed_by(stopped, unreached), Times::default()));
        let [failed, withdrawn] = [Stopped::Failed, Stopped::Withdrawn].map(passed_by);
        let mut inside = HashMap::new();
        for (name, map) in self.around.values() {
            for at in instances.of_map(*map, self.size(*map)) {
                let left = left.get(at);
                let never_began = match left {
                    Some(left) => left.is_of_none_begun(instances.map(*at)),
                    None => !instances.has_begun(*at),
                };
                let left = left.unwrap_or(&NOTHING);
                inside.entry(*at).or_insert_with(|| {
                    if never_began {
                        return Rc::clone(match instances.stopped(*at) {
                            Stopped::Failed => &failed,
                            Stopped::Withdrawn => &withdrawn,
                        });
                    }
                    let standing = blocks.within(name, left);
                    Rc::new((standing, Times::new(blocks.definition(), &left.by_node)))
                });
            }
        }
        inside
    }
}
