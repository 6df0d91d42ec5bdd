//! One token on its way from node to node, until it has to stop.

use crate::definition::{Definition, Node, NodeKind};
use crate::fault::{Fault, codes};
use crate::functions::{Functions, Verdict};
use crate::ids::{ActivationId, NodeId, Position};
use crate::limits::GATEWAYS_PER_MOVE_MAX;
use crate::payload::Payload;
use crate::time::Timestamp;

use super::{Advance, Besides, Child, FailedWait, Handover, Last, Moves, Next, Rounds, SkipRecord};

/// One token on its way through gateways.
pub(super) struct Walk<'a> {
    pub(super) definition: &'a Definition,
    pub(super) functions: &'a Functions,
    pub(super) now: Timestamp,
    /// Steps that were passed by.
    pub(super) skipped: Vec<SkipRecord>,
    /// Branches that start and that no join waits for.
    pub(super) detached: Vec<Child>,
    /// The loops that the token is in.
    pub(super) rounds: Rounds,
    /// What else happens.
    pub(super) besides: Option<Box<Besides>>,
    /// The wait that failed and whose failure is handled.
    pub(super) failed: Option<Box<FailedWait>>,
    /// Whether something was decided that has to be written down before the next step acts on it.
    pub(super) decided: bool,
}

/// What one gateway does with a token.
pub(super) enum Passed {
    /// On to this node with this data.
    To(Option<NodeId>, Payload),
    /// Further the token cannot go now.
    Stop(Next),
    /// This node failed; the data is as it was before.
    Failed(NodeId, Fault, Payload),
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        definition: &'a Definition,
        functions: &'a Functions,
        rounds: Rounds,
        now: Timestamp,
    ) -> Self {
        Self {
            definition,
            functions,
            now,
            skipped: Vec::new(),
            detached: Vec::new(),
            rounds,
            besides: None,
            failed: None,
            decided: false,
        }
    }

    /// What else happens, to be added to.
    pub(super) fn besides(&mut self) -> &mut Besides {
        self.besides.get_or_insert_default()
    }

    /// The way on from a node that is done.
    pub(super) fn follow(self, from: NodeId, activation: ActivationId, data: Payload) -> Advance {
        let next = self.definition.node(from).next;
        self.go(next, from, activation, data)
    }

    /// The way on to `to`, or the end of the branch if there is none.
    pub(super) fn go(
        self,
        to: Option<NodeId>,
        from: NodeId,
        activation: ActivationId,
        data: Payload,
    ) -> Advance {
        match to {
            Some(to) => self.enter(to, activation.derive(to, 0), data),
            None => self.end(from, activation, data.clone(), Ok(data)),
        }
    }

    /// The way on from a node that failed; `data` is as it was before.
    pub(super) fn fail(
        self,
        node: NodeId,
        activation: ActivationId,
        data: &Payload,
        fault: Fault,
    ) -> Advance {
        let fault = self.worded(node, fault);
        self.fail_worded(node, activation, data, fault)
    }

    /// The same for a node in which the token waited: that it failed is told even if somebody handles it.
    pub(super) fn fail_waiting(
        mut self,
        node: NodeId,
        activation: ActivationId,
        data: &Payload,
        fault: Fault,
    ) -> Advance {
        let fault = self.worded(node, fault);
        let at = self.definition.node(node);
        if at.on_fault.is_some() {
            let fault = placed(at, fault.clone());
            self.failed = Some(Box::new(FailedWait { node, fault }));
        }
        self.fail_worded(node, activation, data, fault)
    }

    /// The same with a fault that is in the words of the node's author.
    pub(super) fn fail_worded(
        mut self,
        node: NodeId,
        activation: ActivationId,
        data: &Payload,
        fault: Fault,
    ) -> Advance {
        match self.handle_fault(node, data, fault) {
            Ok((to, data)) => self.enter(to, activation.derive(to, 0), data),
            Err(fault) => self.end(node, activation, data.clone(), Err(fault)),
        }
    }

    fn worded(&self, node: NodeId, fault: Fault) -> Fault {
        self.functions.worded(self.definition.node(node), fault)
    }

    /// The end of the branch at `node`, to which it came with `data`.
    pub(super) fn end(
        self,
        node: NodeId,
        activation: ActivationId,
        data: Payload,
        result: Result<Payload, Fault>,
    ) -> Advance {
        let last = Last {
            node,
            activation,
            data,
        };
        self.stop(Next::End { result, last })
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
        let fault = placed(node, fault);
        let Some(path) = &node.on_fault else {
            return Err(fault);
        };
        let Some(fold) = &path.fold else {
            return Ok((path.to, data.clone()));
        };
        match self.functions.fold(fold, data, &fault) {
            Ok(data) => Ok((path.to, data)),
            Err(second) => Err(Fault::join([
                fault,
                second.at(node.step_name(), None, None),
            ])),
        }
    }

    /// From before `node` on to the next step or stop.
    pub(super) fn enter(
        mut self,
        node: NodeId,
        activation: ActivationId,
        data: Payload,
    ) -> Advance {
        let (mut id, mut activation, mut data) = (node, activation, data);
        for _ in 0..GATEWAYS_PER_MOVE_MAX {
            let node = self.definition.node(id);
            let guard = match &node.kind {
                NodeKind::Step(step) => step.guard.as_deref(),
                NodeKind::Call(call) => call.guard.as_deref(),
                _ => None,
            };
            let passed = match self.admit(guard, &data) {
                Ok(Verdict::Run) => match &node.kind {
                    NodeKind::Step(step) => {
                        return self.arrive_at_step(id, activation, data, step.is_gated());
                    }
                    _ => self.pass(node, id, activation, data),
                },
                Ok(Verdict::Skip(reason)) => {
                    self.skipped.push(SkipRecord {
                        node: id,
                        activation,
                        reason,
                    });
                    Passed::To(node.next, data)
                }
                Err(fault) => Passed::Failed(id, fault, data),
            };
            let (to, next_data) = match passed {
                Passed::To(to, next_data) => (to, next_data),
                Passed::Stop(next) => return self.stop(next),
                Passed::Failed(failed, fault, before) => {
                    let fault = self.worded(failed, fault);
                    match self.handle_fault(failed, &before, fault) {
                        Ok((to, folded)) => (Some(to), folded),
                        Err(fault) => return self.end(failed, activation, before, Err(fault)),
                    }
                }
            };
            let Some(to) = to else {
                return self.end(id, activation, next_data.clone(), Ok(next_data));
            };
            (id, activation, data) = (to, activation.derive(to, 0), next_data);
        }
        let text = format!("{GATEWAYS_PER_MOVE_MAX} gateways were passed without a step between");
        let fault = Fault::new(codes::LOOP_WITHOUT_STEP, text).permanent().at(
            &self.definition.node(id).name,
            None,
            None,
        );
        self.end(id, activation, data, Err(fault))
    }

    fn admit(&mut self, guard: Option<&str>, data: &Payload) -> Result<Verdict, Fault> {
        let Some(guard) = guard else {
            return Ok(Verdict::Run);
        };
        self.decided = true;
        self.functions.guard(guard, data)
    }

    fn arrive_at_step(
        self,
        node: NodeId,
        activation: ActivationId,
        data: Payload,
        gated: bool,
    ) -> Advance {
        if self.decided || gated {
            return self.stop(Next::Run {
                position: Position::at(node),
                activation,
                data,
                gated,
            });
        }
        self.attempt(node, activation, data)
    }

    /// Hands the token to its step.
    pub(super) fn attempt(self, node: NodeId, activation: ActivationId, data: Payload) -> Advance {
        Advance::Attempt(Handover {
            node,
            activation,
            data,
            rounds: self.rounds,
        })
    }

    pub(super) fn stop(self, next: Next) -> Advance {
        Advance::Moves(Moves {
            skipped: self.skipped,
            detached: self.detached,
            rounds: self.rounds,
            besides: self.besides,
            failed: self.failed,
            next,
        })
    }
}

/// A fault with the node where it happened.
fn placed(node: &Node, fault: Fault) -> Fault {
    let place = &node.place;
    fault.at(
        node.step_name(),
        place.parent.as_deref(),
        place.branch.as_deref(),
    )
}
