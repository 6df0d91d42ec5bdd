//! What a step's retry policy does to a run: which errors are tried again, and when.

use std::time::Duration;

use crate::harness::{Counter, Stepped, TICK, almost, codes, on_each, standing_clock};
use windlass::{
    Draft, Functions, Handler, Handlers, ManualClock, Payload, RetryPolicy, StepError, StepSpec,
    Workflow,
};

const SECOND: Duration = Duration::from_secs(1);

/// One step that always fails, with its data as the code; `later` asks to be tried later.
fn failing(version: usize, policy: &RetryPolicy, calls: &Counter) -> Workflow<String> {
    let mut draft = Draft::new("policy", version.to_string());
    let step = draft.step("bad", StepSpec::new("bad"));
    draft.change_step(step, |step| step.retry = policy.clone());
    draft.start_at(step);
    let count = calls.clone();
    let bad = Handler::blocking(move |_, data: &Payload| {
        count.up();
        let code: String = data.decode().expect("the data is a code");
        match code.strip_prefix("later ") {
            Some(code) => Err(StepError::new(code, "not yet").retry_after(SECOND)),
            None => Err(StepError::new(code, "failed")),
        }
    });
    let handlers = Handlers::new().with("bad", bad);
    Workflow::from_parts(
        draft.finish().expect("one step"),
        Functions::new(),
        handlers,
    )
}

fn pass(engine: &mut Stepped, clock: &ManualClock, seconds: u32) {
    engine.settle();
    for _ in 0..seconds {
        clock.advance(SECOND);
        engine.settle();
    }
}

#[test]
fn an_error_that_the_policy_does_not_retry_ends_the_attempts_at_once() {
    let plain = RetryPolicy::new(3, SECOND).factor(1.0);
    let only = plain.clone().retry_on(["busy", "slow"]);
    let never = plain.clone().give_up_on(["gone"]);
    let both = only.clone().give_up_on(["gone"]);
    let cases = [
        (&plain, "any", 3),
        (&only, "slow", 3),
        (&only, "gone", 1),
        (&never, "busy", 3),
        (&never, "gone", 1),
        (&both, "busy", 3),
        (&both, "gone", 1),
        (&both, "other", 1),
        // Asked to be tried later, it uses up no attempt; giving up ends that, too.
        (&plain, "later gone", 11),
        (&only, "later gone", 11),
        (&never, "later gone", 1),
    ];
    on_each(|place| {
        for (version, (policy, code, expected)) in cases.into_iter().enumerate() {
            let clock = standing_clock();
            let calls = Counter::default();
            let workflow = failing(version, policy, &calls);
            let mut engine =
                Stepped::open(place.builder().clock(clock.clone()).workflow(&workflow));
            let run = engine.begin(&workflow, &code.to_owned());
            pass(&mut engine, &clock, 10);
            assert_eq!(calls.get(), expected, "{policy:?} {code}");
            if expected < 11 {
                assert_eq!(
                    codes(&engine.fault(run)),
                    [code.trim_start_matches("later ")]
                );
            }
        }
    });
}

#[test]
fn pauses_grow_by_the_factor_of_the_policy_up_to_its_bound() {
    let policy = RetryPolicy::new(5, SECOND)
        .factor(3.0)
        .backoff_max(Duration::from_secs(10));
    on_each(|place| {
        let clock = standing_clock();
        let calls = Counter::default();
        let workflow = failing(1, &policy, &calls);
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&workflow));
        engine.begin(&workflow, &"any".to_owned());
        engine.settle();
        for (tries, pause) in (1..).zip([1, 3, 9, 10]) {
            clock.advance(almost(Duration::from_secs(pause)));
            engine.settle();
            assert_eq!(calls.get(), tries, "not early");
            clock.advance(TICK);
            engine.settle();
            assert_eq!(calls.get(), tries + 1);
        }
        engine.assert_no_leftovers();
    });
}

#[test]
fn with_jitter_runs_that_failed_together_are_not_tried_again_together() {
    let policy = RetryPolicy::new(2, Duration::from_secs(10)).jitter(0.5);
    on_each(|place| {
        let clock = standing_clock();
        let calls = Counter::default();
        let workflow = failing(1, &policy, &calls);
        let mut engine = Stepped::open(place.builder().clock(clock.clone()).workflow(&workflow));
        for _ in 0..20 {
            engine.begin(&workflow, &"any".to_owned());
        }
        pass(&mut engine, &clock, 4);
        assert_eq!(calls.get(), 20, "at most half of the pause is taken away");
        let mut at_once = Vec::new();
        for _ in 0..6 {
            let before = calls.get();
            pass(&mut engine, &clock, 1);
            at_once.push(calls.get() - before);
        }
        assert_eq!(calls.get(), 40, "no pause is longer than without jitter");
        assert!(at_once.iter().all(|tries| *tries <= 10), "{at_once:?}");
        engine.assert_no_leftovers();
    });
}
