//! A token that has waited in a node, and goes on with what has come in.

use crate::definition::NodeKind;
use crate::fault::{Fault, codes};
use crate::functions::{Arrival, Arrivals, BranchOutcome, Event};
use crate::ids::{ActivationId, NodeId};
use crate::join::Tally;
use crate::payload::Payload;

use super::walk::Walk;
use super::{Advance, Inputs, Next};
use crate::definition::Trigger;

impl Walk<'_> {
    /// On from `node`, in which the token waited or is to do its step.
    pub(super) fn resume(
        self,
        node: NodeId,
        activation: ActivationId,
        data: Payload,
        inputs: Inputs<'_>,
    ) -> Advance {
        let definition = self.definition;
        match (&definition.node(node).kind, inputs) {
            (kind, Inputs::Refused(fault)) => {
                if let NodeKind::Join { split, .. } = kind {
                    return self.fail(*split, activation, &data, fault);
                }
                self.fail_waiting(node, activation, &data, fault)
            }
            (NodeKind::Step(_), _) => self.attempt(node, activation, data),
            (NodeKind::Join { split, .. }, Inputs::Arrivals(tally, arrivals)) => {
                match self.merged(node, &data, tally, arrivals) {
                    Ok(merged) => self.follow(node, activation, merged),
                    Err(fault) => self.fail(*split, activation, &data, fault),
                }
            }
            (NodeKind::Join { split, .. }, Inputs::Count(counted, arrivals)) => {
                match self.count(*split, counted, arrivals) {
                    Ok(next) => self.stop(next),
                    Err(fault) => self.fail(*split, activation, &data, fault),
                }
            }
            (NodeKind::Meet { .. }, Inputs::Arrivals(tally, arrivals)) => {
                match self.merged(node, &data, tally, arrivals) {
                    Ok(merged) => self.follow(node, activation, merged),
                    Err(fault) => self.fail(node, activation, &data, fault),
                }
            }
            (NodeKind::Await { event, reply, .. }, Inputs::Event(_, came)) => {
                match self.replied(event, reply.as_deref(), &data, &came) {
                    Ok(replied) => self.follow(node, activation, replied),
                    Err(fault) => self.fail_waiting(node, activation, &data, fault),
                }
            }
            (NodeKind::Await { event, .. }, Inputs::Due(_)) => {
                let text = format!("event {event:?} did not come in time");
                let fault = Fault::new(codes::WAIT_TIMEOUT, text).permanent();
                self.fail_waiting(node, activation, &data, fault)
            }
            (NodeKind::Select { arms }, Inputs::Event(arm, came)) => {
                let Some(way) = arms.get(arm as usize) else {
                    return self.stray(node, activation, &data);
                };
                let to = way.to.or(definition.node(node).next);
                let Trigger::Event { event, reply, .. } = &way.on else {
                    return self.stray(node, activation, &data);
                };
                match self.replied(event, reply.as_deref(), &data, &came) {
                    Ok(replied) => self.go(to, node, activation, replied),
                    Err(fault) => self.fail_waiting(node, activation, &data, fault),
                }
            }
            (NodeKind::Select { arms }, Inputs::Due(arm)) => match arms.get(arm as usize) {
                Some(way) => {
                    let to = way.to.or(definition.node(node).next);
                    self.go(to, node, activation, data)
                }
                None => self.stray(node, activation, &data),
            },
            (NodeKind::Call(spec), Inputs::Called(outcome)) => {
                let result = match outcome {
                    BranchOutcome::Succeeded(payload) => match &spec.output {
                        None => Ok(data.clone()),
                        Some(output) => {
                            let is_fault = false;
                            let event = Event { payload, is_fault };
                            self.functions.reply(output, &data, &event)
                        }
                    },
                    BranchOutcome::Failed(fault) => Err(fault),
                    BranchOutcome::Cancelled(reason) => {
                        let text = format!("the called run was withdrawn: {reason}");
                        Err(Fault::new(codes::CALL_CANCELLED, text).permanent())
                    }
                };
                match result {
                    Ok(data) => self.follow(node, activation, data),
                    Err(fault) => self.fail_waiting(node, activation, &data, fault),
                }
            }
            // It has its mutex now.
            (NodeKind::Scope { .. }, Inputs::Nothing) => {
                let next = self.open_scope(node, activation, data);
                self.stop(next)
            }
            (NodeKind::Map { item, body, .. }, Inputs::Instance(index, added)) => {
                let made = match (added, item) {
                    (Some(added), _) => Ok(added),
                    (None, Some(item)) => self.functions.item(item, &data, index),
                    (None, None) => Ok(data.clone()),
                };
                match made {
                    Ok(data) => self.enter(*body, activation, data),
                    // The instance fails, not the map: its fault path is not this token's.
                    Err(fault) => {
                        let fault = fault.at(definition.node(node).step_name(), None, None);
                        self.end(node, activation, data, Err(fault))
                    }
                }
            }
            (NodeKind::Sleep { .. }, _) => self.follow(node, activation, data),
            _ => self.stray(node, activation, &data),
        }
    }

    fn stray(self, node: NodeId, activation: ActivationId, data: &Payload) -> Advance {
        let kind = self.definition.node(node).kind.word().to_owned();
        let text = format!("a branch was resumed in a {kind} without its input");
        let fault = Fault::new(codes::INTERNAL, text).permanent();
        self.fail(node, activation, data, fault)
    }

    fn replied(
        &self,
        event: &str,
        reply: Option<&str>,
        data: &Payload,
        came: &Event,
    ) -> Result<Payload, Fault> {
        if came.is_fault {
            let text = String::from_utf8_lossy(came.payload.as_bytes()).into_owned();
            let text = format!("event {event:?} came as a fault: {text}");
            return Err(Fault::new(codes::FAULT_REPLY, text).permanent());
        }
        match reply {
            None => Ok(data.clone()),
            Some(reply) => self.functions.reply(reply, data, came),
        }
    }

    /// Counts instances of the map `map` until they are enough.
    fn count(&self, map: NodeId, counted: Payload, arrivals: Arrivals<'_>) -> Result<Next, Fault> {
        let NodeKind::Map {
            tally: Some(tally), ..
        } = &self.definition.node(map).kind
        else {
            let text = "a map that does not count was asked to";
            return Err(Fault::new(codes::INTERNAL, text).permanent());
        };
        let (mut counted, mut upto, mut enough) = (counted, 0, false);
        for arrival in arrivals {
            (counted, enough) = self.functions.tally(tally, &counted, &arrival)?;
            upto += 1;
            if enough {
                break;
            }
        }
        Ok(Next::Counted {
            counted,
            upto,
            enough,
        })
    }

    /// The data after a join or meet, or why it failed: all errors of the branches, in branch order.
    pub(super) fn merged(
        &self,
        join: NodeId,
        before: &Payload,
        tally: Tally,
        arrivals: Arrivals<'_>,
    ) -> Result<Payload, Fault> {
        let definition = self.definition;
        let rule = definition.join_rule(join).unwrap_or_default();
        let (merge, keeps_only, judges) = match &definition.node(join).kind {
            NodeKind::Join {
                split,
                merge,
                judges,
                ..
            } => {
                let scope = matches!(definition.node(*split).kind, NodeKind::Scope { .. });
                (merge, scope, *judges)
            }
            NodeKind::Meet { merge, .. } => (merge, false, false),
            _ => unreachable!("only joins and meets merge"),
        };
        if !judges && rule.fails(&tally) {
            let failed = arrivals.filter_map(|arrival| match arrival.outcome {
                BranchOutcome::Failed(fault) => Some(fault),
                BranchOutcome::Succeeded(_) | BranchOutcome::Cancelled(_) => None,
            });
            let fault = Fault::join(failed);
            return Err(if fault.errors.is_empty() {
                unmet(rule.needed().unwrap_or(tally.expected), &tally)
            } else {
                fault
            });
        }
        match merge {
            Some(name) => self.functions.merge(name, before, arrivals),
            None if keeps_only => Ok(only_one(arrivals).unwrap_or_else(|| before.clone())),
            None => Ok(before.clone()),
        }
    }
}

fn only_one(arrivals: Arrivals<'_>) -> Option<Payload> {
    let mut came = arrivals.filter_map(|Arrival { outcome, .. }| match outcome {
        BranchOutcome::Succeeded(data) => Some(data),
        BranchOutcome::Failed(_) | BranchOutcome::Cancelled(_) => None,
    });
    let first = came.next();
    first.filter(|_| came.next().is_none())
}

fn unmet(needed: u32, tally: &Tally) -> Fault {
    let Tally {
        succeeded,
        cancelled,
        expected,
        ..
    } = tally;
    let text = format!(
        "{needed} of {expected} branches must succeed, {succeeded} did and {cancelled} were withdrawn"
    );
    Fault::new(codes::JOIN_UNMET, text).permanent()
}
