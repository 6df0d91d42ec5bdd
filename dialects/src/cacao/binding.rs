//! Which variable a name stands for at one place of a playbook, and its value in a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::cacao::condition::Values;
use crate::cacao::state::State;
use crate::cacao::template;
use crate::cacao::value::{Type, text_of};

/// A variable as it is seen from a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Binding {
    /// Where it lives; `None` is the step's own, which nobody else sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) constant: bool,
    /// What a variable of the step itself begins with.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(crate) value: Json,
}

/// All that a step can see and asks for, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Bindings(pub(crate) BTreeMap<String, Binding>);

impl Bindings {
    pub(crate) fn get(&self, name: &str) -> Option<&Binding> {
        self.0.get(name)
    }

    /// The value of a variable as JSON; null is none.
    pub(crate) fn value<'v>(&'v self, state: &'v State, name: &str) -> &'v Json {
        match self.get(name) {
            None => &Json::Null,
            Some(Binding {
                scope: Some(scope), ..
            }) => state.value(scope, name),
            Some(Binding {
                scope: None, value, ..
            }) => value,
        }
    }

    /// The text with the values of all references. A variable without value stays as it is written,
    /// and its name is put into `missing`.
    pub(crate) fn fill(&self, state: &State, text: &str, missing: &mut Vec<String>) -> String {
        template::fill(text, |name| {
            let value = text_of(self.value(state, name));
            if value.is_none() {
                missing.push(name.to_owned());
            }
            value
        })
    }

    /// The same for every text of a JSON value. Keys stay. Recursive; the reader of the file bounds
    /// the depth.
    pub(crate) fn fill_json(&self, state: &State, value: &Json, missing: &mut Vec<String>) -> Json {
        match value {
            Json::String(text) => Json::String(self.fill(state, text, missing)),
            Json::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| self.fill_json(state, item, missing));
                Json::Array(items.collect())
            }
            Json::Object(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| (key.clone(), self.fill_json(state, value, missing)));
                Json::Object(entries.collect())
            }
            other => other.clone(),
        }
    }
}

/// Bindings with the run that they are looked up in.
pub(crate) struct Seen<'s> {
    pub(crate) bindings: &'s Bindings,
    pub(crate) state: &'s State,
}

impl Values for Seen<'_> {
    fn value(&self, name: &str) -> Option<String> {
        text_of(self.bindings.value(self.state, name))
    }

    fn type_of(&self, name: &str) -> Option<Type> {
        self.bindings.get(name).map(|binding| binding.kind)
    }
}
