//! Plays a run by the model's own rules, without an engine: one branch after the other, in a chosen
//! order.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use windlass_dialects::{
    CommandResult, HandlerTypes, ImportOptions, Imported, ImportedWorkflow, Mode, command_call,
    import, record_result,
};
use windlass_workflow_model::{
    ActivationId, Advance, Arrival, BranchOutcome, Delay, Event, Fault, Inputs, Moves, Next,
    NodeId, NodeKind, Payload, Position, Rounds, Tally, Timestamp, Token, advance, after_step,
    codes,
};

/// What a handler brings for a step and its input.
pub(crate) type Work<'a> = &'a dyn Fn(&str, &Json) -> Result<CommandResult, Fault>;

/// What a person answers.
pub(crate) type Answer<'a> = &'a dyn Fn(&str) -> Json;

/// How a run is played.
#[derive(Clone, Copy)]
pub(crate) struct Play<'a> {
    pub(crate) work: Work<'a>,
    pub(crate) answer: Answer<'a>,
    /// Whether the last branch of a parallel is played first.
    pub(crate) backwards: bool,
}

impl Default for Play<'_> {
    fn default() -> Self {
        Self {
            work: &|_, _| Ok(CommandResult::default()),
            answer: &|_| json!({ "status": "success" }),
            backwards: false,
        }
    }
}

/// What a run has come to.
pub(crate) struct Played {
    pub(crate) result: Result<Payload, Fault>,
    /// The steps that were done, in order; delays as `step/delay N`.
    pub(crate) done: Vec<String>,
    /// What handlers were given.
    pub(crate) inputs: Vec<Json>,
}

impl Played {
    pub(crate) fn data(&self) -> Json {
        match &self.result {
            Ok(data) => data.decode().expect("JSON"),
            Err(fault) => panic!("it fails: {}", fault.summary()),
        }
    }

    /// The value of a variable of the playbook.
    pub(crate) fn variable(&self, name: &str) -> Json {
        self.data()["variables"]["playbook"][name].clone()
    }

    /// The errors of a run that failed: step and code.
    pub(crate) fn errors(&self) -> Vec<String> {
        let fault = self.result.as_ref().expect_err("it fails");
        fault
            .errors
            .iter()
            .map(|error| format!("{}: {}", error.step, error.code))
            .collect()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let warnings = self.data()["warnings"].clone();
        serde_json::from_value(warnings).unwrap_or_default()
    }
}

/// Options of tests: a stub does manual commands.
pub(crate) fn options(mode: Mode) -> ImportOptions {
    let mut options = ImportOptions::new("pb.json");
    options.mode = mode;
    options.handlers = HandlerTypes::Known(vec!["manual".to_owned(), "*".to_owned()]);
    options
}

/// Imports a text that has no errors.
pub(crate) fn accepted(text: &str, options: &ImportOptions) -> Imported {
    let imported = import(text, options);
    let said: Vec<_> = imported
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(imported.ok() && imported.workflows.len() == 1, "{said:#?}");
    imported
}

/// The codes of everything there is to say.
pub(crate) fn codes_of(text: &str, options: &ImportOptions) -> Vec<&'static str> {
    let imported = import(text, options);
    let mut codes: Vec<_> = imported
        .diagnostics
        .iter()
        .map(|found| found.code)
        .collect();
    codes.sort_unstable();
    codes
}

/// Plays a run of the only workflow.
pub(crate) fn play(imported: &Imported, input: &Json, how: Play<'_>) -> Played {
    let player = Player {
        imported,
        how,
        done: RefCell::default(),
        inputs: RefCell::default(),
        waits: RefCell::default(),
    };
    let input = Payload::encode(input).expect("JSON");
    let result = player.run(&imported.workflows[0], input);
    Played {
        result,
        done: player.done.into_inner(),
        inputs: player.inputs.into_inner(),
    }
}

struct Player<'a> {
    imported: &'a Imported,
    how: Play<'a>,
    done: RefCell<Vec<String>>,
    inputs: RefCell<Vec<Json>>,
    waits: RefCell<BTreeMap<String, u32>>,
}

