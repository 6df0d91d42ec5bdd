//! The same tree, built for the engine.

use std::time::Duration;

use windlass::{
    Arms, BranchResult, FailurePolicy, Flow, Map, Need, Net, Rest, StepError, Workflow,
};

use crate::reference::FAIL;
use crate::shape::{
    self, Called, Comes, Count, Data, Join, Kind, MeetWaits, Node, Seq, Shape, Undo, Wait,
    Withdrawer,
};
use crate::undo::Undone;

/// The timer of a select whose event is never sent.
pub(crate) const SOON: Duration = Duration::from_millis(40);

/// The timer of a select whose event is sent: no clock of these tests gets there, though it jumps by
/// twenty years.
const NEVER: Duration = Duration::from_hours(300_000);

/// The prefix of the events that the outside sends.
pub(crate) const SENT: &str = "sent-";

/// The prefix of the events that are waited for where the outside may withdraw it.
pub(crate) const HELD: &str = "held-";

/// The tree as a workflow; what it undoes it notes in `undone`.
pub(crate) fn workflow(shape: &Shape, undone: &Undone) -> Workflow<Data> {
    let flow = |flow: Flow<Data>| {
        let flow = sequence(flow, &shape.body, undone);
        if shape.has_deadline {
            flow.deadline(NEVER)
        } else {
            flow
        }
    };
    Workflow::build("model", "1", flow).unwrap()
}

/// The workflow whose runs live on by themselves; what they begin with they note in `asides`.
pub(crate) fn aside_workflow(asides: &Undone) -> Workflow<Data> {
    let asides = asides.clone();
    let flow = |flow: Flow<Data>| {
        let flow = flow.sleep("pause", Duration::from_millis(5));
        flow.step("aside", move |context, data| {
            asides.note(context, data);
            Ok(())
        })
    };
    Workflow::build("aside", "1", flow).unwrap()
}

/// The workflow whose runs take too long.
pub(crate) fn late_workflow() -> Workflow<Data> {
    let flow = |flow: Flow<Data>| {
        let flow = flow.wait_event("waits", "never", |_, (): ()| {});
        flow.deadline(Duration::from_millis(30))
    };
    Workflow::build("late", "1", flow).unwrap()
}

/// The workflow that the tree calls.
pub(crate) fn second_workflow(undone: &Undone) -> Workflow<Called> {
    let undone = undone.clone();
    let flow = |flow: Flow<Called>| {
        let flow = flow.sleep("pause", Duration::from_millis(3));
        let flow = flow.step("first", |_, _| Ok(()));
        let flow = flow.undo(move |context, called: &Called| {
            if called.noted {
                undone.note(context, &called.trace());
            }
            Ok(())
        });
        let flow = flow.step("check", |_, called| {
            if called.fails() {
                return Err(failed());
            }
            Ok(())
        });
        let flow = flow.choice("deep", |arms| {
            let below = |flow: Flow<Called>| {
                flow.run(
                    "below",
                    "second",
                    |called| called.below(),
                    |called, came: Called| {
                        called.n = came.n;
                    },
                )
            };
            arms.when("deeper", |called| called.calls(), below)
        });
        flow.step("second", |_, called| {
            called.n = called.doubled();
            Ok(())
        })
    };
    Workflow::build("second", "1", flow).unwrap()
}

fn failed() -> StepError {
    StepError::new(FAIL, "as it should").permanent()
}

fn sequence(flow: Flow<Data>, seq: &Seq, undone: &Undone) -> Flow<Data> {
    seq.iter().fold(flow, |flow, node| {
        let flow = construct(flow, node, undone);
        let flow = undoing(flow, node, undone);
        let number = node.number;
        match &node.recover {
            Some(path) => flow.recover(
                move |data, _fault| data.pass(number),
                |flow| sequence(flow, path, undone),
            ),
            None => flow,
        }
    })
}

