//! What a node is.

use serde::{Deserialize, Serialize};

use super::{
    Arm, Branches, CallSpec, Count, Delay, EventMatch, FailurePolicy, ForkArm, Need, Rest,
    SelectArm, StepSpec,
};
use crate::ids::NodeId;
use crate::limits::LOOP_ROUNDS_DEFAULT;

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
        /// Whether `merge` also says what becomes of a join whose rule cannot be met any more: what
        /// it makes goes on, and what it fails with is the failure. Else such a join fails with the
        /// errors of its branches, and `merge` is not asked.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        judges: bool,
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
        /// Function of role [`Compute`](crate::FunctionRole::Compute) that makes of the data behind it
        /// what its row of history shows as what it gave. Without one it leaves no row.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        noted: Option<String>,
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

fn default_rounds() -> u32 {
    LOOP_ROUNDS_DEFAULT
}
