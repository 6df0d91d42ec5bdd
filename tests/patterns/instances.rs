//! Multiple instances, all of which are awaited: WCP-12 to WCP-15.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{
    BranchEnd, MapChange, MapOutcome, Need, Payload, Rest, RunDetail, RunId, StepError, Why,
    Workflow,
};

use crate::basic::all_or_none;
use crate::harness::{
    Act, Built, Committed, End, Live, Look, Noted, Pattern, Setting, Stage, Stepped, Trail, Wreck,
};

/// The numbers of the instances that there are or have been.
pub(crate) fn instances(look: &Look) -> BTreeSet<u32> {
    let live = look
        .why
        .branches
        .iter()
        .map(|branch| branch.branch.as_str());
    let steps = look.detail.steps.iter();
    let done = steps.filter(|step| step.step == "instance" && step.activation.is_some());
    let done = done.filter_map(|step| step.branch.as_deref());
    live.chain(done)
        .filter_map(|name| name.parse().ok())
        .collect()
}

/// Fan-out is one commit.
fn a_kill_leaves_no_instance_or_three(wrecks: &[Wreck]) {
    all_or_none(wrecks, 3, |wreck| {
        let look = wreck.look.as_ref();
        look.map_or(0, |look| instances(look).len())
    });
}

/// What an instance has added to the trail.
#[expect(clippy::unnecessary_wraps, reason = "a reduction can fail")]
pub(crate) fn append(trail: &mut Trail, instance: BranchEnd<Trail>) -> Result<(), StepError> {
    trail.extend(instance.ended.succeeded().into_iter().flatten());
    Ok(())
}

fn without_synchronization(stage: &Stage) -> Built<Trail> {
    Workflow::build("mi-without-synchronization", "1", |flow| {
        flow.map("three", |map| {
            map.count(3)
                .need(Need::AtLeast(0), Rest::Absorb)
                .each(|flow| flow.step_async("instance", stage.held("instances")))
        })
        .step_async("parent", stage.mark())
    })
}

/// Several independent instances of a step are created and need not be joined: nothing waits for
/// them but the run's end.
pub(crate) fn wcp_12_mi_without_synchronization() -> Pattern {
    Pattern::new(12, without_synchronization, &Trail::new())
        .ends_with(["parent"])
        .driven_by(|look| {
            let opens = (look.done("parent") == 1).then_some(Act::Open("instances"));
            opens.into_iter().collect()
        })
        .asserts("the_parent_goes_on_while_they_run", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            live.until(&run, "the parent done and three at work", |look| {
                look.done("parent") == 1 && look.running("instance") == 3
            });
            let parent = live.stage.span("parent");
            let played = live.drive(&run);
            let instances = live.stage.spans("instance");
            assert_eq!(
                (instances.len(), played.committed.count("instance")),
                (3, 3)
            );
            for instance in &instances {
                let ended = instance.finish.expect("the run's end waits for it");
                assert!(Some(ended) > parent.finish, "{instance:?} {parent:?}");
            }
            live.close();
        })
        .asserts("runs_of_their_own_outlive_the_parent", outlive)
        .after_kills(
            "a_kill_leaves_no_instance_or_all",
            a_kill_leaves_no_instance_or_three,
        )
}

fn runs_of_their_own(stage: &Stage) -> Built<Trail> {
    Workflow::build("runs-of-their-own", "1", |flow| {
        flow.map("three", |map| {
            map.count(3)
                .each(|flow| flow.run_detached("begin", "child", Trail::clone))
        })
        .step_async("parent", stage.mark())
    })
}

fn child(stage: &Stage) -> Built<Trail> {
    Workflow::build("child", "1", |flow| {
        flow.step_async("instance", stage.held("instances"))
    })
}

/// Where the end of the parent is not to wait for them either.
fn outlive(_: &Pattern, setting: Setting) {
    let pattern = Pattern::new(12, runs_of_their_own, &Trail::new())
        .calls(child)
        .ends_with(["parent"]);
    let live = Live::open(&pattern, setting);
    let run = live.begin();
    let played = live.drive(&run);
    assert_eq!(played.committed.count("parent"), 1);
    live.until(&run, "three at work", |look| look.running("instance") == 3);
    live.stage.open("instances");
    live.until(&run, "all ended", |look| {
        let ended = |(detail, _): &(RunDetail, Why)| detail.summary.status.is_end();
        look.called.len() == 3 && look.called.iter().all(ended)
    });
    assert_eq!(live.stage.spans("instance").len(), 3);
    live.close();
}

fn design_time_knowledge(stage: &Stage) -> Built<Trail> {
    Workflow::build("mi-design-time", "1", |flow| {
        flow.map("three", |map| {
            map.count(3)
                .each(|flow| flow.step_async("instance", stage.held_on("2", "third")))
                .reduce(append)
        })
        .step_async("next", stage.mark())
    })
}

