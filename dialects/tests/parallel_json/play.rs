//! Plays a run by the model's own rules, without an engine: one branch after the other, in a chosen
//! order, until the join says that it is over.

use serde_json::{Value, json};
use windlass_dialects::{ImportedWorkflow, record_output, run_outputs, step_input};
use windlass_workflow_model::{
    ActivationId, Advance, Arrival, BranchOutcome, Decision, FailurePolicy, Fault, Inputs, Moves,
    Next, NodeId, NodeKind, Payload, Position, Rounds, Tally, Timestamp, Token, advance,
    after_step, codes,
};

/// What an agent answers: from the name of the agent, the step and its input.
pub(crate) type Work<'a> = &'a dyn Fn(&str, &str, &Value) -> Result<Value, Fault>;

/// The agents of the specification's examples: `ok`, `bad`, and `hang`, which never answers.
pub(crate) fn agents(agent: &str, step: &str, _: &Value) -> Result<Value, Fault> {
    match agent {
        "bad" => Err(Fault::new("handler-failed", "boom")),
        "hang" => Err(Fault::new("hang", "it hangs")),
        _ => Ok(json!({ "v": step })),
    }
}

/// What a run has come to.
pub(crate) struct Played {
    pub(crate) result: Result<Payload, Fault>,
    /// The steps whose agent was called, in order.
    pub(crate) called: Vec<String>,
    /// What they were given.
    pub(crate) inputs: Vec<Value>,
}

impl Played {
    /// The outputs of all steps.
    pub(crate) fn outputs(&self) -> Value {
        match &self.result {
            Ok(data) => run_outputs(data),
            Err(fault) => panic!("the run failed: {}", fault.summary()),
        }
    }

    /// The whole data of a run that succeeded.
    pub(crate) fn data(&self) -> Value {
        self.result
            .as_ref()
            .expect("it succeeds")
            .decode()
            .expect("JSON")
    }

    /// The errors of a run that failed: step, branch, code and message.
    pub(crate) fn errors(&self) -> Vec<String> {
        let fault = self.result.as_ref().expect_err("it fails");
        let line = |e: &windlass_workflow_model::ErrorEntry| {
            let branch = e.branch.as_deref().unwrap_or("-");
            format!("{} ({branch}) {}: {}", e.step, e.code, e.message)
        };
        fault.errors.iter().map(line).collect()
    }

    /// What a step was given.
    pub(crate) fn input_of(&self, step: &str) -> &Value {
        let at = self.called.iter().position(|called| called == step);
        &self.inputs[at.unwrap_or_else(|| panic!("{step} was not called"))]
    }
}

/// In which order branches are played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    First,
    Last,
}

/// Plays a run.
pub(crate) fn play(
    imported: &ImportedWorkflow,
    input: &Value,
    order: Order,
    work: Work<'_>,
) -> Played {
    let mut player = Player {
        imported,
        order,
        work,
        called: Vec::new(),
        inputs: Vec::new(),
    };
    let start = imported.definition.start();
    let token = Token {
        position: Position::before(start),
        activation: ActivationId::ORIGIN.derive(start, 0),
        data: Payload::encode(input).expect("JSON"),
        rounds: Rounds::new(),
    };
    let result = player.branch(token, Inputs::Nothing);
    Played {
        result,
        called: player.called,
        inputs: player.inputs,
    }
}

struct Player<'a> {
    imported: &'a ImportedWorkflow,
    order: Order,
    work: Work<'a>,
    called: Vec<String>,
    inputs: Vec<Value>,
}

