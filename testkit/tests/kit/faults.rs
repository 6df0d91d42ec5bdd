//! Planted faults: each check of the kit sees the one that it is there for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use windlass::{Context, StepError};
use windlass_testkit::{Case, End, Failure, REPLAY, Recorder};

use crate::workflows::{NOTED, NOTES, Trail, build, mark};

fn found(case: &Case) -> Box<Failure> {
    case.try_crash_everywhere().expect_err("the fault is found")
}

/// A number that no attempt gets twice, as a bad step takes it from chance or a clock.
#[derive(Clone, Default)]
struct Numbers(Arc<AtomicU32>);

impl Numbers {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

#[test]
fn data_that_depends_on_how_often_a_step_was_begun_is_found() {
    let numbers = Numbers::default();
    let workflow = build("moody", |flow| {
        flow.step("first", mark("first"))
            .step("moody", move |_, trail| {
                trail.push(format!("{}", numbers.next()));
                Ok(())
            })
    });
    let failure = found(&Case::new(&workflow, &Trail::new()));
    assert!(
        failure.what.contains("undisturbed it succeeded"),
        "{failure}"
    );
}

#[test]
fn a_step_that_calls_with_another_key_each_time_is_found() {
    let (recorder, numbers) = (Recorder::new(), Numbers::default());
    let calls = recorder.clone();
    let workflow = build("careless", |flow| {
        flow.step("call", move |context: &Context, _: &mut Trail| {
            calls.note_keyed(context, format!("{}", numbers.next()), "called");
            Ok(())
        })
        .idempotent(|_| "the key".to_owned())
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).recorder(&recorder));
    assert!(failure.what.contains("different keys"), "{failure}");
    let point = failure.crash_point().unwrap().to_string();
    assert!(
        point.starts_with("before"),
        "the step is done, and not stored: {failure}"
    );
}

#[test]
fn a_step_that_says_something_else_under_the_same_key_is_found() {
    let (recorder, numbers) = (Recorder::new(), Numbers::default());
    let calls = recorder.clone();
    let workflow = build("fickle", |flow| {
        flow.step("call", move |context: &Context, _: &mut Trail| {
            calls.note(context, format!("call {}", numbers.next()));
            Ok(())
        })
        .idempotent(|_| "the key".to_owned())
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).recorder(&recorder));
    assert!(failure.what.contains("under one key"), "{failure}");
}

#[test]
fn a_step_that_finds_out_wrongly_whether_it_happened_is_found() {
    let recorder = Recorder::new();
    let pays = recorder.clone();
    let workflow = build("forgetful", |flow| {
        flow.step("pay", move |context: &Context, _: &mut Trail| {
            pays.note(context, "paid");
            Ok(())
        })
        .at_most_once_or(|_, _| Err(StepError::not_done()))
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).recorder(&recorder));
    assert!(failure.what.contains("happened 2 times"), "{failure}");
}

#[test]
fn what_is_written_beside_the_transaction_is_found() {
    let numbers = Numbers::default();
    let workflow = build("beside", |flow| {
        flow.step("write", move |context, _: &mut Trail| {
            // What has this attempt in it is another row each time, though one of them counts.
            let row = [numbers.next().into()];
            context
                .execute("INSERT INTO notes (note) VALUES (?1)", row)
                .map_err(|error| StepError::failed(error.to_string()))
        })
        .transactional()
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).table(NOTES, NOTED));
    assert!(failure.what.contains("transactional effect"), "{failure}");
}

#[test]
fn undoing_in_the_wrong_order_is_found() {
    let recorder = Recorder::new();
    let [first, second, both] = [(); 3].map(|()| recorder.clone());
    let workflow = build("wrong-order", |flow| {
        flow.step("first", move |context: &Context, trail: &mut Trail| {
            first.note(context, "first");
            mark("first")(context, trail)
        })
        .step("second", move |context: &Context, trail: &mut Trail| {
            second.note(context, "second");
            mark("second")(context, trail)
        })
        .undo(|_, _| Ok(()))
        .step("fail", |_, _| Err(StepError::failed("no")))
        .on_fault(
            |_, _| {},
            |flow| {
                // An undoing by hand, which begins at the wrong end.
                flow.step("by-hand", move |context: &Context, _: &mut Trail| {
                    both.note_undo_of(context, "first", "first");
                    both.note_undo_of(context, "second", "second");
                    Ok(())
                })
            },
        )
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).recorder(&recorder));
    assert!(failure.what.contains("was undone before"), "{failure}");
}

#[test]
fn another_way_to_the_same_data_is_found() {
    let numbers = Numbers::default();
    let workflow = build("detour", |flow| {
        flow.step("moody", move |_, trail: &mut Trail| {
            trail.push(format!("{}", numbers.next()));
            Ok(())
        })
        .choice("way", |arms| {
            arms.when(
                "first",
                |trail| trail[0] == "0",
                |flow| flow.step("straight", |_, _| Ok(())),
            )
            .otherwise(|flow| flow.step("detour", |_, _| Ok(())))
        })
        .step("forget", |_, trail| {
            trail.clear();
            Ok(())
        })
    });
    let failure = found(&Case::new(&workflow, &Trail::new()));
    assert!(failure.what.contains("other outcomes"), "{failure}");
}

#[test]
fn undoing_something_else_is_found() {
    let (recorder, numbers) = (Recorder::new(), Numbers::default());
    let undoes = recorder.clone();
    let workflow = build("undoes", |flow| {
        flow.step("do", mark("do"))
            .undo(move |context, _| {
                undoes.note_undo(context, format!("undo {}", numbers.next()));
                Ok(())
            })
            .step("fail", |_, _| Err(StepError::failed("no")))
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).recorder(&recorder));
    assert!(
        failure.what.contains("other things were undone"),
        "{failure}"
    );
}

#[test]
fn a_run_that_takes_another_way_when_it_is_repeated_is_told_apart() {
    let numbers = Numbers::default();
    let workflow = build("shrinks", |flow| {
        flow.repeat_while(
            "again",
            9,
            move |_: &Trail| numbers.next() < 3,
            |flow| flow.step("turn", |_, _| Ok(())),
        )
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).racy());
    assert!(failure.what.contains("another way"), "{failure}");
}

#[test]
fn a_simulation_finds_what_a_crash_test_finds() {
    let recorder = Recorder::new();
    let pays = recorder.clone();
    let workflow = build("forgetful", |flow| {
        flow.step("pay", move |context: &Context, _: &mut Trail| {
            pays.note(context, "paid");
            Ok(())
        })
        .at_most_once_or(|_, _| Err(StepError::not_done()))
    });
    let case = Case::new(&workflow, &Trail::new()).recorder(&recorder);
    let failure = case.try_simulate_all(100).unwrap_err();
    assert!(failure.what.contains("happened"), "{failure}");
    assert!(failure.crash_point().is_none());
    let seed = failure.seed();
    assert!(
        failure
            .to_string()
            .contains(&format!("seed {seed}' cargo test"))
    );
    assert_eq!(case.try_simulate(seed).unwrap_err().what, failure.what);
}

#[test]
fn a_process_that_is_killed_shows_what_a_crash_test_shows() {
    let recorder = Recorder::new();
    let pays = recorder.clone();
    let workflow = build("killed", |flow| {
        flow.step("pay", move |context: &Context, _: &mut Trail| {
            pays.note(context, "paid");
            Ok(())
        })
        .at_most_once_or(|_, _| Err(StepError::not_done()))
    });
    let case = Case::new(&workflow, &Trail::new()).recorder(&recorder);
    let failure = case.try_kill_everywhere().unwrap_err();
    assert!(failure.what.contains("happened 2 times"), "{failure}");
    assert!(failure.to_string().contains("SIGKILL"), "{failure}");
}

#[test]
fn an_end_that_is_not_right_is_found_without_any_crash() {
    let workflow = build("fails", |flow| {
        flow.step("fail", |_, _| Err(StepError::failed("no")))
    });
    let case = Case::new(&workflow, &Trail::new());
    case.crash_everywhere();
    let failure = found(&case.ends(|end| matches!(end, End::Succeeded(_))));
    assert!(failure.what.contains("not right"), "{failure}");
    assert!(failure.crash_point().is_none());
}

#[test]
fn a_replay_plays_its_scene_alone() {
    const NAME: &str = "faults::a_replay_plays_its_scene_alone";
    let workflow = build("replayed", |flow| flow.step("one", mark("one")));
    let case = Case::new(&workflow, &Trail::new());
    if std::env::var(REPLAY).is_ok() {
        assert_eq!(case.crash_everywhere().crashes, 1);
        return;
    }
    assert!(case.crash_everywhere().crashes > 1);
    let replay = |scene: &str| {
        let this = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(this);
        command.args(["--exact", NAME]).env(REPLAY, scene);
        let output = command.output().unwrap();
        let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
        output.status.success() && ran
    };
    assert!(replay("replayed: seed 0 after 3"));
    assert!(!replay("replayed: seed 0 during 3"), "it is no scene");
    assert!(!replay("another: seed 0 after 3"), "all is played");
}

#[test]
fn a_run_that_never_goes_on_is_found_with_what_it_waits_for() {
    let workflow = build("unanswered", |flow| {
        flow.wait_event("asked", "answer", |trail, answer: String| {
            trail.push(answer);
        })
    });
    let failure = Case::new(&workflow, &Trail::new())
        .try_simulate(1)
        .unwrap_err();
    assert!(failure.what.contains("does not go on"), "{failure}");
    assert!(failure.what.contains("answer"), "{failure}");
}

#[test]
fn a_failure_says_where_how_and_how_to_play_it_again() {
    let numbers = Numbers::default();
    let workflow = build("told", |flow| {
        flow.step("moody", move |_, trail| {
            trail.push(format!("{}", numbers.next()));
            Ok(())
        })
    });
    let failure = found(&Case::new(&workflow, &Trail::new()).seed(7));
    let text = failure.to_string();
    let point = failure.crash_point().unwrap();
    let name = "faults::a_failure_says_where_how_and_how_to_play_it_again";
    for part in [
        &format!("crash point: {point}"),
        "seed: 7",
        "moody  step  succeeded  attempt 1",
        &format!("WINDLASS_TESTKIT_REPLAY='told: seed 7 {point}' cargo test -- --exact {name}"),
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}
