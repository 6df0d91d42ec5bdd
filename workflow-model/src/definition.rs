//! The graph of a workflow: steps and gateways joined by edges.
//!
//! Plain data that can be written down and compared; functions and handlers stand in it by name.
//! Nothing here holds the state of a run, so one definition serves any number of runs.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::join::JoinRule;
use crate::limits::{CALL_DEPTH_DEFAULT, LOOP_ROUNDS_DEFAULT};
use crate::retry::RetryPolicy;
use crate::time_of_day::TimeOfDay;

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
    /// Where it stands in the eyes of its author.
    #[serde(default)]
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
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[expect(
    clippy::large_enum_variant,
    reason = "steps are the most frequent kind, and a definition is kept once"
)]
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
        #[serde(default)]
        on_failure: FailurePolicy,
    },
    /// Where the branches of a split, the tokens of a scope or the instances of a map meet.
    Join {
        /// The split, scope or map it belongs to.
        split: NodeId,
        /// How many of them it waits for.
        #[serde(default)]
        need: Need,
        /// What becomes of those it does not wait for.
        #[serde(default, skip_serializing_if = "Rest::is_default")]
        rest: Rest,
        /// Function of role [`Merge`](crate::FunctionRole::Merge) that makes the data after the
        /// join. `None` keeps the data from before; after a scope through which one token came, its
        /// data.
        merge: Option<String>,
    },
    /// A part of the workflow that is entered, left and withdrawn as one. Inside it tokens may fork
    /// and meet freely; it is over when none is left.
    Scope {
        /// Its first node.
        body: NodeId,
        /// Where it is left.
        join: NodeId,
        /// Only one scope of the run may be in this mutex at a time.
        mutex: Option<String>,
        /// After so many milliseconds it is withdrawn and fails.
        timeout_ms: Option<u64>,
        /// What a failed token does to the others and to the scope.
        #[serde(default)]
        on_failure: FailurePolicy,
    },
    /// One token becomes several in the same scope: every arm whose condition holds is taken.
    Fork {
        /// The ways out, in order.
        arms: Vec<ForkArm>,
        /// Taken when no arm is; `None` goes to the node's `next`.
        otherwise: Option<NodeId>,
    },
    /// Where tokens of a scope meet that come by its [`Input`](NodeKind::Input)s.
    Meet {
        /// The names of its inputs, in order.
        inputs: Vec<String>,
        /// How many it waits for.
        need: Need,
        /// What becomes of tokens that it does not wait for.
        rest: Rest,
        /// Function of role [`Merge`](crate::FunctionRole::Merge); `None` keeps the data of the
        /// first token in the order of the inputs.
        merge: Option<String>,
    },
    /// One way into a [`Meet`](NodeKind::Meet).
    Input {
        /// Where it leads.
        meet: NodeId,
        /// Which of its inputs.
        index: u32,
    },
    /// Where alternative ways come together without waiting.
    Merge {
        /// Whether several tokens may come, each going on by itself.
        #[serde(default)]
        multi: bool,
    },
    /// Ends the run well with the data of the token that comes here; what is left is withdrawn.
    Terminate,
    /// Does its body again and again. The body's ways end in its [`Again`](NodeKind::Again).
    Loop {
        /// Function of role [`Predicate`](crate::FunctionRole::Predicate).
        test: String,
        /// `false`: while it holds, asked before each round. `true`: until it holds, asked after
        /// each round.
        #[serde(default)]
        until: bool,
        /// Its first node.
        body: NodeId,
        /// Rounds after which it fails.
        #[serde(default = "default_rounds")]
        rounds_max: u32,
    },
    /// The end of a round.
    Again {
        /// The loop.
        of: NodeId,
    },
    /// The same body for many items: instances are started as others end, so that only
    /// `max_parallelism` of them live at a time.
    Map {
        /// How many there are when it begins.
        count: Count,
        /// Function of role [`Item`](crate::FunctionRole::Item) that makes the data of an instance;
        /// `None` is a copy of the data.
        item: Option<String>,
        /// Whether more may be added from outside until it is closed.
        #[serde(default)]
        open: bool,
        /// How many instances live at once, at least 1.
        max_parallelism: u32,
        /// The first node of an instance.
        body: NodeId,
        /// Where they meet.
        join: NodeId,
        /// What a failed instance does to the others and to the map.
        #[serde(default)]
        on_failure: FailurePolicy,
        /// Function of role [`Tally`](crate::FunctionRole::Tally), asked once for each instance that
        /// has succeeded, in the order in which they did: says when enough have.
        tally: Option<String>,
    },
    /// Runs another workflow and waits for its end.
    Call(CallSpec),
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
        /// What else it asks of the event.
        #[serde(default, skip_serializing_if = "EventMatch::is_default")]
        matching: EventMatch,
        /// After that long it fails; `None` waits for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout: Option<Delay>,
    },
    /// Deferred choice: the first of several events or timers decides, the others are withdrawn.
    Select {
        /// The ways out, in order.
        arms: Vec<SelectArm>,
    },
    /// Withdraws all that goes on in a scope, split, map or step of the run.
    Cancel {
        /// Which.
        target: NodeId,
    },
    /// The run enters or leaves a state on which gates wait.
    Milestone {
        /// The state's name.
        milestone: String,
        /// `true` enters it; `false` leaves it for ever.
        reached: bool,
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
            Self::Scope { .. } => "scope",
            Self::Fork { .. } => "fork",
            Self::Meet { .. } => "meet",
            Self::Input { .. } => "input",
            Self::Merge { .. } => "merge",
            Self::Terminate => "terminate",
            Self::Loop { .. } => "loop",
            Self::Again { .. } => "again",
            Self::Map { .. } => "map",
            Self::Call(_) => "call",
            Self::Select { .. } => "select",
            Self::Cancel { .. } => "cancel",
            Self::Milestone { .. } => "milestone",
            Self::Compute { .. } => "compute",
        }
    }
}

