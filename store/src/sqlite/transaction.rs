//! One open transaction: what it has inserted and not written yet, and whose locks it moves.

use rusqlite::Connection;
use windlass_workflow_model::{BranchId, OwnerId};

use super::backend::{BUSY_POLL, is_busy};
use super::bulk::{Bulk, NewBranch};
use super::files::Files;
use super::joins::Joins;
use super::lock_window::{LockWindow, Moved};
use super::log;
use super::rows::storage;
use super::statements::Statements;
use crate::backend::{Guard, Result};
use crate::error::StorageError;
use crate::record::BranchRow;
use crate::sync::pause;

macro_rules! update_branch {
    ($guard:literal) => {
        concat!(
            "UPDATE branches SET position = ?2, activation = ?3, state = ?4, rank = ?5, flags = ?6, ",
            "owner = ?7, token = ?8, attempt = ?9, crashes = ?10, suspect = ?11, due = ?12, ",
            "data = ?13, record = ?14, started_at = ?15, ended_at = ?16 WHERE id = ?1",
            $guard
        )
    };
}

/// An open transaction. Rolled back when it is dropped without a commit.
pub(crate) struct SqliteTransaction<'t> {
    pub(super) statements: Statements<'t>,
    pub(super) bulk: Bulk,
    pub(super) joins: Joins,
    /// Our locks as this transaction leaves them.
    pub(super) window: Option<LockWindow>,
    committed_window: &'t mut Option<LockWindow>,
    files: &'t Files,
    changes_before: u64,
}

impl<'t> SqliteTransaction<'t> {
    pub(super) fn new(
        db: &'t Connection,
        window: &'t mut Option<LockWindow>,
        files: &'t Files,
    ) -> Self {
        Self {
            statements: Statements::of(db),
            bulk: Bulk::default(),
            joins: Joins::default(),
            window: window.clone(),
            committed_window: window,
            files,
            changes_before: db.total_changes(),
        }
    }

    fn write_pending(&mut self) -> Result<()> {
        self.bulk.write_branches(&mut self.statements)?;
        self.joins.write(&mut self.statements)?;
        self.bulk.write_history(&mut self.statements)
    }

    pub(super) fn changes(&mut self) -> Result<u64> {
        self.write_pending()?;
        Ok(self.statements.db().total_changes() - self.changes_before)
    }

    pub(super) fn commit_all(mut self) -> Result<()> {
        self.write_pending()?;
        loop {
            match self.statements.bind("COMMIT")?.execute() {
                Ok(_) if !self.files.are_there() => {
                    let path = self.files.path().to_owned();
                    return Err(StorageError::LogLost { path });
                }
                Ok(_) => {
                    *self.committed_window = self.window.take();
                    return Ok(());
                }
                Err(error) if is_busy(&error) => pause(BUSY_POLL),
                Err(error) => {
                    log::keep_after_failed_sync(self.statements.db(), &error);
                    // Out of room before anything was synced leaves the old state; a failed write
                    // or sync leaves it unknown.
                    return Err(match storage(error) {
                        passing if passing.is_passing() => passing,
                        StorageError::Poisoned { why } => StorageError::Poisoned { why },
                        other => StorageError::Poisoned {
                            why: other.to_string(),
                        },
                    });
                }
            }
        }
    }

    /// What has been inserted is written before something looks for `id`.
    pub(super) fn write_before(&mut self, id: BranchId) -> Result<()> {
        if self.bulk.may_hold(id) {
            self.bulk.write_branches(&mut self.statements)?;
        }
        Ok(())
    }

    /// What has been inserted is written before something looks for any branch.
    pub(super) fn write_branches(&mut self) -> Result<()> {
        self.bulk.write_branches(&mut self.statements)
    }

    pub(super) fn insert_branch(&mut self, row: &BranchRow) -> Result<()> {
        let owner = self.lock_row(row.id, row.owner)?;
        let row = row.clone();
        self.bulk.branch(NewBranch { row, owner });
        if self.bulk.is_full() {
            self.write_branches()?;
        }
        Ok(())
    }

    pub(super) fn update_branch(&mut self, row: &BranchRow, guard: Guard) -> Result<bool> {
        self.write_before(row.id)?;
        let owner = self.lock_row(row.id, row.owner)?;
        let sql = match guard {
            Guard::Read => update_branch!(""),
            Guard::Lock(..) => update_branch!(" AND token = ?17 AND owner = ?18 AND flags = ?19"),
        };
        let mut binder = self.statements.bind(sql)?;
        binder
            .number(row.id.0)
            .life(row, owner)
            .optional(row.started_at.map(|at| at.0))
            .optional(row.ended_at.map(|at| at.0));
        if let Guard::Lock(key, flags) = guard {
            let held = stored_owner(self.window.as_ref(), key.branch, key.owner);
            binder.number(key.token.0).number(held).number(flags);
        }
        let changed = binder.run()? == 1;
        if changed && row.owner == OwnerId(0) {
            self.unlocked(row.id);
        }
        Ok(changed)
    }

