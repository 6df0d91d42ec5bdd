//! Files of every earlier format can be opened, and the runs in them go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass::{
    Ended, Engine, EngineBuilder, Event, Payload, RunFilter, RunOutcome, StepStatus, StepView,
    Workflow,
};

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
            .wait_blocking(Some(Duration::from_mins(1)));
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

/// What was killed in `tests/data/format-2`, see its README.
fn kept_in_the_middle() -> Workflow<Vec<String>> {
    let mark = |name: &'static str| {
        move |_: &windlass::Context, trail: &mut Vec<String>| {
            trail.push(name.to_owned());
            Ok(())
        }
    };
    Workflow::build("kept", "2", |flow| {
        flow.step("first", mark("first"))
            .detach("aside", |flow| {
                flow.wait_event("late", "late", |_, (): ()| {})
                    .step("aside-step", mark("aside"))
            })
            .split("split", |split| {
                split
                    .branch("done", |flow| flow.step("done", mark("done")))
                    .branch("waits", |flow| {
                        flow.wait_event("wait", "go", |trail: &mut Vec<String>, word: String| {
                            trail.push(word);
                        })
                    })
                    .join(|trail, results| {
                        for result in results {
                            trail.extend(result.data.into_iter().skip(1));
                        }
                        Ok(())
                    })
            })
            .step("last", mark("last"))
    })
    .unwrap()
}

#[test]
fn a_split_and_a_detached_branch_of_the_second_format_go_on() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-2");
    let folder = tempfile::tempdir().unwrap();
    copy(&data, folder.path());
    let engine = Engine::builder()
        .database(folder.path().join("kept.windlass"))
        .runners(1)
        .workflow(&kept_in_the_middle())
        .open()
        .unwrap();
    let mut inspector = engine.inspector().unwrap();
    let runs = inspector.runs(RunFilter::All, 10).unwrap();
    assert_eq!(runs.len(), 2);
    let scheduler = engine.scheduler();
    let mut trails = Vec::new();
    for run in runs.into_iter().map(|run| run.run) {
        let word = Payload::encode("late").unwrap();
        let go = Event::new(run, "go", "2", word);
        scheduler.signal_blocking(go).unwrap();
        let late = Event::new(run, "late", "1", Payload::null());
        scheduler.signal_blocking(late).unwrap();
        let handle = scheduler.handle(run);
        let outcome = handle.wait_blocking(Some(Duration::from_mins(1)));
        let RunOutcome::Succeeded(data) = outcome.unwrap() else {
            panic!("run {run} did not succeed")
        };
        trails.push(data.decode::<Vec<String>>().unwrap().join(" "));
    }
    trails.sort_unstable();
    assert_eq!(trails, ["first done early last", "first done late last"]);
    let leftovers = inspector.leftovers().unwrap();
    let left: Vec<_> = leftovers.iter().filter(|(_, count)| *count > 0).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What was killed in `tests/data/format-3`, see its README.
fn kept_in_calls_and_maps() -> [Workflow<Vec<String>>; 3] {
    let mark = |name: &'static str| {
        move |_: &windlass::Context, trail: &mut Vec<String>| {
            trail.push(name.to_owned());
            Ok(())
        }
    };
    let calling = Workflow::build("calling", "3", |flow| {
        let input = |trail: &Vec<String>| trail.clone();
        flow.step("first", mark("first"))
            .run(
                "call",
                "called",
                input,
                |trail: &mut Vec<String>, theirs| {
                    *trail = theirs;
                },
            )
            .step("last", mark("last"))
    });
    let called = Workflow::build("called", "3", |flow| {
        flow.wait_event("wait", "go", |trail: &mut Vec<String>, word| {
            trail.push(word);
        })
    });
    let mapping = Workflow::build("mapping", "3", |flow| {
        flow.step("first", mark("first"))
            .map("each", |map| {
                map.count(3)
                    .max_parallelism(1)
                    .item(|mut trail: Vec<String>, index| {
                        trail.push(format!("item {index}"));
                        trail
                    })
                    .each(|flow| {
                        flow.sleep("pause", Duration::from_secs(2))
                            .step("work", mark("work"))
                    })
                    .join(|trail, results| {
                        for result in results {
                            if let Ended::Succeeded(data) = result.ended {
                                trail.extend(data.into_iter().skip(1));
                            }
                        }
                        Ok(())
                    })
            })
            .step("last", mark("last"))
    });
    [calling, called, mapping].map(Result::unwrap)
}

#[test]
fn a_call_and_a_map_of_the_third_format_go_on() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-3");
    let folder = tempfile::tempdir().unwrap();
    copy(&data, folder.path());
    let builder = Engine::builder()
        .database(folder.path().join("kept.windlass"))
        .runners(1);
    let workflows = kept_in_calls_and_maps();
    let builder = workflows.iter().fold(builder, EngineBuilder::workflow);
    let engine = builder.open().unwrap();
    let mut inspector = engine.inspector().unwrap();
    let mut runs = inspector.runs(RunFilter::All, 10).unwrap();
    runs.sort_unstable_by_key(|run| run.run);
    let [calling, called, mapping] = &runs[..] else {
        panic!("there are others: {runs:?}");
    };
    for (run, step) in [(calling, "call"), (called, "wait")] {
        let steps = inspector.show(run.run).unwrap().unwrap().steps;
        let waits = |view: &&StepView| view.step == step && view.status == StepStatus::Waiting;
        assert!(steps.iter().any(|view| waits(&view)), "{steps:?}");
    }
    let scheduler = engine.scheduler();
    let go = Event::new(called.run, "go", "1", Payload::encode("gone").unwrap());
    scheduler.signal_blocking(go).unwrap();
    for (run, expected) in [
        (calling.run, "first gone last"),
        (
            mapping.run,
            "first item 0 work item 1 work item 2 work last",
        ),
    ] {
        let handle = scheduler.handle(run);
        let outcome = handle.wait_blocking(Some(Duration::from_mins(1)));
        let RunOutcome::Succeeded(data) = outcome.unwrap() else {
            panic!("run {run} did not succeed")
        };
        let trail = data.decode::<Vec<String>>().unwrap().join(" ");
        assert_eq!(trail, expected);
    }
    let leftovers = inspector.leftovers().unwrap();
    let left: Vec<_> = leftovers.iter().filter(|(_, count)| *count > 0).collect();
    assert!(left.is_empty(), "{left:?}");
}
