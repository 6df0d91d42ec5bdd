//! The graph of a workflow: steps and gateways joined by edges.
//!
//! Plain data that can be written down and compared; functions and handlers stand in it by name.
//! Nothing here holds the state of a run, so one definition serves any number of runs.

mod call;
mod join;
mod node_kind;
mod split;
mod step;
mod wait;

use serde::{Deserialize, Serialize};

use crate::ids::{NodeId, Position};
use crate::join::JoinRule;
use crate::retry::RetryPolicy;

pub use call::CallSpec;
pub use join::{FailurePolicy, Need, Rest};
pub use node_kind::NodeKind;
pub use split::{Arm, Branches, Count, ForkArm};
pub use step::{Effect, StepSpec};
pub use wait::{Delay, EventMatch, SelectArm, Trigger};

/// A named, versioned, immutable workflow. Made by [`Draft::finish`](crate::Draft::finish), which
/// validates it; one that was read back from a store is as valid as it was then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) start: NodeId,
    pub(crate) max_parallelism: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline_ms: Option<u64>,
    #[serde(default)]
    pub(crate) blocks: Vec<Block>,
    #[serde(default = "Definition::default_unreached_reason")]
    pub(crate) unreached_reason: String,
    pub(crate) source: Option<Source>,
}

impl Definition {
    pub(crate) fn default_unreached_reason() -> String {
        "not-reached".to_owned()
    }

    /// The name; with the version it names the definition for ever.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version, any text.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// All nodes; a [`NodeId`] is an index into them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this id.
    ///
    /// # Panics
    /// If the id belongs to another definition: validation holds every id in range.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The node with this id, which may have been read from somewhere; `None` if there is none.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.0 as usize)
    }

    /// Where every run begins.
    pub fn start(&self) -> NodeId {
        self.start
    }

    /// How many jobs of one run may be ready or running at once; `None` is no limit.
    pub fn max_parallelism(&self) -> Option<u32> {
        self.max_parallelism
    }

    /// How long a run may take from when it may begin, in milliseconds; then it fails and what is left
    /// of it is withdrawn. `None` is no limit.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.deadline_ms
    }

    /// Blocks that group steps for people to see; they have no effect on the flow.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Why a step that a failed run never reached did not run.
    pub fn unreached_reason(&self) -> &str {
        &self.unreached_reason
    }

    /// Whether a branch that goes on from `position` comes to a call that it waits for, a timer or a wait
    /// for an event before it can do a step, or at least to a choice of which one way goes right there.
    /// Only scopes, merges and computations may stand between. Where one of these fails, a call is passed
    /// by or the choice goes another way, that is written down before a step begins.
    pub fn leads_to_wait(&self, position: Position) -> bool {
        let mut at = match self.get(position.node) {
            Some(_) if position.entering => Some(position.node),
            Some(Node {
                kind:
                    NodeKind::Join { .. }
                    | NodeKind::Meet { .. }
                    | NodeKind::Await { .. }
                    | NodeKind::Sleep { .. },
                next,
                ..
            }) => *next,
            _ => None,
        };
        // No more than there are nodes, or they form a ring.
        for _ in 0..self.nodes.len() {
            let Some(node) = at.and_then(|id| self.get(id)) else {
                return false;
            };
            at = match &node.kind {
                kind if is_wait(kind) => return true,
                NodeKind::Choice { arms, otherwise } => {
                    let ways = arms.iter().map(|arm| arm.to).chain([*otherwise]);
                    let mut ways = ways.filter_map(|to| self.get(to.or(node.next)?));
                    return ways.any(|node| is_wait(&node.kind));
                }
                NodeKind::Scope { body, .. } => Some(*body),
                NodeKind::Compute { .. } | NodeKind::Merge { .. } => node.next,
                _ => return false,
            };
        }
        false
    }

    /// The file it was imported from, if any.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// The names of all handlers that its steps call, sorted, each once.
    pub fn handlers(&self) -> Vec<&str> {
        let mut names: Vec<_> = self
            .nodes
            .iter()
            .filter_map(|node| match &node.kind {
                NodeKind::Step(step) => Some(step.handlers()),
                _ => None,
            })
            .flatten()
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The same workflow, with attempts and timeout (in milliseconds) of each step as `policy` says;
    /// `None` leaves a step as it is.
    #[must_use]
    pub fn with_step_policies(
        mut self,
        policy: impl Fn(&StepSpec) -> Option<(RetryPolicy, Option<u64>)>,
    ) -> Self {
        for node in &mut self.nodes {
            if let NodeKind::Step(step) = &mut node.kind
                && let Some((retry, timeout_ms)) = policy(step)
            {
                (step.retry, step.timeout_ms) = (retry, timeout_ms);
            }
        }
        self
    }

    /// The same workflow, with the versions of the workflows that it calls as `version` says for a
    /// name and version; `None` leaves one as it is.
    #[must_use]
    pub fn with_called_versions(
        mut self,
        version: impl Fn(&str, Option<&str>) -> Option<String>,
    ) -> Self {
        for node in &mut self.nodes {
            if let NodeKind::Call(call) = &mut node.kind
                && let Some(version) = version(&call.workflow, call.version.as_deref())
            {
                call.version = Some(version);
            }
        }
        self
    }

    /// The workflows that it calls by name and version.
    pub fn called(&self) -> Vec<(&str, &str)> {
        let calls = self.nodes.iter().filter_map(|node| match &node.kind {
            NodeKind::Call(call) => Some((call.workflow.as_str(), call.version.as_deref()?)),
            _ => None,
        });
        calls.collect()
    }

    /// The node of this name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        let index = self.nodes.iter().position(|node| node.name == name)?;
        u32::try_from(index).ok().map(NodeId)
    }

    /// What decides when a join is over and how; `None` for a node that is no join.
    pub fn join_rule(&self, join: NodeId) -> Option<JoinRule> {
        let NodeKind::Join {
            split, need, rest, ..
        } = &self.nodes.get(join.0 as usize)?.kind
        else {
            return None;
        };
        let on_failure = match &self.nodes.get(split.0 as usize)?.kind {
            NodeKind::Split { on_failure, .. }
            | NodeKind::Scope { on_failure, .. }
            | NodeKind::Map { on_failure, .. } => *on_failure,
            _ => FailurePolicy::SettleAll,
        };
        Some(JoinRule {
            need: *need,
            rest: *rest,
            on_failure,
        })
    }

    /// The same workflow, with the text that it was read from.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// The same workflow under another version.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Whether a step of it can be undone.
    pub fn undoes(&self) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(&node.kind, NodeKind::Step(step) if step.undo.is_some()))
    }

    /// Whether a run can have branches that no join waits for.
    pub fn detaches(&self) -> bool {
        self.nodes
            .iter()
            .any(|node| matches!(node.kind, NodeKind::Detach { .. }))
    }

    /// A number that is equal for equal definitions (FNV-1a over the JSON form, 64 bits).
    pub fn fingerprint(&self) -> u64 {
        let json = serde_json::to_vec(self).unwrap_or_default();
        json.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }
}

