//! What becomes of a job: its outcome, its history, its order.

use super::*;

#[test]
fn a_sequence_goes_step_by_step_and_ends_once() {
    on_each(&sequence(&["a", "b"]), Options::default(), |rig| {
        rig.admit(1).unwrap();
        rig.do_one();
        assert!(rig.ended.is_empty());
        rig.do_one();
        assert_eq!(rig.ended.len(), 1);
        assert!(matches!(rig.ended[0].outcome, RunOutcome::Succeeded(_)));
        assert_eq!(rig.leftovers(), []);
        assert_eq!(rig.reader().history(rig.ended[0].run).unwrap().len(), 2);
    });
}

#[test]
fn a_checkpoint_applies_under_the_newest_token_and_once() {
    on_each(&sequence(&["a", "b"]), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let job = rig.take();
        let first = rig.outcome(&job, Ok(Payload::null()));
        let again = rig.outcome(&job, Ok(Payload::from_json(*b"\"late\"")));
        rig.write(first).unwrap();
        let before = format!("{:?}", rig.reader().run(run).unwrap());
        assert!(matches!(rig.write(again), Err(WriteError::Fenced { .. })));
        assert_eq!(
            format!("{:?}", rig.reader().run(run).unwrap()),
            before,
            "nothing changed"
        );
        assert_eq!(rig.reader().history(run).unwrap().len(), 1);
    });
}

#[test]
fn what_a_change_of_the_data_notes_is_kept_beside_the_attempt_before_it() {
    for (history, kept) in [(History::All, 3), (History::Failures, 0), (History::Off, 0)] {
        let options = Options {
            history,
            ..Options::default()
        };
        on_each(&sequence(&["a", "b"]), options, |rig| {
            let run = rig.admit(1).unwrap()[0];
            let job = rig.take();
            let mut checkpoint = rig.outcome(&job, Ok(Payload::null()));
            let note = |number: u64| NoteRecord {
                node: NodeId(1),
                activation: ActivationId(number),
                rounds: vec![(NodeId(0), 4)],
                output: Payload::encode(&number).unwrap(),
            };
            checkpoint.aside.get_or_insert_default().noted = vec![note(7), note(8)];
            rig.write(checkpoint).unwrap();
            let rows = rig.reader().history(run).unwrap();
            assert_eq!(rows.len(), kept);
            let noted = rows.iter().filter(|row| row.attempt == 0);
            let noted: Vec<_> = noted
                .map(|row| {
                    assert_eq!(row.detail.rounds, [(NodeId(0), 4)]);
                    (row.activation.0, row.detail.output.clone().unwrap())
                })
                .collect();
            let all = [(7, b"7".to_vec()), (8, b"8".to_vec())];
            assert_eq!(noted, all[..kept.min(2)]);
        });
    }
}

#[test]
fn a_branch_keeps_the_history_of_its_last_attempts_only() {
    let mut draft = Draft::new("round-and-round", "1");
    let a = draft.step("a", StepSpec::new("a"));
    draft.start_at(a);
    draft.connect(a, a);
    on_each(&draft.finish().unwrap(), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let bound = usize::try_from(HISTORY_ATTEMPTS_PER_BRANCH_MAX).unwrap();
        let mut seen = |rounds: usize| {
            (0..rounds).for_each(|_| rig.do_one());
            let root = rig.reader().run(run).unwrap().unwrap();
            let history = rig.reader().history(run).unwrap();
            let first = history.first().map(|row| row.token);
            (history.len(), first, root.flags & flags::PARTIAL != 0)
        };
        assert_eq!(seen(bound), (bound, Some(FencingToken(1)), false));
        assert_eq!(seen(1), (bound, Some(FencingToken(2)), true));
        assert_eq!(seen(9), (bound, Some(FencingToken(11)), true));
    });
}

#[test]
fn what_a_branch_did_stays_in_its_order_when_the_clock_is_set_back() {
    on_each(&sequence(&["a", "b", "c"]), Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        rig.clock.jump_to(Timestamp(10));
        rig.do_one();
        rig.do_one();
        let history = rig.reader().history(run).unwrap();
        let nodes: Vec<_> = history.iter().map(|row| row.node.0).collect();
        assert_eq!(nodes, [0, 1, 2]);
        assert!(
            history[1].ended_at < history[0].ended_at,
            "as the clock says"
        );
    });
}

