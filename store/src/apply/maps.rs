//! Maps: instances that are started as others end, so that a map of a million items holds only as
//! many rows as live at a time.
//!
//! A slot is a row; it is one instance after the other. Results have a table of their own.

use windlass_workflow_model::{
    ActivationId, BranchId, Child, Definition, FailurePolicy, Fault, Next, Node, NodeId, NodeKind,
    OwnerId, Payload, Position, Rest, RunId, limits::MAP_INSTANCES_MAX,
};

use super::arrivals::{note, over};
use super::checkpoint::child_row;
use super::{Apply, Verdict};
use crate::backend::{
    Guard, JoinCount, JoinKey, MapCount, MapRow, Phase, Result, ResultRow, Tables,
};
use crate::change::{MapChange, MapOutcome, Then};
use crate::error::{StorageError, WriteError};
use crate::limits::{MAP_ADD_MAX, PAYLOAD_BYTES_MAX, SWEEP_ROWS_MAX};
use crate::record::{
    BranchRow, ChildRange, Extras, Flow, Membership, Record, Role, State, Woken, flags,
};

/// Maps that an error names.
const NAMES_MAX: usize = 20;

impl<T: Tables> Apply<'_, T> {
    /// The map at whose join `row` waits begins; the row is written.
    pub(super) fn begin_map(&mut self, row: &BranchRow, then: &Then) -> Result<()> {
        let Then::Move(Next::Map {
            map,
            join,
            scope,
            data,
            count,
            open,
            counts,
            ..
        }) = then
        else {
            return Ok(());
        };
        let Some(range) = row.record.children else {
            return Ok(());
        };
        self.tables.set_item(row.run, *scope, -1, data)?;
        let begun = MapRow {
            map: *map,
            scope: *scope,
            begun_at: self.now,
            count: Some(*count),
        };
        self.tables.insert_map(row.run, &begun)?;
        let key = JoinKey::of_split(row.run, *join, *scope);
        let mut counted = JoinCount::new(0, *count);
        counted.more().map = Some(MapCount {
            width: range.count,
            open: *open,
            counts: *counts,
            ..MapCount::default()
        });
        self.tables.set_join(key, counted)?;
        self.start_instances(row, key, range)?;
        self.reconsider(row.id)
    }

    /// Starts instances in slots that are free, as long as there are some.
    fn start_instances(&mut self, like: &BranchRow, key: JoinKey, range: ChildRange) -> Result<()> {
        let Some(mut count) = self.tables.join(key)? else {
            return Ok(());
        };
        let expected = count.expected;
        let Some(map) = &mut count.more().map else {
            return Ok(());
        };
        let mut started = Vec::new();
        while map.next < expected && map.live < map.width {
            let slot = map.idle.pop().unwrap_or(map.used);
            map.used = map.used.max(slot + 1);
            started.push((slot, map.next));
            map.next += 1;
            map.live += 1;
        }
        self.tables.set_join(key, count)?;
        let (join, map) = self.map_at(like, key)?;
        for (slot, index) in started {
            let id = BranchId(range.first.0 + i64::from(slot));
            if let Some(mut row) = self.tables.branch(id)? {
                begin_instance(&mut row, map, index);
                self.make_ready(&mut row)?;
                self.tables.update(&row, Guard::Read)?;
                self.dispatch_loaded(&row)?;
                continue;
            }
            let child = Child {
                index,
                name: index.to_string(),
                node: map,
                activation: key.scope.derive(map, index),
                data: None,
            };
            let membership = Membership {
                scope: key.scope,
                join: Some(join),
                index,
                of: 0,
                max_parallelism: 0,
                resumed: false,
                name: child.name.clone(),
            };
            let mut row = child_row(like, id, &child, membership, self.now);
            row.parent = Some(like.id);
            row.position = Position::at(map);
            row.record.flow_mut().role = Role::Instance;
            self.make_ready(&mut row)?;
            self.tables.insert(&row)?;
            self.dispatch_loaded(&row)?;
        }
        Ok(())
    }

    /// The join and the map of a map's counter.
    fn map_at(&mut self, like: &BranchRow, key: JoinKey) -> Result<(NodeId, NodeId)> {
        let join = join_of(key);
        let definition = self.definition(like.workflow)?;
        match definition
            .nodes()
            .get(join.0 as usize)
            .map(|node| &node.kind)
        {
            Some(NodeKind::Join { split, .. }) => Ok((join, *split)),
            _ => Err(StorageError::Corrupt {
                what: "join".to_owned(),
                why: format!("node {join} is none"),
            }),
        }
    }

    /// An instance has come to its end: `row` becomes the next one, or idle. The caller writes the
    /// row and then calls [`after_instance`](Self::after_instance).
    pub(super) fn end_instance(&mut self, row: &mut BranchRow) -> Result<()> {
        let Some(key) = counter_of(row) else {
            return Ok(());
        };
        let Some(mut count) = self.tables.join(key)? else {
            return Ok(());
        };
        let index = row.record.membership.as_ref().map_or(0, |m| m.index);
        let outcome = match (&row.record.fault, row.record.flow().cancelled) {
            (_, true) => None,
            (Some(fault), false) => Some(Err(fault.clone())),
            (None, false) => Some(Ok(row.data.clone().unwrap_or_else(Payload::null))),
        };
        let succeeded = matches!(outcome, Some(Ok(_)));
        let result = ResultRow { index, outcome };
        let scope = match count.phase() {
            Phase::Open | Phase::Withdrawing => key.scope,
            Phase::Absorbing => late(key.scope, join_of(key)),
        };
        self.tables.insert_result(row.run, scope, &result)?;
        count.arrived += 1;
        note(&mut count, row);
        self.drain(row, key, &mut count)?;
        let (phase, expected) = (count.phase(), count.expected);
        let first = self.first_slot(row)?;
        let Some(map) = &mut count.more().map else {
            return Ok(());
        };
        if map.counts && succeeded && phase == Phase::Open {
            map.pending.push(index);
        }
        let next = (phase != Phase::Withdrawing && map.next < expected).then_some(map.next);
        if next.is_some() {
            map.next += 1;
        } else {
            map.live -= 1;
            map.idle
                .push(u32::try_from(row.id.0 - first.0).unwrap_or(0));
        }
        self.tables.set_join(key, count)?;
        let Some(index) = next else {
            idle(row);
            return Ok(());
        };
        let (_, map) = self.map_at(row, key)?;
        begin_instance(row, map, index);
        self.make_ready(row)
    }

    /// A map that drains, and in which an instance has failed, is that of the instances that were
    /// started: no more will be.
    fn drain(&mut self, row: &BranchRow, key: JoinKey, count: &mut JoinCount) -> Result<()> {
        if row.record.fault.is_none() || count.phase() != Phase::Open {
            return Ok(());
        }
        let rule = self.rule(row.workflow, Some(join_of(key)))?;
        if rule.on_failure != FailurePolicy::Drain {
            return Ok(());
        }
        let started = count.more().map.as_mut().map(|map| {
            map.open = false;
            map.next
        });
        count.expected = started.unwrap_or(count.expected);
        Ok(())
    }

    fn first_slot(&mut self, row: &BranchRow) -> Result<BranchId> {
        let Some(key) = counter_of(row) else {
            return Ok(row.id);
        };
        let Some(parent) = row.parent else {
            return Ok(row.id);
        };
        let above = self.tables.branch(parent)?;
        if let Some(range) = above.and_then(|above| above.record.children)
            && range.scope == key.scope
        {
            return Ok(range.first);
        }
        // Its parent went on without it.
        let loose = self.tables.loose(parent)?;
        let of_map = loose.iter().find(|loose| loose.range.scope == key.scope);
        Ok(of_map.map_or(row.id, |loose| loose.range.first))
    }

    /// What follows for the map when an instance has ended and its row is written.
    pub(super) fn after_instance(&mut self, row: &BranchRow, fault: Option<&Fault>) -> Result<()> {
        let (Some(key), Some(parent)) = (counter_of(row), row.parent) else {
            return Ok(());
        };
        let Some(count) = self.tables.join(key)? else {
            return Ok(());
        };
        match count.phase() {
            Phase::Withdrawing => self.rest_withdrawn(parent),
            Phase::Open => {
                self.reconsider(parent)?;
                self.wake_to_count(parent)
            }
            Phase::Absorbing => {
                if let Some(fault) = fault {
                    self.report_if_detached(row, key, fault)?;
                }
                if count.arrived < count.expected {
                    return Ok(());
                }
                let first = self.first_slot(row)?;
                let width = count
                    .more
                    .and_then(|more| more.map)
                    .map_or(0, |map| map.width);
                self.tables.delete_join(key)?;
                self.tables
                    .delete_items(row.run, key.scope, SWEEP_ROWS_MAX)?;
                self.delete_range(
                    row.run,
                    ChildRange {
                        first,
                        count: width,
                        scope: key.scope,
                    },
                )?;
                self.all_absorbed(row.run, parent, first)
            }
        }
    }

    /// Lets the function of a map count what has succeeded since the last time.
    fn wake_to_count(&mut self, parent: BranchId) -> Result<()> {
        let Some(row) = self.tables.branch(parent)? else {
            return Ok(());
        };
        let (State::Joining, Some(range)) = (row.state, row.record.children) else {
            return Ok(());
        };
        let key = JoinKey::of_split(row.run, row.position.node, range.scope);
        let count = self.tables.join(key)?;
        let map = count.filter(|count| count.phase() == Phase::Open);
        let map = map.and_then(|count| count.more).and_then(|more| more.map);
        match map {
            Some(map) if !map.pending.is_empty() => {
                self.wake(parent, Some(Woken::Count(map.counted, map.pending)))
            }
            _ => Ok(()),
        }
    }

    /// What the function of a map has counted becomes true; `row` waits at the map's join again.
    pub(super) fn note_counted(
        &mut self,
        row: &BranchRow,
        counted: &Payload,
        upto: u32,
        enough: bool,
    ) -> Result<()> {
        let Some(range) = row.record.children else {
            return Ok(());
        };
        let key = JoinKey::of_split(row.run, row.position.node, range.scope);
        let Some(mut count) = self.tables.join(key)? else {
            return Ok(());
        };
        if let Some(map) = &mut count.more().map {
            let upto = (upto as usize).min(map.pending.len());
            map.pending.drain(..upto);
            map.counted = Some(counted.as_bytes().to_vec());
            if enough {
                for index in map.pending.drain(..) {
                    self.tables.move_result(
                        row.run,
                        key.scope,
                        late(key.scope, row.position.node),
                        index,
                    )?;
                }
                map.open = false;
            }
        }
        if !enough {
            self.tables.set_join(key, count)?;
            self.reconsider(row.id)?;
            return self.wake_to_count(row.id);
        }
        let rule = self.rule(row.workflow, Some(row.position.node))?;
        let tally = count.tally();
        if count.arrived >= count.expected {
            self.tables.delete_join(key)?;
            return self.wake(row.id, Some(over(&tally)));
        }
        if rule.rest == Rest::Cancel {
            count.more().phase = Phase::Withdrawing;
            self.tables.set_join(key, count)?;
            return self.withdraw_rest(row.id, row.run, range);
        }
        count.more().phase = Phase::Absorbing;
        self.tables.set_join(key, count)?;
        self.outlive(row.id, row.run, range)?;
        self.wake(row.id, Some(over(&tally)))
    }

    /// Adds to a map, closes it, or ends it with what is done.
    pub(super) fn change_map(
        &mut self,
        run: RunId,
        name: &str,
        what: &MapChange,
    ) -> Verdict<MapOutcome> {
        let root = self.tables.branch(run.root())?;
        let Some(root) = root.filter(|row| row.parent.is_none()) else {
            return Ok(Err(WriteError::NoSuchRun(run)));
        };
        if let MapChange::Add(items) = what
            && let Some(refused) = too_much(items)
        {
            return Ok(Err(refused));
        }
        let definition = self.definition(root.workflow)?;
        let node = definition.find(name).map(|id| &definition.node(id).kind);
        let Some(NodeKind::Map { join, .. }) = node else {
            let why = no_map(&definition, name);
            return Ok(Err(WriteError::WrongState { run, why }));
        };
        if root.state.is_end() || root.flags & flags::WITHDRAWN != 0 {
            return Ok(Ok(MapOutcome::NotThere));
        }
        let at = |row: &BranchRow| {
            row.position == Position::at(*join)
                && matches!(row.state, State::Joining | State::Ready)
                && row.record.children.is_some()
        };
        let rows = self.live(root)?;
        let Some(row) = rows.into_iter().find(at) else {
            return Ok(Ok(MapOutcome::NotThere));
        };
        self.change_map_at(&row, *join, what)
    }

    fn change_map_at(
        &mut self,
        row: &BranchRow,
        join: NodeId,
        what: &MapChange,
    ) -> Verdict<MapOutcome> {
        let Some(range) = row.record.children else {
            return Ok(Ok(MapOutcome::NotThere));
        };
        let key = JoinKey::of_split(row.run, join, range.scope);
        let Some(mut count) = self.tables.join(key)? else {
            return Ok(Ok(MapOutcome::NotThere));
        };
        if count.phase() != Phase::Open {
            return Ok(Ok(MapOutcome::Closed));
        }
        let before = count.expected;
        let Some(map) = &mut count.more().map else {
            return Ok(Ok(MapOutcome::NotThere));
        };
        match what {
            MapChange::Add(_) | MapChange::Close if !map.open => return Ok(Ok(MapOutcome::Closed)),
            MapChange::Add(items) => {
                if let Some(refused) = too_many(before, items.len()) {
                    return Ok(Err(refused));
                }
                for (index, item) in (before..).zip(items) {
                    self.tables
                        .set_item(row.run, range.scope, i64::from(index), item)?;
                }
                count.expected += u32::try_from(items.len()).unwrap_or(u32::MAX);
                self.tables.set_join(key, count)?;
                self.start_instances(row, key, range)?;
            }
            MapChange::Close => {
                map.open = false;
                self.tables.set_join(key, count)?;
                self.reconsider(row.id)?;
            }
            MapChange::Complete => {
                map.open = false;
                map.pending.clear();
                count.more().phase = Phase::Withdrawing;
                count.more().forced = true;
                self.tables.set_join(key, count)?;
                self.withdraw_rest(row.id, row.run, range)?;
            }
        }
        Ok(Ok(MapOutcome::Done))
    }
}

