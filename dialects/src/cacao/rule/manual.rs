//! What a person is asked to do, and the answer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use windlass_workflow_model::{Event, Fault, Payload};

use crate::cacao::call::Writing;
use crate::cacao::state::State;

/// A task for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The node that waits for the answer.
    pub(crate) asked: String,
    /// Before substitution.
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<String>,
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(crate) target: Json,
    pub(crate) writing: Writing,
}

impl Task {
    pub(super) fn ask(&self, data: &Payload) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        let mut missing = Vec::new();
        let text = self.writing.bindings.fill(&state, &self.text, &mut missing);
        let target = self
            .writing
            .bindings
            .fill_json(&state, &self.target, &mut missing);
        self.writing.judge_missing(&mut state, missing)?;
        let task = json!({
            "text": text,
            "target": target,
            "out_args": self.writing.out_types(),
            "owner": self.owner,
        });
        state.ask(&self.asked, task);
        state.write()
    }
}

/// How an answer is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) asked: String,
    pub(crate) writing: Writing,
    /// The choices, if it is a question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) choices: Vec<String>,
}

impl Answer {
    /// An answer is `{"status": "success" | "failure", "variables": {…}, "by": …, "message": …}`.
    pub(super) fn take(&self, data: &Payload, event: &Event) -> Result<Payload, Fault> {
        let mut state = State::read(data)?;
        let at = &self.writing.at;
        let answer: Json = event.payload.decode().unwrap_or(Json::Null);
        state.answered(&self.asked);
        let by = answer["by"]
            .as_str()
            .map_or_else(String::new, |by| format!(" by {by}"));
        match answer["status"].as_str() {
            Some("success") => {}
            Some("failure") => {
                let why = answer["message"]
                    .as_str()
                    .map_or_else(String::new, |why| format!(": {why}"));
                let text =
                    format!("it was rejected{by}{why}; what follows was not run; see on_failure");
                return Err(at.fault("handler-failed", &text));
            }
            _ => {
                let text = format!(
                    "the answer is {answer}; its status must be success or failure; answer again"
                );
                return Err(at.fault("value-invalid", &text));
            }
        }
        let variables: Map<String, Json> =
            answer["variables"].as_object().cloned().unwrap_or_default();
        let mut outputs = Map::new();
        outputs.insert("variables".to_owned(), Json::Object(variables.clone()));
        if let Some(by) = answer.get("by").filter(|by| !by.is_null()) {
            outputs.insert("by".to_owned(), by.clone());
        }
        state.record(&self.asked, &Json::Object(outputs));
        if self.choices.is_empty() {
            self.writing.write(&mut state, variables, None)?;
        } else {
            // The node behind it reads this.
            state.set_pending(variables);
        }
        state.write()
    }
}
