//! Where a token goes: the pure heart of the engine.
//!
//! [`advance`] takes a branch that was handed to a Runner to the step it is to do, or to the moves
//! that follow without one; [`after_step`] says what follows from a step's outcome. Neither has
//! effects: the moves become true in the checkpoint's transaction.
//!
//! A decision (a choice, a guard, the branches of a split) is written down before anything acts on
//! it, so a resumed run never takes another arm than the one that it began.

use std::time::Duration;

use crate::definition::{Branches, Definition, Delay, Node, NodeKind};
use crate::fault::{Fault, codes};
use crate::functions::{Arrival, Event, Functions, Verdict};
use crate::ids::{ActivationId, NodeId, Position};
use crate::limits::{GATEWAYS_PER_MOVE_MAX, SPLIT_BRANCHES_MAX};
use crate::payload::Payload;

/// A branch as it comes to a Runner.
#[derive(Clone, Debug)]
pub struct Token {
    /// Where it stands.
    pub position: Position,
    /// The activation of that node.
    pub activation: ActivationId,
    /// Its data.
    pub data: Payload,
}

/// What has come in for a token that waited.
#[derive(Clone, Debug)]
pub enum Inputs {
    /// Nothing: it is ready by itself, or its time has come.
    Nothing,
    /// The branches of its split, all of them, in branch order.
    Arrivals(Vec<Arrival>),
    /// The event it waited for.
    Event(Event),
}

/// What to do with a token.
#[derive(Clone, Debug)]
pub enum Advance {
    /// Do the step it is in.
    Attempt(Handover),
    /// Write these moves down.
    Moves(Moves),
}

/// A token in a step.
#[derive(Clone, Debug)]
pub struct Handover {
    /// The step.
    pub node: NodeId,
    /// The step's activation.
    pub activation: ActivationId,
    /// What the step works on.
    pub data: Payload,
}

/// What becomes true of a branch, all of it or nothing.
#[derive(Clone, Debug)]
pub struct Moves {
    /// Steps that were passed by.
    pub skipped: Vec<SkipRecord>,
    /// Branches that start and that no join waits for.
    pub detached: Vec<Child>,
    /// Where the branch itself goes.
    pub next: Next,
}

/// A step that was passed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipRecord {
    /// The step.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// Why.
    pub reason: String,
}

/// Where a branch goes.
#[derive(Clone, Debug)]
pub enum Next {
    /// It is ready.
    Run {
        /// Where.
        position: Position,
        /// The activation there.
        activation: ActivationId,
        /// Its data.
        data: Payload,
    },
    /// It waits in the timer `node`.
    Sleep {
        /// The timer.
        node: NodeId,
        /// The timer's activation.
        activation: ActivationId,
        /// Its data.
        data: Payload,
        /// How long, from now.
        delay: Duration,
    },
    /// It waits in `node` for an event of its run.
    Await {
        /// The wait.
        node: NodeId,
        /// The wait's activation.
        activation: ActivationId,
        /// Its data.
        data: Payload,
        /// The event's name.
        event: String,
    },
    /// It waits at `join` for at least one branch.
    Split {
        /// Where it waits.
        join: NodeId,
        /// The join's activation.
        activation: ActivationId,
        /// The split's activation, which its branches and their join row carry.
        scope: ActivationId,
        /// Its data, which branches without data of their own start with.
        data: Payload,
        /// The branches, in order.
        children: Vec<Child>,
        /// How many may be on their way at once.
        max_parallelism: Option<u32>,
    },
    /// It ends here: arrives at its join, or ends the run.
    End {
        /// Its data, or why it failed.
        result: Result<Payload, Fault>,
        /// The node that failed or was the last: where a retry begins.
        last: Last,
    },
}

/// The last node of a branch.
#[derive(Clone, Debug)]
pub struct Last {
    /// Which.
    pub node: NodeId,
    /// Its activation.
    pub activation: ActivationId,
    /// The data with which the branch came to it.
    pub data: Payload,
}

/// A branch that a split or a detach starts.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its place in branch order, from 0.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its first node.
    pub node: NodeId,
    /// The activation there.
    pub activation: ActivationId,
    /// Its data; `None` is a copy of the data of the branch that split.
    pub data: Option<Payload>,
}

