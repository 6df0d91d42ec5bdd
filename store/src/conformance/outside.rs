//! What comes from outside: runs and events.

use super::*;

#[test]
fn an_event_waits_for_its_wait_is_delivered_once_and_goes_with_its_run() {
    let mut draft = Draft::new("event", "1");
    let wait = draft.await_event("wait", "go", None);
    let last = draft.step("last", StepSpec::new("h"));
    draft.connect(wait, last);
    draft.start_at(wait);
    let definition = draft.finish().unwrap();
    on_each(&definition, Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        let signal = |rig: &mut Rig, id: &str| {
            let (event, id, payload) = ("go".to_owned(), id.to_owned(), Payload::null());
            rig.ask(|reply| Change::Signal {
                run,
                event,
                id,
                payload,
                correlation: None,
                transient: false,
                is_fault: false,
                reply,
            })
            .unwrap()
        };
        assert_eq!(
            signal(rig, "1"),
            SignalOutcome::Stored,
            "early ones are kept"
        );
        assert_eq!(signal(rig, "1"), SignalOutcome::Duplicate);
        rig.do_one();
        let woken = rig.take();
        assert!(
            woken.row.record.event.is_some(),
            "the early event is consumed at once"
        );
        assert_eq!(
            signal(rig, "1"),
            SignalOutcome::Duplicate,
            "also after it was consumed"
        );
        let mut done = rig.outcome(&woken, Ok(Payload::null()));
        let last = Last {
            node: NodeId(1),
            activation: ActivationId(9),
            data: Payload::null(),
        };
        done.then = Then::Move(Next::End {
            result: Ok(Payload::null()),
            last,
        });
        rig.write(done).unwrap();
        assert_eq!(signal(rig, "2"), SignalOutcome::RunEnded);
        assert_eq!(rig.leftovers(), []);
    });
}

#[test]
fn a_wait_that_is_over_leaves_a_row_that_says_whether_it_failed() {
    let mut draft = Draft::new("event", "1");
    let wait = draft.await_event("wait", "go", None);
    draft.start_at(wait);
    let definition = draft.finish().unwrap();
    let fault = Fault::new("late", "nobody has answered").permanent();
    on_each(&definition, Options::default(), |rig| {
        for (fault, status) in [
            (None, StepStatus::Succeeded),
            (Some(fault.clone()), StepStatus::Failed),
        ] {
            let run = rig.admit(1).unwrap()[0];
            let woken = rig.take();
            let mut done = rig.outcome(&woken, Ok(Payload::null()));
            done.attempt = None;
            done.passed = Some(PassedWait {
                node: wait,
                activation: woken.row.activation,
                fault: fault.clone(),
            });
            let last = Last {
                node: wait,
                activation: woken.row.activation,
                data: Payload::null(),
            };
            done.then = Then::Move(Next::End {
                result: Ok(Payload::null()),
                last,
            });
            rig.write(done).unwrap();
            let rows = rig.reader().history(run).unwrap();
            assert_eq!(rows.len(), 1);
            assert_eq!((rows[0].status, &rows[0].detail.fault), (status, &fault));
        }
    });
}

#[test]
fn a_bulk_is_admitted_whole_or_not_at_all() {
    let options = shed(3, ShedPolicy::RejectNew);
    on_each(&sequence(&["a"]), options, |rig| {
        rig.admit(2).unwrap();
        let Err(AdmitError::Shed { value, depth, .. }) = rig.admit(2) else {
            panic!("no room")
        };
        assert_eq!((value.len(), depth), (2, 2), "the value comes back");
        assert_eq!(rig.reader().runs(None, 10).unwrap().len(), 2);
        rig.take();
        rig.admit(2).unwrap();
        assert!(matches!(
            rig.admit(4),
            Err(AdmitError::TooMany {
                asked: 4,
                bound: 3,
                ..
            })
        ));
    });
}

