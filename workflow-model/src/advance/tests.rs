//! Cases of walks.

use std::sync::Arc;

use super::*;
use crate::fault::codes;
use crate::functions::Arrival;
use crate::{CallSpec, Delay, Draft, Function, FunctionRole, StepSpec, Verdict};

const NOW: Timestamp = Timestamp(0);

fn payload(value: u32) -> Payload {
    Payload::encode(&value).unwrap()
}

fn start(definition: &Definition) -> Token {
    let node = definition.start();
    let activation = ActivationId::ORIGIN.derive(node, 0);
    Token {
        position: Position::before(node),
        activation,
        data: payload(7),
        rounds: Rounds::new(),
    }
}

fn enter(definition: &Definition, functions: &Functions) -> Advance {
    advance(
        definition,
        functions,
        start(definition),
        Inputs::Nothing,
        NOW,
    )
}

#[test]
fn a_decision_is_written_down_before_its_step_acts() {
    let mut draft = Draft::new("w", "1");
    let (choice, step) = (draft.choice("c"), draft.step("s", StepSpec::new("h")));
    draft.arm(choice, "always", "yes", Some(step));
    draft.otherwise(choice, step);
    draft.start_at(choice);
    let definition = draft.finish().unwrap();
    let mut functions = Functions::new();
    functions.insert("yes", Function::Predicate(Arc::new(|_| Ok(true))));
    let Advance::Moves(Moves {
        next: Next::Run { position, .. },
        ..
    }) = enter(&definition, &functions)
    else {
        panic!("the choice has to be committed first")
    };
    assert_eq!(position, Position::at(step));
}

#[test]
fn a_plain_first_step_is_attempted_at_once() {
    let mut draft = Draft::new("w", "1");
    let step = draft.step("s", StepSpec::new("h"));
    draft.start_at(step);
    let definition = draft.finish().unwrap();
    assert!(matches!(
        enter(&definition, &Functions::new()),
        Advance::Attempt(Handover { node, .. }) if node == step
    ));
}

#[test]
fn a_call_that_its_guard_passes_by_leaves_a_reason() {
    let mut draft = Draft::new("w", "1");
    let guarded = CallSpec {
        guard: Some("guard".to_owned()),
        ..CallSpec::new("other")
    };
    let (call, step) = (
        draft.call("c", guarded),
        draft.step("s", StepSpec::new("h")),
    );
    draft.connect(call, step);
    draft.start_at(call);
    let definition = draft.finish().unwrap();
    assert_eq!(definition.functions(), [("guard", FunctionRole::Guard)]);
    let entered = |verdict: Verdict| {
        let mut functions = Functions::new();
        let guard = Function::Guard(Arc::new(move |_| Ok(verdict.clone())));
        functions.insert("guard", guard);
        match enter(&definition, &functions) {
            Advance::Moves(moves) => moves,
            Advance::Attempt(_) => panic!("a decision is written down first"),
        }
    };
    let passed = entered(Verdict::Skip("why not".to_owned()));
    assert_eq!(passed.skipped.len(), 1);
    assert_eq!(passed.skipped[0].node, call);
    assert_eq!(passed.skipped[0].reason, "why not");
    assert!(matches!(passed.next, Next::Run { position, .. } if position == Position::at(step)));
    let made = entered(Verdict::Run);
    assert!(made.skipped.is_empty());
    assert!(matches!(made.next, Next::Call { .. }));
}

