//! Calls of commands, and what comes of them.

use std::fs::File;
use std::io::Write as _;
use std::process::{Child, Command};

use serde_json::{Map, Value, json};

use crate::lab::{Done, Lab, ended};

/// The value of the secret `__token__`; nothing may ever show it.
pub(super) const SECRET: &str = "s3cr3t-\"quoted\"/hunter2";

/// A folder whose settings know the secret and allow all kinds.
pub(super) fn lab() -> Lab {
    let lab = Lab::new();
    lab.write(
        "windlass.toml",
        "allow = ['bash', 'powershell', 'ssh', 'http-api', 'openc2-http']\nlog = 'trace'\n[secrets]\n__token__ = {env = 'TOKEN_OF_TEST'}\n",
    );
    std::fs::create_dir(lab.path("tmp")).unwrap();
    lab
}

/// A call of a command, with what `more` says instead.
pub(super) fn call(command: &Value, more: &Value) -> Value {
    let mut call = json!({
        "run_id": "run-1",
        "playbook_id": "playbook--1",
        "step_id": "action--1",
        "step_name": "Block",
        "command": command,
        "agent": null,
        "target": null,
        "authentication": null,
        "in_args": {},
        "out_args": {},
        "command_index": 0,
        "target_index": null,
        "attempt": 1,
        "idempotency_key": "key-1",
        "deadline": null,
        "exception": null,
    });
    let more: Map<_, _> = more.as_object().unwrap().clone();
    call.as_object_mut().unwrap().extend(more);
    call
}

/// A call that is still to be made.
pub(super) fn prepare(lab: &Lab, call: &Value) -> Command {
    lab.write("call.json", &call.to_string());
    let mut command = lab.command(&["perform"]);
    command
        .stdin(File::open(lab.path("call.json")).unwrap())
        .env("TOKEN_OF_TEST", SECRET)
        .env("TMPDIR", lab.path("tmp"))
        .env("NO_PROXY", "*")
        .env_remove("SSH_AUTH_SOCK");
    command
}

/// Begins it.
pub(super) fn start(lab: &Lab, call: &Value) -> Child {
    prepare(lab, call).spawn().unwrap()
}

/// What came of it: nothing that is shown or left behind holds the secret.
pub(super) fn finish(lab: &Lab, child: Child) -> Done {
    let done = ended(child);
    let in_json = json!(SECRET).to_string();
    for shown in [&done.out, &done.err] {
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(!shown.contains(in_json.trim_matches('"')), "{shown}");
    }
    let left: Vec<_> = std::fs::read_dir(lab.path("tmp")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    done
}

/// Performs a command that succeeds: its variables and its result.
pub(super) fn succeeds(lab: &Lab, call: &Value) -> (Value, Value) {
    let done = finish(lab, start(lab, call)).expect(0).json();
    (done["variables"].clone(), done["result"].clone())
}

/// Performs one that fails: code, message, and whether it may be tried again.
pub(super) fn fails(lab: &Lab, call: &Value) -> (String, String, bool) {
    failure(&finish(lab, start(lab, call)))
}

/// Reads the failure.
pub(super) fn failure(done: &Done) -> (String, String, bool) {
    assert_eq!(done.code, Some(1), "{done:?}");
    let error = done.json()["error"].clone();
    let text = |key: &str| error[key].as_str().unwrap().to_owned();
    let retryable = error["retryable"].as_bool().unwrap();
    (text("code"), text("message"), retryable)
}

/// Says that a test did nothing, also where the words of tests that pass are not shown.
pub(super) fn skipped(test: &str, why: &str) {
    // Whoever has no stderr misses it.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
