//! One call of one command, as the importer of playbooks hands it over.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::kind::CommandKind;
use crate::steps::Setback;

/// Everything that a command is performed from. Fields that nothing here needs are passed over.
///
/// References to variables are filled in; those that are left (`__name__:value`) are meant for
/// secrets, or stay as they are.
#[derive(Clone, Deserialize)]
pub(crate) struct PlaybookCall {
    pub(super) run_id: String,
    pub(super) step_id: String,
    /// What people call the step.
    #[serde(default)]
    pub(super) step_name: Option<String>,
    pub(super) command: Command,
    /// Who acts: a definition of the playbook, or null.
    #[serde(default)]
    pub(super) agent: Json,
    /// What is acted on; where it is null, the agent.
    #[serde(default)]
    pub(super) target: Json,
    /// How the other side knows us, or null.
    #[serde(default)]
    pub(super) authentication: Json,
    /// Which command of its step it is, from 0.
    #[serde(default)]
    pub(super) command_index: Option<u32>,
    /// The variables that the step lists.
    #[serde(default)]
    pub(super) in_args: BTreeMap<String, Argument>,
    /// The variables that may be written, with their types.
    #[serde(default)]
    pub(super) out_args: BTreeMap<String, Json>,
    /// From 1.
    pub(super) attempt: u32,
    /// The same for every attempt of this call, and for no other call.
    pub(super) idempotency_key: String,
    /// When the attempt must be over: RFC 3339, or null for never.
    #[serde(default, deserialize_with = "timestamp")]
    pub(super) deadline: Option<jiff::Timestamp>,
}

/// The command itself.
#[derive(Clone, Deserialize)]
pub(super) struct Command {
    #[serde(rename = "type")]
    pub(super) of_type: String,
    /// With all references filled in: a script, or the start line of a request.
    #[serde(default)]
    pub(super) text: Option<String>,
    /// As the playbook has it.
    #[serde(default)]
    pub(super) raw: Option<String>,
    /// What was filled in, by name.
    #[serde(default)]
    pub(super) bindings: BTreeMap<String, Json>,
    /// Of a request; a header may have several values.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Vec<String>>,
    /// The body of a request.
    #[serde(default)]
    pub(super) content: Option<String>,
    /// Whether `content` is base64, for bytes that are no text.
    #[serde(default)]
    pub(super) content_base64: bool,
}

/// A variable that a step lists.
#[derive(Clone, Deserialize)]
pub(super) struct Argument {
    #[serde(default)]
    pub(super) value: Json,
}

impl PlaybookCall {
    /// Reads a call.
    ///
    /// # Errors
    /// It lacks something, or something is of another form.
    pub(crate) fn read(value: &Json) -> Result<Self, Setback> {
        Self::deserialize(value).map_err(|error| {
            Setback::permanent(
                "call-invalid",
                format!("the call of a command cannot be read ({error}); whoever made it is wrong"),
            )
        })
    }

    /// What does this command.
    ///
    /// # Errors
    /// Nothing here does.
    pub(crate) fn kind(&self) -> Result<CommandKind, Setback> {
        CommandKind::of(&self.command.of_type).ok_or_else(|| {
            Setback::permanent(
                "no-handler",
                format!(
                    "no handler for commands of type {:?}; register one",
                    self.command.of_type
                ),
            )
        })
    }

    /// Which command of its step it is, and what it acts on; `None` if the call does not say.
    pub(super) fn place(&self) -> Option<String> {
        let command = self.command_index?.saturating_add(1);
        Some(match self.target["name"].as_str() {
            Some(target) => format!("command {command} on {target}"),
            None => format!("command {command}"),
        })
    }

    /// The script or start line.
    pub(super) fn text(&self) -> Result<&str, Setback> {
        self.command.text.as_deref().ok_or_else(|| {
            Setback::permanent(
                "command-text",
                "the command has no text, so there is nothing to run; add one",
            )
        })
    }

    /// The values that variables had in this call: those that the step lists, and those that were
    /// filled in.
    pub(super) fn values(&self) -> BTreeMap<&str, String> {
        let listed = self
            .in_args
            .iter()
            .map(|(name, argument)| (name, &argument.value));
        let values = listed.chain(&self.command.bindings);
        values
            .filter_map(|(name, value)| Some((name.as_str(), text_of(value)?)))
            .collect()
    }
}

fn timestamp<'de, D: Deserializer<'de>>(from: D) -> Result<Option<jiff::Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}

/// The text of a value as playbooks have it; null is none.
pub(super) fn text_of(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
            Some(value.to_string())
        }
    }
}

/// Names the call and shows nothing of what is in it.
impl fmt::Debug for PlaybookCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaybookCall")
            .field("run_id", &self.run_id)
            .field("step_id", &self.step_id)
            .field("command_type", &self.command.of_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    /// The least call of a command, with what `more` says instead.
    pub(in crate::playbook) fn call(command: &Json, more: &Json) -> PlaybookCall {
        let mut value = json!({
            "run_id": "r1",
            "playbook_id": "playbook--1",
            "step_id": "action--1",
            "step_name": "Block",
            "command": command,
            "attempt": 1,
            "idempotency_key": "k1",
        });
        let more = more.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(more);
        PlaybookCall::read(&value).unwrap()
    }

    #[test]
    fn values_are_texts_and_null_is_none() {
        let command =
            json!({"type": "bash", "text": "ls", "bindings": {"__a__": "x", "__d__": {"k": 1}}});
        let more = json!({"in_args": {
            "__n__": {"type": "integer", "value": 5},
            "__none__": {"type": "string", "value": null},
        }});
        let call = call(&command, &more);
        let expected = [("__a__", "x"), ("__d__", "{\"k\":1}"), ("__n__", "5")];
        let found = call.values();
        let found: Vec<_> = found.iter().map(|(name, v)| (*name, v.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_of_a_call_is_shown_and_a_wrong_one_is_refused() {
        let command = json!({"type": "ssh", "text": "hunter2"});
        let call = call(
            &command,
            &json!({"authentication": {"password": "hunter2"}}),
        );
        assert!(!format!("{call:?}").contains("hunter2"));
        let refused = PlaybookCall::read(&json!({"run_id": "r"})).unwrap_err();
        assert!(matches!(
            refused,
            Setback::Failed {
                code: "call-invalid",
                permanent: true,
                ..
            }
        ));
        let kind = super::tests::call(&json!({"type": "yara"}), &json!({})).kind();
        assert!(matches!(
            kind,
            Err(Setback::Failed {
                code: "no-handler",
                ..
            })
        ));
    }
}
