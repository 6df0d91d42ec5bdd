//! Rows of the branches of a playbook's logic steps, and of the rounds of its loops.
//!
//! The engine has no such rows: they follow from the definition, from the rows of what stands in the
//! branches, and from what the run's data says was decided.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use windlass::{Block, Definition, ErrorEntry, RunDetail, StepStatus, StepView};
use windlass_dialects::{playbook_branches, run_notes};

use super::decisions::Decisions;
use super::playbook::{Blocks, WHILE};

/// The kind of a branch's row.
const BRANCH: &str = "branch";

/// The kind of the row of one round of a loop.
const ITERATION: &str = "iteration";

/// The kind of a logic step of which all branches run.
const PARALLEL: &str = "parallel";

/// Why a branch has not run.
const NOT_TAKEN: &str = "not-taken";

/// Adds to a run of a playbook a row for each branch and round, behind that of the logic step, and says
/// what that has read.
pub(crate) fn add(detail: &mut RunDetail) {
    let tree = Tree::of(detail);
    let mut rows = Vec::with_capacity(detail.steps.len());
    for row in &detail.steps {
        let Some(block) = tree.blocks.get(&row.step).filter(|_| tree.blocks.has(row)) else {
            rows.push(row.clone());
            continue;
        };
        rows.push(StepView {
            input: tree.decisions.read(row),
            ..row.clone()
        });
        rows.extend(tree.rows(block, row));
    }
    detail.steps = rows;
}

/// A block, and the rounds of the loops around what stands in it.
type Rounds<'a> = (&'a str, Vec<u32>);

/// The rows of a run by where they stand.
struct Tree<'a> {
    blocks: Blocks<'a>,
    /// The rows right in each block.
    rows_in: HashMap<&'a str, Vec<&'a StepView>>,
    /// The same by the rounds that they are of.
    in_rounds: HashMap<Rounds<'a>, Vec<&'a StepView>>,
    /// The rounds of each while, by those around it.
    numbers: HashMap<Rounds<'a>, BTreeSet<u32>>,
    /// The steps of which a row is that of a failure.
    failed: HashSet<&'a str>,
    /// The branches of each logic step, in the order of the file.
    branches: BTreeMap<String, Vec<String>>,
    decisions: Decisions,
    /// The failures of the run, and of whom: the errors of those that somebody has handled, and the step
    /// that did.
    failures: Vec<(Option<String>, Vec<ErrorEntry>)>,
}

impl<'a> Tree<'a> {
    fn of(detail: &'a RunDetail) -> Self {
        let definition: &Definition = &detail.definition;
        let blocks = Blocks::of(definition);
        let mut rows_in: HashMap<&str, Vec<&StepView>> = HashMap::new();
        let mut in_rounds: HashMap<Rounds<'_>, Vec<&StepView>> = HashMap::new();
        let mut numbers: HashMap<Rounds<'_>, BTreeSet<u32>> = HashMap::new();
        for row in &detail.steps {
            let parent = row.parent.as_deref().unwrap_or_default();
            rows_in.entry(parent).or_default().push(row);
            let of_round = in_rounds.entry((parent, row.rounds.clone()));
            of_round.or_default().push(row);
            let is_loop = blocks.get(parent).is_some_and(|block| block.kind == WHILE);
            if let (true, Some((number, around))) = (is_loop, row.rounds.split_last()) {
                numbers
                    .entry((parent, around.to_vec()))
                    .or_default()
                    .insert(*number);
            }
        }
        let failed = detail.steps.iter();
        let failed = failed.filter(|row| row.status == StepStatus::Failed);
        let data = detail.data.as_ref();
        let handled = data.map(run_notes).unwrap_or_default().handled_failures;
        let handled = handled.into_iter().map(|failure| {
            let errors = serde_json::from_value(failure["errors"].clone());
            let by = failure["step"].as_str().map(str::to_owned);
            (by, errors.unwrap_or_default())
        });
        Self {
            blocks,
            rows_in,
            in_rounds,
            numbers,
            failed: failed.map(|row| row.step.as_str()).collect(),
            branches: playbook_branches(definition),
            decisions: Decisions::of(detail),
            failures: handled.chain([(None, detail.errors.clone())]).collect(),
        }
    }

