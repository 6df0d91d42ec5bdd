//! The rows of an open transaction, in SQLite.

use rusqlite::params;
use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Epoch, Fault, FencingToken, OwnerId, Payload, RunId,
    StepStatus, Timestamp, WorkflowKey,
};

use super::lock_window::{LockWindow, WINDOW_IDS};
use super::rows::{self, activation, column};
use super::transaction::SqliteTransaction;
use super::user_effects;
use crate::backend::{
    EventRow, Guard, JoinCount, JoinKey, Loose, MapRow, Mark, Meta, Ready, Result, ResultRow,
    RunLimit, SqlEffect, Sweep, Tables, UndoRow,
};
use crate::codec;
use crate::limits::BATCH_BYTES_MAX;
use crate::record::{BranchRow, ChildRange, HistoryRow, OwnerRow, Rank};
use crate::sync::Arc;

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

fn number(row: &rusqlite::Row<'_>) -> Result<i64> {
    column(row, 0)
}

fn event_row(row: &rusqlite::Row<'_>) -> Result<EventRow> {
    Ok(EventRow {
        run: RunId(column(row, 0)?),
        name: column(row, 1)?,
        id: column(row, 2)?,
        seq: column(row, 3)?,
        payload: rows::payload(row, 4)?,
        is_fault: column(row, 5)?,
        consumed: column(row, 6)?,
    })
}

fn mark(row: &rusqlite::Row<'_>) -> Result<Mark> {
    Ok(Mark {
        run: RunId(column(row, 0)?),
        name: column(row, 1)?,
        value: column(row, 2)?,
        token: FencingToken(column(row, 3)?),
        owner: OwnerId(column(row, 4)?),
    })
}

fn sweep(row: &rusqlite::Row<'_>) -> Result<Sweep> {
    Ok(Sweep {
        range: rows::range(row)?,
        id: column(row, 3)?,
        run: RunId(column(row, 4)?),
        wakes: column::<Option<i64>>(row, 5)?.map(BranchId),
    })
}

