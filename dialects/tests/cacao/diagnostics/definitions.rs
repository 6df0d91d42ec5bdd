//! Agents, targets, variables, commands and their handlers.

use serde_json::{Value as Json, json};
use windlass_dialects::{HandlerTypes, Mode, import};

use super::{changed, check};
use crate::play::{accepted, options};

#[test]
fn definitions() {
    let action = |fields: Json| {
        changed(|p| {
            for (name, field) in fields.as_object().unwrap() {
                p["steps"]["A"][name] = field.clone();
            }
        })
    };
    check(
        "agent",
        &action(json!({ "agent": "x--1" })),
        "unknown-agent",
        "unknown-agent",
    );
    check(
        "no agent",
        &action(json!({ "bare": 1, "commands": [{ "type": "manual", "command": "x" }] })),
        "field-missing",
        "repaired-l8",
    );
    check(
        "target",
        &action(json!({ "targets": ["ssh--9c"] })),
        "unknown-target",
        "unknown-target",
    );
    check(
        "in",
        &action(json!({ "in_args": ["__gone__"] })),
        "unknown-variable",
        "unknown-variable",
    );
    check(
        "text",
        &action(json!({ "commands": [{ "type": "bash", "command": "__gone__:value" }] })),
        "unknown-variable",
        "repaired-l17",
    );
    check(
        "commands",
        &action(json!({ "commands": [] })),
        "commands-missing",
        "repaired-l7",
    );
    check(
        "text missing",
        &action(json!({ "commands": [{ "type": "bash" }] })),
        "command-text",
        "repaired-l7",
    );
    check(
        "both texts",
        &action(json!({ "commands": [{ "type": "bash", "command": "a", "command_b64": "YQ==" }] })),
        "command-text",
        "command-text",
    );
    check(
        "base64",
        &action(json!({ "commands": [{ "type": "sigma", "command_b64": "YQ*=" }] })),
        "base64-invalid",
        "base64-invalid",
    );
    check(
        "start line",
        &action(json!({ "commands": [{ "type": "http-api", "command": "create ticket" }] })),
        "start-line-invalid",
        "repaired-l18",
    );
    check(
        "openc2",
        &action(json!({ "commands": [{ "type": "openc2-http", "command": "POST / HTTP/1.1" }] })),
        "command-text",
        "command-text",
    );
    let variable = |name: &str, field: Json| {
        let name = name.to_owned();
        changed(move |p| p["playbook_variables"][&name] = field.clone())
    };
    check(
        "name",
        &variable("__a.b__", json!({ "type": "string" })),
        "variable-name-invalid",
        "repaired-l11",
    );
    check(
        "bad name",
        &variable("ab", json!({ "type": "string" })),
        "variable-name-invalid",
        "variable-name-invalid",
    );
    check(
        "value",
        &variable("__m__", json!({ "type": "integer", "value": "many" })),
        "variable-type",
        "variable-type",
    );
    check(
        "number",
        &variable("__m__", json!({ "type": "integer", "value": 3 })),
        "variable-type",
        "repaired-l12",
    );
    check(
        "hidden",
        &changed(|p| {
            p["steps"]["A"]["step_variables"] =
                json!({ "__s__": { "type": "string", "value": "x" } });
        }),
        "variable-shadowed",
        "variable-shadowed",
    );
    check(
        "moved",
        &changed(|p| {
            p["steps"]["A"]["step_variables"] = json!({ "__new__": { "type": "string" } });
            p["steps"]["A"]["out_args"] = json!(["__new__"]);
        }),
        "",
        "repaired-l13",
    );
    let mut known = options(Mode::Strict);
    known.handlers = HandlerTypes::Known(vec!["manual".to_owned(), "ssh".to_owned()]);
    let text = action(json!({ "commands": [{ "type": "yara", "command_b64": "YQ==" }] }));
    let found = import(&text, &known).diagnostics;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0]
            .message
            .contains("no handler for type yara (registered: manual, manual, ssh)")
            || found[0].message.contains("(registered: manual, ssh)"),
        "{}",
        found[0]
    );
}

#[test]
fn handlers_may_be_narrowed_to_an_agent() {
    for name in [
        "manual@group:Team",
        "manual@group",
        "manual@group--a593feae-d272-48b7-a2e3-ab5805f0765a",
        "manual",
    ] {
        let mut known = options(Mode::Strict);
        known.handlers = HandlerTypes::Known(vec![name.replace("manual", "bash")]);
        let text =
            changed(|p| p["steps"]["A"]["commands"] = json!([{ "type": "bash", "command": "x" }]));
        let imported = accepted(&text, &known);
        assert_eq!(imported.handlers_needed, [name.replace("manual", "bash")]);
    }
}

#[test]
fn what_openc2_sends_is_base64() {
    let command = |fields: Json| {
        changed(|p| {
            p["steps"]["A"]["commands"] = json!([fields.clone()]);
        })
    };
    check(
        "plain",
        &command(json!({ "type": "openc2-http", "command": "POST / HTTP/1.1", "content": "{}" })),
        "command-text",
        "command-text",
    );
    check(
        "base64",
        &command(
            json!({ "type": "openc2-http", "command": "POST / HTTP/1.1", "content_b64": "e30=" }),
        ),
        "",
        "",
    );
}

/// A property that has no effect has none.
#[test]
fn a_command_in_base64_alone_has_no_plain_text() {
    let text =
        changed(|p| p["steps"]["A"]["commands"] = json!([{ "type": "yara", "command": "rule" }]));
    check(
        "yara",
        &text,
        "command-text unknown-property",
        "repaired-l15 repaired-l7",
    );
}

/// Whoever copies the example copies how it uses values.
#[test]
fn the_example_puts_no_value_into_its_scripts() {
    let text = include_str!("../../../../examples/isolate-host.json");
    accepted(text, &options(Mode::Strict));
    let example: Json = serde_json::from_str(text).unwrap();
    let mut used = 0;
    for step in example["workflow"].as_object().unwrap().values() {
        let in_args = step["in_args"].as_array();
        for command in step["commands"].as_array().into_iter().flatten() {
            let script = command["command"].as_str().unwrap();
            assert!(!script.contains(":value"), "{script}");
            for name in ["__host__", "__kind__"] {
                if script.contains(&format!("${name}")) {
                    used += 1;
                    assert!(in_args.unwrap().contains(&name.into()), "{script}");
                }
            }
        }
    }
    assert_eq!(used, 4, "names in scripts");
}