    fn rows(&self, block: &Block, row: &StepView) -> Vec<StepView> {
        if block.kind == WHILE {
            return self.rounds(block, row);
        }
        let branches = self.branches.get(&block.name).into_iter().flatten();
        let view = |branch: &String| {
            let inside = self.inside(row, |found| found.branch.as_deref() == Some(branch));
            let (status, reason) = if block.kind == PARALLEL {
                self.of_parallel(row, &inside)
            } else {
                self.of_choice(row, branch, &inside)
            };
            self.view(row, BRANCH, branch, &inside, (status, reason))
        };
        branches.map(view).collect()
    }

    fn view(
        &self,
        row: &StepView,
        kind: &str,
        branch: &str,
        inside: &[&StepView],
        (status, reason): (StepStatus, Option<String>),
    ) -> StepView {
        let is_over = !matches!(
            status,
            StepStatus::Pending | StepStatus::Running | StepStatus::Waiting
        );
        let began = inside.iter().filter_map(|row| row.started_at).min();
        let ended = inside.iter().filter_map(|row| row.ended_at).max();
        let error = || self.errors_of(inside).first().copied().cloned();
        StepView {
            step: format!("{}/{branch}", row.step),
            kind: kind.to_owned(),
            parent: Some(row.step.clone()),
            branch: Some(branch.to_owned()),
            join_policy: self
                .blocks
                .get(&row.step)
                .and_then(|block| block.join_policy.clone()),
            activation: None,
            attempt: 0,
            status,
            reason,
            started_at: began,
            ended_at: ended.filter(|_| is_over),
            input: None,
            output: None,
            error: (status == StepStatus::Failed).then(error).flatten(),
            ..row.clone()
        }
    }

    /// All branches of a parallel begin with it and are waited for.
    fn of_parallel(&self, row: &StepView, inside: &[&StepView]) -> (StepStatus, Option<String>) {
        // One that is an end alone is done as soon as any has begun.
        let began = match inside {
            [] => row.started_at.is_some(),
            inside => inside.iter().any(|row| row.activation.is_some()),
        };
        match row.status {
            StepStatus::Pending | StepStatus::Skipped => (row.status, row.reason.clone()),
            StepStatus::Cancelled if !began => (row.status, row.reason.clone()),
            status => (self.of_begun(status, inside), None),
        }
    }

    /// How something stands that was begun in a logic step of this status.
    fn of_begun(&self, around: StepStatus, inside: &[&StepView]) -> StepStatus {
        match around {
            StepStatus::Failed if !self.errors_of(inside).is_empty() => StepStatus::Failed,
            // The logic step has failed by itself, such as at its limit.
            StepStatus::Failed if inside.iter().any(|row| row.status == StepStatus::Cancelled) => {
                StepStatus::Cancelled
            }
            StepStatus::Succeeded | StepStatus::Failed => StepStatus::Succeeded,
            StepStatus::Pending
            | StepStatus::Skipped
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Cancelled => Self::worst(inside),
        }
    }

    /// At most one branch of a choice runs.
    fn of_choice(
        &self,
        row: &StepView,
        branch: &str,
        inside: &[&StepView],
    ) -> (StepStatus, Option<String>) {
        let began = inside.iter().any(|row| row.activation.is_some());
        let taken = self.decisions.taken(row);
        let is_taken = match taken {
            // Where the rounds of a loop have one row, the last choice is not the only one.
            Some(taken) => taken == branch || (began && !self.is_told_apart(row)),
            None => began,
        };
        let not_taken = (StepStatus::Skipped, Some(NOT_TAKEN.to_owned()));
        match row.status {
            StepStatus::Pending | StepStatus::Skipped => (row.status, row.reason.clone()),
            StepStatus::Cancelled if !began => (row.status, row.reason.clone()),
            _ if !is_taken => match row.status {
                // It may not have been decided yet.
                StepStatus::Running | StepStatus::Waiting if taken.is_none() => {
                    let first = inside.first().map_or(StepStatus::Pending, |row| row.status);
                    let reason = inside.first().and_then(|row| row.reason.clone());
                    (first, reason)
                }
                _ => not_taken,
            },
            status => (self.of_begun(status, inside), None),
        }
    }

