//! When a join is over, decided from how many of its branches have come in how.
//!
//! Pure: the store counts, this decides, in the transaction in which a branch comes in.

use crate::definition::{FailurePolicy, Need, Rest};

/// What decides when a join is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JoinRule {
    /// How many it waits for.
    pub need: Need,
    /// What becomes of the others.
    pub rest: Rest,
    /// What failures do.
    pub on_failure: FailurePolicy,
}

/// How many branches have come in how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there are in all.
    pub expected: u32,
    /// With data.
    pub succeeded: u32,
    /// With a fault.
    pub failed: u32,
    /// Withdrawn.
    pub cancelled: u32,
    /// Whether it was ended from outside: then what is there is enough.
    pub is_forced: bool,
}

/// What follows at a join from a branch that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet.
    Wait,
    /// It is over: all are there.
    Over,
    /// It is over, and the others go on without effect.
    OverAndAbsorb,
    /// It is over when the others are withdrawn.
    OverAndCancel,
}

impl Tally {
    /// Those that have come in.
    pub fn arrived(&self) -> u32 {
        self.succeeded + self.failed + self.cancelled
    }
}

impl JoinRule {
    /// Whether all are waited for whatever they bring: then their number alone decides.
    pub fn only_counts(&self) -> bool {
        matches!(self.need, Need::All | Need::ActiveLocal)
            && self.on_failure == FailurePolicy::SettleAll
    }

    /// Whether it is over with all of so many branches, whatever they bring, and never before.
    pub fn settles(&self, branches: u32) -> bool {
        let gives_up = match self.on_failure {
            FailurePolicy::SettleAll => false,
            FailurePolicy::Tolerate(failures) => failures < branches,
            _ => true,
        };
        matches!(self.need, Need::All | Need::ActiveLocal) && !gives_up
    }

    /// What follows from `tally`.
    pub fn decide(&self, tally: &Tally) -> Decision {
        if tally.arrived() >= tally.expected {
            return Decision::Over;
        }
        if self.gives_up(tally) {
            return Decision::OverAndCancel;
        }
        match self.needed() {
            Some(needed) if tally.succeeded >= needed => match self.rest {
                Rest::Cancel => Decision::OverAndCancel,
                Rest::Absorb | Rest::Block | Rest::Queue => Decision::OverAndAbsorb,
            },
            _ => Decision::Wait,
        }
    }

    /// Whether a join that is over has failed.
    pub fn fails(&self, tally: &Tally) -> bool {
        if self.gives_up(tally) {
            return true;
        }
        match self.needed().filter(|_| !tally.is_forced) {
            Some(needed) => tally.succeeded < needed,
            None => tally.failed > self.tolerated(),
        }
    }

    fn gives_up(&self, tally: &Tally) -> bool {
        let waits = matches!(
            self.on_failure,
            FailurePolicy::SettleAll | FailurePolicy::Drain
        );
        !waits && tally.failed > self.tolerated()
    }

    fn tolerated(&self) -> u32 {
        match self.on_failure {
            FailurePolicy::SettleAll | FailurePolicy::FailFast | FailurePolicy::Drain => 0,
            FailurePolicy::Tolerate(failures) => failures,
        }
    }

    /// How many must succeed; `None` where all that were started are waited for.
    pub fn needed(&self) -> Option<u32> {
        match self.need {
            Need::All | Need::ActiveLocal | Need::ActiveGlobal => None,
            Need::First => Some(1),
            Need::AtLeast(needed) => Some(needed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rule: (Need, Rest, FailurePolicy), tally: [u32; 4]) -> (Decision, bool) {
        let (need, rest, on_failure) = rule;
        let rule = JoinRule {
            need,
            rest,
            on_failure,
        };
        let [expected, succeeded, failed, cancelled] = tally;
        let tally = Tally {
            expected,
            succeeded,
            failed,
            cancelled,
            is_forced: false,
        };
        (rule.decide(&tally), rule.fails(&tally))
    }

    #[test]
    fn a_join_is_over_when_its_rule_says_so() {
        use Decision::{Over, OverAndAbsorb, OverAndCancel, Wait};
        use FailurePolicy::{Drain, FailFast, SettleAll, Tolerate};
        use Need::{All, AtLeast, First};
        use Rest::{Absorb, Cancel};
        for (rule, tally, decision) in [
            ((All, Absorb, SettleAll), [3, 2, 0, 0], Wait),
            ((All, Absorb, SettleAll), [3, 1, 1, 0], Wait),
            ((All, Absorb, SettleAll), [3, 2, 1, 0], Over),
            ((All, Absorb, SettleAll), [3, 2, 0, 1], Over),
            ((All, Absorb, FailFast), [3, 1, 1, 0], OverAndCancel),
            ((All, Absorb, Tolerate(1)), [3, 1, 1, 0], Wait),
            ((All, Absorb, Drain), [3, 1, 1, 0], Wait),
            ((All, Absorb, Drain), [2, 1, 1, 0], Over),
            ((All, Absorb, Tolerate(1)), [4, 1, 2, 0], OverAndCancel),
            ((First, Absorb, SettleAll), [3, 0, 1, 0], Wait),
            ((First, Absorb, SettleAll), [3, 1, 1, 0], OverAndAbsorb),
            ((First, Cancel, SettleAll), [3, 1, 0, 0], OverAndCancel),
            ((AtLeast(2), Cancel, SettleAll), [3, 1, 0, 0], Wait),
            ((AtLeast(2), Cancel, SettleAll), [3, 2, 0, 0], OverAndCancel),
            ((AtLeast(2), Absorb, SettleAll), [2, 2, 0, 0], Over),
        ] {
            assert_eq!(decide(rule, tally).0, decision, "{rule:?} {tally:?}");
        }
    }

    #[test]
    fn a_join_fails_only_when_its_rule_cannot_be_met() {
        use FailurePolicy::{SettleAll, Tolerate};
        use Need::{All, AtLeast, First};
        for (need, policy, tally, fails) in [
            (All, SettleAll, [3, 3, 0, 0], false),
            (All, SettleAll, [3, 2, 0, 1], false),
            (All, SettleAll, [3, 2, 1, 0], true),
            (All, Tolerate(1), [3, 2, 1, 0], false),
            (First, SettleAll, [3, 1, 2, 0], false),
            (First, SettleAll, [3, 0, 2, 1], true),
            (AtLeast(2), SettleAll, [3, 1, 0, 2], true),
        ] {
            let rule = (need, Rest::Absorb, policy);
            assert_eq!(decide(rule, tally).1, fails, "{rule:?} {tally:?}");
        }
    }
}
