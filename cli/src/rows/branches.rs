//! Rows of the branches of fork-joins and of the iterations of loops, where steps and blocks alone do
//! not tell what became of them.

use std::collections::{HashMap, HashSet};

use windlass::{BranchOutcome, Inspector, Instance, RunDetail, StepStatus, StepView};
use windlass_dialects::tell_branch_timeout;

use super::iterations;
use crate::failure::Failure;

/// Why a step is cancelled whose branch ran into its limit.
const TIMEOUT: &str = "branch-timeout";

/// Adds them behind the rows of their blocks.
///
/// # Errors
/// What iterations gave cannot be read.
pub(crate) fn add(inspector: &mut Inspector, detail: &mut RunDetail) -> Result<(), Failure> {
    let blocks = detail.definition.blocks().iter();
    let kinds: HashMap<&str, &str> = blocks
        .filter_map(|block| match block.kind.as_str() {
            "fork_join" => Some((block.name.as_str(), "branch")),
            "loop" => Some((block.name.as_str(), "iteration")),
            _ => None,
        })
        .collect();
    let mut rows = std::mem::take(&mut detail.branches);
    rows.retain(|row| kinds.contains_key(row.step.as_str()));
    for row in &mut rows {
        kinds[row.step.as_str()].clone_into(&mut row.kind);
    }
    finish(inspector, detail, &mut rows)?;
    insert(&mut detail.steps, rows);
    Ok(())
}

/// Says of branches that were too late, and of what was cancelled in them, that this is why.
pub(crate) fn tell_late(detail: &mut RunDetail) {
    let mut late = Late::default();
    for row in &mut detail.branches {
        let error = row.error.as_mut();
        if error.is_some_and(|error| tell_branch_timeout(&detail.definition, error)) {
            late.branches.insert(place(row));
        }
    }
    if !late.branches.is_empty() {
        late.tell(&mut detail.steps);
        late.tell(&mut detail.branches);
    }
}

/// The block, branch and iteration in which a row stands.
type Where = (Option<String>, Option<String>, Option<Instance>);

fn place(row: &StepView) -> Where {
    (row.parent.clone(), row.branch.clone(), row.instance)
}

/// What was cancelled because its branch was too late.
#[derive(Default)]
struct Late {
    branches: HashSet<Where>,
    /// The blocks in them, each with the iteration that it stands in.
    blocks: HashSet<(String, Option<Instance>)>,
    /// Loops that were cancelled, and whether each time for that. Rows of iterations do not say in which
    /// iteration further out their loop stands.
    loops: HashMap<String, bool>,
}

impl Late {
    /// Says of rows that were cancelled that this is why. Blocks stand before what is in them.
    fn tell(&mut self, rows: &mut [StepView]) {
        for row in rows {
            let is_late = self.holds(row);
            if is_late {
                self.blocks.insert((row.step.clone(), row.instance));
            }
            if row.status != StepStatus::Cancelled {
                continue;
            }
            if row.kind == "loop" {
                *self.loops.entry(row.step.clone()).or_insert(true) &= is_late;
            }
            if is_late {
                row.reason = Some(TIMEOUT.to_owned());
            }
        }
    }

    fn holds(&self, row: &StepView) -> bool {
        let in_loop = || row.parent.as_ref().and_then(|of| self.loops.get(of)) == Some(&true);
        let within = row.parent.clone().map(|parent| (parent, row.instance));
        let in_block = within.is_some_and(|within| self.blocks.contains(&within));
        in_block || self.branches.contains(&place(row)) || in_loop()
    }
}

/// Iterations that have succeeded without any step of theirs.
fn finish(
    inspector: &mut Inspector,
    detail: &RunDetail,
    rows: &mut [StepView],
) -> Result<(), Failure> {
    let is_open = |row: &StepView| row.kind == "iteration" && row.started_at.is_none();
    let open = rows.iter().filter(|row| is_open(row));
    let open: HashSet<_> = open.filter_map(|row| row.instance).collect();
    let mut done = HashSet::new();
    iterations::visit(
        inspector,
        detail.summary.run,
        &open,
        |iteration, outcome| {
            if matches!(outcome, BranchOutcome::Succeeded(_)) {
                done.insert(Some(iteration));
            }
        },
    )?;
    for row in rows.iter_mut().filter(|row| is_open(row)) {
        if done.contains(&row.instance) {
            (row.status, row.reason) = (StepStatus::Succeeded, None);
        }
    }
    Ok(())
}

fn insert(steps: &mut Vec<StepView>, rows: Vec<StepView>) {
    let mut by_block: HashMap<String, Vec<StepView>> = HashMap::new();
    for row in rows {
        let branch = row.branch.as_deref().unwrap_or_default();
        let named = StepView {
            step: format!("{}/{branch}", row.step),
            ..row.clone()
        };
        by_block.entry(row.step).or_default().push(named);
    }
    let mut all = Vec::with_capacity(steps.len());
    let mut before: Option<String> = None;
    for row in steps.drain(..) {
        let left = before.take().filter(|before| *before != row.step);
        all.extend(
            left.and_then(|left| by_block.remove(&left))
                .unwrap_or_default(),
        );
        before = Some(row.step.clone());
        all.push(row);
    }
    all.extend(
        before
            .and_then(|left| by_block.remove(&left))
            .unwrap_or_default(),
    );
    *steps = all;
}
