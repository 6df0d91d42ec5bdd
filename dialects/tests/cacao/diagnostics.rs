//! What is wrong with playbooks, by code: strict refuses, lenient repairs what its table lists.

use serde_json::{Value as Json, json};
use windlass_dialects::{HandlerTypes, Mode, PlaybookFile, import, start_refusals};

use crate::play::{accepted, codes_of, options};
use crate::short::playbook;

fn small() -> Json {
    json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "0" }, "__s__": { "type": "string" }, "__b__": { "type": "bool" }, "__ip__": { "type": "ipv4-addr" } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "on_completion": "e1" },
        },
    })
}

fn changed(change: impl Fn(&mut Json)) -> String {
    let mut short = small();
    change(&mut short);
    playbook(&short)
}

/// The codes in strict and in lenient mode.
fn codes(text: &str) -> (String, String) {
    let mut all = options(Mode::Strict);
    all.cacao.parallelizable = Some(true);
    let strict = codes_of(text, &all).join(" ");
    (strict, codes_of(text, &options(Mode::Lenient)).join(" "))
}

fn check(what: &str, text: &str, strict: &str, lenient: &str) {
    let found = codes(text);
    let shown: Vec<_> = import(text, &options(Mode::Strict))
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        (strict.to_owned(), lenient.to_owned()),
        "{what}: {shown:#?}"
    );
}

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
fn flows() {
    let with = |steps: Json| {
        changed(|p| {
            for (name, step) in steps.as_object().unwrap() {
                p["steps"][name] = step.clone();
            }
        })
    };
    check(
        "start",
        &changed(|p| p["workflow_start"] = "A".into()),
        "start-wrong-type unreachable-step",
        "repaired-l10 unreachable-step",
    );
    check(
        "nowhere",
        &with(json!({ "A": { "on_completion": "end--aaaaaaaa-0000-4000-8000-000000000000" } })),
        "unknown-step workflow-incomplete",
        "repaired-l1 unknown-step",
    );
    check(
        "type",
        &with(json!({ "A": { "type": "single", "on_completion": "e1" } })),
        "type-unknown",
        "type-unknown",
    );
    check(
        "no way on",
        &with(json!({ "B": { "on_completion": "e1" }, "A": {} })),
        "next-pointer-missing unreachable-step unreachable-step",
        "repaired-l1 unreachable-step unreachable-step",
    );
    check(
        "both",
        &with(json!({ "A": { "on_completion": "e1", "on_failure": "e2" } })),
        "pointer-conflict",
        "repaired-l14",
    );
    check(
        "both ways",
        &with(json!({ "A": { "on_completion": "e1", "on_success": "e2" } })),
        "pointer-conflict unreachable-step",
        "pointer-conflict unreachable-step",
    );
    check(
        "ring",
        &with(
            json!({ "A": { "on_completion": "B" }, "B": { "on_success": "e1", "on_failure": "A" } }),
        ),
        "cycle",
        "cycle",
    );
    check(
        "one branch",
        &with(
            json!({ "A": { "type": "parallel", "next_steps": ["B"], "on_completion": "e1" }, "B": { "on_completion": "e2" } }),
        ),
        "too-few-branches",
        "too-few-branches",
    );
    check(
        "zero",
        &with(json!({ "A": { "timeout": 0, "on_completion": "e1" } })),
        "timeout-zero",
        "timeout-zero",
    );
    let shared = with(
        json!({ "A": { "type": "parallel", "next_steps": ["B", "C"], "on_completion": "e1" }, "B": { "on_completion": "e2" }, "C": { "on_completion": "e2" } }),
    );
    check("shared end", &shared, "branch-end-shared", "repaired-l2");
    let copied = with(
        json!({ "A": { "type": "parallel", "next_steps": ["B", "C"], "on_completion": "e1" }, "B": { "on_completion": "D" }, "C": { "on_completion": "D" }, "D": { "on_completion": "e2" } }),
    );
    check(
        "shared step",
        &copied,
        "branch-end-shared",
        "repaired-l2 shared-step-copied",
    );
    let back = with(
        json!({ "A": { "type": "while-condition", "condition": "__n__:value < 1", "on_true": "B", "on_completion": "e1" }, "B": { "on_completion": "A" } }),
    );
    check("back", &back, "cycle", "repaired-l3");
    let uuid = changed(|p| p["steps"]["A"]["on_completion"] = "e1".into()).replace(
        "\"on_completion\": \"action--",
        "\"on_completion\": \"step--",
    );
    check(
        "by uuid",
        &uuid,
        "unknown-step unreachable-step unreachable-step",
        "repaired-l9",
    );
}

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
fn conditions() {
    let condition = |text: &str| {
        let text = text.to_owned();
        changed(move |p| {
            p["steps"]["A"] = json!({ "type": "if-condition", "on_true": "B", "on_completion": "e1", "condition": text });
            p["steps"]["B"] = json!({ "on_completion": "e2" });
        })
    };
    check("empty", &condition(""), "condition-missing", "repaired-l4");
    check(
        "syntax",
        &condition("__s__:value = "),
        "condition-syntax",
        "condition-syntax",
    );
    check(
        "bare word",
        &condition("__s__:value = yes"),
        "condition-syntax",
        "repaired-l6",
    );
    check(
        "unfinished",
        &condition("__b__.value == true"),
        "condition-syntax",
        "repaired-l5",
    );
    check(
        "no bool",
        &condition("__s__:value"),
        "condition-not-bool",
        "condition-not-bool",
    );
    check(
        "order",
        &condition("__ip__:value < 'a'"),
        "condition-type",
        "condition-type",
    );
    check(
        "in network",
        &condition("__ip__:value IN '10.0.0.0/8'"),
        "condition-type",
        "repaired-l19",
    );
    check(
        "observation",
        &condition("[file:name = 'x']"),
        "condition-observation",
        "condition-observation",
    );
    check(
        "unknown",
        &condition("__gone__:value = 'x'"),
        "unknown-variable",
        "unknown-variable",
    );
}

