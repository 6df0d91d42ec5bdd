//! What the steps of playbooks fail with, handled or not, and that they can be done again.

use std::fs::create_dir;

use serde_json::{Value, json};

use crate::lab::{Lab, pause};
use crate::short::playbook;

fn bash(text: &str) -> Value {
    json!([{ "type": "bash", "command": text }])
}

/// The step, code and message of an error.
fn said(error: &Value) -> [&str; 3] {
    ["step", "code", "message"].map(|field| error[field].as_str().unwrap_or_default())
}

/// The only row of a step that is of this kind.
fn row<'s>(show: &'s Value, step: &str, kind: &str) -> &'s Value {
    let rows = show["steps"].as_array().unwrap().iter();
    let found: Vec<_> = rows
        .filter(|row| row["step"] == step && row["kind"] == kind)
        .collect();
    let [row] = found[..] else {
        panic!("{} rows {step} of kind {kind} in {show:#}", found.len());
    };
    row
}

const LATE: [&str; 3] = [
    "A",
    "step-timeout",
    "ACTION_TIMEOUT after 400 ms; its work was cancelled; raise timeout",
];

#[test]
fn a_limit_that_nobody_handles_is_told_as_one_and_its_step_can_be_done_again() {
    let waits = "[ -e ready ] || sleep 100";
    for (action, kind) in [
        (json!({ "commands": bash(waits) }), "bash"),
        (
            json!({ "commands": [{ "type": "bash", "command": "true" }, { "type": "bash", "command": waits }] }),
            "action",
        ),
    ] {
        let lab = Lab::new();
        let mut action = action;
        action["timeout"] = 400.into();
        action["on_completion"] = "e1".into();
        let short =
            json!({ "steps": { "S": { "type": "start", "on_completion": "A" }, "A": action } });
        lab.write("p.json", &playbook(&short));
        let failed = lab.call(&["run", "p.json", "--allow", "bash", "--json"]);
        let failed = failed.expect(1).json();
        let errors = failed["runs"][0]["errors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(said(&errors[0]), LATE, "{kind}");
        let show = lab.last_run();
        assert_eq!(said(&row(&show, "A", kind)["error"]), LATE, "{show:#}");
        lab.write("ready", "");
        lab.call(&["retry", "last"]).expect(0);
        let show = lab.last_run();
        assert_eq!(row(&show, "A", kind)["status"], "succeeded", "{show:#}");
    }
}

#[test]
fn the_limit_of_a_logic_step_is_told_as_one_and_the_step_can_be_done_again() {
    let lab = Lab::new();
    let short = json!({ "playbook_variables": { "__n__": { "type": "integer", "value": "1" } }, "steps": {
        "S": { "type": "start", "on_completion": "I" },
        "I": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "A", "timeout": 400, "on_completion": "e1" },
        "A": { "commands": bash("[ -e ready ] || sleep 100"), "on_completion": "e2" },
    } });
    lab.write("p.json", &playbook(&short));
    let failed = lab.call(&["run", "p.json", "--allow", "bash", "--json"]);
    let failed = failed.expect(1).json();
    let errors = &failed["runs"][0]["errors"];
    assert_eq!(said(&errors[0])[..2], ["I", "step-timeout"]);
    lab.write("ready", "");
    lab.call(&["retry", "last"]).expect(0);
    let show = lab.last_run();
    assert_eq!(row(&show, "I", "if-condition")["status"], "succeeded");
}

#[test]
fn a_crash_does_not_begin_the_limit_of_a_step_anew() {
    let lab = Lab::new();
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "commands": bash("echo >> stuck; sleep 100"), "timeout": 4_000, "on_completion": "e1" },
    } });
    lab.write("p.json", &playbook(&short));
    lab.kill_when_stuck(&["run", "p.json", "--allow", "bash"]);
    pause(4_000);
    let failed = lab.call(&["resume", "last", "--json"]).expect(1).json();
    let [step, code, message] = said(&failed["runs"][0]["errors"][0]);
    assert_eq!((step, code), ("A", "step-timeout"));
    assert!(
        message.starts_with("ACTION_TIMEOUT after 4000 ms"),
        "{message}"
    );
    assert_eq!(lab.read("stuck").lines().count(), 1);
}

const CHILD: &str = "playbook--767d859e-7387-4e0c-95c0-458ca369486f";

/// A playbook whose only step calls another one, with more fields of that step and of the called playbook.
fn calling(lab: &Lab, step: &Value, called: &Value) {
    create_dir(lab.path("store")).unwrap();
    let child = with(json!({ "id": CHILD, "name": "Clean" }), called);
    lab.write("store/child.json", &playbook(&child));
    let action = json!({ "type": "playbook-action", "playbook_id": CHILD, "on_completion": "e1" });
    let action = with(action, step);
    let short = json!({ "steps": { "S": { "type": "start", "on_completion": "P" }, "P": action } });
    lab.write("p.json", &playbook(&short));
}

