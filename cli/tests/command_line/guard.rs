//! What the guard promises about a program, its group and its lock.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::{eventually, lives, number, pause};

/// Starts a guard for a shell script; the program's input is `input`.
fn start(folder: &Path, lock: &str, script: &str, input: &[u8]) -> Child {
    order(folder, lock, script, input, &json!({}))
}

/// The same with more in its order.
fn start_with(folder: &Path, script: &str, input: &[u8], more: &Value) -> Child {
    order(folder, "l", script, input, more)
}

fn order(folder: &Path, lock: &str, script: &str, input: &[u8], more: &Value) -> Child {
    let mut guard = Command::new(env!("CARGO_BIN_EXE_windlass"))
        .arg("guard")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut order = json!({
        "lock": folder.join(lock),
        "command": ["sh", "-c", script],
        "folder": folder,
        "input_bytes": input.len(),
    });
    let more = more.as_object().unwrap().clone();
    order.as_object_mut().unwrap().extend(more);
    let pipe = guard.stdin.as_mut().unwrap();
    pipe.write_all(format!("{order}\n").as_bytes()).unwrap();
    pipe.write_all(input).unwrap();
    guard
}

/// Waits for the report: how it ended, what it wrote, what it wrote about errors.
fn report(mut guard: Child) -> (Value, String, String) {
    let mut bytes = Vec::new();
    guard
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    guard.wait().unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (line, rest) = text.split_once('\n').unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let count = usize::try_from(line["output_bytes"].as_u64().unwrap()).unwrap();
    let (output, errors) = rest.split_at(count);
    (line["end"].clone(), output.to_owned(), errors.to_owned())
}

#[test]
fn a_program_gets_its_input_and_gives_output_errors_and_code() {
    let folder = TempDir::new().unwrap();
    let guard = start(folder.path(), "l", "cat; echo oh >&2; exit 3", b"{\"a\":1}");
    let (end, output, errors) = report(guard);
    assert_eq!(
        (end, output.as_str(), errors.as_str()),
        (json!({"exited": 3}), "{\"a\":1}", "oh\n")
    );
    assert!(!folder.path().join("l").exists(), "the lock file is gone");
}

#[test]
fn a_program_that_reads_nothing_and_one_that_is_missing_are_reported() {
    let folder = TempDir::new().unwrap();
    let large = vec![b'x'; 1_000_000];
    let (end, ..) = report(start(folder.path(), "l", "exit 0", &large));
    assert_eq!(end, json!({"exited": 0}));
    let (end, ..) = report(start(&folder.path().join("gone"), "../l", "exit 0", b""));
    let text = end["not-started"].as_str().unwrap();
    assert!(text.contains("cannot be taken"), "{text}");
}

#[test]
fn when_the_engine_lets_go_everything_the_program_started_is_killed() {
    let folder = TempDir::new().unwrap();
    let script = "echo $$ > leader; sleep 100 & echo $! > member; setsid sh -c 'echo $$ > stray; exec sleep 100' & timeout 100 sleep 99 & sleep 100";
    let mut guard = start(folder.path(), "l", script, b"");
    let file = |name: &str| folder.path().join(name);
    eventually("all three started", || {
        ["leader", "member", "stray"]
            .iter()
            .all(|name| number(&file(name)).is_some())
    });
    assert!(
        file("l").exists(),
        "the lock is held while the program runs"
    );
    drop(guard.stdin.take());
    guard.wait().unwrap();
    for name in ["leader", "member", "stray"] {
        assert!(!lives(number(&file(name)).unwrap()), "{name} lives");
    }
    assert!(!file("l").exists());
}

#[test]
fn what_the_program_leaves_in_its_group_ends_with_it() {
    let folder = TempDir::new().unwrap();
    let guard = start(
        folder.path(),
        "l",
        "sleep 100 & echo $! > member; echo done",
        b"",
    );
    let (end, output, _) = report(guard);
    assert_eq!((end, output.as_str()), (json!({"exited": 0}), "done\n"));
    assert!(!lives(number(&folder.path().join("member")).unwrap()));
}

#[test]
fn the_next_attempt_waits_until_the_last_one_is_gone() {
    let folder = TempDir::new().unwrap();
    let mut first = start(folder.path(), "l", "echo $$ > first; sleep 100", b"");
    eventually("the first runs", || {
        number(&folder.path().join("first")).is_some()
    });
    let old = number(&folder.path().join("first")).unwrap();
    // While the lock is held the second one does not start; it starts when the first is killed.
    let second = start(
        folder.path(),
        "l",
        "kill -0 $(cat first) 2>&1 || echo alone",
        b"",
    );
    let waiting = start(folder.path(), "l", "exit 0", b"");
    pause(100);
    assert!(lives(old));
    drop(first.stdin.take());
    first.wait().unwrap();
    let (end, output, _) = report(second);
    assert_eq!(end, json!({"exited": 0}));
    assert!(output.ends_with("alone\n"), "{output}");
    assert_eq!(report(waiting).0, json!({"exited": 0}));
}

