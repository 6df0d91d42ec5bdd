//! Where branches are that Runners have in hand.
//!
//! A row says where its branch was locked: at a wait that is over, at a join, at the map whose instance
//! it is. From there its Runner goes on to the next step by itself, and says so in its owner's file.
//! Whoever withdraws a step has to know that.

use std::collections::HashMap;

use windlass_workflow_model::{ActivationId, BranchId, FencingToken, NodeId, OwnerId, Timestamp};

use crate::owner::{OwnerLife, Running};
use crate::record::{BranchRow, State};
use crate::sync::Mutex;

type Jobs = HashMap<(BranchId, FencingToken), Running>;

/// See the module. Looked up once in a transaction, and only if it is asked.
pub(crate) struct AtWork<'a> {
    life: &'a Mutex<Option<OwnerLife>>,
    owner: OwnerId,
    ours: Option<Jobs>,
    others: Option<Jobs>,
}

impl<'a> AtWork<'a> {
    pub(crate) fn of(life: &'a Mutex<Option<OwnerLife>>, owner: OwnerId) -> Self {
        Self {
            life,
            owner,
            ours: None,
            others: None,
        }
    }

    /// The step that a Runner went on to, if it did.
    pub(super) fn beyond(&mut self, row: &BranchRow) -> Option<(NodeId, ActivationId)> {
        self.job(row)?.step
    }

    /// When the attempt that a Runner has in hand began.
    pub(super) fn since(&mut self, row: &BranchRow) -> Option<Timestamp> {
        Some(self.job(row)?.started_at)
    }

    fn job(&mut self, row: &BranchRow) -> Option<&Running> {
        // Until the next lock the token stays the same, and the Runner may not have left its seat yet.
        if row.state != State::Ready || row.owner == OwnerId(0) {
            return None;
        }
        let look = |running: fn(&OwnerLife) -> Vec<Running>| {
            let life = self.life.lock();
            let running = life.iter().flat_map(running);
            running.map(|job| ((job.branch, job.token), job)).collect()
        };
        let known = if row.owner == self.owner {
            self.ours.get_or_insert_with(|| look(OwnerLife::running))
        } else {
            self.others
                .get_or_insert_with(|| look(OwnerLife::running_beside))
        };
        known.get(&(row.id, row.token))
    }
}
