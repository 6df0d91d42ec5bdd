//! What a branch waits for.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::time_of_day::TimeOfDay;

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
    pub(super) fn is_default(&self) -> bool {
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
