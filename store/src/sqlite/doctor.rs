//! Looks for what is wrong with a database, or soon will be, and changes nothing.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use windlass_workflow_model::{OwnerId, RunId, Timestamp, WorkflowKey};

use super::connection::{check, failed};
use super::joins::join_count;
use super::reader::SqliteReader;
use super::rows::{self, BRANCH_COLUMNS, column, first, query};
use crate::backend::{JoinCount, Result};
use crate::error::OpenError;
use crate::limits::WAL_BYTES_MAX;
use crate::owner::{OwnerFiles, Proof};
use crate::paths::beside;
use crate::record::{BranchRow, State};

/// Runs and joins that one finding names at most.
const NAMED_MAX: usize = 20;

/// Free bytes of the disk below which it is soon full: some logs of full size.
const FREE_BYTES_MIN: u64 = 4 * WAL_BYTES_MAX;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// All is as it should be.
    Fine,
    /// Nothing is lost, but somebody should look.
    Warning,
    /// Something is broken, or work stands still until somebody acts.
    Problem,
}

/// What one check has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check: `integrity`, `log`, `disk`, `locks`, `service`, `joins`, `parked`.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is so.
    pub what: String,
    /// What to do about it; empty if nothing.
    pub help: String,
    /// The runs that it is about, at most 20 of them.
    pub runs: Vec<RunId>,
}

/// What is known of a database.
#[derive(Clone, Debug)]
pub struct Examination {
    /// Its canonical path.
    pub path: PathBuf,
    /// Each check once, those of several findings several times.
    pub findings: Vec<Finding>,
    /// Bytes of the file.
    pub database_bytes: u64,
    /// Bytes of its write-ahead log.
    pub log_bytes: u64,
    /// Bytes that the disk has free for us.
    pub free_bytes: u64,
    /// Engines that work on it.
    pub engines: usize,
    /// Runs that have not ended.
    pub unfinished: u64,
    /// The run that is ready to go on since it came, and came first; and when.
    pub oldest_ready: Option<(RunId, Timestamp)>,
}

impl Examination {
    /// The worst of the findings.
    pub fn severity(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Fine)
    }
}

/// Examines the database at `path`. Reads all of it once, beside whoever works on it.
///
/// # Errors
/// [`OpenError`] if there is no database of ours that can be opened.
pub fn examine(path: &Path) -> std::result::Result<Examination, OpenError> {
    let (path, nonce) = match check(path) {
        Err(OpenError::LogLost { path, pid }) => return Ok(lost(path, pid)),
        checked => checked?,
    };
    let reader = SqliteReader::open(&path).map_err(|source| OpenError::Storage {
        path: path.clone(),
        source,
    })?;
    let files = OwnerFiles::beside(&path, &nonce);
    let whole = integrity(reader.connection()).map_err(|error| failed(&path, error))?;
    let doctor = Doctor {
        db: reader.connection(),
        path: &path,
        files: &files,
    };
    let unread = |source| OpenError::Storage {
        path: path.clone(),
        source,
    };
    let mut examination = doctor.examine().map_err(unread)?;
    examination.findings.insert(0, whole);
    Ok(examination)
}

fn integrity(db: &Connection) -> std::result::Result<Finding, rusqlite::Error> {
    let mut statement = db.prepare("PRAGMA integrity_check(10)")?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let lines: Vec<_> = lines.collect::<std::result::Result<_, _>>()?;
    Ok(if lines == ["ok"] {
        fine("integrity", "the file is sound")
    } else {
        Finding {
            severity: Severity::Problem,
            help: "stop all engines and restore a backup".to_owned(),
            ..fine("integrity", &lines.join("; "))
        }
    })
}

struct Doctor<'a> {
    db: &'a Connection,
    path: &'a Path,
    files: &'a OwnerFiles,
}

/// Somebody who is written down as working on the database.
struct Owner {
    pid: u32,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Alive,
    Dead,
    Unknown,
}

