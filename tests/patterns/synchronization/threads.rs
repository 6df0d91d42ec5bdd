//! Several tokens on one way: WCP-8, WCP-33, WCP-41 and WCP-42.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{Need, Rest, Workflow};

use super::one_by_one;
use crate::basic::all_or_none;
use crate::harness::{
    Act, Built, End, Live, Look, Noted, PATIENCE, Pattern, Setting, Stage, Trail, gather,
};

fn multi_merge(stage: &Stage) -> Built<Trail> {
    Workflow::build("multi-merge", "1", |flow| {
        flow.net("net", |net| {
            let fork = net.fork("three");
            let [a, b, c] =
                ["a", "b", "c"].map(|name| net.part(|flow| flow.step_async(name, stage.mark())));
            let merge = net.multi_merge("merge");
            let next = net.part(|flow| flow.step_async("next", stage.meets("next", 3)));
            net.start(&fork);
            for (name, branch) in [("a", &a), ("b", &b), ("c", &c)] {
                net.arm(&fork, name, branch);
                net.connect(branch, &merge);
            }
            net.connect(&merge, &next);
            net.join(one_by_one);
        })
    })
}

/// Branches converge and every arrival starts the continuation, even while an earlier one is still
/// running.
pub(crate) fn wcp_08_multi_merge() -> Pattern {
    Pattern::new(8, multi_merge, &Trail::new())
        .ends_with(["a", "next", "b", "next", "c", "next"])
        .asserts(
            "the_continuations_are_activations_of_their_own_and_overlap",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let played = live.play();
                // Counted by activation: two of one number would be one.
                assert_eq!(played.committed.count("next"), 3);
                assert_eq!(played.committed.len(), 6);
                all_overlap(&live, "next", 3);
                live.close();
            },
        )
        .after_kills("no_kill_folds_two_continuations_into_one", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let arrived = look.done("a") + look.done("b") + look.done("c");
                assert_eq!(look.reached("next"), arrived, "each has one of its own");
            }
        })
}

/// Each of so many activations was at work while all others were.
fn all_overlap(live: &Live, step: &str, count: usize) {
    let spans = live.stage.spans(step);
    assert_eq!(spans.len(), count, "{spans:?}");
    for one in &spans {
        let others = spans.iter().filter(|other| one.overlaps(other));
        assert_eq!(others.count(), count, "{spans:?}");
    }
}

fn generalised_and_join(stage: &Stage) -> Built<Trail> {
    Workflow::build("generalised-and-join", "1", |flow| {
        flow.net("net", |net| {
            let fork = net.fork("tokens");
            let [a, b] =
                ["a", "b"].map(|name| net.part(|flow| flow.step_async(name, stage.mark())));
            let late = net.part(|flow| flow.step_async("late", stage.held("late")));
            let (inputs, both) = net.meet("both", &["a", "b"], Need::All, Rest::Queue);
            let next = net.part(|flow| flow.step_async("next", stage.mark()));
            net.start(&fork);
            net.arm_copies(&fork, "a", 3, &a);
            net.arm_copies(&fork, "b", 2, &b);
            net.arm(&fork, "late", &late);
            net.connect(&a, &inputs[0]);
            net.connect(&b, &inputs[1]);
            net.connect(&late, &inputs[1]);
            net.meet_join(&both, one_by_one);
            net.connect(&both, &next);
            net.join(one_by_one);
        })
    })
}

/// An AND-join whose inputs may deliver several tokens: it fires whenever each input has one, and
/// keeps the surplus.
pub(crate) fn wcp_33_generalised_and_join() -> Pattern {
    let surplus = |look: &Look| look.done("next") == 2 && look.waiting_at("both") == 1;
    Pattern::new(33, generalised_and_join, &Trail::new())
        .ends_with(["a", "b", "next", "a", "b", "next", "a", "late", "next"])
        .driven_by(move |look| {
            let opens = surplus(look).then_some(Act::Open("late"));
            opens.into_iter().collect()
        })
        .asserts(
            "three_and_two_fire_twice_and_one_more_fires_the_third",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let run = live.begin();
                live.until(&run, "two firings and the late one at work", |look| {
                    look.done("a") == 3 && look.done("next") == 2 && look.running("late") == 1
                });
                let look = live.look(&run);
                assert_eq!((look.reached("next"), look.waiting_at("both")), (2, 1));
                let played = live.drive(&run);
                assert_eq!(played.committed.count("next"), 3);
                live.close();
            },
        )
        .after_kills("the_surplus_survives", |wrecks| {
            let looks = || wrecks.iter().filter_map(|wreck| wreck.look.as_ref());
            for look in looks() {
                let of_a = look.done("a");
                let of_b = look.done("b") + look.done("late");
                let met = of_a.min(of_b);
                assert!(look.reached("next") <= met);
                let surplus = of_a + of_b - 2 * met;
                assert_eq!(look.waiting_at("both"), surplus);
            }
            let surplus = |look: &Look| look.done("next") == 2 && look.waiting_at("both") == 1;
            assert!(looks().any(surplus), "a kill came while one waited");
        })
}

