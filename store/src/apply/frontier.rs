//! The frontier of a failed run: where the branches of a failed split stood.
//!
//! When a run ends nothing is left of its branches, yet a retry must go on from the failed step and
//! not repeat what its siblings did. So the first row of the failed run keeps them as a record.

use serde::{Deserialize, Serialize};
use windlass_workflow_model::{
    ActivationId, BranchId, FencingToken, NodeId, NodeKind, OwnerId, Payload, Position, Tally,
};

use super::Apply;
use super::arrivals::over;
use crate::backend::{Guard, JoinCount, JoinKey, Result, Tables};
use crate::codec;
use crate::limits::FRONTIER_BYTES_MAX;
use crate::record::{BranchRow, ChildRange, Extras, Membership, Record, State, flags};

/// A failed split: the join at which its branches met, and the branches.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frontier {
    join: Position,
    activation: ActivationId,
    data: Option<Vec<u8>>,
    scope: ActivationId,
    branches: Vec<Stopped>,
}

/// Where one branch stopped.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stopped {
    membership: Membership,
    position: Position,
    activation: ActivationId,
    data: Option<Vec<u8>>,
    /// Its own frontier, if it failed at a split.
    nested: Option<Vec<u8>>,
    failed: bool,
}

impl Frontier {
    /// Adds the nodes at which its failed branches go on.
    fn nodes(bytes: &[u8], found: &mut Vec<NodeId>) -> Result<()> {
        let frontier: Self = codec::decode(bytes)?;
        if frontier.branches.iter().all(|branch| !branch.failed) {
            // It was the join itself that failed.
            found.push(frontier.join.node);
        }
        for branch in frontier.branches.iter().filter(|branch| branch.failed) {
            match &branch.nested {
                Some(nested) => Self::nodes(nested, found)?,
                None => found.push(branch.position.node),
            }
        }
        Ok(())
    }
}

/// The nodes at which a retry of a failed run goes on, by its first row.
pub(crate) fn retries_at(root: &BranchRow) -> Result<Vec<NodeId>> {
    let mut found = Vec::new();
    let retried = root.record.retry_at.filter(|_| root.state == State::Failed);
    match (retried, &root.record.frontier) {
        (None, _) => {}
        (Some(_), Some(frontier)) => Frontier::nodes(frontier, &mut found)?,
        (Some((node, _)), None) => found.push(node),
    }
    Ok(found)
}

