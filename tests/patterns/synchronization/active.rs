//! Joins that wait for what can still come: WCP-37 and WCP-38.

use serde::{Deserialize, Serialize};
use serde_json::json;
use windlass::{BranchEnd, Need, Rest, StepError, Workflow};

use super::random_graphs;
use crate::harness::{Act, Built, End, Live, Look, Noted, Pattern, Setting, Stage, Trail};

/// Which of six ways are open.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ways {
    open: [bool; 6],
    trail: Trail,
}

impl Noted for Ways {
    fn note(&mut self, step: &str) {
        self.trail.note(step);
    }
}

/// What any of the tokens that met has passed, sorted.
#[expect(clippy::unnecessary_wraps, reason = "a merge can fail")]
fn passed(ways: &mut Ways, ends: Vec<BranchEnd<Ways>>) -> Result<(), StepError> {
    let came = ends.into_iter().filter_map(|end| end.ended.succeeded());
    ways.trail = came.flat_map(|ways| ways.trail).collect();
    ways.trail.sort();
    ways.trail.dedup();
    Ok(())
}

fn local_synchronizing_merge(stage: &Stage) -> Built<Ways> {
    Workflow::<Ways>::build("local-synchronizing-merge", "1", |flow| {
        flow.net("net", |net| {
            let [a, b, c, left, right, detour] =
                HELD.map(|name| net.part(|flow| flow.step_async(name, stage.held(name))));
            let [first, second] = ["first", "second"].map(|name| net.fork(name));
            let third = net.choice("third");
            let (to_half, half) = net.meet("half", &["a", "left"], Need::ActiveLocal, Rest::Queue);
            let (to_all, all) = net.meet(
                "all",
                &["half", "right", "c"],
                Need::ActiveLocal,
                Rest::Queue,
            );
            let after_half = net.part(|flow| flow.step_async("after-half", stage.mark()));
            let next = net.part(|flow| flow.step_async("next", stage.mark()));
            net.start(&first);
            net.arm_when(&first, "a", |ways| ways.open[0], &a);
            net.arm_when(&first, "b", |ways| ways.open[1], &b);
            net.arm_when(&first, "c", |ways| ways.open[2], &c);
            net.otherwise(&first, &a);
            net.connect(&a, &to_half[0]);
            // What b becomes goes to both meets, so they are no structure.
            net.connect(&b, &second);
            net.arm_when(&second, "left", |ways| ways.open[3], &left);
            net.arm_when(&second, "right", |ways| ways.open[4], &right);
            net.otherwise(&second, &right);
            net.connect(&left, &to_half[1]);
            net.connect(&right, &to_all[1]);
            net.connect(&c, &third);
            net.way(&third, "detour", |ways| ways.open[5], &detour);
            net.otherwise(&third, &to_all[2]);
            net.connect(&detour, &to_all[2]);
            net.meet_join(&half, passed);
            net.connect(&half, &after_half);
            net.connect(&after_half, &to_all[0]);
            net.meet_join(&all, passed);
            net.connect(&all, &next);
        })
    })
}

/// The steps that are held, each by a latch of its name.
const HELD: [&str; 6] = ["a", "b", "c", "left", "right", "detour"];

impl Ways {
    /// One of the 64: a way is open where its bit is set.
    fn numbered(number: usize) -> Self {
        Self {
            open: std::array::from_fn(|way| number & (1 << way) != 0),
            trail: Trail::new(),
        }
    }

    /// The held steps that are on the way.
    fn taken(&self) -> Vec<&'static str> {
        let [a, b, c, left, right, detour] = self.open;
        let taken = [
            a || !(b || c),
            b,
            c,
            b && left,
            b && (right || !left),
            c && detour,
        ];
        let steps = HELD.into_iter().zip(taken);
        steps
            .filter_map(|(step, taken)| taken.then_some(step))
            .collect()
    }
}

