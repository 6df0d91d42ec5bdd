//! What must hold in every state, and what must be seen in some, or the model would show nothing.
//!
//! That every run ends is said of the states in which nothing can happen any more, and not with
//! `Property::eventually`: no state comes twice on one path (tokens, lives and what is left of each
//! misfortune only move one way), so every path leads to such a state, and the library may miss a
//! counterexample of `eventually` where two paths meet.

use stateright::{Model, Property};

use crate::protocol::Protocol;
use crate::world::{BranchState, NOBODY, OwnerLife, World};

pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = vec![
        always("an activation has at most one outcome", |_, world| {
            world.seen_outcomes.iter().all(|outcomes| *outcomes <= 1)
        }),
        always("a late checkpoint changes nothing", |_, world| {
            !world.seen_late_taken
        }),
        always("a lock has an owner that is known", |_, world| {
            let mut branches = world.branches.iter().flatten();
            branches.all(|branch| branch.owner == NOBODY || is_known(world, branch.owner))
        }),
        always(
            "a locked job has one attempt at work at most",
            |_, world| {
                let ids = 0..world.branches.len();
                ids.into_iter().all(|id| {
                    let attempts = world.at_work.iter();
                    attempts.filter(|attempt| attempt.branch == id).count() <= 1
                })
            },
        ),
        always("a mutex has one attempt at work at most", |model, world| {
            let attempts = world.at_work.iter();
            !model.mutex || attempts.filter(|attempt| attempt.branch != 0).count() <= 1
        }),
        always("a join has counted those that have come", has_counted),
        always("a join is over once, when all have come", is_over_in_time),
        always("what has ended leaves nothing behind", |_, world| {
            let nothing = world.children().next().is_none()
                && world.join.is_none()
                && world.mutex.holder.is_none()
                && world.mutex.returning.is_empty();
            nothing || !world.root().state.is_end()
        }),
        always("a run ends, if the owners stop dying", |model, world| {
            let mut steps = Vec::new();
            model.actions(world, &mut steps);
            !steps.is_empty() || world.root().state.is_end()
        }),
        sometimes("a run ends well", |_, world| {
            world.root().state == BranchState::Succeeded
        }),
    ];
    if protocol.deaths > 0 {
        all.push(sometimes("a late checkpoint is refused", |_, world| {
            world.seen_late_refused
        }));
        all.push(sometimes("a run ends after a death", |model, world| {
            world.root().state == BranchState::Succeeded && world.deaths_left < model.deaths
        }));
    }
    if protocol.withdrawals > 0 {
        all.push(sometimes("a run is withdrawn", |_, world| {
            world.root().state == BranchState::Cancelled
        }));
        all.push(sometimes("a join is over without a branch", |_, world| {
            world.root().state == BranchState::Succeeded && world.seen_outcomes.contains(&0)
        }));
    }
    if protocol.mutex && protocol.withdrawals > 0 {
        all.push(sometimes("a mutex waits for an attempt", |_, world| {
            world.mutex.holder == Some(0)
        }));
    }
    all
}

fn always(name: &'static str, holds: fn(&Protocol, &World) -> bool) -> Property<Protocol> {
    Property::always(name, holds)
}

fn sometimes(name: &'static str, seen: fn(&Protocol, &World) -> bool) -> Property<Protocol> {
    Property::sometimes(name, seen)
}

fn is_known(world: &World, owner: u8) -> bool {
    match world.owner(owner) {
        OwnerLife::Alive | OwnerLife::Dead => true,
        OwnerLife::Unborn | OwnerLife::Gone => false,
    }
}

fn has_counted(_: &Protocol, world: &World) -> bool {
    let arrived = world.children();
    let arrived = arrived.filter(|(_, branch)| branch.state == BranchState::Arrived);
    let counted = world.join.unwrap_or_default().arrived;
    world.root().state != BranchState::Joining || arrived.count() == usize::from(counted)
}

/// While the root is ready to go on from a join, all the branches of that are there still.
fn is_over_in_time(model: &Protocol, world: &World) -> bool {
    let root = world.root();
    let has_gone_on = root.state == BranchState::Ready && root.at > 0;
    let arrived = world.children();
    let arrived = arrived.filter(|(_, branch)| branch.state == BranchState::Arrived);
    let all = arrived.count() == usize::from(model.branches);
    world.seen_joined.iter().all(|often| *often <= 1) && (all || !has_gone_on)
}
