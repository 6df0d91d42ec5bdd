//! What each kind of node asks of its own settings.

use std::collections::HashSet;

use super::Check;
use crate::definition::{
    Arm, Branches, Count, Delay, FailurePolicy, Need, NodeKind, Rest, Trigger,
};
use crate::ids::NodeId;
use crate::limits::{FORK_TOKENS_MAX, SPLIT_BRANCHES_MAX};

impl Check<'_> {
    /// That only a map drains: what starts together has nothing left to start.
    fn drains_nothing(&mut self, name: &str, on_failure: FailurePolicy) {
        if on_failure == FailurePolicy::Drain {
            let text =
                "only a map can drain, for its instances start one after the other; use settle-all";
            self.report("failure-policy-invalid", Some(name), text);
        }
    }

    pub(super) fn kind(&mut self, id: NodeId) {
        let definition = self.definition;
        let node = definition.node(id);
        let name = Some(node.name.as_str());
        match &node.kind {
            NodeKind::Step(step) => {
                self.name(name, "handler-invalid", "its handler's name", &step.handler);
                for text in step.retry.problems() {
                    self.report("retry-invalid", name, &text);
                }
                if step.timeout_ms == Some(0) {
                    self.report("limit-invalid", name, "a timeout of 0 ends every attempt before it begins; use 1 ms or more, or none");
                }
                for (what, ms) in [
                    ("heartbeat", step.heartbeat_ms),
                    ("start_within", step.start_within_ms),
                    ("end_within", step.end_within_ms),
                ] {
                    if ms == Some(0) {
                        let text = format!(
                            "a {what} of 0 ends every attempt before it begins; use 1 ms or more, or none"
                        );
                        self.report("limit-invalid", name, &text);
                    }
                }
                if step.start_within_ms.is_some() && step.end_within_ms.is_some() {
                    let text = "start_within and end_within exclude each other, for a run keeps one time for both; use end_within alone";
                    self.report("limit-invalid", name, text);
                }
                for handler in step.handlers().skip(1) {
                    self.name(name, "handler-invalid", "a handler's name", handler);
                }
                if let Some(gate) = &step.gate {
                    self.gate(&node.name, gate);
                }
            }
            NodeKind::Choice { arms, .. } if arms.is_empty() => {
                let text = "a choice without arms decides nothing; add one";
                self.report("no-branches", name, text);
            }
            NodeKind::Select { arms } => {
                if arms.is_empty() {
                    let text = "it waits for nothing, so it would wait for ever; add an arm";
                    self.report("no-branches", name, text);
                }
                for arm in arms {
                    match &arm.on {
                        Trigger::Event { event, .. } => {
                            self.name(name, "name-invalid", "its event's name", event);
                        }
                        Trigger::Timer(delay) => self.delay(&node.name, delay),
                    }
                }
            }
            NodeKind::Split {
                branches,
                max_parallelism,
                join,
                on_failure,
            } => {
                self.drains_nothing(&node.name, *on_failure);
                self.parallelism(&node.name, *max_parallelism);
                self.has_join(id, *join);
                self.branches(&node.name, branches);
            }
            NodeKind::Scope {
                join,
                mutex,
                timeout_ms,
                on_failure,
                ..
            } => {
                self.drains_nothing(&node.name, *on_failure);
                self.has_join(id, *join);
                if let Some(mutex) = mutex {
                    self.name(name, "name-invalid", "its mutex's name", mutex);
                }
                if *timeout_ms == Some(0) {
                    let text = "a timeout of 0 ends it before it begins; use 1 ms or more, or none";
                    self.report("limit-invalid", name, text);
                }
            }
            NodeKind::Map {
                join,
                max_parallelism,
                ..
            } => {
                self.parallelism(&node.name, Some(*max_parallelism));
                self.has_join(id, *join);
            }
            NodeKind::Join {
                split,
                need,
                rest,
                merge,
                judges,
            } => {
                self.join(&node.name, *split, *need, *rest);
                if *judges && merge.is_none() {
                    let text = "its merge is to judge it, and it has none; name a function";
                    self.report("join-invalid", name, text);
                }
            }
            NodeKind::Fork { arms, otherwise } => {
                let tokens: u64 = arms.iter().map(|arm| u64::from(arm.copies)).sum();
                if arms.is_empty() || arms.iter().any(|arm| arm.copies == 0) {
                    let text =
                        "a fork needs arms, and every arm at least one token; add what is missing";
                    self.report("no-branches", name, text);
                }
                if tokens > u64::from(FORK_TOKENS_MAX) {
                    let text = format!(
                        "{tokens} tokens are more than the {FORK_TOKENS_MAX} of one fork; use a map"
                    );
                    self.report("limit-invalid", name, &text);
                }
                let may_take_none = arms.iter().all(|arm| arm.when.is_some());
                if may_take_none && otherwise.is_none() && node.next.is_none() {
                    let text = "every arm has a condition, and when none holds there is no way on; say where `otherwise` leads";
                    self.report("no-default", name, text);
                }
            }
            NodeKind::Await { event, timeout, .. } => {
                self.name(name, "name-invalid", "its event's name", event);
                if let Some(timeout) = timeout {
                    self.delay(&node.name, timeout);
                }
            }
            NodeKind::Sleep { delay } => self.delay(&node.name, delay),
            NodeKind::Loop { rounds_max: 0, .. } => {
                let text = "with a bound of 0 rounds it fails as soon as it would do anything; use 1 or more";
                self.report("limit-invalid", name, text);
            }
            NodeKind::Again { of } => {
                let around = definition.nodes.get(of.0 as usize).map(|node| &node.kind);
                if !matches!(around, Some(NodeKind::Loop { .. })) {
                    let text = "it ends a round of something that is no loop; name a loop";
                    self.report("wrong-node", name, text);
                }
            }
            NodeKind::Call(call) => {
                self.name(name, "name-invalid", "its workflow's name", &call.workflow);
                if call.depth_max == 0 {
                    let text = "a depth of 0 allows no call; use 1 or more";
                    self.report("limit-invalid", name, text);
                }
                if call.timeout_ms == Some(0) {
                    let text = "a timeout of 0 ends it before it begins; use 1 ms or more, or none";
                    self.report("limit-invalid", name, text);
                }
                if call.detached && call.timeout_ms.is_some() {
                    let text = "nobody waits for a run that lives on its own, so its time is never over; give its workflow a deadline";
                    self.report("limit-invalid", name, text);
                }
            }
            NodeKind::Cancel { target } => {
                let target = definition.nodes.get(target.0 as usize);
                if target.is_some_and(|target| !can_be_withdrawn(&target.kind)) {
                    let text = "nothing ever stays in its target, so there is nothing to withdraw; name a step, wait, scope, split or map";
                    self.report("wrong-node", name, text);
                }
            }
            NodeKind::Milestone { milestone, .. } => {
                self.name(name, "name-invalid", "its milestone's name", milestone);
            }
            NodeKind::Choice { .. }
            | NodeKind::Loop { .. }
            | NodeKind::Meet { .. }
            | NodeKind::Input { .. }
            | NodeKind::Merge { .. }
            | NodeKind::Terminate
            | NodeKind::Detach { .. }
            | NodeKind::Compute { .. } => {}
        }
    }

    fn delay(&mut self, node: &str, delay: &Delay) {
        let Delay::Until(time) = delay else {
            return;
        };
        for text in time.problems() {
            self.report("time-invalid", Some(node), &text);
        }
    }

    fn parallelism(&mut self, node: &str, limit: Option<u32>) {
        if limit == Some(0) {
            let text = "a max_parallelism of 0 would start nothing; use 1 or more";
            self.report("limit-invalid", Some(node), text);
        }
    }

    fn has_join(&mut self, id: NodeId, join: NodeId) {
        let definition = self.definition;
        let joins = definition.nodes.get(join.0 as usize).map(|node| &node.kind);
        if !matches!(joins, Some(NodeKind::Join { split, .. }) if *split == id) {
            let text = "its join does not belong to it; its branches could never meet";
            self.report("join-missing", Some(&definition.node(id).name), text);
        }
    }

    fn branches(&mut self, split: &str, branches: &Branches) {
        let names: Vec<&str> = match branches {
            Branches::Static(list) => list.iter().map(|(name, _)| name.as_str()).collect(),
            Branches::Chosen { arms, otherwise } => {
                self.arms_lead_on(split, arms);
                let arms = arms.iter().map(|arm| arm.name.as_str());
                arms.chain([otherwise.0.as_str()]).collect()
            }
            Branches::Copies { count, .. } => {
                if *count == 0 || *count as usize > SPLIT_BRANCHES_MAX {
                    let text = format!("{count} copies; use 1 to {SPLIT_BRANCHES_MAX}");
                    self.report("limit-invalid", Some(split), &text);
                }
                return;
            }
            Branches::Computed { .. } => return,
        };
        if names.is_empty() {
            let text = "a split without branches does nothing; add one";
            self.report("no-branches", Some(split), text);
        }
        let mut seen = HashSet::new();
        for branch in names {
            self.name(Some(split), "name-invalid", "a branch's name", branch);
            if !seen.insert(branch) {
                let text = format!("two branches are named {branch:?}; rename one");
                self.report("duplicate-branch", Some(split), &text);
            }
        }
    }

    fn arms_lead_on(&mut self, split: &str, arms: &[Arm]) {
        for arm in arms.iter().filter(|arm| arm.to.is_none()) {
            let text = format!(
                "arm {:?} leads nowhere, so its branch could not be joined; give it a step",
                arm.name
            );
            self.report("no-steps", Some(split), &text);
        }
    }

    fn join(&mut self, join: &str, split: NodeId, need: Need, rest: Rest) {
        let name = Some(join);
        let Some(split) = self.definition.nodes.get(split.0 as usize) else {
            return;
        };
        if need == Need::ActiveGlobal || matches!(rest, Rest::Block | Rest::Queue) {
            let text = "its branches come once each, so there is nothing to look ahead, block or queue for; use a meet inside a scope";
            self.report("join-invalid", name, text);
        }
        let is_scope = matches!(split.kind, NodeKind::Scope { .. });
        if is_scope && (need != Need::All || rest != Rest::Absorb) {
            let text = "a scope is over when none of its tokens is left; use `all`, and a meet or terminate inside it";
            self.report("join-invalid", name, text);
        }
        let branches = match &split.kind {
            NodeKind::Split {
                branches: Branches::Static(list),
                ..
            } => u32::try_from(list.len()).ok(),
            NodeKind::Split {
                branches: Branches::Copies { count, .. },
                ..
            }
            | NodeKind::Map {
                count: Count::Fixed(count),
                open: false,
                ..
            } => Some(*count),
            _ => None,
        };
        if let (Need::AtLeast(needed), Some(branches)) = (need, branches)
            && needed > branches
        {
            let text =
                format!("{needed} of {branches} branches can never come; use 0 to {branches}");
            self.report("join-invalid", name, &text);
        }
    }

    fn gate(&mut self, step: &str, gate: &str) {
        self.name(Some(step), "name-invalid", "its milestone's name", gate);
        let reaches = |kind: &NodeKind| matches!(kind, NodeKind::Milestone { milestone, reached: true } if milestone == gate);
        if !self.definition.nodes.iter().any(|node| reaches(&node.kind)) {
            let text = format!(
                "no node reaches milestone {gate:?}, so it would wait for ever; add a milestone of that name"
            );
            self.report("milestone-unknown", Some(step), &text);
        }
    }
}

fn can_be_withdrawn(kind: &NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::Step(_)
            | NodeKind::Split { .. }
            | NodeKind::Scope { .. }
            | NodeKind::Map { .. }
            | NodeKind::Call(_)
            | NodeKind::Sleep { .. }
            | NodeKind::Await { .. }
            | NodeKind::Select { .. }
    )
}