/// Takes a token from where it stands to its next step, or to where it has to wait.
pub fn advance(
    definition: &Definition,
    functions: &Functions,
    token: Token,
    inputs: Inputs,
) -> Advance {
    let walk = Walk::new(definition, functions);
    let Token {
        position: Position { node, entering },
        activation,
        data,
    } = token;
    if entering {
        return walk.enter(node, activation, data);
    }
    match (&definition.node(node).kind, inputs) {
        (NodeKind::Step(_), _) => Advance::Attempt(Handover {
            node,
            activation,
            data,
        }),
        (NodeKind::Join { split, merge, .. }, Inputs::Arrivals(arrivals)) => {
            match merged(functions, merge.as_deref(), &data, &arrivals) {
                Ok(merged) => walk.follow(node, activation, merged),
                Err(fault) => walk.fail(*split, activation, &data, fault),
            }
        }
        (NodeKind::Await { reply, .. }, Inputs::Event(event)) if !event.is_fault => {
            match reply
                .as_deref()
                .map(|name| functions.reply(name, &data, &event))
            {
                None => walk.follow(node, activation, data),
                Some(Ok(replied)) => walk.follow(node, activation, replied),
                Some(Err(fault)) => walk.fail(node, activation, &data, fault),
            }
        }
        (NodeKind::Await { event: name, .. }, Inputs::Event(event)) => {
            let text = String::from_utf8_lossy(event.payload.as_bytes()).into_owned();
            let fault = Fault::new(
                codes::FAULT_REPLY,
                format!("event {name:?} came as a fault: {text}"),
            );
            walk.fail(node, activation, &data, fault.permanent())
        }
        (NodeKind::Sleep { .. }, _) => walk.follow(node, activation, data),
        (kind, _) => {
            let text = format!(
                "a branch was resumed in a {} without its input",
                kind.word()
            );
            walk.fail(
                node,
                activation,
                &data,
                Fault::new(codes::INTERNAL, text).permanent(),
            )
        }
    }
}

/// What follows from the final outcome of a step: `result` holds its new data, or its fault.
pub fn after_step(
    definition: &Definition,
    functions: &Functions,
    step: &Handover,
    result: Result<Payload, Fault>,
) -> Moves {
    let walk = Walk {
        decided: true,
        ..Walk::new(definition, functions)
    };
    let advance = match result {
        Ok(data) => walk.follow(step.node, step.activation, data),
        Err(fault) => walk.fail(step.node, step.activation, &step.data, fault),
    };
    match advance {
        Advance::Moves(moves) => moves,
        Advance::Attempt(_) => unreachable!("a walk that has decided something ends in moves"),
    }
}

/// One token on its way through gateways.
struct Walk<'a> {
    definition: &'a Definition,
    functions: &'a Functions,
    skipped: Vec<SkipRecord>,
    detached: Vec<Child>,
    /// Whether something was decided that has to be written down before the next step acts on it.
    decided: bool,
}

/// What one gateway does with a token.
enum Passed {
    /// On to this node with this data.
    To(Option<NodeId>, Payload),
    /// Further the token cannot go now.
    Stop(Next),
    /// The node failed; the data is as it was before.
    Failed(Fault, Payload),
}

impl<'a> Walk<'a> {
    fn new(definition: &'a Definition, functions: &'a Functions) -> Self {
        Self {
            definition,
            functions,
            skipped: Vec::new(),
            detached: Vec::new(),
            decided: false,
        }
    }

    fn follow(self, from: NodeId, activation: ActivationId, data: Payload) -> Advance {
        let next = self.definition.node(from).next;
        self.go(next, (from, activation), data)
    }

    fn go(self, to: Option<NodeId>, last: (NodeId, ActivationId), data: Payload) -> Advance {
        if let Some(to) = to {
            return self.enter(to, last.1.derive(to, 0), data);
        }
        let (node, activation) = last;
        let last = Last {
            node,
            activation,
            data: data.clone(),
        };
        self.stop(Next::End {
            result: Ok(data),
            last,
        })
    }

    fn fail(
        mut self,
        node: NodeId,
        activation: ActivationId,
        data: &Payload,
        fault: Fault,
    ) -> Advance {
        match self.handle_fault(node, data, fault) {
            Ok((to, data)) => self.enter(to, activation.derive(to, 0), data),
            Err(fault) => {
                let last = Last {
                    node,
                    activation,
                    data: data.clone(),
                };
                self.stop(Next::End {
                    result: Err(fault),
                    last,
                })
            }
        }
    }

