//! A run and all runs that came of it by calls.

use windlass::{Inspector, NodeKind, RunDetail, RunFilter, RunId};

/// More runs than any test has in one place.
pub(crate) const RUNS_MAX: u32 = 2_000;

/// The run and those that it called, as did these, in the order in which they were called; empty if
/// it is not stored.
pub(crate) fn tree(inspector: &mut Inspector, run: RunId) -> Vec<RunDetail> {
    let Some(first) = inspector.show(run).expect("the store can be read") else {
        return Vec::new();
    };
    if !calls(&first) {
        return vec![first];
    }
    let runs = inspector.runs(RunFilter::All, RUNS_MAX);
    let mut runs = runs.expect("the store can be read");
    // Who calls is older than who is called.
    runs.sort_by_key(|summary| summary.run);
    let mut tree = vec![first];
    for summary in runs {
        let detail = inspector.show(summary.run).expect("the store can be read");
        let Some(detail) = detail else { continue };
        let of_tree = |by: RunId| tree.iter().any(|above| above.summary.run == by);
        if detail.called_by.is_some_and(of_tree) {
            tree.push(detail);
        }
    }
    tree
}

fn calls(detail: &RunDetail) -> bool {
    let mut nodes = detail.definition.nodes().iter();
    nodes.any(|node| matches!(node.kind, NodeKind::Call(_)))
}
