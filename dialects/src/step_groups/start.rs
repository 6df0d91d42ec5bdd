//! What whoever starts or answers a run has to know of its workflow.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use windlass_workflow_model::{Definition, NodeKind};

use crate::step_groups::rule::{self, Rule};

/// A step that waits for a person before its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The node that waits, whose name is also that of the event that answers it.
    pub wait: String,
    /// The step.
    pub step: String,
}

/// All steps of a workflow that ask for approval; none for other dialects.
pub fn approvals(definition: &Definition) -> Vec<Approval> {
    let nodes = definition.nodes().iter();
    let approvals = nodes.filter_map(|node| match &node.kind {
        NodeKind::Await {
            reply: Some(reply), ..
        } => match Rule::named(reply)? {
            Rule::Answer { step } => Some(Approval {
                wait: node.name.clone(),
                step,
            }),
            _ => None,
        },
        _ => None,
    });
    approvals.collect()
}

/// Everything that speaks against starting a run with this input; `None` for other dialects and
/// workflows that ask for nothing.
pub(crate) fn refusals(
    definition: &Definition,
    input: &Json,
) -> Option<Vec<(&'static str, String)>> {
    Some(rule::begin(definition)?.refusals(input))
}

/// The parameters that a workflow declares: name → `string`, `number`, `boolean` or `object`; none
/// for other dialects.
pub fn declared_parameters(definition: &Definition) -> BTreeMap<String, &'static str> {
    let parameters = rule::begin(definition).map(|begin| begin.parameters);
    let parameters = parameters.unwrap_or_default().into_iter();
    parameters
        .map(|parameter| (parameter.name, parameter.kind.as_str()))
        .collect()
}

/// Variables of the process that runs of this workflow may read.
pub fn process_env(definition: &Definition) -> Vec<String> {
    rule::begin(definition)
        .map(|begin| begin.process_env)
        .unwrap_or_default()
}
