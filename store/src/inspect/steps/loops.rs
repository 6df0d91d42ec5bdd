//! The loops of a run that are blocks: which rounds of them a row is of, and what stands in each round.

use std::collections::{BTreeMap, HashMap};

use windlass_workflow_model::{Block, Definition, Node, NodeId, NodeKind, Rounds};

use super::super::views::StepView;
use super::blocks::Blocks;
use super::maps::Left;
use super::times::Times;
use crate::limits::INSTANCE_ROWS_MAX;

/// The loops that are blocks, and what stands in them.
pub(super) struct Loops<'a> {
    /// The loops around a node, the outermost first, and whether the node is right in the last one.
    around: HashMap<NodeId, (Vec<NodeId>, bool)>,
    /// For each block: the loop that it is, or else the innermost that it is in.
    of_block: HashMap<&'a str, (&'a str, NodeId)>,
    /// How many nodes and blocks there are for each loop that are in no loop inside it.
    sizes: HashMap<NodeId, usize>,
}

impl<'a> Loops<'a> {
    pub(super) fn of(definition: &'a Definition) -> Self {
        let nodes = || (0..).map(NodeId).zip(definition.nodes());
        let blocks = definition.blocks().iter();
        let blocks: HashMap<&str, &Block> = blocks.map(|block| (&*block.name, block)).collect();
        let is_loop = |node: &Node| matches!(node.kind, NodeKind::Loop { .. });
        let loops = nodes().filter(|(_, node)| is_loop(node));
        let loops: HashMap<&str, NodeId> = loops.map(|(id, node)| (&*node.name, id)).collect();
        let mut found = Self {
            around: HashMap::new(),
            of_block: HashMap::new(),
            sizes: HashMap::new(),
        };
        if loops.is_empty() {
            return found;
        }
        for (id, node) in nodes() {
            let (mut around, mut is_right_in) = (Vec::new(), false);
            let mut at = node.place.parent.as_deref();
            // As many levels as there are blocks, whatever is stored.
            for level in 0..blocks.len() {
                let Some(block) = at.and_then(|name| blocks.get(name)) else {
                    break;
                };
                if let Some(found) = loops.get(&*block.name) {
                    around.push(*found);
                    is_right_in |= level == 0;
                }
                at = block.parent.as_deref();
            }
            if let Some(innermost) = around.first() {
                *found.sizes.entry(*innermost).or_default() += 1;
                around.reverse();
                found.around.insert(id, (around, is_right_in));
            }
        }
        for block in definition.blocks() {
            let mut at = Some(block);
            for level in 0..blocks.len() {
                let Some(block_around) = at else { break };
                if let Some((name, id)) = loops.get_key_value(&*block_around.name) {
                    found.of_block.insert(&block.name, (name, *id));
                    if level > 0 {
                        *found.sizes.entry(*id).or_default() += 1;
                    }
                    break;
                }
                let parent = block_around.parent.as_deref();
                at = parent.and_then(|name| blocks.get(name)).copied();
            }
        }
        found
    }

    /// The view of a node with the numbers of its rounds; right in a loop its branch is that round.
    pub(super) fn counted(&self, view: StepView, node: NodeId, rounds: &Rounds) -> StepView {
        let Some((around, is_right_in)) = self.around.get(&node) else {
            return view;
        };
        let done = |of: &NodeId| rounds.iter().find(|(around, _)| around == of);
        let counted = around.iter().map_while(|of| Some(done(of)?.1));
        let counted: Vec<u32> = counted.map(|done| done.saturating_add(1)).collect();
        let is_in_round = *is_right_in && counted.len() == around.len();
        in_rounds(view, counted, is_in_round)
    }

    /// The loop around what stands right in the block `parent`.
    pub(super) fn around(&self, parent: Option<&str>) -> Option<(&'a str, NodeId)> {
        self.of_block.get(parent?).copied()
    }

    /// Each round of each loop, with what it has left behind and where it lives; those inside it belong to
    /// it too. `came_by` is the rest that was left, with the node and the rounds there.
    pub(super) fn rounds(
        &self,
        by_node: &HashMap<NodeId, Vec<StepView>>,
        came_by: impl Iterator<Item = (NodeId, Rounds, Left)>,
    ) -> BTreeMap<Round, Left> {
        let mut found: BTreeMap<Round, Left> = BTreeMap::new();
        for (node, views) in by_node {
            let Some((around, _)) = self.around.get(node) else {
                continue;
            };
            for view in views {
                for (of, depth) in around.iter().zip(1..=view.rounds.len()) {
                    let round = Round {
                        of: *of,
                        numbers: view.rounds[..depth].to_vec(),
                    };
                    let left = found.entry(round).or_default();
                    left.by_node.entry(*node).or_default().push(StepView {
                        input: None,
                        output: None,
                        ..view.clone()
                    });
                }
            }
        }
        for (node, rounds, left) in came_by {
            let around = match self.around.get(&node) {
                Some((around, _)) => around.clone(),
                // What hands a failure on stands nowhere, and fails in the rounds that it came from.
                None if !left.errors.is_empty() => rounds.iter().map(|(of, _)| *of).collect(),
                None => continue,
            };
            let mut numbers = Vec::new();
            for of in &around {
                let Some((_, done)) = rounds.iter().find(|(around, _)| around == of) else {
                    break;
                };
                numbers.push(done.saturating_add(1));
                let round = Round {
                    of: *of,
                    numbers: numbers.clone(),
                };
                let all = found.entry(round).or_default();
                all.errors.extend(left.errors.iter().cloned());
                all.living.extend(&left.living);
            }
        }
        found
    }

