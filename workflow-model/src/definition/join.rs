//! How a join counts what comes to it.

use serde::{Deserialize, Serialize};

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
    /// After the first failure no more instances of a map start; those that live finish, then the map
    /// fails with all errors in index order. For maps only: branches of a split start together.
    Drain,
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
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
