//! The way from a branch up to those around it.

use windlass_workflow_model::BranchId;

use super::Apply;
use crate::backend::{Result, Tables};
use crate::error::StorageError;
use crate::limits::BRANCHES_DEEP_MAX;
use crate::record::BranchRow;

/// How far somebody has climbed.
#[derive(Debug, Default)]
pub(super) struct Climb(u32);

impl<T: Tables> Apply<'_, T> {
    /// The branch `id`, to which somebody climbs from one below it.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] where branches are each other's parents: only a damaged file has such,
    /// and whoever climbs them would never come to an end.
    pub(super) fn climb(&mut self, climb: &mut Climb, id: BranchId) -> Result<Option<BranchRow>> {
        climb.0 += 1;
        if climb.0 > BRANCHES_DEEP_MAX {
            return Err(StorageError::Corrupt {
                what: "branch".to_owned(),
                why: format!(
                    "more than {BRANCHES_DEEP_MAX} branches are around {id}, so they must be each other's parents"
                ),
            });
        }
        self.tables.branch(id)
    }
}
