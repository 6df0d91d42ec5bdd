//! Decisions that hang on the state of the world or of the run: WCP-16 and WCP-18.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use serde_json::json;
use windlass::{
    Event, Fault, ManualClock, Payload, RunHandle, RunId, SignalOutcome, Timestamp, Workflow,
};

use crate::harness::{
    Act, Built, Committed, End, Live, Look, PATIENCE, Pattern, Setting, Stage, Stepped, Trail,
    gather,
};

/// How long the timer of the deferred choice is.
const LONG: Duration = Duration::from_hours(1);

fn deferred_choice(stage: &Stage) -> Built<Trail> {
    Workflow::build("deferred-choice", "1", |flow| {
        flow.select("first", |arms| {
            arms.on_event("red", "red", Trail::push, |flow| {
                flow.step_async("paint-red", stage.held("paint"))
            })
            .on_event("blue", "blue", Trail::push, |flow| {
                flow.step_async("paint-blue", stage.held("paint"))
            })
            .after("late", LONG, |flow| {
                flow.step_async("give-up", stage.mark())
            })
        })
        .step_async("next", stage.mark())
    })
}

/// Several alternatives are offered; the first event from outside selects one and withdraws the
/// others.
pub(crate) fn wcp_16_deferred_choice() -> Pattern {
    Pattern::new(16, deferred_choice, &Trail::new())
        .ends_with(["crimson", "paint-red", "next"])
        .driven_by(|_| {
            let signal = |event, text| Act::Signal {
                event,
                id: "driver's",
                text,
            };
            // The first one counts, whenever we look again.
            let [red, blue] = [signal("red", "crimson"), signal("blue", "navy")];
            vec![red, blue, Act::Open("paint")]
        })
        .asserts(
            "of_two_signals_at_once_exactly_one_selects_its_arm",
            two_at_once,
        )
        .asserts("the_subscription_of_the_loser_is_gone", loser_is_gone)
        .asserts("a_time_selects_its_arm_too", time_selects)
        .asserts("the_winner_stands_when_the_engine_is_lost", winner_stands)
        .after_kills("a_kill_leaves_one_arm_or_none", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let arms = ["paint-red", "paint-blue", "give-up"].map(|step| look.reached(step));
                assert!(arms.iter().sum::<usize>() <= 1, "{arms:?}");
                assert_eq!(arms[1..], [0, 0], "red came first");
            }
        })
}

fn event(run: RunId, name: &str, text: &str) -> Event {
    Event::new(run, name, "1", Payload::encode(text).unwrap())
}

/// So many runs that a race is seen in each of its ways.
fn races(setting: Setting) -> usize {
    // A file costs a commit for each signal, and has the same code above it.
    if setting.on_disk { 50 } else { 1_000 }
}

/// Sends two events to each run at once, from two threads; says what became of them.
fn at_once(live: &Live, runs: &[RunHandle], events: [(&str, &str); 2]) -> Vec<[SignalOutcome; 2]> {
    let barrier = Barrier::new(2);
    let runs: Vec<_> = runs.iter().map(RunHandle::id).collect();
    let [first, second] = std::thread::scope(|scope| {
        let threads = events.map(|(name, text)| {
            let (scheduler, barrier, runs) = (live.engine.scheduler(), &barrier, &runs);
            let send = move |run: &RunId| {
                barrier.wait();
                scheduler.signal_blocking(event(*run, name, text)).unwrap()
            };
            scope.spawn(move || runs.iter().map(send).collect::<Vec<_>>())
        });
        threads.map(|thread| thread.join().unwrap())
    });
    first.into_iter().zip(second).map(<[_; 2]>::from).collect()
}

/// The data with which a run has ended well.
fn trail(run: &RunHandle) -> Trail {
    let end = End::from(run.wait_blocking(Some(PATIENCE)).unwrap());
    let End::Succeeded(data) = end else {
        panic!("{end:?}")
    };
    serde_json::from_value(data).unwrap()
}

fn two_at_once(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let runs: Vec<_> = (0..races(setting))
        .map(|_| live.begin_with(&json!([])))
        .collect();
    for run in &runs {
        live.until(run, "the wait", |look| look.wait_for("event") == 1);
    }
    let sent = at_once(&live, &runs, [("red", "crimson"), ("blue", "navy")]);
    let mut inspector = live.engine.inspector().unwrap();
    let leftovers = inspector.leftovers().unwrap();
    assert!(leftovers.contains(&("subscriptions", 0)), "{leftovers:?}");
    live.stage.open("paint");
    for (run, sent) in runs.iter().zip(sent) {
        let arm = match sent {
            [SignalOutcome::Delivered, SignalOutcome::Stored] => ["crimson", "paint-red"],
            [SignalOutcome::Stored, SignalOutcome::Delivered] => ["navy", "paint-blue"],
            other => panic!("one of them is taken: {other:?}"),
        };
        assert_eq!(trail(run), [arm[0], arm[1], "next"]);
        let committed = Committed::of(&mut inspector, run.id());
        assert_eq!(committed.steps(), ["next", arm[1]]);
    }
    live.close();
}