impl Tables for SqliteTransaction<'_> {
    fn commit(self) -> Result<()> {
        self.commit_all()
    }

    fn rows_written(&mut self) -> Result<u64> {
        self.changes()
    }

    fn meta(&mut self) -> Result<Meta> {
        let sql = "SELECT next_id, epoch, unstarted, shed, retention_cursor FROM meta WHERE id = 1";
        self.statements
            .first(sql, &[], |row| {
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
        self.statements
            .bind(sql)?
            .number(meta.next_id)
            .number(meta.epoch.0)
            .number(meta.unstarted)
            .number(meta.shed)
            .number(meta.retention_cursor)
            .run()?;
        Ok(())
    }

    fn insert(&mut self, row: &BranchRow) -> Result<()> {
        self.insert_branch(row)
    }

    fn branch(&mut self, id: BranchId) -> Result<Option<BranchRow>> {
        self.write_before(id)?;
        let sql = select_branch!("WHERE id = ?1");
        self.statements.first(sql, params![id.0], rows::branch)
    }

    fn update(&mut self, row: &BranchRow, guard: Guard) -> Result<bool> {
        self.update_branch(row, guard)
    }

    fn delete(&mut self, first: BranchId, count: u32) -> Result<()> {
        let end = BranchId(first.0 + i64::from(count));
        self.write_before(end)?;
        let sql = "DELETE FROM branches WHERE id >= ?1 AND id < ?2";
        self.statements
            .bind(sql)?
            .number(first.0)
            .number(end.0)
            .run()?;
        (first.0..end.0).for_each(|id| self.unlocked(BranchId(id)));
        Ok(())
    }

    fn delete_arrived(&mut self, first: BranchId, count: u32) -> Result<()> {
        self.write_branches()?;
        let sql = "DELETE FROM branches WHERE id >= ?1 AND id < ?2 AND state = 5";
        let end = first.0 + i64::from(count);
        self.statements.execute(sql, params![first.0, end])?;
        Ok(())
    }

    fn hand_branches(&mut self, range: ChildRange, from: BranchId, to: BranchId) -> Result<()> {
        let end = BranchId(range.first.0 + i64::from(range.count));
        self.write_before(end)?;
        let sql = "UPDATE branches SET parent = ?4 WHERE id >= ?1 AND id < ?2 AND parent = ?3";
        self.statements
            .execute(sql, params![range.first.0, end.0, from.0, to.0])?;
        Ok(())
    }

    fn under_way(&mut self, first: BranchId, count: u32) -> Result<Vec<BranchRow>> {
        self.write_branches()?;
        let sql = select_branch!("WHERE id >= ?1 AND id < ?2 AND state <> 5 ORDER BY id");
        let end = first.0 + i64::from(count);
        self.statements
            .query(sql, params![first.0, end], rows::branch)
    }

    fn ready_keys(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<(Rank, BranchId)>> {
        self.write_branches()?;
        let sql = "SELECT rank, id FROM branches INDEXED BY ready WHERE state = 0 AND owner = 0 \
                   AND workflow = ?1 ORDER BY rank, id LIMIT ?2";
        self.statements
            .query(sql, params![workflow.0, limit], |row| {
                Ok((Rank(column(row, 0)?), BranchId(column(row, 1)?)))
            })
    }

    fn ready(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Ready> {
        self.write_branches()?;
        let sql = select_branch!(
            "INDEXED BY ready WHERE state = 0 AND owner = 0 AND workflow = ?1 ORDER BY rank, id"
        );
        let mut found = Vec::new();
        let mut bytes = 0;
        let read = |row: &rusqlite::Row<'_>| {
            if found.len() >= limit as usize || bytes >= BATCH_BYTES_MAX {
                return Ok(false);
            }
            let row = rows::branch(row)?;
            bytes += row.data.as_ref().map_or(0, Payload::len);
            found.push(row);
            Ok(true)
        };
        let all = self.statements.each(sql, params![workflow.0], read)?;
        Ok(Ready { rows: found, all })
    }

    fn ready_oldest(&mut self, workflow: WorkflowKey, limit: u32) -> Result<Vec<BranchId>> {
        self.write_branches()?;
        let next_rank = "SELECT rank FROM branches INDEXED BY ready WHERE state = 0 AND owner = 0 \
                         AND workflow = ?1 AND rank > ?2 ORDER BY rank LIMIT 1";
        let of_rank = "SELECT id FROM branches INDEXED BY ready WHERE state = 0 AND owner = 0 \
                       AND workflow = ?1 AND rank = ?2 ORDER BY id LIMIT ?3";
        let mut oldest = Vec::new();
        let mut last_rank = -1;
        while let Some(rank) =
            self.statements
                .first(next_rank, params![workflow.0, last_rank], number)?
        {
            let params = params![workflow.0, rank, limit];
            oldest.extend(self.statements.query(of_rank, params, number)?);
            last_rank = rank;
        }
        oldest.sort_unstable();
        oldest.truncate(limit as usize);
        Ok(oldest.into_iter().map(BranchId).collect())
    }

    fn lock(&mut self, row: &mut BranchRow, owner: OwnerId) -> Result<()> {
        let stored = self.lock_row(row.id, owner)?;
        (row.owner, row.token) = (owner, FencingToken(row.token.0 + 1));
        let sql = "UPDATE branches SET owner = ?2, token = ?3 WHERE id = ?1";
        self.statements
            .bind(sql)?
            .number(row.id.0)
            .number(stored)
            .number(row.token.0)
            .run()?;
        Ok(())
    }

    fn locked_by(&mut self, owner: OwnerId, after: BranchId, limit: u32) -> Result<Vec<BranchRow>> {
        self.write_branches()?;
        let sql = select_branch!(
            "INDEXED BY locked WHERE owner = ?1 AND owner > 0 AND id > ?2 ORDER BY id LIMIT ?3"
        );
        let mut locked =
            self.statements
                .query(sql, params![owner.0, after.0, limit], rows::branch)?;
        let sql = "SELECT locks_from FROM owners WHERE id = ?1";
        let Some(first) = self.statements.first(sql, params![owner.0], number)? else {
            return rows::rising(locked, after.0, |row| row.id.0);
        };
        let sql = select_branch!("WHERE id > ?1 AND id < ?2 AND owner = ?3 ORDER BY id LIMIT ?4");
        let from = after.0.max(first - 1);
        let params = params![from, first + WINDOW_IDS, -owner.0, limit];
        locked.extend(self.statements.query(sql, params, rows::branch)?);
        locked.sort_unstable_by_key(|row| row.id);
        locked.truncate(limit as usize);
        rows::rising(locked, after.0, |row| row.id.0)
    }

    fn due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<BranchId>> {
        self.write_branches()?;
        let sql = "SELECT id FROM branches INDEXED BY timers WHERE due IS NOT NULL AND due <= ?1 \
                   ORDER BY due, id LIMIT ?2";
        self.statements.query(sql, params![now.0, limit], |row| {
            Ok(BranchId(column(row, 0)?))
        })
    }

    fn next_due(&mut self) -> Result<Option<Timestamp>> {
        self.write_branches()?;
        let sql = "SELECT min(due) FROM branches INDEXED BY timers WHERE due IS NOT NULL";
        let due = self
            .statements
            .first(sql, &[], |row| column::<Option<i64>>(row, 0))?;
        Ok(due.flatten().map(Timestamp))
    }

    fn unstarted(&mut self, from: BranchId, limit: u32) -> Result<Vec<BranchRow>> {
        self.write_branches()?;
        let sql = select_branch!(
            "WHERE id >= ?1 AND flags & 1 <> 0 AND state IN (0, 2) ORDER BY id LIMIT ?2"
        );
        let page = self
            .statements
            .query(sql, params![from.0, limit], rows::branch)?;
        rows::rising(page, from.0.saturating_sub(1), |row| row.id.0)
    }

    fn runs_from(&mut self, from: i64, limit: u32) -> Result<Vec<(RunId, Option<Timestamp>)>> {
        self.write_branches()?;
        let sql = "SELECT id, ended_at FROM branches WHERE id >= ?1 AND parent IS NULL \
                   ORDER BY id LIMIT ?2";
        self.statements.query(sql, params![from, limit], |row| {
            Ok((
                RunId(column(row, 0)?),
                column::<Option<i64>>(row, 1)?.map(Timestamp),
            ))
        })
    }

    fn join(&mut self, key: JoinKey) -> Result<Option<JoinCount>> {
        self.joins.get(key, &mut self.statements)
    }

    fn set_join(&mut self, key: JoinKey, count: JoinCount) -> Result<()> {
        self.joins.set(key, Some(count), &mut self.statements)
    }

    fn delete_join(&mut self, key: JoinKey) -> Result<()> {
        self.joins.set(key, None, &mut self.statements)
    }

    fn delete_scope_joins(&mut self, run: RunId, scope: ActivationId) -> Result<()> {
        self.joins.forget_scope(run, scope);
        let sql = "DELETE FROM joins WHERE run = ?1 AND scope = ?2";
        self.statements
            .execute(sql, params![run.0, activation(scope)])?;
        Ok(())
    }

    fn delete_joins(&mut self, run: RunId) -> Result<()> {
        self.joins.forget(run);
        let sql = "DELETE FROM joins WHERE run = ?1";
        self.statements.bind(sql)?.number(run.0).run()?;
        Ok(())
    }

    fn add_loose(&mut self, loose: &Loose) -> Result<()> {
        let sql =
            "INSERT INTO loose (parent, first, run, count, scope) VALUES (?1, ?2, ?3, ?4, ?5)";
        let ChildRange {
            first,
            count,
            scope,
        } = loose.range;
        self.statements.execute(
            sql,
            params![
                loose.parent.0,
                first.0,
                loose.run.0,
                count,
                activation(scope)
            ],
        )?;
        Ok(())
    }

    fn remove_loose(&mut self, parent: BranchId, first: BranchId) -> Result<()> {
        let sql = "DELETE FROM loose WHERE parent = ?1 AND first = ?2";
        self.statements.execute(sql, params![parent.0, first.0])?;
        Ok(())
    }

    fn loose(&mut self, parent: BranchId) -> Result<Vec<Loose>> {
        let sql = "SELECT first, count, scope, run FROM loose WHERE parent = ?1 ORDER BY first";
        self.statements.query(sql, params![parent.0], |row| {
            Ok(Loose {
                range: rows::range(row)?,
                run: RunId(column(row, 3)?),
                parent,
            })
        })
    }

    fn mark(&mut self, run: RunId, name: &str) -> Result<Option<Mark>> {
        let sql = "SELECT run, name, value, token, owner FROM marks WHERE run = ?1 AND name = ?2";
        self.statements.first(sql, params![run.0, name], mark)
    }

    fn set_mark(&mut self, mark: &Mark) -> Result<()> {
        let sql = "INSERT INTO marks (run, name, value, token, owner) VALUES (?1, ?2, ?3, ?4, ?5) \
                   ON CONFLICT DO UPDATE SET value = ?3, token = ?4, owner = ?5";
        let Mark {
            run,
            name,
            value,
            token,
            owner,
        } = mark;
        self.statements
            .execute(sql, params![run.0, name, value, token.0, owner.0])?;
        Ok(())
    }

    fn delete_mark(&mut self, run: RunId, name: &str) -> Result<()> {
        let sql = "DELETE FROM marks WHERE run = ?1 AND name = ?2";
        self.statements.execute(sql, params![run.0, name])?;
        Ok(())
    }

    fn marks(&mut self, run: RunId, prefix: &str) -> Result<Vec<Mark>> {
        let sql = "SELECT run, name, value, token, owner FROM marks \
                   WHERE run = ?1 AND name >= ?2 ORDER BY name";
        let mut found = self.statements.query(sql, params![run.0, prefix], mark)?;
        found.retain(|mark| mark.name.starts_with(prefix));
        Ok(found)
    }

    fn marks_of(&mut self, owner: OwnerId) -> Result<Vec<Mark>> {
        let sql = "SELECT run, name, value, token, owner FROM marks INDEXED BY marks_of_owner \
                   WHERE owner = ?1 AND owner > 0";
        self.statements.query(sql, params![owner.0], mark)
    }

    fn delete_marks(&mut self, run: RunId) -> Result<()> {
        self.statements
            .execute("DELETE FROM marks WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn item(&mut self, run: RunId, scope: ActivationId, index: i64) -> Result<Option<Payload>> {
        let sql = "SELECT data FROM items WHERE run = ?1 AND scope = ?2 AND item = ?3";
        self.statements
            .first(sql, params![run.0, activation(scope), index], |row| {
                rows::payload(row, 0)
            })
    }

    fn set_item(
        &mut self,
        run: RunId,
        scope: ActivationId,
        index: i64,
        data: &Payload,
    ) -> Result<()> {
        let sql = "INSERT INTO items (run, scope, item, data) VALUES (?1, ?2, ?3, ?4)";
        let params = params![run.0, activation(scope), index, codec::seal(data)];
        self.statements.execute(sql, params)?;
        Ok(())
    }

    fn delete_items(&mut self, run: RunId, scope: ActivationId, limit: u32) -> Result<u32> {
        let sql = "DELETE FROM items WHERE (run, scope, item) IN \
                   (SELECT run, scope, item FROM items WHERE run = ?1 AND scope = ?2 LIMIT ?3)";
        let deleted = self
            .statements
            .execute(sql, params![run.0, activation(scope), limit])?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    fn delete_all_items(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let sql = "DELETE FROM items WHERE (run, scope, item) IN \
                   (SELECT run, scope, item FROM items WHERE run = ?1 LIMIT ?2)";
        let deleted = self.statements.execute(sql, params![run.0, limit])?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    fn set_deadline(&mut self, run: RunId, due: Timestamp) -> Result<()> {
        let sql = "INSERT INTO deadlines (run, due) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
        self.statements.execute(sql, params![run.0, due.0])?;
        Ok(())
    }

    fn delete_deadline(&mut self, run: RunId) -> Result<()> {
        self.statements
            .execute("DELETE FROM deadlines WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn overdue(&mut self, now: Timestamp, limit: u32) -> Result<Vec<RunId>> {
        let sql = "SELECT run FROM deadlines INDEXED BY deadlines_by_time WHERE due <= ?1 \
                   ORDER BY due LIMIT ?2";
        self.statements
            .query(sql, params![now.0, limit], |row| Ok(RunId(column(row, 0)?)))
    }

    fn next_deadline(&mut self) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(due) FROM deadlines";
        let due = self
            .statements
            .first(sql, &[], |row| column::<Option<i64>>(row, 0))?;
        Ok(due.flatten().map(Timestamp))
    }

    fn add_undo(&mut self, row: &UndoRow) -> Result<()> {
        let sql = "INSERT INTO undo (run, scope, seq, node, activation, data) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let UndoRow {
            run,
            scope,
            seq,
            node,
            activation: of,
            data,
        } = row;
        let params = params![
            run.0,
            activation(*scope),
            seq,
            node.0,
            activation(*of),
            codec::seal(data)
        ];
        self.statements.execute(sql, params)?;
        Ok(())
    }

    fn delete_undo(&mut self, run: RunId, scope: ActivationId, seq: i64) -> Result<()> {
        let sql = "DELETE FROM undo WHERE run = ?1 AND scope = ?2 AND seq = ?3";
        self.statements
            .execute(sql, params![run.0, activation(scope), seq])?;
        Ok(())
    }

    fn has_undo(&mut self, run: RunId, scope: ActivationId) -> Result<bool> {
        let sql = "SELECT 1 FROM undo WHERE run = ?1 AND scope = ?2 LIMIT 1";
        let found = self
            .statements
            .first(sql, params![run.0, activation(scope)], number)?;
        Ok(found.is_some())
    }

    fn hand_undo(&mut self, run: RunId, from: ActivationId, to: ActivationId) -> Result<()> {
        let sql = "UPDATE undo SET scope = ?3 WHERE run = ?1 AND scope = ?2";
        self.statements
            .execute(sql, params![run.0, activation(from), activation(to)])?;
        Ok(())
    }

    fn hand_all_undo(&mut self, run: RunId) -> Result<()> {
        let sql = "UPDATE undo SET scope = 0 WHERE run = ?1 AND scope <> 0";
        self.statements.execute(sql, params![run.0])?;
        Ok(())
    }

    fn delete_all_undo(&mut self, run: RunId) -> Result<()> {
        self.statements
            .execute("DELETE FROM undo WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn run_effects(
        &mut self,
        branch: BranchId,
        effects: &[SqlEffect],
    ) -> Result<std::result::Result<(), String>> {
        if effects.is_empty() {
            return Ok(Ok(()));
        }
        user_effects::run(self.statements.db(), branch, effects)
    }

    fn insert_map(&mut self, run: RunId, row: &MapRow) -> Result<()> {
        let sql =
            "INSERT INTO results (run, scope, item, status, data) VALUES (?1, ?2, ?3, ?4, ?5)";
        let params = params![
            run.0,
            activation(row.scope),
            rows::MAP_ITEM,
            row.map.0,
            rows::map_data(row)
        ];
        self.statements.execute(sql, params)?;
        Ok(())
    }

    fn insert_result(&mut self, run: RunId, scope: ActivationId, row: &ResultRow) -> Result<()> {
        let sql =
            "INSERT INTO results (run, scope, item, status, data) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (status, data) = match &row.outcome {
            Some(Ok(data)) => (StepStatus::Succeeded, Some(codec::seal(data))),
            Some(Err(error)) => (StepStatus::Failed, Some(codec::encode(error))),
            None => (StepStatus::Cancelled, None),
        };
        let status = rows::status_number(status);
        let params = params![run.0, activation(scope), row.index, status, data];
        self.statements.execute(sql, params)?;
        Ok(())
    }

    fn move_result(
        &mut self,
        run: RunId,
        from: ActivationId,
        to: ActivationId,
        index: u32,
    ) -> Result<()> {
        let sql = "UPDATE results SET scope = ?4 WHERE run = ?1 AND scope = ?2 AND item = ?3";
        let params = params![run.0, activation(from), index, activation(to)];
        self.statements.execute(sql, params)?;
        Ok(())
    }

    fn delete_results(&mut self, run: RunId, limit: u32) -> Result<u32> {
        let sql = "DELETE FROM results WHERE (run, scope, item) IN \
                   (SELECT run, scope, item FROM results WHERE run = ?1 LIMIT ?2)";
        let deleted = self.statements.execute(sql, params![run.0, limit])?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    fn event(&mut self, run: RunId, name: &str, id: &str) -> Result<Option<EventRow>> {
        let sql = "SELECT run, name, event, seq, payload, is_fault, consumed FROM events \
                   WHERE run = ?1 AND name = ?2 AND event = ?3";
        self.statements
            .first(sql, params![run.0, name, id], event_row)
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
        let payload = codec::seal(payload);
        self.statements.execute(
            sql,
            params![run.0, name, id, seq, payload, is_fault, consumed],
        )?;
        Ok(())
    }

    fn count_events(&mut self, run: RunId) -> Result<u32> {
        let sql = "SELECT count(*) FROM events WHERE run = ?1";
        Ok(self
            .statements
            .first(sql, params![run.0], |row| column(row, 0))?
            .unwrap_or_default())
    }

    fn next_event(&mut self, run: RunId, name: &str) -> Result<Option<EventRow>> {
        let sql = "SELECT run, name, event, seq, payload, is_fault, consumed FROM events \
                   WHERE run = ?1 AND name = ?2 AND consumed = 0 ORDER BY seq LIMIT 1";
        self.statements.first(sql, params![run.0, name], event_row)
    }

    fn consume_event(&mut self, event: &EventRow) -> Result<()> {
        let sql = "UPDATE events SET consumed = 1 WHERE run = ?1 AND name = ?2 AND event = ?3";
        self.statements
            .execute(sql, params![event.run.0, event.name, event.id])?;
        Ok(())
    }

    fn subscribe(&mut self, run: RunId, name: &str, branch: BranchId, arm: u32) -> Result<()> {
        // A wait that names an event twice takes the earlier arm.
        let sql = "INSERT INTO subscriptions (run, name, branch, arm) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT DO NOTHING";
        self.statements
            .execute(sql, params![run.0, name, branch.0, arm])?;
        Ok(())
    }

    fn subscriber(&mut self, run: RunId, name: &str) -> Result<Option<(BranchId, u32)>> {
        let sql = "SELECT branch, arm FROM subscriptions WHERE run = ?1 AND name = ?2 \
                   ORDER BY branch LIMIT 1";
        self.statements.first(sql, params![run.0, name], |row| {
            Ok((BranchId(column(row, 0)?), column(row, 1)?))
        })
    }

    fn subscribers(&mut self, run: RunId, name: &str) -> Result<Vec<BranchId>> {
        let sql = "SELECT branch FROM subscriptions WHERE run = ?1 AND name = ?2 ORDER BY branch";
        self.statements.query(sql, params![run.0, name], |row| {
            Ok(BranchId(column(row, 0)?))
        })
    }

    fn waits(&mut self, run: RunId, prefix: &str) -> Result<Vec<(String, BranchId)>> {
        let sql = "SELECT name, branch FROM subscriptions WHERE run = ?1 AND name >= ?2 \
                   ORDER BY name, branch";
        let mut waits = self.statements.query(sql, params![run.0, prefix], |row| {
            Ok((column::<String>(row, 0)?, BranchId(column(row, 1)?)))
        })?;
        waits.retain(|(name, _)| name.starts_with(prefix));
        Ok(waits)
    }

    fn unsubscribe(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let sql = "DELETE FROM subscriptions WHERE run = ?1 AND branch = ?2";
        self.statements.execute(sql, params![run.0, branch.0])?;
        Ok(())
    }

    fn delete_events(&mut self, run: RunId) -> Result<()> {
        self.statements
            .execute("DELETE FROM events WHERE run = ?1", params![run.0])?;
        self.statements
            .execute("DELETE FROM subscriptions WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn limit(&mut self, run: RunId) -> Result<Option<RunLimit>> {
        let sql = "SELECT max, active FROM limits WHERE run = ?1";
        self.statements.first(sql, params![run.0], |row| {
            Ok(RunLimit {
                max: column(row, 0)?,
                active: column(row, 1)?,
            })
        })
    }

    fn set_limit(&mut self, run: RunId, limit: RunLimit) -> Result<()> {
        let sql = "INSERT INTO limits (run, max, active) VALUES (?1, ?2, ?3) \
                   ON CONFLICT DO UPDATE SET max = ?2, active = ?3";
        self.statements
            .execute(sql, params![run.0, limit.max, limit.active])?;
        Ok(())
    }

    fn delete_limit(&mut self, run: RunId) -> Result<()> {
        self.statements
            .execute("DELETE FROM limits WHERE run = ?1", params![run.0])?;
        self.statements
            .execute("DELETE FROM held WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn hold(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let sql = "INSERT INTO held (run, branch) VALUES (?1, ?2)";
        self.statements.execute(sql, params![run.0, branch.0])?;
        Ok(())
    }

    fn is_held(&mut self, run: RunId, branch: BranchId) -> Result<bool> {
        let sql = "SELECT 1 FROM held WHERE run = ?1 AND branch = ?2";
        Ok(self
            .statements
            .first(sql, params![run.0, branch.0], number)?
            .is_some())
    }

    fn first_held(&mut self, run: RunId) -> Result<Option<BranchId>> {
        let sql = "SELECT branch FROM held WHERE run = ?1 ORDER BY branch LIMIT 1";
        self.statements
            .first(sql, params![run.0], |row| Ok(BranchId(column(row, 0)?)))
    }

    fn unhold(&mut self, run: RunId, branch: BranchId) -> Result<()> {
        let sql = "DELETE FROM held WHERE run = ?1 AND branch = ?2";
        self.statements.execute(sql, params![run.0, branch.0])?;
        Ok(())
    }

    fn add_sweep(&mut self, sweep: &Sweep) -> Result<()> {
        let sql = "INSERT INTO sweeps (id, run, first, count, scope, wakes) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let wakes = sweep.wakes.map(|branch| branch.0);
        let ChildRange {
            first,
            count,
            scope,
        } = sweep.range;
        self.statements.execute(
            sql,
            params![
                sweep.id,
                sweep.run.0,
                first.0,
                count,
                activation(scope),
                wakes
            ],
        )?;
        Ok(())
    }

    fn set_sweep(&mut self, sweep: &Sweep) -> Result<()> {
        let sql = "UPDATE sweeps SET first = ?2, count = ?3 WHERE id = ?1";
        self.statements.execute(
            sql,
            params![sweep.id, sweep.range.first.0, sweep.range.count],
        )?;
        Ok(())
    }

    fn delete_sweep(&mut self, id: i64) -> Result<()> {
        self.statements
            .execute("DELETE FROM sweeps WHERE id = ?1", params![id])?;
        Ok(())
    }

    fn first_sweep(&mut self) -> Result<Option<Sweep>> {
        let sql = "SELECT first, count, scope, id, run, wakes FROM sweeps ORDER BY id LIMIT 1";
        self.statements.first(sql, &[], sweep)
    }

    fn sweeps(&mut self, run: RunId) -> Result<Vec<Sweep>> {
        let sql = "SELECT first, count, scope, id, run, wakes FROM sweeps WHERE run = ?1";
        self.statements.query(sql, params![run.0], sweep)
    }

    fn has_sweep(&mut self, run: RunId) -> Result<bool> {
        let sql = "SELECT 1 FROM sweeps WHERE run = ?1 LIMIT 1";
        Ok(self
            .statements
            .first(sql, params![run.0], number)?
            .is_some())
    }

    fn add_run_fault(&mut self, run: RunId, seq: i64, fault: &Fault) -> Result<()> {
        let sql = "INSERT INTO run_faults (run, seq, fault) VALUES (?1, ?2, ?3)";
        self.statements
            .execute(sql, params![run.0, seq, codec::encode(fault)])?;
        Ok(())
    }

    fn run_faults(&mut self, run: RunId) -> Result<Vec<Fault>> {
        let sql = "SELECT fault FROM run_faults WHERE run = ?1 ORDER BY seq";
        self.statements.query(sql, params![run.0], |row| {
            codec::decode(&column::<Vec<u8>>(row, 0)?)
        })
    }

    fn delete_run_faults(&mut self, run: RunId) -> Result<()> {
        self.statements
            .execute("DELETE FROM run_faults WHERE run = ?1", params![run.0])?;
        Ok(())
    }

    fn dedupe(&mut self, key: &str) -> Result<Option<RunId>> {
        let sql = "SELECT run FROM dedupe WHERE key = ?1";
        self.statements
            .first(sql, params![key], |row| Ok(RunId(column(row, 0)?)))
    }

    fn set_dedupe(&mut self, key: &str, run: RunId) -> Result<()> {
        self.statements.execute(
            "INSERT INTO dedupe (key, run) VALUES (?1, ?2)",
            params![key, run.0],
        )?;
        Ok(())
    }

    fn delete_dedupe(&mut self, key: &str) -> Result<()> {
        self.statements
            .execute("DELETE FROM dedupe WHERE key = ?1", params![key])?;
        Ok(())
    }

    fn insert_history(&mut self, row: HistoryRow) -> Result<()> {
        self.bulk.history(row);
        Ok(())
    }

    fn delete_history_upto(
        &mut self,
        run: RunId,
        branch: BranchId,
        last: FencingToken,
    ) -> Result<u32> {
        // Rows of this transaction that are not inserted yet have higher tokens.
        let sql = "DELETE FROM history WHERE run = ?1 AND branch = ?2 AND token <= ?3";
        let of_branch = params![run.0, branch.0, last.0];
        let deleted = self.statements.execute(sql, of_branch)?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    fn delete_history(&mut self, run: RunId, limit: u32) -> Result<u32> {
        self.bulk.write_history(&mut self.statements)?;
        // Keyed by all four columns: a table without row ids has no shorter name for a row.
        let sql = "DELETE FROM history WHERE (run, branch, token, ordinal) IN \
                   (SELECT run, branch, token, ordinal FROM history WHERE run = ?1 LIMIT ?2)";
        let deleted = self.statements.execute(sql, params![run.0, limit])?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    fn workflow(&mut self, name: &str, version: &str) -> Result<Option<(WorkflowKey, u64)>> {
        let sql = "SELECT id, fingerprint FROM workflows WHERE name = ?1 AND version = ?2";
        self.statements.first(sql, params![name, version], |row| {
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
        self.statements
            .execute(sql, params![key.0, name, version, fingerprint, json])?;
        Ok(())
    }

    fn definition(&mut self, key: WorkflowKey) -> Result<Option<Arc<Definition>>> {
        let sql = "SELECT definition, fingerprint FROM workflows WHERE id = ?1";
        self.statements.first(sql, params![key.0], rows::definition)
    }

    fn owners(&mut self) -> Result<Vec<OwnerId>> {
        let sql = "SELECT id FROM owners ORDER BY id";
        self.statements
            .query(sql, params![], |row| Ok(OwnerId(column(row, 0)?)))
    }

    fn insert_owner(&mut self, owner: &OwnerRow) -> Result<()> {
        self.window = Some(LockWindow::of(owner.id));
        let sql = "INSERT INTO owners (id, started_at, pid, host, file, locks_from) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?1)";
        let OwnerRow {
            id,
            started_at,
            pid,
            host,
            file,
        } = owner;
        self.statements
            .execute(sql, params![id.0, started_at.0, pid, host, file])?;
        Ok(())
    }

    fn delete_owner(&mut self, owner: OwnerId) -> Result<()> {
        self.statements
            .execute("DELETE FROM owners WHERE id = ?1", params![owner.0])?;
        self.statements
            .execute("DELETE FROM serves WHERE owner = ?1", params![owner.0])?;
        Ok(())
    }

    fn add_serves(&mut self, workflow: WorkflowKey, owner: OwnerId) -> Result<()> {
        let sql = "INSERT OR IGNORE INTO serves (workflow, owner) VALUES (?1, ?2)";
        self.statements.execute(sql, params![workflow.0, owner.0])?;
        Ok(())
    }
}
