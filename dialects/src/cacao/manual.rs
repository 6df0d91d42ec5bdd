//! The tasks of a playbook that people do.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use windlass_workflow_model::{Definition, NodeKind, Payload};

use crate::cacao::rule::{Rule, as_value};
use crate::cacao::state::State;
use crate::cacao::value::Type;
use crate::stored_rule::StoredRule;

/// A step that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualTask {
    /// The step's name in the workflow, which is also the name of the event that answers it.
    pub step: String,
    /// What is asked, before values are filled in.
    pub text: String,
    /// Who is asked.
    pub owner: Option<String>,
    /// Name → type of the variables that an answer brings.
    pub out_args: BTreeMap<String, String>,
    /// The choices, if it is a question.
    pub choices: Vec<String>,
    /// Whether an answer may leave out variables.
    pub lenient: bool,
}

impl ManualTask {
    /// What is wrong with the variables of an answer, one line each.
    pub fn problems(&self, variables: &BTreeMap<String, String>) -> Vec<String> {
        let mut found = Vec::new();
        for (name, value) in variables {
            let Some(kind) = self.out_args.get(name) else {
                let known: Vec<&str> = self.out_args.keys().map(String::as_str).collect();
                let known = if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                };
                found.push(format!(
                    "{name} is not asked for by {:?} (it asks for {known}); leave it out",
                    self.step
                ));
                continue;
            };
            let kind = Type::named(kind).unwrap_or(Type::Other);
            if let Err(what) = as_value(kind, &Json::String(value.clone())) {
                found.push(format!("{name} {what}"));
            }
        }
        let is_missing = |name: &&String| !variables.contains_key(*name);
        if !self.lenient && self.choices.is_empty() {
            for name in self.out_args.keys().filter(is_missing) {
                found.push(format!(
                    "no value for {name}; later steps need it; add --var {name}=VALUE"
                ));
            }
        }
        if let [only, ..] = &self.choices[..] {
            let answer = variables.values().next();
            let said = |choice: &String| {
                answer.is_some_and(|answer| {
                    let is_condition = matches!(choice.as_str(), "true" | "false");
                    answer.eq_ignore_ascii_case(choice)
                        || (is_condition && *answer == format!("on_{choice}"))
                        // As questions were stored that named the branches.
                        || *choice == format!("on_{}", answer.to_lowercase())
                })
            };
            if !self.choices.iter().any(said) {
                found.push(format!(
                    "{:?} is a question: answer with one of {}, such as --var {}={only}",
                    self.step,
                    self.choices.join(", "),
                    crate::cacao::rule::Question::ANSWER
                ));
            }
        }
        found
    }
}

/// All steps of a playbook that can wait for a person; none for other dialects.
pub(crate) fn tasks(definition: &Definition) -> Vec<ManualTask> {
    let names = definition.functions();
    let rules: Vec<Rule> = names
        .into_iter()
        .filter_map(|(name, _)| Rule::named(name))
        .collect();
    let mut tasks: Vec<ManualTask> = rules
        .iter()
        .filter_map(|rule| match rule {
            Rule::Ask(task) => {
                let types = task.writing.out_types();
                let types = types.as_object().into_iter().flatten();
                Some(ManualTask {
                    step: task.asked.clone(),
                    text: task.text.clone(),
                    owner: task.owner.clone(),
                    out_args: types
                        .map(|(name, kind)| {
                            (name.clone(), kind.as_str().unwrap_or_default().to_owned())
                        })
                        .collect(),
                    choices: Vec::new(),
                    lenient: task.writing.lenient,
                })
            }
            _ => None,
        })
        .collect();
    for rule in rules {
        let Rule::Answer(answer) = rule else { continue };
        if answer.choices.is_empty() {
            continue;
        }
        if let Some(task) = tasks.iter_mut().find(|task| task.step == answer.asked) {
            task.choices = answer.choices;
            let variable = crate::cacao::rule::Question::ANSWER.to_owned();
            task.out_args.insert(variable, "text".to_owned());
        }
    }
    let waits = |task: &ManualTask| {
        let node = definition
            .find(&task.step)
            .map(|node| &definition.node(node).kind);
        matches!(node, Some(NodeKind::Await { .. }))
    };
    tasks.retain(waits);
    tasks
}

/// What a waiting step asks, with all values filled in: `text`, `target`, `out_args` and `owner`.
/// `None` if this branch asks nothing there.
pub fn asked(data: &Payload, step: &str) -> Option<Json> {
    State::read(data).ok()?.task(step).cloned()
}
