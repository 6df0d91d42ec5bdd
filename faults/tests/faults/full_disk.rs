//! A disk that is full when an engine opens.

use std::sync::Arc;

use windlass::{EngineError, ManualClock, StorageError, Timestamp, WriteError};
use windlass_faults::{Call, Disk, Fault, Times};

use crate::check::folder;
use crate::play::Play;
use crate::workload::{Act, Key, Workload};

#[test]
fn opening_on_a_full_disk_says_so_and_does_not_wait_for_room() {
    // An engine dies with a job that is ready, and locked. Whichever write of the next one finds no
    // room, freeing that job included, it does not open, and says why. With room again it does.
    let folder = folder();
    let database = folder.path().join("w.db");
    let disk = Disk::watch(&database);
    let mut workload = Workload::of(1, windlass::Durability::Full);
    workload.script = vec![Act::Schedule(vec![Key::Order(0)])];
    Play::new(&workload, &database, &disk).script();
    let clock = Arc::new(ManualClock::at(Timestamp(1_700_000_000_000_000)));
    let open = || {
        workload
            .builder(&database)
            .clock(clock.clone())
            .open_stepped()
    };
    let mut refused = 0;
    for nth in 1.. {
        let before = disk.struck();
        disk.heal_after(before + 20);
        disk.fail(Call::Write, nth, Fault::Enospc, Times::ForEver);
        let opened = open();
        disk.heal();
        let struck = disk.struck() - before;
        assert!(struck < 20, "write {nth}: it waits for room");
        match opened {
            Ok(_) if struck == 0 => break,
            Err(EngineError::Write(WriteError::Storage(StorageError::Full))) => refused += 1,
            // Closing the log is not worth an error: what is in it stays there.
            Ok(_) => {}
            Err(other) => panic!("write {nth}: {other:?}"),
        }
    }
    assert!(refused > 6, "{refused} writes found no room");
}
