//! Scheduler and Runners: when a run begins, where its steps run, and how they are stopped.

use std::future::Future as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass::{
    Admission, AdmitError, Engine, EngineError, ManualClock, Priority, Request, RunHandle,
    RunOutcome, RunStatus, ScheduleError, StepError, StepStatus, WaitError, Workflow, WriteError,
};

use crate::harness::*;

#[test]
fn an_asynchronous_step_that_takes_too_long_is_dropped_and_its_attempt_has_failed() {
    on_each(|place| {
        let calls = Counter::default();
        let count = calls.clone();
        let flow = Workflow::<Trail>::build("timeout", "1", |flow| {
            flow.step_async("never", move |_, _| {
                count.up();
                std::future::pending()
            })
            .timeout(Duration::from_millis(20))
            .retry(2, Duration::from_millis(1))
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let fault = fault(end_of(&begin(&engine, &flow, &Trail::new())));
        assert_eq!(codes(&fault), ["step-timeout"]);
        assert_eq!(calls.get(), 2, "it is tried again as after any failure");
        assert_no_leftovers(&engine);
    });
}

#[test]
fn a_blocking_step_that_does_not_stop_is_given_up_and_its_runner_replaced() {
    // The step blocks the only Runner until the end of the test. When its time is over on the
    // engine's clock the attempt has failed; after the grace another thread is the Runner. What the
    // old one brings at last is dropped.
    on_each(|place| {
        let clock = standing_clock();
        let (begun, release) = (Meeting::new(), Meeting::new());
        let (tell, hold) = (begun.clone(), release.clone());
        let stuck = Workflow::<Trail>::build("stuck", "1", |flow| {
            flow.step("block", move |context, trail| {
                tell.arrive();
                assert!(hold.wait_for(1));
                assert!(context.is_cancelled(), "it was told");
                trail.push("too late".to_owned());
                Ok(())
            })
            .timeout(Duration::from_mins(1))
        })
        .unwrap();
        let quick = Workflow::<Trail>::build("quick", "1", |flow| flow.step("a", mark("a")));
        let quick = quick.unwrap();
        let builder = place.builder().clock(clock.clone());
        let engine = builder.workflow(&stuck).workflow(&quick).open().unwrap();
        let run = begin(&engine, &stuck, &Trail::new());
        assert!(begun.wait_for(1));
        clock.advance(Duration::from_mins(1));
        assert_eq!(codes(&fault(end_of(&run))), ["step-timeout"]);
        clock.advance(windlass::limits::runner::STOP_GRACE);
        let next = begin(&engine, &quick, &Trail::new());
        let next = end_as_time_passes(&next, &clock);
        assert_eq!(data::<Trail>(next), ["a"], "a new Runner took it");
        assert_eq!(engine.stats().abandoned, 1);
        release.arrive();
        let last = begin(&engine, &quick, &Trail::new());
        assert_eq!(data::<Trail>(end_as_time_passes(&last, &clock)), ["a"]);
        let fault = fault(end_of(&run));
        assert_eq!(codes(&fault), ["step-timeout"], "the late outcome is void");
        assert_no_leftovers(&engine);
    });
}

/// The end of a run on an engine whose clock must not stand meanwhile.
fn end_as_time_passes(run: &RunHandle, clock: &ManualClock) -> RunOutcome {
    let moment = Duration::from_millis(10);
    for _ in 0..2_000 {
        match run.wait_blocking(Some(moment)) {
            Err(WaitError::TimedOut(_)) => clock.advance(moment),
            ended => return ended.expect("the run ends"),
        }
    }
    panic!("the run does not end");
}

/// The ids of the threads that a step ran on.
type Threads = Arc<Mutex<Vec<std::thread::ThreadId>>>;

fn here(threads: &Threads) {
    let mut threads = threads.lock().expect("nobody panics here");
    threads.push(std::thread::current().id());
}

#[test]
fn a_panic_is_a_failed_attempt_and_its_runner_lives_on() {
    on_each(|place| {
        let threads = Threads::default();
        let (blocking, later) = (Arc::clone(&threads), Arc::clone(&threads));
        let flow = Workflow::<Trail>::build("panics", "1", |flow| {
            flow.step("blocking", move |context, trail| {
                here(&blocking);
                assert!(context.attempt() > 1, "at first it panics");
                trail.push("blocking".to_owned());
                Ok(())
            })
            .retry(2, Duration::from_millis(1))
            .step_async("later", move |context, mut trail: Trail| {
                here(&later);
                async move {
                    assert!(context.attempt() > 1, "at first it panics");
                    trail.push("later".to_owned());
                    Ok(trail)
                }
            })
            .retry(2, Duration::from_millis(1))
            .step("always", |_, _| panic!("every time"))
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        let fault = fault(end_of(&run));
        assert_eq!(codes(&fault), ["panicked"]);
        assert!(fault.errors[0].message.contains("every time"), "{fault:?}");
        let threads = threads.lock().unwrap();
        assert_eq!(threads.len(), 4);
        assert!(threads.iter().all(|id| *id == threads[0]), "one Runner");
        assert_no_leftovers(&engine);
    });
}

/// A panic that goes off once more when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

#[test]
fn a_runner_whose_thread_dies_all_the_same_is_replaced() {
    on_each(|place| {
        let threads = Threads::default();
        let seen = Arc::clone(&threads);
        let flow = Workflow::<Trail>::build("dies", "1", |flow| {
            flow.step("bomb", move |_, trail| {
                here(&seen);
                if seen.lock().unwrap().len() == 1 {
                    std::panic::panic_any(Bomb);
                }
                trail.push("survived".to_owned());
                Ok(())
            })
            .retry(2, Duration::from_millis(1))
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        assert_eq!(data::<Trail>(end_of(&run)), ["survived"]);
        assert_eq!(threads.lock().unwrap().len(), 2);
        assert_no_leftovers(&engine);
    });
}

#[test]
fn a_runner_has_as_many_asynchronous_steps_in_flight_as_it_may() {
    // Ten runs that all wait before a gate: of them so many wait at once on one thread.
    on_each(|place| {
        for in_flight in [1, 4] {
            let (gate, threads) = (Gate::closed(), Threads::default());
            let (wait, seen) = (gate.clone(), Arc::clone(&threads));
            let flow = Workflow::<Trail>::build("gate", "1", |flow| {
                flow.step_async("wait", move |_, trail| {
                    here(&seen);
                    let gate = wait.clone();
                    async move {
                        gate.pass().await;
                        Ok(trail)
                    }
                })
            })
            .unwrap();
            let mut engine = Stepped::open(place.builder().in_flight(in_flight).workflow(&flow));
            let runs: Vec<_> = (0..10)
                .map(|_| engine.begin(&flow, &Trail::new()))
                .collect();
            engine.settle();
            assert_eq!(gate.waiting(), in_flight);
            gate.let_pass(1);
            engine.settle();
            assert_eq!(gate.waiting(), in_flight, "the free seat is taken");
            gate.let_pass(9);
            engine.settle();
            for run in runs {
                assert_eq!(engine.data::<Trail>(run), Trail::new());
            }
            let threads = threads.lock().unwrap();
            assert!(threads.iter().all(|id| *id == threads[0]), "one thread");
            engine.assert_no_leftovers();
        }
    });
}

#[test]
fn the_number_of_runners_changes_while_they_run() {
    // Three runs meet on three Runners, which one Runner could not make happen; then one goes on
    // alone, and after none at all there is one again.
    on_each(|place| {
        let meeting = Meeting::new();
        let meet = meeting.clone();
        let trio = Workflow::<Trail>::build("trio", "1", |flow| {
            flow.step("meet", move |_, _| {
                meet.arrive();
                if meet.wait_for(3) {
                    Ok(())
                } else {
                    Err(StepError::failed("nobody came"))
                }
            })
        })
        .unwrap();
        let engine = place.builder().workflow(&trio).open().unwrap();
        let runs: Vec<_> = (0..3)
            .map(|_| begin(&engine, &trio, &Trail::new()))
            .collect();
        assert!(meeting.wait_for(1));
        engine.set_runners(3);
        for run in &runs {
            assert_eq!(data::<Trail>(end_of(run)), Trail::new());
        }
        for runners in [1, 0, 1, 2] {
            engine.set_runners(runners);
            assert_eq!(engine.runners(), runners);
            if runners > 0 {
                let run = begin(&engine, &trio, &Trail::new());
                assert_eq!(data::<Trail>(end_of(&run)), Trail::new());
            }
        }
        assert_no_leftovers(&engine);
    });
}

#[test]
fn urgent_runs_go_first_and_within_a_priority_the_older_one() {
    // A first run occupies the only place on the channel while the others come.
    on_each(|place| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&order);
        let flow = Workflow::<u32>::build("order", "1", |flow| {
            flow.step("note", move |_, n| {
                seen.lock().unwrap().push(*n);
                Ok(())
            })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().capacity(1).workflow(&flow));
        let urgency = [(0, 9), (1, 1), (2, 9), (3, 4), (4, 9), (5, 0)];
        for (n, priority) in urgency {
            let request = flow.request(&n).unwrap();
            engine.schedule(request.priority(Priority::new(priority).unwrap()));
        }
        engine.settle();
        assert_eq!(*order.lock().unwrap(), [0, 2, 4, 3, 1, 5]);
        engine.assert_no_leftovers();
    });
}

#[test]
fn work_in_progress_goes_before_new_runs() {
    on_each(|place| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let (one, two) = (Arc::clone(&order), Arc::clone(&order));
        let flow = Workflow::<u32>::build("two", "1", |flow| {
            flow.step("first", move |_, n| {
                one.lock().unwrap().push((*n, 1));
                Ok(())
            })
            .step("second", move |_, n| {
                two.lock().unwrap().push((*n, 2));
                Ok(())
            })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().capacity(1).workflow(&flow));
        for n in 0..3 {
            engine.begin(&flow, &n);
        }
        engine.settle();
        let expected = [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)];
        assert_eq!(*order.lock().unwrap(), expected);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_run_begins_when_it_was_scheduled_for_and_not_before() {
    on_each(|place| {
        let clock = standing_clock();
        let flow = Workflow::<Trail>::build("later", "1", |flow| flow.step("a", mark("a")));
        let flow = flow.unwrap();
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&flow));
        let minute = Duration::from_mins(1);
        let request = || flow.request(&Trail::new()).unwrap();
        let noon = windlass::Clock::now(&*clock).after(minute);
        let runs = [request().at(noon), request().after(minute)].map(|r| engine.schedule(r));
        let past = request().at(windlass::Timestamp(0));
        let past = engine.schedule(past);
        engine.settle();
        assert_eq!(engine.data::<Trail>(past), ["a"], "the past is now");
        clock.advance(almost(minute));
        engine.settle();
        for run in runs {
            assert_eq!(engine.status(run), RunStatus::Scheduled);
        }
        clock.advance(TICK);
        engine.settle();
        for run in runs {
            assert_eq!(engine.data::<Trail>(run), ["a"]);
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_dedupe_key_gives_the_run_that_has_it() {
    on_each(|place| {
        let calls = Counter::default();
        let count = calls.clone();
        let flow = Workflow::<u32>::build("once", "1", |flow| {
            flow.step("count", move |_, _| {
                count.up();
                Ok(())
            })
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let keyed = |n: u32, key: &str| flow.request(&n).unwrap().dedupe_key(key);
        let first = engine.schedule(keyed(1, "a"));
        assert_eq!(engine.schedule(keyed(2, "a")), first);
        engine.settle();
        assert_eq!(engine.schedule(keyed(3, "a")), first, "an ended run counts");
        let scheduler = engine.scheduler.clone();
        let bulk = vec![keyed(4, "b"), keyed(5, "a"), keyed(6, "b")];
        let runs = engine.ask(scheduler.schedule_all(bulk)).unwrap();
        let ids: Vec<_> = runs.iter().map(windlass::RunHandle::id).collect();
        assert_eq!((ids[1], ids[0]), (first, ids[2]));
        engine.settle();
        assert_eq!(
            engine.data::<u32>(first),
            1,
            "its data is that of the first"
        );
        assert_eq!(engine.data::<u32>(ids[0]), 4);
        assert_eq!(calls.get(), 2);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_bulk_is_scheduled_wholly_or_not_at_all() {
    on_each(|place| {
        let flow = Workflow::<u32>::build("bulk", "1", |flow| flow.step("a", |_, _| Ok(())));
        let flow = flow.unwrap();
        let admission = Admission::Shed {
            max_pending: 10,
            policy: windlass::ShedPolicy::RejectNew,
        };
        let mut engine = Stepped::open(place.builder().admission(admission).workflow(&flow));
        let scheduler = engine.scheduler.clone();
        let some = |count: u32| (0..count).map(|n| flow.request(&n).unwrap()).collect();
        assert_eq!(
            engine.ask(scheduler.schedule_all(some(8))).unwrap().len(),
            8
        );
        let refused = engine.ask(scheduler.schedule_all(some(3)));
        let Err(ScheduleError::Refused(AdmitError::Shed { value, depth, .. })) = refused else {
            panic!("there is no room for three: {refused:?}");
        };
        assert_eq!((value.len(), depth), (3, 8), "they are handed back");
        let refused = engine.ask(scheduler.schedule_all(some(11)));
        let Err(ScheduleError::Refused(AdmitError::TooMany { asked, bound, .. })) = refused else {
            panic!("there can never be room for eleven: {refused:?}");
        };
        assert_eq!((asked, bound), (11, 10));
        let mut mixed: Vec<Request> = some(1);
        mixed.push(Request::new("nobody", windlass::Payload::null()));
        let refused = engine.ask(scheduler.schedule_all(mixed));
        assert!(matches!(
            refused,
            Err(ScheduleError::UnknownWorkflow { .. })
        ));
        let stored = engine.inspector().runs(windlass::RunFilter::All, 100);
        assert_eq!(stored.unwrap().len(), 8);
        engine.settle();
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_producer_waits_for_room_and_is_told_the_depth_when_it_waited_in_vain() {
    on_each(|place| {
        let clock = standing_clock();
        let flow = Workflow::<u32>::build("wait", "1", |flow| flow.step("a", |_, _| Ok(())));
        let flow = flow.unwrap();
        let admission = Admission::Backpressure {
            max_pending: 2,
            timeout: Duration::from_secs(30),
        };
        let builder = place.builder().clock(clock.clone()).admission(admission);
        let mut engine = Stepped::open(builder.workflow(&flow));
        for n in 0..2 {
            engine.begin(&flow, &n);
        }
        let scheduler = engine.scheduler.clone();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut in_vain = Box::pin(scheduler.schedule(flow.request(&2).unwrap()));
        for _ in 0..10 {
            assert!(in_vain.as_mut().poll(&mut context).is_pending(), "it waits");
            engine.engine.step_writer();
            engine.engine.step_dispatcher();
        }
        clock.advance(Duration::from_secs(30));
        let refused = engine.ask(in_vain);
        let Err(ScheduleError::Refused(AdmitError::TimedOut {
            value,
            depth,
            max_pending,
            waited,
        })) = refused
        else {
            panic!("its patience is over: {refused:?}");
        };
        assert_eq!((value.len(), depth, max_pending), (1, 2, 2));
        assert_eq!(waited, Duration::from_secs(30));
        // The next one waits too; as soon as the others have begun there is room.
        let mut waits = Box::pin(scheduler.schedule(flow.request(&3).unwrap()));
        assert!(waits.as_mut().poll(&mut context).is_pending());
        engine.settle();
        let run = engine.ask(waits).unwrap().id();
        engine.settle();
        assert_eq!(engine.data::<u32>(run), 3);
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_builder_reports_all_its_problems_at_once() {
    let built = Workflow::<Trail>::build("bad", "", |flow| {
        flow.retry(3, Duration::from_secs(1))
            .step("same", mark("a"))
            .step("same", mark("b"))
            .retry(0, Duration::ZERO)
            .timeout(Duration::ZERO)
            .choice("no arms", |arms| arms)
            .split("no branches", |split| split.max_parallelism(0))
            .split("names", |split| {
                split
                    .branch("twin", |flow| flow.step("left", mark("left")))
                    .branch("twin", |flow| flow.step("right", mark("right")))
                    .branch("empty", |flow| flow)
            })
            .detach("nothing", |flow| flow)
            .wait_event("event", "", |_: &mut Trail, (): ()| {})
            .run("called", "other", Trail::clone, |_, _: Trail| {})
            .call_timeout(Duration::ZERO)
            .run_detached("sent off", "other", Trail::clone)
            .call_timeout(Duration::from_secs(1))
            .sleep("sleep", Duration::from_secs(1))
            .retry(2, Duration::from_secs(1))
            .max_parallelism(0)
    });
    let error = built.unwrap_err();
    let found: Vec<_> = error
        .problems
        .iter()
        .map(|p| (p.code, p.node.as_deref().unwrap_or_default()))
        .collect();
    let expected = [
        ("name-invalid", ""),
        ("nothing-before", ""),
        ("duplicate-name", "same"),
        ("retry-invalid", "same"),
        ("limit-invalid", "same"),
        ("no-branches", "no arms"),
        ("no-branches", "no branches"),
        ("limit-invalid", "no branches"),
        ("duplicate-branch", "names"),
        ("no-steps", "names"),
        ("no-steps", "nothing"),
        ("name-invalid", "event"),
        ("limit-invalid", "called"),
        ("limit-invalid", "sent off"),
        ("wrong-node", "sleep"),
        ("limit-invalid", ""),
    ];
    for problem in expected {
        assert!(
            found.contains(&problem),
            "{problem:?} is not among {found:?}"
        );
    }
    let text = error.to_string();
    assert!(error.problems.iter().all(|p| text.contains(&p.message)));
    let empty = Workflow::<Trail>::build("empty", "1", |flow| flow).unwrap_err();
    assert_eq!(empty.problems[0].code, "no-steps");
}

#[test]
fn a_workflow_that_is_not_here_is_a_typed_error_that_names_those_that_are() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("here", "1", |flow| flow.step("a", mark("a")));
        let flow = flow.unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let scheduler = engine.scheduler.clone();
        let null = windlass::Payload::null;
        let cases = [
            (Request::new("there", null()), "there"),
            (Request::new("here", null()).version("2"), "here"),
        ];
        for (request, asked) in cases {
            let refused = engine.ask(scheduler.schedule(request));
            let Err(ScheduleError::UnknownWorkflow { name, known, .. }) = refused else {
                panic!("it is not here: {refused:?}");
            };
            assert_eq!((name.as_str(), known), (asked, vec!["here".to_owned()]));
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_name_and_version_mean_one_definition_for_ever() {
    on_each(|place| {
        let build = |step: &'static str, version: &str| {
            Workflow::<Trail>::build("name", version, |flow| flow.step(step, mark(step))).unwrap()
        };
        let (known, other) = (build("a", "1"), build("b", "1"));
        let differs = |error: EngineError| {
            matches!(
                error,
                EngineError::Write(WriteError::WorkflowDiffers { .. })
            )
        };
        let engine = place.builder().workflow(&known).open().unwrap();
        assert!(differs(engine.register(&other).unwrap_err()));
        engine.register(&known).expect("the same again is fine");
        engine
            .register(&build("b", "2"))
            .expect("so is a new version");
        let run = begin(&engine, &known, &Trail::new());
        assert_eq!(data::<Trail>(end_of(&run)), ["a"], "nothing has changed");
        let newest = Request::new("name", windlass::Payload::encode(&Trail::new()).unwrap());
        let run = engine.scheduler().schedule_blocking(newest).unwrap();
        assert_eq!(data::<Trail>(end_of(&run)), ["b"], "the newest is meant");
        assert_no_leftovers(&engine);
        engine.shutdown(PATIENCE);
        if place.is_file() {
            let error = place.builder().workflow(&other).open().unwrap_err();
            assert!(differs(error), "after a restart too");
        }
    });
}

#[test]
fn an_engine_without_the_code_of_a_workflow_leaves_its_runs_alone() {
    // The run waits while only an engine without its code is there, says so, and goes on when one
    // with it opens; the other engine may stay.
    let place = Place::file();
    let known = Workflow::<Trail>::build("known", "1", |flow| flow.step("a", mark("a"))).unwrap();
    let other = Workflow::<Trail>::build("other", "1", |flow| {
        flow.step("b", mark("b")).call("c", "special")
    })
    .unwrap();
    let special =
        windlass::Handler::blocking(|_, data| Ok(windlass::StepOutput::data(data.clone())));
    let with = || {
        place
            .builder()
            .workflow(&other)
            .handler("special", special.clone())
    };
    let run = Stepped::open(with()).begin(&other, &Trail::new());
    let missing = place.builder().workflow(&other).open();
    let Err(EngineError::Missing(missing)) = missing else {
        panic!("its handler is missing: {missing:?}");
    };
    assert_eq!(missing.handlers, ["special"]);
    let mut engine = Stepped::open(place.builder().workflow(&known));
    engine.settle();
    assert_eq!(engine.outcome(run), None);
    assert_eq!(engine.waits(run), ["handler"]);
    let why = engine.inspector().why(run).unwrap().unwrap();
    let names = &why.branches[0].waits_for.missing;
    assert!(names.iter().any(|name| name == "special"), "{names:?}");
    let mine = engine.begin(&known, &Trail::new());
    engine.settle();
    assert_eq!(engine.data::<Trail>(mine), ["a"], "its own runs go on");
    let mut second = Stepped::open(with());
    second.settle();
    assert_eq!(second.data::<Trail>(run), ["b"]);
    second.assert_no_leftovers();
}

#[test]
fn a_workflow_registered_later_is_served_from_then_on() {
    let place = Place::file();
    let flow = Workflow::<Trail>::build("later", "1", |flow| flow.step("a", mark("a"))).unwrap();
    let run = Stepped::open(place.builder().workflow(&flow)).begin(&flow, &Trail::new());
    let engine: Engine = place.builder().open().unwrap();
    assert_eq!(engine.inspector().unwrap().outcome(run).unwrap(), None);
    engine.register(&flow).unwrap();
    let run = engine.scheduler().handle(run);
    assert_eq!(data::<Trail>(end_of(&run)), ["a"]);
    assert_no_leftovers(&engine);
}

#[test]
fn what_would_wait_for_itself_on_a_runner_is_a_typed_error() {
    on_each(|place| {
        let scheduler = Arc::new(Mutex::new(None::<windlass::Scheduler>));
        let door = Arc::clone(&scheduler);
        let flow = Workflow::<Trail>::build("itself", "1", |flow| {
            flow.step("wait", move |context, trail| {
                let scheduler = door.lock().unwrap().clone().unwrap();
                let again = Request::new("itself", windlass::Payload::null());
                let refused = scheduler.schedule_blocking(again);
                assert!(
                    matches!(refused, Err(ScheduleError::OnRunner)),
                    "{refused:?}"
                );
                let ended = scheduler
                    .handle(context.run())
                    .wait_blocking(Some(PATIENCE));
                assert!(matches!(ended, Err(WaitError::OnRunner)), "{ended:?}");
                trail.push("went on".to_owned());
                Ok(())
            })
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        *scheduler.lock().unwrap() = Some(engine.scheduler());
        let run = begin(&engine, &flow, &Trail::new());
        assert_eq!(data::<Trail>(end_of(&run)), ["went on"]);
        assert_no_leftovers(&engine);
        *scheduler.lock().unwrap() = None;
    });
}

#[test]
fn what_a_run_did_can_be_shown() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("shown", "1", |flow| {
            flow.step("good", mark("good"))
                .step("bad", fail("bad"))
                .step("never", mark("never"))
        })
        .unwrap();
        let mut engine = Stepped::open(place.builder().workflow(&flow));
        let run = engine.begin(&flow, &Trail::new());
        assert_eq!(engine.status(run), RunStatus::Pending);
        engine.settle();
        let detail = engine.show(run);
        assert_eq!(detail.summary.status, RunStatus::Failed);
        let steps: Vec<_> = detail
            .steps
            .iter()
            .map(|s| (s.step.as_str(), s.status, s.attempt))
            .collect();
        let expected = [
            ("good", StepStatus::Succeeded, 1),
            ("bad", StepStatus::Failed, 1),
            ("never", StepStatus::Skipped, 0),
        ];
        assert_eq!(steps, expected);
        assert_eq!(detail.errors[0].message, "bad");
        engine.assert_no_leftovers();
    });
}

#[test]
fn a_run_that_begins_with_a_split_has_a_start_and_a_running_step_says_since_when() {
    on_each(|place| {
        let (gate, begun) = (Gate::closed(), Meeting::new());
        let (wait, tell) = (gate.clone(), begun.clone());
        let flow = Workflow::<Trail>::build("since", "1", |flow| {
            flow.split("both", |split| {
                split
                    .branch("a", |flow| flow.step("a", mark("a")))
                    .branch("b", |flow| {
                        flow.step_async("b", move |_, trail: Trail| {
                            let gate = wait.clone();
                            tell.arrive();
                            async move {
                                gate.pass().await;
                                Ok(trail)
                            }
                        })
                    })
            })
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        assert!(begun.wait_for(1));
        let mut inspector = engine.inspector().unwrap();
        let running = inspector.show(run.id()).unwrap().unwrap();
        assert!(running.summary.started_at.is_some());
        let step = running.steps.iter().find(|step| step.step == "b").unwrap();
        assert_eq!(step.status, StepStatus::Running);
        assert!(step.started_at.is_some());
        gate.let_pass(1);
        end_of(&run);
        let ended = inspector.show(run.id()).unwrap().unwrap().summary;
        assert_eq!(ended.started_at, running.summary.started_at);
        assert_no_leftovers(&engine);
    });
}

#[test]
fn a_step_behind_a_join_or_a_timer_is_shown_running_while_it_runs() {
    // Its Runner went on to it from where the branch is stored, in one attempt.
    on_each(|place| {
        let (gate, begun) = (Gate::closed(), Meeting::new());
        let held = |flow: windlass::Flow<Trail>, name: &str| {
            let (gate, begun) = (gate.clone(), begun.clone());
            flow.step_async(name, move |_, trail: Trail| {
                let gate = gate.clone();
                begun.arrive();
                async move {
                    gate.pass().await;
                    Ok(trail)
                }
            })
        };
        let flow = Workflow::<Trail>::build("behind", "1", |flow| {
            let flow = flow.split("both", |split| {
                split
                    .branch("a", |flow| flow.step("a", mark("a")))
                    .branch("b", |flow| flow.step("b", mark("b")))
            });
            held(
                held(flow, "behind join").sleep("nap", Duration::from_millis(1)),
                "behind timer",
            )
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        let mut inspector = engine.inspector().unwrap();
        for (arrivals, name) in [(1, "behind join"), (2, "behind timer")] {
            assert!(begun.wait_for(arrivals));
            let steps = inspector.show(run.id()).unwrap().unwrap().steps;
            let running: Vec<_> = steps
                .iter()
                .filter(|step| step.status == StepStatus::Running)
                .map(|step| step.step.as_str())
                .collect();
            assert_eq!(running, [name]);
            let why = inspector.why(run.id()).unwrap().unwrap();
            assert_eq!(why.branches[0].step, name);
            assert_eq!(why.branches[0].waits_for.kind, "running");
            gate.let_pass(1);
        }
        end_of(&run);
        let steps = inspector.show(run.id()).unwrap().unwrap().steps;
        assert!(
            steps
                .iter()
                .all(|step| step.status == StepStatus::Succeeded),
            "{steps:?}"
        );
        assert_no_leftovers(&engine);
    });
}

#[test]
fn without_history_a_step_of_a_succeeded_run_is_not_called_skipped() {
    on_each(|place| {
        let flow = Workflow::<Trail>::build("off", "1", |flow| flow.step("a", mark("a"))).unwrap();
        let builder = place
            .builder()
            .history(windlass::History::Off)
            .workflow(&flow);
        let mut engine = Stepped::open(builder);
        let run = engine.begin(&flow, &Trail::new());
        engine.settle();
        let step = &engine.show(run).steps[0];
        assert_eq!(step.status, StepStatus::Succeeded);
        assert_eq!(step.reason.as_deref(), Some("not-recorded"));
    });
}

#[test]
fn a_step_that_kills_its_runner_every_time_does_not_do_so_for_ever() {
    // Everything has a bound (I12): an attempt that takes its thread with it is an attempt.
    on_each(|place| {
        let calls = Counter::default();
        let count = calls.clone();
        let flow = Workflow::<Trail>::build("dies", "1", |flow| {
            flow.step("bomb", move |_, _| {
                count.up();
                std::panic::panic_any(Bomb);
            })
            .retry(2, Duration::from_millis(1))
        })
        .unwrap();
        let engine = place.builder().workflow(&flow).open().unwrap();
        let run = begin(&engine, &flow, &Trail::new());
        assert_eq!(codes(&fault(end_of(&run))), ["panicked"]);
        assert_eq!(calls.get(), 2);
        assert_no_leftovers(&engine);
    });
}
