//! `bash` and `powershell`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use super::calls::{SECRET, call, fails, failure, finish, lab, prepare, skipped, start, succeeds};
use crate::lab::{eventually, lives, number, send};

fn bash(text: &str) -> Value {
    call(&json!({"type": "bash", "text": text}), &json!({}))
}

#[test]
fn the_result_is_what_it_wrote_without_the_last_newline() {
    let lab = lab();
    for (text, expected) in [
        ("echo hello", "hello"),
        ("printf 'a\\n\\n'", "a\n"),
        ("true", ""),
        (
            "#!/bin/bash\nif [[ a == a ]]; then\n  cat\n  echo \"it's $0\"\nfi",
            "it's bash",
        ),
    ] {
        assert_eq!(
            succeeds(&lab, &bash(text)),
            (json!({}), json!(expected)),
            "{text}"
        );
    }
}

#[test]
fn an_object_of_out_args_is_their_values() {
    let lab = lab();
    let text = "echo '{\"__a__\": \"x\", \"__n__\": 5}'";
    let command = json!({"type": "bash", "text": text});
    let out_args = json!({"out_args": {"__a__": "string", "__n__": "integer"}});
    let variables = json!({"__a__": "x", "__n__": "5"});
    assert_eq!(
        succeeds(&lab, &call(&command, &out_args)),
        (variables, json!(null))
    );
    let out_args = json!({"out_args": {"__a__": "string"}});
    let (variables, result) = succeeds(&lab, &call(&command, &out_args));
    assert_eq!(
        (variables, result),
        (json!({}), json!("{\"__a__\": \"x\", \"__n__\": 5}"))
    );
}

#[test]
fn values_reach_the_script_as_variables_and_never_as_syntax() {
    let lab = lab();
    let command = json!({
        "type": "bash",
        "text": "echo \"$__a__ $__b__ $WINDLASS_CTX_STEP $WINDLASS_CTX_ATTEMPT $WINDLASS_CTX_IDEMPOTENCY_KEY\"",
        "bindings": {"__a__": "$(touch ran)"},
    });
    let more = json!({"in_args": {"__b__": {"type": "integer", "value": 7}}, "attempt": 3});
    let (_, result) = succeeds(&lab, &call(&command, &more));
    assert_eq!(result, "$(touch ran) 7 Block 3 key-1");
    assert!(!lab.path("ran").exists());
    for name in ["PATH", "__a=b__", "LD_PRELOAD"] {
        let command = json!({"type": "bash", "text": "true", "bindings": {name: "x"}});
        let (code, _, retryable) = fails(&lab, &call(&command, &json!({})));
        assert_eq!((code.as_str(), retryable), ("variable-unusable", false));
    }
    let command =
        json!({"type": "bash", "text": "true", "bindings": {"__a__": "x".repeat(200_000)}});
    let (code, message, _) = fails(&lab, &call(&command, &json!({})));
    assert_eq!(code, "variable-unusable");
    assert!(message.contains("__a__"), "{message}");
}

#[test]
fn a_failure_tells_its_status_and_its_last_words() {
    let lab = lab();
    let failed = fails(
        &lab,
        &bash("for n in 1 2 3 4 5 6 7; do echo line $n >&2; done; exit 3"),
    );
    let words = "command 1: exit code 3: line 3 | line 4 | line 5 | line 6 | line 7";
    assert_eq!(
        failed,
        ("handler-failed".to_owned(), words.to_owned(), true)
    );
    // What asks a step's own program to be tried later means nothing here.
    assert_eq!(fails(&lab, &bash("exit 75")).0, "handler-failed");
    assert_eq!(fails(&lab, &bash("kill -9 $$")).0, "handler-killed");
    assert_eq!(fails(&lab, &bash("if")).0, "handler-failed");
    assert_eq!(fails(&lab, &bash("yes")).0, "output-too-large");
    let (code, ..) = fails(&lab, &call(&json!({"type": "bash"}), &json!({})));
    assert_eq!(code, "command-text");
}

