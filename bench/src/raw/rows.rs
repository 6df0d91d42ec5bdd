//! Plays the rows of recorded runs back into SQLite, in batches, as fast as it takes them.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{Connection, Statement};
use serde::{Deserialize, Serialize};
use windlass::Request;

use super::recording::{Bound, Recording, RowWrite, Way, record};
use crate::clock::Stopwatch;
use crate::error::Result;
use crate::noop::{NOOP, Progress, noop, payload};
use crate::setting::{Durability, new_folder};
use crate::stats::per_second;
use crate::workloads::split_join;

/// Whose rows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// Insert, lock, finish and history row of a no-op job.
    NoopJobs {
        /// Bytes of its payload.
        payload_bytes: usize,
        /// Inserted locked, as what goes straight to the channel: no write for the lock.
        direct: bool,
    },
    /// All rows of the workflow with a split and a join.
    SplitJoin,
}

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RawRows {
    pub(crate) folder: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) kind: Kind,
    pub(crate) runs: u64,
    /// Runs that go through each transition in one transaction.
    pub(crate) batch: u64,
}

/// What it took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    /// Runs per second.
    pub(crate) rate: f64,
    pub(crate) rows_per_run: f64,
    /// Transitions, each a transaction per batch.
    pub(crate) transactions: usize,
}

impl RawRows {
    pub(crate) fn measure(&self) -> Result<Took> {
        let folder = new_folder(&self.folder)?;
        let recording = match self.kind {
            Kind::NoopJobs {
                payload_bytes,
                direct,
            } => record(
                folder.path(),
                &noop(&Progress::of(1))?,
                Request::new(NOOP, payload(payload_bytes)),
                if direct {
                    Way::Direct
                } else {
                    Way::ThroughTheOutbox
                },
            )?,
            Kind::SplitJoin => record(
                folder.path(),
                &split_join::workflow(&Progress::of(1))?,
                split_join::request(),
                Way::Direct,
            )?,
        };
        let db = super::open(&folder.path().join("raw.db"), self.durability)?;
        db.execute_batch(&recording.schema)?;
        let watch = Stopwatch::start();
        play(&db, &recording, self.runs, self.batch.max(1))?;
        let elapsed = watch.elapsed();
        let rows: usize = recording.transactions.iter().map(Vec::len).sum();
        Ok(Took {
            rate: per_second(self.runs, elapsed),
            rows_per_run: per_second(rows as u64, Duration::from_secs(1)),
            transactions: recording.transactions.len(),
        })
    }
}

fn play(db: &Connection, recording: &Recording, runs: u64, batch: u64) -> Result<()> {
    let mut begin = db.prepare("BEGIN IMMEDIATE")?;
    let mut commit = db.prepare("COMMIT")?;
    let mut prepared = Vec::new();
    for writes in &recording.transactions {
        let statements = writes
            .iter()
            .map(|write| Ok((db.prepare(&write.sql)?, write)))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        prepared.push(statements);
    }
    let mut first = 0;
    while first < runs {
        let batch = first..(first + batch).min(runs);
        for statements in &mut prepared {
            begin.execute([])?;
            transition(statements, batch.clone(), recording.stride)?;
            commit.execute([])?;
        }
        first = batch.end;
    }
    Ok(())
}

fn transition(
    statements: &mut [(Statement<'_>, &RowWrite)],
    runs: Range<u64>,
    stride: i64,
) -> rusqlite::Result<()> {
    for run in runs {
        let away = run.cast_signed() * stride;
        for (statement, write) in &mut *statements {
            for (place, value) in (1..).zip(&write.values) {
                match value {
                    Bound::Id(id) => statement.raw_bind_parameter(place, id + away)?,
                    Bound::Same(value) => statement.raw_bind_parameter(place, value)?,
                }
            }
            statement.raw_execute()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, rows: f64, transactions: usize) {
        let folder = tempfile::tempdir().unwrap();
        let took = RawRows {
            folder: folder.path().to_owned(),
            durability: Durability::Normal,
            kind,
            runs: 10,
            batch: 4,
        }
        .measure()
        .unwrap();
        assert_eq!((took.rows_per_run, took.transactions), (rows, transactions));
    }

    #[test]
    fn the_rows_of_a_job_are_those_of_the_write_budget() {
        let jobs = |direct| Kind::NoopJobs {
            payload_bytes: 100,
            direct,
        };
        check(jobs(true), 3.0, 2);
        check(jobs(false), 4.0, 3);
    }

    #[test]
    fn the_rows_of_a_split_and_join_are_those_of_the_write_budget() {
        // Admit 1; two steps of a sequence 1 each; split into four 5; arrivals 2, 2, 2, 3; the step
        // behind the join 1 and four branches go: 22; and a row of history for each of 8 steps.
        check(Kind::SplitJoin, 30.0, 9);
    }
}
