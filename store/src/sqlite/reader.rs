//! Reads on a connection of their own, which cannot write.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};
use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Fault, Meeting, NodeId, OwnerId, Payload, RunId,
    StepStatus, Timestamp, WorkflowKey,
};

use super::joins::join_count;
use super::rows::{self, BRANCH_COLUMNS, HISTORY_COLUMNS, column, first, query, storage};
use crate::backend::{MapRow, MapStanding, Reader, Result, ResultRow, UndoRow};
use crate::codec;
use crate::record::{BranchRow, ChildRange, HistoryRow, OwnerRow};
use crate::sync::Arc;

/// How long a read waits while the log is being reset.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct SqliteReader {
    db: Connection,
    definitions: HashMap<WorkflowKey, Arc<Definition>>,
}

impl SqliteReader {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(storage)?;
        db.busy_timeout(BUSY).map_err(storage)?;
        db.pragma_update(None, "query_only", true)
            .map_err(storage)?;
        db.set_prepared_statement_cache_capacity(32);
        Ok(Self {
            db,
            definitions: HashMap::new(),
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.db
    }

    fn count(&self, sql: &str) -> Result<u64> {
        Ok(first(&self.db, sql, &[], |row| column::<i64>(row, 0))?
            .map_or(0, |count| u64::try_from(count).unwrap_or(0)))
    }
}

impl Reader for SqliteReader {
    fn branch(&mut self, id: BranchId) -> Result<Option<BranchRow>> {
        let sql = format!("SELECT {BRANCH_COLUMNS} FROM branches WHERE id = ?1");
        first(&self.db, &sql, params![id.0], rows::branch)
    }

    fn subscriptions(&mut self, run: RunId) -> Result<Vec<(BranchId, String)>> {
        let sql = "SELECT branch, name FROM subscriptions WHERE run = ?1";
        query(&self.db, sql, params![run.0], |row| {
            Ok((BranchId(column(row, 0)?), column(row, 1)?))
        })
    }

    fn range(&mut self, range: ChildRange, from: u32, limit: u32) -> Result<Vec<BranchRow>> {
        let sql = format!(
            "SELECT {BRANCH_COLUMNS} FROM branches WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3"
        );
        let first = range.first.0;
        let params = params![
            first + i64::from(from),
            first + i64::from(range.count),
            limit
        ];
        let page = query(&self.db, &sql, params, rows::branch)?;
        rows::rising(page, (first + i64::from(from)).saturating_sub(1), |row| {
            row.id.0
        })
    }

    fn loose(&mut self, parent: BranchId) -> Result<Vec<ChildRange>> {
        let sql = "SELECT first, count, scope FROM loose WHERE parent = ?1 ORDER BY first";
        query(&self.db, sql, params![parent.0], rows::range)
    }

    fn item(&mut self, run: RunId, scope: ActivationId, index: i64) -> Result<Option<Payload>> {
        let sql = "SELECT data FROM items WHERE run = ?1 AND scope = ?2 AND item = ?3";
        let params = params![run.0, rows::activation(scope), index];
        first(&self.db, sql, params, |row| rows::payload(row, 0))
    }

