//! The counters of joins, written once in a transaction however many branches arrive.

use std::collections::BTreeMap;

use windlass_workflow_model::{ActivationId, RunId};

use super::rows::{activation, column};
use super::statements::Statements;
use crate::backend::{JoinCount, JoinKey, JoinMore, Result};
use crate::codec;
use rusqlite::params;

/// The counters that this transaction has looked at.
#[derive(Default)]
pub(super) struct Joins {
    known: BTreeMap<JoinKey, Known>,
}

struct Known {
    /// As it is stored.
    stored: Option<JoinCount>,
    /// As it is to be stored.
    count: Option<JoinCount>,
}

impl Joins {
    pub(super) fn get(
        &mut self,
        key: JoinKey,
        statements: &mut Statements<'_>,
    ) -> Result<Option<JoinCount>> {
        Ok(self.known(key, statements)?.count.clone())
    }

    /// `None` deletes it.
    pub(super) fn set(
        &mut self,
        key: JoinKey,
        count: Option<JoinCount>,
        statements: &mut Statements<'_>,
    ) -> Result<()> {
        self.known(key, statements)?.count = count;
        Ok(())
    }

    fn known(&mut self, key: JoinKey, statements: &mut Statements<'_>) -> Result<&mut Known> {
        use std::collections::btree_map::Entry;
        Ok(match self.known.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let stored = read(key, statements)?;
                unknown.insert(Known {
                    count: stored.clone(),
                    stored,
                })
            }
        })
    }

    /// All counters of a scope are deleted.
    pub(super) fn forget_scope(&mut self, run: RunId, scope: ActivationId) {
        self.known
            .retain(|key, _| key.run != run || key.scope != scope);
    }

    /// All counters of a run are deleted.
    pub(super) fn forget(&mut self, run: RunId) {
        self.known.retain(|key, _| key.run != run);
    }

    pub(super) fn write(&mut self, statements: &mut Statements<'_>) -> Result<()> {
        for (key, known) in &mut self.known {
            if known.count != known.stored {
                write(*key, known.count.as_ref(), statements)?;
                known.stored.clone_from(&known.count);
            }
        }
        Ok(())
    }
}

fn read(key: JoinKey, statements: &mut Statements<'_>) -> Result<Option<JoinCount>> {
    let sql = "SELECT arrived, expected, state FROM joins \
               WHERE run = ?1 AND node = ?2 AND scope = ?3 AND round = ?4";
    let scope = activation(key.scope);
    statements.first(sql, params![key.run.0, key.node, scope, key.round], |row| {
        join_count(row)
    })
}

/// Reads the columns `arrived, expected, state`.
pub(super) fn join_count(row: &rusqlite::Row<'_>) -> Result<JoinCount> {
    let state = column::<Option<Vec<u8>>>(row, 2)?;
    let more: Option<JoinMore> = state.map(|bytes| codec::decode(&bytes)).transpose()?;
    Ok(JoinCount {
        arrived: column(row, 0)?,
        expected: column(row, 1)?,
        more: more.map(Box::new),
    })
}

fn write(key: JoinKey, count: Option<&JoinCount>, statements: &mut Statements<'_>) -> Result<()> {
    let sql = match count {
        Some(_) => {
            "INSERT INTO joins (run, node, scope, round, arrived, expected, state) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
             ON CONFLICT DO UPDATE SET arrived = ?5, expected = ?6, state = ?7"
        }
        None => "DELETE FROM joins WHERE run = ?1 AND node = ?2 AND scope = ?3 AND round = ?4",
    };
    let mut binder = statements.bind(sql)?;
    binder
        .number(key.run.0)
        .number(key.node)
        .number(activation(key.scope))
        .number(key.round);
    if let Some(count) = count {
        let state = count.more.as_deref().map(codec::encode);
        binder
            .number(count.arrived)
            .number(count.expected)
            .bytes(state.as_deref());
    }
    binder.run()?;
    Ok(())
}
