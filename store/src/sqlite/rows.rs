//! Rows of SQLite to rows of the store, and back.

use rusqlite::{Row, ToSql, params_from_iter};
use windlass_workflow_model::{
    ActivationId, BranchId, Definition, Epoch, FencingToken, NodeId, OwnerId, Payload, Position,
    RunId, StepStatus, Timestamp, WorkflowKey,
};

use crate::backend::{MapRow, Result, ResultRow};
use crate::codec;
use crate::error::StorageError;
use crate::record::{
    BranchRow, ChildRange, Extras, HistoryDetail, HistoryRow, Rank, Record, State,
};
use crate::sync::Arc;

pub(super) const BRANCH_COLUMNS: &str = "id, run, parent, workflow, epoch, position, activation, \
     state, rank, flags, owner, token, attempt, crashes, suspect, due, data, record, created_at, \
     started_at, ended_at";

pub(super) const HISTORY_COLUMNS: &str = "run, branch, token, ordinal, node, activation, attempt, \
     status, started_at, ended_at, branch_name, detail";

/// What SQLite reports, as what it means for us.
#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn storage(error: rusqlite::Error) -> StorageError {
    use rusqlite::ErrorCode as Code;
    let why = error.to_string();
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => StorageError::Full,
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => {
            StorageError::ReadOnly { why }
        }
        Some(Code::SystemIoFailure) => StorageError::Poisoned { why },
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => StorageError::Corrupt {
            what: "database".to_owned(),
            why,
        },
        _ => StorageError::Sqlite { why },
    }
}

pub(super) fn corrupt(what: &str, why: impl Into<String>) -> StorageError {
    StorageError::Corrupt {
        what: what.to_owned(),
        why: why.into(),
    }
}

pub(super) fn activation(id: ActivationId) -> i64 {
    id.0.cast_signed()
}

pub(super) fn read_activation(number: i64) -> ActivationId {
    ActivationId(number.cast_unsigned())
}

pub(super) fn branch(row: &Row<'_>) -> Result<BranchRow> {
    let number = |index: usize| row.get::<_, i64>(index).map_err(storage);
    let optional = |index: usize| row.get::<_, Option<i64>>(index).map_err(storage);
    let small = |index: usize| {
        u32::try_from(number(index)?).map_err(|_| corrupt("branch", "a count is out of range"))
    };
    let byte = |index: usize| {
        u8::try_from(number(index)?).map_err(|_| corrupt("branch", "a byte is out of range"))
    };
    let data = blob(row, 16);
    let record = blob(row, 17);
    Ok(BranchRow {
        id: BranchId(number(0)?),
        run: RunId(number(1)?),
        parent: optional(2)?.map(BranchId),
        workflow: WorkflowKey(number(3)?),
        epoch: Epoch(number(4)?),
        position: Position::from_number(number(5)?)
            .ok_or_else(|| corrupt("branch", "its position is out of range"))?,
        activation: read_activation(number(6)?),
        state: State::from_number(number(7)?)
            .ok_or_else(|| corrupt("branch", "its state is unknown"))?,
        rank: Rank(byte(8)?),
        flags: u16::try_from(number(9)?)
            .map_err(|_| corrupt("branch", "its flags are out of range"))?,
        // Negative where the lock is found by its owner's window.
        owner: OwnerId(number(10)?.abs()),
        token: FencingToken(number(11)?),
        attempt: small(12)?,
        crashes: small(13)?,
        suspect: small(14)?,
        due: optional(15)?.map(Timestamp),
        data: data?.map(codec::unseal).transpose()?,
        record: match record? {
            Some(bytes) => Extras::decode(bytes)?.into(),
            None => Record::default(),
        },
        created_at: Timestamp(number(18)?),
        started_at: optional(19)?.map(Timestamp),
        ended_at: optional(20)?.map(Timestamp),
    })
}

/// Reads the columns `first, count, scope`.
pub(super) fn range(row: &Row<'_>) -> Result<ChildRange> {
    Ok(ChildRange {
        first: BranchId(column(row, 0)?),
        count: column(row, 1)?,
        scope: read_activation(column(row, 2)?),
    })
}

/// Reads the columns `definition, fingerprint` of a workflow.
pub(super) fn definition(row: &Row<'_>) -> Result<Arc<Definition>> {
    let json = column::<Vec<u8>>(row, 0)?;
    let definition: Definition =
        serde_json::from_slice(&json).map_err(|error| corrupt("workflow", error.to_string()))?;
    if definition.fingerprint() != column::<i64>(row, 1)?.cast_unsigned() {
        return Err(corrupt("workflow", "its fingerprint is another one"));
    }
    Ok(Arc::new(definition))
}

/// Reads a column of JSON with its checksum.
pub(super) fn payload(row: &Row<'_>, index: usize) -> Result<Payload> {
    let stored = blob(row, index)?.ok_or_else(|| corrupt("payload", "it is not there"))?;
    codec::unseal(stored)
}

fn blob<'a>(row: &'a Row<'_>, index: usize) -> Result<Option<&'a [u8]>> {
    let value = row.get_ref(index).map_err(storage)?;
    value
        .as_blob_or_null()
        .map_err(|error| corrupt("column", error.to_string()))
}

pub(super) fn record_bytes(record: &Record) -> Option<Vec<u8>> {
    (!record.is_empty()).then(|| record.encode())
}

pub(super) fn status_number(status: StepStatus) -> i64 {
    match status {
        StepStatus::Pending => 0,
        StepStatus::Waiting => 1,
        StepStatus::Running => 2,
        StepStatus::Succeeded => 3,
        StepStatus::Failed => 4,
        StepStatus::Skipped => 5,
        StepStatus::Cancelled => 6,
    }
}

