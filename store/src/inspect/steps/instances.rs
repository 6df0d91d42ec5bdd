//! Which instance of which map the rows of a run belong to.
//!
//! Rows do not say; activations do. From the first node of an instance on, those of all that may
//! follow are derived, and of these the run has rows for what did. Only maps that are blocks of an
//! imported file are looked at: there a row says in which iteration its step stands.

use std::collections::{HashMap, HashSet};

use windlass_workflow_model::{ActivationId, Definition, NodeId, NodeKind};

use super::super::views::Instance;
use super::is_work;
use crate::backend::MapRow;
use crate::limits::{INSTANCE_PLACES_WALKED_MAX, INSTANCE_ROWS_MAX};

/// Where a token is: a node, under an activation.
pub(super) type At = (NodeId, ActivationId);

/// The instances of a run's maps that have begun.
#[derive(Default)]
pub(super) struct Instances {
    /// One after the other; those around others come first.
    all: Vec<Begun>,
    /// Where a run has been, by the innermost instance there.
    of: HashMap<At, usize>,
    /// By map: its instances in the order of those around and of their indexes, without what a retry
    /// has begun anew.
    current: HashMap<NodeId, Vec<usize>>,
}

struct Begun {
    map: NodeId,
    instance: Instance,
    around: Option<usize>,
}

impl Instances {
    /// From the maps that a run has begun, oldest first, with how many instances of each have begun,
    /// and from where the run has been.
    pub(super) fn new(definition: &Definition, maps: &[(MapRow, u32)], been: &HashSet<At>) -> Self {
        let mut found = Self::default();
        for (map, count) in maps {
            let around = found.of.get(&(map.map, map.scope)).copied();
            for index in 0..*count {
                let instance = Instance {
                    map: map.scope,
                    index,
                };
                found.all.push(Begun {
                    map: map.map,
                    instance,
                    around,
                });
                found.walk(definition, map, index, been);
            }
        }
        found.find_current(definition, maps);
        found
    }

    /// Goes every way that an instance may have gone, as far as the run has been there.
    fn walk(&mut self, definition: &Definition, map: &MapRow, index: u32, been: &HashSet<At>) {
        let this = self.all.len() - 1;
        let NodeKind::Map { body, .. } = definition.node(map.map).kind else {
            return;
        };
        let first = map.scope.derive(map.map, index);
        self.of.insert((map.map, first), this);
        let mut open = vec![(body, first)];
        for _ in 0..INSTANCE_PLACES_WALKED_MAX {
            let Some(at) = open.pop() else { return };
            let (node, activation) = at;
            let kind = &definition.node(node).kind;
            if been.contains(&at) {
                self.of.insert(at, this);
            } else if is_work(kind) {
                continue;
            }
            if let NodeKind::Split { join, .. }
            | NodeKind::Scope { join, .. }
            | NodeKind::Map { join, .. } = kind
            {
                // Who waits stands at the join; what fails there is told of what it belongs to.
                let joined = activation.derive(*join, 0);
                self.of.insert((*join, joined), this);
                self.of.insert((node, joined), this);
            }
            open.extend(definition.ways(node, activation));
        }
    }

    fn find_current(&mut self, definition: &Definition, maps: &[(MapRow, u32)]) {
        // What was begun last is what counts, unless what is around it was begun anew itself.
        let mut newest: HashMap<(NodeId, Option<usize>), ActivationId> = HashMap::new();
        for (map, _) in maps {
            let around = self.of.get(&(map.map, map.scope)).copied();
            newest.insert((map.map, around), map.scope);
        }
        let mut is_current = vec![false; self.all.len()];
        for (at, begun) in self.all.iter().enumerate() {
            is_current[at] = newest[&(begun.map, begun.around)] == begun.instance.map
                && begun.around.is_none_or(|around| is_current[around]);
            if is_current[at] {
                let original = original(definition, begun.map);
                self.current.entry(original).or_default().push(at);
            }
        }
        let mut current = std::mem::take(&mut self.current);
        for instances in current.values_mut() {
            instances.sort_by_cached_key(|at| self.path(*at));
        }
        self.current = current;
    }

    /// The indexes of an instance and those around it, the outermost first.
    fn path(&self, at: usize) -> Vec<u32> {
        let mut path: Vec<_> = self
            .with_around(at)
            .map(|at| self.all[at].instance.index)
            .collect();
        path.reverse();
        path
    }

    /// The innermost instance in which the run was there.
    pub(super) fn at(&self, at: At) -> Option<usize> {
        self.of.get(&at).copied()
    }

    pub(super) fn instance(&self, at: usize) -> Instance {
        self.all[at].instance
    }

    /// The current instances of a map. None at all of one whose body has so many nodes that rows for
    /// each would be too many.
    pub(super) fn of_map(&self, map: NodeId, nodes: usize) -> &[usize] {
        let instances = self.current.get(&map).map_or(&[][..], Vec::as_slice);
        if instances.len().saturating_mul(nodes) > INSTANCE_ROWS_MAX {
            return &[];
        }
        instances
    }

    /// An instance, and those that it is in.
    pub(super) fn with_around(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at), |at| self.all[*at].around)
    }
}

/// The map that a map is a copy of, or itself.
fn original(definition: &Definition, map: NodeId) -> NodeId {
    let copied = definition.node(map).copy_of.as_deref();
    copied.and_then(|name| definition.find(name)).unwrap_or(map)
}
