//! The gateways of a draft beyond sequence, choice and split.

use super::Draft;
use crate::definition::{
    Arm, Branches, CallSpec, Count, Delay, EventMatch, FailurePolicy, ForkArm, Need, NodeKind,
    Rest, SelectArm, Trigger,
};
use crate::ids::NodeId;

/// The settings of a map.
#[derive(Clone, Debug)]
pub struct MapSpec {
    /// How many instances there are when it begins.
    pub count: Count,
    /// Function of role `Item` that makes the data of an instance; `None` is a copy of the data.
    pub item: Option<String>,
    /// Whether more may be added from outside until it is closed.
    pub open: bool,
    /// How many instances live at once, at least 1.
    pub max_parallelism: u32,
    /// Function of role `Tally` that says when enough have succeeded.
    pub tally: Option<String>,
}

impl Draft {
    /// How many branches a join waits for, and what becomes of the others.
    pub fn need(&mut self, join: NodeId, needed: Need, others: Rest) {
        match &mut self.node(join).kind {
            NodeKind::Join { need, rest, .. } | NodeKind::Meet { need, rest, .. } => {
                (*need, *rest) = (needed, others);
            }
            _ => self.misuse(join, "only a join or meet waits for a number"),
        }
    }

    /// Lets the merge of a join say what becomes of it when its rule cannot be met any more.
    pub fn merge_judges(&mut self, join: NodeId) {
        match &mut self.node(join).kind {
            NodeKind::Join { judges, .. } => *judges = true,
            _ => self.misuse(join, "only a join has a rule that its merge could judge"),
        }
    }

    /// What a failed branch does to the others of a split, scope or map, and to itself.
    pub fn on_failure(&mut self, split: NodeId, policy: FailurePolicy) {
        match &mut self.node(split).kind {
            NodeKind::Split { on_failure, .. }
            | NodeKind::Scope { on_failure, .. }
            | NodeKind::Map { on_failure, .. } => *on_failure = policy,
            _ => self.misuse(
                split,
                "only a split, scope or map has branches that can fail",
            ),
        }
    }

    /// Makes a split take those of `arms` (name, predicate, first node) whose predicates hold, or
    /// `otherwise` (name, first node) if none does.
    pub fn chosen_branches(
        &mut self,
        split: NodeId,
        arms: Vec<(String, String, NodeId)>,
        otherwise: (String, NodeId),
    ) {
        let arms = arms.into_iter().map(|(name, when, to)| Arm {
            name,
            when,
            to: Some(to),
        });
        let chosen = Branches::Chosen {
            arms: arms.collect(),
            otherwise,
        };
        self.set_branches(split, chosen);
    }

    /// Gives a split `count` branches, all on the same nodes.
    pub fn copies(&mut self, split: NodeId, count: u32, body: NodeId) {
        self.set_branches(split, Branches::Copies { count, body });
    }

    fn set_branches(&mut self, split: NodeId, new: Branches) {
        match &mut self.node(split).kind {
            NodeKind::Split { branches, .. } => *branches = new,
            _ => self.misuse(split, "branches belong to a split"),
        }
    }

    /// Adds a scope and its join, which is named `<name>/join`. Its body is set by
    /// [`body`](Self::body).
    pub fn scope(&mut self, name: impl Into<String>, merge: Option<String>) -> (NodeId, NodeId) {
        self.joined(name, merge, |join| NodeKind::Scope {
            body: join,
            join,
            mutex: None,
            timeout_ms: None,
            on_failure: FailurePolicy::SettleAll,
        })
    }

    /// Only one scope of a run is in `mutex` at a time.
    pub fn mutex(&mut self, scope: NodeId, name: impl Into<String>) {
        match &mut self.node(scope).kind {
            NodeKind::Scope { mutex, .. } => *mutex = Some(name.into()),
            _ => self.misuse(scope, "only a scope has a mutex"),
        }
    }

    /// After so many milliseconds a scope is withdrawn and fails.
    pub fn scope_timeout(&mut self, scope: NodeId, ms: u64) {
        match &mut self.node(scope).kind {
            NodeKind::Scope { timeout_ms, .. } => *timeout_ms = Some(ms),
            _ => self.misuse(scope, "only a scope has a timeout of its own"),
        }
    }

    /// The first node inside a scope, map, loop or detached branch.
    pub fn body(&mut self, of: NodeId, first: NodeId) {
        match &mut self.node(of).kind {
            NodeKind::Scope { body, .. }
            | NodeKind::Map { body, .. }
            | NodeKind::Loop { body, .. }
            | NodeKind::Detach { body } => *body = first,
            _ => self.misuse(of, "only a scope, map, loop or detach has a body"),
        }
    }

    /// Adds a fork without arms.
    pub fn fork(&mut self, name: impl Into<String>) -> NodeId {
        let (arms, otherwise) = (Vec::new(), None);
        self.add(name, NodeKind::Fork { arms, otherwise })
    }

    /// Adds an arm to a fork.
    pub fn fork_arm(&mut self, fork: NodeId, arm: ForkArm) {
        match &mut self.node(fork).kind {
            NodeKind::Fork { arms, .. } => arms.push(arm),
            _ => self.misuse(fork, "these arms belong to a fork"),
        }
    }

    /// Adds a meet and its inputs, which are named `<name>/<input>`; connect to those.
    pub fn meet(
        &mut self,
        name: impl Into<String>,
        inputs: &[&str],
        need: Need,
        rest: Rest,
    ) -> (NodeId, Vec<NodeId>) {
        let name = name.into();
        let meet = self.add(
            name.clone(),
            NodeKind::Meet {
                inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
                need,
                rest,
                merge: None,
            },
        );
        let input = |(index, input): (u32, &&str)| {
            self.add(format!("{name}/{input}"), NodeKind::Input { meet, index })
        };
        let inputs = (0..).zip(inputs).map(input).collect();
        (meet, inputs)
    }

