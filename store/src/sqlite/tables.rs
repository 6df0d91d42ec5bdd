//! The rows of an open transaction, in SQLite.

use std::time::Duration;

use rusqlite::{Connection, ErrorCode, params};
use windlass_workflow_model::{
    BranchId, Definition, Epoch, Fault, FencingToken, OwnerId, Payload, RunId, Timestamp,
    WorkflowKey,
};

use super::rows::{
    self, activation, column, execute, first, nullable, query, record_bytes, storage,
};
use crate::backend::{EventRow, Guard, JoinCount, JoinKey, Meta, Result, RunLimit, Sweep, Tables};
use crate::codec;
use crate::error::StorageError;
use crate::limits::WAL_BYTES_MAX;
use crate::record::{BranchRow, ChildRange, HistoryDetail, HistoryRow, OwnerRow, Rank, State};
use crate::sync::pause;

/// How often a writer asks again while another one writes.
const BUSY_POLL: Duration = Duration::from_micros(500);

/// How often, in commits, the length of the log is looked at.
const TIDY_EVERY: u32 = 256;

/// Says to other processes that we wait for our turn to write, and asks whether they do.
pub(crate) trait Yielding: Send {
    /// We begin, or stop, to wait.
    fn waiting(&mut self, waits: bool);
    /// Whether somebody else waits.
    fn others_wait(&mut self) -> bool;
}

/// The writing connection.
pub(crate) struct SqliteTables {
    db: Connection,
    yielding: Box<dyn Yielding>,
    data_version: i64,
    commits: u32,
}

impl SqliteTables {
    pub(crate) fn new(db: Connection, yielding: Box<dyn Yielding>) -> Self {
        Self {
            db,
            yielding,
            data_version: -1,
            commits: 0,
        }
    }

    /// Begins a write at once; while another process writes, asks again every half millisecond
    /// (SQLite's own busy handler lets one of four writers starve for seconds).
    fn begin_immediate(&mut self) -> Result<()> {
        let mut waits = false;
        loop {
            let begun = self
                .db
                .prepare_cached("BEGIN IMMEDIATE")
                .and_then(|mut s| s.execute([]));
            match begun {
                Ok(_) => {
                    if waits {
                        self.yielding.waiting(false);
                    }
                    return Ok(());
                }
                Err(error) if is_busy(&error) => {
                    if !waits {
                        self.yielding.waiting(true);
                        waits = true;
                    }
                    pause(BUSY_POLL);
                }
                Err(error) => {
                    if waits {
                        self.yielding.waiting(false);
                    }
                    return Err(storage(error));
                }
            }
        }
    }
}

macro_rules! select_branch {
    ($rest:literal) => {
        concat!(
            "SELECT id, run, parent, workflow, epoch, position, activation, state, rank, flags, ",
            "owner, token, attempt, crashes, suspect, due, data, record, created_at, started_at, ",
            "ended_at FROM branches ",
            $rest
        )
    };
}

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

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn number(row: &rusqlite::Row<'_>) -> Result<i64> {
    column(row, 0)
}

fn event_row(row: &rusqlite::Row<'_>) -> Result<EventRow> {
    Ok(EventRow {
        run: RunId(column(row, 0)?),
        name: column(row, 1)?,
        id: column(row, 2)?,
        seq: column(row, 3)?,
        payload: Payload::from_json(column::<Vec<u8>>(row, 4)?),
        is_fault: column(row, 5)?,
        consumed: column(row, 6)?,
    })
}

impl Tables for SqliteTables {
    fn begin(&mut self) -> Result<bool> {
        self.begin_immediate()?;
        let version = first(&self.db, "PRAGMA data_version", &[], number)?.unwrap_or_default();
        let foreign = version != self.data_version;
        self.data_version = version;
        Ok(foreign)
    }