#[test]
fn only_what_can_come_to_no_step_first_leads_to_a_wait() {
    let mut draft = Draft::new("w", "1");
    let (split, join) = draft.split("p", None);
    let first = draft.compute("first", "compute");
    let (scope, left) = draft.scope("scope", None);
    let call = draft.call("call", CallSpec::new("other"));
    let last = draft.step("last", StepSpec::new("h"));
    let choice = draft.choice("choice");
    draft.arm(choice, "other", "yes", Some(last));
    draft.otherwise(choice, join);
    draft.start_at(split);
    draft.branch(split, "calls", first);
    draft.connect(first, scope);
    draft.body(scope, call);
    draft.connect(call, left);
    draft.connect(left, choice);
    draft.connect(last, join);
    let (again, end) = draft.scope("again", None);
    let second = draft.call("second", CallSpec::new("other"));
    draft.connect(join, again);
    draft.body(again, second);
    draft.connect(second, end);
    let asked = draft.choice("asked");
    let approval = draft.await_event("approval", "approval", None);
    let timer = draft.sleep("timer", Delay::FixedMs(1));
    let approved = draft.step("approved", StepSpec::new("h"));
    draft.connect(end, asked);
    draft.arm(asked, "ask", "yes", Some(approval));
    draft.arm(asked, "ask later", "yes", Some(timer));
    draft.otherwise(asked, approved);
    draft.connect(timer, approval);
    draft.connect(approval, approved);
    let definition = draft.finish().unwrap();
    let leads = |position| definition.leads_to_wait(position);
    for entering in [first, scope, call, again, asked, approval, timer] {
        assert!(leads(Position::before(entering)), "{entering:?}");
    }
    assert!(leads(Position::at(join)), "a join that leads there");
    assert!(
        leads(Position::at(end)),
        "the end of a scope that leads to a question"
    );
    assert!(leads(Position::at(timer)), "a timer that leads to an event");
    for entering in [split, last, choice, approved] {
        assert!(!leads(Position::before(entering)), "{entering:?}");
    }
    for at in [call, left, last, approval, approved] {
        assert!(!leads(Position::at(at)), "{at:?}");
    }
}

#[test]
fn a_throwing_predicate_fails_its_choice_and_nothing_else() {
    let mut draft = Draft::new("w", "1");
    let (choice, step) = (draft.choice("c"), draft.step("s", StepSpec::new("h")));
    draft.arm(choice, "boom", "boom", Some(step));
    draft.start_at(choice);
    let definition = draft.finish().unwrap();
    let mut functions = Functions::new();
    functions.insert("boom", Function::Predicate(Arc::new(|_| panic!("no"))));
    let Advance::Moves(Moves {
        next: Next::End {
            result: Err(fault), ..
        },
        ..
    }) = enter(&definition, &functions)
    else {
        panic!("the branch has to fail")
    };
    assert_eq!(
        (fault.errors[0].step.as_str(), fault.errors[0].code.as_str()),
        ("c", codes::PANICKED)
    );
}

#[test]
fn a_split_fails_with_all_errors_in_branch_order() {
    let mut draft = Draft::new("w", "1");
    let (split, join) = draft.split("p", None);
    for name in ["a", "b"] {
        let step = draft.step(name, StepSpec::new("h"));
        draft.connect(step, join);
        draft.branch(split, name, step);
    }
    draft.start_at(split);
    let definition = draft.finish().unwrap();
    let Advance::Moves(Moves {
        next: Next::Split {
            activation, data, ..
        },
        ..
    }) = enter(&definition, &Functions::new())
    else {
        panic!("a split splits")
    };
    let failed = |index, name: &str| Arrival {
        index,
        name: name.to_owned(),
        outcome: BranchOutcome::Failed(Fault::new("x", name).at(name, None, None)),
    };
    let token = Token {
        position: Position::at(join),
        activation,
        data,
        rounds: Rounds::new(),
    };
    let tally = Tally {
        expected: 2,
        failed: 2,
        ..Tally::default()
    };
    let mut both = vec![failed(0, "a"), failed(1, "b")].into_iter();
    let arrivals = Inputs::Arrivals(tally, &mut both);
    let Advance::Moves(Moves {
        next: Next::End {
            result: Err(fault), ..
        },
        ..
    }) = advance(&definition, &Functions::new(), token, arrivals, NOW)
    else {
        panic!("a split with failed branches fails")
    };
    let steps: Vec<_> = fault
        .errors
        .iter()
        .map(|error| error.step.as_str())
        .collect();
    assert_eq!(steps, ["a", "b"]);
}

