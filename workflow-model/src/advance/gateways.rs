//! What each gateway does with a token that comes to it.

use std::time::Duration;

use crate::definition::{
    Branches, CallSpec, Count, Delay, EventMatch, ForkArm, Node, NodeKind, SelectArm, Trigger,
};
use crate::fault::{Fault, codes};
use crate::ids::{ActivationId, NodeId};
use crate::join::Tally;
use crate::limits::{FORK_TOKENS_MAX, MAP_INSTANCES_MAX, SPLIT_BRANCHES_MAX};
use crate::payload::Payload;

use super::walk::{Passed, Walk};
use super::{Call, Child, Last, Next, NoteRecord, Wanted};

impl Walk<'_> {
    /// Takes a token through a node that is no step.
    pub(super) fn pass(
        &mut self,
        node: &Node,
        id: NodeId,
        activation: ActivationId,
        data: Payload,
    ) -> Passed {
        let last = |data: &Payload| Last {
            node: id,
            activation,
            data: data.clone(),
        };
        match &node.kind {
            NodeKind::Step(_) => unreachable!("steps are not passed"),
            NodeKind::Choice { arms, otherwise } => {
                self.decided = true;
                for arm in arms {
                    match self.functions.predicate(&arm.when, &data) {
                        Ok(true) => return Passed::To(arm.to.or(node.next), data),
                        Ok(false) => {}
                        Err(fault) => return Passed::Failed(id, fault, data),
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
                    Ok(children) if children.is_empty() => self.pass_empty(id, *join, data),
                    Ok(children) => Passed::Stop(Next::Split {
                        join: *join,
                        activation: activation.derive(*join, 0),
                        scope: activation,
                        data,
                        children,
                        max_parallelism: *max_parallelism,
                        is_scope: false,
                        timeout: None,
                    }),
                    Err(fault) => Passed::Failed(id, fault, data),
                }
            }
            NodeKind::Scope {
                mutex: Some(mutex), ..
            } => Passed::Stop(Next::Acquire {
                node: id,
                activation,
                data,
                mutex: mutex.clone(),
            }),
            NodeKind::Scope { .. } => Passed::Stop(self.open_scope(id, activation, data)),
            NodeKind::Join { .. } => {
                // A branch of the split has come to its join: here it ends.
                let last = last(&data);
                let result = Ok(data);
                Passed::Stop(Next::End { result, last })
            }
            NodeKind::Fork { arms, otherwise } => {
                self.decided = true;
                match self.fork(arms, activation, &data) {
                    Ok(Some(first)) => Passed::To(Some(first), data),
                    Ok(None) => Passed::To(otherwise.or(node.next), data),
                    Err(fault) => Passed::Failed(id, fault, data),
                }
            }
            NodeKind::Input { meet, index } => Passed::Stop(Next::Meet {
                meet: *meet,
                input: *index,
                activation: activation.derive(*meet, *index),
                data,
            }),
            NodeKind::Meet { .. } => {
                let fault = Fault::new(codes::INTERNAL, "a meet was entered by no input");
                Passed::Failed(id, fault.permanent(), data)
            }
            NodeKind::Merge { .. } => Passed::To(node.next, data),
            NodeKind::Terminate => {
                let last = last(&data);
                Passed::Stop(Next::Terminate { data, last })
            }
            NodeKind::Loop { until, body, .. } => {
                self.rounds.retain(|(of, _)| *of != id);
                self.rounds.push((id, 0));
                if *until {
                    return Passed::To(Some(*body), data);
                }
                self.next_round(id, 0, data)
            }
            NodeKind::Again { of } => {
                let rounds = &mut self.rounds;
                let done = rounds.iter_mut().find(|(around, _)| around == of);
                let done = done.map_or(1, |(_, done)| {
                    *done = done.saturating_add(1);
                    *done
                });
                self.next_round(*of, done, data)
            }
            NodeKind::Map {
                count,
                open,
                max_parallelism,
                join,
                tally,
                ..
            } => {
                self.decided = true;
                let counted = match count {
                    Count::Fixed(count) => Ok(*count),
                    Count::Computed(name) => self.functions.count(name, &data),
                };
                match counted {
                    Ok(0) if !open => self.pass_empty(id, *join, data),
                    Ok(count) if count > MAP_INSTANCES_MAX => {
                        let text = format!(
                            "{count} instances are more than the {MAP_INSTANCES_MAX} of one map: split the work"
                        );
                        let fault = Fault::new(codes::TOO_MANY_BRANCHES, text).permanent();
                        Passed::Failed(id, fault, data)
                    }
                    Ok(count) => Passed::Stop(Next::Map {
                        map: id,
                        join: *join,
                        activation: activation.derive(*join, 0),
                        scope: activation,
                        data,
                        count,
                        open: *open,
                        max_parallelism: *max_parallelism,
                        counts: tally.is_some(),
                    }),
                    Err(fault) => Passed::Failed(id, fault, data),
                }
            }
            NodeKind::Call(spec) => match self.call(spec, id, activation, &data) {
                Ok(call) if spec.detached => {
                    self.decided = true;
                    self.besides().called.push(call);
                    Passed::To(node.next, data)
                }
                Ok(call) => Passed::Stop(Next::Call { call, data }),
                Err(fault) => Passed::Failed(id, fault, data),
            },
            NodeKind::Detach { body } => {
                self.decided = true;
                let index = u32::try_from(self.detached.len()).unwrap_or(u32::MAX);
                self.detached.push(Child {
                    index,
                    name: node.name.clone(),
                    node: *body,
                    activation: activation.derive(*body, 0),
                    data: Some(data.clone()),
                });
                Passed::To(node.next, data)
            }
            NodeKind::Sleep { delay } => {
                self.decided = true;
                match self.delay(delay, &data) {
                    Ok(delay) => Passed::Stop(Next::Sleep {
                        node: id,
                        activation,
                        data,
                        delay,
                    }),
                    Err(fault) => Passed::Failed(id, fault, data),
                }
            }
            NodeKind::Await {
                event,
                matching,
                timeout,
                ..
            } => {
                let waits = self.wanted(0, event, matching, &data).and_then(|wanted| {
                    let timer = timeout.as_ref().map(|delay| self.delay(delay, &data));
                    Ok((vec![wanted], timer.transpose()?.map(|delay| (1, delay))))
                });
                Self::wait(id, activation, data, waits)
            }
            NodeKind::Select { arms } => {
                let waits = self.select(arms, &data);
                Self::wait(id, activation, data, waits)
            }
            NodeKind::Compute { function, noted } => {
                let computed = self.functions.compute(function, &data);
                let computed = computed.and_then(|computed| {
                    if let Some(noted) = noted {
                        self.note(noted, id, activation, &computed)?;
                    }
                    Ok(computed)
                });
                match computed {
                    Ok(computed) => Passed::To(node.next, computed),
                    Err(fault) => Passed::Failed(id, fault, data),
                }
            }
            NodeKind::Cancel { target } => {
                self.decided = true;
                self.besides().cancels.push(*target);
                Passed::To(node.next, data)
            }
            NodeKind::Milestone { milestone, reached } => {
                self.decided = true;
                self.besides()
                    .milestones
                    .push((milestone.clone(), *reached));
                Passed::To(node.next, data)
            }
        }
    }

    /// Keeps for the history what a change of the data has led to.
    fn note(
        &mut self,
        function: &str,
        node: NodeId,
        activation: ActivationId,
        data: &Payload,
    ) -> Result<(), Fault> {
        let output = self.functions.compute(function, data)?;
        // A step acts on it when it is written down, and not before.
        self.decided = true;
        let rounds = self.rounds.clone();
        self.besides().noted.push(NoteRecord {
            node,
            activation,
            rounds,
            output,
        });
        Ok(())
    }

    /// The scope `id` with its first token.
    pub(super) fn open_scope(&self, id: NodeId, scope: ActivationId, data: Payload) -> Next {
        let NodeKind::Scope {
            body,
            join,
            timeout_ms,
            ..
        } = &self.definition.node(id).kind
        else {
            unreachable!("only a scope is opened")
        };
        let first = Child {
            index: 0,
            name: self.definition.node(id).name.clone(),
            node: *body,
            activation: scope.derive(*body, 0),
            data: Some(data.clone()),
        };
        Next::Split {
            join: *join,
            activation: scope.derive(*join, 0),
            scope,
            data,
            children: vec![first],
            max_parallelism: None,
            is_scope: true,
            timeout: timeout_ms.map(Duration::from_millis),
        }
    }

    /// Asks whether a loop that has done so many rounds does one more, and goes where it leads.
    fn next_round(&mut self, id: NodeId, done: u32, data: Payload) -> Passed {
        self.decided = true;
        let node = self.definition.node(id);
        let NodeKind::Loop {
            test,
            until,
            body,
            rounds_max,
        } = &node.kind
        else {
            unreachable!("validation holds that a round belongs to a loop")
        };
        match self.functions.predicate(test, &data) {
            Ok(holds) if holds == *until => {
                self.rounds.retain(|(of, _)| *of != id);
                Passed::To(node.next, data)
            }
            Ok(_) if done >= *rounds_max => {
                let text = format!(
                    "after {done} rounds, its bound, it would go round once more: raise the bound, or correct the test"
                );
                let fault = Fault::new(codes::LOOP_LIMIT, text).permanent();
                Passed::Failed(id, fault, data)
            }
            Ok(_) => Passed::To(Some(*body), data),
            Err(fault) => Passed::Failed(id, fault, data),
        }
    }

    /// Starts the other tokens of a fork; the first one is the token itself. `None`: no arm is taken.
    fn fork(
        &mut self,
        arms: &[ForkArm],
        activation: ActivationId,
        data: &Payload,
    ) -> Result<Option<NodeId>, Fault> {
        let mut taken = Vec::new();
        for arm in arms {
            let holds = match &arm.when {
                Some(when) => self.functions.predicate(when, data)?,
                None => true,
            };
            if holds {
                taken.extend((0..arm.copies).map(|_| arm));
            }
        }
        if taken.len() > FORK_TOKENS_MAX as usize {
            let count = taken.len();
            let text = format!("{count} tokens are more than the {FORK_TOKENS_MAX} of one fork");
            return Err(Fault::new(codes::TOO_MANY_BRANCHES, text).permanent());
        }
        // The first token goes on as copy 0, as every token does that goes on.
        for (index, arm) in (0..).zip(&taken).skip(1) {
            self.besides().forked.push(Child {
                index,
                name: arm.name.clone(),
                node: arm.to,
                activation: activation.derive(arm.to, index),
                data: Some(data.clone()),
            });
        }
        Ok(taken.first().map(|arm| arm.to))
    }

    fn call(
        &self,
        spec: &CallSpec,
        node: NodeId,
        activation: ActivationId,
        data: &Payload,
    ) -> Result<Call, Fault> {
        let input = match &spec.input {
            Some(function) => self.functions.compute(function, data)?,
            None => data.clone(),
        };
        // What nobody can be shown is no reason not to call.
        let shown = spec.shown.as_ref();
        let shown = shown.and_then(|function| self.functions.compute(function, data).ok());
        Ok(Call {
            node,
            activation,
            workflow: spec.workflow.clone(),
            version: spec.version.clone(),
            input,
            shown,
            depth_max: spec.depth_max,
        })
    }

    fn delay(&self, delay: &Delay, data: &Payload) -> Result<Duration, Fault> {
        match delay {
            Delay::FixedMs(ms) => Ok(Duration::from_millis(*ms)),
            Delay::Computed(name) => self.functions.delay(name, data),
            Delay::Until(time) => match time.next_after(self.now) {
                Ok(then) => Ok(then.since(self.now)),
                Err(error) => {
                    let text = format!("the time to wait for cannot be told: {error}");
                    Err(Fault::new(codes::DATA_INVALID, text).permanent())
                }
            },
        }
    }

    fn wanted(
        &self,
        arm: u32,
        event: &str,
        matching: &EventMatch,
        data: &Payload,
    ) -> Result<Wanted, Fault> {
        let key = matching.correlation.as_ref();
        Ok(Wanted {
            arm,
            event: event.to_owned(),
            correlation: key.map(|key| self.functions.key(key, data)).transpose()?,
            transient: matching.transient,
        })
    }

    fn select(
        &self,
        arms: &[SelectArm],
        data: &Payload,
    ) -> Result<(Vec<Wanted>, Option<(u32, Duration)>), Fault> {
        let mut events = Vec::new();
        let mut timer: Option<(u32, Duration)> = None;
        for (arm, way) in (0..).zip(arms) {
            match &way.on {
                Trigger::Event {
                    event, matching, ..
                } => events.push(self.wanted(arm, event, matching, data)?),
                Trigger::Timer(delay) => {
                    let delay = self.delay(delay, data)?;
                    if timer.is_none_or(|(_, earliest)| delay < earliest) {
                        timer = Some((arm, delay));
                    }
                }
            }
        }
        Ok((events, timer))
    }

    fn wait(
        node: NodeId,
        activation: ActivationId,
        data: Payload,
        waits: Result<(Vec<Wanted>, Option<(u32, Duration)>), Fault>,
    ) -> Passed {
        match waits {
            Ok((events, timer)) => Passed::Stop(Next::Await {
                node,
                activation,
                data,
                events,
                timer,
            }),
            Err(fault) => Passed::Failed(node, fault, data),
        }
    }

    /// A split without branches: its join merges nothing.
    fn pass_empty(&self, split: NodeId, join: NodeId, data: Payload) -> Passed {
        match self.merged(join, &data, Tally::default(), &mut std::iter::empty()) {
            Ok(merged) => Passed::To(self.definition.node(join).next, merged),
            Err(fault) => Passed::Failed(split, fault, data),
        }
    }

    fn children(
        &self,
        branches: &Branches,
        scope: ActivationId,
        data: &Payload,
    ) -> Result<Vec<Child>, Fault> {
        let copy = |(index, (name, node)): (u32, (&String, NodeId))| Child {
            index,
            name: name.clone(),
            node,
            activation: scope.derive(node, index),
            data: None,
        };
        match branches {
            Branches::Static(list) => {
                let all = list.iter().map(|(name, node)| (name, *node));
                Ok((0..).zip(all).map(copy).collect())
            }
            Branches::Chosen { arms, otherwise } => {
                let mut taken = Vec::new();
                for arm in arms {
                    if self.functions.predicate(&arm.when, data)? {
                        taken.extend(arm.to.map(|to| (&arm.name, to)));
                    }
                }
                if taken.is_empty() {
                    taken.push((&otherwise.0, otherwise.1));
                }
                Ok((0..).zip(taken).map(copy).collect())
            }
            Branches::Copies { count, body } => Ok((0..*count)
                .map(|index| copy((index, (&index.to_string(), *body))))
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
}
