//! Where several branches begin.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;

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

/// How many instances a map has when it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Count {
    /// Always so many.
    Fixed(u32),
    /// Function of role [`Count`](crate::FunctionRole::Count), asked once.
    Computed(String),
}
