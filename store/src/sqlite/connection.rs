//! Opens the database: private, in WAL mode, with every setting read back.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::rows::storage;
use super::schema;
use crate::error::OpenError;
use crate::owner;
use crate::store::{Durability, Options};

/// Earlier versions can corrupt a write-ahead log when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;

/// An open database.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) connection: Connection,
    /// The canonical path.
    pub(crate) path: PathBuf,
    /// Names this database for ever, also when its file is copied over another one.
    pub(crate) nonce: String,
}

/// Opens or makes the database at `path` for writing.
pub(crate) fn open(path: &Path, options: &Options) -> Result<Opened, OpenError> {
    assert!(
        rusqlite::version_number() >= OLDEST_SQLITE,
        "SQLite {} is linked in, but a write-ahead log is safe only from 3.51.3 on",
        rusqlite::version()
    );
    refuse_folder(path)?;
    create_private(path)?;
    let path = path
        .canonicalize()
        .map_err(|error| cannot_open(path, &error))?;
    refuse_network_filesystem(&path)?;
    refuse_lost_log(&path)?;
    let _alone = owner::lock_opening(&path).map_err(|error| cannot_open(&path, &error))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(|e| failed(&path, e))?;
    connection
        .busy_timeout(std::time::Duration::from_secs(10))
        .map_err(|e| failed(&path, e))?;
    connection.set_prepared_statement_cache_capacity(128);
    refuse_foreign(&connection, &path)?;
    settle(&connection, &path, options)?;
    migrate(&mut connection, &path)?;
    let nonce = connection
        .query_row("SELECT nonce FROM identity", [], |row| row.get(0))
        .map_err(|e| failed(&path, e))?;
    // From here on waiting for other writers is done by ourselves, which is fairer.
    connection
        .busy_timeout(std::time::Duration::ZERO)
        .map_err(|e| failed(&path, e))?;
    Ok(Opened {
        connection,
        path,
        nonce,
    })
}

/// Looks whether there is a database of ours at `path` that this version can read; changes nothing.
/// Gives its canonical path and its nonce.
pub(crate) fn check(path: &Path) -> Result<(PathBuf, String), OpenError> {
    let path = path.canonicalize().map_err(|error| {
        let why = format!("{error}; give the database of a run with --db, or run something first");
        OpenError::Open {
            path: path.to_owned(),
            why,
        }
    })?;
    refuse_folder(&path)?;
    refuse_lost_log(&path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(|e| failed(&path, e))?;
    connection
        .busy_timeout(std::time::Duration::from_secs(5))
        .map_err(|e| failed(&path, e))?;
    let application = refuse_foreign(&connection, &path)?;
    if application != schema::APPLICATION_ID {
        let why = "nothing has been stored in it".to_owned();
        return Err(OpenError::NotADatabase { path, why });
    }
    let nonce = connection
        .query_row("SELECT nonce FROM identity", [], |row| row.get(0))
        .map_err(|e| failed(&path, e))?;
    Ok((path, nonce))
}

fn refuse_folder(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        let why = "it is a folder; give the path of a file in it".to_owned();
        return Err(OpenError::Open {
            path: path.to_owned(),
            why,
        });
    }
    Ok(())
}

/// Makes an empty file that only we may read, if there is none.
///
/// It gets its name only after it was closed: closing any descriptor of a database file drops all
/// locks that this process holds on it.
pub(super) fn create_private(path: &Path) -> Result<(), OpenError> {
    if path.exists() {
        return Ok(());
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".new-{}", std::process::id()));
    let draft = PathBuf::from(draft);
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|error| cannot_open(path, &error))?;
    let linked = fs::hard_link(&draft, path);
    let removed = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(cannot_open(path, &error)),
        _ => removed.map_err(|error| cannot_open(path, &error)),
    }
}

fn cannot_open(path: &Path, error: &std::io::Error) -> OpenError {
    let hint = match error.kind() {
        ErrorKind::NotFound => "its folder does not exist; make it, or give another path",
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "its folder must be writable by this user; change that, or give another path"
        }
        ErrorKind::StorageFull => "the disk is full; make room",
        _ => "check the path",
    };
    OpenError::Open {
        path: path.to_owned(),
        why: format!("{error}; {hint}"),
    }
}