/// An OR-join outside a structured block: it fires once, after the last of the inputs that are live.
pub(crate) fn wcp_37_local_synchronizing_merge() -> Pattern {
    let trail = ["a", "after-half", "b", "c", "left", "right", "next"];
    Pattern::new(37, local_synchronizing_merge, &Ways::numbered(0b01_1111))
        .ends_with(json!({"open": [true, true, true, true, true, false], "trail": trail}))
        .driven_by(|look| {
            let others = ["b", "c", "left", "right", "detour"].map(Act::Open);
            let last = (at_work(look) == ["a"]).then_some(Act::Open("a"));
            others.into_iter().chain(last).collect()
        })
        .asserts(
            "whatever_is_open_it_fires_once_after_the_last_live_input",
            every_way,
        )
        .after_kills(
            "it_does_not_fire_before_all_that_is_live_has_come",
            |wrecks| {
                for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
                    let of_half = look.done("a") + look.done("b") + look.done("left");
                    assert!(of_half == 3 || look.reached("after-half") == 0);
                    let of_all = look.done("right") + look.done("c") + look.done("after-half");
                    assert!(of_half + of_all == 6 || look.reached("next") == 0);
                }
            },
        )
}

/// What goes on but tokens that wait for each other: the steps that Runners are in, or will be.
fn at_work(look: &Look) -> Vec<&str> {
    let branches = look.why.branches.iter();
    branches
        .filter(|branch| !["join", "meet"].contains(&branch.waits_for.kind))
        .map(|branch| branch.step.as_str())
        .collect()
}

fn every_way(pattern: &Pattern, setting: Setting) {
    let live = Live::open(pattern, setting);
    for number in 0..64 {
        // Another order for each, and for each setting.
        let mut order = HELD;
        order.rotate_left((number + setting.runners) % 6);
        if number % 2 == usize::from(setting.on_disk) {
            order.reverse();
        }
        one_way(&live, &Ways::numbered(number), &order);
        live.stage.close_all();
    }
    live.close();
}

/// Lets the held steps go in this order, and sees at each point that what has fired is what no step
/// can come to any more.
fn one_way(live: &Live, ways: &Ways, order: &[&'static str]) {
    let run = live.begin_with(&serde_json::to_value(ways).unwrap());
    let taken = ways.taken();
    let of_half: Vec<_> = ["a", "b", "left"]
        .into_iter()
        .filter(|step| taken.contains(step))
        .collect();
    let half = usize::from(taken.contains(&"a") || taken.contains(&"left"));
    let mut opened: Vec<&str> = Vec::new();
    loop {
        let waits = |look: &Look| {
            let at_work = at_work(look);
            let held = |step: &&str| HELD.contains(step) && !opened.contains(step);
            at_work.iter().all(held) && at_work.iter().all(|step| look.running(step) == 1)
        };
        live.until(&run, "that only held steps are at work", |look| {
            look.detail.summary.status.is_end() || waits(look)
        });
        let look = live.look(&run);
        let is_over = |steps: &[&str]| steps.iter().all(|step| look.done(step) == 1);
        let fired = half * usize::from(is_over(&of_half));
        let seen = (look.reached("after-half"), look.done("after-half"));
        assert_eq!(seen, (fired, fired), "{ways:?}: after {opened:?}");
        assert_eq!(
            look.reached("next"),
            usize::from(is_over(&taken)),
            "{ways:?}: after {opened:?}"
        );
        let Some(next) = order.iter().find(|step| look.running(step) == 1) else {
            break;
        };
        live.stage.open(next);
        opened.push(next);
    }
    let played = live.drive_any(&run);
    assert!(matches!(played.end, End::Succeeded(_)), "{:?}", played.end);
    let mut expected = [taken, vec!["next"], vec!["after-half"; half]].concat();
    expected.sort_unstable();
    assert_eq!(played.committed.steps(), expected, "{ways:?}");
}

/// A way that is gone round and round, and perhaps leads to a join.
#[derive(Debug, Serialize, Deserialize)]
struct Rounds {
    left: u32,
    comes: bool,
}

impl Rounds {
    /// The latch that holds this round.
    fn latch(&self) -> &'static str {
        ["second", "first"][self.left as usize - 1]
    }
}

impl Noted for Rounds {
    fn note(&mut self, step: &str) {
        if step == "round" {
            self.left = self.left.saturating_sub(1);
        }
    }
}

