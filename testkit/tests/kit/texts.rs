//! Runs as text, and claims about their histories.

use std::panic::{AssertUnwindSafe, catch_unwind};

use windlass::StepError;
use windlass_testkit::{Case, Trouble};

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
