//! What is to be undone, and what was.
//!
//! The reference tells which steps are undone as one, and which of them were done one after the
//! other: these are undone in reverse order. Branches are done in any order, and so undone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use windlass::{ActivationId, Context, RunId};

use crate::shape::Data;

/// A part of what was done and can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// A step, known by the data that it made.
    Step(Data),
    /// What branches did, each for itself.
    Together(Vec<Vec<Done>>),
}

/// What is undone as one, in the order in which it was done.
pub(crate) type Group = Vec<Done>;

/// Where a step stands in its group: `true` are places one after the other, `false` branches.
type Path = Vec<(bool, usize)>;

fn flatten(group: &Group, path: &Path, steps: &mut Vec<(Path, Data)>) {
    for (place, done) in group.iter().enumerate() {
        let mut path = path.clone();
        path.push((true, place));
        match done {
            Done::Step(data) => steps.push((path, data.clone())),
            Done::Together(branches) => {
                for (index, branch) in branches.iter().enumerate() {
                    let mut path = path.clone();
                    path.push((false, index));
                    flatten(branch, &path, steps);
                }
            }
        }
    }
}

/// The steps of a group.
pub(crate) fn steps(group: &Group) -> Vec<Data> {
    let mut steps = Vec::new();
    flatten(group, &Path::new(), &mut steps);
    steps.into_iter().map(|(_, data)| data).collect()
}

/// Whether the step at `first` was done before the one at `then`, whoever is faster.
fn precedes(first: &Path, then: &Path) -> bool {
    let parting = first.iter().zip(then).find(|(first, then)| first != then);
    parting.is_some_and(|((is_series, first), (_, then))| *is_series && first < then)
}

/// What was undone, as the handlers saw it: by whom, with which data. Lives on when an engine dies.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undone(Arc<Mutex<Vec<((RunId, ActivationId), Data)>>>);

impl Undone {
    /// An attempt to undo that succeeds. After a crash it may come once more.
    pub(crate) fn note(&self, context: &Context, data: &Data) {
        // Not the idempotency key: copies of a branch may have given theirs alike.
        let key = (context.run(), context.activation());
        let mut log = self.0.lock().unwrap();
        if log.iter().all(|(by, _)| *by != key) {
            log.push((key, data.clone()));
        }
    }

    /// The data of what was undone, in order.
    pub(crate) fn all(&self) -> Vec<Data> {
        let log = self.0.lock().unwrap();
        log.iter().map(|(_, data)| data.clone()).collect()
    }

    /// That all of `groups` was undone, each in reverse order, and nothing else.
    pub(crate) fn assert_are(&self, groups: &[Group]) {
        let undone = self.all();
        let mut expected: Vec<_> = groups.iter().flat_map(steps).collect();
        let mut found = undone.clone();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "what was undone, in any order");
        let mut places: HashMap<&Data, Vec<usize>> = HashMap::new();
        for (place, data) in undone.iter().enumerate() {
            places.entry(data).or_default().push(place);
        }
        // Copies of one branch make the same data; then nobody knows which of them was undone.
        let place = |data: &Data| match places[data].as_slice() {
            [place] => Some(*place),
            _ => None,
        };
        for group in groups {
            let mut steps = Vec::new();
            flatten(group, &Path::new(), &mut steps);
            for (path, data) in &steps {
                for (_, later) in steps.iter().filter(|(then, _)| precedes(path, then)) {
                    let is_reverse = match (place(data), place(later)) {
                        (Some(data), Some(later)) => later < data,
                        _ => true,
                    };
                    assert!(
                        is_reverse,
                        "{later:?} is undone before {data:?}: {undone:?}"
                    );
                }
            }
        }
    }
}