impl<T: Tables> Apply<'_, T> {
    /// The frontier of the split that `job` stands at, or `None` if it is too large to keep.
    pub(super) fn frontier(
        &mut self,
        job: &BranchRow,
        range: ChildRange,
    ) -> Result<Option<Vec<u8>>> {
        let rule = self.rule(job.workflow, Some(job.position.node))?;
        if !rule.settles(range.count) || range.count == 0 || self.is_map(job)? {
            // Begins anew, with all its branches.
            return Ok(None);
        }
        let mut bytes = 0;
        let mut branches = Vec::new();
        for id in (range.first.0..).take(range.count as usize) {
            let Some(row) = self.tables.branch(BranchId(id))? else {
                continue;
            };
            if row.record.flow().cancelled {
                return Ok(None);
            }
            let extras = row.record.into_extras();
            let Some(membership) = extras.membership else {
                continue;
            };
            let failed = extras.fault.is_some();
            let (position, activation) = match extras.retry_at {
                Some((node, activation)) => (Position::before(node), activation),
                None => (row.position, row.activation),
            };
            let data = row.data.map(|data| data.as_bytes().to_vec());
            bytes += data.as_ref().map_or(0, Vec::len) + membership.name.len() + 64;
            bytes += extras.frontier.as_ref().map_or(0, Vec::len);
            if bytes > FRONTIER_BYTES_MAX {
                return Ok(None);
            }
            let nested = extras.frontier;
            branches.push(Stopped {
                membership,
                position,
                activation,
                data,
                nested,
                failed,
            });
        }
        Ok(Some(codec::encode(&Frontier {
            join: Position::at(job.position.node),
            activation: job.activation,
            data: job.data.as_ref().map(|data| data.as_bytes().to_vec()),
            scope: range.scope,
            branches,
        })))
    }

    fn is_map(&mut self, job: &BranchRow) -> Result<bool> {
        let definition = self.definition(job.workflow)?;
        let NodeKind::Join { split, .. } = definition.node(job.position.node).kind else {
            return Ok(false);
        };
        Ok(matches!(
            definition.node(split).kind,
            NodeKind::Map { .. } | NodeKind::Scope { .. }
        ))
    }

    /// Sets the branches up again as they stood and lets the failed ones try anew; says how many.
    pub(super) fn resume_frontier(&mut self, mut row: BranchRow, bytes: &[u8]) -> Result<u32> {
        let frontier: Frontier = codec::decode(bytes)?;
        let first = BranchId(self.new_ids(frontier.branches.len()));
        let of = u32::try_from(frontier.branches.len()).unwrap_or(u32::MAX);
        (row.position, row.activation) = (frontier.join, frontier.activation);
        row.data = frontier.data.map(Payload::from_json);
        row.state = State::Joining;
        row.flags |= flags::BRANCHED;
        row.record.children = Some(ChildRange {
            first,
            count: of,
            scope: frontier.scope,
        });
        self.tables.update(&row, Guard::Read)?;
        let arrived = frontier
            .branches
            .iter()
            .filter(|branch| !branch.failed)
            .count();
        let arrived = u32::try_from(arrived).unwrap_or(u32::MAX);
        if let (Some(join), 1..) = (
            frontier
                .branches
                .first()
                .and_then(|branch| branch.membership.join),
            arrived,
        ) && arrived < of
        {
            let key = JoinKey::of_split(row.run, join, frontier.scope);
            self.tables.set_join(key, JoinCount::new(arrived, of))?;
        }
        let mut going = 0;
        for (id, stopped) in (first.0..).zip(frontier.branches) {
            going += self.resume_branch(&row, BranchId(id), stopped, going)?;
        }
        if arrived == of {
            // All were there: it was the join itself that failed.
            let rule = self.rule(row.workflow, Some(row.position.node))?;
            if !rule.only_counts() {
                let all = Tally {
                    expected: of,
                    succeeded: of,
                    ..Tally::default()
                };
                Self::wake_with(&mut row, over(&all));
            }
            self.make_ready(&mut row)?;
            self.tables.update(&row, Guard::Read)?;
            self.dispatch_loaded(&row)?;
            going = 1;
        }
        Ok(going)
    }

    /// `going`: how many of its siblings are on their way already.
    fn resume_branch(
        &mut self,
        parent: &BranchRow,
        id: BranchId,
        stopped: Stopped,
        going: u32,
    ) -> Result<u32> {
        let limit = stopped.membership.max_parallelism;
        let membership = Membership {
            resumed: true,
            ..stopped.membership
        };
        let mut row = BranchRow {
            id,
            parent: Some(parent.id),
            position: stopped.position,
            activation: stopped.activation,
            state: State::Arrived,
            flags: parent.flags & flags::LIMITED,
            owner: OwnerId(0),
            token: FencingToken(0),
            data: stopped.data.map(Payload::from_json),
            record: Record::from(Extras {
                membership: Some(membership),
                ..Extras::default()
            }),
            created_at: self.now,
            started_at: None,
            ..parent.clone()
        };
        if !stopped.failed {
            self.tables.insert(&row)?;
            return Ok(0);
        }
        if let Some(nested) = stopped.nested {
            self.tables.insert(&row)?;
            return self.resume_frontier(row, &nested);
        }
        if limit > 0 && going >= limit {
            row.state = State::Held;
        } else {
            self.make_ready(&mut row)?;
        }
        self.tables.insert(&row)?;
        self.dispatch(&row, Some(parent));
        Ok(1)
    }
}
