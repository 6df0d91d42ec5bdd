//! How the jobs of a dead owner are found without an index entry for each lock.
//!
//! An index entry for each lock is written and deleted within milliseconds and is needed only after
//! a crash; it cost a sixth of a job (callgrind). So each owner names a window of neighbouring ids in
//! its row, and locks on branches within it are found by looking through the window. A lock outside
//! of it has its index entry. Why: ADRs/0011-locks-are-found-by-window.md.
//!
//! The stored owner of a branch tells the two apart: negative within the window, positive with an
//! index entry. The window moves with the work; what stays locked behind it gets an index entry then.

use windlass_workflow_model::{BranchId, OwnerId};

/// Ids in one window. Recovery looks at no more rows than that; the window moves at most once in half
/// as many locks.
pub(super) const WINDOW_IDS: i64 = 65_536;

/// So many locks outside of an empty window move it to where the work is.
const MISSES_MAX: u32 = 64;

/// The window of the owner that writes.
#[derive(Clone)]
pub(super) struct LockWindow {
    owner: OwnerId,
    first: i64,
    /// One bit for each id that may be locked within the window.
    locked: Box<[u64]>,
    count: u32,
    misses: u32,
}

/// What must be written when a window moves: its new first id, and the branches left behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) first: BranchId,
    pub(super) left_behind: Vec<BranchId>,
}

impl LockWindow {
    /// The window of `owner`, from its own id on: what it will insert has higher ones.
    pub(super) fn of(owner: OwnerId) -> Self {
        let words = usize::try_from(WINDOW_IDS / 64).expect("a small number");
        Self {
            owner,
            first: owner.0,
            locked: vec![0; words].into_boxed_slice(),
            count: 0,
            misses: 0,
        }
    }

    /// The number that stands for `owner` in the row of `id`, as it is now.
    pub(super) fn stored(&self, id: BranchId, owner: OwnerId) -> i64 {
        let within = owner == self.owner
            && self
                .bit(id)
                .is_some_and(|(word, bit)| self.locked[word] & bit != 0);
        if within { -owner.0 } else { owner.0 }
    }

    /// Notes that `id` is locked by `owner`, after [`follow`](Self::follow); gives the number to store.
    pub(super) fn lock(&mut self, id: BranchId, owner: OwnerId) -> i64 {
        if owner != self.owner || owner == OwnerId(0) {
            return owner.0;
        }
        let Some((word, bit)) = self.bit(id) else {
            self.misses += 1;
            return owner.0;
        };
        self.count += u32::from(self.locked[word] & bit == 0);
        self.locked[word] |= bit;
        self.misses = 0;
        -owner.0
    }

    /// Notes that `id` is not locked by us any more.
    pub(super) fn unlock(&mut self, id: BranchId) {
        if let Some((word, bit)) = self.bit(id) {
            self.count -= u32::from(self.locked[word] & bit != 0);
            self.locked[word] &= !bit;
        }
    }

    fn bit(&self, id: BranchId) -> Option<(usize, u64)> {
        let offset = id.0 - self.first;
        if !(0..WINDOW_IDS).contains(&offset) {
            return None;
        }
        let word = usize::try_from(offset / 64).expect("within the window");
        Some((word, 1 << (offset % 64)))
    }

    /// Moves the window if a lock of `owner` on `id` shows that the work has gone on beyond it, or is
    /// somewhere else altogether.
    pub(super) fn follow(&mut self, id: BranchId, owner: OwnerId) -> Option<Moved> {
        if owner != self.owner || owner == OwnerId(0) {
            return None;
        }
        let beyond = id.0 >= self.first + WINDOW_IDS;
        let elsewhere = self.count == 0 && self.misses >= MISSES_MAX && self.bit(id).is_none();
        let first = match (beyond, self.count) {
            (true, 1..) => id.0 - WINDOW_IDS / 2,
            (true, 0) => id.0,
            (false, _) if elsewhere => id.0,
            (false, _) => return None,
        };
        let still: Vec<_> = self.ids().collect();
        let (left_behind, kept): (Vec<_>, Vec<_>) = still.into_iter().partition(|id| id.0 < first);
        self.locked.fill(0);
        (self.first, self.count, self.misses) = (first, 0, 0);
        for id in kept {
            if let Some((word, bit)) = self.bit(id) {
                self.locked[word] |= bit;
                self.count += 1;
            }
        }
        Some(Moved {
            first: BranchId(first),
            left_behind,
        })
    }

    fn ids(&self) -> impl Iterator<Item = BranchId> + '_ {
        let bits = |word: u64| (0..64_i64).filter(move |bit| word & (1 << bit) != 0);
        (0_i64..)
            .zip(self.locked.iter())
            .filter(|(_, word)| **word != 0)
            .flat_map(move |(index, word)| bits(*word).map(move |bit| index * 64 + bit))
            .map(|offset| BranchId(self.first + offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: OwnerId = OwnerId(10);

    fn lock(window: &mut LockWindow, id: i64, owner: OwnerId) -> (i64, Option<Moved>) {
        let moved = window.follow(BranchId(id), owner);
        (window.lock(BranchId(id), owner), moved)
    }

    #[test]
    fn the_window_follows_the_work_and_says_whom_it_leaves_behind() {
        let mut window = LockWindow::of(US);
        assert_eq!(lock(&mut window, 11, US), (-10, None));
        assert_eq!(lock(&mut window, 12, US), (-10, None));
        window.unlock(BranchId(11));
        let below = lock(&mut window, 9, US);
        assert_eq!(below, (10, None), "below it: in the index");
        let far = 10 + WINDOW_IDS;
        let moved = Moved {
            first: BranchId(far - WINDOW_IDS / 2),
            left_behind: vec![BranchId(12)],
        };
        assert_eq!(lock(&mut window, far, US), (-10, Some(moved)));
        assert_eq!(window.stored(BranchId(far), US), -10);
        assert_eq!(window.stored(BranchId(12), US), 10, "in the index now");
    }

    #[test]
    fn an_empty_window_moves_to_where_the_work_is() {
        let us = OwnerId(1_000_000);
        let mut window = LockWindow::of(us);
        for id in 1..=64 {
            assert_eq!(lock(&mut window, id, us), (us.0, None));
        }
        let (stored, moved) = lock(&mut window, 65, us);
        assert_eq!((stored, moved.unwrap().first), (-us.0, BranchId(65)));
        assert_eq!(lock(&mut window, 66, us), (-us.0, None));
    }

    #[test]
    fn a_lock_of_somebody_else_is_in_the_index() {
        let mut window = LockWindow::of(US);
        assert_eq!(lock(&mut window, 20, OwnerId(7)), (7, None));
        assert_eq!(window.stored(BranchId(20), US), 10);
    }
}