#[test]
fn policies() {
    let parallel = |p: &mut Json| {
        p["steps"]["A"] =
            json!({ "type": "parallel", "next_steps": ["B", "C"], "on_completion": "e1" });
        p["steps"]["B"] = json!({ "on_completion": "e2" });
        p["steps"]["C"] = json!({ "on_completion": "e3" });
    };
    let declared = changed(|p| {
        parallel(p);
        p["playbook_processing_summary"] = json!({ "parallel_processing": false });
    });
    let found = import(&declared, &options(Mode::Strict));
    assert_eq!(
        (found.diagnostics[0].code, found.ok()),
        ("summary-mismatch", false)
    );
    assert!(
        found.diagnostics[0]
            .message
            .ends_with("false, but \"A\" has it; consumers would be misled; correct it"),
        "{}",
        found.diagnostics[0]
    );
    let lenient = import(&declared, &options(Mode::Lenient));
    assert_eq!(
        (lenient.diagnostics[0].code, lenient.ok()),
        ("summary-mismatch", true)
    );

    let mut refusing = options(Mode::Strict);
    refusing.cacao.refuse_features = vec!["parallel_processing".to_owned()];
    let text = changed(parallel);
    assert_eq!(codes_of(&text, &refusing), ["feature-refused"]);
    assert_eq!(codes_of(&changed(|_| {}), &refusing), Vec::<&str>::new());
    refusing.cacao.parallelizable = Some(true);
    let chain = changed(|p| {
        p["steps"]["A"]["parallelizable"] = true.into();
        p["steps"]["A"]["on_completion"] = "B".into();
        p["steps"]["B"] = json!({ "on_completion": "e1" });
    });
    assert_eq!(codes_of(&chain, &refusing), ["feature-refused"]);
    refusing.cacao.refuse_features = vec!["paralel".to_owned()];
    assert_eq!(codes_of(&text, &refusing), ["option-invalid"]);
}