pub(super) fn failed(path: &Path, error: rusqlite::Error) -> OpenError {
    use rusqlite::ErrorCode as Code;
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => OpenError::NotADatabase {
            path,
            why: error.to_string(),
        },
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => OpenError::Open {
            path,
            why: format!("{error}; the file and its folder must be writable by this user"),
        },
        _ => OpenError::Storage {
            path,
            source: storage(error),
        },
    }
}

/// Whoever opened the file now would make another log beside the one in which the engine writes.
fn refuse_lost_log(path: &Path) -> Result<(), OpenError> {
    match owner::writes_in_lost_log(path) {
        None => Ok(()),
        Some(pid) => {
            let path = path.to_owned();
            Err(OpenError::LogLost { path, pid })
        }
    }
}

fn refuse_network_filesystem(path: &Path) -> Result<(), OpenError> {
    let Ok(status) = rustix::fs::statfs(path) else {
        return Ok(());
    };
    #[expect(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "a magic number of 32 bits"
    )]
    let magic = status.f_type as u32;
    let kind = match magic {
        0x6969 => "NFS",
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => "SMB",
        0x5346_414f => "AFS",
        0x00c3_6400 => "Ceph",
        0x0bd0_0bd0 => "Lustre",
        0x7461_636f => "OCFS2",
        _ => return Ok(()),
    };
    Err(OpenError::NetworkFilesystem {
        path: path.to_owned(),
        kind: kind.to_owned(),
    })
}

/// Gives the application id: ours, or 0 if the file is empty.
fn refuse_foreign(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let pragma = |name: &str| -> Result<i64, OpenError> {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(|e| failed(path, e))
    };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(|e| failed(path, e))?;
    if application != schema::APPLICATION_ID && (application != 0 || tables > 0) {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
            found: application,
        });
    }
    if version > schema::newest() {
        let (path, known) = (path.to_owned(), schema::newest());
        return Err(OpenError::NewerSchema {
            path,
            found: version,
            known,
        });
    }
    Ok(application)
}

/// Sets what the guarantees rest on, and reads it back: a setting that silently did not take would
/// be a guarantee that silently does not hold.
fn settle(connection: &Connection, path: &Path, options: &Options) -> Result<(), OpenError> {
    let synchronous = match options.durability {
        Durability::Full => "2",
        Durability::Normal => "1",
    };
    let wanted = [
        (
            "journal_mode",
            "wal",
            "wal",
            "the filesystem must support shared memory files",
        ),
        ("synchronous", synchronous, synchronous, "report this"),
        ("wal_autocheckpoint", "0", "0", "report this"),
        ("trusted_schema", "0", "0", "report this"),
        ("temp_store", "2", "2", "report this"),
    ];
    for (setting, value, wanted, hint) in wanted {
        set(connection, setting, value).map_err(|e| failed(path, e))?;
        let found: String = connection
            .pragma_query_value(None, setting, |row| {
                row.get_ref(0).map(|value| match value {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    other => other.as_str().unwrap_or_default().to_owned(),
                })
            })
            .map_err(|e| failed(path, e))?;
        if !found.eq_ignore_ascii_case(wanted) {
            let (path, wanted) = (path.to_owned(), wanted.to_owned());
            return Err(OpenError::Setting {
                path,
                setting,
                found,
                wanted,
                hint,
            });
        }
    }
    let cache_kib = i64::try_from(options.page_cache_bytes / 1_024).unwrap_or(i64::MAX);
    connection
        .pragma_update(None, "cache_size", -cache_kib.max(1))
        .map_err(|e| failed(path, e))?;
    // Without it a statement whose parameters might decide on a partial index is planned anew with
    // each value.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(|_| ())
        .map_err(|e| failed(path, e))
}

/// Sets it, to the end: a change of the journal mode is committed only after it has given its row, and
/// when that fails SQLite takes the connection for changed all the same.
fn set(connection: &Connection, setting: &str, value: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA {setting} = {value}"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    schema::migrations()
        .to_latest(connection)
        .map_err(|error| match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => failed(path, err),
            other => OpenError::Open {
                path: path.to_owned(),
                why: other.to_string(),
            },
        })
}
