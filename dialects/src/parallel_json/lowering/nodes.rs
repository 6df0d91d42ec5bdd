//! The nodes of each step.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass_workflow_model::{
    Count, FailurePolicy, Function, MapSpec, Need, NodeId, Rest, RetryPolicy, StepSpec, name_beside,
};

use super::{Lowering, Nodes};
use crate::dialect::Dialect;
use crate::limits::ITERATIONS_AT_ONCE;
use crate::options::{EarlyExit, LoopStop, ResolveAgents};
use crate::parallel_json::block::{Block, BlockBranch, Limit, Rule, raise};
use crate::parallel_json::condition::{self, Condition};
use crate::parallel_json::iteration::Iterations;
use crate::parallel_json::mapping::Mapping;
use crate::parallel_json::seat::branch_name;
use crate::parallel_json::step::{ForkJoin, Kind, Loop, OnError};

impl Lowering<'_, '_> {
    /// Adds the nodes of a step.
    pub(super) fn add(&mut self, step: usize) {
        let document = self.document;
        let nodes = match &document.steps[step].kind {
            Kind::Agent {
                agent,
                input_mapping,
            } => Nodes::one(self.add_agent(step, agent, input_mapping)),
            Kind::Parallel {
                max_parallelism, ..
            } => {
                self.show_block(step, "parallel");
                self.add_block(step, Rule::Parallel, *max_parallelism, None)
            }
            Kind::ForkJoin(fork) => {
                self.show_block(step, "fork_join");
                self.add_block(step, Rule::ForkJoin(fork.policy), None, Some(fork))
            }
            Kind::Loop(looped) => {
                self.show_block(step, "loop");
                self.add_loop(step, looped)
            }
            Kind::Conditional { .. } => {
                self.show_block(step, "conditional");
                self.add_conditional(step)
            }
            // A file with such a step is not lowered.
            Kind::Unknown => return,
        };
        if document.steps[step].copy.is_some() {
            self.draft.copy_of(nodes.entry, document.steps[step].id);
        }
        let own = self.place(step);
        let all = nodes.failing.iter().copied().chain(nodes.join);
        for node in all.chain([nodes.entry, nodes.exit]) {
            self.draft.place(node, own.clone());
        }
        for (branch, (scope, end)) in &nodes.limits {
            for node in [*scope, *end] {
                self.draft.place(node, self.place_inside(step, *branch));
            }
        }
        if let Some(failed) = nodes.failed {
            self.draft.place(failed, self.place_inside(step, 0));
        }
        self.nodes.insert(step, nodes);
    }

    fn add_agent(&mut self, step: usize, agent: &str, input_mapping: &serde_json::Value) -> NodeId {
        let id = self.document.steps[step].id;
        let name = self.document.node_name(step);
        let options = &self.options.parallel_json;
        let unknown = self.unknown_agent(step, agent);
        let later = options.resolve_agents == ResolveAgents::Run;
        if later && !self.options.handlers.accepts(agent) {
            // A step would need a handler; a node of another kind leaves no row, but a block does.
            self.show_block(step, "agent");
            return self.draft.compute(name, unknown);
        }
        let own = options.agents.get(agent).cloned().unwrap_or_default();
        let default = options.step_timeout.map(whole_ms);
        let timeout_ms = own.timeout_ms.or(default).filter(|ms| *ms > 0);
        let place = self.place(step);
        let parent = self.seats.of[step].as_ref();
        let parent = parent.and_then(|seat| seat.parent.as_ref());
        let in_body = parent
            .is_some_and(|(block, _)| matches!(self.document.steps[*block].kind, Kind::Loop(_)));
        // The branch of a loop is an iteration, and which one that is, only a run knows.
        let branch = place.branch.filter(|_| !in_body);
        let spec = StepSpec {
            kind: "agent".to_owned(),
            timeout_ms,
            retry: own.retry.unwrap_or_else(RetryPolicy::default),
            config: json!({
                "dialect": Dialect::ParallelJson.as_str(),
                "step": id,
                "type": agent,
                "workflow": self.document.workflow_id,
                "parent_step_id": place.parent,
                "branch_name": branch,
                "config": { "input_mapping": input_mapping },
                "fields": {},
            }),
            ..StepSpec::new(agent)
        };
        self.draft.step(name, spec)
    }