/// The item under which a map itself stands before its results: its node in the place of a status,
/// when it began, and behind that how many instances there were to be.
pub(super) const MAP_ITEM: i64 = -1;

/// What stands in the column `data` of a map.
pub(super) fn map_data(row: &MapRow) -> Vec<u8> {
    let mut data = row.begun_at.0.to_le_bytes().to_vec();
    data.extend(row.count.iter().flat_map(|count| count.to_le_bytes()));
    data
}

/// Reads the columns `scope, status, data` of a map. Earlier versions did not write the count.
pub(super) fn map(row: &Row<'_>) -> Result<MapRow> {
    let data = column::<Vec<u8>>(row, 2)?;
    let (begun_at, count) = data
        .split_first_chunk()
        .ok_or_else(|| corrupt("map", "when it began is no time"))?;
    let count = match count {
        [] => None,
        count => Some(
            count
                .try_into()
                .map_err(|_| corrupt("map", "how many instances it has is no number"))?,
        ),
    };
    Ok(MapRow {
        scope: read_activation(column(row, 0)?),
        map: NodeId(column(row, 1)?),
        begun_at: Timestamp(i64::from_le_bytes(*begun_at)),
        count: count.map(u32::from_le_bytes),
    })
}

/// Reads the columns `item, status, data` of a result.
pub(super) fn result(row: &Row<'_>) -> Result<ResultRow> {
    let data = column::<Option<Vec<u8>>>(row, 2)?;
    let outcome = match (read_status(column(row, 1)?)?, data) {
        (StepStatus::Succeeded, Some(data)) => Some(Ok(codec::unseal(&data)?)),
        (StepStatus::Failed, Some(fault)) => Some(Err(codec::decode(&fault)?)),
        _ => None,
    };
    Ok(ResultRow {
        index: column(row, 0)?,
        outcome,
    })
}

pub(super) fn read_status(number: i64) -> Result<StepStatus> {
    use StepStatus::{Cancelled, Failed, Pending, Running, Skipped, Succeeded, Waiting};
    let all = [
        Pending, Waiting, Running, Succeeded, Failed, Skipped, Cancelled,
    ];
    usize::try_from(number)
        .ok()
        .and_then(|index| all.get(index).copied())
        .ok_or_else(|| corrupt("history", "a status is unknown"))
}

pub(super) fn history(row: &Row<'_>) -> Result<HistoryRow> {
    let number = |index: usize| row.get::<_, i64>(index).map_err(storage);
    let small = |index: usize| {
        u32::try_from(number(index)?).map_err(|_| corrupt("history", "a count is out of range"))
    };
    let detail: Option<Vec<u8>> = row.get(11).map_err(storage)?;
    Ok(HistoryRow {
        run: RunId(number(0)?),
        branch: BranchId(number(1)?),
        token: FencingToken(number(2)?),
        ordinal: small(3)?,
        node: NodeId(small(4)?),
        activation: read_activation(number(5)?),
        attempt: small(6)?,
        status: read_status(number(7)?)?,
        started_at: row
            .get::<_, Option<i64>>(8)
            .map_err(storage)?
            .map(Timestamp),
        ended_at: Timestamp(number(9)?),
        branch_name: row.get(10).map_err(storage)?,
        detail: detail.map_or(Ok(HistoryDetail::default()), |bytes| {
            HistoryDetail::decode(&bytes)
        })?,
    })
}

/// A page of a query whose keys rise from `after` on, as its statement says. In a damaged tree they need
/// not, and whoever asks for page after page would never come to an end.
pub(super) fn rising<T>(page: Vec<T>, after: i64, key: impl Fn(&T) -> i64) -> Result<Vec<T>> {
    let mut last = after;
    for row in &page {
        let key = key(row);
        if key <= last {
            return Err(corrupt(
                "database",
                "rows are not in the order of their keys",
            ));
        }
        last = key;
    }
    Ok(page)
}

/// All rows of one cached query.
pub(super) fn query<T>(
    db: &rusqlite::Connection,
    sql: &str,
    params: &[&dyn ToSql],
    mut read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare_cached(sql).map_err(storage)?;
    let mut rows = statement.query(params).map_err(storage)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(storage)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// The first row of one cached query.
pub(super) fn first<T>(
    db: &rusqlite::Connection,
    sql: &str,
    params: &[&dyn ToSql],
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = db.prepare_cached(sql).map_err(storage)?;
    let mut rows = statement.query(params_from_iter(params)).map_err(storage)?;
    rows.next().map_err(storage)?.map(read).transpose()
}

/// One column of one row.
pub(super) fn column<T: rusqlite::types::FromSql>(row: &Row<'_>, index: usize) -> Result<T> {
    row.get(index).map_err(storage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use windlass_workflow_model::ActivationId;

    fn read_map(data: &[u8]) -> Result<MapRow> {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        let sql = "SELECT 5, 7, ?1";
        db.query_row(sql, [data], |row| Ok(map(row))).unwrap()
    }

    #[test]
    fn a_map_that_an_earlier_version_began_reads_back_without_a_count() {
        let earlier = MapRow {
            map: NodeId(7),
            scope: ActivationId(5),
            begun_at: Timestamp(1_000_000),
            count: None,
        };
        let now = MapRow {
            count: Some(3),
            ..earlier
        };
        for row in [earlier, now] {
            assert_eq!(read_map(&map_data(&row)).unwrap(), row);
        }
        assert_eq!(map_data(&earlier), 1_000_000_i64.to_le_bytes());
        for length in [0, 7, 9, 13] {
            assert!(read_map(&vec![0; length]).is_err(), "{length}");
        }
    }
}
