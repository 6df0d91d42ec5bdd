//! Which instance of which map the rows of a run belong to.
//!
//! Rows do not say; activations do. From the first node of an instance on, those of all that may
//! follow are derived, and of these the run has rows for what did. Only maps that are blocks of an
//! imported file are looked at: there a row says in which iteration its step stands.

use std::collections::{HashMap, HashSet};

use windlass_workflow_model::{ActivationId, Definition, NodeId, NodeKind};

use super::super::maps::{BegunMap, Stopped};
use super::super::views::Instance;
use super::is_work;
use super::maps::Maps;
use crate::backend::MapRow;
use crate::limits::{INSTANCE_PLACES_WALKED_MAX, INSTANCE_ROWS_MAX};

/// Where a token is: a node, under an activation.
pub(super) type At = (NodeId, ActivationId);

/// The instances of a run's maps that have begun, and those that a map which was stopped did not come to.
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
    /// Whether it is known to have begun, whatever it has left.
    is_known: bool,
    stopped: Stopped,
}

impl Instances {
    /// From the maps that a run has begun, oldest first, and from where the run has been.
    pub(super) fn new(
        definition: &Definition,
        begun: &[BegunMap],
        maps: &Maps<'_>,
        been: &HashSet<At>,
    ) -> Self {
        let mut found = Self::default();
        for map in begun {
            let row = &map.row;
            let around = found.of.get(&(row.map, row.scope)).copied();
            for index in 0..map.begun + map.left_out {
                let instance = Instance {
                    map: row.scope,
                    index,
                };
                found.all.push(Begun {
                    map: row.map,
                    instance,
                    around,
                    is_known: index < map.begun,
                    stopped: map.stopped,
                });
                found.walk(definition, row, index, been);
            }
        }
        found.find_current(definition, begun, maps);
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

    fn find_current(&mut self, definition: &Definition, begun: &[BegunMap], maps: &Maps<'_>) {
        // What was begun last is what counts, unless what is around it was begun anew itself.
        let mut newest: HashMap<(NodeId, Option<usize>), ActivationId> = HashMap::new();
        for map in begun {
            let row = &map.row;
            let around = self.of.get(&(row.map, row.scope)).copied();
            newest.insert((row.map, around), row.scope);
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
        for (map, instances) in &mut current {
            self.keep_to_bound(instances, maps.size(*map));
            instances.sort_by_cached_key(|at| self.path(*at));
        }
        self.current = current;
    }

    /// Leaves out instances that may never have begun, as far as rows for each would be too many.
    fn keep_to_bound(&self, instances: &mut Vec<usize>, nodes: usize) {
        let has_begun = |at: &usize| self.all[*at].is_known;
        let begun = instances.iter().filter(|at| has_begun(at)).count();
        let most = INSTANCE_ROWS_MAX / nodes.max(1);
        let mut left = most.saturating_sub(begun);
        instances.retain(|at| {
            let stays = has_begun(at) || left > 0;
            left -= usize::from(stays && !has_begun(at));
            stays
        });
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

    /// The map of an instance.
    pub(super) fn map(&self, at: usize) -> NodeId {
        self.all[at].map
    }

    /// Whether an instance is known to have begun, whatever it has left.
    pub(super) fn has_begun(&self, at: usize) -> bool {
        self.all[at].is_known
    }

    /// What stopped the map of an instance that never began.
    pub(super) fn stopped(&self, at: usize) -> Stopped {
        self.all[at].stopped
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

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_workflow_model::{Block, Count, Draft, MapSpec, Place, StepSpec, Timestamp};

    #[test]
    fn of_instances_that_never_began_as_many_are_shown_as_rows_may_be() {
        let mut draft = Draft::new("w", "1");
        let spec = MapSpec {
            count: Count::Computed("count".to_owned()),
            item: None,
            open: false,
            max_parallelism: 1,
            tally: None,
        };
        let (map, join) = draft.map("l", spec, None);
        draft.start_at(map);
        draft.block(Block {
            name: "l".to_owned(),
            kind: "loop".to_owned(),
            label: None,
            parent: None,
            join_policy: None,
        });
        let steps = ["a", "b"].map(|name| draft.step(name, StepSpec::new("t")));
        draft.body(map, steps[0]);
        draft.connect(steps[0], steps[1]);
        draft.connect(steps[1], join);
        for step in steps {
            let parent = Some("l".to_owned());
            draft.place(
                step,
                Place {
                    parent,
                    ..Place::default()
                },
            );
        }
        let definition = draft.finish().unwrap();
        let maps = Maps::new(&definition);
        let shown = |begun, left_out| {
            let row = MapRow {
                map,
                scope: ActivationId(1),
                begun_at: Timestamp(0),
                count: Some(begun + left_out),
            };
            let stopped = Stopped::Failed;
            let map = BegunMap {
                row,
                begun,
                left_out,
                stopped,
            };
            let instances = Instances::new(&definition, &[map], &maps, &HashSet::new());
            instances.of_map(row.map, maps.size(row.map)).len()
        };
        let most = u32::try_from(INSTANCE_ROWS_MAX).unwrap();
        assert_eq!(shown(2, 3), 5);
        assert_eq!(shown(2, most - 2), INSTANCE_ROWS_MAX / 2);
        assert_eq!(shown(most / 2, most / 2), INSTANCE_ROWS_MAX / 2);
        assert_eq!(shown(most / 2 + 1, 0), 0);
    }
}
