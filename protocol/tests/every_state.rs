//! Looks at every state that the protocol can come to, and shows that a broken rule is noticed.
//!
//! `WINDLASS_TEST_LONG=1` looks at larger protocols, one of them of more than 1,000,000 states (`--release`).

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};
use windlass_protocol::{Flaw, Protocol};

/// Set: look at the large protocols too.
const LONG: &str = "WINDLASS_TEST_LONG";

/// Twice two branches, one after the other in a mutex.
fn two_rounds() -> Protocol {
    Protocol {
        mutex: true,
        rounds: 2,
        ..Protocol::tiny()
    }
}

/// Two branches of which the join needs one.
fn first_of_two() -> Protocol {
    Protocol {
        enough: 1,
        ..Protocol::tiny()
    }
}

/// Three branches in a mutex; two of three engines may die, and two branches be withdrawn.
fn three_in_a_mutex() -> Protocol {
    Protocol {
        branches: 3,
        enough: 3,
        mutex: true,
        owners: 3,
        deaths: 2,
        withdrawals: 2,
        ..Protocol::tiny()
    }
}

/// Three branches at once, of which the join needs two.
fn two_of_three() -> Protocol {
    Protocol {
        branches: 3,
        enough: 2,
        ..Protocol::tiny()
    }
}

/// Every state of `protocol`, which are at least so many.
fn all_hold(protocol: Protocol, at_least: usize) {
    let asked = format!("{protocol:?}");
    let search = protocol.checker().spawn_bfs().join();
    let (states, depth) = (search.unique_state_count(), search.max_depth());
    eprintln!("{asked}: {states} states, at most {depth} deep");
    search.assert_properties();
    assert!(states >= at_least, "{asked} has only {states} states");
}

/// Without the rule, the search comes to a state in which `property` does not hold.
fn is_noticed(protocol: Protocol, flaws: &[Flaw], property: &'static str) {
    let search = protocol
        .without(flaws)
        .checker()
        .finish_when(HasDiscoveries::AnyOf(BTreeSet::from([property])))
        .spawn_bfs()
        .join();
    let way = search.discovery(property);
    let Some(way) = way else {
        panic!("without {flaws:?}, {property} all the same");
    };
    let steps = way.into_actions().len();
    eprintln!("without {flaws:?}: {steps} steps to where it is not so that {property}");
}

const ONE_OUTCOME: &str = "an activation has at most one outcome";
const LATE: &str = "a late checkpoint changes nothing";
const COUNTED: &str = "a join has counted those that have come";
const IN_TIME: &str = "a join is over once, when all have come";
const ENDS: &str = "a run ends, if the owners stop dying";
const KNOWN: &str = "a lock has an owner that is known";
const ONE_IN_MUTEX: &str = "a mutex has one attempt at work at most";
const ONE_AT_WORK: &str = "a locked job has one attempt at work at most";

#[test]
fn in_every_state_of_the_protocol_all_holds() {
    all_hold(Protocol::tiny(), 30_000);
    all_hold(first_of_two(), 50_000);
    all_hold(two_rounds(), 50_000);
    if std::env::var_os(LONG).is_some() {
        all_hold(three_in_a_mutex(), 1_000_000);
        all_hold(two_of_three(), 500_000);
    }
}

#[test]
fn a_checkpoint_that_is_not_fenced_is_noticed() {
    for property in [ONE_OUTCOME, LATE] {
        is_noticed(Protocol::tiny(), &[Flaw::CheckpointUnfenced], property);
    }
}

#[test]
fn a_lock_that_does_not_raise_the_token_is_noticed() {
    is_noticed(Protocol::tiny(), &[Flaw::LockKeepsToken], ONE_OUTCOME);
}

/// An outcome takes its lock away without raising the token: who had the lock is part of the fence.
#[test]
fn a_fence_that_ignores_the_owner_is_noticed() {
    is_noticed(Protocol::tiny(), &[Flaw::FenceIgnoresOwner], ONE_OUTCOME);
}

#[test]
fn an_arrival_that_counts_twice_is_noticed() {
    for property in [COUNTED, IN_TIME] {
        is_noticed(Protocol::tiny(), &[Flaw::RefusedArrivalCounts], property);
    }
}

#[test]
fn a_join_that_is_over_one_early_is_noticed() {
    is_noticed(Protocol::tiny(), &[Flaw::JoinOneEarly], IN_TIME);
}

#[test]
fn a_withdrawn_branch_that_never_arrives_is_noticed() {
    for property in [COUNTED, ENDS] {
        is_noticed(Protocol::tiny(), &[Flaw::WithdrawnNotCounted], property);
    }
}

#[test]
fn a_living_owner_that_is_taken_for_dead_is_noticed() {
    for property in [ONE_AT_WORK, ONE_IN_MUTEX] {
        is_noticed(two_rounds(), &[Flaw::LivingOwnerRecovered], property);
    }
}

#[test]
fn a_lock_that_is_left_to_the_dead_is_noticed() {
    for property in [KNOWN, ENDS] {
        is_noticed(Protocol::tiny(), &[Flaw::RecoveryForgetsLocks], property);
    }
}

#[test]
fn a_mutex_that_does_not_wait_for_an_attempt_is_noticed() {
    is_noticed(two_rounds(), &[Flaw::MutexPassesOnAtOnce], ONE_IN_MUTEX);
}

/// As far as checkpoints go, two rules are a second line only: the owner is part of the fence, every
/// lock raises the token, and a withdrawn branch is no job any more. Whoever changes one of those must
/// find this test.
#[test]
fn a_recovery_and_a_withdrawal_need_not_raise_the_token() {
    for flaw in [Flaw::RecoveryKeepsToken, Flaw::WithdrawalKeepsToken] {
        all_hold(first_of_two().without(&[flaw]), 30_000);
        all_hold(two_rounds().without(&[flaw]), 30_000);
    }
}
