//! The ids of everything that is written down.
//!
//! None is ever reused (I2). Numbers come from the store's persisted high-water mark; an
//! activation is derived from where it came from, so it is the same after a crash.
//! Why: ADRs/0008-ids-are-never-reused.md.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// One branch of one run. The first branch of a run has the number of the run.
    BranchId(i64)
);
number_id!(
    /// A node of one definition: its index in [`Definition::nodes`](crate::Definition::nodes).
    NodeId(u32)
);
number_id!(
    /// One engine that works on a store, from its opening to its end.
    OwnerId(i64)
);
number_id!(
    /// A registered name and version of a workflow in one store.
    WorkflowKey(i64)
);
number_id!(
    /// Grows with every lock of a job and never resets; only the newest may write.
    FencingToken(i64)
);
number_id!(
    /// One life of a database, above 0. A copy holds the negative number of the life that it was taken
    /// from, until the first engine that opens it begins a new one.
    Epoch(i64)
);

impl Epoch {
    /// Whether this is a copy that nobody has worked on yet.
    pub fn is_over(self) -> bool {
        self.0 < 0
    }
}

/// One execution of a workflow.
///
/// Prints as 16 hexadecimal digits that differ from the first one on (a bijective scramble of the
/// stored number), so that a short prefix names a run, as with commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub i64);

/// 2^64 divided by the golden ratio (Knuth, TAOCP 6.4): neighbours land far apart.
pub(crate) const SCRAMBLE: u64 = 0x9e37_79b9_7f4a_7c15;
/// The inverse of [`SCRAMBLE`] modulo 2^64.
const UNSCRAMBLE: u64 = 0xf1de_83e1_9937_733d;

impl RunId {
    /// The run's first branch, which shares its number.
    pub fn root(self) -> BranchId {
        BranchId(self.0)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.cast_unsigned().wrapping_mul(SCRAMBLE))
    }
}

/// The text is not a whole run id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id is 16 hexadecimal digits")]
pub struct ParseRunIdError;

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 16 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(ParseRunIdError);
        }
        let scrambled = u64::from_str_radix(text, 16).map_err(|_| ParseRunIdError)?;
        Ok(Self(scrambled.wrapping_mul(UNSCRAMBLE).cast_signed()))
    }
}

/// One visit of one token to one node.
///
/// Derived from the activation before it, the node and the copy, so a resumed run computes the
/// same ids; two live activations of one run never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActivationId(pub u64);

impl ActivationId {
    /// The activation of a run's first node has this parent.
    pub const ORIGIN: Self = Self(0);

    /// The activation that follows when this one's token moves to `node` as copy number `copy`.
    #[must_use]
    pub fn derive(self, node: NodeId, copy: u32) -> Self {
        let place = (u64::from(node.0) << 32) | u64::from(copy);
        Self(mix(mix(self.0 ^ SCRAMBLE).wrapping_add(place)))
    }
}

impl fmt::Display for ActivationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The finalizer of `SplitMix64` (Steele, Lea, Flood 2014): bijective, and every bit counts.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Where a branch stands: before a node (its conditions still to be judged) or in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The node.
    pub node: NodeId,
    /// Whether entering the node is still to be decided.
    pub entering: bool,
}

impl Position {
    /// Before `node`.
    pub fn before(node: NodeId) -> Self {
        Self {
            node,
            entering: true,
        }
    }

    /// In `node`.
    pub fn at(node: NodeId) -> Self {
        Self {
            node,
            entering: false,
        }
    }

    /// One number for one column: twice the node, plus one while entering.
    pub fn to_number(self) -> i64 {
        i64::from(self.node.0) * 2 + i64::from(self.entering)
    }

    /// The reverse of [`to_number`](Self::to_number); `None` for a number it never gives.
    pub fn from_number(number: i64) -> Option<Self> {
        let node = NodeId(u32::try_from(number.div_euclid(2)).ok()?);
        Some(Self {
            node,
            entering: number % 2 == 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_run_id_reads_back_as_it_prints() {
        for id in [1, 2, 77, i64::MAX] {
            assert_eq!(RunId(id).to_string().parse(), Ok(RunId(id)));
        }
        assert_eq!("12".parse::<RunId>(), Err(ParseRunIdError));
    }

    #[test]
    fn a_hundred_thousand_siblings_and_their_children_have_distinct_activations() {
        let parent = ActivationId::ORIGIN.derive(NodeId(3), 0);
        let mut seen = HashSet::new();
        for copy in 0..100_000 {
            let child = parent.derive(NodeId(4), copy);
            assert!(seen.insert(child));
            assert!(seen.insert(child.derive(NodeId(5), 0)));
        }
    }

    #[test]
    fn a_position_survives_its_column() {
        for position in [Position::at(NodeId(0)), Position::before(NodeId(9))] {
            assert_eq!(Position::from_number(position.to_number()), Some(position));
        }
        assert_eq!(Position::from_number(-1), None);
    }
}