    /// The function of a step whose agent has no handler, which is known only where it runs.
    fn unknown_agent(&mut self, step: usize, agent: &str) -> String {
        let standing = self.standing(step);
        let name = format!("{}/agent-unknown", self.document.node_name(step));
        let text =
            format!("no handler {agent:?}; the step cannot work; register it and start again");
        let fail = move |_: &_| Err(standing.fault("agent-unknown", &text));
        self.function(name, Function::Compute(Arc::new(fail)))
    }

    /// A split with its join.
    fn add_block(
        &mut self,
        step: usize,
        rule: Rule,
        width: Option<u32>,
        fork: Option<&ForkJoin<'_>>,
    ) -> Nodes {
        let name = self.document.node_name(step);
        let block = Arc::new(self.block(step, rule, fork));
        let merge = self.function(format!("{name}/merge"), block.merge());
        self.function(format!("{name}/fold"), block.fold());
        let (split, join) = self.draft.split(name, Some(merge));
        if let Some(width) = width {
            self.draft.split_parallelism(split, width);
        }
        let branches = u32::try_from(block.branches.len()).unwrap_or(u32::MAX);
        self.draft
            .on_failure(split, FailurePolicy::Tolerate(branches));
        let early = fork.filter(|fork| fork.early_exit != EarlyExit::None);
        if let Some(fork) = early {
            let needed = fork.policy.needs(block.branches.len());
            let rest = match fork.early_exit {
                EarlyExit::Cancel => Rest::Cancel,
                EarlyExit::Absorb | EarlyExit::None => Rest::Absorb,
            };
            self.draft.need(join, Need::AtLeast(needed), rest);
            let spare = branches.saturating_sub(needed);
            self.draft.on_failure(split, FailurePolicy::Tolerate(spare));
        }
        let mut limits = HashMap::new();
        for (index, branch) in block.branches.iter().enumerate() {
            if let Some(limit) = &branch.limit {
                let (scope, end) = self.draft.scope(limit.node.as_str(), None);
                self.draft
                    .scope_timeout(scope, u64::from(limit.seconds) * 1_000);
                self.draft.connect(end, join);
                limits.insert(index, (scope, end));
            }
        }
        Nodes {
            join: Some(join),
            limits,
            ..self.outcome(step, split, join, early.is_some())
        }
    }

    /// How a block goes on: from its join, unless something has to be decided behind that.
    ///
    /// With `on_failure` that is a choice. A fork-join that exits early has to raise its error there:
    /// the engine fails it by the errors of its branches alone.
    fn outcome(&mut self, step: usize, entry: NodeId, join: NodeId, exits_early: bool) -> Nodes {
        let standing = self.standing(step);
        let name = self.document.node_name(step);
        let exit = if self.hands_over(step) {
            self.draft.choice(name_beside(&name, "outcome"))
        } else if exits_early {
            let raise = self.function(format!("{name}/raise"), raise(standing));
            self.draft.compute(name_beside(&name, "outcome"), raise)
        } else {
            return Nodes {
                entry,
                failing: vec![entry],
                ..Nodes::one(join)
            };
        };
        self.draft.connect(join, exit);
        self.draft
            .on_fault(entry, exit, Some(format!("{name}/fold")));
        Nodes {
            entry,
            failing: vec![exit],
            ..Nodes::one(exit)
        }
    }

    /// Whether a step has an `on_failure` that counts.
    fn hands_over(&self, step: usize) -> bool {
        self.seats.failure(self.document, step).is_some()
    }

    fn block(&self, step: usize, rule: Rule, fork: Option<&ForkJoin<'_>>) -> Block {
        let document = self.document;
        let lists = document.steps[step].lists();
        let node = document.node_name(step);
        let branches = lists.iter().enumerate().map(|(index, list)| {
            let name = branch_name(document, step, index);
            let seconds = fork.and_then(|fork| fork.branches[index].timeout_seconds);
            let limit = seconds.map(|seconds| Limit {
                node: name_beside(&node, &format!("branch/{name}")),
                seconds,
            });
            BlockBranch {
                last: list
                    .last()
                    .map(|link| link.id.to_owned())
                    .unwrap_or_default(),
                limit,
                name,
            }
        });
        Block {
            standing: self.standing(step),
            rule,
            branches: branches.collect(),
            hands_over: self.hands_over(step),
            branch_of: self.branches.get(&step).cloned().unwrap_or_default(),
        }
    }

