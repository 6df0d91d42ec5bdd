//! Playbooks in short: steps by name, everything that the standard wants besides is filled in.

use serde_json::{Map, Value as Json, json};

const AGENT: &str = "group--a593feae-d272-48b7-a2e3-ab5805f0765a";

/// The text of a playbook. `short` is `{"steps": {name: fields}, …}`, with names of steps wherever
/// the standard wants ids, and whatever else the playbook has. A step without type is an action; an
/// action without commands asks a person. Names that begin with `e` and have no step are ends.
pub(crate) fn playbook(short: &Json) -> String {
    let mut steps = short["steps"].as_object().expect("steps").clone();
    for name in ends(&steps) {
        steps
            .entry(name)
            .or_insert_with(|| json!({ "type": "end" }));
    }
    for step in steps.values_mut() {
        complete(step.as_object_mut().expect("a step"));
    }
    let id = |name: &str| match steps.get(name) {
        Some(step) => step_id(step["type"].as_str().unwrap_or("action"), name),
        // Names of no step stay, so that a test can point to nothing.
        None => name.to_owned(),
    };
    let workflow: Map<String, Json> = steps
        .iter()
        .map(|(name, step)| {
            let mut step = step.clone();
            step.as_object_mut()
                .expect("a step")
                .entry("name")
                .or_insert_with(|| name.as_str().into());
            for key in [
                "on_completion",
                "on_success",
                "on_failure",
                "on_true",
                "on_false",
            ] {
                if let Some(pointer) = step.get_mut(key) {
                    *pointer = id(pointer.as_str().expect("a name")).into();
                }
            }
            for pointer in step
                .get_mut("next_steps")
                .and_then(Json::as_array_mut)
                .into_iter()
                .flatten()
            {
                *pointer = id(pointer.as_str().expect("a name")).into();
            }
            for (_, pointer) in step
                .get_mut("cases")
                .and_then(Json::as_object_mut)
                .into_iter()
                .flatten()
            {
                *pointer = id(pointer.as_str().expect("a name")).into();
            }
            (id(name), step)
        })
        .collect();
    let mut whole = json!({
        "type": "playbook",
        "spec_version": "cacao-2.0",
        "id": "playbook--2b9c1d7e-0f37-4449-a1bd-3f6564eadf7f",
        "name": "test",
        "created_by": "identity--142a7266-8c47-4223-916e-dd8c47b46afc",
        "created": "2025-01-01T00:00:00.000Z",
        "modified": "2025-01-01T00:00:00.000Z",
        "agent_definitions": { AGENT: { "type": "group", "name": "Team" } },
    });
    let fields = whole.as_object_mut().expect("an object");
    for (key, value) in short
        .as_object()
        .expect("an object")
        .iter()
        .filter(|(key, _)| *key != "steps")
    {
        let is_pointer = matches!(key.as_str(), "workflow_start" | "workflow_exception");
        let value = if is_pointer {
            id(value.as_str().expect("a name")).into()
        } else {
            value.clone()
        };
        fields.insert(key.clone(), value);
    }
    fields
        .entry("workflow_start")
        .or_insert_with(|| id("S").into());
    fields.insert("workflow".to_owned(), Json::Object(workflow));
    serde_json::to_string_pretty(&whole).expect("JSON")
}

/// The id of a step.
pub(crate) fn step_id(kind: &str, name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let digits = format!("{hash:016x}");
    format!(
        "{kind}--{}-{}-4000-8000-0000{}",
        &digits[..8],
        &digits[8..12],
        &digits[8..]
    )
}

fn ends(steps: &Map<String, Json>) -> Vec<String> {
    let text = Json::Object(steps.clone()).to_string();
    let words = text.split('"').map(str::to_owned);
    let is_end =
        |word: &String| word.starts_with('e') && word.len() < 4 && !steps.contains_key(word);
    words.filter(is_end).collect()
}

fn complete(step: &mut Map<String, Json>) {
    step.entry("type").or_insert_with(|| "action".into());
    if step["type"] == "action" && !step.contains_key("bare") {
        step.entry("agent").or_insert_with(|| AGENT.into());
        step.entry("commands")
            .or_insert_with(|| json!([{ "type": "manual", "command": "do it" }]));
    }
    step.remove("bare");
}