    /// The first node of the fault path and the data for it, or the fault if there is no such path.
    fn handle_fault(
        &mut self,
        node: NodeId,
        data: &Payload,
        fault: Fault,
    ) -> Result<(NodeId, Payload), Fault> {
        self.decided = true;
        let node = self.definition.node(node);
        let place = &node.place;
        let fault = fault.at(&node.name, place.parent.as_deref(), place.branch.as_deref());
        let Some(path) = &node.on_fault else {
            return Err(fault);
        };
        let Some(fold) = &path.fold else {
            return Ok((path.to, data.clone()));
        };
        match self.functions.fold(fold, data, &fault) {
            Ok(data) => Ok((path.to, data)),
            Err(second) => Err(Fault::join([fault, second.at(&node.name, None, None)])),
        }
    }

    fn enter(mut self, node: NodeId, activation: ActivationId, data: Payload) -> Advance {
        let (mut id, mut activation, mut data) = (node, activation, data);
        for _ in 0..GATEWAYS_PER_MOVE_MAX {
            let node = self.definition.node(id);
            let passed = match &node.kind {
                NodeKind::Step(step) => match self.admit(step.guard.as_deref(), &data) {
                    Ok(Verdict::Run) => return self.arrive_at_step(id, activation, data),
                    Ok(Verdict::Skip(reason)) => {
                        self.skipped.push(SkipRecord {
                            node: id,
                            activation,
                            reason,
                        });
                        Passed::To(node.next, data)
                    }
                    Err(fault) => Passed::Failed(fault, data),
                },
                _ => self.pass(node, id, activation, data),
            };
            let (to, next_data) = match passed {
                Passed::To(to, next_data) => (to, next_data),
                Passed::Stop(next) => return self.stop(next),
                Passed::Failed(fault, before) => match self.handle_fault(id, &before, fault) {
                    Ok((to, folded)) => (Some(to), folded),
                    Err(fault) => {
                        return self.stop(Next::End {
                            result: Err(fault),
                            last: Last {
                                node: id,
                                activation,
                                data: before,
                            },
                        });
                    }
                },
            };
            let Some(to) = to else {
                let last = Last {
                    node: id,
                    activation,
                    data: next_data.clone(),
                };
                return self.stop(Next::End {
                    result: Ok(next_data),
                    last,
                });
            };
            (id, activation, data) = (to, activation.derive(to, 0), next_data);
        }
        let text = format!("{GATEWAYS_PER_MOVE_MAX} gateways were passed without a step between");
        let fault = Fault::new(codes::LOOP_WITHOUT_STEP, text).permanent().at(
            &self.definition.node(id).name,
            None,
            None,
        );
        let last = Last {
            node: id,
            activation,
            data,
        };
        self.stop(Next::End {
            result: Err(fault),
            last,
        })
    }

    fn admit(&mut self, guard: Option<&str>, data: &Payload) -> Result<Verdict, Fault> {
        let Some(guard) = guard else {
            return Ok(Verdict::Run);
        };
        self.decided = true;
        self.functions.guard(guard, data)
    }

    fn arrive_at_step(self, node: NodeId, activation: ActivationId, data: Payload) -> Advance {
        if self.decided {
            return self.stop(Next::Run {
                position: Position::at(node),
                activation,
                data,
            });
        }
        Advance::Attempt(Handover {
            node,
            activation,
            data,
        })
    }

