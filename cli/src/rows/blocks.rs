//! Blocks that came to something without any step of theirs. No row is left of that; the run's data
//! tells, or that a later step was reached to which every way leads through the block.

use std::collections::{HashMap, HashSet};

use petgraph::algo::dominators;
use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value as Json;
use windlass::{
    BranchOutcome, Definition, ErrorEntry, Graph, Inspector, Instance, Payload, RunDetail,
    StepStatus, StepView,
};
use windlass_dialects::{Dialect, run_notes, run_outputs};

use super::iterations;
use super::playbook;
use crate::failure::Failure;
use crate::json::dialect_of;

/// Why steps are skipped that a block did not come by.
pub(super) const NOT_TAKEN: &str = "not-taken";

/// Gives blocks that no branch was taken in, and that are done or have failed all the same, their
/// status: a condition that chose nothing, a loop over nothing, a failure that the flow went on from.
///
/// # Errors
/// What iterations gave cannot be read.
pub(crate) fn settle(inspector: &mut Inspector, detail: &mut RunDetail) -> Result<(), Failure> {
    if dialect_of(detail) == Some(Dialect::Cacao) {
        playbook::settle(detail);
    }
    let definition = &detail.definition;
    let blocks = definition.blocks().iter();
    let blocks: HashSet<&str> = blocks.map(|block| block.name.as_str()).collect();
    let mut passed_by: HashMap<Option<Instance>, Vec<usize>> = HashMap::new();
    for (index, row) in detail.steps.iter().enumerate() {
        // Of what is in the round of a loop, the data of the run does not tell.
        let is_told = row.rounds.is_empty() && may_be_over(row);
        if blocks.contains(row.step.as_str()) && is_told {
            passed_by.entry(row.instance).or_default().push(index);
        }
    }
    if passed_by.is_empty() {
        return Ok(());
    }
    // Only playbooks leave nothing in the data, and it takes a look at the whole graph.
    let passed = match dialect_of(detail) {
        Some(Dialect::Cacao) => passed(definition, &detail.steps),
        _ => HashSet::new(),
    };
    let rows = &mut detail.steps;
    if let (Some(data), Some(own)) = (&detail.data, passed_by.remove(&None)) {
        let empty = tell(rows, &own, data, &passed);
        pass_over(rows, &empty);
    }
    let iterations: HashSet<_> = passed_by.keys().copied().flatten().collect();
    iterations::visit(
        inspector,
        detail.summary.run,
        &iterations,
        |iteration, outcome| {
            let own = passed_by.get(&Some(iteration)).map(Vec::as_slice);
            match outcome {
                BranchOutcome::Succeeded(data) => {
                    tell(rows, own.unwrap_or_default(), data, &HashSet::new());
                }
                BranchOutcome::Failed(fault) => {
                    for index in own.unwrap_or_default() {
                        let row = &mut rows[*index];
                        let error = fault.errors.iter().find(|error| error.step == row.step);
                        fail(row, error.cloned());
                    }
                }
                BranchOutcome::Cancelled(_) => {}
            }
        },
    )
}

fn fail(row: &mut StepView, error: Option<ErrorEntry>) {
    if error.is_some() {
        (row.status, row.reason) = (StepStatus::Failed, None);
        row.error = error;
    }
}

/// Whether a row of a block may be of one that is over, though nothing in it was begun. Of a
/// conditional that is known only later: it decides before its branch begins.
fn may_be_over(row: &StepView) -> bool {
    match row.status {
        StepStatus::Skipped => true,
        StepStatus::Pending => row.kind != "conditional",
        _ => false,
    }
}

/// Takes from the data of a run, or of an iteration, what has become of these rows; the blocks that are
/// done.
fn tell(
    rows: &mut [StepView],
    of: &[usize],
    data: &Payload,
    passed: &HashSet<String>,
) -> Vec<String> {
    let outputs = run_outputs(data);
    let handled = run_notes(data).handled_failures;
    let mut done = Vec::new();
    for index in of {
        let row = &mut rows[*index];
        if let Some(error) = failure_of(&row.step, &handled) {
            fail(row, Some(error));
        } else if outputs.get(&row.step).is_some() || passed.contains(&decision_of(&row.step)) {
            (row.status, row.reason) = (StepStatus::Succeeded, None);
            done.push(row.step.clone());
        }
    }
    done
}

/// What is in blocks that are done without it was passed by there, whatever came later.
fn pass_over(rows: &mut [StepView], done: &[String]) {
    let mut inside: HashSet<String> = done.iter().cloned().collect();
    // Blocks stand before what is in them.
    for row in rows {
        let is_open = matches!(row.status, StepStatus::Skipped | StepStatus::Pending);
        if is_open
            && row
                .parent
                .as_ref()
                .is_some_and(|parent| inside.contains(parent))
        {
            (row.status, row.reason) = (StepStatus::Skipped, Some(NOT_TAKEN.to_owned()));
            inside.insert(row.step.clone());
        }
    }
}

/// What a block failed with, among failures that the flow went on from: its own, or one that was handled
/// further out.
fn failure_of(block: &str, handled: &[Json]) -> Option<ErrorEntry> {
    let errors = |failure: &Json| -> Vec<ErrorEntry> {
        serde_json::from_value(failure["errors"].clone()).unwrap_or_default()
    };
    if let Some(own) = handled.iter().find(|failure| failure["step"] == block) {
        return errors(own).into_iter().next();
    }
    let mut all = handled.iter().flat_map(errors);
    all.find(|error| error.step == block)
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
