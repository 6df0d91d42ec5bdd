//! One call of one script that fails in one way: what must hold then, and when the disk works again.

use std::path::Path;

use windlass::Durability;
use windlass_faults::{Call, Disk, Fault, Times};

use crate::check::{assert_finished, assert_kept, folder};
use crate::play::Play;
use crate::workload::Workload;

/// Failed calls after which the disk heals by itself, should somebody try for ever.
const STRUCK_MAX: u64 = 50;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) call: Call,
    pub(crate) nth: u64,
    pub(crate) fault: Fault,
    pub(crate) times: Times,
}

fn workload(seed: u64) -> Workload {
    let durability = [Durability::Full, Durability::Normal][usize::from(seed % 4 == 3)];
    Workload::of(seed, durability)
}

/// Every call of the script of a seed, each way it can fail.
pub(crate) fn cases(seed: u64) -> Vec<Case> {
    let folder = folder();
    let database = folder.path().canonicalize().unwrap().join("w.db");
    let disk = Disk::watch(&database);
    let workload = workload(seed);
    Play::new(&workload, &database, &disk).script();
    let mut cases = Vec::new();
    for call in Call::ALL {
        for nth in 1..=disk.calls(call) {
            for fault in call.faults() {
                for times in [Times::Once, Times::ForEver] {
                    cases.push(Case {
                        seed,
                        call,
                        nth,
                        fault: *fault,
                        times,
                    });
                }
            }
        }
    }
    cases
}

/// `false`: the call was not reached.
pub(crate) fn check(case: Case) -> bool {
    let folder = folder();
    let database = folder.path().canonicalize().unwrap().join("w.db");
    let disk = Disk::watch(&database);
    let workload = workload(case.seed);
    let mut play = Play::new(&workload, &database, &disk);
    disk.heal_after(STRUCK_MAX);
    disk.fail(case.call, case.nth, case.fault, case.times);
    play.script();
    assert!(disk.struck() < STRUCK_MAX, "it tries for ever");
    if Path::exists(&database) {
        assert_kept(&database, &workload, &play.acknowledged);
    }
    play.finish();
    assert_finished(&database, &workload, &play.acknowledged);
    disk.struck() > 0
}