    fn add_loop(&mut self, step: usize, looped: &Loop<'_>) -> Nodes {
        let document = self.document;
        let name = document.node_name(step);
        let last = looped.body.last().and_then(|link| link.target);
        let last_input = last.and_then(|last| match &document.steps[last].kind {
            Kind::Agent { input_mapping, .. } => Some(Mapping::of(input_mapping)),
            _ => None,
        });
        let of = Arc::new(Iterations {
            standing: self.standing(step),
            collection: looped
                .collection
                .clone()
                .unwrap_or_else(|| Mapping::List(Vec::new())),
            most: looped.max_iterations,
            on_error: looped.on_error,
            last: looped
                .body
                .last()
                .map(|link| link.id.to_owned())
                .unwrap_or_default(),
            last_input,
            hands_over: self.hands_over(step),
            inside: self
                .branches
                .get(&step)
                .into_iter()
                .flat_map(HashMap::keys)
                .cloned()
                .collect(),
        });
        let width = looped.max_parallelism.unwrap_or(ITERATIONS_AT_ONCE);
        let spec = MapSpec {
            count: Count::Computed(self.function(format!("{name}/count"), of.count())),
            item: Some(self.function(format!("{name}/item"), of.item())),
            open: false,
            max_parallelism: if looped.parallel { width } else { 1 },
            tally: None,
        };
        let merge = self.function(format!("{name}/merge"), of.merge());
        self.function(format!("{name}/fold"), of.fold());
        self.function(format!("{name}/keep"), Iterations::keep());
        let (map, join) = self.draft.map(&*name, spec, Some(merge));
        let policy = match looped.on_error {
            OnError::Stop if looped.parallel && self.drains() => FailurePolicy::Drain,
            OnError::Stop => FailurePolicy::FailFast,
            OnError::Continue | OnError::Collect => FailurePolicy::Tolerate(u32::MAX),
        };
        self.draft.on_failure(map, policy);
        self.draft.merge_judges(join);
        let raise = self.function(format!("{name}/iteration"), of.raise());
        let failed = self.draft.compute(name_beside(&name, "iteration"), raise);
        self.draft.connect(failed, join);
        let end = self.function(format!("{name}/ended"), of.ended());
        let ended = self.draft.compute(name_beside(&name, "ended"), end);
        self.draft.connect(ended, join);
        Nodes {
            join: Some(join),
            ended: Some(ended),
            failed: Some(failed),
            ..self.outcome(step, map, join, false)
        }
    }

    fn drains(&self) -> bool {
        self.options.parallel_json.parallel_loop_stop == LoopStop::Drain
    }

    fn add_conditional(&mut self, step: usize) -> Nodes {
        let document = self.document;
        let Kind::Conditional {
            expression: Some(expression),
            then,
            otherwise,
            ..
        } = &document.steps[step].kind
        else {
            unreachable!(
                "a conditional without a condition is an error, and such files are not lowered"
            )
        };
        let id = document.steps[step].id;
        let name = document.node_name(step);
        let begins = |link: &Option<_>| {
            let start = self.seats.branch_start(document, step, link.as_ref()?)?;
            Some(document.steps[start].id.to_owned())
        };
        let condition = Condition {
            standing: self.standing(step),
            expression: expression.clone(),
            then: begins(then),
            otherwise: begins(otherwise),
        };
        let decide = self.function(format!("{name}/decide"), condition.decide());
        let entry = self.draft.compute(&*name, decide);
        let exit = self.draft.choice(name_beside(&name, "choose"));
        self.draft.connect(entry, exit);
        self.function(format!("{id}/then"), condition::is_then(id.to_owned()));
        Nodes {
            entry,
            exit,
            failing: vec![entry],
            ..Nodes::one(exit)
        }
    }
}

fn whole_ms(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}