#[test]
fn a_secret_is_filled_in_and_shown_to_nobody() {
    let lab = lab();
    // Whoever is on this machine can read command lines; the script writes all of them down.
    let text = "test \"$__token__\" = __token__:value || { echo wrong >&2; exit 1; }
        cat /proc/[0-9]*/cmdline > lines 2>/dev/null
        env > environment
        echo \"$__token__\" >&2; echo \"$__token__\"; printf %s \"$__token__\" | base64; exit $1";
    // The text asks for the value in quotes, as a careful author would.
    let text = text.replace("= __token__:value", "= '__token__:value'");
    let command = json!({"type": "bash", "text": text, "raw": text});
    let (_, result) = succeeds(&lab, &call(&command, &json!({})));
    assert_eq!(result, "***\n***=");
    assert!(!lab.read("lines").contains(SECRET), "{}", lab.read("lines"));
    assert!(lab.read("lines").contains("bash"), "{}", lab.read("lines"));
    assert!(lab.read("environment").contains("__token__="));
    assert!(!lab.read("environment").contains("TOKEN_OF_TEST"));

    let text = text.replace("exit $1", "exit 4");
    let command = json!({"type": "bash", "text": text, "raw": text});
    let (_, message, _) = fails(&lab, &call(&command, &json!({})));
    assert_eq!(message, "command 1: exit code 4: ***");
    // A cut through the value: what is kept of stderr begins in the middle of it.
    let text = format!(
        "printf %s \"$__token__\" >&2; printf '%*s' {} x | tr ' ' x >&2; : __token__:value; exit 1",
        4096 - 7
    );
    let (_, message, _) = fails(&lab, &bash(&text));
    assert!(
        message.starts_with("command 1: exit code 1: ***x"),
        "{}",
        &message[..40]
    );
}

#[test]
fn who_asks_to_stop_ends_the_script_and_who_is_killed_does_too() {
    for (signal, is_told) in [("TERM", true), ("KILL", false)] {
        let lab = lab();
        let text = "echo $$ > pid.new; mv pid.new pid; sleep 100; touch ran";
        let child = start(&lab, &bash(text));
        eventually("it runs", || number(&lab.path("pid")).is_some());
        let script = number(&lab.path("pid")).unwrap();
        send(signal, &child.id().to_string());
        let done = finish(&lab, child);
        if is_told {
            let (code, _, retryable) = failure(&done);
            assert_eq!((code.as_str(), retryable), ("stopped", true));
            assert!(!lives(script), "it ended before it was told");
        }
        eventually("the script is gone", || !lives(script));
        assert!(!lab.path("ran").exists());
    }
}

#[test]
fn a_deadline_ends_the_script() {
    let lab = lab();
    let command = json!({"type": "bash", "text": "echo $$ > pid; sleep 100"});
    let over = json!({"deadline": "2020-01-01T00:00:00Z"});
    let (code, _, retryable) = fails(&lab, &call(&command, &over));
    assert_eq!((code.as_str(), retryable), ("command-timeout", true));
    eventually("the script is gone", || {
        number(&lab.path("pid")).is_none_or(|script| !lives(script))
    });
    let wrong = call(&command, &json!({"deadline": "soon"}));
    crate::lab::ended(prepare(&lab, &wrong).spawn().unwrap()).expect(2);
}

#[test]
fn powershell_gets_the_script_over_stdin() {
    let lab = lab();
    // Stands in the place of PowerShell, and shows how it is called.
    std::fs::create_dir(lab.path("bin")).unwrap();
    let stand_in = "#!/bin/sh\necho \"$@\"; cat; echo \"<$__a__>\"\n";
    lab.write("bin/pwsh", stand_in);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.path("bin/pwsh"), executable).unwrap();
    let command = json!({"type": "powershell", "text": "Get-Item x", "bindings": {"__a__": "b"}});
    let mut command = prepare(&lab, &call(&command, &json!({})));
    let path = format!(
        "{}:{}",
        lab.path("bin").display(),
        std::env::var("PATH").unwrap()
    );
    let done = finish(&lab, command.env("PATH", path).spawn().unwrap()).expect(0);
    let expected = "-NoProfile -NonInteractive -Command -\nGet-Item x\n\n<b>";
    assert_eq!(done.json()["result"], expected);
}

#[test]
fn powershell_runs_a_script() {
    if Command::new("pwsh").arg("-Version").output().is_err() {
        skipped(
            "powershell_runs_a_script",
            "there is no pwsh on this machine; install PowerShell",
        );
        return;
    }
    let lab = lab();
    let powershell = |text: &str| call(&json!({"type": "powershell", "text": text}), &json!({}));
    let (_, result) = succeeds(&lab, &powershell("if ($true) {\n  Write-Output 'yes'\n}"));
    assert_eq!(result, "yes");
    assert_eq!(fails(&lab, &powershell("exit 3")).0, "handler-failed");
}
