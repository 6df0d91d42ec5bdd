//! What a run of an imported graph does, played by the model's own rules.

use serde_json::{Value, json};
use windlass_dialects::{ImportedWorkflow, record_output, run_outputs};
use windlass_workflow_model::{
    ActivationId, Advance, Arrival, Fault, Inputs, Moves, Next, Payload, Position, Token, advance,
    after_step,
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
    let mut inputs = Inputs::Nothing;
    loop {
        let moves: Moves = match advance(definition, functions, token, inputs) {
            Advance::Moves(moves) => moves,
            Advance::Attempt(step) => {
                let name = definition.node(step.node).name.clone();
                done.push(name.clone());
                let data = step.data.clone();
                let result = work(&name).and_then(|output| record_output(&data, &name, &output));
                after_step(definition, functions, &step, result)
            }
        };
        inputs = Inputs::Nothing;
        token = match moves.next {
            Next::End { result, .. } => return result,
            Next::Run {
                position,
                activation,
                data,
            } => Token {
                position,
                activation,
                data,
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
                        };
                        let result = play(imported, token, work, done);
                        Arrival {
                            index: child.index,
                            name: child.name,
                            result,
                        }
                    })
                    .collect();
                arrivals.sort_by_key(|arrival| arrival.index);
                inputs = Inputs::Arrivals(arrivals);
                Token {
                    position: Position::at(join),
                    activation,
                    data,
                }
            }
            other => panic!("unexpected {other:?}"),
        };
    }
}

fn run(text: &str, work: Work<'_>) -> (Result<Payload, Fault>, Vec<String>) {
    let imported = workflow(text);
    let start = imported.definition.start();
    let token = Token {
        position: Position::before(start),
        activation: ActivationId::ORIGIN.derive(start, 0),
        data: Payload::null(),
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
