//! What is refused before a command does anything.

use serde_json::json;

use super::calls::{SECRET, call, fails, lab, prepare};
use crate::lab::{Done, Lab, ended};

fn refused(lab: &Lab, call: &serde_json::Value, words: &[&str]) -> Done {
    ended(prepare(lab, call).spawn().unwrap())
        .expect(2)
        .says(words)
}

#[test]
fn nothing_runs_unless_its_kind_is_allowed() {
    let lab = lab();
    lab.write("windlass.toml", "allow = ['http-api', 'shell']\n");
    let bash = call(&json!({"type": "bash", "text": "touch ran"}), &json!({}));
    refused(&lab, &bash, &["\"bash\"", "--allow bash"]);
    let mut command = prepare(&lab, &bash);
    command.args(["--allow", "ssh,powershell"]);
    ended(command.spawn().unwrap())
        .expect(2)
        .says(&["\"bash\""]);
    assert!(!lab.path("ran").exists());
    let mut command = prepare(&lab, &bash);
    command.args(["--allow", "bash"]);
    ended(command.spawn().unwrap()).expect(0);
    assert!(lab.path("ran").exists());
    let yara = call(&json!({"type": "yara", "text": "x"}), &json!({}));
    refused(&lab, &yara, &["\"yara\""]);
}

#[test]
fn a_secret_without_a_value_stops_everything_and_is_named() {
    let lab = lab();
    lab.write("open", SECRET);
    lab.write(
        "windlass.toml",
        "allow = ['bash']\n[secrets]\n__a__ = {env = 'NOT_SET'}\n__b__ = {file = 'open'}\n",
    );
    let bash = call(&json!({"type": "bash", "text": "touch ran"}), &json!({}));
    let done = refused(&lab, &bash, &["__a__", "NOT_SET", "__b__", "chmod o-rw"]);
    assert!(!done.err.contains(SECRET), "{}", done.err);
    assert!(!lab.path("ran").exists());
}

#[test]
fn settings_show_where_a_secret_is_and_never_what_it_is() {
    let lab = lab();
    let mut command = lab.command(&["config", "--json"]);
    command.env("TOKEN_OF_TEST", SECRET);
    let done = ended(command.spawn().unwrap()).expect(0);
    let entries = done.json()["config"].as_array().unwrap().clone();
    let token = entries
        .iter()
        .find(|entry| entry["key"] == "secrets.__token__");
    assert_eq!(token.unwrap()["value"], json!({"env": "TOKEN_OF_TEST"}));
    assert!(!done.out.contains("hunter2"), "{}", done.out);
    lab.write("windlass.toml", "[secrets]\n__a__ = 'hunter2'\n");
    let done = lab
        .call(&["config"])
        .expect(2)
        .says(&["windlass.toml:2", "__a__"]);
    assert!(!done.err.contains("hunter2"), "{}", done.err);
}

#[test]
fn a_value_cannot_ask_for_a_secret() {
    let lab = lab();
    let smuggled = json!({
        "type": "bash",
        "text": "touch ran; echo __token__:value",
        "raw": "touch ran; echo __a__:value",
        "bindings": {},
    });
    let (code, message, retryable) = fails(&lab, &call(&smuggled, &json!({})));
    assert_eq!((code.as_str(), retryable), ("secret-in-value", false));
    assert!(message.contains("__token__"), "{message}");
    let bound = json!({
        "type": "bash",
        "text": "touch ran",
        "bindings": {"__a__": "x __token__:value"},
    });
    let (code, message, _) = fails(&lab, &call(&bound, &json!({})));
    assert_eq!(code, "secret-in-value");
    assert!(message.contains("__a__"), "{message}");
    assert!(!lab.path("ran").exists());
}
