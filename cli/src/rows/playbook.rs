//! Rows of runs of playbooks where the graph says less than the file: what a step is, and what a logic
//! step came to.

use std::collections::{HashMap, HashSet};

use windlass::{Block, Definition, NodeKind, Payload, RunDetail, StepStatus, StepView};
use windlass_dialects::{manual_tasks, run_notes, run_outputs};

use super::decisions::Decisions;

/// What the rows of steps are that people do.
const MANUAL: &str = "manual";

/// What the engine calls a node that calls a workflow, and what a playbook does.
const CALLS: (&str, &str) = ("call", "playbook-action");

/// What the name of a call has behind that of its step, if that has a limit.
const CALL: &str = "/call";

/// The branch of what stands right in a loop, whatever the round.
const ROUND: &str = "iteration";

/// The kind of logic steps that are loops.
pub(crate) const WHILE: &str = "while-condition";

/// Says what steps are in the words of playbooks, and judges logic steps by what the run's data says.
pub(crate) fn settle(detail: &mut RunDetail) {
    name_kinds(detail);
    show_what_came_back(detail);
    name_rounds(detail);
    drop_scopes(detail);
    let Some(data) = &detail.data else { return };
    let blocks = Blocks::of(&detail.definition);
    let handled = run_notes(data).handled_failures;
    let decisions = Decisions::of(detail);
    for row in detail.steps.iter_mut().filter(|row| blocks.has(row)) {
        if let Some(error) = decisions.handled(row) {
            (row.status, row.reason) = (StepStatus::Failed, None);
            row.error = Some(error.clone());
            continue;
        }
        let mut failures = handled.iter();
        // Which round of a loop it was in is not said there.
        let failure = failures.find(|failure| row.rounds.is_empty() && failure["step"] == row.step);
        // What was withdrawn in it does not tell that it was too late, nor what was done in it that it
        // went round too often. In a loop it may have come to something else in the next round.
        let is_told = matches!(row.status, StepStatus::Succeeded | StepStatus::Cancelled);
        if let (true, Some(failure), 0) = (is_told, failure, blocks.loops_around(&row.step)) {
            let errors = failure["errors"].get(0).cloned();
            row.error = errors.and_then(|error| serde_json::from_value(error).ok());
            row.status = StepStatus::Failed;
        } else if row.status == StepStatus::Skipped
            && failure.is_none()
            && decisions.taken(row).is_some()
        {
            // It was judged, and what it led to was no step.
            (row.status, row.reason) = (StepStatus::Succeeded, None);
        }
    }
}

/// What people and called playbooks have read and given, of whom no handler tells. In a loop only what was
/// given last is left.
fn show_what_came_back(detail: &mut RunDetail) {
    let decisions = Decisions::of(detail);
    let outputs = detail.data.as_ref().map(run_outputs).unwrap_or_default();
    let is_told = |row: &StepView| {
        let is_told = row.kind == MANUAL || row.kind == CALLS.0 || row.kind == CALLS.1;
        is_told && row.activation.is_some()
    };
    let mut told = HashSet::new();
    for row in detail.steps.iter_mut().rev().filter(|row| is_told(row)) {
        row.input = row.input.take().or_else(|| decisions.read(row));
        let is_last = told.insert(row.step.clone());
        if row.status == StepStatus::Succeeded && is_last && row.output.is_none() {
            let name = row.step.strip_suffix(CALL).unwrap_or(&row.step);
            let output = outputs.get(&row.step).or_else(|| outputs.get(name));
            row.output = output.and_then(|output| Payload::encode(output).ok());
        }
    }
}

/// An error knows the loop that its step is right in, and not the round; the step's row does.
fn name_rounds(detail: &mut RunDetail) {
    let mut last: HashMap<String, String> = HashMap::new();
    for row in &mut detail.steps {
        let (Some(branch), Some(error)) = (&row.branch, &mut row.error) else {
            continue;
        };
        if error.branch.as_deref() == Some(ROUND) && !row.rounds.is_empty() {
            error.branch = Some(branch.clone());
            last.insert(error.step.clone(), branch.clone());
        }
    }
    let errors = detail.errors.iter_mut();
    for error in errors.filter(|error| error.branch.as_deref() == Some(ROUND)) {
        error.branch = last.get(&error.step).cloned().or(error.branch.take());
    }
}

/// What keeps a limit is no branch.
fn drop_scopes(detail: &mut RunDetail) {
    let nodes = detail.definition.nodes().iter();
    let scopes: HashSet<&str> = nodes
        .filter(|node| matches!(node.kind, NodeKind::Scope { .. }))
        .map(|node| node.name.as_str())
        .collect();
    for row in &mut detail.steps {
        row.branch
            .take_if(|branch| scopes.contains(branch.as_str()));
    }
}

fn name_kinds(detail: &mut RunDetail) {
    let tasks = manual_tasks(&detail.definition);
    let tasks: HashSet<&str> = tasks.iter().map(|task| task.step.as_str()).collect();
    let blocks = detail.definition.blocks().iter();
    let calling: HashSet<&str> = blocks
        .filter(|block| block.kind == CALLS.1)
        .map(|block| block.name.as_str())
        .collect();
    for row in &mut detail.steps {
        let parent = row.parent.as_deref();
        if tasks.contains(row.step.as_str()) {
            MANUAL.clone_into(&mut row.kind);
        } else if row.kind == CALLS.0 && !parent.is_some_and(|parent| calling.contains(parent)) {
            CALLS.1.clone_into(&mut row.kind);
        }
    }
}

/// The blocks of a definition, by name.
pub(crate) struct Blocks<'a>(HashMap<&'a str, &'a Block>);

impl<'a> Blocks<'a> {
    pub(crate) fn of(definition: &'a Definition) -> Self {
        let blocks = definition.blocks().iter();
        Self(blocks.map(|block| (block.name.as_str(), block)).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Block> {
        self.0.get(name).copied()
    }

    /// Whether it is the row of a block: a step may be called the same.
    pub(crate) fn has(&self, row: &StepView) -> bool {
        let block = self.get(&row.step);
        row.activation.is_none() && block.is_some_and(|block| block.kind == row.kind)
    }

    /// How many loops there are around a block.
    pub(crate) fn loops_around(&self, block: &str) -> usize {
        let parent_of = |block: &Block| block.parent.as_deref().and_then(|parent| self.get(parent));
        let first = self.get(block).and_then(parent_of);
        let around = std::iter::successors(first, |block| parent_of(block));
        // As many levels as there are blocks, whatever is stored.
        let around = around.take(self.0.len());
        around.filter(|block| block.kind == WHILE).count()
    }
}
