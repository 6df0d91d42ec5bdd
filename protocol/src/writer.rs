//! What the writer does in one transaction, rule by rule as in `store/src/apply/`.

use crate::flaw::Flaw;
use crate::protocol::Protocol;
use crate::world::{Attempt, Branch, BranchState, Count, NOBODY, OwnerLife, ROOT, World};

impl Protocol {
    /// `jobs.rs`: a job of the outbox goes to an owner, with a higher token.
    pub(crate) fn lock(&self, world: &mut World, id: usize, owner: u8) {
        if id != ROOT && world.is_run_withdrawn() {
            self.withdraw(world, id);
            return;
        }
        let Some(branch) = world.branches[id].as_mut() else {
            return;
        };
        branch.owner = owner;
        branch.token += u8::from(!self.has(Flaw::LockKeepsToken));
        branch.seen_locks += 1;
        branch.seen_locked = true;
        world.at_work.insert(Attempt {
            branch: id,
            at: branch.at,
            owner,
            token: branch.token,
            seen_lock: branch.seen_locks,
        });
    }

    /// `checkpoint.rs`: the one write that ends an attempt, under its lock or not at all.
    pub(crate) fn checkpoint(&self, world: &mut World, attempt: Attempt) {
        let in_force = world.is_in_force(&attempt);
        let holds = world.branches[attempt.branch].is_some_and(|stored| {
            let token = stored.token == attempt.token;
            let owner = stored.owner == attempt.owner || self.has(Flaw::FenceIgnoresOwner);
            let fits = (token && owner) || self.has(Flaw::CheckpointUnfenced);
            stored.state == BranchState::Ready && fits
        });
        let is_withdrawn = attempt.branch != ROOT && world.is_run_withdrawn();
        if !holds || is_withdrawn {
            if holds {
                self.withdraw(world, attempt.branch);
            }
            self.returned(world, attempt);
            world.seen_late_refused |= !in_force;
            if self.has(Flaw::RefusedArrivalCounts)
                && attempt.branch != ROOT
                && world.root().state == BranchState::Joining
            {
                self.arrive(world, false);
            }
            return;
        }
        world.seen_late_taken |= !in_force;
        let outcome = self.outcome_number(attempt.branch, attempt.at);
        world.seen_outcomes[outcome] += 1;
        if attempt.branch == ROOT {
            self.root_moves(world, attempt);
        } else {
            self.end_child(world, attempt.branch);
            self.arrive(world, false);
        }
    }

    /// The first branch splits, or comes to the end of its run.
    fn root_moves(&self, world: &mut World, attempt: Attempt) {
        // What met at the join from which it has gone on is not needed any more.
        for branch in &mut world.branches[1..] {
            *branch = None;
        }
        let root = world.root_mut();
        (root.owner, root.seen_locked, root.at) = (NOBODY, false, attempt.at);
        if attempt.at == self.rounds {
            root.state = BranchState::Succeeded;
            world.join = None;
            world.mutex = crate::world::Mutex::default();
            return;
        }
        root.state = BranchState::Joining;
        let first = self.first_child(attempt.at);
        for id in first..first + usize::from(self.branches) {
            let is_free = !self.mutex || world.mutex.holder.is_none();
            if self.mutex && is_free {
                world.mutex.holder = Some(id);
            }
            world.branches[id] = Some(Branch {
                state: if is_free {
                    BranchState::Ready
                } else {
                    BranchState::Blocked
                },
                owner: NOBODY,
                token: 0,
                at: attempt.at,
                seen_locks: 0,
                seen_locked: false,
            });
        }
    }

    /// A branch of a split has come to its end: it brings what it has, and leaves the mutex.
    fn end_child(&self, world: &mut World, id: usize) {
        if let Some(branch) = world.branches[id].as_mut() {
            branch.state = BranchState::Arrived;
            (branch.owner, branch.seen_locked) = (NOBODY, false);
        }
        if world.mutex.holder == Some(id) {
            self.release_mutex(world);
        }
    }

    /// `arrivals.rs`: counts one more, and does what the rule of the join says.
    fn arrive(&self, world: &mut World, withdrawn: bool) {
        if world.root().state != BranchState::Joining {
            return;
        }
        let mut count = world.join.unwrap_or_default();
        count.arrived += 1;
        count.withdrawn += u8::from(withdrawn);
        world.join = Some(count);
        if count.withdrawing {
            return;
        }
        let expected = self.branches - u8::from(self.has(Flaw::JoinOneEarly));
        if count.arrived >= expected {
            self.wake_root(world);
        } else if count.arrived - count.withdrawn >= self.enough {
            self.withdraw_rest(world, count);
        }
    }