/// Adds how the step before is undone, if it can be.
fn undoing(flow: Flow<Data>, node: &Node, undone: &Undone) -> Flow<Data> {
    let Some(how) = node.undo else {
        return flow;
    };
    let (flow, fails) = match (how, &node.kind) {
        (Undo::AtOnce, _) => (flow, false),
        (Undo::AtLast, Kind::Flaky(_)) => (flow, true),
        (Undo::AtLast, _) => (flow.retry(2, Duration::from_millis(5)), true),
    };
    let undone = undone.clone();
    flow.undo(move |context, data| {
        if fails && context.attempt() == 1 {
            return Err(StepError::failed("once more"));
        }
        undone.note(context, data);
        Ok(())
    })
}

fn construct(flow: Flow<Data>, node: &Node, undone: &Undone) -> Flow<Data> {
    let number = node.number;
    let name = format!("n{number}");
    let name = name.as_str();
    match &node.kind {
        Kind::Step => flow.step(name, move |_, data| {
            data.pass(number);
            Ok(())
        }),
        Kind::Gated => {
            let milestone = format!("{name}-reached");
            let flow = flow.milestone(&format!("{name}-milestone"), &milestone);
            let flow = flow.step(name, move |_, data| {
                data.pass(number);
                Ok(())
            });
            flow.only_while(&milestone)
        }
        Kind::Careful { once } => {
            let flow = flow.step(name, move |_, data| {
                data.pass(number);
                Ok(())
            });
            if *once {
                flow.at_most_once_or(|_, _| Err(StepError::not_done()))
            } else {
                flow.idempotent(|data| format!("{data:?}"))
            }
        }
        Kind::Overdue => {
            let waits = format!("{name}-waits");
            let flow = flow.scope(name, |flow| {
                flow.wait_event(&waits, "never", |_, (): ()| {})
            });
            flow.scope_timeout(Duration::from_millis(30))
        }
        Kind::Late => flow.run(name, "late", Data::clone, |_, _: Data| {}),
        Kind::Passed => {
            let milestone = format!("{name}-reached");
            let flow = flow.milestone(&format!("{name}-milestone"), &milestone);
            let flow = flow.milestone_passed(&format!("{name}-passed"), &milestone);
            let flow = flow.step(name, |_, _| Ok(()));
            flow.only_while(&milestone)
        }
        Kind::Endless => flow.wait_event(name, "never", |_, (): ()| {}),
        Kind::Terminate { divisor } => {
            let (divisor, end) = (*divisor, format!("{name}-end"));
            let when = move |data: &Data| data.divides(divisor);
            flow.choice(name, |arms| {
                arms.when("ends", when, |flow| flow.terminate(&end))
            })
        }
        Kind::Aside => flow.run_detached(name, "aside", Data::clone),
        Kind::Fail => flow.step(name, |_, _| Err(failed())),
        Kind::Flaky(failures) => {
            let failures = *failures;
            let flow = flow.step(name, move |context, data| {
                if context.attempt() <= failures {
                    return Err(StepError::failed("once more"));
                }
                data.pass(number);
                Ok(())
            });
            flow.retry(failures + 1, Duration::from_millis(5))
        }
        Kind::Change { fails_on } => {
            let fails_on = *fails_on;
            flow.change(name, move |data| {
                if fails_on.is_some_and(|divisor| data.divides(divisor)) {
                    return Err(failed());
                }
                data.pass(number);
                Ok(())
            })
        }
        Kind::Sleep { ms } => flow.sleep(name, Duration::from_millis(*ms)),
        Kind::Wait(wait) => waiting(flow, name, number, *wait),
        Kind::Choice {
            divisor,
            then,
            otherwise,
        } => {
            let divisor = *divisor;
            let arms = |arms: Arms<Data>| {
                let when = move |data: &Data| data.divides(divisor);
                let arms = arms.when("then", when, |flow| sequence(flow, then, undone));
                match otherwise {
                    Some(seq) => arms.otherwise(|flow| sequence(flow, seq, undone)),
                    None => arms,
                }
            };
            flow.choice(name, arms)
        }
        Kind::Loop {
            until,
            rounds,
            rounds_max,
            body,
        } => {
            let rounds = *rounds;
            let wants = move |data: &Data| data.wants_round(number, rounds);
            let round = |flow: Flow<Data>| {
                let begun = flow.change(&format!("{name}-round"), move |data| {
                    data.pass(number);
                    Ok(())
                });
                sequence(begun, body, undone)
            };
            if *until {
                flow.repeat_until(name, *rounds_max, move |data| !wants(data), round)
            } else {
                flow.repeat_while(name, *rounds_max, wants, round)
            }
        }
        Kind::Scope(body) => flow.scope(name, |flow| sequence(flow, body, undone)),
        Kind::Critical { mutex, body } => flow.critical(name, &format!("m{mutex}"), |flow| {
            sequence(flow, body, undone)
        }),
        Kind::Detach(body) => flow.detach(name, |flow| sequence(flow, body, undone)),
        Kind::Call { safe, noted } => {
            let (safe, noted) = (*safe, *noted);
            let input = move |data: &Data| Called {
                n: data.n,
                safe,
                noted,
            };
            flow.run(name, "second", input, move |data, came: Called| {
                data.n = came.n;
                data.pass(number);
            })
        }
        Kind::Meet(meet) => flow.net(name, |net| meeting(net, name, number, meet, undone)),
        Kind::Merge { arms, after } => flow.net(name, |net| {
            let fork = net.fork(&format!("{name}-fork"));
            let point = net.multi_merge(&format!("{name}-merge"));
            net.start(&fork);
            for (index, arm) in arms.iter().enumerate() {
                let part = net.part(|flow| sequence(flow, arm, undone));
                net.arm(&fork, &format!("arm{index}"), &part);
                net.connect(&part, &point);
            }
            let after = net.part(|flow| sequence(flow, after, undone));
            net.connect(&point, &after);
            net.join(move |data, ends| {
                let tokens = ends.into_iter().filter_map(|end| end.ended.succeeded());
                *data = Data::merged(number, tokens.collect());
                Ok(())
            });
        }),
        Kind::Withdraw { held, by } => withdrawing(flow, number, held, *by, undone),
        Kind::Cycle {
            rounds,
            body,
            after,
        } => flow.net(name, |net| {
            let rounds = *rounds;
            let round = net.part(|flow| {
                let begun = flow.change(&format!("{name}-round"), move |data| {
                    data.pass(number);
                    Ok(())
                });
                sequence(begun, body, undone)
            });
            let choice = net.choice(&format!("{name}-again"));
            let after = net.part(|flow| sequence(flow, after, undone));
            net.start(&round);
            net.connect(&round, &choice);
            let again = move |data: &Data| data.wants_round(number, rounds);
            net.way(&choice, "again", again, &round);
            net.otherwise(&choice, &after);
        }),
        Kind::Select { sent, event, timer } => {
            let delay = if *sent { NEVER } else { SOON };
            let event_name = if *sent {
                format!("{SENT}{number}")
            } else {
                format!("unsent-{number}")
            };
            flow.select(name, |arms| {
                let reply = move |data: &mut Data, n| data.take(number, n);
                arms.on_event("event", &event_name, reply, |flow| {
                    maybe(flow, event.as_ref(), undone)
                })
                .after("timer", delay, |flow| maybe(flow, timer.as_ref(), undone))
            })
        }
        Kind::Map(map) => flow.map(name, |draft| instances(draft, number, map, undone)),
        Kind::Split { .. } | Kind::Multi { .. } | Kind::Copies { .. } | Kind::Each { .. } => {
            block(flow, node, name, undone)
        }
    }
}