impl Player<'_> {
    fn run(&self, workflow: &ImportedWorkflow, input: Payload) -> Result<Payload, Fault> {
        let start = workflow.definition.start();
        let token = Token {
            position: Position::before(start),
            activation: ActivationId::ORIGIN.derive(start, 0),
            data: input,
            rounds: Rounds::new(),
        };
        self.branch(workflow, token)
    }

    fn branch(&self, workflow: &ImportedWorkflow, token: Token) -> Result<Payload, Fault> {
        let (definition, functions) = (&workflow.definition, &workflow.functions);
        let now = Timestamp(0);
        let mut advanced = advance(definition, functions, token, Inputs::Nothing, now);
        loop {
            let moves: Moves = match advanced {
                Advance::Moves(moves) => moves,
                Advance::Attempt(step) => {
                    let result = self.attempt(workflow, step.node, &step.data);
                    after_step(definition, functions, &step, result, now)
                }
            };
            let rounds = moves.rounds;
            let token = |position, activation, data| Token {
                position,
                activation,
                data,
                rounds: rounds.clone(),
            };
            let (token, inputs) = match moves.next {
                Next::End { result, .. } => return result,
                Next::Run {
                    position,
                    activation,
                    data,
                    ..
                } => (token(position, activation, data), Inputs::Nothing),
                Next::Sleep {
                    node,
                    activation,
                    data,
                    delay,
                } => {
                    let name = &definition.node(node).name;
                    self.done
                        .borrow_mut()
                        .push(format!("{name} {}", delay.as_millis()));
                    (token(Position::at(node), activation, data), Inputs::Nothing)
                }
                Next::Await {
                    node,
                    activation,
                    data,
                    ..
                } => {
                    let name = definition.node(node).name.clone();
                    self.done.borrow_mut().push(name.clone());
                    let answer = (self.how.answer)(&name);
                    let inputs = if answer == "late" {
                        Inputs::Due(0)
                    } else {
                        let payload = Payload::encode(&answer).expect("JSON");
                        Inputs::Event(
                            0,
                            Event {
                                payload,
                                is_fault: false,
                            },
                        )
                    };
                    (token(Position::at(node), activation, data), inputs)
                }
                Next::Call { call, data } => {
                    let called = self.imported.called.iter();
                    let mut called = called.filter(|one| one.definition.name() == call.workflow);
                    let result = self.run(called.next().expect("it is called"), call.input);
                    let outcome = match result {
                        Ok(data) => BranchOutcome::Succeeded(data),
                        Err(fault) => BranchOutcome::Failed(fault),
                    };
                    (
                        token(Position::at(call.node), call.activation, data),
                        Inputs::Called(outcome),
                    )
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
                        (child.index, child.name, token)
                    });
                    let arrivals = self.settle(workflow, tokens.collect());
                    let joined = token(Position::at(join), activation, data);
                    let hangs = |arrival: &Arrival| matches!(&arrival.outcome, BranchOutcome::Failed(fault) if fault.errors[0].code == "hang");
                    if timeout.is_some() && arrivals.iter().any(hangs) {
                        let late = Fault::new(codes::SCOPE_TIMEOUT, "too late").permanent();
                        advanced =
                            advance(definition, functions, joined, Inputs::Refused(late), now);
                        continue;
                    }
                    let mut tally = Tally {
                        expected: u32::try_from(arrivals.len()).expect("few"),
                        ..Tally::default()
                    };
                    for arrival in &arrivals {
                        match arrival.outcome {
                            BranchOutcome::Succeeded(_) => tally.succeeded += 1,
                            BranchOutcome::Failed(_) => tally.failed += 1,
                            BranchOutcome::Cancelled(_) => tally.cancelled += 1,
                        }
                    }
                    let mut arrivals = arrivals.into_iter();
                    let inputs = Inputs::Arrivals(tally, &mut arrivals);
                    advanced = advance(definition, functions, joined, inputs, now);
                    continue;
                }
                other => panic!("unexpected {other:?}"),
            };
            advanced = advance(definition, functions, token, inputs, now);
        }
    }

    fn settle(
        &self,
        workflow: &ImportedWorkflow,
        mut tokens: Vec<(u32, String, Token)>,
    ) -> Vec<Arrival> {
        if self.how.backwards {
            tokens.reverse();
        }
        let mut arrivals: Vec<Arrival> = tokens
            .into_iter()
            .map(|(index, name, token)| Arrival {
                index,
                name,
                outcome: match self.branch(workflow, token) {
                    Ok(data) => BranchOutcome::Succeeded(data),
                    Err(fault) => BranchOutcome::Failed(fault),
                },
            })
            .collect();
        arrivals.sort_by_key(|arrival| arrival.index);
        arrivals
    }

    fn attempt(
        &self,
        workflow: &ImportedWorkflow,
        node: NodeId,
        data: &Payload,
    ) -> Result<Payload, Fault> {
        let node = workflow.definition.node(node);
        let NodeKind::Step(spec) = &node.kind else {
            panic!("{} is no step", node.name);
        };
        let call = command_call(&spec.config, data)?.expect("a step of this dialect");
        self.done.borrow_mut().push(node.name.clone());
        *self
            .waits
            .borrow_mut()
            .entry(node.name.clone())
            .or_default() += 1;
        let input = Json::Object(call.input);
        self.inputs.borrow_mut().push(input.clone());
        let result = (self.how.work)(&node.name, &input);
        let late = |fault: Fault| match (fault.errors[0].code.as_str(), spec.timeout_ms) {
            ("hang", Some(_)) => Fault::new(codes::STEP_TIMEOUT, "too late"),
            _ => fault,
        };
        let recorded = record_result(&spec.config, data, &node.name, &result.map_err(late)?)?;
        Ok(recorded.expect("a step of this dialect"))
    }
}

/// The limit of a wait, in milliseconds.
pub(crate) fn wait_limit(imported: &Imported, node: &str) -> Option<u64> {
    let definition = &imported.workflows[0].definition;
    match &definition.node(definition.find(node)?).kind {
        NodeKind::Await {
            timeout: Some(Delay::FixedMs(limit)),
            ..
        } => Some(*limit),
        _ => None,
    }
}
