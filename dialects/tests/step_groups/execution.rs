//! What a run of an imported graph does, played by the model's own rules.

use serde_json::{Value, json};
use windlass_dialects::{ImportedWorkflow, record_output, run_outputs};
use windlass_workflow_model::{
    ActivationId, Advance, Arrival, BranchOutcome, Fault, Inputs, Moves, Next, Payload, Position,
    Rounds, Tally, Timestamp, Token, advance, after_step,
};

use crate::checks::workflow;

type Work<'a> = &'a dyn Fn(&str) -> Result<Value, Fault>;

/// Plays one branch to its end, branches of splits in reverse order, and notes the steps it does.
fn play(
    imported: &ImportedWorkflow,
    mut token: Token,
    work: Work<'_>,
    done: &mut Vec<String>,
) -> Result<Payload, Fault> {
    let (definition, functions) = (&imported.definition, &imported.functions);
    let now = Timestamp(0);
    let mut arrived = Vec::new();
    loop {
        let tally = tally(&arrived);
        let mut came = std::mem::take(&mut arrived).into_iter();
        let inputs = match tally.expected {
            0 => Inputs::Nothing,
            _ => Inputs::Arrivals(tally, &mut came),
        };
        let moves: Moves = match advance(definition, functions, token, inputs, now) {
            Advance::Moves(moves) => moves,
            Advance::Attempt(step) => {
                let name = definition.node(step.node).name.clone();
                done.push(name.clone());
                let data = step.data.clone();
                let result = work(&name).and_then(|output| record_output(&data, &name, &output));
                after_step(definition, functions, &step, result, now)
            }
        };
        token = match moves.next {
            Next::End { result, .. } => return result,
            Next::Run {
                position,
                activation,
                data,
                ..
            } => Token {
                position,
                activation,
                data,
                rounds: moves.rounds,
            },
            Next::Split {
                join,
                activation,
                data,
                children,
                ..
            } => {
                let mut arrivals: Vec<_> = children
                    .into_iter()
                    .rev()
                    .map(|child| {
                        let token = Token {
                            position: Position::before(child.node),
                            activation: child.activation,
                            data: child.data.unwrap_or_else(|| data.clone()),
                            rounds: Rounds::new(),
                        };
                        let result = play(imported, token, work, done);
                        Arrival {
                            index: child.index,
                            name: child.name,
                            outcome: match result {
                                Ok(data) => BranchOutcome::Succeeded(data),
                                Err(fault) => BranchOutcome::Failed(fault),
                            },
                        }
                    })
                    .collect();
                arrivals.sort_by_key(|arrival| arrival.index);
                arrived = arrivals;
                Token {
                    position: Position::at(join),
                    activation,
                    data,
                    rounds: moves.rounds,
                }
            }
            other => panic!("unexpected {other:?}"),
        };
    }
}

/// How many of the branches came how.
fn tally(arrived: &[Arrival]) -> Tally {
    let succeeded = |arrival: &&Arrival| matches!(arrival.outcome, BranchOutcome::Succeeded(_));
    let expected = u32::try_from(arrived.len()).expect("a few");
    let succeeded = u32::try_from(arrived.iter().filter(succeeded).count()).expect("a few");
    Tally {
        expected,
        succeeded,
        failed: expected - succeeded,
        ..Tally::default()
    }
}

fn run(text: &str, work: Work<'_>) -> (Result<Payload, Fault>, Vec<String>) {
    let imported = workflow(text);
    let start = imported.definition.start();
    let token = Token {
        position: Position::before(start),
        activation: ActivationId::ORIGIN.derive(start, 0),
        data: Payload::null(),
        rounds: Rounds::new(),
    };
    let mut done = Vec::new();
    let result = play(&imported, token, work, &mut done);
    (result, done)
}

const TEXT: &str = "
steps:
  - {name: a, type: t, parallelGroup: 1}
  - {name: b, type: t, parallelGroup: 1}
  - {name: c, type: t}
  - {name: d, type: t}
";

#[test]
fn outputs_of_all_steps_come_in_document_order() {
    let (result, done) = run(TEXT, &|step| Ok(json!({ "from": step })));
    assert_eq!(done, ["b", "a", "c", "d"]);
    let outputs = run_outputs(&result.unwrap());
    let names: Vec<_> = outputs.as_object().unwrap().keys().collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(outputs["b"], json!({"from": "b"}));
}

#[test]
fn a_failed_phase_settles_its_steps_and_ends_the_run_with_all_errors_in_document_order() {
    let fails = |step: &str| match step {
        "a" | "b" => Err(Fault::new("handler-failed", format!("{step} broke"))),
        _ => Ok(Value::Null),
    };
    let (result, done) = run(TEXT, &fails);
    assert_eq!(
        done,
        ["b", "a"],
        "siblings settle, later phases are never reached"
    );
    let errors = result.unwrap_err().errors;
    let found: Vec<_> = errors
        .iter()
        .map(|e| (e.step.as_str(), e.parent.as_deref()))
        .collect();
    assert_eq!(found, [("a", Some("phase-1")), ("b", Some("phase-1"))]);
}

#[test]
fn one_failure_does_not_keep_its_sibling_from_working() {
    let fails = |step: &str| match step {
        "b" => Err(Fault::new("handler-failed", "broke")),
        _ => Ok(Value::Null),
    };
    let (result, done) = run(TEXT, &fails);
    assert_eq!(done, ["b", "a"]);
    let errors = result.unwrap_err().errors;
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (errors[0].step.as_str(), errors[0].code.as_str()),
        ("b", "handler-failed")
    );
}