/// The number is fixed in the definition; the flow continues when all have completed.
pub(crate) fn wcp_13_mi_design_time_knowledge() -> Pattern {
    Pattern::new(13, design_time_knowledge, &Trail::new())
        .ends_with(["instance", "instance", "instance", "next"])
        .driven_by(|look| {
            let opens = (look.done("instance") == 2).then_some(Act::Open("third"));
            opens.into_iter().collect()
        })
        .asserts("the_next_step_waits_for_the_third", |pattern, setting| {
            let live = Live::open(pattern, setting);
            let run = live.begin();
            live.until(&run, "two done and the third at work", |look| {
                look.done("instance") == 2 && look.running("instance") == 1
            });
            assert_eq!(live.look(&run).reached("next"), 0);
            let played = live.drive(&run);
            assert_eq!(played.committed.count("next"), 1);
            let next = live.stage.span("next");
            let instances = live.stage.spans("instance");
            assert_eq!(instances.len(), 3);
            assert!(instances.iter().all(|instance| instance.precedes(&next)));
            live.close();
        })
        .after_kills(
            "a_kill_leaves_no_instance_or_all",
            a_kill_leaves_no_instance_or_three,
        )
}

/// As many instances as `count` says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Batch {
    count: u32,
    number: u32,
    done: Vec<u32>,
}

impl Noted for Batch {
    fn note(&mut self, step: &str) {
        if step == "instance" {
            self.done.push(self.number);
            // Too late to change how many there are.
            self.count += 5;
        }
    }
}

fn run_time_knowledge(stage: &Stage) -> Built<Batch> {
    Workflow::build("mi-run-time", "1", |flow| {
        flow.map("as-many-as-counted", |map| {
            map.count_of(|batch: &Batch| batch.count)
                .item(|batch, number| Batch { number, ..batch })
                .each(|flow| flow.step_async("instance", stage.mark()))
                .reduce(collect)
        })
        .step_async("next", stage.mark())
    })
}

#[expect(clippy::unnecessary_wraps, reason = "a reduction can fail")]
fn collect(batch: &mut Batch, instance: BranchEnd<Batch>) -> Result<(), StepError> {
    let done = instance.ended.succeeded().map(|data| data.done);
    batch.done.extend(done.into_iter().flatten());
    Ok(())
}

/// The number is known at run time before the first is created; the flow continues when all have
/// completed.
pub(crate) fn wcp_14_mi_run_time_knowledge() -> Pattern {
    let input = Batch {
        count: 3,
        ..Batch::default()
    };
    Pattern::new(14, run_time_knowledge, &input)
        .ends_with(json!({"count": 3, "number": 0, "done": [0, 1, 2]}))
        .asserts(
            "none_passes_straight_through_and_a_thousand_are_awaited",
            counts,
        )
        .after_kills(
            "a_kill_leaves_no_instance_or_all",
            a_kill_leaves_no_instance_or_three,
        )
}

fn counts(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    for count in [0_u32, 1, 1_000] {
        let played = live.play_with(&json!({"count": count, "number": 0, "done": []}));
        let done: Vec<u32> = (0..count).collect();
        let end = json!({"count": count, "number": 0, "done": done});
        assert_eq!(played.end, End::Succeeded(end));
        assert_eq!(played.committed.count("instance"), count as usize);
        assert_eq!(played.committed.count("next"), 1);
        let next = live.stage.spans("next").pop().unwrap();
        let instances = live.stage.spans("instance");
        assert!(instances.iter().all(|instance| instance.precedes(&next)));
    }
    live.close();
}

fn without_run_time_knowledge(stage: &Stage) -> Built<Trail> {
    Workflow::build("mi-without-run-time-knowledge", "1", |flow| {
        flow.map("open", |map| {
            map.count(2)
                .open()
                .each(|flow| flow.step_async("instance", stage.held("instances")))
                .reduce(append)
        })
        .step_async("next", stage.mark())
    })
}

/// Instances may be added while others run; the flow continues when the map is closed and all have
/// completed.
pub(crate) fn wcp_15_mi_without_run_time_knowledge() -> Pattern {
    let all = ["instance", "instance", "instance", "instance", "instance"];
    Pattern::new(15, without_run_time_knowledge, &Trail::new())
        .ends_with([&all[..], &["next"]].concat())
        .driven_by(|look| match instances(look).len() {
            2 => vec![Act::ChangeMap("open", three_more())],
            5 => vec![
                Act::ChangeMap("open", MapChange::Close),
                Act::Open("instances"),
            ],
            _ => Vec::new(),
        })
        .asserts(
            "the_next_step_waits_until_the_map_is_closed_and_all_five_are_done",
            all_five,
        )
        .asserts("an_addition_to_a_closed_map_is_refused", closed)
        .asserts("an_addition_is_awaited_or_refused", additions)
        .after_kills("an_addition_is_there_wholly_or_not_at_all", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let there = instances(look).len();
                assert!([0, 2, 5].contains(&there), "{there} instances");
                assert!(look.done("instance") == 5 || look.reached("next") == 0);
            }
        })
}