    fn commit(&mut self) -> Result<()> {
        loop {
            match self
                .db
                .prepare_cached("COMMIT")
                .and_then(|mut s| s.execute([]))
            {
                Ok(_) => {
                    self.commits += 1;
                    return Ok(());
                }
                Err(error) if is_busy(&error) => pause(BUSY_POLL),
                Err(error) => {
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

    fn rollback(&mut self) {
        if !self.db.is_autocommit() {
            // Nothing can be done when this fails; the next begin reports it.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    fn rows_written(&self) -> u64 {
        self.db.total_changes()
    }

    fn tidy(&mut self) {
        if self.commits >= TIDY_EVERY {
            self.commits = 0;
            let frames = |mode: &str| -> rusqlite::Result<u64> {
                self.db
                    .query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                        row.get::<_, i64>(1)
                            .map(|frames| u64::try_from(frames).unwrap_or(0))
                    })
            };
            // A checkpoint that fails is tried again with the next one; nothing is lost by it.
            if frames("PASSIVE").is_ok_and(|frames| frames * 4096 >= WAL_BYTES_MAX) {
                let _ = frames("RESTART");
            }
        }
        if self.yielding.others_wait() {
            pause(BUSY_POLL * 2);
        }
    }

    fn finish(&mut self) {
        // While others read or write it stays in the log, which is as good.
        let _ = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }

    fn meta(&mut self) -> Result<Meta> {
        let sql = "SELECT next_id, epoch, unstarted, shed, retention_cursor FROM meta WHERE id = 1";
        first(&self.db, sql, &[], |row| {
            Ok(Meta {
                next_id: column(row, 0)?,
                epoch: Epoch(column(row, 1)?),
                unstarted: column(row, 2)?,
                shed: column(row, 3)?,
                retention_cursor: column(row, 4)?,
            })
        })?
        .ok_or_else(|| rows::corrupt("meta", "its one row is missing"))
    }

    fn set_meta(&mut self, meta: &Meta) -> Result<()> {
        let sql = "UPDATE meta SET next_id = ?1, epoch = ?2, unstarted = ?3, shed = ?4, \
                   retention_cursor = ?5 WHERE id = 1";
        let Meta {
            next_id,
            epoch,
            unstarted,
            shed,
            retention_cursor,
        } = meta;
        execute(
            &self.db,
            sql,
            params![next_id, epoch.0, unstarted, shed, retention_cursor],
        )?;
        Ok(())
    }

    fn insert(&mut self, row: &BranchRow) -> Result<()> {
        let sql = "INSERT INTO branches (id, run, parent, workflow, epoch, position, activation, \
                   state, rank, flags, owner, token, attempt, crashes, suspect, due, data, record, \
                   created_at, started_at, ended_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, \
                   ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)";
        execute(
            &self.db,
            sql,
            params![
                row.id.0,
                row.run.0,
                nullable(row.parent.map(|parent| parent.0)),
                row.workflow.0,
                row.epoch.0,
                row.position.to_number(),
                activation(row.activation),
                row.state.number(),
                row.rank.0,
                row.flags,
                row.owner.0,
                row.token.0,
                row.attempt,
                row.crashes,
                row.suspect,
                nullable(row.due.map(|due| due.0)),
                row.data.as_ref().map(Payload::as_bytes),
                record_bytes(&row.record),
                row.created_at.0,
                nullable(row.started_at.map(|at| at.0)),
                nullable(row.ended_at.map(|at| at.0)),
            ],
        )?;
        Ok(())
    }

    fn branch(&mut self, id: BranchId) -> Result<Option<BranchRow>> {
        let sql = select_branch!("WHERE id = ?1");
        first(&self.db, sql, params![id.0], rows::branch)
    }

    fn update(&mut self, row: &BranchRow, guard: Guard) -> Result<bool> {
        let record = record_bytes(&row.record);
        let (position, activation) = (row.position.to_number(), activation(row.activation));
        let (state, due) = (row.state.number(), nullable(row.due.map(|due| due.0)));
        let data = row.data.as_ref().map(Payload::as_bytes);
        let started_at = nullable(row.started_at.map(|at| at.0));
        let ended_at = nullable(row.ended_at.map(|at| at.0));
        // The columns first, then what the row is written under.
        let (token, owner, flags) = match guard {
            Guard::Read => (0, 0, 0),
            Guard::Lock(key, flags) => (key.token.0, key.owner.0, flags),
        };
        let all = params![
            row.id.0,
            position,
            activation,
            state,
            row.rank.0,
            row.flags,
            row.owner.0,
            row.token.0,
            row.attempt,
            row.crashes,
            row.suspect,
            due,
            data,
            record,
            started_at,
            ended_at,
            token,
            owner,
            flags
        ];
        let changed = match guard {
            Guard::Read => execute(&self.db, update_branch!(""), &all[..16])?,
            Guard::Lock(..) => {
                let sql = update_branch!(" AND token = ?17 AND owner = ?18 AND flags = ?19");
                execute(&self.db, sql, all)?
            }
        };
        Ok(changed == 1)
    }

    fn delete(&mut self, first: BranchId, count: u32) -> Result<()> {
        let sql = "DELETE FROM branches WHERE id >= ?1 AND id < ?2";
        execute(&self.db, sql, params![first.0, first.0 + i64::from(count)])?;
        Ok(())
    }

    fn ready(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<(Rank, BranchId)>> {
        let sql = "SELECT rank, id FROM branches INDEXED BY ready WHERE state = 0 AND owner = 0 \
                   AND workflow = ?1 ORDER BY rank, id LIMIT ?2";
        query(&self.db, sql, params![workflow.0, limit], |row| {
            Ok((Rank(column(row, 0)?), BranchId(column(row, 1)?)))
        })
    }

    fn ready_oldest(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<BranchId>> {
        let sql = "SELECT id FROM branches INDEXED BY ready WHERE state = 0 AND owner = 0 \
                   AND workflow = ?1 AND rank = ?2 ORDER BY id LIMIT ?3";
        let mut oldest = Vec::new();
        for rank in 0..20 {
            oldest.extend(query(
                &self.db,
                sql,
                params![workflow.0, rank, limit],
                number,
            )?);
        }
        oldest.sort_unstable();
        oldest.truncate(limit as usize);
        Ok(oldest.into_iter().map(BranchId).collect())
    }

    fn lock(&mut self, id: BranchId, owner: OwnerId) -> Result<Option<BranchRow>> {
        // Two plain statements: one with RETURNING costs a table and a journal of its own each time.
        let row = self.branch(id)?;
        let Some(row) = row.filter(|row| row.state == State::Ready && row.owner == OwnerId(0))
        else {
            return Ok(None);
        };
        let token = FencingToken(row.token.0 + 1);
        let sql = "UPDATE branches SET owner = ?2, token = ?3 WHERE id = ?1";
        execute(&self.db, sql, params![id.0, owner.0, token.0])?;
        Ok(Some(BranchRow {
            owner,
            token,
            ..row
        }))
    }

    fn locked_by(&mut self, owner: OwnerId, limit: u32) -> Result<Vec<BranchRow>> {
        let sql = select_branch!("INDEXED BY locked WHERE owner = ?1 AND owner <> 0 LIMIT ?2");
        query(&self.db, sql, params![owner.0, limit], rows::branch)
    }

    fn due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<BranchId>> {
        let sql = "SELECT id FROM branches INDEXED BY timers WHERE due IS NOT NULL AND due <= ?1 \
                   ORDER BY due, id LIMIT ?2";
        query(&self.db, sql, params![now.0, limit], |row| {
            Ok(BranchId(column(row, 0)?))
        })
    }

    fn next_due(&mut self) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(due) FROM branches INDEXED BY timers WHERE due IS NOT NULL";
        let due = first(&self.db, sql, &[], |row| column::<Option<i64>>(row, 0))?;
        Ok(due.flatten().map(Timestamp))
    }

    fn unstarted(&mut self, from: BranchId, limit: u32) -> Result<Vec<BranchRow>> {
        let sql = select_branch!(
            "WHERE id >= ?1 AND flags & 1 <> 0 AND state IN (0, 2) ORDER BY id LIMIT ?2"
        );
        query(&self.db, sql, params![from.0, limit], rows::branch)
    }

    fn runs_from(&mut self, from: i64, limit: u32) -> Result<Vec<(RunId, Option<Timestamp>)>> {
        let sql = "SELECT id, ended_at FROM branches WHERE id >= ?1 AND parent IS NULL \
                   ORDER BY id LIMIT ?2";
        query(&self.db, sql, params![from, limit], |row| {
            Ok((
                RunId(column(row, 0)?),
                column::<Option<i64>>(row, 1)?.map(Timestamp),
            ))
        })
    }

    fn join(&mut self, key: JoinKey) -> Result<Option<JoinCount>> {
        let sql = "SELECT arrived, expected FROM joins \
                   WHERE run = ?1 AND node = ?2 AND scope = ?3 AND round = ?4";
        first(
            &self.db,
            sql,
            params![key.run.0, key.node, activation(key.scope), key.round],
            |row| {
                Ok(JoinCount {
                    arrived: column(row, 0)?,
                    expected: column(row, 1)?,
                })
            },
        )
    }

    fn set_join(&mut self, key: JoinKey, count: JoinCount) -> Result<()> {
        let sql = "INSERT INTO joins (run, node, scope, round, arrived, expected) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET arrived = ?5, \
                   expected = ?6";
        let scope = activation(key.scope);
        let params = params![
            key.run.0,
            key.node,
            scope,
            key.round,
            count.arrived,
            count.expected
        ];
        execute(&self.db, sql, params)?;
        Ok(())
    }

    fn delete_join(&mut self, key: JoinKey) -> Result<()> {
        let sql = "DELETE FROM joins WHERE run = ?1 AND node = ?2 AND scope = ?3 AND round = ?4";
        execute(
            &self.db,
            sql,
            params![key.run.0, key.node, activation(key.scope), key.round],
        )?;
        Ok(())
    }

    fn delete_joins(&mut self, run: RunId) -> Result<()> {
        execute(&self.db, "DELETE FROM joins WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn add_detached(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let sql = "INSERT INTO detached (run, branch) VALUES (?1, ?2)";
        execute(&self.db, sql, params![run.0, branch.0])?;
        Ok(())
    }

    fn remove_detached(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let sql = "DELETE FROM detached WHERE run = ?1 AND branch = ?2";
        execute(&self.db, sql, params![run.0, branch.0])?;
        Ok(())
    }

    fn detached(&mut self, run: RunId) -> Result<Vec<BranchId>> {
        let sql = "SELECT branch FROM detached WHERE run = ?1 ORDER BY branch";
        query(&self.db, sql, params![run.0], |row| {
            Ok(BranchId(column(row, 0)?))
        })
    }

    fn event(&mut self, run: RunId, name: &str, id: &str) -> Result<Option<EventRow>> {
        let sql = "SELECT run, name, event, seq, payload, is_fault, consumed FROM events \
                   WHERE run = ?1 AND name = ?2 AND event = ?3";
        first(&self.db, sql, params![run.0, name, id], event_row)
    }

    fn insert_event(&mut self, event: &EventRow) -> Result<()> {
        let sql = "INSERT INTO events (run, name, event, seq, payload, is_fault, consumed) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let EventRow {
            run,
            name,
            id,
            seq,
            payload,
            is_fault,
            consumed,
        } = event;
        let payload = payload.as_bytes();
        execute(
            &self.db,
            sql,
            params![run.0, name, id, seq, payload, is_fault, consumed],
        )?;
        Ok(())
    }

    fn count_events(&mut self, run: RunId) -> Result<u32> {
        let sql = "SELECT count(*) FROM events WHERE run = ?1";
        Ok(first(&self.db, sql, params![run.0], |row| column(row, 0))?.unwrap_or_default())
    }

    fn next_event(&mut self, run: RunId, name: &str) -> Result<Option<EventRow>> {
        let sql = "SELECT run, name, event, seq, payload, is_fault, consumed FROM events \
                   WHERE run = ?1 AND name = ?2 AND consumed = 0 ORDER BY seq LIMIT 1";
        first(&self.db, sql, params![run.0, name], event_row)
    }

    fn consume_event(&mut self, event: &EventRow) -> Result<()> {
        let sql = "UPDATE events SET consumed = 1 WHERE run = ?1 AND name = ?2 AND event = ?3";
        execute(&self.db, sql, params![event.run.0, event.name, event.id])?;
        Ok(())
    }

    fn subscribe(&mut self, run: RunId, name: &str, branch: BranchId) -> Result<()> {
        let sql = "INSERT INTO subscriptions (run, name, branch) VALUES (?1, ?2, ?3)";
        execute(&self.db, sql, params![run.0, name, branch.0])?;
        Ok(())
    }

    fn subscriber(&mut self, run: RunId, name: &str) -> Result<Option<BranchId>> {
        let sql = "SELECT branch FROM subscriptions WHERE run = ?1 AND name = ?2 \
                   ORDER BY branch LIMIT 1";
        first(&self.db, sql, params![run.0, name], |row| {
            Ok(BranchId(column(row, 0)?))
        })
    }

    fn unsubscribe(&mut self, run: RunId, name: &str, branch: BranchId) -> Result<()> {
        let sql = "DELETE FROM subscriptions WHERE run = ?1 AND name = ?2 AND branch = ?3";
        execute(&self.db, sql, params![run.0, name, branch.0])?;
        Ok(())
    }

    fn delete_events(&mut self, run: RunId) -> Result<()> {
        execute(
            &self.db,
            "DELETE FROM events WHERE run = ?1",
            params![run.0],
        )?;
        execute(
            &self.db,
            "DELETE FROM subscriptions WHERE run = ?1",
            params![run.0],
        )?;
        Ok(())
    }

    fn limit(&mut self, run: RunId) -> Result<Option<RunLimit>> {
        let sql = "SELECT max, active FROM limits WHERE run = ?1";
        first(&self.db, sql, params![run.0], |row| {
            Ok(RunLimit {
                max: column(row, 0)?,
                active: column(row, 1)?,
            })
        })
    }

    fn set_limit(&mut self, run: RunId, limit: RunLimit) -> Result<()> {
        let sql = "INSERT INTO limits (run, max, active) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET max = ?2, active = ?3";
        execute(&self.db, sql, params![run.0, limit.max, limit.active])?;
        Ok(())
    }

    fn delete_limit(&mut self, run: RunId) -> Result<()> {
        execute(
            &self.db,
            "DELETE FROM limits WHERE run = ?1",
            params![run.0],
        )?;
        execute(&self.db, "DELETE FROM held WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn hold(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let sql = "INSERT INTO held (run, branch) VALUES (?1, ?2)";
        execute(&self.db, sql, params![run.0, branch.0])?;
        Ok(())
    }

    fn is_held(&mut self, run: RunId, branch: BranchId) -> Result<bool> {
        let sql = "SELECT 1 FROM held WHERE run = ?1 AND branch = ?2";
        Ok(first(&self.db, sql, params![run.0, branch.0], number)?.is_some())
    }

    fn first_held(&mut self, run: RunId) -> Result<Option<BranchId>> {
        let sql = "SELECT branch FROM held WHERE run = ?1 ORDER BY branch LIMIT 1";
        first(&self.db, sql, params![run.0], |row| {
            Ok(BranchId(column(row, 0)?))
        })
    }

    fn unhold(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let sql = "DELETE FROM held WHERE run = ?1 AND branch = ?2";
        execute(&self.db, sql, params![run.0, branch.0])?;
        Ok(())
    }

    fn add_sweep(&mut self, sweep: &Sweep) -> Result<()> {
        let sql = "INSERT INTO sweeps (id, run, first, count, scope) VALUES (?1, ?2, ?3, ?4, ?5)";
        let ChildRange {
            first,
            count,
            scope,
        } = sweep.range;
        execute(
            &self.db,
            sql,
            params![sweep.id, sweep.run.0, first.0, count, activation(scope)],
        )?;
        Ok(())
    }

    fn set_sweep(&mut self, sweep: &Sweep) -> Result<()> {
        let sql = "UPDATE sweeps SET first = ?2, count = ?3 WHERE id = ?1";
        execute(
            &self.db,
            sql,
            params![sweep.id, sweep.range.first.0, sweep.range.count],
        )?;
        Ok(())
    }

    fn delete_sweep(&mut self, id: i64) -> Result<()> {
        execute(&self.db, "DELETE FROM sweeps WHERE id = ?1", params![id])?;
        Ok(())
    }

    fn first_sweep(&mut self) -> Result<Option<Sweep>> {
        let sql = "SELECT id, run, first, count, scope FROM sweeps ORDER BY id LIMIT 1";
        first(&self.db, sql, &[], |row| {
            let range = ChildRange {
                first: BranchId(column(row, 2)?),
                count: column(row, 3)?,
                scope: rows::read_activation(column(row, 4)?),
            };
            Ok(Sweep {
                id: column(row, 0)?,
                run: RunId(column(row, 1)?),
                range,
            })
        })
    }

    fn has_sweep(&mut self, run: RunId) -> Result<bool> {
        let sql = "SELECT 1 FROM sweeps WHERE run = ?1 LIMIT 1";
        Ok(first(&self.db, sql, params![run.0], number)?.is_some())
    }

    fn add_run_fault(&mut self, run: RunId, seq: i64, fault: &Fault) -> Result<()> {
        let sql = "INSERT INTO run_faults (run, seq, fault) VALUES (?1, ?2, ?3)";
        execute(&self.db, sql, params![run.0, seq, codec::encode(fault)])?;
        Ok(())
    }

    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>> {
        let sql = "SELECT fault FROM run_faults WHERE run = ?1 ORDER BY seq";
        query(&self.db, sql, params![run.0], |row| {
            codec::decode(&column::<Vec<u8>>(row, 0)?)
        })
    }

    fn delete_run_faults(&mut self, run: RunId) -> Result<()> {
        execute(
            &self.db,
            "DELETE FROM run_faults WHERE run = ?1",
            params![run.0],
        )?;
        Ok(())
    }

    fn dedupe(&mut self, key: &str) -> Result<Option<RunId>> {
        let sql = "SELECT run FROM dedupe WHERE key = ?1";
        first(&self.db, sql, params![key], |row| {
            Ok(RunId(column(row, 0)?))
        })
    }

    fn set_dedupe(&mut self, key: &str, run: RunId) -> Result<()> {
        execute(
            &self.db,
            "INSERT INTO dedupe (key, run) VALUES (?1, ?2)",
            params![key, run.0],
        )?;
        Ok(())
    }

    fn delete_dedupe(&mut self, key: &str) -> Result<()> {
        execute(&self.db, "DELETE FROM dedupe WHERE key = ?1", params![key])?;
        Ok(())
    }

    fn insert_history(&mut self, row: &HistoryRow) -> Result<()> {
        let sql = "INSERT INTO history (run, branch, token, ordinal, node, activation, attempt, \
                   status, started_at, ended_at, branch_name, detail) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let detail = (row.detail != HistoryDetail::default()).then(|| codec::encode(&row.detail));
        execute(
            &self.db,
            sql,
            params![
                row.run.0,
                row.branch.0,
                row.token.0,
                row.ordinal,
                row.node.0,
                activation(row.activation),
                row.attempt,
                rows::status_number(row.status),
                nullable(row.started_at.map(|at| at.0)),
                row.ended_at.0,
                row.branch_name,
                detail
            ],
        )?;
        Ok(())
    }

    fn delete_history(&mut self, run: RunId, limit: u32) -> Result<u32> {
        // Keyed by all four columns: a table without row ids has no shorter name for a row.
        let sql = "DELETE FROM history WHERE (run, branch, token, ordinal) IN \
                   (SELECT run, branch, token, ordinal FROM history WHERE run = ?1 LIMIT ?2)";
        let deleted = execute(&self.db, sql, params![run.0, limit])?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<(WorkflowKey, u64)>> {
        let sql = "SELECT id, fingerprint FROM workflows WHERE name = ?1 AND version = ?2";
        first(&self.db, sql, params![name, version], |row| {
            Ok((
                WorkflowKey(column(row, 0)?),
                column::<i64>(row, 1)?.cast_unsigned(),
            ))
        })
    }

    fn insert_workflow(&mut self, key: WorkflowKey, definition: &Definition) -> Result<()> {
        let json = serde_json::to_vec(definition)
            .map_err(|error| rows::corrupt("workflow", error.to_string()))?;
        let sql = "INSERT INTO workflows (id, name, version, fingerprint, definition) \
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let fingerprint = definition.fingerprint().cast_signed();
        let (name, version) = (definition.name(), definition.version());
        execute(
            &self.db,
            sql,
            params![key.0, name, version, fingerprint, json],
        )?;
        Ok(())
    }

    fn insert_owner(&mut self, owner: &OwnerRow) -> Result<()> {
        let sql = "INSERT INTO owners (id, started_at, pid, host, file) \
                   VALUES (?1, ?2, ?3, ?4, ?5)";
        let OwnerRow {
            id,
            started_at,
            pid,
            host,
            file,
        } = owner;
        execute(&self.db, sql, params![id.0, started_at.0, pid, host, file])?;
        Ok(())
    }

    fn delete_owner(&mut self, owner: OwnerId) -> Result<()> {
        execute(
            &self.db,
            "DELETE FROM owners WHERE id = ?1",
            params![owner.0],
        )?;
        execute(
            &self.db,
            "DELETE FROM serves WHERE owner = ?1",
            params![owner.0],
        )?;
        Ok(())
    }

    fn add_serves(&mut self, workflow: WorkflowKey, owner: OwnerId) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO serves (workflow, owner) VALUES (?1, ?2)";
        execute(&self.db, sql, params![workflow.0, owner.0])?;
        Ok(())
    }
}
