//! Statements of a step that ride in its checkpoint: guarded, and undone alone when they fail.
//!
//! An authorizer lets them touch the user's own tables and nothing else: no table of ours, no
//! transaction control, no PRAGMA, no ATTACH. A statement that runs for too long is interrupted, since
//! nothing else can be written meanwhile.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use serde_json::Value as Json;
use windlass_workflow_model::BranchId;

use super::rows::storage;
use crate::backend::{Result, SqlEffect};
use crate::error::StorageError;
use crate::limits::{EFFECT_OPERATIONS_MAX, EFFECT_OPERATIONS_STEP};

/// Tables that belong to the engine.
const OURS: &[&str] = &[
    "meta",
    "identity",
    "workflows",
    "branches",
    "joins",
    "loose",
    "marks",
    "items",
    "results",
    "deadlines",
    "undo",
    "events",
    "subscriptions",
    "limits",
    "held",
    "sweeps",
    "run_faults",
    "dedupe",
    "history",
    "owners",
    "serves",
];

/// Why statements were not carried out.
enum Failed {
    /// They are to blame.
    Refused(String),
    /// The disk is: the same statements may be carried out another time, so the step has not failed.
    Storage(StorageError),
}

/// Carries out all of them or none. The inner error says why not, and then nothing has changed.
pub(super) fn run(
    db: &Connection,
    branch: BranchId,
    effects: &[SqlEffect],
) -> Result<std::result::Result<(), String>> {
    db.execute_batch("SAVEPOINT effects").map_err(storage)?;
    let outcome = match guarded(db, effects) {
        Ok(()) => Ok(()),
        Err(Failed::Refused(why)) => Err(why),
        Err(Failed::Storage(error)) => return Err(error),
    };
    if db.is_autocommit() {
        // A conflict clause or trigger of the user's has rolled the whole transaction back.
        return Err(StorageError::EffectEndedTransaction(branch));
    }
    let end = match outcome {
        Ok(()) => "RELEASE effects",
        Err(_) => "ROLLBACK TO effects; RELEASE effects",
    };
    db.execute_batch(end).map_err(storage)?;
    Ok(outcome)
}

fn guarded(db: &Connection, effects: &[SqlEffect]) -> std::result::Result<(), Failed> {
    let cannot = |error: rusqlite::Error| {
        Failed::Refused(format!("the database cannot be guarded: {error}"))
    };
    db.authorizer(Some(authorize)).map_err(cannot)?;
    let mut left = EFFECT_OPERATIONS_MAX / EFFECT_OPERATIONS_STEP;
    let step = i32::try_from(EFFECT_OPERATIONS_STEP).unwrap_or(i32::MAX);
    let watch = move || {
        left = left.saturating_sub(1);
        left == 0
    };
    let outcome = db
        .progress_handler(step, Some(watch))
        .map_err(cannot)
        .and_then(|()| all(db, effects));
    // Taken away again whatever came of it; should that fail, nothing of ours could be prepared.
    db.progress_handler(0, None::<fn() -> bool>)
        .map_err(cannot)?;
    db.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
        .map_err(cannot)?;
    outcome
}

fn all(db: &Connection, effects: &[SqlEffect]) -> std::result::Result<(), Failed> {
    for (number, effect) in (1..).zip(effects) {
        let failed = |error: rusqlite::Error| {
            let why = format!("statement {number}: {error}");
            match storage(error) {
                StorageError::Sqlite { .. } => Failed::Refused(why),
                of_the_disk => Failed::Storage(of_the_disk),
            }
        };
        let mut statement = db.prepare(&effect.sql).map_err(failed)?;
        let values = effect.values.iter().map(value);
        let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
        while rows.next().map_err(failed)?.is_some() {}
    }
    Ok(())
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Integer(i64::from(*truth)),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Real(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(_) | Json::Object(_) => Value::Text(json.to_string()),
    }
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    let theirs = |table: &str| {
        let is_ours = OURS.iter().any(|ours| ours.eq_ignore_ascii_case(table));
        let is_schema = table.to_ascii_lowercase().starts_with("sqlite_");
        if is_ours || is_schema {
            Authorization::Deny
        } else {
            Authorization::Allow
        }
    };
    match context.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Function { .. } => {
            Authorization::Allow
        }
        AuthAction::Read { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => theirs(table_name),
        _ => Authorization::Deny,
    }
}
