//! Plays a run by the model's own rules, without an engine: one token after the other, those of a
//! split or fork last first.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value as Json, json};
use windlass_dialects::{
    GroupResult, ImportOptions, Imported, ImportedWorkflow, Mode, group_input, group_record, import,
};
use windlass_workflow_model::{
    ActivationId, Advance, Arrival, BranchOutcome, Event, Fault, Inputs, Moves, Next, NodeId,
    NodeKind, Payload, Position, Rounds, Tally, Timestamp, Token, advance, after_step,
};

use crate::checks::listing;

/// What a handler brings for a step and its input.
pub(crate) type Work<'a> = &'a dyn Fn(&str, &Json) -> Result<GroupResult, Fault>;

/// What a run has come to.
pub(crate) struct Played {
    pub(crate) result: Result<Payload, Fault>,
    /// The steps that were done, in order; waits for people as `step approval`.
    pub(crate) done: Vec<String>,
    /// What handlers were given, by step.
    pub(crate) inputs: BTreeMap<String, Json>,
    /// `step: reason`, in order.
    pub(crate) skipped: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

impl Played {
    /// The errors of a run that failed: step and code.
    pub(crate) fn errors(&self) -> Vec<String> {
        let fault = self.result.as_ref().expect_err("it fails");
        let errors = fault.errors.iter();
        errors
            .map(|error| format!("{}: {}", error.step, error.code))
            .collect()
    }
}

/// Steps that succeed without giving anything.
#[expect(clippy::unnecessary_wraps, reason = "handlers may fail")]
pub(crate) fn idle(_: &str, _: &Json) -> Result<GroupResult, Fault> {
    Ok(GroupResult::default())
}

/// Steps of which these fail.
pub(crate) fn failing(
    steps: &'static [&'static str],
) -> impl Fn(&str, &Json) -> Result<GroupResult, Fault> {
    move |step, _| {
        if steps.contains(&step) {
            return Err(Fault::new("handler-failed", format!("{step} broke")));
        }
        Ok(GroupResult::default())
    }
}

/// A result with these outputs.
#[expect(clippy::unnecessary_wraps, reason = "handlers may fail")]
pub(crate) fn gives(outputs: Json) -> Result<GroupResult, Fault> {
    Ok(GroupResult {
        outputs,
        output_file: None,
    })
}

/// Plays the first workflow of a text in strict mode.
pub(crate) fn run(text: &str, work: Work<'_>) -> Played {
    play(text, &ImportOptions::new("ship.yaml"), &json!({}), work)
}

/// The same in lenient mode.
pub(crate) fn run_leniently(text: &str, work: Work<'_>) -> Played {
    let mut options = ImportOptions::new("ship.yaml");
    options.mode = Mode::Lenient;
    play(text, &options, &json!({}), work)
}

/// Plays the first workflow of a text.
pub(crate) fn play(text: &str, options: &ImportOptions, input: &Json, work: Work<'_>) -> Played {
    play_answered(text, options, input, work, &json!({ "status": "success" }))
}

/// Plays it with this answer for everything that people are asked.
pub(crate) fn play_answered(
    text: &str,
    options: &ImportOptions,
    input: &Json,
    work: Work<'_>,
    answer: &Json,
) -> Played {
    let imported = import(text, options);
    assert!(imported.ok(), "{}", listing(&imported));
    let player = Player {
        imported: &imported,
        work,
        answer,
        done: RefCell::default(),
        inputs: RefCell::default(),
        skipped: RefCell::default(),
        warnings: RefCell::default(),
    };
    let result = player.run(
        &imported.workflows[0],
        Payload::encode(input).expect("JSON"),
    );
    Played {
        result,
        done: player.done.into_inner(),
        inputs: player.inputs.into_inner(),
        skipped: player.skipped.into_inner(),
        warnings: player.warnings.into_inner(),
    }
}

