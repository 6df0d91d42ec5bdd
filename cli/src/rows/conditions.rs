//! What the conditionals of a run decided, for their rows: from the data of the run and of its
//! iterations, and where that is not there, from the branch that was taken.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use windlass::{BranchOutcome, Inspector, Instance, RunDetail, StepStatus, StepView};
use windlass_dialects::{
    Decision, Dialect, condition_expressions, decisions_of_failed, run_decisions,
};

use super::blocks::NOT_TAKEN;
use super::iterations;
use crate::failure::Failure;
use crate::json::dialect_of;

/// What the row of a conditional says of its condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Judgement {
    condition_expression: Option<String>,
    /// Missing if it was not judged, or if nothing is left of that.
    condition_result: Option<bool>,
    branch_taken: Option<&'static str>,
    /// Why it could not be judged.
    pub(crate) condition_error: Option<String>,
}

/// The conditionals of a run.
#[derive(Debug, Default)]
pub(crate) struct Conditions(HashMap<Key, Judgement>);

/// A conditional, and the iteration that it stands in.
type Key = (String, Option<Instance>);

impl Conditions {
    /// # Errors
    /// What iterations gave cannot be read.
    pub(crate) fn of(inspector: &mut Inspector, detail: &mut RunDetail) -> Result<Self, Failure> {
        if dialect_of(detail) != Some(Dialect::ParallelJson) {
            return Ok(Self::default());
        }
        let expressions = condition_expressions(&detail.definition);
        let rows = detail.steps.iter().filter(|row| is_conditional(row));
        let mut found = Self(HashMap::new());
        let mut iterations = HashSet::new();
        for row in rows {
            let judgement = Judgement {
                condition_expression: expressions.get(&row.step).cloned(),
                condition_error: row.error.as_ref().and_then(|error| {
                    (error.code == "condition-error").then(|| error.message.clone())
                }),
                ..Judgement::default()
            };
            found.0.insert((row.step.clone(), row.instance), judgement);
            iterations.extend(row.instance);
        }
        if let Some(data) = &detail.data {
            found.note(None, run_decisions(data));
        }
        let run = detail.summary.run;
        iterations::visit(inspector, run, &iterations, |iteration, outcome| {
            if let BranchOutcome::Succeeded(data) = outcome {
                found.note(Some(iteration), run_decisions(data));
            }
        })?;
        let mut judged = HashSet::new();
        for row in detail
            .steps
            .iter_mut()
            .filter(|row| row.kind == "iteration")
        {
            // It is nothing that the iteration gave to those who read its loop.
            if let Some(output) = row.output.take() {
                let decisions = decisions_of_failed(&output);
                judged.extend(decisions.keys().map(|step| (step.clone(), row.instance)));
                found.note(row.instance, decisions);
            }
        }
        tell_judged(&mut detail.steps, judged);
        found.infer(&detail.steps);
        Ok(found)
    }

    /// What the row of a step says of its condition; `None` if it is no conditional.
    pub(crate) fn at(&self, row: &StepView) -> Option<&Judgement> {
        let is_own = is_conditional(row);
        self.0
            .get(&(row.step.clone(), row.instance))
            .filter(|_| is_own)
    }

    fn note(&mut self, iteration: Option<Instance>, decisions: BTreeMap<String, Decision>) {
        for (step, decision) in decisions {
            if let Some(condition) = self.0.get_mut(&(step, iteration)) {
                condition.condition_result = Some(decision.result);
                condition.branch_taken = Some(branch(decision.result));
                condition.condition_error = decision.error;
            }
        }
    }

    /// From steps that stand in a branch and were begun.
    fn infer(&mut self, rows: &[StepView]) {
        let begun = |row: &&StepView| row.status != StepStatus::Skipped && row.started_at.is_some();
        for row in rows.iter().filter(begun) {
            let Some(parent) = row.parent.clone() else {
                continue;
            };
            let taken = match row.branch.as_deref() {
                Some("then") => true,
                Some("else") => false,
                _ => continue,
            };
            if let Some(condition) = self.0.get_mut(&(parent, row.instance))
                && condition.condition_result.is_none()
            {
                condition.condition_result = Some(taken);
                condition.branch_taken = Some(branch(taken));
            }
        }
    }
}

/// Conditionals that were judged in an iteration that failed later, and took a way without any step, are
/// done; what is in them was not taken.
fn tell_judged(rows: &mut [StepView], mut judged: HashSet<Key>) {
    let skipped = |row: &&mut StepView| row.status == StepStatus::Skipped;
    for row in rows.iter_mut().filter(skipped) {
        let inside = row.parent.clone().map(|parent| (parent, row.instance));
        if is_conditional(row) && judged.contains(&(row.step.clone(), row.instance)) {
            (row.status, row.reason) = (StepStatus::Succeeded, None);
        } else if inside.is_some_and(|inside| judged.contains(&inside)) {
            row.reason = Some(NOT_TAKEN.to_owned());
            // Blocks stand before what is in them.
            judged.insert((row.step.clone(), row.instance));
        }
    }
}

fn is_conditional(row: &StepView) -> bool {
    row.kind == "conditional"
}

fn branch(result: bool) -> &'static str {
    if result { "then" } else { "else" }
}