fn meeting(net: &mut Net<Data>, name: &str, number: u32, meet: &shape::Meet, undone: &Undone) {
    let names: Vec<_> = (0..meet.arms.len())
        .map(|arm| format!("arm{arm}"))
        .collect();
    let inputs: Vec<_> = names.iter().map(String::as_str).collect();
    let need = match meet.waits {
        MeetWaits::All => Need::All,
        MeetWaits::ActiveLocal => Need::ActiveLocal,
        MeetWaits::ActiveGlobal => Need::ActiveGlobal,
    };
    let (inputs, point) = net.meet(&format!("{name}-meet"), &inputs, need, Rest::Queue);
    let fork = net.fork(&format!("{name}-fork"));
    net.start(&fork);
    for (((when, arm), input), name) in meet.arms.iter().zip(&inputs).zip(&names) {
        let part = net.part(|flow| sequence(flow, arm, undone));
        match *when {
            Some(divisor) => net.arm_when(&fork, name, move |data| data.divides(divisor), &part),
            None => net.arm(&fork, name, &part),
        }
        net.connect(&part, input);
    }
    net.meet_join(&point, move |data, ends| {
        let tokens = ends.into_iter().filter_map(|end| end.ended.succeeded());
        *data = Data::met(number, tokens.collect());
        Ok(())
    });
    let after = net.part(|flow| sequence(flow, &meet.after, undone));
    net.connect(&point, &after);
    if meet.arms.iter().all(|(when, _)| when.is_some()) {
        net.otherwise(&fork, &after);
    }
}

