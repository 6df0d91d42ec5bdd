//! Statements that stay at hand for the length of a transaction.
//!
//! The connection's own cache finds a statement by hashing its text and puts it back after each use;
//! a transaction of a thousand jobs asks for the same few again and again.

use rusqlite::types::Null;
use rusqlite::{CachedStatement, Connection, Row, ToSql};
use windlass_workflow_model::Payload;

use super::rows::{activation, record_bytes, storage};
use crate::backend::Result;
use crate::codec;
use crate::record::BranchRow;

/// The statements that one transaction has used.
pub(super) struct Statements<'c> {
    db: &'c Connection,
    held: Vec<Held<'c>>,
}

/// A statement, with what its parameters are bound to as far as it is known.
struct Held<'c> {
    sql: &'static str,
    statement: CachedStatement<'c>,
    bound: Vec<Bound>,
    /// The payload that is bound, as it is stored: room for the next one.
    sealed: Vec<u8>,
}

/// What a parameter is bound to. It stays so from one run of a statement to the next.
#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Unknown,
    Null,
    Number(i64),
}

impl<'c> Statements<'c> {
    pub(super) fn of(db: &'c Connection) -> Self {
        Self {
            db,
            held: Vec::with_capacity(16),
        }
    }

    pub(super) fn db(&self) -> &'c Connection {
        self.db
    }

    /// The statement of this text, found by where the text stands.
    fn hold(&mut self, sql: &'static str) -> Result<&mut Held<'c>> {
        let known = |held: &Held<'c>| std::ptr::eq(held.sql, sql);
        if let Some(index) = self.held.iter().position(known) {
            return Ok(&mut self.held[index]);
        }
        let statement = self.db.prepare_cached(sql).map_err(storage)?;
        let bound = vec![Bound::Unknown; statement.parameter_count()];
        self.held.push(Held {
            sql,
            statement,
            bound,
            sealed: Vec::new(),
        });
        let newest = self.held.len() - 1;
        Ok(&mut self.held[newest])
    }

    /// The texts of the statements that were used.
    #[cfg(test)]
    pub(super) fn texts(&self) -> Vec<&'static str> {
        self.held.iter().map(|held| held.sql).collect()
    }

    /// The statement of this text, to be bound otherwise than by a [`Binder`].
    fn get(&mut self, sql: &'static str) -> Result<&mut CachedStatement<'c>> {
        let held = self.hold(sql)?;
        held.bound.fill(Bound::Unknown);
        Ok(&mut held.statement)
    }

    /// The statement of this text, to be bound parameter by parameter.
    pub(super) fn bind(&mut self, sql: &'static str) -> Result<Binder<'_, 'c>> {
        let held = self.hold(sql)?;
        Ok(Binder {
            held,
            next: 0,
            failed: None,
        })
    }

    /// Runs a statement; returns the number of rows it changed.
    pub(super) fn execute(&mut self, sql: &'static str, params: &[&dyn ToSql]) -> Result<usize> {
        self.get(sql)?.execute(params).map_err(storage)
    }

    /// All rows of a query.
    pub(super) fn query<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn ToSql],
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = self.get(sql)?.query(params).map_err(storage)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(storage)? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// The rows of a query until `read` has enough; whether there were no more.
    pub(super) fn each(
        &mut self,
        sql: &'static str,
        params: &[&dyn ToSql],
        mut read: impl FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<bool> {
        let mut rows = self.get(sql)?.query(params).map_err(storage)?;
        while let Some(row) = rows.next().map_err(storage)? {
            if !read(row)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The first row of a query.
    pub(super) fn first<T>(
        &mut self,
        sql: &'static str,
        params: &[&dyn ToSql],
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut rows = self.get(sql)?.query(params).map_err(storage)?;
        rows.next().map_err(storage)?.map(read).transpose()
    }
}

/// Binds the parameters of a statement one after the other, in place, and only those that have
/// changed: most columns of a thousand rows are alike.
pub(super) struct Binder<'s, 'c> {
    held: &'s mut Held<'c>,
    next: usize,
    failed: Option<rusqlite::Error>,
}

impl Binder<'_, '_> {
    fn bind(&mut self, value: impl ToSql, becomes: Bound) -> &mut Self {
        let index = self.next;
        self.next += 1;
        let known = self.held.bound.get(index).copied();
        if known == Some(becomes) && becomes != Bound::Unknown {
            return self;
        }
        match self.held.statement.raw_bind_parameter(index + 1, value) {
            Ok(()) => {
                if let Some(bound) = self.held.bound.get_mut(index) {
                    *bound = becomes;
                }
            }
            Err(error) => {
                self.failed.get_or_insert(error);
            }
        }
        self
    }

    pub(super) fn number(&mut self, number: impl Into<i64>) -> &mut Self {
        let number = number.into();
        self.bind(number, Bound::Number(number))
    }

    pub(super) fn optional(&mut self, number: Option<i64>) -> &mut Self {
        match number {
            Some(number) => self.number(number),
            None => self.bind(Null, Bound::Null),
        }
    }

    pub(super) fn bytes(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.bind(bytes, Bound::Unknown),
            None => self.bind(Null, Bound::Null),
        }
    }

    fn payload(&mut self, payload: Option<&Payload>) -> &mut Self {
        let Some(payload) = payload else {
            return self.bind(Null, Bound::Null);
        };
        let mut sealed = std::mem::take(&mut self.held.sealed);
        codec::seal_into(&mut sealed, payload);
        self.bind(sealed.as_slice(), Bound::Unknown);
        self.held.sealed = sealed;
        self
    }

    pub(super) fn text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.bind(text, Bound::Unknown),
            None => self.bind(Null, Bound::Null),
        }
    }

    /// The columns that change in a branch's life, from its position to its record; `owner` is the
    /// number that stands for its owner.
    pub(super) fn life(&mut self, row: &BranchRow, owner: i64) -> &mut Self {
        self.number(row.position.to_number())
            .number(activation(row.activation))
            .number(row.state.number())
            .number(row.rank.0)
            .number(row.flags)
            .number(owner)
            .number(row.token.0)
            .number(row.attempt)
            .number(row.crashes)
            .number(row.suspect)
            .optional(row.due.map(|due| due.0))
            .payload(row.data.as_ref())
            .bytes(record_bytes(&row.record).as_deref())
    }

    /// Runs the statement; returns the number of rows it changed.
    pub(super) fn run(&mut self) -> Result<usize> {
        self.execute().map_err(storage)
    }

    /// Like [`run`](Self::run), with the error as SQLite gives it.
    pub(super) fn execute(&mut self) -> rusqlite::Result<usize> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => self.held.statement.raw_execute(),
        }
    }
}
