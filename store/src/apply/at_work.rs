//! Where branches are that our Runners have in hand.
//!
//! A row says where its branch was locked: at a wait that is over, at a join, at the map whose instance
//! it is. From there its Runner goes on to the next step by itself. Whoever withdraws a step has to
//! know that. What other engines on the same file do is not known here: for theirs the rows count.

use std::collections::HashMap;

use windlass_workflow_model::{ActivationId, BranchId, FencingToken, NodeId};

use crate::owner::OwnerLife;
use crate::record::{BranchRow, State};
use crate::sync::Mutex;

/// See the module. Looked up once in a transaction, and only if it is asked.
pub(crate) struct AtWork<'a> {
    life: &'a Mutex<Option<OwnerLife>>,
    known: Option<HashMap<(BranchId, FencingToken), (NodeId, ActivationId)>>,
}

impl<'a> AtWork<'a> {
    pub(crate) fn of(life: &'a Mutex<Option<OwnerLife>>) -> Self {
        Self { life, known: None }
    }

    /// The step that a Runner went on to, if it did.
    pub(super) fn beyond(&mut self, row: &BranchRow) -> Option<(NodeId, ActivationId)> {
        if row.state != State::Ready {
            return None;
        }
        let known = self.known.get_or_insert_with(|| {
            let life = self.life.lock();
            let running = life.iter().flat_map(OwnerLife::running);
            let beyond = running.filter_map(|job| Some(((job.branch, job.token), job.step?)));
            beyond.collect()
        });
        known.get(&(row.id, row.token)).copied()
    }
}