impl Doctor<'_> {
    fn examine(&self) -> Result<Examination> {
        let owners = self.owners()?;
        let alive = |owner: &&Owner| owner.standing == Standing::Alive;
        let free_bytes = free_bytes(self.path);
        let log_bytes = size_of(&beside(self.path, "-wal"));
        let mut findings = vec![log(log_bytes), disk(free_bytes)];
        findings.extend(self.locks(&owners)?);
        findings.extend(self.service(&owners)?);
        findings.push(self.joins()?);
        findings.push(self.parked()?);
        let unfinished =
            "SELECT count(*) FROM branches WHERE parent IS NULL AND state NOT IN (8, 9, 10)";
        let unfinished = first(self.db, unfinished, &[], |row| column::<i64>(row, 0))?;
        let oldest = "SELECT run, min(created_at) FROM branches WHERE state = 0 AND owner = 0";
        let oldest = first(self.db, oldest, &[], |row| {
            let run: Option<i64> = column(row, 0)?;
            let since: Option<i64> = column(row, 1)?;
            Ok(run.zip(since))
        })?;
        Ok(Examination {
            path: self.path.to_owned(),
            findings,
            database_bytes: size_of(self.path),
            log_bytes,
            free_bytes,
            engines: owners.values().filter(alive).count(),
            unfinished: unfinished.map_or(0, i64::cast_unsigned),
            oldest_ready: oldest
                .flatten()
                .map(|(run, since)| (RunId(run), Timestamp(since))),
        })
    }

    fn owners(&self) -> Result<HashMap<OwnerId, Owner>> {
        let found = query(self.db, "SELECT id, file, pid FROM owners", &[], |row| {
            let id = OwnerId(column(row, 0)?);
            Ok((id, column::<String>(row, 1)?, column::<u32>(row, 2)?))
        })?;
        let standing = |file: &str| match self.files.probe(file) {
            Proof::Alive => Standing::Alive,
            Proof::Dead(_) => Standing::Dead,
            Proof::Unknown => Standing::Unknown,
        };
        let owners = found.into_iter().map(|(id, file, pid)| {
            let standing = standing(&file);
            (id, Owner { pid, standing })
        });
        Ok(owners.collect())
    }

    /// Whose locks nobody can free.
    fn locks(&self, owners: &HashMap<OwnerId, Owner>) -> Result<Vec<Finding>> {
        let sql = "SELECT abs(owner), count(*), min(run) FROM branches WHERE owner <> 0 GROUP BY 1";
        let locked = query(self.db, sql, &[], |row| {
            let owner = OwnerId(column(row, 0)?);
            Ok((owner, column::<i64>(row, 1)?, RunId(column(row, 2)?)))
        })?;
        let mut findings = Vec::new();
        for (owner, jobs, run) in &locked {
            let known = owners.get(owner);
            let (severity, who, help) = match known.map(|owner| (owner.standing, owner.pid)) {
                Some((Standing::Alive, _)) => continue,
                Some((Standing::Dead, pid)) => (
                    Severity::Warning,
                    format!("process {pid}, which is dead"),
                    "an engine that opens the database frees them",
                ),
                Some((Standing::Unknown, pid)) => (
                    Severity::Problem,
                    format!("process {pid}, whose owner file is gone"),
                    "if no engine works on it: `windlass backup`, then `windlass restore`; what is restored frees all locks",
                ),
                None => (
                    Severity::Problem,
                    "an engine that nobody knows".to_owned(),
                    "`windlass backup`, then `windlass restore`; what is restored frees all locks",
                ),
            };
            findings.push(Finding {
                severity,
                help: help.to_owned(),
                runs: vec![*run],
                ..fine("locks", &format!("{jobs} job(s) are locked by {who}"))
            });
        }
        if findings.is_empty() {
            let jobs: i64 = locked.iter().map(|(_, jobs, _)| jobs).sum();
            findings.push(fine(
                "locks",
                &format!("{jobs} job(s) are locked, all by living engines"),
            ));
        }
        Ok(findings)
    }

    /// Which runs no living engine can go on with.
    fn service(&self, owners: &HashMap<OwnerId, Owner>) -> Result<Vec<Finding>> {
        let sql = "SELECT b.workflow, w.name, w.version, count(*) FROM branches b \
                   LEFT JOIN workflows w ON w.id = b.workflow \
                   WHERE b.parent IS NULL AND b.state NOT IN (8, 9, 10) GROUP BY b.workflow";
        let needed = query(self.db, sql, &[], |row| {
            let name = column::<Option<String>>(row, 1)?;
            let named = name.zip(column::<Option<String>>(row, 2)?);
            Ok((WorkflowKey(column(row, 0)?), named, column::<i64>(row, 3)?))
        })?;
        let any = owners
            .values()
            .any(|owner| owner.standing == Standing::Alive);
        let mut findings = Vec::new();
        for (workflow, named, count) in needed {
            let runs = self.runs_of(workflow)?;
            let Some((name, version)) = named else {
                findings.push(Finding {
                    severity: Severity::Problem,
                    help: "restore a backup".to_owned(),
                    runs,
                    ..fine(
                        "service",
                        &format!("the workflow of {count} run(s) is not stored"),
                    )
                });
                continue;
            };
            if self.is_served(workflow, owners)? {
                continue;
            }
            let (severity, why, help) = if any {
                let help = "start an engine that registers it, with its handlers";
                (Severity::Problem, "no engine serves it", help)
            } else {
                let help = "start the engine, or call `windlass resume`";
                (Severity::Warning, "no engine works on the database", help)
            };
            let what = format!("{count} run(s) of {name} version {version} stand still: {why}");
            findings.push(Finding {
                severity,
                help: help.to_owned(),
                runs,
                ..fine("service", &what)
            });
        }
        if findings.is_empty() {
            findings.push(fine("service", "every run can go on"));
        }
        Ok(findings)
    }

    fn runs_of(&self, workflow: WorkflowKey) -> Result<Vec<RunId>> {
        let sql = "SELECT run FROM branches WHERE workflow = ?1 AND parent IS NULL \
                   AND state NOT IN (8, 9, 10) ORDER BY run LIMIT ?2";
        let max = i64::try_from(NAMED_MAX).unwrap_or(i64::MAX);
        query(self.db, sql, params![workflow.0, max], |row| {
            Ok(RunId(column(row, 0)?))
        })
    }

    fn is_served(&self, workflow: WorkflowKey, owners: &HashMap<OwnerId, Owner>) -> Result<bool> {
        let sql = "SELECT owner FROM serves WHERE workflow = ?1";
        let serving = query(self.db, sql, params![workflow.0], |row| {
            Ok(OwnerId(column(row, 0)?))
        })?;
        let lives = |id: &OwnerId| {
            let owner = owners.get(id);
            owner.is_some_and(|owner| owner.standing == Standing::Alive)
        };
        Ok(serving.iter().any(lives))
    }

    /// Joins that nothing can come to any more, and that are not over.
    fn joins(&self) -> Result<Finding> {
        let sql = format!("SELECT {BRANCH_COLUMNS} FROM branches WHERE state = ?1");
        let mut waiting = 0_usize;
        let mut stuck = Vec::new();
        let joining = State::Joining as i64;
        for row in query(self.db, &sql, params![joining], rows::branch)? {
            waiting += 1;
            if self.is_stuck(&row)? {
                stuck.push(row.run);
            }
        }
        if stuck.is_empty() {
            return Ok(fine(
                "joins",
                &format!("{waiting} join(s) wait for branches that live"),
            ));
        }
        let what = format!("{} join(s) wait for branches that are gone", stuck.len());
        stuck.sort_unstable();
        stuck.dedup();
        stuck.truncate(NAMED_MAX);
        Ok(Finding {
            severity: Severity::Problem,
            help: "cancel these runs and schedule them anew; and report it".to_owned(),
            runs: stuck,
            ..fine("joins", &what)
        })
    }

    fn is_stuck(&self, row: &BranchRow) -> Result<bool> {
        let Some(range) = row.record.children else {
            return Ok(true);
        };
        let count = |sql: &str, params: &[&dyn rusqlite::ToSql]| -> Result<bool> {
            Ok(first(self.db, sql, params, |row| column::<i64>(row, 0))?.unwrap_or(0) > 0)
        };
        let neighbours =
            "SELECT EXISTS (SELECT 1 FROM branches WHERE id >= ?1 AND id < ?2 AND state <> 5)";
        let end = range.first.0 + i64::from(range.count);
        let tokens = "SELECT EXISTS (SELECT 1 FROM loose l JOIN branches b ON b.id = l.first \
                      WHERE l.parent = ?1 AND l.scope = ?2 AND b.state <> 5)";
        let scope = range.scope.0.cast_signed();
        let swept = "SELECT EXISTS (SELECT 1 FROM sweeps WHERE run = ?1)";
        Ok(!count(neighbours, params![range.first.0, end])?
            && !count(tokens, params![row.id.0, scope])?
            && !count(swept, params![row.run.0])?
            && !self.is_open_map(row)?)
    }

    /// Whether more may be added from outside to what `row` waits for.
    fn is_open_map(&self, row: &BranchRow) -> Result<bool> {
        let sql = "SELECT arrived, expected, state FROM joins WHERE run = ?1 AND node = ?2";
        let node = i64::from(row.position.node.0);
        let counts: Vec<JoinCount> = query(self.db, sql, params![row.run.0, node], join_count)?;
        Ok(counts.iter().any(JoinCount::is_map_open))
    }

    fn parked(&self) -> Result<Finding> {
        let state = State::Parked as i64;
        let sql = "SELECT DISTINCT run FROM branches WHERE state = ?1 ORDER BY run";
        let mut runs = query(self.db, sql, params![state], |row| {
            Ok(RunId(column(row, 0)?))
        })?;
        if runs.is_empty() {
            return Ok(fine("parked", "no run waits for an operator"));
        }
        let what = format!("{} run(s) wait for an operator", runs.len());
        runs.truncate(NAMED_MAX);
        Ok(Finding {
            severity: Severity::Warning,
            help: "`windlass why RUN` says what for; then `windlass retry` or `cancel`".to_owned(),
            runs,
            ..fine("parked", &what)
        })
    }
}

