//! Joins whose inputs are used again and again: WCP-28 and WCP-31.

use windlass::{Need, Rest, Workflow};

use super::one_by_one;
use crate::harness::{Act, Built, Live, Look, Pattern, Setting, Stage, Trail};

fn blocking_discriminator(stage: &Stage) -> Built<Trail> {
    Workflow::build("blocking-discriminator", "1", |flow| {
        flow.net("net", |net| {
            let fork = net.fork("rounds");
            let (inputs, first) = net.meet("first", &["a", "b"], Need::First, Rest::Block);
            let next = net.part(|flow| flow.step_async("next", stage.mark()));
            net.start(&fork);
            // By input a, a second time by a, by b, and a second time by b.
            for (step, input) in [("a1", 0), ("a2", 0), ("b1", 1), ("b2", 1)] {
                let token = net.part(|flow| flow.step_async(step, stage.held(step)));
                net.arm(&fork, step, &token);
                net.connect(&token, &inputs[input]);
            }
            net.connect(&first, &next);
            net.join(one_by_one);
        })
    })
}

/// As a structured discriminator, but where branches can come again: after firing, what comes by an
/// input a second time waits until every input has been used once.
pub(crate) fn wcp_28_blocking_discriminator() -> Pattern {
    Pattern::new(28, blocking_discriminator, &Trail::new())
        .ends_with(["a1", "next", "a2", "next"])
        .driven_by(|look| in_turn(look, &["a1", "a2", "b1", "b2"]))
        .asserts(
            "a_token_of_the_second_round_fires_when_the_first_has_reset",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.stage.open("a1");
                live.until(&run, "the first firing", |look| look.done("next") == 1);
                live.stage.open("a2");
                live.until(&run, "a token that is blocked", |look| look.done("a2") == 1);
                let look = live.look(&run);
                assert_eq!((look.reached("next"), look.waiting_at("first")), (1, 1));
                live.stage.open("b1");
                live.until(&run, "the second firing", |look| look.done("next") == 2);
                let played = live.drive(&run);
                assert_eq!(played.committed.count("next"), 2);
                let (b1, next) = (live.stage.span("b1"), live.stage.spans("next"));
                assert!(b1.precedes(&next[1]), "{b1:?} {next:?}");
                live.close();
            },
        )
        .after_kills("a_blocked_token_survives", |wrecks| {
            let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            for look in looks() {
                let firings = look.done("a1") + look.done("b1").min(look.done("a2"));
                assert!(look.reached("next") <= firings);
            }
            let blocked = |look: &Look| look.done("a2") == 1 && look.waiting_at("first") == 1;
            assert!(looks().any(blocked), "a kill came while one was blocked");
        })
}

/// Opens the latches of `steps` one by one, each when the step before is done and nothing but held
/// steps is at work.
fn in_turn(look: &Look, steps: &[&'static str]) -> Vec<Act> {
    let done = steps.iter().take_while(|step| look.done(step) == 1).count();
    let quiet = look.done("next") == look.reached("next");
    let next = steps.get(done).filter(|_| quiet);
    let open = steps[..done].iter().chain(next);
    open.map(|step| Act::Open(step)).collect()
}

fn blocking_partial_join(stage: &Stage) -> Built<Trail> {
    Workflow::build("blocking-partial-join", "1", |flow| {
        flow.net("net", |net| {
            let fork = net.fork("rounds");
            let inputs = ["a", "b", "c"];
            let (inputs, two) = net.meet("two", &inputs, Need::AtLeast(2), Rest::Block);
            let next = net.part(|flow| flow.step_async("next", stage.mark()));
            net.start(&fork);
            for (index, step) in ["a1", "a2", "b1", "b2", "c1", "c2"].into_iter().enumerate() {
                let token = net.part(|flow| flow.step_async(step, stage.held(step)));
                net.arm(&fork, step, &token);
                net.connect(&token, &inputs[index / 2]);
            }
            net.meet_join(&two, one_by_one);
            net.connect(&two, &next);
            net.join(one_by_one);
        })
    })
}

/// As a structured partial join, but where branches can come again: arrivals on used inputs are held
/// until the reset.
pub(crate) fn wcp_31_blocking_partial_join() -> Pattern {
    Pattern::new(31, blocking_partial_join, &Trail::new())
        .ends_with(["a1", "b1", "next", "a2", "b2", "next"])
        .driven_by(|look| in_turn(look, &["a1", "a2", "b1", "b2", "c1", "c2"]))
        .asserts(
            "two_interleaved_rounds_fire_twice_and_do_not_mix",
            two_rounds,
        )
        .after_kills("what_is_blocked_survives", |wrecks| {
            let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            for look in looks() {
                let firings = look.done("b1") + look.done("c1").min(look.done("b2"));
                assert!(look.reached("next") <= firings);
            }
            let blocked = |look: &Look| look.done("b2") == 1 && look.waiting_at("two") == 2;
            assert!(looks().any(blocked), "a kill came while two were blocked");
        })
}

fn two_rounds(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    // The step, how often it has fired then, and how many wait.
    for (step, firings, waiting) in [
        ("a1", 0, 1),
        ("a2", 0, 2),
        ("b1", 1, 1),
        ("b2", 1, 2),
        ("c1", 2, 0),
    ] {
        live.stage.open(step);
        live.until(&run, step, |look| look.done(step) == 1);
        // A firing is written with the arrival, and reaches the next step in a moment.
        live.until(&run, step, |look| look.done("next") == firings);
        let look = live.look(&run);
        let seen = (look.reached("next"), look.waiting_at("two"));
        assert_eq!(seen, (firings, waiting), "after {step}");
    }
    let played = live.drive(&run);
    assert_eq!(played.committed.count("next"), 2);
    live.close();
}
