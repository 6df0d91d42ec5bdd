//! The maps of a run: how far each is, and what its instances gave, a page at a time.

use std::collections::VecDeque;

use windlass_workflow_model::{
    ActivationId, BranchOutcome, Definition, NodeId, NodeKind, RunId, Timestamp,
};

use super::Inspector;
use crate::apply::{late, no_map};
use crate::backend::{MapRow, Reader, Result, ResultRow};
use crate::error::StorageError;
use crate::limits::{INSTANCES_SHOWN_MAX, MAPS_SHOWN_MAX, RESULTS_AT_ONCE};
use crate::sync::Arc;

/// Why the results of a map cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// There is no such run.
    #[error("there is no run {0}: it was never admitted here, or retention has removed it")]
    NoSuchRun(RunId),
    /// Its workflow has no map of that name.
    #[error("run {run} {why}")]
    NoSuchMap {
        /// The run.
        run: RunId,
        /// Which maps there are.
        why: String,
    },
    /// The run has not begun it.
    #[error(
        "run {run} has not begun map {map}, so it has no results: it has not come there, or came there with nothing to do"
    )]
    NotBegun {
        /// The run.
        run: RunId,
        /// The map's name, or its activation.
        map: String,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// One time that a run was, or is, in a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapView {
    /// The map's name.
    pub map: String,
    /// Its activation: in a loop it has another one each round, in a retry too.
    pub activation: ActivationId,
    /// When it began.
    pub begun_at: Timestamp,
    /// Instances that have not begun.
    pub waiting: u64,
    /// Instances that have begun and not ended.
    pub running: u64,
    /// Instances that have succeeded.
    pub succeeded: u64,
    /// Instances that have failed.
    pub failed: u64,
    /// Instances that were withdrawn while they ran; one that never began gives no result.
    pub cancelled: u64,
    /// Whether more may be added from outside.
    pub is_open: bool,
}

impl MapView {
    /// Instances there are or were, so far.
    pub fn added(&self) -> u64 {
        self.waiting + self.running + self.succeeded + self.failed + self.cancelled
    }
}

/// One time that a run has begun a map that is a block.
pub(super) struct BegunMap {
    pub(super) row: MapRow,
    /// Instances that are known to have begun, as far as they are looked at; those of the lowest indexes.
    pub(super) begun: u32,
    /// Those behind them that have ended or never will begin, because the map was stopped, as far as they
    /// are looked at. What is withdrawn with a map gives no result.
    pub(super) left_out: u32,
    /// What stopped it, if anything did.
    pub(super) stopped: Stopped,
}

/// Why a map goes on no more though not all of its instances have begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// An instance of it failed.
    Failed,
    /// It was withdrawn with what is around it.
    Withdrawn,
}

impl BegunMap {
    /// From how far a map is, and how many instances more may be looked at.
    fn of(row: MapRow, view: &MapView, most: u32) -> Self {
        let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let begun = count(view.added() - view.waiting).min(most);
        let planned = row.count.map_or(0, u64::from);
        let left_out = count(planned.saturating_sub(view.added()));
        let stopped = match view.failed {
            0 => Stopped::Withdrawn,
            _ => Stopped::Failed,
        };
        Self {
            row,
            begun,
            left_out: left_out.min(most - begun),
            stopped,
        }
    }
}

/// What one instance of a map gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapResult {
    /// Its index.
    pub index: u32,
    /// Whether it came when the map was over, so that what follows the map does not see it.
    pub is_late: bool,
    /// Its last data, why it failed, or that it was withdrawn.
    pub outcome: BranchOutcome,
}

impl Inspector {
    /// The maps that a run has begun, oldest first; `None` if there is no such run.
    ///
    /// While instances of a map live this reads its counter; afterwards it counts its results, which
    /// takes time in proportion.
    ///
    /// # Errors
    /// See [`runs`](Self::runs).
    pub fn maps(&mut self, run: RunId) -> Result<Option<Vec<MapView>>> {
        let Some(root) = self.root(run)? else {
            return Ok(None);
        };
        let definition = self.definition(&root)?;
        let mut views = Vec::new();
        for row in self.reader.maps(run, MAPS_SHOWN_MAX)? {
            super::all_known(&definition, [row.map])?;
            views.push(self.map_view(run, &definition, row)?);
        }
        Ok(Some(views))
    }

