//! Graphs whose tokens fork and meet.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use windlass::{Flow, Need, Rest, Workflow};

use crate::harness::{Gate, Stepped, Trail, event, mark, on_each};

/// Two tokens meet; each has left a branch behind that is late for its join: `late` makes it.
fn late_before_a_meet(
    need: Need,
    late: impl Fn(Flow<Trail>, &str) -> Flow<Trail>,
) -> Workflow<Trail> {
    Workflow::build("w", "1", |flow| {
        flow.net("net", |net| {
            let (inputs, meet) = net.meet("meet", &["a", "b"], need, Rest::Absorb);
            let fork = net.fork("fork");
            net.start(&fork);
            for (name, input) in ["a", "b"].into_iter().zip(&inputs) {
                let token = net.part(|flow| {
                    flow.split(name, |split| {
                        split
                            .branch("fast", |flow| {
                                flow.step(&format!("{name}-fast"), mark("fast"))
                            })
                            .branch("late", |flow| late(flow, name))
                            .need(Need::First, Rest::Absorb)
                            .join(|_, _| Ok(()))
                    })
                });
                net.arm(&fork, name, &token);
                net.connect(&token, input);
            }
            let after = net.part(|flow| flow.step("after", mark("after")));
            net.connect(&meet, &after);
            net.join(|trail, ends| {
                let ended = ends.into_iter().filter_map(|end| end.ended.succeeded());
                trail.extend(ended.flatten());
                Ok(())
            });
        })
    })
    .unwrap()
}

#[test]
fn who_goes_on_from_a_meet_waits_at_its_end_for_what_is_late() {
    for need in [Need::All, Need::First] {
        for late in [["late-a", "late-b"], ["late-b", "late-a"]] {
            on_each(|place| {
                let workflow = late_before_a_meet(need, |flow, name| {
                    let event = format!("late-{name}");
                    flow.wait_event(&format!("{name}-waits"), &event, |_, _: String| {})
                });
                let mut stepped = Stepped::open(place.builder().workflow(&workflow));
                let run = stepped.begin(&workflow, &Trail::new());
                stepped.settle();
                for late in late {
                    assert_eq!(stepped.outcome(run), None, "{late} is waited for");
                    stepped.signal(event(run, late, late, "now"));
                    stepped.settle();
                }
                assert_eq!(stepped.data::<Trail>(run), ["after"]);
                stepped.assert_no_leftovers();
            });
        }
    }
}

#[test]
fn what_is_late_and_at_work_when_its_token_meets_comes_to_whoever_goes_on() {
    on_each(|place| {
        let gate = Gate::closed();
        let workflow = late_before_a_meet(Need::All, |flow, name| {
            let gate = gate.clone();
            flow.step_async(&format!("{name}-late"), move |_, trail| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok(trail)
                }
            })
            .step(&format!("{name}-then"), mark("then"))
        });
        let builder = place.builder().in_flight(4);
        let mut stepped = Stepped::open(builder.workflow(&workflow));
        let run = stepped.begin(&workflow, &Trail::new());
        stepped.settle();
        assert_eq!((gate.waiting(), stepped.outcome(run)), (2, None));
        gate.let_pass(2);
        stepped.settle();
        assert_eq!(stepped.data::<Trail>(run), ["after"]);
        stepped.assert_no_leftovers();
    });
}