/// The counter of the map that an instance belongs to.
fn counter_of(row: &BranchRow) -> Option<JoinKey> {
    let membership = row.record.membership.as_ref()?;
    Some(JoinKey::of_split(
        row.run,
        membership.join?,
        membership.scope,
    ))
}

/// Where the results of a map are kept that came when it was over: without effect on what follows.
pub(crate) fn late(map: ActivationId, join: NodeId) -> ActivationId {
    // Copy 0 is the join itself.
    map.derive(join, 1)
}

fn join_of(key: JoinKey) -> NodeId {
    NodeId(u32::try_from(key.node).unwrap_or(u32::MAX))
}

/// The slot becomes the instance `index`, which is not ready yet.
fn begin_instance(row: &mut BranchRow, map: NodeId, index: u32) {
    let mut membership = row.record.membership.clone();
    if let Some(membership) = &mut membership {
        membership.index = index;
        membership.name = index.to_string();
        row.activation = membership.scope.derive(map, index);
    }
    row.position = Position::at(map);
    row.attempt = 1;
    row.data = None;
    let flow = Flow {
        role: Role::Instance,
        ..Flow::default()
    };
    row.record = Record::from(Extras {
        membership,
        flow: Some(Box::new(flow)),
        ..Extras::default()
    });
}

