//! A disk that fails while a database is made.

use windlass::Durability;
use windlass_faults::{Call, Disk, Fault, Times};

use crate::check::folder;
use crate::workload::Workload;

#[test]
fn an_engine_that_opens_has_the_log_that_its_guarantees_rest_on() {
    // Whichever sync fails, and whether the engine says so or not: it never works on a database
    // that has kept its rollback journal.
    let workload = Workload::of(1, Durability::Full);
    for nth in 1.. {
        let folder = folder();
        let database = folder.path().join("w.db");
        let disk = Disk::watch(&database);
        disk.fail(Call::Sync, nth, Fault::FailedSync, Times::Once);
        let opened = workload.builder(&database).open_stepped();
        let db = rusqlite::Connection::open(&database).unwrap();
        let mode: String = db
            .query_row("PRAGMA journal_mode", [], |row| row.get(0))
            .unwrap();
        assert!(opened.is_err() || mode == "wal", "sync {nth}: it is {mode}");
        if disk.struck() == 0 {
            assert!(opened.is_ok() && nth > 5, "{nth} syncs");
            break;
        }
    }
}
