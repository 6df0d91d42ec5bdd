//! Statements that stay at hand for the length of a transaction.
//!
//! The connection's own cache finds a statement by hashing its text and puts it back after each use;
//! a transaction of a thousand jobs asks for the same few again and again.

use rusqlite::types::Null;
use rusqlite::{CachedStatement, Connection, Row, Statement, ToSql};

use super::rows::storage;
use crate::backend::Result;

/// The statements that one transaction has used.
pub(super) struct Statements<'c> {
    db: &'c Connection,
    held: Vec<(&'static str, CachedStatement<'c>)>,
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
    pub(super) fn get(&mut self, sql: &'static str) -> Result<&mut CachedStatement<'c>> {
        let known = |(text, _): &(&'static str, _)| std::ptr::eq(*text, sql);
        if let Some(index) = self.held.iter().position(known) {
            return Ok(&mut self.held[index].1);
        }
        let statement = self.db.prepare_cached(sql).map_err(storage)?;
        self.held.push((sql, statement));
        let newest = self.held.len() - 1;
        Ok(&mut self.held[newest].1)
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

/// Binds parameters one after the other, in place: nothing is collected, nothing is cleared.
pub(super) struct Binder<'s, 'c> {
    statement: &'s mut Statement<'c>,
    next: usize,
    failed: Option<rusqlite::Error>,
}

impl<'s, 'c> Binder<'s, 'c> {
    pub(super) fn of(statement: &'s mut Statement<'c>) -> Self {
        Self {
            statement,
            next: 1,
            failed: None,
        }
    }

    fn bind(&mut self, value: impl ToSql) {
        if let Err(error) = self.statement.raw_bind_parameter(self.next, value) {
            self.failed.get_or_insert(error);
        }
        self.next += 1;
    }

    pub(super) fn number(&mut self, number: impl Into<i64>) -> &mut Self {
        self.bind(number.into());
        self
    }

    pub(super) fn optional(&mut self, number: Option<i64>) -> &mut Self {
        match number {
            Some(number) => self.bind(number),
            None => self.bind(Null),
        }
        self
    }

    pub(super) fn bytes(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.bind(bytes),
            None => self.bind(Null),
        }
        self
    }

    pub(super) fn text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.bind(text),
            None => self.bind(Null),
        }
        self
    }

    /// Runs the statement; returns the number of rows it changed.
    pub(super) fn run(&mut self) -> Result<usize> {
        match self.failed.take() {
            Some(error) => Err(storage(error)),
            None => self.statement.raw_execute().map_err(storage),
        }
    }
}
