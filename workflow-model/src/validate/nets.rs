//! What tokens of one scope ask of its meets and merges.

use std::collections::{HashMap, HashSet};

use super::{Check, edges};
use crate::definition::{ForkArm, Need, NodeKind, Rest};
use crate::ids::NodeId;

impl Check<'_> {
    pub(super) fn nets(&mut self) {
        let mut active = Vec::new();
        for id in self.ids() {
            let node = self.definition.node(id);
            match &node.kind {
                NodeKind::Meet {
                    inputs, need, rest, ..
                } => {
                    self.meet(id, inputs, *need, *rest);
                    if matches!(need, Need::ActiveLocal | Need::ActiveGlobal) {
                        active.push((id, *need));
                    }
                }
                NodeKind::Input { meet, index } => {
                    let meet = &self.definition.node(*meet).kind;
                    let fits = matches!(meet, NodeKind::Meet { inputs, .. } if (*index as usize) < inputs.len());
                    if !fits {
                        let text = "it leads to an input that its meet does not have; correct it";
                        self.report("wrong-node", Some(&node.name), text);
                    }
                }
                NodeKind::Fork { arms, .. } => self.merges_after(id, arms),
                _ => {}
            }
        }
        self.active(&active);
    }

    fn meet(&mut self, id: NodeId, inputs: &[String], need: Need, rest: Rest) {
        let definition = self.definition;
        let name = Some(definition.node(id).name.as_str());
        let leads = |index: usize| {
            definition.nodes.iter().any(|node| {
                matches!(&node.kind, NodeKind::Input { meet, index: at } if *meet == id && *at as usize == index)
            })
        };
        if inputs.is_empty() {
            let text = "it has no input, so nothing can ever meet there; add one";
            self.report("no-branches", name, text);
        }
        for (index, input) in inputs.iter().enumerate() {
            self.name(name, "name-invalid", "an input's name", input);
            if !leads(index) {
                let text = format!("nothing leads to its input {input:?}; connect or remove it");
                self.report("unreachable", name, &text);
            }
        }
        if rest == Rest::Cancel {
            let text = "tokens move freely, so it cannot tell which are the rest; use a split, whose join can cancel";
            self.report("join-invalid", name, text);
        }
        let needed = match need {
            Need::AtLeast(needed) => needed as usize,
            _ => 1,
        };
        if needed == 0 || (inputs.len() > 1 && needed > inputs.len()) {
            let text = format!(
                "{needed} of {} inputs; use 1 to {}",
                inputs.len(),
                inputs.len()
            );
            self.report("join-invalid", name, &text);
        }
        if matches!(need, Need::ActiveLocal | Need::ActiveGlobal) && rest != Rest::Queue {
            let text = "an active meet keeps tokens that it does not need for its next firing; use `queue`";
            self.report("join-invalid", name, text);
        }
    }

    /// Active meets must not wait for each other, nor a local one for itself.
    fn active(&mut self, active: &[(NodeId, Need)]) {
        let reach: HashMap<NodeId, HashSet<NodeId>> = active
            .iter()
            .map(|(meet, _)| (*meet, self.reachable(self.definition.node(*meet).next)))
            .collect();
        for (index, (meet, need)) in active.iter().enumerate() {
            let name = self.definition.node(*meet).name.clone();
            if *need == Need::ActiveLocal && reach[meet].contains(meet) {
                let text = "a way leads from it back to it, which it cannot see from its inputs; use `active-global`";
                self.report("join-invalid", Some(&name), text);
            }
            for (other, _) in &active[index + 1..] {
                if reach[meet].contains(other) && reach[other].contains(meet) {
                    let other = &self.definition.node(*other).name;
                    let text = format!(
                        "it and {other:?} lie on each other's ways, so each would wait for the other; let one of them need a number"
                    );
                    self.report("mutual-wait", Some(&name), &text);
                }
            }
        }
    }

    fn reachable(&self, from: Option<NodeId>) -> HashSet<NodeId> {
        let mut open: Vec<_> = from.into_iter().collect();
        let mut seen: HashSet<_> = open.iter().copied().collect();
        while let Some(node) = open.pop() {
            for (to, _) in edges(self.definition, node) {
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        seen
    }

    /// Two tokens of one fork may come to the same node only where it says so, or where they meet.
    fn merges_after(&mut self, fork: NodeId, arms: &[ForkArm]) {
        let passed: Vec<_> = arms.iter().map(|arm| self.unmet(fork, arm.to)).collect();
        let mut reported = HashSet::new();
        for (index, one) in passed.iter().enumerate() {
            for other in &passed[index + 1..] {
                for (node, from) in one {
                    let Some(also_from) = other.get(node) else {
                        continue;
                    };
                    let kind = &self.definition.node(*node).kind;
                    let may = matches!(
                        kind,
                        NodeKind::Merge { multi: true }
                            | NodeKind::Input { .. }
                            | NodeKind::Terminate
                    );
                    let same_way = from.len() == 1 && from == also_from && !from.contains(&fork);
                    if !may && !same_way && reported.insert(*node) {
                        let fork = &self.definition.node(fork).name;
                        let text = format!(
                            "two tokens of fork {fork:?} may come to it; let them meet first, or put a multi-merge before it if each is to go on"
                        );
                        let name = self.definition.node(*node).name.clone();
                        self.report("merge-of-parallel", Some(&name), &text);
                    }
                }
            }
        }
    }

    /// The nodes to which a token comes from `fork` by way of `first` before it meets or merges, and
    /// from where it comes to each.
    fn unmet(&self, fork: NodeId, first: NodeId) -> HashMap<NodeId, HashSet<NodeId>> {
        let mut came: HashMap<NodeId, HashSet<NodeId>> = HashMap::new();
        let mut open = vec![(fork, first)];
        while let Some((from, node)) = open.pop() {
            let is_new = !came.contains_key(&node);
            came.entry(node).or_default().insert(from);
            let kind = &self.definition.node(node).kind;
            let ends = matches!(
                kind,
                NodeKind::Input { .. } | NodeKind::Merge { multi: true }
            );
            if is_new && !ends {
                let ways = edges(self.definition, node).into_iter();
                open.extend(ways.map(|(to, _)| (node, to)));
            }
        }
        came
    }
}