/// The slot is no instance, until it is used again.
fn idle(row: &mut BranchRow) {
    let index = row.record.membership.as_ref().map_or(0, |m| m.index);
    let node = row.position.node;
    begin_instance(row, node, index);
    row.state = State::Arrived;
    (row.owner, row.due) = (OwnerId(0), None);
}

/// The bound of a map's instances, which additions do not get around.
fn too_many(before: u32, more: usize) -> Option<WriteError> {
    let count = u64::from(before) + more as u64;
    let max = u64::from(MAP_INSTANCES_MAX);
    (count > max).then_some(WriteError::Limit {
        what: "instances of a map",
        count,
        max,
        help: "close this one, and begin another run for the rest",
    })
}

/// Why a name stands for no map, and which would.
pub(crate) fn no_map(definition: &Definition, name: &str) -> String {
    let is_map = |node: &&Node| matches!(node.kind, NodeKind::Map { .. });
    let maps = definition.nodes().iter().filter(is_map);
    let maps: Vec<_> = maps
        .map(|node| node.name.as_str())
        .take(NAMES_MAX)
        .collect();
    if maps.is_empty() {
        return format!("has no map {name:?}: its workflow has no map at all");
    }
    format!(
        "has no map {name:?}: name one of its maps ({})",
        maps.join(", ")
    )
}

fn too_much(items: &[Payload]) -> Option<WriteError> {
    if items.len() > MAP_ADD_MAX {
        return Some(WriteError::Limit {
            what: "items added at once",
            count: items.len() as u64,
            max: MAP_ADD_MAX as u64,
            help: "add them in several calls",
        });
    }
    let large = items.iter().map(Payload::len).max().unwrap_or(0);
    (large > PAYLOAD_BYTES_MAX).then_some(WriteError::Limit {
        what: "bytes of an item",
        count: large as u64,
        max: PAYLOAD_BYTES_MAX as u64,
        help: "keep large items elsewhere and add their addresses",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_do_not_get_around_the_bound() {
        assert!(too_many(MAP_INSTANCES_MAX - 2, 2).is_none());
        assert!(too_many(MAP_INSTANCES_MAX - 2, 3).is_some());
        assert!(too_many(u32::MAX, usize::MAX >> 1).is_some());
    }
}