    /// The number that stands for `owner` in the row of `id`, which it locks.
    pub(super) fn lock_row(&mut self, id: BranchId, owner: OwnerId) -> Result<i64> {
        let moved = self
            .window
            .as_mut()
            .and_then(|window| window.follow(id, owner));
        if let Some(moved) = moved {
            self.move_window(owner, &moved)?;
        }
        let lock = |window: &mut LockWindow| window.lock(id, owner);
        Ok(self.window.as_mut().map_or(owner.0, lock))
    }

    pub(super) fn unlocked(&mut self, id: BranchId) {
        if let Some(window) = &mut self.window {
            window.unlock(id);
        }
    }

    fn move_window(&mut self, owner: OwnerId, moved: &Moved) -> Result<()> {
        self.write_branches()?;
        let sql = "UPDATE owners SET locks_from = ?2 WHERE id = ?1";
        self.statements
            .bind(sql)?
            .number(owner.0)
            .number(moved.first.0)
            .run()?;
        let sql = "UPDATE branches SET owner = ?2 WHERE id = ?1 AND owner = ?3";
        for id in &moved.left_behind {
            self.statements
                .bind(sql)?
                .number(id.0)
                .number(owner.0)
                .number(-owner.0)
                .run()?;
        }
        Ok(())
    }
}