fn loser_is_gone(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    live.until(&run, "the wait", |look| look.wait_for("event") == 1);
    let scheduler = live.engine.scheduler();
    let signal = |name, text| {
        let event = event(run.id(), name, text);
        scheduler.signal_blocking(event).unwrap()
    };
    assert_eq!(signal("red", "crimson"), SignalOutcome::Delivered);
    live.until(&run, "the arm", |look| look.running("paint-red") == 1);
    let mut inspector = live.engine.inspector().unwrap();
    let leftovers = inspector.leftovers().unwrap();
    assert!(leftovers.contains(&("subscriptions", 0)), "{leftovers:?}");
    assert_eq!(live.look(&run).wait_for("event"), 0);
    assert_eq!(signal("blue", "navy"), SignalOutcome::Stored);
    let played = live.drive(&run);
    assert_eq!(played.committed.steps(), ["next", "paint-red"]);
    assert!(live.stage.spans("paint-blue").is_empty());
    live.close();
}

/// The clock goes on by as long as the timer is; nothing waits for it in fact.
fn time_selects(pattern: &Pattern, setting: Setting) {
    let (builder, _folder) = setting.builder();
    let clock = Arc::new(ManualClock::at(Timestamp(0)));
    let live = Live::over(pattern, builder.clock(clock.clone()), Stage::new());
    let run = live.begin_with(&json!([]));
    live.until(&run, "the wait", |look| look.wait_for("event") == 1);
    clock.advance(LONG);
    // Whoever sleeps by another clock looks at this one.
    let scheduler = live.engine.scheduler();
    let late = scheduler.signal_blocking(event(run.id(), "wake", "up"));
    assert_eq!(late.unwrap(), SignalOutcome::Stored);
    assert_eq!(trail(&run), ["give-up", "next"]);
    live.close();
}

/// The second alternative is selected; the engine is lost before anything comes of it; the next one
/// is sent the first alternative as well.
fn winner_stands(pattern: &Pattern, setting: Setting) {
    if setting != Setting::ON_DISK {
        return; // Only a file outlives its engine, and there is one Runner here anyway.
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut lost = Stepped::open(pattern, &database);
    let run = lost.begin();
    lost.write_all();
    while lost.look(run).wait_for("event") == 0 {
        assert!(lost.engine.step_runner(0), "it comes to its wait");
        lost.write_all();
    }
    let scheduler = lost.engine.scheduler();
    let sent = lost.ask(scheduler.signal(event(run, "blue", "navy")));
    assert_eq!(sent.unwrap(), SignalOutcome::Delivered);
    // The way in holds the store as the engine does: both go.
    drop((scheduler, lost));
    let mut next = Stepped::open(pattern, &database);
    let end = End::from(next.finish(run));
    let blue = json!(["navy", "paint-blue", "next"]);
    assert_eq!(end, End::Succeeded(blue));
    assert!(next.stage.spans("paint-red").is_empty());
}

fn milestone(stage: &Stage) -> Built<Trail> {
    Workflow::build("milestone", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("shop", |flow| {
                    flow.wait_event("morning", "morning", Trail::push)
                        .milestone("opens", "open")
                        .wait_event("evening", "evening", Trail::push)
                        .milestone_passed("closes", "open")
                })
                .branch("customer", |flow| {
                    flow.wait_event("comes", "customer", Trail::push)
                        .step_async("buy", stage.mark())
                        .only_while("open")
                        .recover(
                            |trail: &mut Trail, fault: &Fault| trail.push(code(fault)),
                            |flow| flow.step_async("leave", stage.mark()),
                        )
                })
                .join(gather)
        })
    })
}

fn code(fault: &Fault) -> String {
    fault.errors[0].code.clone()
}