    /// Adds a point where alternative ways come together; with `multi` several tokens may come, each
    /// going on by itself.
    pub fn merge_point(&mut self, name: impl Into<String>, multi: bool) -> NodeId {
        self.add(name, NodeKind::Merge { multi })
    }

    /// Adds an end node, which ends the run whatever else goes on.
    pub fn terminate(&mut self, name: impl Into<String>) -> NodeId {
        self.add(name, NodeKind::Terminate)
    }

    /// Adds a loop and the end of its round, which is named `<name>/again`. Its body is set by
    /// [`body`](Self::body).
    pub fn repeat(
        &mut self,
        name: impl Into<String>,
        test: impl Into<String>,
        until: bool,
        rounds_max: u32,
    ) -> (NodeId, NodeId) {
        let name = name.into();
        let again_name = format!("{name}/again");
        let again = NodeId(u32::try_from(self.definition.nodes.len() + 1).unwrap_or(u32::MAX));
        let (test, body) = (test.into(), again);
        let of = self.add(
            name,
            NodeKind::Loop {
                test,
                until,
                body,
                rounds_max,
            },
        );
        (of, self.add(again_name, NodeKind::Again { of }))
    }

    /// Adds a map and its join, which is named `<name>/join`. Its body is set by
    /// [`body`](Self::body), and its last nodes lead to the join.
    pub fn map(
        &mut self,
        name: impl Into<String>,
        spec: MapSpec,
        merge: Option<String>,
    ) -> (NodeId, NodeId) {
        let MapSpec {
            count,
            item,
            open,
            max_parallelism,
            tally,
        } = spec;
        self.joined(name, merge, |join| NodeKind::Map {
            count,
            item,
            open,
            max_parallelism,
            body: join,
            join,
            on_failure: FailurePolicy::SettleAll,
            tally,
        })
    }

    /// Adds a call of another workflow.
    pub fn call(&mut self, name: impl Into<String>, call: CallSpec) -> NodeId {
        self.add(name, NodeKind::Call(call))
    }

    /// How deep calls may be nested, this one included.
    pub fn call_depth(&mut self, call: NodeId, depth: u32) {
        match &mut self.node(call).kind {
            NodeKind::Call(call) => call.depth_max = depth,
            _ => self.misuse(call, "only a call has a depth"),
        }
    }

    /// How long the called run may take, in milliseconds; then the call fails.
    pub fn call_timeout(&mut self, call: NodeId, ms: u64) {
        match &mut self.node(call).kind {
            NodeKind::Call(call) => call.timeout_ms = Some(ms),
            _ => self.misuse(call, "only a call has this timeout"),
        }
    }

    /// Changes what a wait asks of its event beside the name.
    pub fn change_matching(&mut self, wait: NodeId, change: impl FnOnce(&mut EventMatch)) {
        match &mut self.node(wait).kind {
            NodeKind::Await { matching, .. } => change(matching),
            _ => self.misuse(wait, "only a wait for an event asks for more than a name"),
        }
    }

    /// After that long a wait for an event fails.
    pub fn await_timeout(&mut self, wait: NodeId, after: Delay) {
        match &mut self.node(wait).kind {
            NodeKind::Await { timeout, .. } => *timeout = Some(after),
            _ => self.misuse(wait, "only a wait for an event has this timeout"),
        }
    }

    /// Adds a deferred choice without arms.
    pub fn select(&mut self, name: impl Into<String>) -> NodeId {
        self.add(name, NodeKind::Select { arms: Vec::new() })
    }

    /// Adds an arm to a deferred choice; `to: None` leads to what follows it.
    pub fn select_arm(
        &mut self,
        select: NodeId,
        name: impl Into<String>,
        on: Trigger,
        to: Option<NodeId>,
    ) {
        let name = name.into();
        match &mut self.node(select).kind {
            NodeKind::Select { arms } => arms.push(SelectArm { name, on, to }),
            _ => self.misuse(select, "these arms belong to a deferred choice"),
        }
    }

    /// Adds a withdrawal of all that goes on in `target`.
    pub fn cancel(&mut self, name: impl Into<String>, target: NodeId) -> NodeId {
        self.add(name, NodeKind::Cancel { target })
    }

    /// Says by its name what a withdrawal withdraws.
    pub fn cancel_named(&mut self, cancel: NodeId, name: &str) {
        let known = self.definition.find(name);
        match (known, &mut self.node(cancel).kind) {
            (Some(known), NodeKind::Cancel { target }) => *target = known,
            (None, _) => {
                let text = format!(
                    "there is no {name:?} to withdraw; name a step, wait, scope, split or map"
                );
                self.misuse(cancel, &text);
            }
            (Some(_), _) => self.misuse(cancel, "only a withdrawal has a target"),
        }
    }

    /// Adds a node that enters (`reached`) or leaves the run's state `milestone`.
    pub fn milestone(
        &mut self,
        name: impl Into<String>,
        milestone: impl Into<String>,
        reached: bool,
    ) -> NodeId {
        let milestone = milestone.into();
        self.add(name, NodeKind::Milestone { milestone, reached })
    }

    /// How long a run may take, in milliseconds, at least 1.
    pub fn run_deadline(&mut self, ms: u64) {
        self.definition.deadline_ms = Some(ms);
    }
}
