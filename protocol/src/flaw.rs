//! Rules that can be left out, one by one.

/// One rule of the protocol that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// A checkpoint is taken whatever lock the branch has.
    CheckpointUnfenced,
    /// A lock does not raise the token.
    LockKeepsToken,
    /// A checkpoint that is refused counts as an arrival all the same.
    RefusedArrivalCounts,
    /// A join is over when one of its branches is still missing.
    JoinOneEarly,
    /// The locks of an owner are freed though it lives.
    LivingOwnerRecovered,
    /// The death of an owner frees only the first of its locks.
    RecoveryForgetsLocks,
    /// A withdrawn branch does not come to its join.
    WithdrawnNotCounted,
    /// A mutex passes on while a withdrawn attempt inside it is still at work.
    MutexPassesOnAtOnce,
    /// A fence compares the token, not the owner.
    FenceIgnoresOwner,
    /// What an owner's death frees keeps its token. Harmless while all else holds.
    RecoveryKeepsToken,
    /// A withdrawal keeps the token. Harmless while all else holds.
    WithdrawalKeepsToken,
}