fn with(mut object: Value, more: &Value) -> Value {
    let more = more.as_object().unwrap().clone();
    object.as_object_mut().unwrap().extend(more);
    object
}

/// Runs it: it fails.
fn failed_call(lab: &Lab) -> Value {
    let words = [
        "run",
        "p.json",
        "--playbooks",
        "store",
        "--allow",
        "bash",
        "--json",
    ];
    lab.call(&words).expect(1).json()
}

#[test]
fn a_called_playbook_that_failed_is_named_under_the_step_that_calls_and_called_again() {
    for (more, names) in [
        (json!({}), &["P"][..]),
        (json!({ "timeout": 60_000 }), &["P", "P/call"]),
    ] {
        let lab = Lab::new();
        // Its step has the name of the one that calls.
        let step = json!({ "commands": bash("test -e ready"), "on_completion": "e1" });
        let steps = json!({ "S": { "type": "start", "on_completion": "P" }, "P": step });
        calling(&lab, &more, &json!({ "steps": steps }));
        let failed = failed_call(&lab);
        let errors = failed["runs"][0]["errors"].as_array().unwrap();
        let [step, code, message] = said(&errors[0]);
        assert_eq!((errors.len(), step, code), (1, "P", "handler-failed"));
        assert!(
            message.starts_with("playbook \"Clean\" step \"P\": command 1: exit code 1"),
            "{message}"
        );
        let show = lab.last_run();
        let rows = show["steps"].as_array().unwrap();
        let steps: Vec<_> = rows
            .iter()
            .map(|row| row["step"].as_str().unwrap())
            .collect();
        assert_eq!(steps, names, "nothing of the engine is among them");
        for row in rows {
            assert_eq!(
                (&row["status"], said(&row["error"])[0]),
                (&"failed".into(), "P")
            );
        }
        lab.write("ready", "");
        lab.call(&["retry", "last"]).expect(0);
        assert_eq!(lab.last_run()["steps"][0]["status"], "succeeded");
    }
}

#[test]
fn each_error_of_a_step_is_told_by_itself() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer" }, "__k__": { "type": "string", "value": "x", "constant": true } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "commands": bash("echo '{\"__n__\": \"many\", \"__k__\": \"y\"}'"), "out_args": ["__n__", "__k__"], "on_completion": "e1" },
        },
    });
    lab.write("p.json", &playbook(&short));
    let failed = lab.call(&["run", "p.json", "--allow", "bash", "--json"]);
    let failed = failed.expect(1).json();
    let errors = failed["runs"][0]["errors"].as_array().unwrap();
    let told: Vec<_> = errors.iter().map(said).collect();
    assert_eq!(
        told,
        [
            [
                "A",
                "variable-type",
                "__n__ is \"many\", which is no integer; comparisons would be meaningless; correct it"
            ],
            [
                "A",
                "constant-written",
                "out_args names the constant __k__; it must not change; use another variable"
            ],
        ]
    );
}

#[test]
fn a_called_playbook_that_cannot_start_says_so_without_a_step() {
    let lab = Lab::new();
    let called = json!({
        "playbook_variables": { "__in__": { "type": "string", "external": true } },
        "steps": {
            "S": { "type": "start", "on_completion": "C" },
            "C": { "commands": bash("true"), "on_completion": "e1" },
        },
    });
    calling(&lab, &json!({}), &called);
    let failed = failed_call(&lab);
    let told = said(&failed["runs"][0]["errors"][0]);
    let message =
        "playbook \"Clean\": start of Clean: __in__ is external and has no value; pass it";
    assert_eq!(told, ["P", "external-missing", message]);
    assert_eq!(
        row(&lab.last_run(), "P", "playbook-action")["status"],
        "failed"
    );
}

#[test]
fn each_call_of_an_action_with_a_limit_is_given_a_deadline() {
    let lab = Lab::new();
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "timeout": 60_000, "on_completion": "e1",
               "commands": [{ "type": "bash", "command": "one" }, { "type": "bash", "command": "two" }] },
    } });
    lab.write("p.json", &playbook(&short));
    lab.write(
        "h.toml",
        "[handlers.bash]\ncommand = ['sh', '-c', 'cat >> calls']\n",
    );
    lab.call(&["run", "p.json", "--handlers", "h.toml"])
        .expect(0);
    let calls = lab.read("calls");
    let calls: Vec<Value> = calls
        .lines()
        .map(|call| serde_json::from_str(call).unwrap())
        .collect();
    assert_eq!(calls.len(), 2);
    assert!(
        calls.iter().all(|call| call["deadline"].is_string()),
        "{calls:#?}"
    );
}
