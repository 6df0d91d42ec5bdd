//! Blocks that came to something without any step of theirs. No row is left of that; the run's data
//! tells, or that a later step was reached to which every way leads through the block.

use std::collections::{HashMap, HashSet};

use petgraph::algo::dominators;
use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value as Json;
use windlass::{Definition, ErrorEntry, Graph, RunDetail, StepStatus, StepView};
use windlass_dialects::{Dialect, run_notes, run_outputs};

use crate::json::dialect_of;

/// Gives blocks that no branch was taken in, and that are done or have failed all the same, their
/// status: a condition that chose nothing, a loop over nothing, a failure that the flow went on from.
pub(crate) fn settle(detail: &mut RunDetail) {
    let Some(data) = &detail.data else { return };
    let definition = &detail.definition;
    let blocks = definition.blocks().iter();
    let blocks: HashSet<&str> = blocks.map(|block| block.name.as_str()).collect();
    let is_passed_by =
        |row: &StepView| row.status == StepStatus::Skipped && blocks.contains(row.step.as_str());
    if !detail.steps.iter().any(is_passed_by) {
        return;
    }
    let outputs = run_outputs(data);
    let handled = run_notes(data).handled_failures;
    // Only playbooks leave nothing in the data, and it takes a look at the whole graph.
    let passed = match dialect_of(detail) {
        Some(Dialect::Cacao) => passed(definition, &detail.steps),
        _ => HashSet::new(),
    };
    for row in detail.steps.iter_mut().filter(|row| is_passed_by(row)) {
        let failure = handled.iter().find(|failure| failure["step"] == row.step);
        if let Some(failure) = failure {
            (row.status, row.reason) = (StepStatus::Failed, None);
            row.error = first_error(failure);
        } else if outputs.get(&row.step).is_some() || passed.contains(&decision_of(&row.step)) {
            (row.status, row.reason) = (StepStatus::Succeeded, None);
        }
    }
}

fn first_error(failure: &Json) -> Option<ErrorEntry> {
    serde_json::from_value(failure["errors"].get(0)?.clone()).ok()
}

/// The node in which a logic step of a playbook judges its condition.
fn decision_of(block: &str) -> String {
    format!("{block}/decide")
}

/// The nodes that a run has come by for sure: those on every way to a step that it reached.
fn passed(definition: &Definition, rows: &[StepView]) -> HashSet<String> {
    let graph = Graph::of(definition);
    let mut ways = DiGraph::<&str, ()>::new();
    let nodes = graph.nodes.iter().map(|node| node.id.as_str());
    let at: HashMap<&str, NodeIndex> = nodes.map(|name| (name, ways.add_node(name))).collect();
    for edge in &graph.edges {
        ways.add_edge(at[&*edge.from], at[&*edge.to], ());
    }
    let start = at[&*definition.node(definition.start()).name];
    let dominators = dominators::simple_fast(&ways, start);
    let mut passed = HashSet::new();
    let reached = rows.iter().filter(|row| row.activation.is_some());
    for row in reached.filter_map(|row| at.get(&*row.step)) {
        for node in dominators.dominators(*row).into_iter().flatten() {
            // Those before it were noted with it.
            if !passed.insert(ways[node].to_owned()) {
                break;
            }
        }
    }
    passed
}