    /// What the instances of a map gave, in index order: of the last time that the run began it.
    ///
    /// Results are there as soon as instances end, also while the map goes on, and stay when the
    /// run has ended, however it has, until retention deletes the run. What a map begins anew in a
    /// loop or a retry is another activation's; [`results_of`](Self::results_of) reads each. Holds
    /// at most 64 results in memory (payloads have a bound of 4 MiB each). Each page is read when it
    /// is needed, and shows what is there then: of a map that goes on, an instance that ends behind
    /// the place that the reader has come to is not seen.
    ///
    /// # Errors
    /// [`MapError`]; what the iterator gives is an error if a page cannot be read, and then no more.
    pub fn results(
        &mut self,
        run: RunId,
        map: &str,
    ) -> std::result::Result<MapResults<'_>, MapError> {
        let (definition, maps) = self.begun(run, map)?;
        let newest = maps.last().ok_or_else(|| MapError::NotBegun {
            run,
            map: format!("{map:?}"),
        })?;
        Ok(self.read(run, &definition, *newest))
    }

    /// What the instances of a map gave in the time that it had this activation, which
    /// [`maps`](Self::maps) tells.
    ///
    /// # Errors
    /// As [`results`](Self::results).
    pub fn results_of(
        &mut self,
        run: RunId,
        map: &str,
        activation: ActivationId,
    ) -> std::result::Result<MapResults<'_>, MapError> {
        let (definition, maps) = self.begun(run, map)?;
        let row = maps.into_iter().find(|row| row.scope == activation);
        let row = row.ok_or_else(|| MapError::NotBegun {
            run,
            map: format!("{map:?} under activation {activation}"),
        })?;
        Ok(self.read(run, &definition, row))
    }

    /// The times that a run has begun a map, oldest first.
    fn begun(
        &mut self,
        run: RunId,
        map: &str,
    ) -> std::result::Result<(Arc<Definition>, Vec<MapRow>), MapError> {
        let root = self.root(run)?.ok_or(MapError::NoSuchRun(run))?;
        let definition = self.definition(&root)?;
        let node = definition.find(map);
        let node = node.filter(|id| join_of(&definition, *id).is_some());
        let node = node.ok_or_else(|| MapError::NoSuchMap {
            run,
            why: no_map(&definition, map),
        })?;
        let mut maps = self.reader.maps(run, MAPS_SHOWN_MAX)?;
        maps.retain(|row| row.map == node);
        Ok((definition, maps))
    }

    fn read(&mut self, run: RunId, definition: &Definition, row: MapRow) -> MapResults<'_> {
        MapResults {
            reader: self.reader.as_mut(),
            run,
            map: row.scope,
            late: late_of(definition, row),
            page: VecDeque::new(),
            next: Some(0),
        }
    }

    /// The times that a run has begun a map that is a block, oldest first.
    pub(super) fn maps_begun(
        &mut self,
        run: RunId,
        definition: &Definition,
    ) -> Result<Vec<BegunMap>> {
        let is_block = |node: NodeId| {
            let name = definition.node(node).step_name();
            definition.blocks().iter().any(|block| block.name == name)
        };
        let nodes = (0..).map(NodeId).zip(definition.nodes());
        let maps = nodes.filter(|(_, node)| matches!(node.kind, NodeKind::Map { .. }));
        let maps: Vec<_> = maps.map(|(id, _)| id).filter(|id| is_block(*id)).collect();
        let (mut begun, mut left) = (Vec::new(), INSTANCES_SHOWN_MAX);
        if maps.is_empty() {
            return Ok(begun);
        }
        for row in self.reader.maps(run, MAPS_SHOWN_MAX)? {
            super::all_known(definition, [row.map])?;
            if !maps.contains(&row.map) {
                continue;
            }
            let map = BegunMap::of(row, &self.map_view(run, definition, row)?, left);
            left -= map.begun + map.left_out;
            begun.push(map);
        }
        Ok(begun)
    }

    fn map_view(&mut self, run: RunId, definition: &Definition, row: MapRow) -> Result<MapView> {
        let mut view = MapView {
            map: definition.node(row.map).name.clone(),
            activation: row.scope,
            begun_at: row.begun_at,
            waiting: 0,
            running: 0,
            succeeded: 0,
            failed: 0,
            cancelled: 0,
            is_open: false,
        };
        let join = join_of(definition, row.map).unwrap_or(row.map);
        if let Some(standing) = self.reader.map_standing(run, join, row.scope)? {
            let to_come = standing.expected.saturating_sub(standing.begun);
            let ended_badly = standing.failed + standing.cancelled;
            view.waiting = u64::from(if standing.is_withdrawing { 0 } else { to_come });
            view.running = u64::from(standing.begun.saturating_sub(standing.ended));
            view.succeeded = u64::from(standing.ended.saturating_sub(ended_badly));
            view.failed = u64::from(standing.failed);
            view.cancelled = u64::from(standing.cancelled);
            view.is_open = standing.is_open;
            return Ok(view);
        }
        for scope in [row.scope, late_of(definition, row)] {
            let [succeeded, failed, cancelled] = self.reader.count_results(run, scope)?;
            view.succeeded += succeeded;
            view.failed += failed;
            view.cancelled += cancelled;
        }
        Ok(view)
    }
}

