//! Runs as text, and claims about their histories.

use std::panic::{AssertUnwindSafe, catch_unwind};

use windlass::StepError;
use windlass_testkit::{Case, RunHistory, Trouble, assert_history};

use crate::workflows::{Trail, build, mark};

fn simulated() -> windlass_testkit::Simulated {
    let workflow = build("told", |flow| {
        flow.step("first", mark("first"))
            .undo(|_, _| Ok(()))
            .step("second", |context, trail| {
                if context.attempt() < 2 {
                    return Err(StepError::new("too-early", "not yet"));
                }
                mark("second")(context, trail)
            })
            .retry(3, std::time::Duration::from_secs(5))
            .step("third", |_, _| Err(StepError::new("no-way", "never")))
            .step("fourth", mark("fourth"))
    });
    Case::new(&workflow, &Trail::new())
        .trouble(Trouble::none())
        .simulate(0)
}

#[test]
fn a_snapshot_has_all_but_ids_and_times() {
    let expected = r#"told 1: failed
  data ["first","second"]
  error third: never [no-way]
  first   step  succeeded  attempt 1
  first   undo  succeeded  attempt 1
  second  step  succeeded  attempt 2
  third   step  failed     attempt 1: never [no-way]
  fourth  step  skipped    (not-reached)
"#;
    assert_eq!(simulated().snapshot, expected);
}

#[test]
fn claims_about_a_history_hold_or_panic() {
    let history = simulated().history;
    history.assert_order(&["first", "second"]);
    history.assert_count("second", 1);
    history.assert_attempts("second", 2);
    history.assert_undone(&["first"]);
    let wrong: [&dyn Fn(); 4] = [
        &|| history.assert_order(&["second", "first"]),
        &|| history.assert_count("second", 2),
        &|| history.assert_attempts("second", 1),
        &|| history.assert_undone(&[]),
    ];
    for claim in wrong {
        assert!(catch_unwind(AssertUnwindSafe(claim)).is_err());
    }
}

#[test]
fn a_pattern_of_a_history_says_all_that_is_there_but_for_gaps() {
    let history = simulated().history;
    assert_history!(history, [
        "first" succeeded,
        "second" failed with "too-early" attempt 1,
        "second" succeeded attempt 2,
        "third" failed with "no-way",
        "first" undone,
    ]);
    assert_history!(&history, ["first" succeeded, .., "second" succeeded, ..]);
    assert_history!(history, [.., "second" failed, .., "first" undone]);
    // The first entry that fits is not always the right one.
    let entries = [1, 1, 2].map(|index| history.entries[index].clone());
    let twice = RunHistory {
        entries: entries.into(),
    };
    assert_history!(twice, [.., "second" failed, "second" succeeded, ..,]);
    assert_history!(history, [..]);
    assert_history!(RunHistory { entries: vec![] }, []);
    assert_history!(RunHistory { entries: vec![] }, [..]);
}

/// What a claim says that does not hold.
fn panic_of(claim: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(claim)).expect_err("it does not hold");
    *panic.downcast::<String>().unwrap()
}

#[test]
fn a_pattern_that_does_not_fit_shows_where_it_and_the_history_part() {
    let history = simulated().history;
    let wrong = panic_of(|| {
        assert_history!(history, ["first" succeeded, "second" succeeded with "x" on "left" attempt 2, ..]);
    });
    let expected = r#"the history does not fit: expected "second" succeeded with "x" on "left" attempt 2, found second, attempt 1: failed [too-early]
pattern:
     "first" succeeded
  -> "second" succeeded with "x" on "left" attempt 2
     ..
history:
     first, attempt 1: succeeded
  -> second, attempt 1: failed [too-early]
     second, attempt 2: succeeded
     third, attempt 1: failed [no-way]
     undo of first, attempt 1: succeeded
"#;
    assert_eq!(wrong, expected);
}

#[test]
fn each_part_of_a_pattern_can_fail() {
    let history = simulated().history;
    let check = |claim: &dyn Fn(), why: &str| {
        let wrong = panic_of(claim);
        let (first, _) = wrong.split_once('\n').unwrap();
        assert_eq!(first, format!("the history does not fit: {why}"));
    };
    let nothing = |expected: &str| format!("expected {expected}, but nothing more comes that fits");
    check(
        &|| assert_history!(history, [.., "third" cancelled, ..]),
        &nothing(r#""third" cancelled"#),
    );
    check(
        &|| assert_history!(history, [.., "first" undo failed, ..]),
        &nothing(r#""first" undo failed"#),
    );
    check(
        &|| assert_history!(history, [.., "first" undone, "first" succeeded, ..]),
        &nothing(r#""first" succeeded"#),
    );
    check(
        &|| assert_history!(history, [.., "third" failed with "no-money", ..]),
        &nothing(r#""third" failed with "no-money""#),
    );
    check(
        &|| assert_history!(history, [.., "third" failed on "left", ..]),
        &nothing(r#""third" failed on "left""#),
    );
    check(
        &|| assert_history!(history, [.., "second" succeeded attempt 1, ..]),
        &nothing(r#""second" succeeded attempt 1"#),
    );
    check(
        &|| assert_history!(history, [.., "third" failed, "fourth" skipped, ..]),
        r#"expected "fourth" skipped, found undo of first, attempt 1: succeeded"#,
    );
    check(
        &|| assert_history!(history, [.., "third" failed]),
        "the pattern ends, but then comes undo of first, attempt 1: succeeded",
    );
    check(
        &|| assert_history!(history, []),
        "the pattern ends, but then comes first, attempt 1: succeeded",
    );
}

#[test]
fn the_history_of_a_branch_is_in_order_whatever_the_others_do() {
    let workflow = build("branches", |flow| {
        flow.split("both", |split| {
            split
                .branch("left", |flow| {
                    flow.step("l1", mark("l1")).step("l2", mark("l2"))
                })
                .branch("right", |flow| flow.step("r1", mark("r1")))
                .join(|_, _| Ok(()))
        })
    });
    for seed in 0..4 {
        let case = Case::new(&workflow, &Trail::new()).trouble(Trouble::none());
        let history = case.simulate(seed).history;
        assert_history!(history, [.., "l1" succeeded on "left", .., "l2" succeeded on "left", ..]);
        assert_history!(history.of_branch("left"), ["l1" succeeded, "l2" succeeded]);
        assert_history!(history.of_branch("right"), ["r1" succeeded]);
    }
}
