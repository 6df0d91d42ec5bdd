//! The graph of a workflow: steps and gateways joined by edges.
//!
//! Plain data that can be written down and compared; functions and handlers stand in it by name.
//! Nothing here holds the state of a run, so one definition serves any number of runs.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::retry::RetryPolicy;

/// A named, versioned, immutable workflow. Made by [`Draft::finish`](crate::Draft::finish), which
/// validates it; one that was read back from a store is as valid as it was then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) start: NodeId,
    pub(crate) max_parallelism: Option<u32>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) unreached_reason: String,
    pub(crate) source: Option<Source>,
}

impl Definition {
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

    /// Where every run begins.
    pub fn start(&self) -> NodeId {
        self.start
    }

    /// How many jobs of one run may be ready or running at once; `None` is no limit.
    pub fn max_parallelism(&self) -> Option<u32> {
        self.max_parallelism
    }

    /// Blocks that group steps for people to see; they have no effect on the flow.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Why a step that a failed run never reached did not run.
    pub fn unreached_reason(&self) -> &str {
        &self.unreached_reason
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
                NodeKind::Step(step) => Some(step.handler.as_str()),
                _ => None,
            })
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

    /// The same workflow under another version.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
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
pub struct Node {
    /// Unique in the definition.
    pub name: String,
    /// What it does with a token.
    pub kind: NodeKind,
    /// Where the token goes next; without one the branch ends after this node.
    pub next: Option<NodeId>,
    /// Where the token goes when this node fails; without one the branch fails.
    pub on_fault: Option<FaultPath>,
    /// Where it stands in the eyes of its author.
    pub place: Place,
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

/// What a node does with a token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeKind {
    /// Does work through a handler. The only kind that is tried again.
    Step(StepSpec),
    /// Exclusive choice: the first arm whose predicate is true, else `otherwise`.
    Choice {
        /// In the order they are asked.
        arms: Vec<Arm>,
        /// Taken when no arm is; `None` goes to the node's `next`.
        otherwise: Option<NodeId>,
    },
    /// Parallel split: the token waits at `join` while its branches run.
    Split {
        /// Which branches.
        branches: Branches,
        /// Where they meet.
        join: NodeId,
        /// How many of them may be on their way at once; `None` is no limit.
        max_parallelism: Option<u32>,
        /// What a failed branch does to the others and to the split.
        on_failure: FailurePolicy,
    },
    /// Where the branches of a split meet.
    Join {
        /// The split it belongs to.
        split: NodeId,
        /// How many of them it waits for.
        need: Need,
        /// Function of role [`Merge`](crate::FunctionRole::Merge) that makes the data after the
        /// join; `None` keeps the data from before the split.
        merge: Option<String>,
    },
    /// Fire and forget: starts a branch that no join waits for. The run still ends after it.
    Detach {
        /// Its first node.
        body: NodeId,
    },
    /// Waits for a duration.
    Sleep {
        /// How long.
        delay: Delay,
    },
    /// Waits for an event from outside.
    Await {
        /// The event's name.
        event: String,
        /// Function of role [`Reply`](crate::FunctionRole::Reply) that puts the event's payload
        /// into the data; `None` keeps the data.
        reply: Option<String>,
    },
    /// Changes the data by a function of role [`Compute`](crate::FunctionRole::Compute), without
    /// a job of its own.
    Compute {
        /// Its name.
        function: String,
    },
}

impl NodeKind {
    /// One word for it, in graphs and lists.
    pub fn word(&self) -> &str {
        match self {
            Self::Step(step) => &step.kind,
            Self::Choice { .. } => "choice",
            Self::Split { .. } => "split",
            Self::Join { .. } => "join",
            Self::Detach { .. } => "detach",
            Self::Sleep { .. } => "timer",
            Self::Await { .. } => "event",
            Self::Compute { .. } => "compute",
        }
    }
}

/// How a step is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSpec {
    /// The handler's name.
    pub handler: String,
    /// One word for what it is: `step`, or the type in a dialect.
    pub kind: String,
    /// Function of role [`Guard`](crate::FunctionRole::Guard), asked before the step: run or skip.
    pub guard: Option<String>,
    /// How often it is tried.
    pub retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds; `None` is no limit.
    pub timeout_ms: Option<u64>,
    /// Settings for the handler; the engine does not look into them.
    pub config: serde_json::Value,
}

impl StepSpec {
    /// A step that calls `handler` once, without a timeout.
    pub fn new(handler: impl Into<String>) -> Self {
        Self {
            handler: handler.into(),
            kind: "step".to_owned(),
            guard: None,
            retry: RetryPolicy::default(),
            timeout_ms: None,
            config: serde_json::Value::Null,
        }
    }
}

/// One way out of a choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arm {
    /// Shown on the edge.
    pub name: String,
    /// Function of role [`Predicate`](crate::FunctionRole::Predicate).
    pub when: String,
    /// The arm's first node; `None` goes to the choice's `next`.
    pub to: Option<NodeId>,
}

/// The branches of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branches {
    /// One branch per entry: its name and first node. Each gets a copy of the data.
    Static(Vec<(String, NodeId)>),
    /// As many branches as a function finds in the data, all on the same nodes.
    Computed {
        /// Function of role [`Items`](crate::FunctionRole::Items).
        items: String,
        /// Their first node.
        body: NodeId,
    },
}

/// What a failed branch of a split does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailurePolicy {
    /// The other branches finish, then the split fails with all errors in branch order.
    #[default]
    SettleAll,
}

/// How many branches a join waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// All of them.
    #[default]
    All,
}

/// How long a timer waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delay {
    /// Always so many milliseconds.
    FixedMs(u64),
    /// Function of role [`Delay`](crate::FunctionRole::Delay).
    Computed(String),
}