#[test]
fn chains_that_cannot_be() {
    let chain = |change: fn(&mut Json)| {
        changed(|p| {
            p["steps"]["A"] = json!({ "parallelizable": true, "on_completion": "B" });
            p["steps"]["B"] = json!({ "on_completion": "e1" });
            change(p);
        })
    };
    check("fine", &chain(|_| {}), "", "");
    let off = codes_of(&chain(|_| {}), &options(Mode::Strict));
    assert_eq!(off, ["unknown-property"]);
    check(
        "entered",
        &chain(|p| {
            p["steps"]["S"]["on_completion"] = "D".into();
            p["steps"]["D"] = json!({ "on_success": "A", "on_failure": "B" });
        }),
        "parallelizable-entered",
        "parallelizable-entered",
    );
    check(
        "branching",
        &chain(|p| {
            p["steps"]["B"] = json!({ "type": "if-condition", "condition": "__b__:value", "on_true": "C", "on_completion": "e1" });
            p["steps"]["C"] = json!({ "on_completion": "e2" });
        }),
        "parallelizable-branching",
        "parallelizable-branching",
    );
    check(
        "failures",
        &chain(|p| {
            p["steps"]["A"] =
                json!({ "parallelizable": true, "on_success": "B", "on_failure": "e3" });
        }),
        "parallelizable-failure-pointers",
        "parallelizable-failure-pointers",
    );
    check(
        "data",
        &chain(|p| {
            p["steps"]["A"]["out_args"] = json!(["__s__"]);
            p["steps"]["B"]["in_args"] = json!(["__s__"]);
        }),
        "parallelizable-data",
        "parallelizable-data",
    );
    check(
        "alone",
        &chain(|p| {
            p["steps"]["A"]["on_completion"] = "e1".into();
            p["steps"].as_object_mut().unwrap().remove("B");
        }),
        "parallelizable-alone",
        "parallelizable-alone",
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

/// C11, and what else refuses a start.
#[test]
fn a_start_is_refused_for_what_the_playbook_or_its_input_says() {
    let year = |year: i64| (year - 1970) * 31_557_600_000;
    let refusals = |change: fn(&mut Json), input: Json, ignore: bool| {
        let mut options = options(Mode::Strict);
        options.cacao.ignore_validity = ignore;
        let imported = accepted(&changed(change), &options);
        let found = start_refusals(&imported.workflows[0].definition, &input, year(2026));
        found
            .into_iter()
            .map(|refusal| refusal.code)
            .collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(refusals(|_| {}, Json::Null, false), none);
    let expired: fn(&mut Json) = |p| p["valid_until"] = "2023-12-31T00:00:00Z".into();
    assert_eq!(refusals(expired, Json::Null, false), ["playbook-expired"]);
    assert_eq!(refusals(expired, Json::Null, true), none);
    assert_eq!(
        refusals(
            |p| p["valid_from"] = "2033-12-31T00:00:00Z".into(),
            Json::Null,
            false
        ),
        ["playbook-not-yet-valid"]
    );
    let revoked: fn(&mut Json) = |p| {
        p["revoked"] = true.into();
        p["valid_until"] = "2023-12-31T00:00:00Z".into();
    };
    assert_eq!(refusals(revoked, Json::Null, false), ["playbook-revoked"]);
    let external: fn(&mut Json) =
        |p| p["playbook_variables"]["__host__"] = json!({ "type": "integer", "external": true });
    assert_eq!(refusals(external, Json::Null, false), ["external-missing"]);
    assert_eq!(refusals(external, json!({ "__host__": 5 }), false), none);
    assert_eq!(
        refusals(external, json!({ "__host__": "five" }), false),
        ["variable-type"]
    );
    assert_eq!(
        refusals(|_| {}, json!({ "__n__": "1", "__gone__": "1" }), false),
        ["variable-not-external", "variable-not-external"]
    );
    assert_eq!(refusals(|_| {}, json!([1]), false), ["data-invalid"]);
}

/// A ring stays a ring, also where the steps of a chain make it.
#[test]
fn a_ring_of_chained_steps_is_a_ring() {
    let ring = |change: fn(&mut Json)| {
        changed(|p| {
            p["steps"]["A"] = json!({ "parallelizable": true, "on_completion": "B" });
            p["steps"]["B"] = json!({ "on_completion": "A" });
            p["steps"]["C"] = json!({ "on_completion": "e1" });
            change(p);
        })
    };
    for (what, change) in [
        ("back", (|_| {}) as fn(&mut Json)),
        ("all marked", |p| {
            p["steps"]["B"]["parallelizable"] = true.into();
        }),
        ("itself", |p| {
            p["steps"]["A"]["on_completion"] = "A".into();
            p["steps"]["B"]["on_completion"] = "e2".into();
        }),
        ("through another", |p| {
            p["steps"]["B"]["on_completion"] = "C".into();
            p["steps"]["C"]["on_completion"] = "A".into();
        }),
        ("by a failure", |p| {
            p["steps"]["A"] =
                json!({ "parallelizable": true, "on_success": "B", "on_failure": "A" });
            p["steps"]["B"] = json!({ "on_success": "e2", "on_failure": "A" });
        }),
    ] {
        let (strict, lenient) = codes(&ring(change));
        for found in [strict, lenient] {
            assert!(found.starts_with("cycle"), "{what}: {found}");
            assert!(!found.contains("alone"), "{what}: {found}");
        }
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

/// What the upgrade makes to run a list in order is no choice of the playbook.
#[test]
fn lists_of_1_1_are_no_if_logic() {
    let text = changed(|p| {
        p["steps"]["A"] = json!({ "type": "switch-condition", "switch": "__s__:value", "cases": { "a": "B" }, "on_completion": "e1" });
        p["steps"]["B"] = json!({ "on_completion": "e2" });
        p["steps"]["C"] = json!({ "on_completion": "e3" });
        p["playbook_processing_summary"] = json!({ "if_logic": false, "switch_logic": true });
    });
    let mut playbook: Json = serde_json::from_str(&text).unwrap();
    playbook["spec_version"] = "1.1".into();
    let id = |name: &str| crate::short::step_id("action", name);
    let switch = crate::short::step_id("switch-condition", "A");
    playbook["workflow"][switch]["cases"]["a"] = json!([id("B"), id("C")]);
    let mut options = options(Mode::Strict);
    options.cacao.upgrade_1x = Some(true);
    options.cacao.refuse_features = vec!["if_logic".to_owned()];
    let text = playbook.to_string();
    let found = codes_of(&text, &options);
    assert_eq!(found, ["upgraded"]);
    let imported = accepted(&text, &options);
    assert!(!imported.features.contains_key("if_logic"));
}

const CHILD: &str = "playbook--767d859e-7387-4e0c-95c0-458ca369486f";

/// What is said of a playbook that calls another, which these files may hold.
fn calling(files: &[(&str, String)]) -> Vec<String> {
    let mut options = options(Mode::Strict);
    let files = files.iter().map(|(file, text)| PlaybookFile {
        file: (*file).to_owned(),
        text: text.clone(),
    });
    options.cacao.playbooks = files.collect();
    let text = changed(|p| {
        p["steps"]["A"] =
            json!({ "type": "playbook-action", "playbook_id": CHILD, "on_completion": "e1" });
    });
    let found = import(&text, &options).diagnostics;
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn a_called_playbook_that_cannot_be_read_is_told_with_its_errors() {
    let child = |name: &str| {
        changed(|p| {
            p["id"] = CHILD.into();
            p["name"] = name.into();
        })
    };
    let broken = child("one").replacen("\"type\": \"playbook\",", "\"type\": ,", 1);
    let notes = "no playbook".to_owned();
    let found = calling(&[("notes.txt", notes), ("broken.json", broken)]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("playbook-not-found"), "{found:#?}");
    assert!(
        found[0].ends_with("correct what cannot be read in broken.json, or add it"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("broken.json:"), "{found:#?}");
    assert!(found[1].contains("document-syntax"), "{found:#?}");
    assert!(calling(&[])[0].ends_with("it could not run; add it"));
}

#[test]
fn two_playbooks_of_one_id_and_version_are_ambiguous() {
    let child = |name: &str, modified: &str| {
        changed(|p| {
            p["id"] = CHILD.into();
            p["name"] = name.into();
            p["modified"] = modified.into();
        })
    };
    let (old, new) = ("2025-02-01T00:00:00.000Z", "2025-03-01T00:00:00.000Z");
    let one = ("a.json", child("one", new));
    let found = calling(&[one.clone(), ("b.json", child("two", new))]);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("playbook-ambiguous"), "{found:#?}");
    assert!(found[0].contains("a.json") && found[0].contains("b.json"));
    // An older version, or the same file twice, leaves nothing open.
    let fine = [
        one.clone(),
        ("b.json", child("two", old)),
        ("c.json", one.1.clone()),
    ];
    assert_eq!(calling(&fine), Vec::<String>::new());
}

/// Whoever copies the example copies how it uses values.
#[test]
fn the_example_puts_no_value_into_its_scripts() {
    let text = include_str!("../../../examples/isolate-host.json");
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

/// What is said of a playbook, without the place.
fn said(text: &str, mode: Mode) -> Vec<String> {
    let found = import(text, &options(mode)).diagnostics;
    let plain = |message: &str| message.split_once(' ').unwrap().1.to_owned();
    found.iter().map(|found| plain(&found.message)).collect()
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

#[test]
fn an_input_is_told_once_and_as_a_whole() {
    let external = changed(|p| {
        p["playbook_variables"]["__hot__"] = json!({ "type": "bool", "external": true });
    });
    let imported = accepted(&external, &options(Mode::Strict));
    let refusals = |input: Json| {
        let found = start_refusals(&imported.workflows[0].definition, &input, 0);
        let found = found.into_iter();
        let found = found.map(|refusal| format!("{}: {}", refusal.code, refusal.message));
        found.collect::<Vec<_>>()
    };
    let wrong = refusals(json!({ "__hot__": "maybe" }));
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].contains("variable-type"), "{wrong:?}");
    let beside = refusals(json!({ "variables": { "__hot__": "true" }, "__n__": "1" }));
    assert_eq!(beside.len(), 1, "{beside:?}");
    assert!(
        beside[0].contains("data-invalid") && beside[0].contains("\"__n__\""),
        "{beside:?}"
    );
    let none = refusals(json!({ "variables": { "__hot__": "true" } }));
    assert_eq!(none, Vec::<String>::new());
}

#[test]
fn playbooks_that_call_each_other_too_deep_are_refused() {
    let id = |number: usize| format!("playbook--767d859e-7387-4e0c-95c0-45{number:010}");
    let calls = |p: &mut Json, number: usize| {
        p["steps"]["A"] =
            json!({ "type": "playbook-action", "playbook_id": id(number), "on_completion": "e1" });
    };
    let mut options = options(Mode::Strict);
    let files = (1..=3).map(|number| PlaybookFile {
        file: format!("{number}.json"),
        text: changed(|p| {
            p["id"] = id(number).into();
            if number < 3 {
                calls(p, number + 1);
            }
        }),
    });
    options.cacao.playbooks = files.collect();
    let text = changed(|p| calls(p, 1));
    options.cacao.max_playbook_depth = 3;
    assert_eq!(codes_of(&text, &options), Vec::<&str>::new());
    options.cacao.max_playbook_depth = 2;
    let found = import(&text, &options).diagnostics;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].code, "call-depth");
    assert!(found[0].message.contains("nested 3 deep"), "{}", found[0]);
}
