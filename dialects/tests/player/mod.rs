//! Plays a run by the model's own rules, without an engine: one token after the other, in a chosen
//! order, until the join says that it is over. What all dialects share of it.
#![allow(dead_code, reason = "no dialect uses all of it")]

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value as Json;
use windlass_dialects::{Imported, ImportedWorkflow};
use windlass_workflow_model::{
    ActivationId, Advance, Arrival, BranchOutcome, Decision, Event, FailurePolicy, Fault, Inputs,
    Moves, Next, NodeId, NodeKind, Payload, Position, Rounds, StepSpec, Tally, Timestamp, Token,
    advance, after_step, codes,
};

/// The code of a step that never ends: a scope with a limit around it is then too late.
pub(crate) const HANG: &str = "hang";

/// What a run meets outside.
pub(crate) trait World {
    /// Does the work of a step; its data afterwards.
    fn work(&mut self, step: &str, spec: &StepSpec, data: &Payload) -> Result<Payload, Fault>;

    /// What a person answers, or `"late"` for nobody.
    fn answer(&mut self, step: &str) -> Json {
        panic!("nobody answers {step}");
    }

    /// A wait of so many milliseconds is over.
    fn slept(&mut self, _step: &str, _ms: u64) {}

    /// A step was passed by.
    fn skipped(&mut self, _step: &str, _reason: &str) {}
}

/// In which order branches are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    First,
    Last,
}

/// Plays a run of a workflow; those that it calls are found in `called`.
pub(crate) fn run(
    world: &mut dyn World,
    order: Order,
    workflow: &ImportedWorkflow,
    called: &[ImportedWorkflow],
    input: Payload,
) -> Result<Payload, Fault> {
    let mut player = Player {
        world,
        order,
        called,
    };
    player.run(workflow, input)
}

/// Plays a run of the first workflow of a file.
pub(crate) fn run_first(
    world: &mut dyn World,
    order: Order,
    imported: &Imported,
    input: &Json,
) -> Result<Payload, Fault> {
    let input = Payload::encode(input).expect("JSON");
    run(
        world,
        order,
        &imported.workflows[0],
        &imported.called,
        input,
    )
}

struct Player<'p> {
    world: &'p mut dyn World,
    order: Order,
    called: &'p [ImportedWorkflow],
}

/// One of those that a join waits for.
struct Live {
    index: u32,
    name: String,
    token: Token,
    /// Its number in a map.
    instance: Option<u32>,
}

/// What a token came to.
enum Came {
    End(Result<Payload, Fault>),
    Meet(NodeId, u32, ActivationId, Payload),
}

/// Tokens that have met so far, by meet: by input, with their data.
type Meetings = BTreeMap<NodeId, (ActivationId, BTreeMap<u32, Payload>)>;