    /// Enough have come: the others are withdrawn, then the root goes on.
    fn withdraw_rest(&self, world: &mut World, count: Count) {
        world.join = Some(Count {
            withdrawing: true,
            ..count
        });
        for id in 1..world.branches.len() {
            // Withdrawing one of them may have given the mutex to this one.
            let is_live =
                world.branches[id].is_some_and(|branch| branch.state != BranchState::Arrived);
            if is_live {
                self.withdraw(world, id);
                self.arrive(world, true);
            }
        }
        self.wake_root(world);
    }

    fn wake_root(&self, world: &mut World) {
        world.join = None;
        let round = usize::from(world.root().at);
        world.seen_joined[round] += 1;
        let root = world.root_mut();
        root.state = BranchState::Ready;
        root.at += 1;
        debug_assert!(root.at <= self.rounds, "a join belongs to a round");
    }

    /// `withdrawal.rs`: makes a branch of a split end where it stands. Its late outcome is refused.
    fn withdraw(&self, world: &mut World, id: usize) {
        self.note_returning(world, id);
        if let Some(branch) = world.branches[id].as_mut() {
            branch.token += u8::from(!self.has(Flaw::WithdrawalKeepsToken));
        }
        self.end_child(world, id);
    }

    /// Withdraws one branch of a split; whoever waits for it is told.
    pub(crate) fn withdraw_branch(&self, world: &mut World, id: usize) {
        self.withdraw(world, id);
        if !self.has(Flaw::WithdrawnNotCounted) {
            self.arrive(world, true);
        }
    }

    /// Withdraws the run. Its branches are deleted piece by piece.
    pub(crate) fn withdraw_run(&self, world: &mut World) {
        world.join = None;
        let raise = u8::from(!self.has(Flaw::WithdrawalKeepsToken));
        let root = world.root_mut();
        root.token += raise;
        (root.owner, root.seen_locked) = (NOBODY, false);
        root.state = BranchState::Ending;
        conclude(world);
    }

    /// One piece of the clean-up of a withdrawn run.
    pub(crate) fn sweep(&self, world: &mut World) {
        let Some(id) = world.children().map(|(id, _)| id).next() else {
            return;
        };
        self.note_returning(world, id);
        world.branches[id] = None;
        if world.mutex.holder == Some(id) {
            self.release_mutex(world);
        }
        conclude(world);
    }

    /// `owners.rs`: frees all that an owner has locked, each job with a higher token.
    pub(crate) fn recover(&self, world: &mut World, owner: u8) {
        let raise = u8::from(!self.has(Flaw::RecoveryKeepsToken));
        let locked = world.branches.iter_mut().flatten();
        let locked = locked.filter(|branch| branch.owner == owner);
        let all = if self.has(Flaw::RecoveryForgetsLocks) {
            1
        } else {
            usize::MAX
        };
        for branch in locked.take(all) {
            branch.token += raise;
            (branch.owner, branch.seen_locked) = (NOBODY, false);
        }
        world.mutex.returning.retain(|(_, _, of)| *of != owner);
        self.mutex_is_free(world);
        world.set_owner(owner, OwnerLife::Gone);
    }

    /// `mutexes.rs`: the attempt at a locked branch does not count any more, but may be at work.
    fn note_returning(&self, world: &mut World, id: usize) {
        let locked = world.branches[id].filter(|branch| branch.owner != NOBODY);
        if let (true, Some(branch)) = (self.mutex, locked) {
            let mark = (id, branch.token, branch.owner);
            world.mutex.returning.insert(mark);
        }
    }

    /// An attempt has returned whose outcome does not count.
    fn returned(&self, world: &mut World, attempt: Attempt) {
        let is_it = |id: usize, token: u8| id == attempt.branch && token <= attempt.token;
        let marks = &mut world.mutex.returning;
        marks.retain(|(id, token, _)| !is_it(*id, *token));
        self.mutex_is_free(world);
    }

    fn mutex_is_free(&self, world: &mut World) {
        if world.mutex.holder == Some(ROOT) {
            self.release_mutex(world);
        }
    }

    fn release_mutex(&self, world: &mut World) {
        if !world.mutex.returning.is_empty() && !self.has(Flaw::MutexPassesOnAtOnce) {
            world.mutex.holder = Some(ROOT);
            return;
        }
        let is_waiting = |branch: &Branch| branch.state == BranchState::Blocked;
        let next = world.children().find(|(_, branch)| is_waiting(branch));
        let next = next.map(|(id, _)| id);
        world.mutex.holder = next;
        if let Some(branch) = world
            .mutex
            .holder
            .and_then(|id| world.branches[id].as_mut())
        {
            branch.state = BranchState::Ready;
        }
    }
}

/// `endings.rs`: a withdrawn run ends when nothing of it is left.
fn conclude(world: &mut World) {
    if world.root().state == BranchState::Ending && world.children().next().is_none() {
        world.root_mut().state = BranchState::Cancelled;
        world.mutex = crate::world::Mutex::default();
    }
}
