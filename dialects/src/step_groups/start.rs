//! What whoever starts or answers a run has to know of its workflow.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use windlass_workflow_model::{Definition, NodeKind};

use crate::cacao::ManualTask;
use crate::dialect::Dialect;
use crate::step_groups::begin::wrong_input;
use crate::step_groups::rule::{self, Rule};
use crate::stored_rule::StoredRule;

/// All steps that ask for approval; none for other dialects.
pub(crate) fn tasks(definition: &Definition) -> Vec<ManualTask> {
    let nodes = definition.nodes().iter();
    let asks = nodes.filter_map(|node| match &node.kind {
        NodeKind::Await {
            reply: Some(reply), ..
        } => match Rule::named(reply)? {
            Rule::Answer { step } => Some(ManualTask {
                step: node.name.clone(),
                text: format!("may step {step:?} run?"),
                owner: None,
                out_args: BTreeMap::new(),
                choices: Vec::new(),
                lenient: false,
            }),
            _ => None,
        },
        _ => None,
    });
    asks.collect()
}

/// Everything that speaks against starting a run with this input; empty for other dialects.
pub(crate) fn refusals(definition: &Definition, input: &Json) -> Vec<(&'static str, String)> {
    let begin = rule::begin(definition);
    let source = definition.source();
    let is_ours = || source.is_some_and(|of| of.dialect == Dialect::StepGroupsYaml.as_str());
    match begin {
        Some(begin) => begin.refusals(input),
        None if is_ours() => wrong_input(definition.name(), input),
        None => Vec::new(),
    }
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
