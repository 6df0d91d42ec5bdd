//! Documents, labels, and what the standard's schemas say of fields.

use serde_json::{Value as Json, json};
use windlass_dialects::{HandlerTypes, Mode, import};

use super::{changed, check, said};
use crate::play::{codes_of, options};

#[test]
fn a_small_playbook_is_fine() {
    check("small", &changed(|_| {}), "", "");
}

#[test]
fn documents() {
    check(
        "no JSON",
        "{\"workflow_start\": }",
        "document-syntax",
        "document-syntax",
    );
    check(
        "container",
        r#"{"type": "bundle", "spec_version": "cacao-2.0", "workflow_start": ""}"#,
        "not-a-playbook",
        "not-a-playbook",
    );
    check(
        "version",
        &changed(|p| p["spec_version"] = "cacao-3.0".into()),
        "version-unsupported",
        "version-unsupported",
    );
    check(
        "field",
        &changed(|p| {
            p["created_by"] = Json::Null;
        }),
        "field-missing",
        "repaired-l16",
    );
    check(
        "name",
        &changed(|p| {
            p["name"] = Json::Null;
        }),
        "field-missing",
        "field-missing",
    );
    check(
        "range",
        &changed(|p| p["priority"] = 400.into()),
        "value-invalid",
        "value-invalid",
    );
    check(
        "property",
        &changed(|p| p["playbook_extension"] = json!({})),
        "unknown-property",
        "repaired-l15",
    );
    check(
        "order",
        &changed(|p| {
            p["valid_from"] = "2025-01-01T00:00:00Z".into();
            p["valid_until"] = "2024-01-01T00:00:00Z".into();
        }),
        "timestamp-order",
        "timestamp-order",
    );
    check(
        "time",
        &changed(|p| p["created"] = "2024-01-01T00:00:00+02:00".into()),
        "value-invalid",
        "repaired-l16",
    );
    check(
        "signature",
        &changed(|p| p["signatures"] = json!([{}])),
        "signature-not-verified",
        "signature-not-verified",
    );
    let twice = changed(|_| {}).replacen(
        "\"name\": \"test\",",
        "\"name\": \"test\", \"name\": \"test\",",
        1,
    );
    check("key twice", &twice, "duplicate-key", "duplicate-key");
}

#[test]
fn curly_quotes_are_named() {
    let text = "{\n\"type\": “playbook”}";
    let imported = import(text, &{
        let mut o = options(Mode::Strict);
        o.dialect = Some(windlass_dialects::Dialect::Cacao);
        o
    });
    assert!(
        imported.diagnostics[0]
            .message
            .contains("curly quotes in line 2"),
        "{}",
        imported.diagnostics[0]
    );
}

#[test]
fn extensions_are_found_wherever_they_stand() {
    let mut refusing = options(Mode::Strict);
    refusing.cacao.refuse_features = vec!["extensions".to_owned()];
    let agent = "group--a593feae-d272-48b7-a2e3-ab5805f0765a";
    let target = "sector--a593feae-d272-48b7-a2e3-ab5805f0765a";
    let marking = "marking-statement--a593feae-d272-48b7-a2e3-ab5805f0765a";
    let extension = json!({ "extension-definition--1": { "a": 1 } });
    let all: [(Json, &str); 5] = [
        (
            json!({ "agent_definitions": { agent: { "type": "group", "name": "Team", "agent_target_extensions": extension } } }),
            agent,
        ),
        (
            json!({ "target_definitions": { target: { "type": "sector", "name": "All", "agent_target_extensions": extension } } }),
            target,
        ),
        (
            json!({ "data_marking_definitions": { marking: { "type": "marking-statement", "marking_extensions": extension } } }),
            marking,
        ),
        (
            json!({ "playbook_extensions": extension }),
            "the playbook itself",
        ),
        (
            json!({ "authentication_info_definitions": { "user-auth--1": { "type": "user-auth", "authentication_info_extensions": extension } } }),
            "user-auth--1",
        ),
    ];
    for (fields, by) in all {
        let text = changed(|p| {
            let fields = fields.as_object().unwrap().clone();
            p.as_object_mut().unwrap().extend(fields);
        });
        let found = import(&text, &refusing).diagnostics;
        assert_eq!(found.len(), 1, "{by}: {found:?}");
        assert_eq!(found[0].code, "feature-refused", "{by}");
        let used = format!("extensions is used by {by} and refused");
        assert!(found[0].message.contains(&used), "{}", found[0]);
    }
    let step = changed(|p| p["steps"]["A"]["step_extensions"] = extension.clone());
    let found = import(&step, &refusing).diagnostics;
    assert!(found[0].message.contains("is used by A and"), "{found:?}");
    let empty = changed(|p| p["steps"]["A"]["step_extensions"] = json!({}));
    assert_eq!(codes_of(&empty, &refusing), Vec::<&str>::new());
}