/// How a step is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// The handler's name.
    pub handler: String,
    /// One word for what it is: `step`, or the type in a dialect.
    #[serde(default = "StepSpec::default_kind")]
    pub kind: String,
    /// Function of role [`Guard`](crate::FunctionRole::Guard), asked before the step: run or skip.
    pub guard: Option<String>,
    /// How often it is tried.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds; `None` is no limit.
    pub timeout_ms: Option<u64>,
    /// The milestone at which alone it may start: it waits for it, and fails when it has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// What an attempt does to the world, and so what a crash in the middle of it means.
    #[serde(default, skip_serializing_if = "Effect::is_plain")]
    pub effect: Effect,
    /// The handler that undoes it when its scope, or the run, fails or is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// An attempt that says nothing for that long has failed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_ms: Option<u64>,
    /// It fails if no Runner has begun it that long after it became ready, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_within_ms: Option<u64>,
    /// Settings for the handler; the engine does not look into them.
    #[serde(default)]
    pub config: serde_json::Value,
}

impl StepSpec {
    fn default_kind() -> String {
        "step".to_owned()
    }

    /// A step that calls `handler` once, without a timeout.
    pub fn new(handler: impl Into<String>) -> Self {
        Self {
            handler: handler.into(),
            kind: Self::default_kind(),
            guard: None,
            retry: RetryPolicy::default(),
            timeout_ms: None,
            gate: None,
            effect: Effect::Plain,
            undo: None,
            heartbeat_ms: None,
            start_within_ms: None,
            config: serde_json::Value::Null,
        }
    }
}

impl StepSpec {
    /// Whether it is to be asked when it starts if it still may.
    pub fn is_gated(&self) -> bool {
        self.gate.is_some() || self.start_within_ms.is_some()
    }

    /// The names of all handlers that it calls.
    pub fn handlers(&self) -> impl Iterator<Item = &str> {
        let reconcile = match &self.effect {
            Effect::AtMostOnce { reconcile } => reconcile.as_deref(),
            Effect::Plain | Effect::Transactional | Effect::Idempotent { .. } => None,
        };
        [Some(self.handler.as_str()), self.undo.as_deref(), reconcile]
            .into_iter()
            .flatten()
    }
}

/// What an attempt of a step does to the world. Attempts are at-least-once, outcomes exactly-once:
/// this says what lies between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing is declared.
    #[default]
    Plain,
    /// What it writes to the same database rides in its checkpoint: exactly once.
    Transactional,
    /// It gives whatever it calls a key, and that drops repetitions.
    Idempotent {
        /// Function of role [`Key`](crate::FunctionRole::Key) that makes the key from the data;
        /// `None` is the engine's own key, the same in every attempt of an activation.
        key: Option<String>,
    },
    /// It must not happen twice: after a crash, or when its time is over, its outcome is unknown.
    AtMostOnce {
        /// The handler that finds out whether it has happened; without one the run is parked.
        reconcile: Option<String>,
    },
}

