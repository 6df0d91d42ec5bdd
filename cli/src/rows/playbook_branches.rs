//! Rows of the branches of a playbook's logic steps, and of the rounds of its loops.
//!
//! The engine has no such rows: they follow from the definition, from the rows of what stands in the
//! branches, and from what the run's data says was decided.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use windlass::{Block, Definition, ErrorEntry, RunDetail, StepStatus, StepView};
use windlass_dialects::{playbook_branches, run_notes, taken_branches};

use super::playbook::{Blocks, WHILE};

/// The kind of a branch's row.
const BRANCH: &str = "branch";

/// The kind of the row of one round of a loop.
const ITERATION: &str = "iteration";

/// The kind of a logic step of which all branches run.
const PARALLEL: &str = "parallel";

/// Why a branch has not run.
const NOT_TAKEN: &str = "not-taken";

/// Adds to a run of a playbook a row for each branch and round, behind that of the logic step.
pub(crate) fn add(detail: &mut RunDetail) {
    let tree = Tree::of(detail);
    let mut rows = Vec::with_capacity(detail.steps.len());
    for row in &detail.steps {
        rows.push(row.clone());
        match tree.blocks.get(&row.step) {
            Some(block) if tree.blocks.has(row) => rows.extend(tree.rows(block, row)),
            _ => {}
        }
    }
    detail.steps = rows;
}

/// The rows of a run by where they stand.
struct Tree<'a> {
    blocks: Blocks<'a>,
    /// The rows right in each block.
    rows_in: HashMap<&'a str, Vec<&'a StepView>>,
    /// The branches of each logic step, in the order of the file.
    branches: BTreeMap<String, Vec<String>>,
    /// The branch that each choice took last, as far as the run's data says it.
    taken: BTreeMap<String, String>,
    /// The failures of the run, and of whom: the errors of those that somebody has handled, and the step
    /// that did.
    failures: Vec<(Option<String>, Vec<ErrorEntry>)>,
}

impl<'a> Tree<'a> {
    fn of(detail: &'a RunDetail) -> Self {
        let definition: &Definition = &detail.definition;
        let mut rows_in: HashMap<&str, Vec<&StepView>> = HashMap::new();
        for row in &detail.steps {
            let parent = row.parent.as_deref().unwrap_or_default();
            rows_in.entry(parent).or_default().push(row);
        }
        let data = detail.data.as_ref();
        let handled = data.map(run_notes).unwrap_or_default().handled_failures;
        let handled = handled.into_iter().map(|failure| {
            let errors = serde_json::from_value(failure["errors"].clone());
            let by = failure["step"].as_str().map(str::to_owned);
            (by, errors.unwrap_or_default())
        });
        Self {
            blocks: Blocks::of(definition),
            rows_in,
            branches: playbook_branches(definition),
            taken: data.map_or_else(BTreeMap::new, |data| taken_branches(definition, data)),
            failures: handled.chain([(None, detail.errors.clone())]).collect(),
        }
    }

    fn rows(&self, block: &Block, row: &StepView) -> Vec<StepView> {
        if block.kind == WHILE {
            return self.rounds(block, row);
        }
        let branches = self.branches.get(&block.name).into_iter().flatten();
        let view = |branch: &String| {
            let inside = self.inside(&block.name, |found| found.branch.as_deref() == Some(branch));
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
        let taken = self.taken.get(&row.step);
        let is_taken = match taken {
            // In a loop the last choice is not the only one.
            Some(taken) => {
                taken == branch || (began && self.blocks.loop_around(&row.step).is_some())
            }
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
        let inside = self.inside(&block.name, |_| true);
        let numbers: BTreeSet<u32> = inside
            .iter()
            .filter(|found| self.blocks.loop_from(found.parent.as_deref()) == Some(&block.name))
            .filter_map(|found| found.round)
            .collect();
        let Some(last) = numbers.last().copied() else {
            return Vec::new();
        };
        let view = |number: u32| {
            let branch = format!("iteration-{number}");
            let of_round = inside.iter().filter(|found| found.round == Some(number));
            let of_round: Vec<&StepView> = of_round.copied().collect();
            let status = if number < last {
                StepStatus::Succeeded
            } else {
                self.of_begun(row.status, &of_round)
            };
            let mut view = self.view(row, ITERATION, &branch, &of_round, (status, None));
            view.round = Some(number);
            view
        };
        numbers.into_iter().map(view).collect()
    }

    /// The rows in a logic step that stand right in it where `of` holds, and those below these.
    fn inside(&self, block: &str, of: impl Fn(&StepView) -> bool) -> Vec<&'a StepView> {
        let right_in = |block: &str| self.rows_in.get(block).into_iter().flatten().copied();
        let mut found: Vec<&StepView> = right_in(block).filter(|row| of(row)).collect();
        let mut at = 0;
        while let Some(row) = found.get(at).copied() {
            at += 1;
            // The calls of an action have its name before theirs, so no row is in itself.
            if self.blocks.has(row) {
                found.extend(right_in(&row.step));
            }
        }
        found
    }

    /// The errors that came out of a branch with these rows, handled or not.
    fn errors_of(&self, inside: &[&StepView]) -> Vec<&ErrorEntry> {
        let steps: HashSet<&str> = inside.iter().map(|row| row.step.as_str()).collect();
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
