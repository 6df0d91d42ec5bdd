//! The kill sweep: SIGKILL before and after the 1st, 2nd, 3rd … commit until a run passes unharmed.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use windlass::{Inspector, RunFilter, StepStatus};

use crate::child::{EXPECTED, Marks, builder, see_through, start};

/// Every step's outcome once, the final data of an unharmed run, and nothing left over (I8).
fn assert_unharmed(database: &Path, marks: &Marks, when: &str) {
    assert_eq!(marks, &EXPECTED, "{when}");
    let mut inspector = Inspector::open(database).unwrap();
    let left: Vec<_> = inspector
        .leftovers()
        .unwrap()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    assert_eq!(left, [], "{when}");
    let runs = inspector.runs(RunFilter::All, 10).unwrap();
    assert_eq!(runs.len(), 1, "{when}: the dedupe key finds the run again");
    let detail = inspector.show(runs[0].run).unwrap().unwrap();
    let done = |step: &&windlass::StepView| step.status == StepStatus::Succeeded;
    let mut names: Vec<_> = detail
        .steps
        .iter()
        .filter(done)
        .filter(|step| step.kind == "step")
        .map(|step| step.step.as_str())
        .collect();
    names.sort_unstable();
    let mut expected = EXPECTED.to_vec();
    expected.sort_unstable();
    assert_eq!(names, expected, "{when}: each outcome once");
}

/// Kills a child at one commit and resumes; `false` when it was not reached.
fn sweep_once(kill_at: &str, beside: bool) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let other = beside.then(|| start("see-through", &database, None));
    let status = start("see-through", &database, Some(kill_at))
        .wait()
        .unwrap();
    let killed = status.signal() == Some(9);
    assert!(
        killed || status.success(),
        "{kill_at}: the child failed by itself: {status:?}"
    );
    if let Some(mut other) = other {
        assert!(
            other.wait().unwrap().success(),
            "{kill_at}: the other process sees the run through"
        );
    }
    let marks = see_through(builder(&database));
    assert_unharmed(&database, &marks, kill_at);
    killed
}

fn sweep(beside: bool) -> u32 {
    let mut kills = 0;
    for phase in ["before", "after"] {
        for commit in 1.. {
            if !sweep_once(&format!("{phase} {commit}"), beside) {
                assert!(commit > 3, "a run has more commits than that");
                break;
            }
            kills += 1;
        }
    }
    kills
}

#[test]
fn a_process_killed_at_any_commit_resumes_to_the_same_end() {
    let kills = sweep(false);
    println!("killed {kills} times");
    assert!(kills >= 20, "{kills} kills");
}

#[test]
fn a_process_killed_at_any_commit_beside_another_one_loses_and_doubles_nothing() {
    let kills = sweep(true);
    println!("killed {kills} times");
    assert!(kills >= 6, "{kills} kills");
}