fn three_more() -> MapChange {
    MapChange::Add(vec![Payload::encode(&Trail::new()).unwrap(); 3])
}

fn all_five(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    let change = |what| {
        let scheduler = live.engine.scheduler();
        scheduler.change_map_blocking(run.id(), "open", what)
    };
    live.until(&run, "two at work", |look| look.running("instance") == 2);
    live.stage.open("instances");
    live.until(&run, "two done", |look| look.done("instance") == 2);
    assert_eq!(live.look(&run).reached("next"), 0, "the map is open");
    assert_eq!(change(three_more()).unwrap(), MapOutcome::Done);
    live.until(&run, "five done", |look| look.done("instance") == 5);
    assert_eq!(live.look(&run).reached("next"), 0, "the map is open still");
    assert_eq!(change(MapChange::Close).unwrap(), MapOutcome::Done);
    assert_ne!(change(three_more()).unwrap(), MapOutcome::Done);
    let played = live.drive(&run);
    assert_eq!(played.committed.count("instance"), 5);
    assert_eq!(played.committed.count("next"), 1);
    live.close();
}

/// Closed while its instances are at work.
fn closed(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin();
    let change = |what| {
        let scheduler = live.engine.scheduler();
        scheduler.change_map_blocking(run.id(), "open", what)
    };
    live.until(&run, "two at work", |look| look.running("instance") == 2);
    assert_eq!(change(three_more()).unwrap(), MapOutcome::Done);
    assert_eq!(change(MapChange::Close).unwrap(), MapOutcome::Done);
    assert_eq!(change(three_more()).unwrap(), MapOutcome::Closed);
    let played = live.drive(&run);
    assert_eq!(played.committed.count("instance"), 5);
    live.close();
}

/// 1,000 schedules of an addition, the closing and the completions; the schedule is the seed.
fn additions(pattern: &Pattern, setting: Setting) {
    if setting != Setting::ON_DISK {
        return; // All is on this thread, so the setting makes no difference.
    }
    let folder = tempfile::tempdir().unwrap();
    let mut stepped = Stepped::open(pattern, &folder.path().join("w.db"));
    stepped.stage.open("instances");
    let mut awaited = 0;
    for schedule in 1..=1_000 {
        let (run, added) = race(&mut stepped, schedule);
        let mut inspector = stepped.engine.inspector().unwrap();
        let committed = Committed::of(&mut inspector, run);
        let expected = if added == MapOutcome::Done { 5 } else { 2 };
        let steps = (committed.count("instance"), committed.count("next"));
        assert_eq!(steps, (expected, 1), "schedule {schedule}: {added:?}");
        awaited += usize::from(added == MapOutcome::Done);
    }
    println!("of 1,000 additions {awaited} came in time");
    assert!((100..=900).contains(&awaited), "both are common: {awaited}");
}

/// Plays one schedule; says what became of the addition.
fn race(stepped: &mut Stepped<'_>, schedule: u64) -> (RunId, MapOutcome) {
    let run = stepped.begin_another();
    stepped.write_all();
    // The run comes to its map.
    while instances(&stepped.look(run)).is_empty() {
        stepped.engine.step_runner(0);
        stepped.write_all();
    }
    let scheduler = stepped.engine.scheduler();
    let change = |what| Box::pin(scheduler.change_map(run, "open", what));
    let (mut add, mut close) = (change(three_more()), change(MapChange::Close));
    let (mut added, mut closed) = (None, None);
    let mut random = fastrand::Rng::with_seed(schedule);
    while added.is_none() || closed.is_none() || stepped.outcome(run).is_none() {
        match random.u32(..5) {
            0 => poll(&mut added, &mut add),
            1 => poll(&mut closed, &mut close),
            2 => {
                stepped.engine.step_writer();
            }
            3 => stepped.engine.step_dispatcher(),
            _ => {
                stepped.engine.step_runner(0);
            }
        }
    }
    (run, added.unwrap().expect("it is answered"))
}

fn poll<T>(answer: &mut Option<T>, asked: &mut (impl Future<Output = T> + Unpin)) {
    if answer.is_none()
        && let Poll::Ready(now) = Pin::new(asked).poll(&mut Context::from_waker(Waker::noop()))
    {
        *answer = Some(now);
    }
}
