//! What is withdrawn, cleaned up and forgotten.

use super::*;

#[test]
fn a_cancelled_run_leaves_nothing_and_late_outcomes_are_refused() {
    on_each(&split(5, None, None), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        let running = rig.take();
        let late = rig.outcome(&running, Ok(Payload::null()));
        let cancel = |rig: &mut Rig| {
            rig.ask(|reply| Change::Cancel {
                run,
                reason: "enough".to_owned(),
                reply,
            })
            .unwrap()
        };
        assert!(cancel(rig));
        assert!(matches!(rig.write(late), Err(WriteError::Fenced { .. })));
        rig.turn();
        assert_eq!(rig.leftovers(), []);
        assert_eq!(
            rig.ended[0].outcome,
            RunOutcome::Cancelled("enough".to_owned())
        );
        assert!(!cancel(rig), "the second time is a no-op");
        assert_eq!(rig.ended.len(), 1);
    });
}

#[test]
fn what_a_withdrawn_branch_did_before_stays_in_history() {
    let mut draft = Draft::new("withdrawn", "1");
    let (split, join) = draft.split("split", None);
    let [before, other] = ["before", "other"].map(|name| draft.step(name, StepSpec::new("h")));
    let rest = draft.sleep("rest", Delay::FixedMs(1_000));
    draft.start_at(split);
    draft.branch(split, "one", before);
    draft.connect(before, rest);
    draft.connect(rest, join);
    draft.branch(split, "two", other);
    draft.connect(other, join);
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        (0..3).for_each(|_| rig.do_one());
        let withdrawn = rig.ask(|reply| Change::CancelNode {
            run,
            node: "rest".to_owned(),
            reason: "test".to_owned(),
            reply,
        });
        assert_eq!(withdrawn.unwrap(), 1);
        let history = rig.reader().history(run).unwrap();
        let mut known: Vec<_> = history
            .iter()
            .map(|row| (row.node, row.status == StepStatus::Cancelled))
            .collect();
        known.sort_unstable();
        assert_eq!(known, [(before, false), (other, false), (rest, true)]);
        rig.do_one();
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn what_is_begun_with_the_end_of_a_run_ends_with_it() {
    let mut draft = Draft::new("ends", "1");
    let [before, aside] = ["before", "aside"].map(|name| draft.step(name, StepSpec::new("h")));
    let detach = draft.detach("detach", aside);
    let end = draft.terminate("end");
    draft.start_at(before);
    draft.connect(before, detach);
    draft.connect(detach, end);
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        rig.admit(1).unwrap();
        rig.do_one();
        rig.turn();
        assert_eq!(rig.leftovers(), []);
        assert_eq!(rig.ended.len(), 1);
    });
}

#[test]
fn a_large_split_is_cleaned_up_in_pieces_before_the_run_ends() {
    let count = crate::limits::SWEEP_ROWS_MAX * 4 + 500;
    on_each(&split(1, None, None), Options::default(), |rig| {
        rig.store.meter().set_capacity(1 << 20);
        rig.store.meter().set_seats(1 << 20);
        let run = rig.admit(1).unwrap()[0];
        let job = rig.take();
        let mut checkpoint = rig.outcome(&job, Ok(Payload::null()));
        let Then::Move(Next::Split { children, .. }) = &mut checkpoint.then else {
            panic!("a split")
        };
        let one = children[0].clone();
        *children = (0..count)
            .map(|index| Child {
                index,
                ..one.clone()
            })
            .collect();
        rig.write(checkpoint).unwrap();
        for _ in 0..count {
            let job = rig.take();
            let checkpoint = rig.outcome(&job, Ok(Payload::null()));
            rig.store
                .submit(Change::Checkpoint(Box::new(checkpoint)))
                .unwrap();
            if rig.jobs.len() % 1_000 == 0 {
                rig.turn();
            }
        }
        while rig.jobs.is_empty() {
            rig.turn();
        }
        let job = rig.take();
        let last = rig.outcome(&job, Ok(Payload::null()));
        rig.write(last).unwrap();
        assert!(
            rig.ended.is_empty(),
            "branches are left, so the run has not ended"
        );
        while rig.ended.is_empty() {
            rig.turn();
        }
        assert_eq!(rig.leftovers(), [], "at its end nothing is left");
        assert_eq!(
            rig.reader().run(run).unwrap().unwrap().state,
            State::Succeeded
        );
    });
}

#[test]
fn retention_deletes_what_ended_long_ago_with_its_history_and_key() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let mut admit = Admit::new(rig.key, &rig.definition, Payload::null());
        admit.attributes.dedupe_key = Some("k".to_owned());
        let old = rig.admit_as(vec![admit.clone()]).unwrap()[0];
        rig.do_one();
        rig.clock.advance(Duration::from_secs(10));
        let open = rig.admit(1).unwrap()[0];
        let ended_before = Timestamp(1_000_000 + 5_000_000);
        let gone = rig
            .ask(|reply| Change::Retain {
                ended_before,
                reply,
            })
            .unwrap();
        assert_eq!(gone, (1, true));
        assert!(rig.reader().run(old).unwrap().is_none());
        assert!(rig.reader().history(old).unwrap().is_empty());
        assert!(rig.reader().run(open).unwrap().is_some());
        assert_ne!(
            rig.admit_as(vec![admit]).unwrap()[0],
            old,
            "ids are never reused"
        );
    });
}
