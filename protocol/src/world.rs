//! What is written down and what is under way, at one instant.
//!
//! Fields that begin with `seen_` are kept for the properties only: no rule reads them.

use std::collections::BTreeSet;

/// The branch that a run begins with.
pub(crate) const ROOT: usize = 0;
/// No owner, as in the column `owner`.
pub(crate) const NOBODY: u8 = 0;

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// By id; the root is 0, the branches of a split follow each other. `None`: not yet, or deleted.
    pub branches: Vec<Option<Branch>>,
    /// The counter of the join at which the root waits, once somebody has come.
    pub join: Option<Count>,
    /// The mutex that all branches of a split need.
    pub mutex: Mutex,
    /// By id, from 1.
    pub owners: Vec<OwnerLife>,
    /// Attempts that Runners have in hand, each with the lock under which it was begun.
    pub at_work: BTreeSet<Attempt>,
    /// Outcomes on their way to the writer.
    pub on_the_way: BTreeSet<Attempt>,
    /// How many more owners may die.
    pub deaths_left: u8,
    /// How many more checkpoints may come twice.
    pub repeats_left: u8,
    /// How many more withdrawals may be asked for.
    pub withdrawals_left: u8,
    /// How many outcomes each activation has had; the root's come first.
    pub seen_outcomes: Vec<u8>,
    /// How often the join of each round was over.
    pub seen_joined: Vec<u8>,
    /// Whether a checkpoint was taken whose lock was not in force any more.
    pub seen_late_taken: bool,
    /// Whether such a one was refused.
    pub seen_late_refused: bool,
}

/// A row of the table of branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Branch {
    /// What it does.
    pub state: BranchState,
    /// Who has locked it; 0 is nobody.
    pub owner: u8,
    /// Grows with every lock.
    pub token: u8,
    /// Its activation.
    pub at: u8,
    /// How many locks it has had.
    pub seen_locks: u8,
    /// Whether the last of them is in force.
    pub seen_locked: bool,
}

/// What a branch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BranchState {
    /// A job, locked or not.
    Ready,
    /// Waits for the mutex.
    Blocked,
    /// Waits for the branches of its split.
    Joining,
    /// Came to its join, by itself or because it was withdrawn.
    Arrived,
    /// The run is withdrawn; what is left of it is being deleted.
    Ending,
    /// The run ended well.
    Succeeded,
    /// The run ended because it was withdrawn.
    Cancelled,
}

impl BranchState {
    /// Whether the run has ended.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Succeeded | Self::Cancelled)
    }
}

/// How many have come to a join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Count {
    /// All.
    pub arrived: u8,
    /// Those of them that were withdrawn.
    pub withdrawn: u8,
    /// It is over, and the rest is being withdrawn.
    pub withdrawing: bool,
}

/// A mutex of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mutex {
    /// Who is in it. `ROOT`: nobody, until what is in `returning` has returned.
    pub holder: Option<usize>,
    /// Branch, token and owner of attempts that do not count any more but may be at work.
    pub returning: BTreeSet<(usize, u8, u8)>,
}

/// Where an engine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OwnerLife {
    /// Not started.
    Unborn,
    /// Works.
    Alive,
    /// Died; its locks are not freed.
    Dead,
    /// Its locks are freed and its row is deleted.
    Gone,
}

/// One try of one step, with its lock. On its way to the writer: its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The branch.
    pub branch: usize,
    /// The activation.
    pub at: u8,
    /// Who had locked the branch.
    pub owner: u8,
    /// The token of that lock.
    pub token: u8,
    /// Which of the branch's locks it was.
    pub seen_lock: u8,
}

impl World {
    /// The run's first branch.
    ///
    /// # Panics
    /// Never: no rule deletes it.
    pub fn root(&self) -> &Branch {
        self.branches[ROOT]
            .as_ref()
            .expect("the first branch stays when its run has ended")
    }

    pub(crate) fn root_mut(&mut self) -> &mut Branch {
        self.branches[ROOT]
            .as_mut()
            .expect("the first branch stays when its run has ended")
    }

    /// Whether the lock under which `attempt` was begun is in force.
    pub fn is_in_force(&self, attempt: &Attempt) -> bool {
        self.branches[attempt.branch]
            .is_some_and(|branch| branch.seen_locked && branch.seen_locks == attempt.seen_lock)
    }

    /// Whether the run is withdrawn.
    pub fn is_run_withdrawn(&self) -> bool {
        matches!(
            self.root().state,
            BranchState::Ending | BranchState::Cancelled
        )
    }

    /// Those of the branches of splits that have rows, in the order of their ids.
    pub fn children(&self) -> impl Iterator<Item = (usize, &Branch)> {
        let all = self.branches.iter().enumerate().skip(1);
        all.filter_map(|(id, branch)| Some((id, branch.as_ref()?)))
    }

    /// The life of an owner.
    pub fn owner(&self, id: u8) -> OwnerLife {
        self.owners[usize::from(id) - 1]
    }

    pub(crate) fn set_owner(&mut self, id: u8, life: OwnerLife) {
        self.owners[usize::from(id) - 1] = life;
    }
}
