//! Steps of step groups that start a workflow: their type is `workflow`, whatever node does it.

use std::collections::HashSet;

use windlass::{NodeKind, RunDetail};
use windlass_dialects::Dialect;

use crate::json::dialect_of;

/// Their type in the file.
const WORKFLOW: &str = "workflow";

/// Shows what their file calls them.
pub(crate) fn settle(detail: &mut RunDetail) {
    if dialect_of(detail) != Some(Dialect::StepGroupsYaml) {
        return;
    }
    let nodes = detail.definition.nodes().iter();
    // A handler may be named as the engine names a call.
    let calls = nodes.filter(|node| matches!(node.kind, NodeKind::Call(_)));
    let calls: HashSet<&str> = calls.map(|node| node.name.as_str()).collect();
    for row in &mut detail.steps {
        if calls.contains(row.step.as_str()) {
            WORKFLOW.clone_into(&mut row.kind);
        }
    }
}
