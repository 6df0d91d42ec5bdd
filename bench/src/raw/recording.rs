//! Records what the engine writes for one run, row by row, in a scratch database.
//!
//! Triggers on the engine's own tables note every row; a stepped engine says where each transaction
//! ends. Rows of the store itself (counters, owners, registered workflows) are left out: they are
//! written once per transaction or per process, not per run.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, params};
use windlass::{Engine, Json, Request, SteppedEngine, Workflow};

use crate::error::{BenchError, Result};
use crate::noop::builder;
use crate::setting::Durability;

/// The first id of a recorded run: no other number in its rows is as large, but for times and
/// hashes, which are far larger.
const FIRST_ID: i64 = 1_000_000_000;

/// Ids that a recorded run may use.
const IDS_MAX: i64 = 1_000_000;

/// Steps of the stepped engine before we give up.
const STEPS_MAX: usize = 10_000;

/// Tables whose rows do not belong to a run.
const OF_THE_STORE: [&str; 5] = ["meta", "identity", "workflows", "owners", "serves"];

/// One run, as it was written.
#[derive(Debug)]
pub(crate) struct Recording {
    /// Makes the engine's tables and indexes.
    pub(crate) schema: String,
    pub(crate) transactions: Vec<Vec<RowWrite>>,
    /// Ids of one run; the next run's rows are this far away.
    pub(crate) stride: i64,
}

/// One statement, with a value for each of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RowWrite {
    pub(crate) sql: String,
    pub(crate) values: Vec<Bound>,
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    /// The same in every run.
    Same(Value),
    /// An id, as it is in the first run.
    Id(i64),
}

/// How the recorded run is brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Its first job lies in the outbox before somebody locks it.
    ThroughTheOutbox,
    /// Its jobs go straight to the channel.
    Direct,
}

struct Table {
    name: String,
    columns: Vec<String>,
    keys: Vec<usize>,
}

/// Runs one run of `workflow` in `folder` and tells what was written for it.
pub(crate) fn record(
    folder: &Path,
    workflow: &Workflow<Json>,
    request: Request,
    way: Way,
) -> Result<Recording> {
    let path = folder.join("recorded.db");
    open(&path, workflow, 0)?.shutdown(Duration::ZERO);
    let log = Connection::open(&path)?;
    let schema = schema(&log)?;
    let tables = tables(&log)?;
    log.execute(
        "UPDATE meta SET next_id = ?1 WHERE id = 1",
        params![FIRST_ID],
    )?;
    for table in &tables {
        watch(&log, table)?;
    }
    let mut ends = Vec::new();
    let mut request = Some(request);
    if way == Way::ThroughTheOutbox
        && let Some(request) = request.take()
    {
        let engine = open(&path, workflow, 0)?;
        engine.scheduler().schedule_blocking(request)?;
        engine.shutdown(Duration::ZERO);
        ends.push(end(&log)?);
    }
    let mut engine = builder(Some(&path), Durability::Normal, 1)
        .runners(1)
        .workflow(workflow)
        .open_stepped()?;
    if way == Way::Direct {
        // Until it has looked around, an engine takes nothing past the outbox.
        engine.settle();
    }
    step_to_the_end(&mut engine, request, &log, &mut ends)?;
    drop(engine);
    let stride: i64 = log.query_row("SELECT next_id FROM meta", [], |row| row.get(0))?;
    Ok(Recording {
        schema,
        transactions: transactions(&log, &tables, &ends)?,
        stride: stride - FIRST_ID,
    })
}

fn open(path: &Path, workflow: &Workflow<Json>, runners: usize) -> Result<Engine> {
    let builder = builder(Some(path), Durability::Normal, 1);
    Ok(builder.runners(runners).workflow(workflow).open()?)
}

/// Every step writes at most one transaction; where each ends is noted.
fn step_to_the_end(
    engine: &mut SteppedEngine,
    request: Option<Request>,
    log: &Connection,
    ends: &mut Vec<i64>,
) -> Result<()> {
    let scheduler = engine.scheduler();
    let mut inspector = engine.inspector()?;
    let mut context = Context::from_waker(Waker::noop());
    let mut run = None;
    let mut admission = pin!(async move {
        match request {
            Some(request) => scheduler
                .schedule(request)
                .await
                .map(|handle| Some(handle.id())),
            None => Ok(None),
        }
    });
    let mut is_admitted = false;
    for _ in 0..STEPS_MAX {
        if !is_admitted && let Poll::Ready(admitted) = admission.as_mut().poll(&mut context) {
            is_admitted = true;
            run = match admitted? {
                Some(run) => Some(run),
                None => inspector
                    .runs(windlass::RunFilter::All, 1)?
                    .first()
                    .map(|run| run.run),
            };
        }
        engine.step_writer();
        let end = end(log)?;
        if ends.last().copied().unwrap_or(0) < end {
            ends.push(end);
        }
        engine.step_dispatcher();
        let worked = engine.step_runner(0);
        let ended = match run {
            Some(run) => inspector.outcome(run)?.is_some(),
            None => false,
        };
        if ended && !worked && !engine.step_writer() {
            return Ok(());
        }
    }
    let text = "the recorded run does not come to an end";
    Err(BenchError::Unsound(text.to_owned()))
}

fn end(log: &Connection) -> Result<i64> {
    let sql = "SELECT coalesce(max(seq), 0) FROM bench_log";
    Ok(log.query_row(sql, [], |row| row.get(0))?)
}

fn schema(log: &Connection) -> Result<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('table', 'index') \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC, name";
    let mut statement = log.prepare(sql)?;
    let parts = statement.query_map([], |row| row.get::<_, String>(0))?;
    let parts = parts.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(parts.join(";\n"))
}