/// Text of an imported file, kept so that a later process can import it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The dialect that reads it.
    pub dialect: String,
    /// The file's name, for messages.
    pub file: String,
    /// The whole text.
    pub text: String,
}

/// A step or a gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Unique in the definition.
    pub name: String,
    /// What it does with a token.
    pub kind: NodeKind,
    /// Where the token goes next; without one the branch ends after this node.
    pub next: Option<NodeId>,
    /// Where the token goes when this node fails; without one the branch fails.
    pub on_fault: Option<FaultPath>,
    /// Function of role [`Wording`](crate::FunctionRole::Wording) that puts what it fails with into the
    /// words of its author, before that is recorded, folded or told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wording: Option<String>,
    /// Where it stands in the eyes of its author.
    #[serde(default)]
    pub place: Place,
    /// The node that it is a copy of, for another way through the graph: rows, errors and handlers call
    /// it by that one's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<String>,
}

impl Node {
    /// What rows, errors and handlers call it: its name, or that of the node that it is a copy of.
    pub fn step_name(&self) -> &str {
        self.copy_of.as_deref().unwrap_or(&self.name)
    }
}

/// Where a node stands, for people to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The block it belongs to.
    pub parent: Option<String>,
    /// Its branch of that block.
    pub branch: Option<String>,
    /// How the block joins its branches.
    pub join_policy: Option<String>,
}

/// A group of steps for people to see: a phase, a fork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Unique among blocks.
    pub name: String,
    /// What its dialect calls such a group.
    pub kind: String,
    /// More about it, such as `group-2`.
    pub label: Option<String>,
    /// The block around it.
    pub parent: Option<String>,
    /// How it joins its branches.
    pub join_policy: Option<String>,
}

/// The way a token takes when its node fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPath {
    /// The first node of that way.
    pub to: NodeId,
    /// Function of role [`Fold`](crate::FunctionRole::Fold) that puts the fault into the data.
    pub fold: Option<String>,
}
/// Whether a branch stays in such a node until something comes in.
fn is_wait(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::Sleep { .. } | NodeKind::Await { .. } | NodeKind::Select { .. } => true,
        NodeKind::Call(call) => !call.detached,
        _ => false,
    }
}