    fn results(
        &mut self,
        run: RunId,
        scope: ActivationId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<ResultRow>> {
        let sql = "SELECT item, status, data FROM results \
                   WHERE run = ?1 AND scope = ?2 AND item >= ?3 ORDER BY item LIMIT ?4";
        let params = params![run.0, rows::activation(scope), from, limit];
        let page = query(&self.db, sql, params, rows::result)?;
        rows::rising(page, i64::from(from) - 1, |row| i64::from(row.index))
    }

    fn count_results(&mut self, run: RunId, scope: ActivationId) -> Result<[u64; 3]> {
        let sql = "SELECT status, count(*) FROM results \
                   WHERE run = ?1 AND scope = ?2 AND item >= 0 GROUP BY status";
        let params = params![run.0, rows::activation(scope)];
        let counts = query(&self.db, sql, params, |row| {
            Ok((rows::read_status(column(row, 0)?)?, column::<i64>(row, 1)?))
        })?;
        let of = |status: StepStatus| {
            let found = counts.iter().find(|(found, _)| *found == status);
            found.map_or(0, |(_, count)| count.cast_unsigned())
        };
        Ok([
            StepStatus::Succeeded,
            StepStatus::Failed,
            StepStatus::Cancelled,
        ]
        .map(of))
    }

    fn maps(&mut self, run: RunId, limit: u32) -> Result<Vec<MapRow>> {
        // From scope to scope by the primary key, past the results.
        let sql = "WITH RECURSIVE scopes (scope) AS ( \
                       SELECT min(scope) FROM results WHERE run = ?1 \
                       UNION ALL \
                       SELECT (SELECT min(scope) FROM results WHERE run = ?1 AND scope > scopes.scope) \
                       FROM scopes WHERE scopes.scope IS NOT NULL \
                   ) \
                   SELECT results.scope, status, data FROM scopes \
                   JOIN results ON run = ?1 AND results.scope = scopes.scope AND item = ?2 \
                   LIMIT ?3";
        let mut maps = query(
            &self.db,
            sql,
            params![run.0, rows::MAP_ITEM, limit],
            rows::map,
        )?;
        maps.sort_by_key(|map| (map.begun_at, map.scope));
        Ok(maps)
    }

    fn map_standing(
        &mut self,
        run: RunId,
        join: NodeId,
        scope: ActivationId,
    ) -> Result<Option<MapStanding>> {
        let sql = "SELECT arrived, expected, state FROM joins \
                   WHERE run = ?1 AND node = ?2 AND scope = ?3 AND round = 0";
        let params = params![run.0, join.0, rows::activation(scope)];
        let count = first(&self.db, sql, params, join_count)?;
        Ok(count.as_ref().and_then(MapStanding::of))
    }

    fn last_undo(&mut self, run: RunId, scope: ActivationId) -> Result<Option<UndoRow>> {
        let sql = "SELECT seq, node, activation, data FROM undo WHERE run = ?1 AND scope = ?2 \
                   ORDER BY seq DESC LIMIT 1";
        first(
            &self.db,
            sql,
            params![run.0, rows::activation(scope)],
            |row| {
                Ok(UndoRow {
                    run,
                    scope,
                    seq: column(row, 0)?,
                    node: NodeId(column(row, 1)?),
                    activation: rows::read_activation(column(row, 2)?),
                    data: rows::payload(row, 3)?,
                })
            },
        )
    }

    fn marks(&mut self, run: RunId, prefix: &str) -> Result<Vec<(String, i64)>> {
        let sql = "SELECT name, value FROM marks WHERE run = ?1 AND name >= ?2 ORDER BY name";
        let mut marks = query(&self.db, sql, params![run.0, prefix], |row| {
            Ok((column::<String>(row, 0)?, column(row, 1)?))
        })?;
        marks.retain(|(name, _)| name.starts_with(prefix));
        Ok(marks)
    }

    fn meeting(
        &mut self,
        run: RunId,
        meet: NodeId,
        scope: ActivationId,
    ) -> Result<Option<Meeting>> {
        let sql = "SELECT arrived, expected, state FROM joins \
                   WHERE run = ?1 AND node = ?2 AND scope = ?3 AND round = 0";
        let params = params![run.0, meet.0, rows::activation(scope)];
        let count = first(&self.db, sql, params, join_count)?;
        Ok(count
            .and_then(|count| count.more)
            .and_then(|more| more.meeting))
    }

    fn runs(&mut self, before: Option<RunId>, limit: u32) -> Result<Vec<BranchRow>> {
        let before = before.map_or(i64::MAX, |run| run.0);
        let sql = format!(
            "SELECT {BRANCH_COLUMNS} FROM branches WHERE id < ?1 AND parent IS NULL \
             ORDER BY id DESC LIMIT ?2"
        );
        let page = query(&self.db, &sql, params![before, limit], rows::branch)?;
        // `!` turns falling keys into rising ones, and no number is too large for it.
        rows::rising(page, !before, |row| !row.id.0)
    }

    fn unfinished(&mut self, limit: u32) -> Result<Vec<BranchRow>> {
        let sql = format!(
            "SELECT {BRANCH_COLUMNS} FROM branches WHERE parent IS NULL AND ended_at IS NULL \
             ORDER BY id DESC LIMIT ?1"
        );
        query(&self.db, &sql, params![limit], rows::branch)
    }

    fn history(&mut self, run: RunId) -> Result<Vec<HistoryRow>> {
        let sql = format!(
            "SELECT {HISTORY_COLUMNS} FROM history WHERE run = ?1 \
             ORDER BY branch, token, ordinal"
        );
        query(&self.db, &sql, params![run.0], rows::history).map(HistoryRow::by_end)
    }

    fn event(&mut self, run: RunId, seq: i64) -> Result<Option<(Payload, bool)>> {
        let sql = "SELECT payload, is_fault FROM events WHERE run = ?1 AND seq = ?2";
        first(&self.db, sql, params![run.0, seq], |row| {
            Ok((rows::payload(row, 0)?, column(row, 1)?))
        })
    }

    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>> {
        let sql = "SELECT fault FROM run_faults WHERE run = ?1 ORDER BY seq";
        query(&self.db, sql, params![run.0], |row| {
            codec::decode(&column::<Vec<u8>>(row, 0)?)
        })
    }

    fn definition(&mut self, workflow: WorkflowKey) -> Result<Option<Arc<Definition>>> {
        if let Some(known) = self.definitions.get(&workflow) {
            return Ok(Some(Arc::clone(known)));
        }
        let sql = "SELECT definition, fingerprint FROM workflows WHERE id = ?1";
        let found = first(&self.db, sql, params![workflow.0], rows::definition)?;
        let Some(definition) = found else {
            return Ok(None);
        };
        self.definitions.insert(workflow, Arc::clone(&definition));
        Ok(Some(definition))
    }

    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<WorkflowKey>> {
        let sql = "SELECT id FROM workflows WHERE name = ?1 AND version = ?2";
        first(&self.db, sql, params![name, version], |row| {
            Ok(WorkflowKey(column(row, 0)?))
        })
    }

    fn owners(&mut self) -> Result<Vec<OwnerRow>> {
        let sql = "SELECT id, started_at, pid, host, file FROM owners ORDER BY id";
        query(&self.db, sql, &[], |row| {
            Ok(OwnerRow {
                id: OwnerId(column(row, 0)?),
                started_at: Timestamp(column(row, 1)?),
                pid: column(row, 2)?,
                host: column(row, 3)?,
                file: column(row, 4)?,
            })
        })
    }

    fn served_by(&mut self, workflow: WorkflowKey) -> Result<Vec<OwnerId>> {
        let sql = "SELECT owner FROM serves WHERE workflow = ?1";
        query(&self.db, sql, params![workflow.0], |row| {
            Ok(OwnerId(column(row, 0)?))
        })
    }

    fn data_version(&mut self) -> Result<i64> {
        let version = first(&self.db, "PRAGMA data_version", &[], |row| column(row, 0))?;
        Ok(version.unwrap_or_default())
    }

    fn admission(&mut self) -> Result<(u64, u64)> {
        let sql = "SELECT unstarted, shed FROM meta WHERE id = 1";
        let counts = first(&self.db, sql, &[], |row| {
            Ok((column::<i64>(row, 0)?, column::<i64>(row, 1)?))
        })?;
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(counts.map_or((0, 0), |(unstarted, shed)| {
            (positive(unstarted), positive(shed))
        }))
    }

    fn leftovers(&mut self) -> Result<Vec<(&'static str, u64)>> {
        let unfinished = "SELECT count(*) FROM branches WHERE NOT (parent IS NULL AND \
                          state IN (8, 9, 10)) OR owner <> 0 OR due IS NOT NULL";
        Ok(vec![
            ("branches", self.count(unfinished)?),
            ("joins", self.count("SELECT count(*) FROM joins")?),
            ("loose", self.count("SELECT count(*) FROM loose")?),
            (
                "marks",
                self.count(
                    "SELECT count(*) FROM marks WHERE NOT (name GLOB char(1) || 'gate/*' AND EXISTS \
                     (SELECT 1 FROM branches WHERE id = marks.run AND state = 9))",
                )?,
            ),
            ("items", self.count("SELECT count(*) FROM items")?),
            ("deadlines", self.count("SELECT count(*) FROM deadlines")?),
            ("undo", self.count("SELECT count(*) FROM undo")?),
            (
                "events",
                self.count(
                    "SELECT count(*) FROM events WHERE NOT EXISTS \
                     (SELECT 1 FROM branches WHERE id = events.run AND state = 9)",
                )?,
            ),
            (
                "subscriptions",
                self.count("SELECT count(*) FROM subscriptions")?,
            ),
            ("limits", self.count("SELECT count(*) FROM limits")?),
            ("held", self.count("SELECT count(*) FROM held")?),
            ("sweeps", self.count("SELECT count(*) FROM sweeps")?),
            ("run_faults", self.count("SELECT count(*) FROM run_faults")?),
            ("unstarted", self.count("SELECT unstarted FROM meta")?),
        ])
    }
}
