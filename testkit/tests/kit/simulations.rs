//! Simulations: each seed has one history, and trouble comes in all kinds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use windlass_testkit::{Case, End, Recorder, Trouble};

use crate::workflows::{Trail, build, effects, everyday, mark};

#[test]
fn a_seed_gives_the_same_history_each_time() {
    let mut orders = BTreeSet::new();
    for seed in 0..8 {
        let once = everyday().simulate(seed);
        let again = everyday().simulate(seed);
        assert_eq!(once, again, "seed {seed}");
        orders.insert(once.disturbances.join("\n"));
    }
    assert!(orders.len() > 5, "seeds differ: {}", orders.len());
}

#[test]
fn a_key_in_the_data_is_the_same_in_each_play() {
    let workflow = build("keyed", |flow| {
        flow.step("key", |context, trail: &mut Trail| {
            trail.push(context.idempotency_key());
            Ok(())
        })
    });
    let case = Case::new(&workflow, &Trail::new());
    case.crash_everywhere();
    assert_eq!(case.simulate(3).data(), case.simulate(4).data());
}

#[test]
fn effects_are_as_declared_whatever_goes_wrong() {
    let recorder = Recorder::new();
    effects(&recorder).simulate_all(40);
}

#[test]
fn every_kind_of_trouble_comes() {
    let mut missing = BTreeSet::from([
        "crash between two turns",
        "crash in a commit",
        "crash in a step",
        "crash while it was opened",
        "crash over a stuck step",
        "the wall clock is set",
    ]);
    let case = everyday();
    for seed in 0..200 {
        let disturbances = case.simulate(seed).disturbances.join("\n");
        missing.retain(|kind| !disturbances.contains(kind));
        if missing.is_empty() {
            return;
        }
    }
    panic!("there is no {missing:?}");
}

#[test]
fn a_slow_step_runs_out_of_its_time_and_a_stuck_one_too() {
    let workflow = build("slow", |flow| {
        flow.step("slow", mark("slow"))
            .timeout(Duration::from_secs(1))
    });
    let case = |trouble| Case::new(&workflow, &Trail::new()).trouble(trouble);
    let slow = case(Trouble::none().slow_steps(1, Duration::from_secs(10)));
    let stuck = case(Trouble::none().stuck_steps(1));
    for case in [slow, stuck] {
        let ends: Vec<_> = (0..30).map(|seed| case.simulate(seed).end).collect();
        let late = End::Failed(vec![("slow".to_owned(), "step-timeout".to_owned())]);
        assert!(ends.contains(&late));
        assert!(ends.iter().any(|end| matches!(end, End::Succeeded(_))));
    }
}

#[test]
fn what_a_simulation_held_is_free_when_it_is_over() {
    let held = Arc::new(());
    let seen = Arc::clone(&held);
    let workflow = build("holder", |flow| {
        flow.step("hold", move |_, trail: &mut Trail| {
            trail.push(format!("{seen:?}"));
            Ok(())
        })
    });
    let case = Case::new(&workflow, &Trail::new());
    for seed in 0..5 {
        case.simulate(seed);
    }
    drop((case, workflow));
    assert_eq!(Arc::strong_count(&held), 1);
}
