//! Triggers: WCP-24.

use serde_json::json;
use windlass::{Event, Payload, RunId, Workflow};

use crate::harness::{Act, Built, End, Live, Pattern, Setting, Stage, Stepped, Trail};

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