/// A crowd of threads.
#[derive(Debug, Serialize, Deserialize)]
struct Crowd {
    threads: u32,
    trail: Trail,
}

impl Noted for Crowd {
    fn note(&mut self, step: &str) {
        self.trail.note(step);
    }
}

fn crowd(threads: u32) -> serde_json::Value {
    json!({"threads": threads, "trail": []})
}

fn thread_merge(stage: &Stage) -> Built<Crowd> {
    Workflow::<Crowd>::build("thread-merge", "1", |flow| {
        flow.net("net", |net| {
            let how_many = net.choice("how-many");
            let [ten, more, most] = ["10", "13", "23"].map(|name| net.fork(name));
            let thread = net.part(|flow| flow.step_async("thread", stage.mark()));
            let (input, merge) = net.meet("merge", &["thread"], Need::AtLeast(10), Rest::Queue);
            let batch = net.part(|flow| flow.step_async("batch", stage.mark()));
            net.start(&how_many);
            net.way(&how_many, "10", |crowd| crowd.threads == 10, &ten);
            net.way(&how_many, "13", |crowd| crowd.threads == 13, &more);
            net.otherwise(&how_many, &most);
            for (fork, copies) in [(&ten, 10), (&more, 13), (&most, 23)] {
                net.arm_copies(fork, "threads", copies, &thread);
            }
            net.connect(&thread, &input[0]);
            net.connect(&merge, &batch);
        })
    })
}

/// A fixed number of threads on one branch of a run become one. The run that is killed has three
/// threads too many: it is parked, and withdrawn from outside.
pub(crate) fn wcp_41_thread_merge() -> Pattern {
    let input: Crowd = serde_json::from_value(crowd(13)).unwrap();
    Pattern::new(41, thread_merge, &input)
        .ends_as(End::Cancelled)
        .driven_by(|look| {
            let stuck = look.stuck().map(|_| Act::Cancel("three threads too many"));
            stuck.into_iter().collect()
        })
        .asserts("ten_threads_make_one_batch_after_the_tenth", ten)
        .asserts(
            "of_twenty_three_threads_three_are_reported_as_unmerged",
            unmerged,
        )
        .after_kills("no_kill_loses_or_doubles_a_thread", |wrecks| {
            for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                let threads = look.reached("thread");
                assert!(threads == 0 || threads == 13, "{threads} threads");
                assert!(look.reached("batch") <= look.done("thread") / 10);
            }
        })
}

fn ten(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let played = live.play_with(&crowd(10));
    assert!(matches!(played.end, End::Succeeded(_)), "{:?}", played.end);
    assert_eq!(played.committed.count("thread"), 10);
    let batch = live.stage.span("batch");
    let threads = live.stage.spans("thread");
    assert_eq!(threads.len(), 10);
    assert!(threads.iter().all(|thread| thread.precedes(&batch)));
    live.close();
}

fn unmerged(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    let run = live.begin_with(&crowd(23));
    live.until(&run, "that it is stuck", |look| look.stuck().is_some());
    let look = live.look(&run);
    assert_eq!((look.done("thread"), look.reached("batch")), (23, 2));
    assert_eq!(look.done("batch"), 2);
    let reason = look.stuck().unwrap();
    assert!(
        reason.starts_with("3 token(s) wait at \"merge\""),
        "{reason}"
    );
    assert_eq!(look.detail.summary.status, windlass::RunStatus::Parked);
    let scheduler = live.engine.scheduler();
    assert!(scheduler.cancel_blocking(run.id(), "enough").unwrap());
    let end = run.wait_blocking(Some(PATIENCE)).unwrap();
    assert_eq!(End::from(end), End::Cancelled);
    live.close();
}

fn thread_split(stage: &Stage) -> Built<Trail> {
    Workflow::build("thread-split", "1", |flow| {
        let thread = stage.meets("threads", 3);
        flow.copies(
            "threads",
            3,
            |flow| flow.step_async("thread", thread),
            gather,
        )
    })
}

/// A fixed number of threads is started on one branch of a run.
pub(crate) fn wcp_42_thread_split() -> Pattern {
    Pattern::new(42, thread_split, &Trail::new())
        .ends_with(["thread", "thread", "thread"])
        .asserts(
            "each_thread_is_an_activation_of_its_own_and_all_overlap",
            |pattern, setting| {
                let live = Live::open(pattern, setting);
                let played = live.play();
                assert_eq!(played.committed.count("thread"), 3);
                all_overlap(&live, "thread", 3);
                live.close();
            },
        )
        .after_kills("a_kill_leaves_no_thread_or_all", |wrecks| {
            all_or_none(wrecks, 3, |wreck| {
                let look = wreck.look.as_ref();
                look.map_or(0, |look| look.reached("thread"))
            });
        })
}