impl Player<'_> {
    fn run(&mut self, workflow: &ImportedWorkflow, input: Payload) -> Result<Payload, Fault> {
        let start = workflow.definition.start();
        let activation = ActivationId::ORIGIN.derive(start, 0);
        let token = token_at(Position::before(start), activation, input);
        match self.token(workflow, token, Inputs::Nothing, &mut Vec::new()) {
            Came::End(result) => result,
            Came::Meet(..) => panic!("a meet outside of a scope"),
        }
    }

    /// Plays one token to its end; those that it forks are put into `forked`.
    fn token(
        &mut self,
        workflow: &ImportedWorkflow,
        token: Token,
        inputs: Inputs<'_>,
        forked: &mut Vec<Live>,
    ) -> Came {
        let (definition, functions) = (&workflow.definition, &workflow.functions);
        let now = Timestamp(0);
        let mut advanced = advance(definition, functions, token, inputs, now);
        loop {
            let moves: Moves = match advanced {
                Advance::Moves(moves) => moves,
                Advance::Attempt(step) => {
                    let node = definition.node(step.node);
                    let NodeKind::Step(spec) = &node.kind else {
                        panic!("{} is no step", node.name);
                    };
                    let result = self.world.work(node.step_name(), spec, &step.data);
                    let result = result.map_err(|fault| functions.worded(node, fault));
                    after_step(definition, functions, &step, result, now)
                }
            };
            for skip in &moves.skipped {
                let name = &definition.node(skip.node).name;
                self.world.skipped(name, &skip.reason);
            }
            for child in moves.besides.into_iter().flat_map(|besides| besides.forked) {
                let data = child.data.expect("a fork gives data");
                let at = Position::before(child.node);
                forked.push(Live {
                    index: child.index,
                    name: child.name,
                    token: token_at(at, child.activation, data),
                    instance: None,
                });
            }
            let name = |node| definition.node(node).name.as_str();
            let rounds = moves.rounds;
            let at = |position, activation, data| Token {
                position,
                activation,
                data,
                rounds,
            };
            let mut arrivals;
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
                } => (at(position, activation, data), Inputs::Nothing),
                Next::Sleep {
                    node,
                    activation,
                    data,
                    delay,
                } => {
                    let delay = u64::try_from(delay.as_millis()).expect("a short wait");
                    self.world.slept(name(node), delay);
                    (at(Position::at(node), activation, data), Inputs::Nothing)
                }
                Next::Await {
                    node,
                    activation,
                    data,
                    ..
                } => {
                    let answer = self.world.answer(name(node));
                    let inputs = if answer == "late" {
                        Inputs::Due(0)
                    } else {
                        let payload = Payload::encode(&answer).expect("JSON");
                        let is_fault = false;
                        Inputs::Event(0, Event { payload, is_fault })
                    };
                    (at(Position::at(node), activation, data), inputs)
                }
                Next::Call { call, data } => {
                    let mut called = self.called.iter();
                    let called = called.find(|one| one.definition.name() == call.workflow);
                    let called = called.expect("what is called is there");
                    let outcome = outcome_of(self.run(called, call.input));
                    let token = at(Position::at(call.node), call.activation, data);
                    (token, Inputs::Called(outcome))
                }
                Next::Split {
                    join,
                    activation,
                    data,
                    children,
                    timeout,
                    ..
                } => {
                    let branches = children.into_iter().map(|child| {
                        let data = child.data.unwrap_or_else(|| data.clone());
                        let at = Position::before(child.node);
                        Live {
                            index: child.index,
                            name: child.name,
                            token: token_at(at, child.activation, data),
                            instance: None,
                        }
                    });
                    let (tally, came) = self.settle(workflow, join, branches.collect());
                    let is_late = timeout.is_some() && came.iter().any(hangs);
                    arrivals = came.into_iter();
                    let inputs = if is_late {
                        Inputs::Refused(Fault::new(codes::SCOPE_TIMEOUT, "too late").permanent())
                    } else {
                        Inputs::Arrivals(tally, &mut arrivals)
                    };
                    (at(Position::at(join), activation, data), inputs)
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
                    let instances = (0..count).map(|index| Live {
                        index,
                        name: index.to_string(),
                        token: token_at(Position::at(map), scope.derive(map, index), data.clone()),
                        instance: Some(index),
                    });
                    let (tally, came) = self.settle(workflow, join, instances.collect());
                    arrivals = came.into_iter();
                    let inputs = Inputs::Arrivals(tally, &mut arrivals);
                    (at(Position::at(join), activation, data), inputs)
                }
                other => panic!("unexpected {other:?}"),
            };
            advanced = advance(definition, functions, token, inputs, now);
        }
    }

    /// Plays the tokens of a scope until their join is over; what is left then has not come in.
    fn settle(
        &mut self,
        workflow: &ImportedWorkflow,
        join: NodeId,
        tokens: Vec<Live>,
    ) -> (Tally, Vec<Arrival>) {
        let rule = workflow.definition.join_rule(join).expect("a join");
        let mut live = VecDeque::new();
        self.queue(&mut live, tokens);
        let (mut tally, mut arrivals) = (Tally::default(), Vec::new());
        let mut meetings = Meetings::new();
        loop {
            let waiting: usize = meetings.values().map(|(_, came)| came.len()).sum();
            tally.expected = tally.arrived() + count(live.len() + waiting);
            if rule.decide(&tally) != Decision::Wait {
                break;
            }
            // The instances that live are waited for; here one lives at a time.
            if rule.on_failure == FailurePolicy::Drain && tally.failed > 0 {
                tally.expected = tally.arrived();
                break;
            }
            let one = live.pop_front().expect("somebody waits for ever");
            let inputs = one
                .instance
                .map_or(Inputs::Nothing, |at| Inputs::Instance(at, None));
            let result = self.through_meets(workflow, one.token, inputs, &mut meetings, &mut live);
            let Some(result) = result else { continue };
            match &result {
                Ok(_) => tally.succeeded += 1,
                Err(_) => tally.failed += 1,
            }
            arrivals.push(Arrival {
                index: one.index,
                name: one.name,
                outcome: outcome_of(result),
            });
        }
        arrivals.sort_by_key(|arrival| arrival.index);
        (tally, arrivals)
    }

    /// Plays a token until it ends, or `None` if it waits for others at a meet. The last one to come
    /// there goes on.
    fn through_meets(
        &mut self,
        workflow: &ImportedWorkflow,
        token: Token,
        inputs: Inputs<'_>,
        meetings: &mut Meetings,
        live: &mut VecDeque<Live>,
    ) -> Option<Result<Payload, Fault>> {
        let mut forked = Vec::new();
        let mut came = self.token(workflow, token, inputs, &mut forked);
        loop {
            self.queue(live, std::mem::take(&mut forked));
            let (meet, input, activation, data) = match came {
                Came::End(result) => return Some(result),
                Came::Meet(meet, input, activation, data) => (meet, input, activation, data),
            };
            let node = workflow.definition.node(meet);
            let NodeKind::Meet { inputs: names, .. } = &node.kind else {
                panic!("{} is no meet", node.name);
            };
            let all = meetings
                .entry(meet)
                .or_insert((activation, BTreeMap::new()));
            all.1.insert(input, data);
            if all.1.len() < names.len() {
                return None;
            }
            let (activation, all) = meetings.remove(&meet).expect("it is there");
            let data = all[&0].clone();
            let mut all = all.into_iter().map(|(index, data)| Arrival {
                index,
                name: names[index as usize].clone(),
                outcome: BranchOutcome::Succeeded(data),
            });
            let tally = Tally {
                expected: count(names.len()),
                succeeded: count(names.len()),
                ..Tally::default()
            };
            let token = token_at(Position::at(meet), activation, data);
            let inputs = Inputs::Arrivals(tally, &mut all);
            came = self.token(workflow, token, inputs, &mut forked);
        }
    }

    fn queue(&self, live: &mut VecDeque<Live>, tokens: Vec<Live>) {
        for token in tokens {
            match self.order {
                Order::First => live.push_back(token),
                Order::Last => live.push_front(token),
            }
        }
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

fn outcome_of(result: Result<Payload, Fault>) -> BranchOutcome {
    match result {
        Ok(data) => BranchOutcome::Succeeded(data),
        Err(fault) => BranchOutcome::Failed(fault),
    }
}

fn hangs(arrival: &Arrival) -> bool {
    matches!(&arrival.outcome, BranchOutcome::Failed(fault) if fault.errors[0].code == HANG)
}

fn count(of: usize) -> u32 {
    u32::try_from(of).expect("a few")
}