impl Effect {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
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

/// One way out of a fork.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkArm {
    /// Shown on the edge.
    pub name: String,
    /// Function of role [`Predicate`](crate::FunctionRole::Predicate); `None` is always taken.
    pub when: Option<String>,
    /// How many tokens go this way, at least 1.
    #[serde(default = "ForkArm::one")]
    pub copies: u32,
    /// Its first node.
    pub to: NodeId,
}

impl ForkArm {
    fn one() -> u32 {
        1
    }
}

/// The branches of a split.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branches {
    /// One branch per entry: its name and first node. Each gets a copy of the data.
    Static(Vec<(String, NodeId)>),
    /// Those whose predicate holds, each with a copy of the data; every arm leads somewhere.
    Chosen {
        /// In branch order.
        arms: Vec<Arm>,
        /// The one branch when no predicate holds: its name and first node.
        otherwise: (String, NodeId),
    },
    /// So many on the same nodes, each with a copy of the data.
    Copies {
        /// How many.
        count: u32,
        /// Their first node.
        body: NodeId,
    },
    /// As many branches as a function finds in the data, all on the same nodes.
    Computed {
        /// Function of role [`Items`](crate::FunctionRole::Items).
        items: String,
        /// Their first node.
        body: NodeId,
    },
}

/// What a failed branch does to the others and to what they are branches of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailurePolicy {
    /// The other branches finish, then the split fails with all errors in branch order.
    #[default]
    SettleAll,
    /// The first failure withdraws the others and fails the split.
    FailFast,
    /// So many may fail; one more withdraws the others and fails the split.
    Tolerate(u32),
}

/// How many branches a join waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// All of them.
    #[default]
    All,
    /// The first that succeeds.
    First,
    /// So many that succeed. At a meet with one input: so many tokens. With 0 nothing is waited for.
    AtLeast(u32),
    /// All that can come, where no way leads back: those that were started.
    ActiveLocal,
    /// All that can come, judged from the whole scope, loops included.
    ActiveGlobal,
}

/// What becomes of the branches or tokens that a join has not waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rest {
    /// They go on and end at the join without effect; then it is as new.
    #[default]
    Absorb,
    /// They are withdrawn.
    Cancel,
    /// As absorbed; but one that comes by an input that was used waits until the join is as new.
    Block,
    /// They wait for the next time the join is complete.
    Queue,
}

impl Rest {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How many instances a map has when it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// Always so many.
    Fixed(u32),
    /// Function of role [`Count`](crate::FunctionRole::Count), asked once.
    Computed(String),
}

/// Which workflow is called, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSpec {
    /// Its name.
    pub workflow: String,
    /// Its version; `None` is the one that was registered last.
    pub version: Option<String>,
    /// Function of role [`Compute`](crate::FunctionRole::Compute) that makes its input; `None` is a
    /// copy of the data.
    pub input: Option<String>,
    /// Function of role [`Reply`](crate::FunctionRole::Reply) that puts its last data into ours;
    /// `None` keeps ours.
    pub output: Option<String>,
    /// Whether the branch goes on at once, and the called run lives on its own.
    #[serde(default)]
    pub detached: bool,
    /// How deep calls may be nested, this one included.
    #[serde(default = "default_depth")]
    pub depth_max: u32,
}

fn default_depth() -> u32 {
    CALL_DEPTH_DEFAULT
}

fn default_rounds() -> u32 {
    LOOP_ROUNDS_DEFAULT
}

/// One way out of a deferred choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectArm {
    /// Shown on the edge.
    pub name: String,
    /// What takes it.
    pub on: Trigger,
    /// Its first node; `None` goes to the node's `next`.
    pub to: Option<NodeId>,
}

/// What takes an arm of a deferred choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// An event from outside.
    Event {
        /// Its name.
        event: String,
        /// Function of role [`Reply`](crate::FunctionRole::Reply).
        reply: Option<String>,
        /// What else is asked of it.
        #[serde(default, skip_serializing_if = "EventMatch::is_default")]
        matching: EventMatch,
    },
    /// A time.
    Timer(Delay),
}

/// What a wait asks of an event beside its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventMatch {
    /// Function of role [`Key`](crate::FunctionRole::Key): only an event with this correlation.
    pub correlation: Option<String>,
    /// Only one that comes while it is waited for; an earlier one is not taken.
    #[serde(default)]
    pub transient: bool,
}

impl EventMatch {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// How long a timer waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delay {
    /// Always so many milliseconds.
    FixedMs(u64),
    /// Function of role [`Delay`](crate::FunctionRole::Delay).
    Computed(String),
    /// Until the clocks of a zone next show a time.
    Until(TimeOfDay),
}
