//! The branches of logic steps, for whoever shows them.

use std::collections::BTreeMap;

use windlass_workflow_model::{Arm, Branches, Definition, NodeKind, Payload};

use crate::cacao::rule::Rule;
use crate::cacao::state::State;
use crate::stored_rule::StoredRule;

/// What the name of the node that takes a branch has behind that of its step.
pub(crate) const CHOICE: &str = "/branch";

/// The names of the branches of each parallel, if and switch of a playbook, in their order: `1:action--…`,
/// `on_true`, the key of a case. Empty for other workflows.
pub fn playbook_branches(definition: &Definition) -> BTreeMap<String, Vec<String>> {
    let nodes = definition.nodes().iter();
    let found = nodes.filter_map(|node| match &node.kind {
        NodeKind::Split {
            branches: Branches::Static(branches),
            ..
        } => {
            let names = branches.iter().map(|(name, _)| name.clone());
            Some((node.name.clone(), names.collect()))
        }
        NodeKind::Choice { arms, .. } => {
            let names: Option<Vec<String>> = arms.iter().map(branch_of).collect();
            let (step, _) = node.name.rsplit_once(CHOICE)?;
            Some((step.to_owned(), names?))
        }
        _ => None,
    });
    found.collect()
}

fn branch_of(arm: &Arm) -> Option<String> {
    match Rule::named(&arm.when)? {
        Rule::Branch { branch, .. } => Some(branch),
        _ => None,
    }
}

/// The branch that each if and switch of a playbook has taken last, as far as this data of a run says it.
/// One that has taken none has another text.
pub fn taken_branches(definition: &Definition, data: &Payload) -> BTreeMap<String, String> {
    let Ok(state) = State::read(data) else {
        return BTreeMap::new();
    };
    let names = definition.functions();
    let rules = names.iter().filter_map(|(name, _)| Rule::named(name));
    let decided = rules.filter_map(|rule| match rule {
        Rule::Decide(decision) => Some((decision.at.step, decision.step)),
        Rule::Chose(question) => Some((question.at.step, question.step)),
        _ => None,
    });
    let taken = decided.filter_map(|(step, id)| Some((step, state.choice(&id)?.to_owned())));
    taken.collect()
}