    fn pass(&mut self, node: &Node, id: NodeId, activation: ActivationId, data: Payload) -> Passed {
        match &node.kind {
            NodeKind::Step(_) => unreachable!("steps are not passed"),
            NodeKind::Choice { arms, otherwise } => {
                self.decided = true;
                for arm in arms {
                    match self.functions.predicate(&arm.when, &data) {
                        Ok(true) => return Passed::To(arm.to.or(node.next), data),
                        Ok(false) => {}
                        Err(fault) => return Passed::Failed(fault, data),
                    }
                }
                Passed::To(otherwise.or(node.next), data)
            }
            NodeKind::Split {
                branches,
                join,
                max_parallelism,
                on_failure: _,
            } => {
                self.decided = true;
                match self.children(branches, activation, &data) {
                    Ok(children) if children.is_empty() => self.pass_empty(*join, data),
                    Ok(children) => Passed::Stop(Next::Split {
                        join: *join,
                        activation: activation.derive(*join, 0),
                        scope: activation,
                        data,
                        children,
                        max_parallelism: *max_parallelism,
                    }),
                    Err(fault) => Passed::Failed(fault, data),
                }
            }
            NodeKind::Join { .. } => {
                // A branch of the split has come to its join: here it ends.
                let last = Last {
                    node: id,
                    activation,
                    data: data.clone(),
                };
                Passed::Stop(Next::End {
                    result: Ok(data),
                    last,
                })
            }
            NodeKind::Detach { body } => {
                self.decided = true;
                let index = u32::try_from(self.detached.len()).unwrap_or(u32::MAX);
                let activation = activation.derive(*body, 0);
                let data_copy = Some(data.clone());
                let name = node.name.clone();
                self.detached.push(Child {
                    index,
                    name,
                    node: *body,
                    activation,
                    data: data_copy,
                });
                Passed::To(node.next, data)
            }
            NodeKind::Sleep { delay } => {
                self.decided = true;
                let delay = match delay {
                    Delay::FixedMs(ms) => Ok(Duration::from_millis(*ms)),
                    Delay::Computed(name) => self.functions.delay(name, &data),
                };
                match delay {
                    Ok(delay) => Passed::Stop(Next::Sleep {
                        node: id,
                        activation,
                        data,
                        delay,
                    }),
                    Err(fault) => Passed::Failed(fault, data),
                }
            }
            NodeKind::Await { event, .. } => {
                let event = event.clone();
                Passed::Stop(Next::Await {
                    node: id,
                    activation,
                    data,
                    event,
                })
            }
            NodeKind::Compute { function } => match self.functions.compute(function, &data) {
                Ok(computed) => Passed::To(node.next, computed),
                Err(fault) => Passed::Failed(fault, data),
            },
        }
    }

    /// A split without branches: its join merges nothing.
    fn pass_empty(&mut self, join: NodeId, data: Payload) -> Passed {
        let join = self.definition.node(join);
        let NodeKind::Join { merge, .. } = &join.kind else {
            unreachable!("validation holds that a split ends in a join")
        };
        match merged(self.functions, merge.as_deref(), &data, &[]) {
            Ok(merged) => Passed::To(join.next, merged),
            Err(fault) => Passed::Failed(fault, data),
        }
    }

    fn children(
        &self,
        branches: &Branches,
        scope: ActivationId,
        data: &Payload,
    ) -> Result<Vec<Child>, Fault> {
        match branches {
            Branches::Static(list) => Ok((0..)
                .zip(list)
                .map(|(index, (name, node))| Child {
                    index,
                    name: name.clone(),
                    node: *node,
                    activation: scope.derive(*node, index),
                    data: None,
                })
                .collect()),
            Branches::Computed { items, body } => {
                let seeds = self.functions.items(items, data)?;
                if seeds.len() > SPLIT_BRANCHES_MAX {
                    let count = seeds.len();
                    let text = format!(
                        "{count} branches are more than the {SPLIT_BRANCHES_MAX} of one split"
                    );
                    return Err(Fault::new(codes::TOO_MANY_BRANCHES, text).permanent());
                }
                Ok((0..)
                    .zip(seeds)
                    .map(|(index, seed)| Child {
                        index,
                        name: seed.name,
                        node: *body,
                        activation: scope.derive(*body, index),
                        data: Some(seed.data),
                    })
                    .collect())
            }
        }
    }

    fn stop(self, next: Next) -> Advance {
        Advance::Moves(Moves {
            skipped: self.skipped,
            detached: self.detached,
            next,
        })
    }
}

/// The data after a join, or all errors of the branches in branch order (settle-all).
fn merged(
    functions: &Functions,
    merge: Option<&str>,
    before: &Payload,
    arrivals: &[Arrival],
) -> Result<Payload, Fault> {
    let failed: Vec<_> = arrivals
        .iter()
        .filter_map(|arrival| arrival.result.clone().err())
        .collect();
    if !failed.is_empty() {
        return Err(Fault::join(failed));
    }
    match merge {
        None => Ok(before.clone()),
        Some(name) => functions.merge(name, before, arrivals),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Draft, Function, StepSpec};

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
        }
    }

    fn enter(definition: &Definition, functions: &Functions) -> Advance {
        advance(definition, functions, start(definition), Inputs::Nothing)
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
            result: Err(Fault::new("x", name).at(name, None, None)),
        };
        let token = Token {
            position: Position::at(join),
            activation,
            data,
        };
        let arrivals = Inputs::Arrivals(vec![failed(0, "a"), failed(1, "b")]);
        let Advance::Moves(Moves {
            next: Next::End {
                result: Err(fault), ..
            },
            ..
        }) = advance(&definition, &Functions::new(), token, arrivals)
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
}