fn withdrawing(
    flow: Flow<Data>,
    number: u32,
    held: &Seq,
    by: Withdrawer,
    undone: &Undone,
) -> Flow<Data> {
    let (scope, waits) = (format!("n{number}-held"), format!("n{number}-waits"));
    flow.split(&format!("n{number}-split"), |split| {
        let scoped = |flow: Flow<Data>| {
            flow.scope(&scope, |flow| {
                let flow = sequence(flow, held, undone);
                let flow = flow.milestone(&format!("n{number}-milestone"), &waits);
                flow.wait_event(&waits, &format!("{HELD}{number}"), |_, (): ()| {})
            })
        };
        let other = |flow: Flow<Data>| {
            let flow = flow.step(&format!("n{number}"), move |_, data| {
                data.pass(number);
                Ok(())
            });
            match by {
                Withdrawer::Branch => flow
                    .only_while(&waits)
                    .cancel(&format!("n{number}-cancel"), &scope),
                Withdrawer::Outside => flow,
            }
        };
        split
            .branch("held", scoped)
            .branch("other", other)
            .join(merge(number, Join::All))
    })
}

fn waiting(flow: Flow<Data>, name: &str, number: u32, wait: Wait) -> Flow<Data> {
    let (event, timeout) = if wait.comes == Comes::Nothing {
        (format!("unsent-{number}"), SOON)
    } else {
        (format!("{SENT}{number}"), NEVER)
    };
    let mut flow = flow.wait_event(name, &event, move |data, n| data.take(number, n));
    if wait.has_timeout {
        flow = flow.wait_timeout(timeout);
    }
    if wait.correlated {
        flow = flow.correlated(move |data| wait.correlation(data).to_string());
    }
    if wait.transient {
        flow = flow.transient();
    }
    flow
}

fn maybe(flow: Flow<Data>, seq: Option<&Seq>, undone: &Undone) -> Flow<Data> {
    match seq {
        Some(seq) => sequence(flow, seq, undone),
        None => flow,
    }
}

