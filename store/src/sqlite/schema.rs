//! The tables, and the steps that lead to them from earlier versions.
//!
//! Hot statements go by primary key. A finished run sits in no index that finds work: all three are
//! partial. Why the first branch of a run is the run: ADRs/0002-outbox-and-checkpoint-are-one-transaction.md.

use rusqlite_migration::{M, Migrations};

/// Marks the file as ours: "WNDL". Set by the first step, so it is there as soon as a table is.
pub(crate) const APPLICATION_ID: i64 = 0x574e_444c;

const STEPS: &[M<'static>] = &[
    M::up(FIRST),
    M::up(LOCKS_BY_WINDOW),
    M::up(PATTERNS),
    M::up(NEWER_RECORDS),
    M::up(NEWER_RECORDS),
];

/// The schema that this version writes; kept in `user_version`.
pub(crate) fn newest() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

pub(crate) fn migrations() -> Migrations<'static> {
    Migrations::from_slice(STEPS)
}

const FIRST: &str = "
PRAGMA application_id = 0x574e444c;

CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    next_id INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    unstarted INTEGER NOT NULL,
    shed INTEGER NOT NULL,
    retention_cursor INTEGER NOT NULL
) STRICT;
INSERT INTO meta VALUES (1, 1, 1, 0, 0, 0);

CREATE TABLE identity (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    nonce TEXT NOT NULL
) STRICT;
INSERT INTO identity VALUES (1, lower(hex(randomblob(8))));

CREATE TABLE workflows (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    fingerprint INTEGER NOT NULL,
    definition BLOB NOT NULL,
    UNIQUE (name, version)
) STRICT;

-- A row is a branch; the first branch of a run (parent IS NULL, id = run) is also the run.
CREATE TABLE branches (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    parent INTEGER,
    workflow INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    position INTEGER NOT NULL,
    activation INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    token INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    crashes INTEGER NOT NULL,
    suspect INTEGER NOT NULL,
    due INTEGER,
    data BLOB,
    record BLOB,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER
) STRICT;
CREATE INDEX ready ON branches (workflow, rank) WHERE state = 0 AND owner = 0;
CREATE INDEX locked ON branches (owner) WHERE owner <> 0;
CREATE INDEX timers ON branches (due) WHERE due IS NOT NULL;

CREATE TABLE joins (
    run INTEGER NOT NULL,
    node INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    round INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    expected INTEGER NOT NULL,
    PRIMARY KEY (run, node, scope, round)
) STRICT, WITHOUT ROWID;

CREATE TABLE detached (
    run INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    PRIMARY KEY (run, branch)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    event TEXT NOT NULL,
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    is_fault INTEGER NOT NULL,
    consumed INTEGER NOT NULL,
    PRIMARY KEY (run, name, event)
) STRICT, WITHOUT ROWID;

CREATE TABLE subscriptions (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    branch INTEGER NOT NULL,
    PRIMARY KEY (run, name, branch)
) STRICT, WITHOUT ROWID;

CREATE TABLE limits (
    run INTEGER PRIMARY KEY,
    max INTEGER NOT NULL,
    active INTEGER NOT NULL
) STRICT;

CREATE TABLE held (
    run INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    PRIMARY KEY (run, branch)
) STRICT, WITHOUT ROWID;

CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,
    count INTEGER NOT NULL,
    scope INTEGER NOT NULL
) STRICT;
CREATE INDEX sweeps_of_run ON sweeps (run);

CREATE TABLE run_faults (
    run INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    fault BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE dedupe (
    key TEXT PRIMARY KEY,
    run INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
    run INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    token INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    node INTEGER NOT NULL,
    activation INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    status INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER NOT NULL,
    branch_name TEXT,
    detail BLOB,
    PRIMARY KEY (run, branch, token, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE owners (
    id INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    file TEXT NOT NULL
) STRICT;

CREATE TABLE serves (
    workflow INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    PRIMARY KEY (workflow, owner)
) STRICT, WITHOUT ROWID;
";

/// Locks are found by their owner's window of ids; the index holds the rest: what is stored with a
/// positive owner, as all was before.
const LOCKS_BY_WINDOW: &str = "
ALTER TABLE owners ADD COLUMN locks_from INTEGER NOT NULL DEFAULT 0;
DROP INDEX locked;
CREATE INDEX locked ON branches (owner) WHERE owner > 0;
";

/// What joins of every kind, maps, mutexes and milestones keep.
const PATTERNS: &str = "
ALTER TABLE joins ADD COLUMN state BLOB;
ALTER TABLE subscriptions ADD COLUMN arm INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sweeps ADD COLUMN wakes INTEGER;

CREATE TABLE loose (
    parent INTEGER NOT NULL,
    first INTEGER NOT NULL,
    run INTEGER NOT NULL,
    count INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    PRIMARY KEY (parent, first)
) STRICT, WITHOUT ROWID;
INSERT INTO loose SELECT run, branch, run, 1, 0 FROM detached;
DROP TABLE detached;

CREATE TABLE marks (
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    token INTEGER NOT NULL,
    owner INTEGER NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX marks_of_owner ON marks (owner) WHERE owner > 0;

CREATE TABLE deadlines (
    run INTEGER PRIMARY KEY,
    due INTEGER NOT NULL
) STRICT;
CREATE INDEX deadlines_by_time ON deadlines (due);

CREATE TABLE undo (
    run INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    node INTEGER NOT NULL,
    activation INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run, scope, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE items (
    run INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    item INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (run, scope, item)
) STRICT, WITHOUT ROWID;

CREATE TABLE results (
    run INTEGER NOT NULL,
    scope INTEGER NOT NULL,
    item INTEGER NOT NULL,
    status INTEGER NOT NULL,
    data BLOB,
    PRIMARY KEY (run, scope, item)
) STRICT, WITHOUT ROWID;
";

/// No table changes. Earlier versions cannot read the records that are written from now on, and so refuse
/// the file as a whole.
const NEWER_RECORDS: &str = "SELECT 1;";

#[cfg(test)]
mod tests {
    #[test]
    fn the_steps_lead_from_nothing_to_the_newest_schema() {
        super::migrations().validate().unwrap();
    }
}