impl Player<'_> {
    fn branch(&mut self, token: Token, inputs: Inputs<'_>) -> Result<Payload, Fault> {
        let (definition, functions) = (&self.imported.definition, &self.imported.functions);
        let now = Timestamp(0);
        let mut advanced = advance(definition, functions, token, inputs, now);
        loop {
            let moves: Moves = match advanced {
                Advance::Moves(moves) => moves,
                Advance::Attempt(step) => {
                    let result = self.attempt(step.node, &step.data);
                    after_step(definition, functions, &step, result, now)
                }
            };
            let rounds = moves.rounds;
            match moves.next {
                Next::End { result, .. } => return result,
                Next::Run {
                    position,
                    activation,
                    data,
                    ..
                } => {
                    let token = Token {
                        position,
                        activation,
                        data,
                        rounds,
                    };
                    advanced = advance(definition, functions, token, Inputs::Nothing, now);
                }
                Next::Split {
                    join,
                    activation,
                    data,
                    children,
                    timeout,
                    ..
                } => {
                    let tokens = children.into_iter().map(|child| {
                        let token = Token {
                            position: Position::before(child.node),
                            activation: child.activation,
                            data: child.data.unwrap_or_else(|| data.clone()),
                            rounds: Rounds::new(),
                        };
                        (child.index, child.name, token, None)
                    });
                    let (tally, arrivals) = self.settle(join, tokens.collect());
                    let token = Token {
                        position: Position::at(join),
                        activation,
                        data,
                        rounds,
                    };
                    let hangs = |arrival: &Arrival| matches!(&arrival.outcome, BranchOutcome::Failed(fault) if fault.errors[0].code == "hang");
                    let mut arrivals = arrivals.into_iter();
                    let inputs = if timeout.is_some() && arrivals.as_slice().iter().any(hangs) {
                        Inputs::Refused(Fault::new(codes::SCOPE_TIMEOUT, "too late").permanent())
                    } else {
                        Inputs::Arrivals(tally, &mut arrivals)
                    };
                    advanced = advance(definition, functions, token, inputs, now);
                }
                Next::Map {
                    map,
                    join,
                    activation,
                    scope,
                    data,
                    count,
                    ..
                } => {
                    let tokens = (0..count).map(|index| {
                        let token = Token {
                            position: Position::at(map),
                            activation: scope.derive(map, index),
                            data: data.clone(),
                            rounds: Rounds::new(),
                        };
                        (index, index.to_string(), token, Some(index))
                    });
                    let (tally, arrivals) = self.settle(join, tokens.collect());
                    let token = Token {
                        position: Position::at(join),
                        activation,
                        data,
                        rounds,
                    };
                    let mut arrivals = arrivals.into_iter();
                    let inputs = Inputs::Arrivals(tally, &mut arrivals);
                    advanced = advance(definition, functions, token, inputs, now);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// Plays branches until their join is over; what is left then has not come in.
    fn settle(
        &mut self,
        join: NodeId,
        mut tokens: Vec<(u32, String, Token, Option<u32>)>,
    ) -> (Tally, Vec<Arrival>) {
        let rule = self.imported.definition.join_rule(join).expect("a join");
        let mut tally = Tally {
            expected: u32::try_from(tokens.len()).expect("a few"),
            ..Tally::default()
        };
        if self.order == Order::Last {
            tokens.reverse();
        }
        let mut arrivals = Vec::new();
        for (index, name, token, instance) in tokens {
            if rule.decide(&tally) != Decision::Wait {
                break;
            }
            // The instances that live are waited for; here one lives at a time.
            if rule.on_failure == FailurePolicy::Drain && tally.failed > 0 {
                tally.expected = tally.arrived();
                break;
            }
            let inputs = instance.map_or(Inputs::Nothing, |index| Inputs::Instance(index, None));
            let outcome = match self.branch(token, inputs) {
                Ok(data) => {
                    tally.succeeded += 1;
                    BranchOutcome::Succeeded(data)
                }
                Err(fault) => {
                    tally.failed += 1;
                    BranchOutcome::Failed(fault)
                }
            };
            arrivals.push(Arrival {
                index,
                name,
                outcome,
            });
        }
        arrivals.sort_by_key(|arrival| arrival.index);
        (tally, arrivals)
    }

    fn attempt(&mut self, node: NodeId, data: &Payload) -> Result<Payload, Fault> {
        let node = self.imported.definition.node(node);
        let NodeKind::Step(spec) = &node.kind else {
            panic!("{} is no step", node.name);
        };
        let given = step_input(&spec.config, data)?.expect("a step of this dialect");
        self.called.push(node.name.clone());
        self.inputs.push(given.input.clone());
        let output = (self.work)(&spec.handler, &node.name, &given.input)?;
        record_output(data, &node.name, &output)
    }
}