#[test]
fn a_guard_that_waits_for_the_lock_goes_when_its_engine_goes() {
    let folder = TempDir::new().unwrap();
    let mut first = start(folder.path(), "l", "echo $$ > first; sleep 100", b"");
    eventually("the first runs", || {
        number(&folder.path().join("first")).is_some()
    });
    let mut second = start(folder.path(), "l", "echo $$ > second", b"");
    drop(second.stdin.take());
    assert!(!second.wait().unwrap().success());
    assert!(!folder.path().join("second").exists());
    drop(first.stdin.take());
    first.wait().unwrap();
}

#[test]
fn a_killed_guard_leaves_the_lock_with_its_program() {
    let folder = TempDir::new().unwrap();
    let mut first = start(folder.path(), "l", "echo $$ > first; sleep 100", b"");
    eventually("the first runs", || {
        number(&folder.path().join("first")).is_some()
    });
    let orphan = number(&folder.path().join("first")).unwrap();
    first.kill().unwrap();
    first.wait().unwrap();
    let second = start(folder.path(), "l", "echo late", b"");
    pause(100);
    assert!(lives(orphan));
    let killed = Command::new("kill")
        .args(["-9", "--", &format!("-{orphan}")])
        .status();
    assert!(killed.unwrap().success());
    let (end, output, _) = report(second);
    assert_eq!((end, output.as_str()), (json!({"exited": 0}), "late\n"));
}

#[test]
fn too_much_output_ends_the_program_and_errors_keep_their_end() {
    let folder = TempDir::new().unwrap();
    let (end, output, _) = report(start(folder.path(), "l", "yes", b""));
    assert_eq!((end, output.as_str()), (json!("output-too-large"), ""));
    let script = "yes | head -n 100000 >&2; echo last >&2; kill -9 $$";
    let (end, _, errors) = report(start(folder.path(), "l", script, b""));
    assert_eq!(end, json!({"killed": 9}));
    assert!(errors.len() <= 4096 && errors.ends_with("y\nlast\n"));
}

#[test]
fn a_terminated_guard_takes_its_program_along() {
    let folder = TempDir::new().unwrap();
    let guard = start(folder.path(), "l", "echo $$ > first; sleep 100", b"");
    eventually("it runs", || number(&folder.path().join("first")).is_some());
    let program = number(&folder.path().join("first")).unwrap();
    Command::new("kill")
        .arg(guard.id().to_string())
        .status()
        .unwrap();
    assert_eq!(report(guard).0, json!({"killed": 9}));
    assert!(!lives(program));
}

#[test]
fn input_that_is_held_does_not_end_before_the_program_does() {
    let folder = TempDir::new().unwrap();
    let script = "read line; timeout 0.2 cat; echo \"$line $?\"";
    for (holds, expected) in [(true, "a 124\n"), (false, "a 0\n")] {
        let guard = start_with(
            folder.path(),
            script,
            b"a\n",
            &json!({"holds_input": holds}),
        );
        let (end, output, _) = report(guard);
        assert_eq!((end, output.as_str()), (json!({"exited": 0}), expected));
    }
}

#[test]
fn a_private_folder_is_gone_with_the_program_however_it_ends() {
    let folder = TempDir::new().unwrap();
    let private = folder.path().join("private");
    let make = || {
        std::fs::create_dir(&private).unwrap();
        std::fs::write(private.join("key"), "k").unwrap();
        json!({"private": &private})
    };
    let guard = start_with(folder.path(), "cat private/key", b"", &make());
    assert_eq!(report(guard).1, "k");
    assert!(!private.exists());

    let mut first = start_with(folder.path(), "echo $$ > first; sleep 100", b"", &make());
    eventually("it runs", || number(&folder.path().join("first")).is_some());
    drop(first.stdin.take());
    first.wait().unwrap();
    assert!(!private.exists(), "the engine let go of a program");

    let mut first = start(folder.path(), "l", "echo $$ > second; sleep 100", b"");
    eventually("it runs", || {
        number(&folder.path().join("second")).is_some()
    });
    let mut waiting = start_with(folder.path(), "exit 0", b"", &make());
    drop(waiting.stdin.take());
    waiting.wait().unwrap();
    assert!(
        !private.exists(),
        "the engine let go while the lock was waited for"
    );
    drop(first.stdin.take());
    first.wait().unwrap();
}
