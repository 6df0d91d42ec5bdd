//! Files of every earlier format can be opened, and the runs in them go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass::{Engine, RunFilter, RunOutcome, StepStatus, Workflow};

/// What was killed in `tests/data/format-1`, see its README.
fn kept() -> Workflow<u32> {
    Workflow::build("kept", "1", |flow| {
        flow.step("first", |_, number| {
            *number += 1;
            Ok(())
        })
        .step("second", |context, number| {
            assert!(*number < 100 || context.attempt() == 1, "no failure before");
            *number *= 2;
            Ok(())
        })
    })
    .unwrap()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
}

#[test]
fn runs_that_an_engine_of_the_first_format_left_behind_go_on() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1");
    let folder = tempfile::tempdir().unwrap();
    copy(&data, folder.path());
    let engine = Engine::builder()
        .database(folder.path().join("kept.windlass"))
        .runners(1)
        .workflow(&kept())
        .open()
        .unwrap();
    let mut inspector = engine.inspector().unwrap();
    let runs = inspector.runs(RunFilter::All, 10).unwrap();
    assert_eq!(runs.len(), 3);
    let scheduler = engine.scheduler();
    let mut results = Vec::new();
    for run in runs {
        let outcome = scheduler
            .handle(run.run)
            .wait_blocking(Some(Duration::from_secs(20)));
        let RunOutcome::Succeeded(data) = outcome.unwrap() else {
            panic!("run {} did not succeed", run.run)
        };
        results.push(data.decode::<u32>().unwrap());
        let detail = inspector.show(run.run).unwrap().unwrap();
        assert!(
            detail
                .steps
                .iter()
                .all(|step| step.status == StepStatus::Succeeded)
        );
    }
    results.sort_unstable();
    assert_eq!(results, [4, 22, 202]);
    let leftovers = inspector.leftovers().unwrap();
    assert!(
        leftovers.iter().all(|(_, count)| *count == 0),
        "{leftovers:?}"
    );
}