#[test]
fn the_order_is_priority_then_work_in_progress_then_age_and_the_oldest_never_starves() {
    on_each(&sequence(&["a", "b"]), Options::default(), |rig| {
        rig.store.meter().close(true);
        let mut low = Admit::new(rig.key, &rig.definition, Payload::null());
        low.priority = crate::record::Priority::new(0).unwrap();
        let high = Admit::new(rig.key, &rig.definition, Payload::null());
        let oldest = rig.admit_as(vec![low]).unwrap()[0];
        rig.admit_as(vec![high; 40]).unwrap();
        rig.store.meter().close(false);
        rig.store.meter().set_capacity(16);
        rig.store.meter().set_seats(16);
        rig.store.nudge();
        rig.turn();
        let place = rig.jobs.iter().position(|job| job.row.run == oldest);
        assert_eq!(rig.jobs.len(), 16);
        assert!(
            place.is_some_and(|place| place > 0),
            "after better ones, but not never: {place:?}"
        );
        assert_eq!(rig.jobs[0].row.position, Position::before(NodeId(0)));
    });
}

#[test]
fn jobs_of_several_workflows_are_locked_in_one_order() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let mut draft = Draft::new("other", "1");
        let step = draft.step("a", StepSpec::new("a"));
        draft.start_at(step);
        let other = Arc::new(draft.finish().unwrap());
        let other_key = rig
            .ask(|reply| Change::Register {
                definition: Arc::clone(&other),
                serve: true,
                reply,
            })
            .unwrap();
        rig.store.meter().close(true);
        let ours = Admit::new(rig.key, &rig.definition, Payload::null());
        let theirs = Admit::new(other_key, &other, Payload::null());
        let mut urgent = theirs.clone();
        urgent.priority = crate::record::Priority::MAX;
        let in_turns = |count| {
            [ours.clone(), theirs.clone()]
                .into_iter()
                .cycle()
                .take(count)
        };
        let mut runs = rig.admit_as(in_turns(6).collect()).unwrap();
        let first = rig.admit_as(vec![urgent]).unwrap();
        rig.store.meter().close(false);
        rig.store.meter().set_capacity(5);
        rig.store.meter().set_seats(5);
        rig.store.nudge();
        rig.turn();
        let locked: Vec<_> = rig.jobs.drain(..).map(|job| job.row.run).collect();
        runs.splice(0..0, first);
        assert_eq!(locked, runs[..5], "the urgent one, then by age");
        rig.store.meter().give_back(5);
        rig.store.nudge();
        rig.turn();
        let locked: Vec<_> = rig.jobs.iter().map(|job| job.row.run).collect();
        assert_eq!(locked, runs[5..], "none is forgotten");
    });
}

#[test]
fn a_known_name_and_version_with_another_definition_is_refused() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let other = Arc::new(sequence(&["a", "b"]));
        let refused = rig.ask(|reply| Change::Register {
            definition: Arc::clone(&other),
            serve: true,
            reply,
        });
        assert!(matches!(refused, Err(WriteError::WorkflowDiffers { .. })));
    });
}

#[test]
fn a_timer_is_neither_early_nor_lost() {
    let mut draft = Draft::new("timer", "1");
    let nap = draft.sleep("nap", windlass_workflow_model::Delay::FixedMs(1_000));
    draft.start_at(nap);
    let definition = draft.finish().unwrap();
    on_each(&definition, Options::default(), |rig| {
        rig.admit(1).unwrap();
        rig.do_one();
        rig.clock.advance(Duration::from_millis(999));
        rig.turn();
        assert!(rig.jobs.is_empty());
        rig.clock.advance(Duration::from_millis(1));
        rig.turn();
        assert_eq!(rig.jobs.len(), 1);
        rig.do_one();
        assert_eq!((rig.ended.len(), rig.leftovers()), (1, vec![]));
    });
}