/// What a split with one failed branch of two comes to whose merge gives the number of those that
/// came, or fails if `fails`.
fn judged(judges: bool, fails: bool) -> Result<u32, String> {
    let mut draft = Draft::new("w", "1");
    let (split, join) = draft.split("p", Some("merge".to_owned()));
    for name in ["a", "b"] {
        let step = draft.step(name, StepSpec::new("h"));
        draft.connect(step, join);
        draft.branch(split, name, step);
    }
    draft.on_failure(split, crate::FailurePolicy::FailFast);
    if judges {
        draft.merge_judges(join);
    }
    draft.start_at(split);
    let definition = draft.finish().unwrap();
    let merge = move |_: &Payload, arrivals: crate::Arrivals<'_>| {
        let came = u32::try_from(arrivals.count()).unwrap();
        if fails {
            return Err(Fault::new("judged", came.to_string()));
        }
        Ok(payload(came))
    };
    let mut functions = Functions::new();
    functions.insert("merge", Function::Merge(Arc::new(merge)));
    let token = Token {
        position: Position::at(join),
        ..start(&definition)
    };
    let tally = Tally {
        expected: 2,
        succeeded: 1,
        failed: 1,
        ..Tally::default()
    };
    let came = |index, outcome| Arrival {
        index,
        name: String::new(),
        outcome,
    };
    let mut both = vec![
        came(0, BranchOutcome::Succeeded(payload(1))),
        came(1, BranchOutcome::Failed(Fault::new("x", "boom"))),
    ]
    .into_iter();
    let inputs = Inputs::Arrivals(tally, &mut both);
    match advance(&definition, &functions, token, inputs, NOW) {
        Advance::Moves(Moves {
            next: Next::End { result, .. },
            ..
        }) => match result {
            Ok(data) => Ok(data.decode().unwrap()),
            Err(fault) => Err(fault.errors[0].code.clone()),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_merge_that_judges_its_join_decides_what_a_broken_rule_comes_to() {
    for (judges, fails, expected) in [
        (false, false, Err("x")),
        (true, false, Ok(2)),
        (true, true, Err("judged")),
    ] {
        let found = judged(judges, fails);
        let found = found.as_ref().map_err(String::as_str).copied();
        assert_eq!(found, expected, "{judges} {fails}");
    }
}

/// Whether a token that stands in a node under an activation may come to another one so, with gateways
/// between.
fn leads(
    definition: &Definition,
    from: (NodeId, ActivationId),
    to: (NodeId, ActivationId),
) -> bool {
    let mut open = definition.ways(from.0, from.1);
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if !matches!(definition.node(at.0).kind, crate::NodeKind::Step(_)) {
            open.extend(definition.ways(at.0, at.1));
        }
    }
    false
}

#[test]
fn ways_tell_where_a_token_comes_to_and_under_which_activation() {
    let mut draft = Draft::new("w", "1");
    let step = |draft: &mut Draft, name: &str| draft.step(name, StepSpec::new("h"));
    let (a, b, c) = (
        step(&mut draft, "a"),
        step(&mut draft, "b"),
        step(&mut draft, "c"),
    );
    let (inside, fix, end) = (
        step(&mut draft, "i"),
        step(&mut draft, "fix"),
        step(&mut draft, "e"),
    );
    let (compute, choice) = (draft.compute("x", "same"), draft.choice("y"));
    let (split, join) = draft.split("p", None);
    let (scope, left) = draft.scope("s", None);
    draft.connect(a, compute);
    draft.on_fault(a, fix, None);
    draft.connect(compute, choice);
    draft.arm(choice, "never", "no", Some(fix));
    draft.otherwise(choice, split);
    draft.branch(split, "b", b);
    draft.branch(split, "c", c);
    draft.connect(b, join);
    draft.connect(c, join);
    draft.connect(join, scope);
    draft.body(scope, inside);
    draft.connect(inside, left);
    draft.connect(left, end);
    draft.start_at(a);
    let definition = draft.finish().unwrap();
    let mut functions = Functions::new();
    functions.insert("no", Function::Predicate(Arc::new(|_| Ok(false))));
    let same = |data: &Payload| Ok(data.clone());
    functions.insert("same", Function::Compute(Arc::new(same)));
    let first = ActivationId::ORIGIN.derive(a, 0);
    let handover = Handover {
        node: a,
        activation: first,
        data: payload(1),
        rounds: Rounds::new(),
    };
    let after = |result| after_step(&definition, &functions, &handover, result, NOW).next;
    let Next::Run {
        position,
        activation,
        ..
    } = after(Err(Fault::new("x", "boom")))
    else {
        panic!("its fault path")
    };
    assert_eq!(position.node, fix);
    assert!(leads(&definition, (a, first), (fix, activation)));
    let Next::Split {
        activation,
        scope: of,
        children,
        ..
    } = after(Ok(payload(1)))
    else {
        panic!("a split")
    };
    assert!(leads(&definition, (a, first), (split, of)));
    let of_split = of;
    for child in &children {
        assert!(leads(
            &definition,
            (a, first),
            (child.node, child.activation)
        ));
    }
    let token = |node, activation| Token {
        position: Position::at(node),
        activation,
        data: payload(1),
        rounds: Rounds::new(),
    };
    let came = |node, activation| {
        let tally = Tally {
            expected: 1,
            succeeded: 1,
            ..Tally::default()
        };
        let inputs = Inputs::Arrivals(tally, &mut std::iter::empty());
        match advance(
            &definition,
            &functions,
            token(node, activation),
            inputs,
            NOW,
        ) {
            Advance::Moves(moves) => moves.next,
            Advance::Attempt(step) => Next::Run {
                position: Position::at(step.node),
                activation: step.activation,
                data: step.data,
                gated: false,
            },
        }
    };
    let Next::Split {
        activation,
        scope: of,
        children,
        ..
    } = came(join, activation)
    else {
        panic!("the scope behind the join")
    };
    assert!(leads(&definition, (split, of_split), (scope, of)));
    assert!(leads(
        &definition,
        (scope, of),
        (inside, children[0].activation)
    ));
    let Next::Run { activation, .. } = came(left, activation) else {
        panic!("the step behind the scope")
    };
    assert!(leads(&definition, (scope, of), (end, activation)));
    assert!(!leads(&definition, (scope, of), (end, of)));
}

#[test]
fn a_circle_of_gateways_is_a_fault_not_a_hang() {
    let mut draft = Draft::new("w", "1");
    let (a, b) = (draft.compute("a", "same"), draft.compute("b", "same"));
    draft.connect(a, b);
    draft.connect(b, a);
    draft.start_at(a);
    let definition = draft.finish().unwrap();
    let mut functions = Functions::new();
    functions.insert(
        "same",
        Function::Compute(Arc::new(|data: &Payload| Ok(data.clone()))),
    );
    assert!(matches!(
        enter(&definition, &functions),
        Advance::Moves(Moves { next: Next::End { result: Err(fault), .. }, .. })
            if fault.errors[0].code == codes::LOOP_WITHOUT_STEP
    ));
}

#[test]
fn a_fault_comes_in_the_words_of_its_node_handled_or_not() {
    let worded = |handled: bool, wording: Function| {
        let mut draft = Draft::new("w", "1");
        let step = draft.step("s", StepSpec::new("h"));
        let wait = draft.await_event("ask", "ask", None);
        draft.start_at(wait);
        draft.connect(wait, step);
        draft.wording(wait, "words");
        if handled {
            draft.on_fault(wait, step, Some("keep".to_owned()));
        }
        let definition = draft.finish().unwrap();
        let mut functions = Functions::new();
        functions.insert("words", wording);
        let keep = |_: &Payload, fault: &Fault| Ok(Payload::encode(&fault.summary()).unwrap());
        functions.insert("keep", Function::Fold(Arc::new(keep)));
        let token = Token {
            position: Position::at(wait),
            ..start(&definition)
        };
        let Advance::Moves(moves) = advance(&definition, &functions, token, Inputs::Due(1), NOW)
        else {
            panic!("a failure is written down")
        };
        let failed = moves.failed.map(|failed| failed.fault.summary());
        match moves.next {
            Next::End { result, .. } => {
                assert_eq!(failed, None, "the branch fails with it");
                result.unwrap_err().summary()
            }
            Next::Run { data, .. } => {
                let folded: String = data.decode().unwrap();
                assert_eq!(
                    failed.as_ref(),
                    Some(&folded),
                    "the wait has failed all the same"
                );
                folded
            }
            other => panic!("{other:?}"),
        }
    };
    let late = |fault: &Fault| {
        assert_eq!(fault.errors[0].step, "", "it is the node's own");
        Ok(Fault::new("late", "nobody has answered").errors)
    };
    let late = Function::Wording(Arc::new(late));
    assert_eq!(worded(false, late.clone()), "ask: nobody has answered");
    assert_eq!(worded(true, late), "ask: nobody has answered");
    let broken = worded(false, Function::Wording(Arc::new(|_| panic!("no"))));
    assert!(
        broken.contains("did not come in time") && broken.contains("panicked"),
        "{broken}"
    );
    let nothing = worded(false, Function::Wording(Arc::new(|_| Ok(Vec::new()))));
    assert!(nothing.contains("did not come in time"), "{nothing}");
}

#[test]
fn a_change_of_the_data_is_noted_with_its_round_before_a_step_acts_on_it() {
    let mut draft = Draft::new("w", "1");
    let (of, again) = draft.repeat("loop", "goes on", false, 9);
    let change = draft.compute("change", "add");
    let step = draft.step("s", StepSpec::new("h"));
    draft.start_at(of);
    draft.body(of, change);
    draft.connect(change, step);
    draft.connect(step, again);
    draft.note(change, "shown");
    let definition = draft.finish().unwrap();
    let number = |data: &Payload| data.decode::<u32>().unwrap_or(0);
    let mut functions = Functions::new();
    functions.insert("goes on", Function::Predicate(Arc::new(|_| Ok(true))));
    let add = move |data: &Payload| Ok(Payload::encode(&(number(data) + 1)).unwrap());
    functions.insert("add", Function::Compute(Arc::new(add)));
    let shown = move |data: &Payload| {
        let text = format!("it is {}", number(data));
        Ok(Payload::encode(&text).unwrap())
    };
    functions.insert("shown", Function::Compute(Arc::new(shown)));
    let noted = |advance: Advance| {
        let Advance::Moves(Moves { besides, next, .. }) = advance else {
            panic!("what is noted is written down first")
        };
        let Next::Run {
            activation, data, ..
        } = next
        else {
            panic!("{next:?}")
        };
        let noted = besides.unwrap().noted.remove(0);
        let text: String = noted.output.decode().unwrap();
        (text, noted.rounds, activation, data)
    };
    let (text, rounds, activation, data) = noted(enter(&definition, &functions));
    assert_eq!((text.as_str(), rounds), ("it is 8", vec![(of, 0)]));
    let handover = Handover {
        node: step,
        activation,
        data: data.clone(),
        rounds: vec![(of, 0)],
    };
    let moves = after_step(&definition, &functions, &handover, Ok(data), NOW);
    let (text, rounds, ..) = noted(Advance::Moves(moves));
    assert_eq!((text.as_str(), rounds), ("it is 9", vec![(of, 1)]));

    functions.insert("shown", Function::Compute(Arc::new(|_| panic!("no"))));
    assert!(matches!(
        enter(&definition, &functions),
        Advance::Moves(Moves { next: Next::End { result: Err(fault), .. }, .. })
            if fault.errors[0].code == codes::PANICKED && fault.errors[0].step == "change"
    ));
}
