//! Who works on the store, what it serves, and what a dead one leaves behind.

use std::collections::{HashMap, HashSet};

use windlass_workflow_model::{BranchId, Definition, Epoch, FencingToken, OwnerId, WorkflowKey};

use super::{Apply, Verdict};
use crate::backend::{Guard, Result, Tables};
use crate::change::Recovered;
use crate::error::WriteError;
use crate::owner::Running;
use crate::record::{OwnerRow, Rank, State};
use crate::sync::Arc;

/// Ids that the life from which a copy was taken may have given out since: more than it can in years.
const IDS_OF_OTHER_LIFE: i64 = 1 << 44;

/// Rows freed with one look.
const FREED_AT_ONCE: u32 = 4_096;

impl<T: Tables> Apply<'_, T> {
    pub(super) fn register(
        &mut self,
        definition: &Arc<Definition>,
        serve: bool,
    ) -> Verdict<WorkflowKey> {
        let (name, version) = (definition.name(), definition.version());
        let key = match self.tables.workflow(name, version)? {
            Some((_, known)) if known != definition.fingerprint() => {
                return Ok(Err(WriteError::WorkflowDiffers {
                    name: name.to_owned(),
                    version: version.to_owned(),
                }));
            }
            Some((key, _)) => key,
            None => {
                let key = WorkflowKey(self.new_ids(1));
                self.tables.insert_workflow(key, definition)?;
                key
            }
        };
        self.know(key, Arc::clone(definition));
        if serve {
            self.tables.add_serves(key, self.ledger.owner)?;
            self.ledger.served.insert(key);
            self.ledger.backlog = Some(Rank(0));
        }
        Ok(Ok(key))
    }

    pub(super) fn register_owner(&mut self, owner: &OwnerRow) -> Result<OwnerId> {
        if self.ledger.meta.epoch.is_over() {
            self.begin_epoch()?;
        }
        let id = OwnerId(self.new_ids(1));
        self.tables.insert_owner(&OwnerRow {
            id,
            ..owner.clone()
        })?;
        self.ledger.owner = id;
        Ok(id)
    }

    /// The first engine opens a copy of a database. Whoever worked on the original does not work on
    /// this one, and can commit nothing into it: the epoch is another. So its locks are free, whether
    /// or not it lives.
    fn begin_epoch(&mut self) -> Result<()> {
        for owner in self.tables.owners()? {
            self.recover(owner, &[], None)?;
        }
        let over = self.ledger.meta.epoch.0.saturating_neg();
        // A copy that is restored twice lives twice, each time in another epoch.
        self.ledger.meta.epoch = Epoch(self.now.0.max(over + 1));
        self.ledger.meta.next_id += IDS_OF_OTHER_LIFE;
        Ok(())
    }

    /// Frees everything that `owner` had locked, each job with a higher token.
    ///
    /// If it crashed (`charge` holds the bound) while exactly one job was running, that job is
    /// charged and parked at the bound; if several were, each becomes a suspect. A job counts as
    /// running only if its row still holds the token that the owner's file names. That it is not named
    /// says nothing of a step that must not happen twice: it may have returned, with its outcome on
    /// the way to the writer. So none of those may begin again.
    pub(super) fn recover(
        &mut self,
        owner: OwnerId,
        running: &[Running],
        charge: Option<u32>,
    ) -> Result<Recovered> {
        let claimed: HashMap<_, _> = running
            .iter()
            .map(|slot| ((slot.branch, slot.token), slot.started_at))
            .collect();
        let mut rows = Vec::new();
        let mut after = BranchId(0);
        loop {
            let found = self.tables.locked_by(owner, after, FREED_AT_ONCE)?;
            let Some(last) = found.last() else { break };
            after = last.id;
            rows.extend(found);
        }
        let was_running: HashSet<BranchId> = rows
            .iter()
            .filter(|row| claimed.contains_key(&(row.id, row.token)))
            .map(|row| row.id)
            .collect();
        let mut recovered = Recovered {
            freed: u32::try_from(rows.len()).unwrap_or(u32::MAX),
            were_running: u32::try_from(was_running.len()).unwrap_or(u32::MAX),
            parked: Vec::new(),
        };
        for mut row in rows {
            let began = claimed.get(&(row.id, row.token)).copied();
            row.started_at = row.started_at.or(began);
            row.owner = OwnerId(0);
            row.token = FencingToken(row.token.0 + 1);
            if let (Some(max_crashes), true) = (charge, was_running.contains(&row.id)) {
                if was_running.len() == 1 {
                    row.crashes += 1;
                } else {
                    row.suspect += 1;
                }
                if row.crashes >= max_crashes {
                    let text =
                        format!("its engine crashed {} times while only it ran", row.crashes);
                    row.record.reason = Some(text);
                    row.state = State::Parked;
                    self.clear_unstarted(&mut row);
                    recovered.parked.push(row.id);
                }
            }
            self.tables.update(&row, Guard::Read)?;
            if row.state == State::Parked {
                self.leave_slot(&row)?;
            } else {
                self.note_freed(&row);
            }
        }
        self.returned_all(owner)?;
        self.tables.delete_owner(owner)?;
        if owner == self.ledger.owner {
            // We stop: nothing is locked for us any more.
            self.ledger.owner = OwnerId(0);
        }
        Ok(recovered)
    }
}