fn block(flow: Flow<Data>, node: &Node, name: &str, undone: &Undone) -> Flow<Data> {
    let number = node.number;
    match &node.kind {
        Kind::Split {
            branches,
            join,
            parallelism,
        } => flow.split(name, |mut split| {
            for (index, branch) in branches.iter().enumerate() {
                split = split.branch(&format!("b{index}"), |flow| sequence(flow, branch, undone));
            }
            if let Some(limit) = parallelism {
                split = split.max_parallelism(*limit);
            }
            let (need, rest) = need(*join);
            split
                .need(need, rest)
                .on_failure(policy(*join))
                .join(merge(number, *join))
        }),
        Kind::Multi {
            arms,
            otherwise,
            join,
        } => flow.multi(name, |mut multi| {
            for (index, (divisor, arm)) in arms.iter().enumerate() {
                let divisor = *divisor;
                let when = move |data: &Data| data.divides(divisor);
                multi = multi.when(&format!("b{index}"), when, |flow| {
                    sequence(flow, arm, undone)
                });
            }
            multi
                .otherwise("otherwise", |flow| sequence(flow, otherwise, undone))
                .on_failure(policy(*join))
                .join(merge(number, *join))
        }),
        Kind::Copies { count, each } => flow.copies(
            name,
            *count,
            |flow| sequence(flow, each, undone),
            merge(number, Join::All),
        ),
        Kind::Each {
            count,
            parallelism,
            each,
        } => {
            let count = *count;
            let items = move |data: &Data| {
                let item = |index: u32| (index.to_string(), data.clone().item(index));
                (0..count.of(data)).map(item).collect()
            };
            flow.split_each(
                name,
                *parallelism,
                items,
                |flow| sequence(flow, each, undone),
                merge(number, Join::All),
            )
        }
        _ => unreachable!("no block"),
    }
}

fn instances(draft: Map<Data>, number: u32, map: &shape::Map, undone: &Undone) -> Map<Data> {
    let (need, left) = need(map.join);
    let mut draft = match map.count {
        Count::Fixed(count) => draft.count(count),
        count @ Count::Rest(_) => draft.count_of(move |data| count.of(data)),
    };
    draft = draft
        .max_parallelism(map.parallelism)
        .need(need, left)
        .on_failure(policy(map.join))
        .each(|flow| sequence(flow, &map.each, undone));
    if map.by_index {
        draft = draft.item(Data::item);
    }
    if map.open.is_some() {
        draft = draft.open();
    }
    if let Some((needed, cancel)) = map.until {
        draft = draft.until(rest(cancel), move |counted: &mut u32, _| {
            *counted += 1;
            *counted >= needed
        });
    }
    let (gathers, count) = (map.gathers(), map.count);
    // What came with an added instance is all its own.
    let before = move |data: &Data, name: &str| {
        let is_added = name.parse::<u32>().unwrap() >= count.of(data);
        if is_added { 0 } else { data.trail.len() }
    };
    if map.reduces {
        return draft.reduce(move |data, end| {
            let own = end.ended.succeeded().filter(|_| gathers);
            if let Some(own) = own {
                data.reduce(number, &own);
            }
            Ok(())
        });
    }
    draft.join(move |data, ends| {
        let split = data.clone();
        for end in ends.into_iter().filter(|_| gathers) {
            let before = before(&split, &end.name);
            if let Some(own) = end.ended.succeeded() {
                data.gather(before, own);
            }
        }
        data.pass(number);
        Ok(())
    })
}

fn rest(cancel: bool) -> Rest {
    if cancel { Rest::Cancel } else { Rest::Absorb }
}

fn need(join: Join) -> (Need, Rest) {
    match join {
        Join::All | Join::Tolerate(_) | Join::FailFast => (Need::All, Rest::Absorb),
        Join::First { cancel } => (Need::First, rest(cancel)),
        Join::AtLeast { needed, cancel } => (Need::AtLeast(needed), rest(cancel)),
    }
}

fn policy(join: Join) -> FailurePolicy {
    match join {
        Join::All | Join::First { .. } | Join::AtLeast { .. } => FailurePolicy::SettleAll,
        Join::Tolerate(failures) => FailurePolicy::Tolerate(failures),
        Join::FailFast => FailurePolicy::FailFast,
    }
}

/// All that all branches made, where all were waited for; else only that the block was passed.
fn merge(
    number: u32,
    join: Join,
) -> impl Fn(&mut Data, Vec<BranchResult<Data>>) -> Result<(), StepError> + Send + Sync + 'static {
    move |data, results| {
        if join.needed().is_none() {
            let before = data.trail.len();
            for result in results {
                data.gather(before, result.data);
            }
        }
        data.pass(number);
        Ok(())
    }
}
