//! Triggers: WCP-23 and WCP-24.

use serde_json::json;
use windlass::{Event, Payload, RunId, SignalOutcome, Workflow};

use crate::harness::{Act, Built, End, Live, Pattern, Setting, Stage, Stepped, Trail};

fn transient_trigger(stage: &Stage) -> Built<Trail> {
    Workflow::build("transient-trigger", "1", |flow| {
        flow.step_async("busy", stage.held("busy"))
            .wait_event("wait", "go", Trail::push)
            .transient()
            .step_async("started", stage.mark())
    })
}

/// A signal is lost if the step is not waiting for it at that moment.
pub(crate) fn wcp_23_transient_trigger() -> Pattern {
    Pattern::new(23, transient_trigger, &Trail::new())
        .ends_with(["busy", "now", "started"])
        .driven_by(|_| {
            // Too early at first, and lost: else it would be a repetition when it is awaited.
            let signal = Act::TransientSignal {
                event: "go",
                id: "1",
                text: "now",
            };
            vec![signal, Act::Open("busy")]
        })
        .asserts("an_early_signal_is_lost", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            live.until(&run, "the first step at work", |look| {
                look.running("busy") == 1
            });
            let scheduler = live.engine.scheduler();
            let early = [
                (go(run.id(), "1", "early").transient(), SignalOutcome::Lost),
                // The event would last, but this wait takes none that came before it.
                (go(run.id(), "2", "early"), SignalOutcome::Stored),
            ];
            for (event, outcome) in early {
                assert_eq!(scheduler.signal_blocking(event).unwrap(), outcome);
            }
            live.stage.open("busy");
            live.until(&run, "the wait", |look| look.awaits("go"));
            assert_eq!(live.look(&run).reached("started"), 0);
            live.drive(&run);
            live.close();
        })
        .asserts(
            "a_signal_while_the_step_waits_starts_it_once",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                live.stage.open("busy");
                let run = live.begin();
                live.until(&run, "the wait", |look| look.awaits("go"));
                let scheduler = live.engine.scheduler();
                let now = go(run.id(), "1", "now").transient();
                let sent = scheduler.signal_blocking(now).unwrap();
                assert_eq!(sent, SignalOutcome::Delivered);
                for (id, text) in [("1", "again"), ("2", "more")] {
                    let event = go(run.id(), id, text).transient();
                    let sent = scheduler.signal_blocking(event).unwrap();
                    assert_ne!(sent, SignalOutcome::Delivered, "{text}");
                }
                let played = live.drive(&run);
                assert_eq!(played.committed.count("started"), 1);
                live.stage.span("started");
                live.close();
            },
        )
        .after_kills("a_lost_signal_starts_nothing", |wrecks| {
            let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            for look in looks() {
                assert!(look.done("busy") == 1 || look.reached("started") == 0);
            }
            let waited = looks().any(|look| look.awaits("go") && look.reached("started") == 0);
            assert!(
                waited,
                "a kill came after the lost signal and before the next"
            );
        })
}

fn persistent_trigger(stage: &Stage) -> Built<Trail> {
    Workflow::build("persistent-trigger", "1", |flow| {
        flow.step_async("busy", stage.held("busy"))
            .wait_event("first", "go", Trail::push)
            .step_async("one", stage.mark())
            .wait_event("second", "go", Trail::push)
            .step_async("two", stage.mark())
    })
}

/// A signal is kept until a step consumes it.
pub(crate) fn wcp_24_persistent_trigger() -> Pattern {
    Pattern::new(24, persistent_trigger, &Trail::new())
        .ends_with(["busy", "red", "one", "blue", "two"])
        .driven_by(|_| {
            // Both come before anything waits for them, and whenever we look again.
            let signal = |id, text| Act::Signal {
                event: "go",
                id,
                text,
            };
            vec![signal("1", "red"), signal("2", "blue"), Act::Open("busy")]
        })
        .asserts(
            "two_early_signals_are_consumed_in_order",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "the first step at work", |look| {
                    look.running("busy") == 1
                });
                for (id, text) in [("x", "red"), ("x", "red"), ("y", "blue"), ("x", "green")] {
                    let event = go(run.id(), id, text);
                    live.engine.scheduler().signal_blocking(event).unwrap();
                }
                let look = live.look(&run);
                assert_eq!(look.reached("one"), 0, "a signal is not a way round a step");
                live.stage.open("busy");
                let end = run.wait_blocking(Some(crate::harness::PATIENCE)).unwrap();
                // The id came thrice and counted once, with what came first.
                let trail = json!(["busy", "red", "one", "blue", "two"]);
                assert_eq!(End::from(end), End::Succeeded(trail));
                live.close();
            },
        )
        .asserts("an_early_signal_survives_the_loss_of_the_engine", survives)
}

fn go(run: RunId, id: &str, text: &str) -> Event {
    Event::new(run, "go", id, Payload::encode(text).unwrap())
}

/// Signalled before the wait; the engine is dropped; another one has the signals.
fn survives(pattern: &Pattern, setting: Setting) {
    if setting != Setting::ON_DISK {
        return; // Only a file outlives its engine, and there is one Runner here anyway.
    }
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("w.db");
    let mut lost = Stepped::open(pattern, &database);
    let run = lost.begin();
    let scheduler = lost.engine.scheduler();
    for (id, text) in [("x", "red"), ("y", "blue")] {
        lost.ask(scheduler.signal(go(run, id, text))).unwrap();
    }
    // The way in holds the store as the engine does: both go.
    drop((scheduler, lost));
    let mut next = Stepped::open(pattern, &database);
    next.stage.open("busy");
    let end = End::from(next.finish_undriven(run));
    assert!(pattern.ends.contains(&end), "{end:?}");
    assert_eq!(next.stage.spans("one").len(), 1, "it is started once");
}
