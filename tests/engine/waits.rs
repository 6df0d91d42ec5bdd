//! Since when a branch waits: said by its row, while it waits and afterwards.

use std::time::Duration;

use windlass::{ManualClock, StepStatus, StepView, Timestamp, Workflow};

use super::harness::{Gate, Place, Stepped, Trail, event, mark, on_each, standing_clock};

const MINUTE: Duration = Duration::from_mins(1);

fn row(stepped: &Stepped, run: windlass::RunId, name: &str) -> StepView {
    let rows = stepped.show(run).steps;
    let row = rows.into_iter().find(|row| row.step == name);
    row.unwrap_or_else(|| panic!("a row of {name}"))
}

fn now(clock: &ManualClock) -> Timestamp {
    use windlass::Clock as _;
    clock.now()
}

#[test]
fn timers_events_and_calls_say_since_when_they_wait_and_until_when_they_did() {
    let called = Workflow::<Trail>::build("called", "1", |flow| {
        flow.wait_event("knock", "knock", |_: &mut Trail, _: String| {})
    })
    .unwrap();
    let workflow = Workflow::<Trail>::build("waits", "1", |flow| {
        flow.sleep("timer", MINUTE)
            .wait_event("letter", "letter", |_: &mut Trail, _: String| {})
            .run("call", "called", Trail::clone, |_, _: Trail| {})
            .wait_event("vain", "vain", |_: &mut Trail, _: String| {})
            .wait_timeout(MINUTE)
    })
    .unwrap();
    on_each(|place| {
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone());
        let mut stepped = Stepped::open(builder.workflow(&workflow).workflow(&called));
        let run = stepped.begin(&workflow, &Trail::new());
        let names = ["timer", "letter", "call", "vain"];
        let mut times = vec![now(&clock)];
        for (index, name) in names.into_iter().enumerate() {
            stepped.settle();
            let waits = row(&stepped, run, name);
            assert_eq!(waits.status, StepStatus::Waiting, "{name}");
            assert_eq!(waits.started_at, Some(times[index]), "{name}");
            assert_eq!(waits.ended_at, None, "{name}");
            clock.advance(MINUTE);
            times.push(now(&clock));
            match name {
                "letter" => {
                    stepped.signal(event(run, name, "1", "x"));
                }
                "call" => {
                    let runs = stepped.inspector().runs(windlass::RunFilter::Unfinished, 9);
                    let runs = runs.unwrap();
                    let inner = runs.iter().find(|found| found.workflow == "called");
                    stepped.signal(event(inner.unwrap().run, "knock", "1", "x"));
                }
                _ => {}
            }
        }
        stepped.settle();
        assert_eq!(stepped.status(run), windlass::RunStatus::Failed);
        for (index, name) in names.into_iter().enumerate() {
            let over = row(&stepped, run, name);
            let expected = if name == "vain" {
                StepStatus::Failed
            } else {
                StepStatus::Succeeded
            };
            assert_eq!(over.status, expected, "{name}");
            let span = (over.started_at, over.ended_at);
            assert_eq!(span, (Some(times[index]), Some(times[index + 1])), "{name}");
        }
    });
}

#[test]
fn a_wait_that_was_withdrawn_and_one_whose_next_step_runs_say_when_they_began() {
    let workflow = Workflow::<Trail>::build("waits", "1", |flow| {
        flow.split("split", |split| {
            let withdrawn = |flow: windlass::Flow<Trail>| flow.sleep("long", 60 * MINUTE);
            split
                .branch("a", withdrawn)
                .branch("b", |flow| {
                    flow.sleep("short", MINUTE).step("next", mark("next"))
                })
                .join(|_, _| Ok(()))
        })
    })
    .unwrap();
    on_each(|place: &Place| {
        let clock = standing_clock();
        let builder = place.builder().clock(clock.clone());
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        let began = now(&clock);
        clock.advance(MINUTE);
        stepped.settle();
        let short = row(&stepped, run, "short");
        assert_eq!(short.started_at, Some(began));
        assert_eq!(short.ended_at, Some(now(&clock)));
        let next = row(&stepped, run, "next");
        assert_eq!(
            next.started_at,
            Some(now(&clock)),
            "a step begins after its wait"
        );
        assert!(stepped.cancel(run, "enough"));
        stepped.settle();
        let detail = stepped.show(run);
        assert_eq!(detail.summary.status, windlass::RunStatus::Cancelled);
        let long = row(&stepped, run, "long");
        assert_eq!(long.status, StepStatus::Cancelled);
        assert_eq!(long.started_at, Some(began));
    });
}

#[test]
fn what_a_run_was_at_when_it_was_withdrawn_says_when_it_began() {
    // Nothing but the first branch: at a wait, or at work in a step that its wait led to.
    let gate = Gate::closed();
    let workflow = Workflow::<Trail>::build("one", "1", |flow| {
        flow.sleep("timer", MINUTE)
            .step_async("work", move |_, trail: Trail| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(trail)
                }
            })
    })
    .unwrap();
    for at in ["timer", "work"] {
        on_each(|place| {
            let clock = standing_clock();
            let builder = place.builder().clock(clock.clone());
            let mut stepped = Stepped::open(builder.workflow(&workflow));
            let run = stepped.begin(&workflow, &Trail::new());
            stepped.settle();
            if at == "work" {
                clock.advance(MINUTE);
                stepped.settle();
            }
            let began = now(&clock);
            clock.advance(MINUTE / 2);
            assert!(stepped.cancel(run, "enough"));
            stepped.settle();
            let row = row(&stepped, run, at);
            assert_eq!(row.status, StepStatus::Cancelled, "{at}");
            assert_eq!(row.reason.as_deref(), Some("enough"), "{at}");
            let span = (row.started_at, row.ended_at);
            assert_eq!(span, (Some(began), Some(now(&clock))), "{at}");
        });
    }
}
