//! Expressions in the place of functions: names that begin with `=`.

use windlass_expressions::{ExpressionError, PREFIX, compile};
use windlass_workflow_model::{Definition, Functions};

/// Expressions of a workflow that cannot be used, all of them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("workflow {workflow:?} has {} expression(s) that cannot be used: {}", errors.len(), list(errors))]
pub struct InvalidExpressions {
    /// The workflow's name.
    pub workflow: String,
    /// What is wrong with each.
    pub errors: Vec<ExpressionError>,
}

fn list(errors: &[ExpressionError]) -> String {
    errors.iter().fold(String::new(), |list, error| {
        list + "\n  - " + &error.to_string()
    })
}

/// Compiles what `definition` names and `functions` does not have.
pub(crate) fn complete(
    definition: &Definition,
    functions: &mut Functions,
) -> Result<(), InvalidExpressions> {
    let mut errors = Vec::new();
    for (name, role) in definition.functions() {
        let Some(text) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if functions.has(name, role) {
            continue;
        }
        match compile(text, role) {
            Ok(function) => {
                functions.insert(name, function);
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let workflow = definition.name().to_owned();
    Err(InvalidExpressions { workflow, errors })
}