fn tables(log: &Connection) -> Result<Vec<Table>> {
    let sql = "SELECT t.name, c.name, c.pk FROM sqlite_schema t, pragma_table_info(t.name) c \
               WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY t.name, c.cid";
    let mut statement = log.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut tables: Vec<Table> = Vec::new();
    while let Some(row) = rows.next()? {
        let (name, column): (String, String) = (row.get(0)?, row.get(1)?);
        if OF_THE_STORE.contains(&name.as_str()) {
            continue;
        }
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table {
                name,
                columns: Vec::new(),
                keys: Vec::new(),
            });
        }
        if let Some(table) = tables.last_mut() {
            if row.get::<_, i64>(2)? > 0 {
                table.keys.push(table.columns.len());
            }
            table.columns.push(column);
        }
    }
    Ok(tables)
}

/// Notes every row that is written to `table` from now on: operation 0 is what it was, 1 what it is.
fn watch(log: &Connection, table: &Table) -> Result<()> {
    let width = (0..64)
        .map(|n| format!("c{n}"))
        .collect::<Vec<_>>()
        .join(", ");
    log.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS bench_log (seq INTEGER PRIMARY KEY, tab TEXT, event TEXT, side INTEGER, {width})"
    ))?;
    let name = &table.name;
    let into = (0..table.columns.len())
        .map(|n| format!("c{n}"))
        .collect::<Vec<_>>()
        .join(", ");
    let note = |event: &str, side: &str| {
        let values: Vec<_> = table
            .columns
            .iter()
            .map(|column| format!("{side}.\"{column}\""))
            .collect();
        let (values, side) = (values.join(", "), i64::from(side == "NEW"));
        format!(
            "INSERT INTO bench_log (tab, event, side, {into}) VALUES ('{name}', '{event}', {side}, {values});"
        )
    };
    for (event, sides) in [
        ("INSERT", &["NEW"][..]),
        ("UPDATE", &["OLD", "NEW"]),
        ("DELETE", &["OLD"]),
    ] {
        let notes: String = sides.iter().map(|side| note(event, side)).collect();
        log.execute_batch(&format!(
            "CREATE TRIGGER bench_{name}_{event} AFTER {event} ON {name} BEGIN {notes} END"
        ))?;
    }
    Ok(())
}

fn transactions(log: &Connection, tables: &[Table], ends: &[i64]) -> Result<Vec<Vec<RowWrite>>> {
    let mut statement = log.prepare("SELECT * FROM bench_log ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut transactions = vec![Vec::new(); ends.len()];
    let mut before: Vec<Value> = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, name, event): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let Some(table) = tables.iter().find(|table| table.name == name) else {
            continue;
        };
        let values = (0..table.columns.len())
            .map(|n| row.get(4 + n))
            .collect::<rusqlite::Result<Vec<Value>>>()?;
        let write = match (event.as_str(), row.get::<_, i64>(3)?) {
            ("UPDATE", 0) => {
                before = values;
                continue;
            }
            ("UPDATE", _) => update(table, &before, &values),
            ("DELETE", _) => delete(table, &values),
            _ => insert(table, &values),
        };
        let place = ends.partition_point(|end| *end < seq);
        if let Some(transaction) = transactions.get_mut(place) {
            transaction.push(write);
        }
    }
    transactions.retain(|writes| !writes.is_empty());
    Ok(transactions)
}

fn insert(table: &Table, values: &[Value]) -> RowWrite {
    let places: Vec<_> = (1..=values.len()).map(|n| format!("?{n}")).collect();
    RowWrite {
        sql: format!("INSERT INTO {} VALUES ({})", table.name, places.join(", ")),
        values: all(table, 0..values.len(), values),
    }
}

/// Only what has changed: less than the engine sets, so that the comparison never flatters us.
fn update(table: &Table, before: &[Value], values: &[Value]) -> RowWrite {
    let changed: Vec<usize> = (0..values.len())
        .filter(|n| before.get(*n) != values.get(*n))
        .collect();
    let set: Vec<_> = changed
        .iter()
        .enumerate()
        .map(|(place, n)| format!("\"{}\" = ?{}", table.columns[*n], place + 1))
        .collect();
    let set = if set.is_empty() {
        format!("\"{0}\" = \"{0}\"", table.columns[0])
    } else {
        set.join(", ")
    };
    let mut bound = all(table, changed.iter().copied(), values);
    bound.extend(all(table, table.keys.iter().copied(), values));
    RowWrite {
        sql: format!(
            "UPDATE {} SET {set} WHERE {}",
            table.name,
            by_key(table, changed.len())
        ),
        values: bound,
    }
}

fn delete(table: &Table, values: &[Value]) -> RowWrite {
    RowWrite {
        sql: format!("DELETE FROM {} WHERE {}", table.name, by_key(table, 0)),
        values: all(table, table.keys.iter().copied(), values),
    }
}

fn by_key(table: &Table, after: usize) -> String {
    let keys: Vec<_> = table
        .keys
        .iter()
        .enumerate()
        .map(|(place, key)| format!("\"{}\" = ?{}", table.columns[*key], after + place + 1))
        .collect();
    keys.join(" AND ")
}

fn all(table: &Table, places: impl Iterator<Item = usize>, values: &[Value]) -> Vec<Bound> {
    places
        .map(|n| match &values[n] {
            // An owner has an id of the same kind, but is the same for all runs.
            Value::Integer(id)
                if table.columns[n] != "owner" && (FIRST_ID..FIRST_ID + IDS_MAX).contains(id) =>
            {
                Bound::Id(*id)
            }
            same => Bound::Same(same.clone()),
        })
        .collect()
}