#[test]
fn labels_are_lists_of_texts_that_are_not_empty() {
    for key in ["labels", "playbook_types", "external_references"] {
        let empty = changed(|p| p[key] = json!([]));
        check(key, &empty, "value-invalid", "repaired-l16");
    }
    let mistyped = changed(|p| p["labels"] = json!([1]));
    check("labels", &mistyped, "value-invalid", "value-invalid");
    let fine = changed(|p| p["labels"] = json!(["a"]));
    check("labels", &fine, "", "");
    let step = changed(|p| p["steps"]["A"]["external_references"] = json!([]));
    check("of a step", &step, "value-invalid", "repaired-l16");
}

#[test]
fn messages_say_what_is_so() {
    let until = changed(|p| p["valid_until"] = "yesterday".into());
    assert_eq!(
        said(&until, Mode::Lenient),
        [
            "/valid_until: \"yesterday\" is no time, so it limits nothing; write one such as 2025-01-31T12:00:00.000Z"
        ]
    );
    let nowhere = changed(|p| {
        p["steps"]["S"]
            .as_object_mut()
            .unwrap()
            .remove("on_completion");
    });
    assert_eq!(
        said(&nowhere, Mode::Strict)[0],
        "step \"S\": no on_completion; what follows is open; add one"
    );
    let order = changed(|p| p["modified"] = "2024-01-01T00:00:00.000Z".into());
    assert_eq!(
        said(&order, Mode::Strict),
        ["/modified: before created; one of them is wrong; correct one"]
    );
    let list = changed(|p| {
        p["playbook_variables"]["__d__"] = json!({ "type": "dictionary", "value": [] });
    });
    assert_eq!(
        said(&list, Mode::Strict),
        ["variable __d__: its value is a list; it must be an object"]
    );
    let base64 = changed(|p| {
        p["steps"]["A"]["commands"] = json!([{ "type": "bash", "command_b64": "YQ=" }]);
    });
    assert_eq!(
        said(&base64, Mode::Strict),
        [
            "step \"A\" command 1: command_b64 is not whole base64: its length or its last signs are wrong; it cannot be decoded; encode again"
        ]
    );
    let branching = changed(|p| {
        p["steps"]["A"] = json!({ "type": "if-condition", "condition": "__b__:value", "on_true": "e2", "on_completion": "e1", "parallelizable": true });
    });
    let branching = said(&branching, Mode::Lenient);
    assert!(
        branching[1].contains("parallelizable on an if-condition"),
        "{branching:?}"
    );
    let unlike = changed(|p| {
        p["steps"]["A"] = json!({ "type": "if-condition", "condition": "__ip__:value = __n__:value", "on_true": "B", "on_completion": "e1" });
        p["steps"]["B"] = json!({ "on_completion": "e2" });
    });
    assert_eq!(
        said(&unlike, Mode::Strict),
        [
            "step \"A\": __ip__ is an ipv4-addr and __n__ an integer; they cannot be compared; use variables of one type"
        ]
    );
}

/// C12: one report.
#[test]
fn everything_is_told_at_once() {
    let text = changed(|p| {
        p["steps"]["A"] =
            json!({ "on_completion": "action--aaaaaaaa-0000-4000-8000-000000000000" });
        p["steps"]["B"] = json!({ "on_completion": "C" });
        p["steps"]["C"] =
            json!({ "on_completion": "B", "commands": [{ "type": "scan", "command": "x" }] });
        p["steps"]["D"] = json!({ "type": "if-condition", "condition": "[a:b = 'c']", "on_true": "e1", "on_completion": "e2" });
        p["steps"]["F"] =
            json!({ "type": "parallel", "next_steps": ["e3"], "on_completion": "e4" });
    });
    let mut known = options(Mode::Strict);
    known.handlers = HandlerTypes::Known(vec!["manual".to_owned()]);
    let found = codes_of(&text, &known);
    for code in [
        "unknown-step",
        "cycle",
        "no-handler",
        "condition-observation",
        "too-few-branches",
    ] {
        assert!(found.contains(&code), "{code} in {found:?}");
    }
    let imported = import(&text, &known);
    assert!(
        imported
            .diagnostics
            .iter()
            .all(|found| found.line.is_some() && found.column.is_some()),
        "{:#?}",
        imported.diagnostics
    );
}