fn stored_owner(window: Option<&LockWindow>, id: BranchId, owner: OwnerId) -> i64 {
    window.map_or(owner.0, |window| window.stored(id, owner))
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        let db = self.statements.db();
        if !db.is_autocommit() {
            // Nothing can be done when this fails; the next begin reports it.
            let _ = db.execute_batch("ROLLBACK");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use windlass_workflow_model::{
        ActivationId, Epoch, FencingToken, NodeId, Position, RunId, Timestamp, WorkflowKey,
    };

    use super::super::backend::{SqliteBackend, Yielding};
    use crate::backend::{Backend, Guard, Tables};
    use crate::record::{BranchRow, JobKey, OwnerRow, Rank, Record, State};
    use crate::store::Options;
    use windlass_workflow_model::{BranchId, OwnerId};

    struct Alone;

    impl Yielding for Alone {
        fn waiting(&mut self, _waits: bool) {}
        fn others_wait(&mut self) -> bool {
            false
        }
    }

    fn row(id: i64, owner: OwnerId, token: i64) -> BranchRow {
        BranchRow {
            id: BranchId(id),
            run: RunId(id),
            parent: None,
            workflow: WorkflowKey(1),
            epoch: Epoch(1),
            position: Position::before(NodeId(1)),
            activation: ActivationId(1),
            state: State::Ready,
            rank: Rank(8),
            flags: 0,
            owner,
            token: FencingToken(token),
            attempt: 1,
            crashes: 0,
            suspect: 0,
            due: None,
            data: None,
            record: Record::default(),
            created_at: Timestamp(1),
            started_at: None,
            ended_at: None,
        }
    }

    fn register(backend: &mut SqliteBackend, id: i64) -> OwnerId {
        let owner = OwnerRow {
            id: OwnerId(id),
            started_at: Timestamp(0),
            pid: 1,
            host: String::new(),
            file: String::new(),
        };
        let (mut transaction, _) = backend.begin().unwrap();
        transaction.insert_owner(&owner).unwrap();
        transaction.commit().unwrap();
        owner.id
    }

    /// Random locks of two owners on ids far apart, in transactions of which some are rolled back:
    /// each owner's locks are found, all of them and no others, by somebody who knows only the file.
    #[test]
    fn every_lock_of_an_owner_is_found_wherever_it_is() {
        for seed in 1..=8_u64 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("w.db");
            let open = || {
                let opened = super::super::open(&path, &Options::default()).unwrap();
                SqliteBackend::new(opened.connection, &opened.path, Box::new(Alone))
            };
            let (mut first, mut second) = (open(), open());
            let owners = [register(&mut first, 5), register(&mut second, 6)];
            let mut backends = [first, second];
            let mut locked: BTreeMap<i64, (usize, i64)> = BTreeMap::new();
            let mut known: BTreeMap<i64, i64> = BTreeMap::new();
            let mut state = seed;
            let mut random = |below: u64| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                i64::try_from(state % below).unwrap()
            };
            let mut newest = 10;
            for _ in 0..60 {
                let who = usize::try_from(random(2)).unwrap();
                let (mut locks, mut rows) = (locked.clone(), known.clone());
                let (mut transaction, _) = backends[who].begin().unwrap();
                for _ in 0..random(40) {
                    match random(4) {
                        0 | 1 => {
                            newest += 1 + random(6_000);
                            let lock = random(4) > 0;
                            let owner = if lock { owners[who] } else { OwnerId(0) };
                            transaction.insert(&row(newest, owner, 1)).unwrap();
                            rows.insert(newest, 1);
                            if lock {
                                locks.insert(newest, (who, 1));
                            }
                        }
                        2 => {
                            // Somebody locks an old one that is free.
                            let from = random(u64::try_from(newest).unwrap());
                            let free = rows.range(from..).find(|(id, _)| !locks.contains_key(id));
                            if let Some((&id, &token)) = free {
                                let mut row = transaction.branch(BranchId(id)).unwrap().unwrap();
                                transaction.lock(&mut row, owners[who]).unwrap();
                                assert_eq!(row.token, FencingToken(token + 1));
                                rows.insert(id, token + 1);
                                locks.insert(id, (who, token + 1));
                            }
                        }
                        _ => {
                            // A checkpoint under the lock lets it go, or goes on with it.
                            let from = random(u64::try_from(newest).unwrap());
                            let ours = locks.range(from..).find(|(_, (of, _))| *of == who);
                            if let Some((&id, &(_, token))) = ours {
                                let key = JobKey {
                                    branch: BranchId(id),
                                    owner: owners[who],
                                    token: FencingToken(token),
                                };
                                let goes_on = random(2) == 0;
                                let owner = if goes_on { owners[who] } else { OwnerId(0) };
                                let next = row(id, owner, token + i64::from(goes_on));
                                let late = Guard::Lock(
                                    JobKey {
                                        token: FencingToken(token - 1),
                                        ..key
                                    },
                                    0,
                                );
                                assert!(!transaction.update(&next, late).unwrap());
                                assert!(transaction.update(&next, Guard::Lock(key, 0)).unwrap());
                                rows.insert(id, next.token.0);
                                locks.remove(&id);
                                if goes_on {
                                    locks.insert(id, (who, next.token.0));
                                }
                            }
                        }
                    }
                }
                if random(4) == 0 {
                    drop(transaction);
                } else {
                    transaction.commit().unwrap();
                    (locked, known) = (locks, rows);
                }
            }
            drop(backends);
            let mut stranger = open();
            let (mut transaction, _) = stranger.begin().unwrap();
            for (who, owner) in owners.into_iter().enumerate() {
                let mut found = Vec::new();
                let mut after = BranchId(0);
                loop {
                    let some = transaction.locked_by(owner, after, 7).unwrap();
                    let Some(last) = some.last() else { break };
                    after = last.id;
                    found.extend(some.into_iter().map(|row| row.id.0));
                }
                let of_owner = locked.iter().filter(|(_, (of, _))| *of == who);
                let expected: Vec<_> = of_owner.map(|(id, _)| *id).collect();
                assert!(!expected.is_empty());
                assert_eq!(found, expected, "owner {who}, seed {seed}");
            }
        }
    }

    /// What a batch of jobs does, and how SQLite means to find the rows for it.
    #[test]
    fn no_hot_statement_looks_through_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.db");
        let open = || {
            let opened = super::super::open(&path, &Options::default()).unwrap();
            SqliteBackend::new(opened.connection, &opened.path, Box::new(Alone))
        };
        let mut backend = open();
        let us = register(&mut backend, 5);
        let (mut transaction, _) = backend.begin().unwrap();
        let key = crate::backend::JoinKey::of_split(RunId(10), NodeId(2), ActivationId(3));
        let count = || crate::backend::JoinCount::new(1, 2);
        for id in 10..40 {
            transaction.insert(&row(id, OwnerId(0), 0)).unwrap();
        }
        let mut waiting = transaction.ready(WorkflowKey(1), 20).unwrap().rows;
        assert_eq!(waiting.len(), 20);
        transaction.ready_oldest(WorkflowKey(1), 3).unwrap();
        for row in &mut waiting {
            transaction.lock(row, us).unwrap();
            let ended = BranchRow {
                owner: OwnerId(0),
                state: State::Arrived,
                ..row.clone()
            };
            assert!(
                transaction
                    .update(&ended, Guard::Lock(row.key(), 0))
                    .unwrap()
            );
        }
        transaction.set_join(key, count()).unwrap();
        transaction.rows_written().unwrap();
        transaction.delete_join(key).unwrap();
        transaction.branch(BranchId(11)).unwrap();
        transaction.under_way(BranchId(10), 5).unwrap();
        transaction.delete(BranchId(10), 5).unwrap();
        transaction.locked_by(us, BranchId(0), 10).unwrap();
        transaction.due(Timestamp(1), 10).unwrap();
        transaction.next_due().unwrap();
        transaction.limit(RunId(1)).unwrap();
        transaction.dedupe("key").unwrap();
        transaction.rows_written().unwrap();
        let texts = transaction.statements.texts();
        assert!(texts.len() >= 17, "{} statements", texts.len());
        let db = transaction.statements.db();
        for text in texts {
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
            let lines: Vec<String> = plan
                .raw_query()
                .mapped(|line| line.get(3))
                .collect::<rusqlite::Result<_>>()
                .unwrap();
            for line in lines {
                let scans = line.starts_with("SCAN") && !line.contains("VALUES");
                assert!(!scans && !line.contains("TEMP B-TREE"), "{line}: {text}");
            }
        }
    }
}
