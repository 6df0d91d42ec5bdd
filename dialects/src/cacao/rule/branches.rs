//! Scopes of variables, and the branches of a parallel where they come together.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use windlass_workflow_model::{Arrivals, BranchOutcome, Fault, Function, Payload};

use crate::cacao::rule::Standing;
use crate::cacao::state::{Failure, State};
use crate::cacao::value::text_of;
use crate::diagnostic::quoted;

/// The variables that a logic step declares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entered {
    pub(crate) scope: String,
    pub(crate) variables: Map<String, Json>,
}

impl Entered {
    pub(super) fn enter(&self, data: &Payload) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        state.enter(&self.scope, self.variables.clone());
        state.write()
    }
}

pub(super) fn leave(scope: String) -> Function {
    Function::Compute(Arc::new(move |data| {
        let mut state = State::read(data)?;
        state.leave(&scope);
        state.write()
    }))
}

pub(super) fn arrive(parallel: String) -> Function {
    Function::Compute(Arc::new(move |data| {
        let mut state = State::read(data)?;
        state.arrive(&parallel);
        state.write()
    }))
}

/// Asked once, behind the join.
pub(super) fn has_arrived(parallel: String) -> Function {
    Function::Predicate(Arc::new(move |data| {
        Ok(State::read(data)?.has_arrived(&parallel))
    }))
}

/// How the branches of a parallel come together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Merging {
    pub(crate) at: Standing,
    /// The parallel's id.
    pub(crate) step: String,
    pub(crate) lenient: bool,
    /// Whether somebody in the run takes its failure; else the parallel fails with it.
    pub(crate) hands_over: bool,
}

/// What branches left in a variable: which one, from 1, and the value.
type Changes = BTreeMap<(String, String), Vec<(u32, Json)>>;

impl Merging {
    /// Changes of the branches that succeeded are merged in their order, whatever became of the
    /// others.
    pub(super) fn merge(&self, before: &Payload, arrivals: Arrivals<'_>) -> Result<Payload, Fault> {
        let mut state = State::read(before)?;
        state.forget_arrivals(&self.step);
        let snapshot = state.clone();
        let (mut changes, mut failed) = (Changes::new(), Vec::new());
        for arrival in arrivals {
            match &arrival.outcome {
                BranchOutcome::Succeeded(data) => {
                    let branch = State::read(data)?;
                    note_changes(&snapshot, &branch, arrival.index + 1, &mut changes);
                    state.take_steps(&branch);
                    state.take_choices(&branch);
                    state.take_notes(&branch, snapshot.notes());
                    if branch.has_arrived(&self.step) {
                        state.arrive(&self.step);
                    }
                }
                BranchOutcome::Failed(fault) => failed.push(fault.clone()),
                BranchOutcome::Cancelled(_) => {}
            }
        }
        let conflicts = self.write(&mut state, changes);
        let failure = match (failed.is_empty(), conflicts) {
            (false, _) => Fault::join(failed),
            (true, Some(conflict)) => conflict,
            (true, None) => return state.write(),
        };
        if !self.hands_over {
            return Err(failure);
        }
        let own = failure
            .errors
            .iter()
            .all(|error| error.step == self.at.step);
        state.fail(&Failure {
            errors: failure.errors,
            own,
            id: Some(self.step.clone()),
        });
        state.write()
    }

    /// Writes the changes; in strict mode those that contradict each other are a fault.
    fn write(&self, state: &mut State, changes: Changes) -> Option<Fault> {
        let mut conflicts = Vec::new();
        for ((scope, name), values) in changes {
            let Some((last, value)) = values.last().cloned() else {
                continue;
            };
            if let Some((first, other)) = values.iter().find(|(_, other)| *other != value) {
                let shown = |value: &Json| {
                    text_of(value).map_or_else(|| "nothing".to_owned(), |text| quoted(&text))
                };
                let what = format!(
                    "branches {first} and {last} left {name} as {} and {}; chance would decide; write different variables",
                    shown(other),
                    shown(&value)
                );
                if self.lenient {
                    state.warn(format!("variable-conflict: {}: {what}", self.at.step));
                } else {
                    conflicts.push(self.at.fault("variable-conflict", &what));
                    continue;
                }
            }
            state.set_value(&scope, &name, value);
        }
        (!conflicts.is_empty()).then(|| Fault::join(conflicts))
    }
}

fn note_changes(before: &State, branch: &State, number: u32, changes: &mut Changes) {
    for (scope, name, value) in branch.variables() {
        // Scopes of steps inside the branch end with it.
        let known = before
            .variables()
            .any(|(of, other, _)| of == scope && other == name);
        if known && before.value(scope, name) != value {
            let key = (scope.to_owned(), name.to_owned());
            changes
                .entry(key)
                .or_default()
                .push((number, value.clone()));
        }
    }
}
