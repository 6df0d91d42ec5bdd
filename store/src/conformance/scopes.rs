//! What becomes of the tokens of a scope.

use windlass_workflow_model::{ForkArm, Need, Rest};

use super::*;

/// A scope with a fork whose arms lead to steps, or straight to an input, and then to a meet.
fn forked(arms: &[(&str, bool)], need: Need, rest: Rest) -> Definition {
    let mut draft = Draft::new("forked", "1");
    let (scope, _) = draft.scope("scope", None);
    let fork = draft.fork("fork");
    let names: Vec<_> = arms.iter().map(|(name, _)| *name).collect();
    let (meet, inputs) = draft.meet("meet", &names, need, rest);
    for ((name, is_step), input) in arms.iter().zip(inputs) {
        let to = if *is_step {
            let step = draft.step(*name, StepSpec::new("h"));
            draft.connect(step, input);
            step
        } else {
            input
        };
        let arm = ForkArm {
            name: (*name).to_owned(),
            when: None,
            copies: 1,
            to,
        };
        draft.fork_arm(fork, arm);
    }
    let next = draft.step("next", StepSpec::new("h"));
    draft.connect(meet, next);
    draft.body(scope, fork);
    draft.start_at(scope);
    draft.finish().unwrap()
}

fn times(rig: &Rig, run: RunId, step: &str) -> usize {
    let node = rig.definition.find(step).unwrap();
    let history = rig.reader().history(run).unwrap();
    history.iter().filter(|row| row.node == node).count()
}

fn do_all(rig: &mut Rig) {
    while !rig.jobs.is_empty() {
        rig.do_one();
    }
}

#[test]
fn a_scope_ends_when_its_last_token_is_absorbed() {
    let definition = forked(&[("a", true), ("b", true)], Need::First, Rest::Absorb);
    on_each(&definition, Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let slow = definition.find("b").unwrap();
        let other = |job: &Arc<LockedJob>| job.row.position.node != slow;
        while let Some(at) = rig.jobs.iter().position(other) {
            rig.jobs.swap(0, at);
            rig.do_one();
        }
        assert_eq!((times(rig, run, "next"), rig.ended.len()), (1, 0));
        do_all(rig);
        assert_eq!((times(rig, run, "next"), rig.ended.len()), (1, 1));
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_fork_is_counted_before_its_first_token_meets() {
    let arms = [("a", false), ("b", true)];
    let definition = forked(&arms, Need::ActiveGlobal, Rest::Queue);
    on_each(&definition, Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        do_all(rig);
        assert_eq!((times(rig, run, "next"), rig.ended.len()), (1, 1));
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn what_a_branch_has_done_stays_when_it_is_withdrawn_where_it_waits() {
    let mut draft = Draft::new("waits", "1");
    let (split, join) = draft.split("split", None);
    let step = draft.step("step", StepSpec::new("h"));
    let wait = draft.await_event("wait", "go", None);
    draft.branch(split, "branch", step);
    draft.connect(step, wait);
    draft.connect(wait, join);
    draft.start_at(split);
    let definition = draft.finish().unwrap();
    on_each(&definition, Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        do_all(rig);
        let withdrawn = rig.ask(|reply| Change::CancelNode {
            run,
            node: "wait".to_owned(),
            reason: "enough".to_owned(),
            reply,
        });
        assert_eq!(withdrawn.unwrap(), 1);
        assert_eq!((times(rig, run, "step"), times(rig, run, "wait")), (1, 1));
        do_all(rig);
        assert_eq!((rig.ended.len(), rig.leftovers()), (1, vec![]));
    });
}
