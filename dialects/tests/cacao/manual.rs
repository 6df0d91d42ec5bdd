//! Steps that people do.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use windlass_dialects::{HandlerTypes, Imported, Mode, asked, manual_tasks};
use windlass_workflow_model::Payload;

use crate::play::{Play, accepted, options, play, wait_limit};
use crate::short::playbook;

fn asking() -> Json {
    json!({
        "playbook_variables": {
            "__host__": { "type": "string", "value": "fw-1" },
            "__ok__": { "type": "bool" },
        },
        "steps": {
            "S": { "type": "start", "on_completion": "Ask" },
            "Ask": { "timeout": 9000, "owner": "identity--142a7266-8c47-4223-916e-dd8c47b46afc", "out_args": ["__ok__"],
                     "commands": [{ "type": "manual", "command": "isolate __host__:value?" }], "on_success": "B", "on_failure": "F" },
            "B": { "commands": [{ "type": "bash", "command": "true" }], "on_completion": "e1" },
            "F": { "commands": [{ "type": "bash", "command": "false" }], "on_completion": "e2" },
        },
    })
}

/// As a host imports that leaves manual commands to people.
fn imported(short: &Json, mode: Mode) -> Imported {
    let mut options = options(mode);
    options.handlers = HandlerTypes::Known(vec!["bash".to_owned()]);
    accepted(&playbook(short), &options)
}

#[test]
fn a_manual_command_waits_for_its_answer() {
    let imported = imported(&asking(), Mode::Strict);
    let took = |answer: Json| {
        let answer = move |_: &str| answer.clone();
        play(
            &imported,
            &Json::Null,
            Play {
                answer: &answer,
                ..Play::default()
            },
        )
    };
    let played =
        took(json!({ "status": "success", "variables": { "__ok__": "true" }, "by": "kim" }));
    assert_eq!(
        (played.done.join(" "), played.variable("__ok__")),
        ("Ask B".to_owned(), "true".into())
    );
    assert_eq!(played.data()["steps"]["Ask"]["outputs"]["by"], "kim");
    assert_eq!(played.data()["tasks"], Json::Null);
    for (answer, code) in [
        (
            json!({ "status": "failure", "by": "kim", "message": "too risky" }),
            "handler-failed",
        ),
        (json!({ "status": "success" }), "out-arg-missing"),
        (
            json!({ "status": "success", "variables": { "__ok__": "perhaps" } }),
            "variable-type",
        ),
        (json!({ "status": "maybe" }), "value-invalid"),
        (json!("late"), "step-timeout"),
    ] {
        let played = took(answer.clone());
        assert_eq!(played.done.join(" "), "Ask F", "{answer}");
        assert_eq!(
            played.data()["handled_failures"][0]["errors"][0]["code"],
            code
        );
    }
    assert_eq!(wait_limit(&imported, "Ask"), Some(9_000));
}

#[test]
fn a_task_says_what_it_asks() {
    let imported = imported(&asking(), Mode::Strict);
    let tasks = manual_tasks(&imported.workflows[0].definition);
    assert_eq!(tasks.len(), 1);
    assert_eq!(
        (tasks[0].step.as_str(), tasks[0].text.as_str()),
        ("Ask", "isolate __host__:value?")
    );
    assert_eq!(tasks[0].out_args["__ok__"], "bool");
    let problems = |name: &str, value: &str| {
        tasks[0].problems(&BTreeMap::from([(name.to_owned(), value.to_owned())]))
    };
    assert_eq!(problems("__ok__", "true"), Vec::<String>::new());
    assert!(problems("__ok__", "x")[0].contains("no bool"));
    let wrong = problems("__x__", "x");
    assert!(wrong[0].contains("it asks for __ok__"));
    assert!(wrong[1].contains("no value for __ok__"));
    assert_eq!(asked(&Payload::null(), "Ask"), None);
}

#[test]
fn a_condition_that_is_missing_is_asked_for() {
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "Q" },
        "Q": { "type": "if-condition", "name": "Seen?", "on_true": "A", "on_false": "B", "on_completion": "W" },
        "A": { "commands": [{ "type": "bash", "command": "a" }], "on_completion": "e1" },
        "B": { "commands": [{ "type": "bash", "command": "b" }], "on_completion": "e2" },
        "W": { "type": "switch-condition", "cases": { "1": "C", "2": "D" }, "on_completion": "e3" },
        "C": { "commands": [{ "type": "bash", "command": "c" }], "on_completion": "e4" },
        "D": { "commands": [{ "type": "bash", "command": "d" }], "on_completion": "e5" },
    }});
    let imported = imported(&short, Mode::Lenient);
    let definition = &imported.workflows[0].definition;
    let asks = definition.node(definition.find("Seen?/decide").unwrap());
    assert_eq!(asks.place.parent.as_deref(), Some("Seen?"));
    let tasks = manual_tasks(definition);
    let choices: Vec<_> = tasks.iter().map(|task| task.choices.join(" ")).collect();
    assert_eq!(choices, ["true false", "1 2"]);
    assert_eq!(tasks[0].text, "Seen? (true, false)");
    let problems = |value: &str| {
        let answer = BTreeMap::from([("__answer__".to_owned(), value.to_owned())]);
        tasks[0].problems(&answer)
    };
    assert_eq!(problems("True"), Vec::<String>::new());
    assert_eq!(problems("on_false"), Vec::<String>::new());
    assert_eq!(
        problems("maybe"),
        [
            "\"Seen?/decide\" is a question: answer with one of true, false, such as --var __answer__=true"
        ]
    );
    let answer = |step: &str| {
        let value = if step.starts_with("Seen?") {
            "false"
        } else {
            "2"
        };
        json!({ "status": "success", "variables": { "__answer__": value } })
    };
    let played = play(
        &imported,
        &Json::Null,
        Play {
            answer: &answer,
            ..Play::default()
        },
    );
    assert_eq!(played.done.join(" "), "Seen?/decide B W/decide D");
    let wrong = |_: &str| json!({ "status": "success", "variables": { "__answer__": "3" } });
    let played = play(
        &imported,
        &Json::Null,
        Play {
            answer: &wrong,
            ..Play::default()
        },
    );
    assert_eq!(played.errors(), ["Seen?: value-invalid"]);
    let fault = played.result.expect_err("it fails");
    assert!(
        fault.errors[0]
            .message
            .contains("the choices are true, false;"),
        "{fault:?}"
    );
}

#[test]
fn a_command_without_text_asks_what_it_says_of_itself() {
    let text = |command: Json| {
        let short = json!({ "steps": {
            "S": { "type": "start", "on_completion": "Ask" },
            "Ask": { "description": "Of the step", "commands": [command], "on_completion": "e1" },
        }});
        let imported = imported(&short, Mode::Lenient);
        let tasks = manual_tasks(&imported.workflows[0].definition);
        tasks[0].text.clone()
    };
    let own = json!({ "type": "manual", "description": "Look at it" });
    assert_eq!(text(own), "Look at it");
    let empty = json!({ "type": "manual", "description": " " });
    assert_eq!(text(empty), "Of the step");
    assert_eq!(text(json!({ "type": "manual" })), "Of the step");
}