    /// The rounds of a loop follow each other: all but the last one were done.
    fn rounds(&self, block: &Block, row: &StepView) -> Vec<StepView> {
        let numbers = self.numbers.get(&(row.step.as_str(), row.rounds.clone()));
        let mut numbers = numbers.cloned().unwrap_or_default();
        // One without any step leaves no row.
        numbers.extend(1..=self.decisions.rounds(row));
        let Some(last) = numbers.last().copied() else {
            return Vec::new();
        };
        let view = |number: u32| {
            let branch = format!("iteration-{number}");
            let rounds = [&row.rounds[..], &[number]].concat();
            let of_round = self.in_rounds.get(&(block.name.as_str(), rounds.clone()));
            let of_round = self.with_below(of_round.cloned().unwrap_or_default());
            let status = if number < last {
                StepStatus::Succeeded
            } else {
                self.of_begun(row.status, &of_round)
            };
            let view = self.view(row, ITERATION, &branch, &of_round, (status, None));
            StepView {
                input: self.decisions.read_for(row, number),
                rounds,
                ..view
            }
        };
        numbers.into_iter().map(view).collect()
    }

    /// The rows in the logic step of a row that stand right in it where `of` holds, and those below.
    fn inside(&self, row: &StepView, of: impl Fn(&StepView) -> bool) -> Vec<&'a StepView> {
        let right_in = self.right_in(row).into_iter();
        self.with_below(right_in.filter(|row| of(row)).collect())
    }

    fn with_below(&self, mut found: Vec<&'a StepView>) -> Vec<&'a StepView> {
        let mut at = 0;
        while let Some(row) = found.get(at).copied() {
            at += 1;
            // The calls of an action have its name before theirs, so no row is in itself.
            if self.blocks.has(row) {
                found.extend(self.right_in(row));
            }
        }
        found
    }

    /// The rows right in the block of a row, of the rounds that it is of.
    fn right_in(&self, row: &StepView) -> Vec<&'a StepView> {
        let step = row.step.as_str();
        if !self.is_told_apart(row) {
            return self.rows_in.get(step).cloned().unwrap_or_default();
        }
        let own = |rounds: Vec<u32>| self.in_rounds.get(&(step, rounds)).into_iter().flatten();
        let numbers = self.numbers.get(&(step, row.rounds.clone()));
        let numbers = numbers.into_iter().flatten();
        let within = numbers.flat_map(|number| own([&row.rounds[..], &[*number]].concat()));
        own(row.rounds.clone()).chain(within).copied().collect()
    }

    /// Whether the rounds of the loops around a block have rows of their own.
    fn is_told_apart(&self, row: &StepView) -> bool {
        self.blocks.loops_around(&row.step) == row.rounds.len()
    }

    /// The errors that came out of a branch with these rows, handled or not.
    fn errors_of(&self, inside: &[&StepView]) -> Vec<&ErrorEntry> {
        // Where some rows of a step have failed, in this round or another one, they are meant.
        let is_meant = |row: &&&StepView| {
            row.status == StepStatus::Failed || !self.failed.contains(row.step.as_str())
        };
        let steps = inside.iter().filter(is_meant);
        let steps: HashSet<&str> = steps.map(|row| row.step.as_str()).collect();
        let is_inside = |step: &String| steps.contains(step.as_str());
        // What was handled inside did not come out.
        let came_out = self.failures.iter();
        let came_out = came_out.filter(|(by, _)| !by.as_ref().is_some_and(is_inside));
        let errors = came_out.flat_map(|(_, errors)| errors);
        errors.filter(|error| is_inside(&error.step)).collect()
    }

    /// How a branch stands of which not all is over.
    fn worst(rows: &[&StepView]) -> StepStatus {
        let any = |status: StepStatus| rows.iter().any(|row| row.status == status);
        if any(StepStatus::Cancelled) {
            StepStatus::Cancelled
        } else if any(StepStatus::Waiting) && !any(StepStatus::Running) {
            StepStatus::Waiting
        } else if rows.iter().any(|row| row.activation.is_some()) {
            let goes_on = any(StepStatus::Running) || any(StepStatus::Pending);
            // Whether somebody handles a failure is not known yet.
            if goes_on || any(StepStatus::Failed) {
                StepStatus::Running
            } else {
                StepStatus::Succeeded
            }
        } else if rows.is_empty() {
            StepStatus::Succeeded
        } else {
            StepStatus::Pending
        }
    }
}
