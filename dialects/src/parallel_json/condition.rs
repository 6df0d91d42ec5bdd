//! What a conditional does in a run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use windlass_workflow_model::{Definition, Fault, Function};

use crate::parallel_json::block::Standing;
use crate::parallel_json::evaluation::holds;
use crate::parallel_json::expression::Expression;
use crate::parallel_json::run_state::RunState;

/// A conditional as runs know it.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) standing: Standing,
    pub(crate) expression: Expression,
    /// The first step of each branch, unless the branch is empty.
    pub(crate) then: Option<String>,
    pub(crate) otherwise: Option<String>,
}

impl Condition {
    /// Decides and writes the decision into the data.
    pub(crate) fn decide(self) -> Function {
        Function::Compute(Arc::new(move |data| {
            let mut state = RunState::read(data)?;
            let judged = holds(&state, &self.expression);
            let (result, error) = match judged {
                Ok(result) => (result, None),
                Err(why) if state.options().strict_conditions => {
                    let text = format!("{why}; with strict_conditions the step fails");
                    return Err(Fault::new("condition-error", text).permanent().at(
                        &self.standing.id,
                        self.standing.parent(),
                        self.standing.branch(),
                    ));
                }
                Err(why) => (false, Some(why)),
            };
            let branch = if result { &self.then } else { &self.otherwise };
            state.set_decision(
                &self.standing.id,
                result,
                branch.as_deref(),
                error.as_deref(),
            );
            state.write()
        }))
    }
}

/// The conditions of a workflow's conditionals as its file has them, by step.
pub fn condition_expressions(definition: &Definition) -> BTreeMap<String, String> {
    let text = definition
        .source()
        .map_or("", |source| source.text.as_str());
    // It was read when it was imported; what is no JSON has no conditions.
    let document: Json = serde_json::from_str(text).unwrap_or_default();
    let steps = document["steps"].as_object().into_iter().flatten();
    let conditions = steps.filter_map(|(id, step)| {
        let expression = step["condition"]["expression"].as_str()?;
        Some((id.clone(), expression.to_owned()))
    });
    conditions.collect()
}

/// Whether the conditional `id` has decided for its first branch.
pub(crate) fn is_then(id: String) -> Function {
    Function::Predicate(Arc::new(move |data| {
        let state = RunState::read(data)?;
        let output = state.output(&id);
        Ok(output.is_some_and(|output| output["condition_result"] == true))
    }))
}