/// A step is possible only while the run is in a stated state; afterwards the chance is gone.
pub(crate) fn wcp_18_milestone() -> Pattern {
    let signal = |event| Act::Signal {
        event,
        id: "1",
        text: event,
    };
    Pattern::new(18, milestone, &Trail::new())
        .ends_with(["morning", "evening", "customer", "buy"])
        .driven_by(move |look| {
            let mut acts = vec![signal("customer")];
            // It opens when the customer is there, and closes when all is bought.
            if look.wait_for("milestone") == 1 {
                acts.push(signal("morning"));
            }
            if look.done("buy") == 1 {
                acts.push(signal("evening"));
            }
            acts
        })
        .asserts(
            "a_request_before_the_milestone_waits",
            |pattern, setting| {
                let (live, run) = in_state(pattern, setting, &["customer"]);
                live.until(&run, "the gate", |look| look.wait_for("milestone") == 1);
                assert!(live.stage.spans("buy").is_empty());
                live.drive(&run);
                assert_eq!(live.stage.spans("buy").len(), 1);
                live.close();
            },
        )
        .asserts("a_request_during_the_milestone_runs", |pattern, setting| {
            let (live, run) = in_state(pattern, setting, &["morning"]);
            live.until(&run, "the state", |look| look.awaits("evening"));
            assert!(live.stage.spans("buy").is_empty());
            send(&live, &run, &["customer"]);
            live.until(&run, "the step", |look| look.done("buy") == 1);
            live.drive(&run);
            live.close();
        })
        .asserts(
            "a_request_after_the_milestone_is_refused",
            |pattern, setting| {
                let (live, run) = in_state(pattern, setting, &["morning", "evening"]);
                live.until(&run, "the end of the other branch", |look| {
                    look.awaits("customer") && look.why.branches.len() == 2
                });
                send(&live, &run, &["customer"]);
                assert_eq!(trail(&run), REFUSED);
                assert!(live.stage.spans("buy").is_empty());
                live.close();
            },
        )
        .asserts(
            "an_expiry_that_races_with_the_lock_is_decided_in_one_transaction",
            expiry_races,
        )
        .asserts(
            "of_expiry_and_request_in_one_batch_the_first_one_counts",
            first_counts,
        )
        .after_kills("no_kill_lets_the_step_in_before_the_milestone", |wrecks| {
            let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            for look in looks() {
                assert!(look.wait_for("milestone") == 0 || look.done("buy") == 0);
            }
            let waited = looks().any(|look| look.wait_for("milestone") == 1);
            assert!(waited, "one kill came while it waited");
        })
}

/// What comes of a customer who is late.
const REFUSED: [&str; 5] = [
    "morning",
    "evening",
    "customer",
    "milestone-passed",
    "leave",
];
/// What comes of one who is in time.
const SERVED: [&str; 4] = ["morning", "evening", "customer", "buy"];

/// A run that was sent these events.
fn in_state<'a>(pattern: &'a Pattern, setting: Setting, events: &[&str]) -> (Live<'a>, RunHandle) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    send(&live, &run, events);
    (live, run)
}

fn send(live: &Live, run: &RunHandle, events: &[&str]) {
    for name in events {
        let event = event(run.id(), name, name);
        live.engine.scheduler().signal_blocking(event).unwrap();
    }
}

/// The customer comes as the shop closes, in each of many runs: each was served or refused, and none
/// both or neither.
fn expiry_races(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let runs: Vec<_> = (0..races(setting))
        .map(|_| live.begin_with(&json!([])))
        .collect();
    for run in &runs {
        send(&live, run, &["morning"]);
    }
    for run in &runs {
        live.until(run, "the race", |look| {
            look.awaits("evening") && look.awaits("customer")
        });
    }
    let both = [("evening", "evening"), ("customer", "customer")];
    at_once(&live, &runs, both);
    let mut inspector = live.engine.inspector().unwrap();
    for run in &runs {
        let trail = trail(run);
        let committed = Committed::of(&mut inspector, run.id());
        let started = live.stage.spans_of(run.id());
        let started: Vec<_> = started.iter().map(|span| span.step.as_str()).collect();
        if trail == SERVED {
            assert_eq!((committed.steps(), started), (vec!["buy"], vec!["buy"]));
        } else {
            assert_eq!(trail, REFUSED);
            assert_eq!((committed.steps(), started), (vec!["leave"], vec!["leave"]));
        }
    }
    live.close();
}

/// Both moves are made before either is written, and both are written in one transaction: then what
/// counts is which came first, although the step begins after the expiry in either case.
fn first_counts(pattern: &Pattern, setting: Setting) {
    if setting != Setting::ON_DISK {
        return; // A stepped engine has a file, and one Runner.
    }
    for (order, trail) in [
        (["evening", "customer"], json!(REFUSED)),
        (["customer", "evening"], json!(SERVED)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut stepped = Stepped::open(pattern, &folder.path().join("w.db"));
        let run = stepped.begin();
        let scheduler = stepped.engine.scheduler();
        let signal = |stepped: &mut Stepped, name| {
            let sent = stepped.ask(scheduler.signal(event(run, name, name)));
            sent.unwrap()
        };
        signal(&mut stepped, "morning");
        let waits = |look: &Look| look.awaits("evening") && look.awaits("customer");
        while !waits(&stepped.look(run)) {
            assert!(stepped.engine.step_runner(0), "it comes to its waits");
            stepped.write_all();
        }
        for name in order {
            assert_eq!(signal(&mut stepped, name), SignalOutcome::Delivered);
        }
        stepped.write_all();
        while stepped.engine.step_runner(0) {}
        let end = End::from(stepped.finish_undriven(run));
        assert_eq!(end, End::Succeeded(trail), "{order:?}");
    }
}
