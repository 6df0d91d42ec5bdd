//! Splits and their joins.

use super::*;

#[test]
fn a_parked_branch_that_has_outlived_its_join_is_retried_once() {
    let mut draft = Draft::new("first", "1");
    let (split, join) = draft.split("split", None);
    for name in ["quick", "poison"] {
        let step = draft.step(name, StepSpec::new("h"));
        draft.branch(split, name, step);
        draft.connect(step, join);
    }
    draft.need(join, Need::First, Rest::Absorb);
    draft.start_at(split);
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        let (quick, poison) = (rig.take(), rig.take());
        let outcome = rig.outcome(&quick, Ok(Payload::null()));
        rig.write(outcome).unwrap();
        let running = vec![Running {
            branch: poison.row.id,
            token: poison.row.token,
            started_at: Timestamp(1),
            step: None,
        }];
        rig.own();
        let owner = poison.row.owner;
        let recovered = rig
            .ask(|reply| Change::Recover {
                owner,
                running,
                crashed: true,
                max_crashes: 1,
                reply,
            })
            .unwrap();
        assert_eq!(recovered.parked, [poison.row.id]);
        // The branch that splits has not gone on, and it has outlived the wait for it.
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 1);
    });
}

#[test]
fn a_join_fires_once_after_the_last_arrival_also_when_one_is_delivered_twice() {
    on_each(&split(3, None, None), Options::default(), |rig| {
        rig.admit(1).unwrap();
        rig.do_one();
        let jobs = [rig.take(), rig.take(), rig.take()];
        assert!(rig.jobs.is_empty());
        let first = rig.outcome(&jobs[2], Ok(Payload::null()));
        let twice = rig.outcome(&jobs[2], Ok(Payload::null()));
        rig.write(first).unwrap();
        assert!(matches!(rig.write(twice), Err(WriteError::Fenced { .. })));
        let second = rig.outcome(&jobs[0], Ok(Payload::null()));
        rig.write(second).unwrap();
        assert!(rig.jobs.is_empty(), "two of three have arrived");
        let third = rig.outcome(&jobs[1], Ok(Payload::null()));
        rig.write(third).unwrap();
        assert_eq!(rig.jobs.len(), 1, "the join fires once");
        rig.do_one();
        assert_eq!(rig.ended.len(), 1);
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_split_settles_all_and_fails_with_all_errors_and_a_retry_repeats_only_the_failed() {
    on_each(&split(3, None, None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        for index in 0..3 {
            let job = rig.take();
            let result = if index == 1 {
                Ok(Payload::null())
            } else {
                Err(Fault::new("bad", "no"))
            };
            let checkpoint = rig.outcome(&job, result);
            rig.write(checkpoint).unwrap();
        }
        rig.do_one();
        let RunOutcome::Failed(fault) = rig.ended.remove(0).outcome else {
            panic!("it failed")
        };
        let steps: Vec<_> = fault
            .errors
            .iter()
            .map(|error| error.step.as_str())
            .collect();
        assert_eq!(steps, ["s0", "s2"]);
        assert_eq!(rig.leftovers(), []);
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 2);
        assert_eq!(rig.jobs.len(), 2, "the one that succeeded is not repeated");
        (0..3).for_each(|_| rig.do_one());
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn parallelism_of_a_split_and_of_a_run_holds_branches_back_in_order() {
    for definition in [split(5, Some(2), None), split(5, None, Some(2))] {
        on_each(&definition, Options::default(), |rig| {
            rig.admit(1).unwrap();
            rig.do_one();
            let mut order = Vec::new();
            while rig.jobs.iter().any(|job| job.row.parent.is_some()) {
                assert!(rig.jobs.len() <= 2);
                order.push(rig.jobs[0].row.record.membership.clone().unwrap().index);
                rig.do_one();
            }
            assert_eq!(order, [0, 1, 2, 3, 4]);
            rig.do_one();
            assert_eq!((rig.ended.len(), rig.leftovers()), (1, vec![]));
        });
    }
}

#[test]
fn a_step_behind_a_join_that_failed_is_retried_with_the_merged_data() {
    // A join and the step behind it are one attempt; what failed is the step, not the split.
    on_each(&split(2, None, None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        (0..3).for_each(|_| rig.do_one());
        let job = rig.take();
        let failed = rig.outcome(&job, Err(Fault::new("bad", "no")));
        rig.write(failed).unwrap();
        assert!(matches!(rig.ended.remove(0).outcome, RunOutcome::Failed(_)));
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 1);
        assert_eq!(rig.jobs.len(), 1, "the branches are not repeated");
        rig.do_one();
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_retried_split_keeps_its_parallelism_and_releases_every_branch() {
    on_each(&split(6, Some(2), None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        for index in 0..6 {
            let job = rig.take();
            let result = if [1, 4].contains(&index) {
                Ok(Payload::null())
            } else {
                Err(Fault::new("bad", "no"))
            };
            let checkpoint = rig.outcome(&job, result);
            rig.write(checkpoint).unwrap();
        }
        rig.do_one();
        assert!(matches!(rig.ended.remove(0).outcome, RunOutcome::Failed(_)));
        assert_eq!(rig.ask(|reply| Change::Retry { run, reply }).unwrap(), 4);
        for _ in 0..4 {
            assert!((1..=2).contains(&rig.jobs.len()));
            rig.do_one();
        }
        rig.do_one();
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
    });
}