struct Player<'a> {
    imported: &'a Imported,
    work: Work<'a>,
    answer: &'a Json,
    done: RefCell<Vec<String>>,
    inputs: RefCell<BTreeMap<String, Json>>,
    skipped: RefCell<Vec<String>>,
    warnings: RefCell<Vec<String>>,
}

/// What a token came to.
enum Came {
    End(Result<Payload, Fault>),
    Meet(NodeId, u32, ActivationId, Payload),
}

/// Tokens that meet: by input, with their data.
type Meetings = BTreeMap<NodeId, (ActivationId, BTreeMap<u32, Payload>)>;

impl Player<'_> {
    fn run(&self, workflow: &ImportedWorkflow, input: Payload) -> Result<Payload, Fault> {
        let start = workflow.definition.start();
        let token = token_at(
            Position::before(start),
            ActivationId::ORIGIN.derive(start, 0),
            input,
        );
        match self.token(workflow, token, Inputs::Nothing, &mut VecDeque::new()) {
            Came::End(result) => result,
            Came::Meet(..) => panic!("a meet outside of a scope"),
        }
    }

    /// Plays one token to its end; those that it forks are put into `forked`.
    fn token(
        &self,
        workflow: &ImportedWorkflow,
        token: Token,
        inputs: Inputs<'_>,
        forked: &mut VecDeque<(String, Token)>,
    ) -> Came {
        let (definition, functions) = (&workflow.definition, &workflow.functions);
        let now = Timestamp(0);
        let mut advanced = advance(definition, functions, token, inputs, now);
        loop {
            let moves: Moves = match advanced {
                Advance::Moves(moves) => moves,
                Advance::Attempt(step) => {
                    let result = self.attempt(workflow, step.node, &step.data);
                    after_step(definition, functions, &step, result, now)
                }
            };
            for skip in &moves.skipped {
                let name = &definition.node(skip.node).name;
                let said = format!("{name}: {}", skip.reason);
                self.skipped.borrow_mut().push(said);
            }
            for child in moves.besides.into_iter().flat_map(|besides| besides.forked) {
                let data = child.data.expect("a fork gives data");
                let at = Position::before(child.node);
                forked.push_front((child.name, token_at(at, child.activation, data)));
            }
            let (token, inputs) = match moves.next {
                Next::End { result, .. } => return Came::End(result),
                Next::Meet {
                    meet,
                    input,
                    activation,
                    data,
                } => return Came::Meet(meet, input, activation, data),
                Next::Run {
                    position,
                    activation,
                    data,
                    ..
                } => (token_at(position, activation, data), Inputs::Nothing),
                Next::Await {
                    node,
                    activation,
                    data,
                    ..
                } => {
                    let name = definition.node(node).name.clone();
                    self.done.borrow_mut().push(name);
                    let inputs = if self.answer == "late" {
                        Inputs::Due(0)
                    } else {
                        let payload = Payload::encode(self.answer).expect("JSON");
                        let is_fault = false;
                        Inputs::Event(0, Event { payload, is_fault })
                    };
                    (token_at(Position::at(node), activation, data), inputs)
                }
                Next::Call { call, data } => {
                    let mut called = self.imported.called.iter();
                    let called = called.find(|one| one.definition.name() == call.workflow);
                    let outcome = match self.run(called.expect("it is called"), call.input) {
                        Ok(data) => BranchOutcome::Succeeded(data),
                        Err(fault) => BranchOutcome::Failed(fault),
                    };
                    let token = token_at(Position::at(call.node), call.activation, data);
                    (token, Inputs::Called(outcome))
                }
                Next::Split {
                    join,
                    activation,
                    data,
                    children,
                    ..
                } => {
                    let mut tokens = VecDeque::new();
                    for child in children {
                        let data = child.data.unwrap_or_else(|| data.clone());
                        let at = Position::before(child.node);
                        tokens.push_front((child.name, token_at(at, child.activation, data)));
                    }
                    let arrivals = self.settle(workflow, tokens);
                    let tally = tally(&arrivals);
                    let mut arrivals = arrivals.into_iter();
                    let inputs = Inputs::Arrivals(tally, &mut arrivals);
                    let joined = token_at(Position::at(join), activation, data);
                    advanced = advance(definition, functions, joined, inputs, now);
                    continue;
                }
                other => panic!("unexpected {other:?}"),
            };
            advanced = advance(definition, functions, token, inputs, now);
        }
    }

    /// Plays all tokens of a scope to their ends.
    fn settle(
        &self,
        workflow: &ImportedWorkflow,
        mut tokens: VecDeque<(String, Token)>,
    ) -> Vec<Arrival> {
        let (mut arrivals, mut meetings) = (Vec::new(), Meetings::new());
        while let Some((name, token)) = tokens.pop_front() {
            let mut came = self.token(workflow, token, Inputs::Nothing, &mut tokens);
            loop {
                match came {
                    Came::End(result) => {
                        arrivals.push(Arrival {
                            index: u32::try_from(arrivals.len()).expect("few"),
                            name: name.clone(),
                            outcome: match result {
                                Ok(data) => BranchOutcome::Succeeded(data),
                                Err(fault) => BranchOutcome::Failed(fault),
                            },
                        });
                        break;
                    }
                    Came::Meet(meet, input, activation, data) => {
                        let node = workflow.definition.node(meet);
                        let NodeKind::Meet { inputs, .. } = &node.kind else {
                            panic!("{} is no meet", node.name);
                        };
                        let entry = meetings
                            .entry(meet)
                            .or_insert((activation, BTreeMap::new()));
                        entry.1.insert(input, data);
                        if entry.1.len() < inputs.len() {
                            break;
                        }
                        let (activation, came_in) = meetings.remove(&meet).expect("it is there");
                        let data = came_in[&0].clone();
                        let came_in: Vec<Arrival> = came_in
                            .into_iter()
                            .map(|(index, data)| Arrival {
                                index,
                                name: inputs[index as usize].clone(),
                                outcome: BranchOutcome::Succeeded(data),
                            })
                            .collect();
                        let tally = tally(&came_in);
                        let mut came_in = came_in.into_iter();
                        let token = token_at(Position::at(meet), activation, data);
                        let inputs = Inputs::Arrivals(tally, &mut came_in);
                        came = self.token(workflow, token, inputs, &mut tokens);
                    }
                }
            }
        }
        assert!(meetings.is_empty(), "somebody waits for ever");
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
        let input = group_input(&spec.config, data)?.expect("a step of this dialect");
        self.warnings.borrow_mut().extend(input.warnings.clone());
        self.done.borrow_mut().push(node.name.clone());
        let input = json!({
            "config": input.config,
            "fields": input.fields,
            "env": input.own_env,
            "all_env": input.env,
            "output_file": input.output_file,
            "outputs": input.outputs,
            "resource": input.resource,
            "template": input.template,
        });
        self.inputs
            .borrow_mut()
            .insert(node.name.clone(), input.clone());
        let result = (self.work)(&node.name, &input)?;
        let recorded = group_record(&spec.config, data, &result)?;
        let (data, _, warnings) = recorded.expect("a step of this dialect");
        self.warnings.borrow_mut().extend(warnings);
        Ok(data)
    }
}

fn token_at(position: Position, activation: ActivationId, data: Payload) -> Token {
    Token {
        position,
        activation,
        data,
        rounds: Rounds::new(),
    }
}

fn tally(arrived: &[Arrival]) -> Tally {
    let succeeded = |arrival: &&Arrival| matches!(arrival.outcome, BranchOutcome::Succeeded(_));
    let expected = u32::try_from(arrived.len()).expect("few");
    let succeeded = u32::try_from(arrived.iter().filter(succeeded).count()).expect("few");
    Tally {
        expected,
        succeeded,
        failed: expected - succeeded,
        ..Tally::default()
    }
}
