//! What a call read of its playbook's variables, for people to see.

use serde_json::{Map, Value as Json, json};

use super::call::PlaybookCall;
use super::credentials::Credentials;
use super::equipment::Equipment;

/// The values that variables had in a call, by name, without secrets; only the names where its
/// credentials cannot be told apart from them.
pub(crate) fn variables_read(input: &Json, equipment: &Equipment) -> Json {
    let Ok(call) = PlaybookCall::read(input) else {
        return json!({ "variables": {} });
    };
    let credentials = Credentials::read(&call.authentication, &equipment.secrets);
    let hide = credentials.ok().map(|credentials| {
        let more = credentials.as_ref().map(Credentials::to_be_hidden);
        let more = more.iter().flatten().map(String::as_str);
        equipment.secrets.masks(more)
    });
    let shown = |value: String| match &hide {
        Some(masks) => masks.hide(&value).into_owned().into(),
        None => Json::Null,
    };
    let values = call.values().into_iter();
    let values: Map<String, Json> = values
        .map(|(name, value)| (name.to_owned(), shown(value)))
        .collect();
    json!({ "variables": values })
}