/// The log of a living engine is gone: all else would be read from a file that it does not write.
fn lost(path: PathBuf, pid: u32) -> Examination {
    let what = OpenError::LogLost {
        path: path.clone(),
        pid,
    };
    let finding = Finding {
        severity: Severity::Problem,
        help: "shut that process down, do not kill it; then look what its runs have lost"
            .to_owned(),
        ..fine("log", &what.to_string())
    };
    Examination {
        findings: vec![finding],
        database_bytes: size_of(&path),
        log_bytes: size_of(&beside(&path, "-wal")),
        free_bytes: free_bytes(&path),
        engines: 1,
        unfinished: 0,
        oldest_ready: None,
        path,
    }
}

fn size_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |fs| fs.f_bavail * fs.f_frsize)
}

fn log(bytes: u64) -> Finding {
    let log = fine("log", &format!("the log has {} KiB", bytes >> 10));
    if bytes <= 2 * WAL_BYTES_MAX {
        return log;
    }
    Finding {
        severity: Severity::Warning,
        help: "look for a program that keeps a read transaction open".to_owned(),
        ..log
    }
}

fn disk(free_bytes: u64) -> Finding {
    let free = fine(
        "disk",
        &format!("the disk has {} MiB free", free_bytes >> 20),
    );
    if free_bytes >= FREE_BYTES_MIN {
        return free;
    }
    Finding {
        severity: Severity::Problem,
        help: "make room: without it nothing new is taken".to_owned(),
        ..free
    }
}

fn fine(check: &'static str, what: &str) -> Finding {
    Finding {
        check,
        severity: Severity::Fine,
        what: what.to_owned(),
        help: String::new(),
        runs: Vec::new(),
    }
}
