//! Termination: WCP-11 and WCP-43.

use std::sync::Arc;
use std::time::Duration;

use windlass::{ManualClock, Need, Rest, RunStatus, StepStatus, Timestamp, Workflow};

use crate::harness::{Act, Built, Live, Pattern, Setting, Stage, Trail};

/// How long the timer of WCP-11 is pending.
const PAUSE: Duration = Duration::from_millis(20);

fn implicit_termination(stage: &Stage) -> Built<Trail> {
    Workflow::build("implicit-termination", "1", |flow| {
        flow.net("loose-ends", |net| {
            let three = net.fork("three");
            let left = net.part(|flow| flow.step_async("left", stage.held("left")));
            let right = net.part(|flow| flow.step_async("right", stage.held("right")));
            let later =
                net.part(|flow| flow.sleep("pause", PAUSE).step_async("later", stage.mark()));
            net.start(&three);
            net.arm(&three, "left", &left);
            net.arm(&three, "right", &right);
            net.arm(&three, "later", &later);
        })
    })
}

/// The run ends successfully when nothing remains to be done, now or later.
pub(crate) fn wcp_11_implicit_termination() -> Pattern {
    Pattern::new(11, implicit_termination, &Trail::new())
        .ends_with(Trail::new())
        .driven_by(|_| vec![Act::Open("left"), Act::Open("right")])
        .asserts("the_run_ends_after_two_loose_ends_and_a_timer", all_three)
        .asserts("a_run_that_is_stuck_is_parked", stuck_is_parked)
        .after_kills("the_run_does_not_end_before_the_last_of_three", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let done: usize = ["left", "right", "later"]
                    .map(|step| look.done(step))
                    .iter()
                    .sum();
                let ended = look.detail.summary.status == RunStatus::Succeeded;
                assert!(!ended || done == 3, "it has ended after {done}");
            }
        })
}

/// Each of the three is the last one once.
fn all_three(pattern: &Pattern, setting: Setting) {
    for last in ["left", "right", "later"] {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let (builder, _folder) = setting.builder();
        let live = Live::over(pattern, builder.clock(clock.clone()), Stage::new());
        let release = |step| match step {
            "later" => clock.advance(PAUSE),
            latch => live.stage.open(latch),
        };
        let run = live.begin();
        let mut others = ["left", "right", "later"];
        others.sort_by_key(|step| *step == last);
        for (before, step) in (0..).zip(others) {
            live.until(&run, "so many done", |look| {
                let done = ["left", "right", "later"].map(|step| look.done(step));
                done.iter().sum::<usize>() == before
            });
            let status = live.look(&run).detail.summary.status;
            assert!(!status.is_end(), "{status:?} with {step} to come");
            release(step);
        }
        let played = live.drive(&run);
        assert_eq!(played.committed.steps(), ["later", "left", "right"]);
        live.close();
    }
}

fn stuck_at_a_join(stage: &Stage) -> Built<Trail> {
    Workflow::build("stuck-at-a-join", "1", |flow| {
        flow.net("graph", |net| {
            let (inputs, both) = net.meet("both", &["a", "b"], Need::All, Rest::Queue);
            let next = net.part(|flow| flow.step_async("next", stage.mark()));
            let begin = net.part(|flow| flow.step_async("begin", stage.mark()));
            let only_one = net.choice("only-one");
            net.start(&begin);
            net.connect(&begin, &only_one);
            net.way(&only_one, "a", |_| true, &inputs[0]);
            net.otherwise(&only_one, &inputs[1]);
            net.connect(&both, &next);
        })
    })
}

fn stuck_is_parked(_: &Pattern, setting: Setting) {
    let stuck = Pattern::new(11, stuck_at_a_join, &Trail::new());
    let live = Live::open(&stuck, setting);
    let run = live.begin();
    live.until(&run, "the run parked", |look| {
        look.detail.summary.status == RunStatus::Parked
    });
    let look = live.look(&run);
    let reason = look.detail.summary.reason.clone().unwrap_or_default();
    assert!(reason.starts_with("stuck"), "{reason:?}");
    assert!(reason.contains("inputs without a token: b"), "{reason:?}");
    assert_eq!(look.reached("next"), 0);
    let scheduler = live.engine.scheduler();
    assert!(scheduler.cancel_blocking(run.id(), "it is stuck").unwrap());
    live.close();
}

fn explicit_termination(stage: &Stage) -> Built<Trail> {
    Workflow::build("explicit-termination", "1", |flow| {
        flow.split("both", |split| {
            split
                .branch("long", |flow| {
                    flow.step_async("long", stage.held("never"))
                        .step_async("after", stage.mark())
                })
                .branch("short", |flow| {
                    flow.step_async("short", stage.held("short"))
                        .terminate("end")
                })
        })
        .step_async("next", stage.mark())
    })
}

/// Reaching a named end node ends the run; the remaining work is withdrawn.
pub(crate) fn wcp_43_explicit_termination() -> Pattern {
    Pattern::new(43, explicit_termination, &Trail::new())
        .ends_with(["short"])
        .driven_by(|look| {
            let opens = (look.running("long") == 1).then_some(Act::Open("short"));
            opens.into_iter().collect()
        })
        .asserts(
            "a_branch_in_mid_step_is_withdrawn_and_its_late_outcome_refused",
            withdrawn_in_mid_step,
        )
        .after_kills("the_run_ends_with_the_end_node", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let ended = look.detail.summary.status == RunStatus::Succeeded;
                assert_eq!(ended, look.done("short") == 1);
                assert_eq!(look.done("long") + look.reached("next"), 0);
            }
        })
}

fn withdrawn_in_mid_step(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    live.until(&run, "both at work", |look| {
        look.running("long") + look.running("short") == 2
    });
    let played = live.drive(&run);
    assert_eq!(played.committed.steps(), ["short"]);
    let ended = live.look(&run).detail;
    assert_eq!(ended.summary.status, RunStatus::Succeeded);
    let long = ended.steps.iter().find(|step| step.step == "long");
    assert_eq!(long.unwrap().status, StepStatus::Cancelled);
    // Its attempt is told to stop; what it brings comes after the run's end.
    live.until(&run, "none at work", |_| live.engine.stats().running == 0);
    assert!(live.stage.span("long").finish.is_some());
    let after = live.look(&run).detail;
    assert_eq!(ended.steps, after.steps, "a late outcome was written");
    live.close();
}