fn general_synchronizing_merge(stage: &Stage) -> Built<Rounds> {
    Workflow::<Rounds>::build("general-synchronizing-merge", "1", |flow| {
        flow.net("net", |net| {
            let fork = net.fork("both");
            let quick = net.part(|flow| flow.step_async("quick", stage.mark()));
            let round = net.part(|flow| flow.step_async("round", stage.held_by(Rounds::latch)));
            let gone = net.part(|flow| flow.step_async("gone", stage.held("gone")));
            let whither = net.choice("whither");
            let inputs = ["quick", "slow"];
            let (inputs, all) = net.meet("all", &inputs, Need::ActiveGlobal, Rest::Queue);
            let next = net.part(|flow| flow.step_async("next", stage.mark()));
            net.start(&fork);
            net.arm(&fork, "quick", &quick);
            net.arm(&fork, "slow", &round);
            net.connect(&quick, &inputs[0]);
            net.connect(&round, &whither);
            net.way(&whither, "again", |rounds| rounds.left > 0, &round);
            net.way(&whither, "comes", |rounds| rounds.comes, &inputs[1]);
            net.otherwise(&whither, &gone);
            net.connect(&all, &next);
        })
    })
}

/// An OR-join that fires when each missing input can no longer arrive, judged from the whole run's
/// state, loops included.
pub(crate) fn wcp_38_general_synchronizing_merge() -> Pattern {
    Pattern::new(
        38,
        general_synchronizing_merge,
        &Rounds {
            left: 2,
            comes: false,
        },
    )
    // Two tokens come to an end: the data is as it was before the net.
    .ends_with(json!({"left": 2, "comes": false}))
    .driven_by(|look| {
        let latches = ["first", "second"].into_iter().take(look.done("round") + 1);
        let gone = (look.done("next") == 1).then_some("gone");
        latches.chain(gone).map(Act::Open).collect()
    })
    .asserts(
        "it_does_not_fire_while_a_token_can_come_and_once_when_none_can",
        loops,
    )
    .asserts("two_that_would_wait_for_each_other_are_refused", |_, _| {
        let mutual = Workflow::<Trail>::build("mutual-wait", "1", |flow| {
            flow.net("net", |net| {
                let fork = net.fork("both");
                let [one, other] = ["one", "other"].map(|name| {
                    let need = Need::ActiveGlobal;
                    net.meet(name, &["from-fork", "from-other"], need, Rest::Queue)
                });
                net.start(&fork);
                net.arm(&fork, "one", &one.0[0]);
                net.arm(&fork, "other", &other.0[0]);
                net.connect(&one.1, &other.0[1]);
                net.connect(&other.1, &one.0[1]);
            })
        });
        let refused = mutual.unwrap_err();
        let mut codes = refused.problems.iter().map(|problem| problem.code);
        assert!(codes.any(|code| code == "mutual-wait"), "{refused}");
    })
    .asserts(
        "it_agrees_with_a_brute_force_oracle_on_a_thousand_random_graphs",
        |_, setting| {
            if setting == Setting::ALL[0] {
                // It looks at graphs, not at an engine: once is enough.
                random_graphs::agree_with_the_oracle(1_000);
            }
        },
    )
    .after_kills("it_does_not_fire_before_the_last_round", |wrecks| {
        for look in wrecks.iter().filter_map(|wreck| wreck.look.as_ref()) {
            assert!(look.done("round") == 2 || look.reached("next") == 0);
        }
    })
}

fn loops(pattern: &Pattern, setting: Setting) {
    for comes in [true, false] {
        let live = Live::open(pattern, setting);
        let run = live.begin_with(&json!({"left": 2, "comes": comes}));
        for (done, latch) in ["first", "second"].into_iter().enumerate() {
            live.until(&run, "one that waits and one that goes round", |look| {
                look.waiting_at("all") == 1
                    && look.running("round") == 1
                    && look.done("round") == done
            });
            assert_eq!(live.look(&run).reached("next"), 0, "one can come still");
            live.stage.open(latch);
        }
        if !comes {
            live.until(&run, "the firing while the other goes elsewhere", |look| {
                look.done("next") == 1 && look.running("gone") == 1
            });
            live.stage.open("gone");
        }
        let played = live.drive_any(&run);
        let gone = usize::from(!comes);
        assert_eq!(played.committed.count("next"), 1);
        assert_eq!(played.committed.count("round"), 2);
        assert_eq!(played.committed.count("gone"), gone);
        assert_eq!(played.committed.len(), 4 + gone);
        live.close();
    }
}