#[test]
fn drop_oldest_drops_what_has_not_started_and_nothing_else() {
    let options = shed(2, ShedPolicy::DropOldest);
    on_each(&sequence(&["a"]), options, |rig| {
        let started = rig.admit(1).unwrap()[0];
        let job = rig.take();
        let waiting = rig.admit(2).unwrap();
        let newest = rig.admit(1).unwrap()[0];
        let states = |rig: &Rig, run: RunId| rig.reader().run(run).unwrap().unwrap().state;
        assert_eq!(states(rig, waiting[0]), State::Cancelled);
        assert_eq!(states(rig, started), State::Ready);
        assert_eq!(states(rig, newest), State::Ready);
        assert_eq!(rig.reader().admission().unwrap().1, 1, "counted");
        assert_eq!(
            rig.ended.remove(0).outcome,
            RunOutcome::Cancelled("shed".to_owned())
        );
        let checkpoint = rig.outcome(&job, Ok(Payload::null()));
        rig.write(checkpoint).unwrap();
        // What is left on the channel is withdrawn or starts; the dropped one never does.
        let started: Vec<_> = rig
            .jobs
            .iter()
            .filter(|job| job.ticket.start())
            .map(|job| job.row.run)
            .collect();
        assert_eq!(started, [waiting[1], newest]);
        assert!(matches!(rig.admit(3), Err(AdmitError::TooMany { .. })));
    });
}

#[test]
fn a_dropped_run_leaves_neither_its_limit_nor_events() {
    let left_by = |limit, event: bool| {
        let options = shed(1, ShedPolicy::DropOldest);
        on_each(&split(2, None, limit), options, |rig| {
            let dropped = rig.admit(1).unwrap()[0];
            let locked = rig.jobs[0].row.token;
            if event {
                let sent = rig.ask(|reply| Change::Signal {
                    run: dropped,
                    event: "go".to_owned(),
                    id: "1".to_owned(),
                    payload: Payload::null(),
                    correlation: None,
                    transient: false,
                    is_fault: false,
                    reply,
                });
                assert_eq!(sent.unwrap(), SignalOutcome::Stored);
            }
            rig.admit(1).unwrap();
            let row = rig.reader().run(dropped).unwrap().unwrap();
            assert_eq!(row.state, State::Cancelled);
            assert!(row.token > locked, "what is late is fenced");
            let left = rig.leftovers();
            let of = |table| left.iter().find(|(name, _)| *name == table);
            let (limits, events) = (of("limits"), of("events"));
            let of_the_other = limit.map(|_| ("limits", 1));
            assert_eq!((limits, events), (of_the_other.as_ref(), None));
        });
    };
    left_by(Some(1), false);
    left_by(None, true);
    left_by(Some(1), true);
}

#[test]
fn the_same_dedupe_key_finds_the_same_run() {
    on_each(&sequence(&["a"]), Options::default(), |rig| {
        let mut admit = Admit::new(rig.key, &rig.definition, Payload::null());
        admit.attributes.dedupe_key = Some("k".to_owned());
        let first = rig.admit_as(vec![admit.clone(), admit.clone()]).unwrap();
        assert_eq!(first[0], first[1]);
        assert_eq!(rig.admit_as(vec![admit]).unwrap()[0], first[0]);
        assert_eq!(rig.reader().runs(None, 10).unwrap().len(), 1);
    });
}

#[test]
fn a_detached_branch_gets_its_event_also_after_the_main_branch_has_ended() {
    let mut draft = Draft::new("detached", "1");
    let wait = draft.await_event("wait", "go", None);
    let detach = draft.detach("side", wait);
    let last = draft.step("last", StepSpec::new("h"));
    draft.connect(detach, last);
    draft.start_at(detach);
    let definition = draft.finish().unwrap();
    on_each(&definition, Options::default(), |rig| {
        let run = rig.admit(1).unwrap()[0];
        rig.do_one();
        assert_eq!(rig.jobs.len(), 2, "the detached branch and the main one");
        rig.do_one();
        rig.do_one();
        assert!(rig.ended.is_empty(), "the run ends after all its branches");
        let (event, id, payload) = ("go".to_owned(), "1".to_owned(), Payload::null());
        let sent = rig
            .ask(|reply| Change::Signal {
                run,
                event,
                id,
                payload,
                correlation: None,
                transient: false,
                is_fault: false,
                reply,
            })
            .unwrap();
        assert_eq!(sent, SignalOutcome::Delivered);
        let woken = rig.take();
        let mut done = rig.outcome(&woken, Ok(Payload::null()));
        let last = Last {
            node: NodeId(0),
            activation: ActivationId(9),
            data: Payload::null(),
        };
        done.then = Then::Move(Next::End {
            result: Ok(Payload::null()),
            last,
        });
        rig.write(done).unwrap();
        assert_eq!((rig.ended.len(), rig.leftovers()), (1, vec![]));
    });
}