/// The join of a map; `None` if the node is none.
fn join_of(definition: &Definition, node: NodeId) -> Option<NodeId> {
    match definition.nodes().get(node.0 as usize)?.kind {
        NodeKind::Map { join, .. } => Some(join),
        _ => None,
    }
}

/// Where the results are that came when the map was over.
fn late_of(definition: &Definition, row: MapRow) -> ActivationId {
    late(row.scope, join_of(definition, row.map).unwrap_or(row.map))
}

/// The results of a map in index order, read a page at a time.
#[derive(Debug)]
pub struct MapResults<'a> {
    reader: &'a mut dyn Reader,
    run: RunId,
    map: ActivationId,
    late: ActivationId,
    page: VecDeque<MapResult>,
    /// Where the next page begins; `None` after the last.
    next: Option<u32>,
}

impl MapResults<'_> {
    fn turn_page(&mut self, from: u32) -> Result<()> {
        let mut page = Vec::new();
        for (scope, is_late) in [(self.map, false), (self.late, true)] {
            let rows = self
                .reader
                .results(self.run, scope, from, RESULTS_AT_ONCE)?;
            page.extend(rows.into_iter().map(|row| result(row, is_late)));
        }
        page.sort_by_key(|result| result.index);
        // One that was told to be late between the two reads is in both.
        page.dedup_by_key(|result| result.index);
        page.truncate(RESULTS_AT_ONCE as usize);
        self.next = page.last().and_then(|last| last.index.checked_add(1));
        self.page = page.into();
        Ok(())
    }
}

impl Iterator for MapResults<'_> {
    type Item = Result<MapResult>;

    fn next(&mut self) -> Option<Result<MapResult>> {
        if self.page.is_empty()
            && let Some(from) = self.next.take()
            && let Err(error) = self.turn_page(from)
        {
            return Some(Err(error));
        }
        self.page.pop_front().map(Ok)
    }
}

fn result(row: ResultRow, is_late: bool) -> MapResult {
    MapResult {
        index: row.index,
        is_late,
        outcome: match row.outcome {
            Some(Ok(data)) => BranchOutcome::Succeeded(data),
            Some(Err(fault)) => BranchOutcome::Failed(fault),
            None => BranchOutcome::Cancelled("withdrawn".to_owned()),
        },
    }
}