    /// How the blocks in each round stand. None at all of a loop that went round so often that rows for
    /// each would be too many.
    pub(super) fn inside(
        &self,
        blocks: &Blocks<'a>,
        rounds: &'a BTreeMap<Round, Left>,
    ) -> HashMap<NodeId, Vec<InRound<'a>>> {
        let mut counts: HashMap<NodeId, usize> = HashMap::new();
        for round in rounds.keys() {
            *counts.entry(round.of).or_default() += 1;
        }
        let names: HashMap<NodeId, &str> = self
            .of_block
            .values()
            .map(|(name, id)| (*id, *name))
            .collect();
        let mut inside: HashMap<NodeId, Vec<InRound<'_>>> = HashMap::new();
        for (round, left) in rounds {
            let rows =
                counts[&round.of].saturating_mul(self.sizes.get(&round.of).copied().unwrap_or(0));
            let Some(name) = names.get(&round.of).filter(|_| rows <= INSTANCE_ROWS_MAX) else {
                continue;
            };
            inside.entry(round.of).or_default().push(InRound {
                numbers: &round.numbers,
                blocks: blocks.within_round(name, left),
                times: Times::new(blocks.definition(), &left.by_node),
            });
        }
        inside
    }
}

/// One round of a loop: its number, and before it those of the rounds around.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Round {
    of: NodeId,
    numbers: Vec<u32>,
}

/// What has become of the blocks in one round.
pub(super) struct InRound<'a> {
    pub(super) numbers: &'a [u32],
    pub(super) blocks: Blocks<'a>,
    pub(super) times: Times<'a>,
}

/// A view in these rounds; right in the last one its branch is that.
pub(super) fn in_rounds(mut view: StepView, numbers: Vec<u32>, is_right_in: bool) -> StepView {
    if let (Some(branch), Some(number), true) = (&mut view.branch, numbers.last(), is_right_in) {
        *branch = format!("{branch}-{number}");
    }
    view.rounds = numbers;
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_workflow_model::{Draft, Place, StepSpec};

    use super::super::super::RunningJobs;
    use super::super::empty;

    /// A loop that is a block, with a step and a block of one step in it.
    fn definition() -> Definition {
        let mut draft = Draft::new("w", "1");
        let (of, again) = draft.repeat("l", "goes on", false, u32::MAX);
        let (a, b) = (
            draft.step("a", StepSpec::new("t")),
            draft.step("b", StepSpec::new("t")),
        );
        draft.start_at(of);
        draft.body(of, a);
        draft.connect(a, b);
        draft.connect(b, again);
        for (name, parent) in [("l", None), ("inner", Some("l"))] {
            draft.block(Block {
                name: name.to_owned(),
                kind: "loop".to_owned(),
                label: None,
                parent: parent.map(str::to_owned),
                join_policy: None,
            });
        }
        let inside = |parent: &str| Place {
            parent: Some(parent.to_owned()),
            ..Place::default()
        };
        draft.place(a, inside("l"));
        draft.place(b, inside("inner"));
        draft.finish().unwrap()
    }

    #[test]
    fn a_loop_has_a_row_for_each_round_unless_that_would_be_too_many() {
        let definition = definition();
        let loops = Loops::of(&definition);
        let (of, a) = (definition.find("l").unwrap(), definition.find("a").unwrap());
        // Two steps and a block are in it.
        let most = u32::try_from(INSTANCE_ROWS_MAX / 3).unwrap();
        for (rounds, told) in [(2, 2), (most, most), (most + 1, 0)] {
            let views = (0..rounds).map(|done| {
                let view = empty("a", "t", Place::default());
                loops.counted(view, a, &vec![(of, done)])
            });
            let by_node = HashMap::from([(a, views.collect())]);
            let running = RunningJobs(HashMap::new());
            let blocks = Blocks::new(&definition, &[], &running, &by_node, HashMap::new());
            let left = loops.rounds(&by_node, std::iter::empty());
            let inside = loops.inside(&blocks, &left);
            let found = inside.get(&of).map_or(&[][..], Vec::as_slice);
            let numbers = found.iter().map(|round| round.numbers.to_vec());
            let expected = (1..=told).map(|number| vec![number]);
            assert!(numbers.eq(expected), "{rounds} rounds");
        }
    }
}
