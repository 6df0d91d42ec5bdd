//! Where a token may go from a node, and under which activation: what [`advance`](super::advance)
//! would make of it, without data.
//!
//! For those who look at a run from outside: activations say where a token came from, and cannot be
//! read backwards.

use crate::definition::{Branches, Definition, NodeKind};
use crate::ids::{ActivationId, NodeId};

impl Definition {
    /// The nodes to which a token may go right from `node`, which it came to under `activation`, each
    /// with the activation that it has there; behind a split, scope or map also from its join.
    ///
    /// Left out is what only a run knows: instances of maps, branches that are chosen, copied or
    /// computed, tokens of forks and what meets.
    pub fn ways(&self, node: NodeId, activation: ActivationId) -> Vec<(NodeId, ActivationId)> {
        let mut ways = Vec::new();
        let Some(here) = self.nodes().get(node.0 as usize) else {
            return ways;
        };
        let mut to = |node: NodeId, from: ActivationId| ways.push((node, from.derive(node, 0)));
        match &here.kind {
            // There the token ends, or becomes another one.
            NodeKind::Join { .. } | NodeKind::Terminate | NodeKind::Input { .. } => return ways,
            NodeKind::Choice { arms, otherwise } => {
                for next in arms.iter().filter_map(|arm| arm.to).chain(*otherwise) {
                    to(next, activation);
                }
            }
            NodeKind::Select { arms } => {
                for next in arms.iter().filter_map(|arm| arm.to) {
                    to(next, activation);
                }
            }
            NodeKind::Loop { body, .. } | NodeKind::Detach { body } => to(*body, activation),
            NodeKind::Again { of } => {
                if let Some(around) = self.nodes().get(of.0 as usize) {
                    let fault = around.on_fault.iter().map(|path| path.to);
                    for next in around.next.into_iter().chain(fault) {
                        to(next, activation);
                    }
                    if let NodeKind::Loop { body, .. } = around.kind {
                        to(body, activation);
                    }
                }
            }
            NodeKind::Split { join, .. }
            | NodeKind::Scope { join, .. }
            | NodeKind::Map { join, .. } => {
                let joined = activation.derive(*join, 0);
                let behind = self.nodes().get(join.0 as usize).and_then(|join| join.next);
                for from in [activation, joined] {
                    // Without branches it goes right on, and it may fail before it has any.
                    let fault = here.on_fault.iter().map(|path| path.to);
                    for next in behind.into_iter().chain(fault) {
                        to(next, from);
                    }
                }
                if let NodeKind::Scope { body, .. } = here.kind {
                    to(body, activation);
                }
                if let NodeKind::Split {
                    branches: Branches::Static(list),
                    ..
                } = &here.kind
                {
                    let branches = (0..).zip(list).map(|(index, (_, first))| (*first, index));
                    ways.extend(
                        branches.map(|(first, index)| (first, activation.derive(first, index))),
                    );
                }
                return ways;
            }
            NodeKind::Step(_)
            | NodeKind::Sleep { .. }
            | NodeKind::Await { .. }
            | NodeKind::Call(_)
            | NodeKind::Compute { .. }
            | NodeKind::Fork { .. }
            | NodeKind::Meet { .. }
            | NodeKind::Merge { .. }
            | NodeKind::Cancel { .. }
            | NodeKind::Milestone { .. } => {}
        }
        let fault = here.on_fault.iter().map(|path| path.to);
        for next in here.next.into_iter().chain(fault) {
            to(next, activation);
        }
        ways
    }
}
