//! What can happen next, in every order.

use stateright::{Model, Property};

use crate::flaw::Flaw;
use crate::must_hold;
use crate::world::{Attempt, Branch, BranchState, Mutex, NOBODY, OwnerLife, World};

/// One run that splits and joins, the engines that work on it, and what may go wrong meanwhile.
#[derive(Clone, Debug)]
pub struct Protocol {
    /// Branches of each split, from 1.
    pub branches: u8,
    /// How often the run splits and joins, one after the other.
    pub rounds: u8,
    /// How many branches a join needs; the others are then withdrawn. `branches`: all of them.
    pub enough: u8,
    /// Whether the branches of a split need a mutex.
    pub mutex: bool,
    /// Engines that may be started; more than `deaths`, or there may be nobody left to do the work.
    pub owners: u8,
    /// Engines that may die.
    pub deaths: u8,
    /// Checkpoints that may come a second time.
    pub repeats: u8,
    /// Withdrawals, of a branch or of the run.
    pub withdrawals: u8,
    /// Rules that are left out.
    pub flaws: Vec<Flaw>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// An engine opens the store.
    Start(u8),
    /// An engine dies, and its Runners with it. What it sent may still come.
    Die(u8),
    /// Another engine frees what a dead one had locked.
    Recover(u8),
    /// An owner locks a job, and a Runner begins an attempt.
    Lock(usize, u8),
    /// The attempt returns; its checkpoint is on its way.
    Return(Attempt),
    /// The checkpoint reaches the writer.
    Deliver(Attempt),
    /// The checkpoint reaches the writer, and will do so once more.
    DeliverAndRepeat(Attempt),
    /// The checkpoint of an engine that is dead never comes.
    Lose(Attempt),
    /// A branch of a split is withdrawn.
    Withdraw(usize),
    /// The run is withdrawn.
    WithdrawRun,
    /// One more branch of a withdrawn run is deleted.
    Sweep,
}

impl Protocol {
    /// Two branches, two engines of which one may die: 33,420 states.
    pub fn tiny() -> Self {
        Self {
            branches: 2,
            rounds: 1,
            enough: 2,
            mutex: false,
            owners: 2,
            deaths: 1,
            repeats: 1,
            withdrawals: 1,
            flaws: Vec::new(),
        }
    }

    /// The same with rules left out.
    #[must_use]
    pub fn without(self, flaws: &[Flaw]) -> Self {
        let flaws = flaws.to_vec();
        Self { flaws, ..self }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaws.contains(&flaw)
    }

    /// The id of the first branch of a round's split. No id is used twice.
    pub(crate) fn first_child(&self, round: u8) -> usize {
        1 + usize::from(round) * usize::from(self.branches)
    }

    /// The place of an activation among all: the root has one more than there are rounds.
    pub(crate) fn outcome_number(&self, branch: usize, at: u8) -> usize {
        if branch == 0 {
            usize::from(at)
        } else {
            usize::from(self.rounds) + branch
        }
    }

    fn steps_of_owners(&self, world: &World, steps: &mut Vec<Step>) {
        let is_alive = |id: u8| world.owner(id) == OwnerLife::Alive;
        // Which of those that never started is the next makes no difference.
        let unborn = (1..=self.owners).find(|id| world.owner(*id) == OwnerLife::Unborn);
        steps.extend(unborn.map(Step::Start));
        for id in 1..=self.owners {
            if is_alive(id) && world.deaths_left > 0 {
                steps.push(Step::Die(id));
            }
            let others_live = (1..=self.owners).any(|other| other != id && is_alive(other));
            let is_dead = world.owner(id) == OwnerLife::Dead;
            let is_taken_for_dead = is_alive(id) && self.has(Flaw::LivingOwnerRecovered);
            if others_live && (is_dead || is_taken_for_dead) {
                steps.push(Step::Recover(id));
            }
            let mut jobs = world.branches.iter().enumerate();
            while let (true, Some((branch, row))) = (is_alive(id), jobs.next()) {
                let is_free = |row: &Branch| row.state == BranchState::Ready && row.owner == NOBODY;
                if row.as_ref().is_some_and(is_free) {
                    steps.push(Step::Lock(branch, id));
                }
            }
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let children = usize::from(self.rounds) * usize::from(self.branches);
        let root = Branch {
            state: BranchState::Ready,
            owner: NOBODY,
            token: 0,
            at: 0,
            seen_locks: 0,
            seen_locked: false,
        };
        let mut branches = vec![None; 1 + children];
        branches[0] = Some(root);
        vec![World {
            branches,
            join: None,
            mutex: Mutex::default(),
            owners: vec![OwnerLife::Unborn; usize::from(self.owners)],
            at_work: [].into(),
            on_the_way: [].into(),
            deaths_left: self.deaths,
            repeats_left: self.repeats,
            withdrawals_left: self.withdrawals,
            seen_outcomes: vec![0; 1 + usize::from(self.rounds) + children],
            seen_joined: vec![0; usize::from(self.rounds)],
            seen_late_taken: false,
            seen_late_refused: false,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        steps.extend(world.at_work.iter().copied().map(Step::Return));
        for checkpoint in &world.on_the_way {
            steps.push(Step::Deliver(*checkpoint));
            if world.repeats_left > 0 {
                steps.push(Step::DeliverAndRepeat(*checkpoint));
            }
        }
        if world.root().state.is_end() {
            // All that can still matter is what comes late.
            return;
        }
        self.steps_of_owners(world, steps);
        for checkpoint in &world.on_the_way {
            if world.owner(checkpoint.owner) != OwnerLife::Alive {
                steps.push(Step::Lose(*checkpoint));
            }
        }
        if world.root().state == BranchState::Ending {
            steps.push(Step::Sweep);
        } else if world.withdrawals_left > 0 {
            steps.push(Step::WithdrawRun);
            let is_live = |branch: &Branch| branch.state != BranchState::Arrived;
            let live = world.children().filter(|(_, branch)| is_live(branch));
            steps.extend(live.map(|(id, _)| Step::Withdraw(id)));
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        match step {
            Step::Start(owner) => world.set_owner(owner, OwnerLife::Alive),
            Step::Die(owner) => {
                world.deaths_left -= 1;
                world.set_owner(owner, OwnerLife::Dead);
                world.at_work.retain(|attempt| attempt.owner != owner);
            }
            Step::Recover(owner) => self.recover(&mut world, owner),
            Step::Lock(branch, owner) => self.lock(&mut world, branch, owner),
            Step::Return(attempt) => {
                world.at_work.remove(&attempt);
                world.on_the_way.insert(attempt);
            }
            Step::Deliver(attempt) => {
                world.on_the_way.remove(&attempt);
                self.checkpoint(&mut world, attempt);
            }
            Step::DeliverAndRepeat(attempt) => {
                world.repeats_left -= 1;
                self.checkpoint(&mut world, attempt);
            }
            Step::Lose(attempt) => {
                world.on_the_way.remove(&attempt);
            }
            Step::Withdraw(branch) => {
                world.withdrawals_left -= 1;
                self.withdraw_branch(&mut world, branch);
            }
            Step::WithdrawRun => {
                world.withdrawals_left -= 1;
                self.withdraw_run(&mut world);
            }
            Step::Sweep => self.sweep(&mut world),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        must_hold::all(self)
    }
}
