//! `ssh`, against an `sshd` that the test starts.

use serde_json::{Value, json};

use super::calls::{SECRET, call, fails, failure, finish, lab, start, succeeds};
use super::sshd::{PASSWORD, Sshd};
use crate::lab::{Lab, eventually, lives, number, send};

/// A script that the other side runs in the test's folder.
fn ssh(sshd: &Sshd, lab: &Lab, text: &str) -> Value {
    let text = format!("cd '{}' || exit 9\n{text}", lab.path("").display());
    let command = json!({"type": "ssh", "text": text, "raw": text});
    let more = json!({
        "target": sshd.target("host"),
        "authentication": sshd.authentication("user"),
    });
    call(&command, &more)
}

#[test]
fn a_script_runs_on_the_other_side_and_no_secret_shows() {
    let name = "a_script_runs_on_the_other_side_and_no_secret_shows";
    let Some(sshd) = Sshd::start(name) else {
        return;
    };
    let lab = lab();
    let text = "test '__token__:value' = \"$__token__\" || exit 8
        test -n \"$SSH_CONNECTION\" || exit 7
        cat; cat /proc/[0-9]*/cmdline > lines 2>/dev/null
        echo \"$__token__ $__a__ it's \\$HOME\"";
    let mut command = ssh(&sshd, &lab, text);
    command["command"]["bindings"] = json!({"__a__": "it's $(touch ran)", "__b-c__": "x"});
    let (_, result) = succeeds(&lab, &command);
    assert_eq!(result, "*** it's $(touch ran) it's $HOME");
    assert!(!lab.path("ran").exists());
    let lines = lab.read("lines");
    assert!(lines.contains("StrictHostKeyChecking=yes"), "{lines}");
    assert!(!lines.contains(SECRET), "{lines}");
    assert!(!lines.contains(sshd.read("user").lines().nth(1).unwrap()));

    let text = "echo '{\"__a__\": \"up\"}'";
    let mut command = ssh(&sshd, &lab, text);
    command["out_args"] = json!({"__a__": "string"});
    assert_eq!(succeeds(&lab, &command).0, json!({"__a__": "up"}));
}

#[test]
fn a_failure_there_tells_its_status_and_its_last_words() {
    let name = "a_failure_there_tells_its_status_and_its_last_words";
    let Some(sshd) = Sshd::start(name) else {
        return;
    };
    let lab = lab();
    let text = ": '__token__:value'; echo \"no $__token__\" >&2; exit 3";
    let (code, message, retryable) = fails(&lab, &ssh(&sshd, &lab, text));
    assert_eq!((code.as_str(), retryable), ("handler-failed", true));
    assert_eq!(message, "command 1 on Host: exit code 3: no ***");
    // What is left in the background there does not keep the call waiting, and is ended.
    let text = "sleep 100 & echo $! > left; echo done";
    assert_eq!(succeeds(&lab, &ssh(&sshd, &lab, text)).1, "done");
    let left = number(&lab.path("left")).unwrap();
    eventually("what was left there is gone", || !lives(left));
}

#[test]
fn a_host_that_is_not_known_is_told_nothing() {
    let name = "a_host_that_is_not_known_is_told_nothing";
    let Some(sshd) = Sshd::start(name) else {
        return;
    };
    let lab = lab();
    let mut wrong = ssh(&sshd, &lab, "touch ran");
    wrong["target"] = sshd.target("other-host");
    let mut unknown = ssh(&sshd, &lab, "touch ran");
    unknown["target"]
        .as_object_mut()
        .unwrap()
        .remove("host_key");
    lab.write("known", "");
    for command in [wrong, unknown.clone()] {
        let (code, message, retryable) = fails(&lab, &command);
        assert_eq!(
            (code.as_str(), retryable),
            ("ssh-host-key", false),
            "{message}"
        );
    }
    assert!(!lab.path("ran").exists());

    let settings = lab.read("windlass.toml");
    lab.write(
        "windlass.toml",
        &format!("{settings}[ssh]\nknown_hosts = 'known'\n"),
    );
    assert_eq!(fails(&lab, &unknown).0, "ssh-host-key");
    let known = format!("[127.0.0.1]:{} {}\n", sshd.port, sshd.read("host.pub"));
    lab.write("known", &known);
    succeeds(&lab, &unknown);
    assert!(lab.path("ran").exists());
}

#[test]
fn a_key_may_be_locked_and_a_wrong_one_lets_nobody_in() {
    let name = "a_key_may_be_locked_and_a_wrong_one_lets_nobody_in";
    let Some(sshd) = Sshd::start(name) else {
        return;
    };
    let lab = lab();
    sshd.lock("locked", "open sesame");
    let mut command = ssh(
        &sshd,
        &lab,
        "env > environment; cat /proc/[0-9]*/cmdline > lines 2>/dev/null; echo in",
    );
    command["authentication"] = sshd.authentication("locked");
    command["authentication"]["password"] = json!("open sesame");
    assert_eq!(succeeds(&lab, &command).1, "in");
    assert!(
        !lab.read("environment")
            .contains("WINDLASS_CTX_PASSWORD_FILE")
    );
    assert!(!lab.read("lines").contains("open sesame"));
    command["authentication"]["password"] = json!("open barley");
    let (code, message, retryable) = fails(&lab, &command);
    assert_eq!(
        (code.as_str(), retryable),
        ("ssh-denied", false),
        "{message}"
    );
    command["authentication"] = sshd.authentication("other-user");
    assert_eq!(fails(&lab, &command).0, "ssh-denied");
}

#[test]
fn a_password_lets_in_and_shows_nowhere() {
    let name = "a_password_lets_in_and_shows_nowhere";
    let Some(sshd) = Sshd::start_for_passwords(name) else {
        return;
    };
    let lab = lab();
    let text = "env > environment; cat /proc/[0-9]*/cmdline > lines 2>/dev/null; echo in";
    let mut command = ssh(&sshd, &lab, text);
    // A key is not even asked for.
    assert_eq!(fails(&lab, &command).0, "ssh-denied");
    command["authentication"] = Sshd::password(PASSWORD);
    assert_eq!(succeeds(&lab, &command).1, "in");
    for file in ["environment", "lines"] {
        assert!(!lab.read(file).contains(PASSWORD), "{file}");
    }
    command["authentication"] = Sshd::password("open barley");
    let (code, message, retryable) = fails(&lab, &command);
    assert_eq!(
        (code.as_str(), retryable),
        ("ssh-denied", false),
        "{message}"
    );
}

#[test]
fn when_we_go_the_script_there_goes_too() {
    let name = "when_we_go_the_script_there_goes_too";
    let Some(sshd) = Sshd::start(name) else {
        return;
    };
    for signal in ["TERM", "KILL"] {
        let lab = lab();
        let text =
            "sleep 100 & echo $! > child; echo $$ > pid.new; mv pid.new pid; wait; touch ran";
        let child = start(&lab, &ssh(&sshd, &lab, text));
        eventually("it runs", || number(&lab.path("pid")).is_some());
        assert!(
            std::fs::read_dir(lab.path("tmp")).unwrap().count() > 0,
            "there is a key"
        );
        send(signal, &child.id().to_string());
        if signal == "KILL" {
            // The guard cleans up when its engine cannot.
            eventually("the private folder is gone", || {
                std::fs::read_dir(lab.path("tmp")).unwrap().count() == 0
            });
        }
        let done = finish(&lab, child);
        if signal == "TERM" {
            assert_eq!(failure(&done).0, "stopped");
        }
        for file in ["pid", "child"] {
            let process = number(&lab.path(file)).unwrap();
            eventually("the script there is gone", || !lives(process));
        }
        assert!(!lab.path("ran").exists());
    }
}

#[test]
fn a_host_that_does_not_answer_may_do_so_later() {
    let lab = lab();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let command = json!({"type": "ssh", "text": "true"});
    let at = |host: &str| {
        let target = json!({"address": {"dname": [host]}, "port": port});
        call(&command, &json!({"target": target}))
    };
    let (code, message, retryable) = fails(&lab, &at("127.0.0.1"));
    assert_eq!(
        (code.as_str(), retryable),
        ("ssh-failed", true),
        "{message}"
    );
    for host in ["-oProxyCommand=touch ran", "h;touch ran"] {
        assert_eq!(fails(&lab, &at(host)).0, "target-invalid");
    }
    assert!(!lab.path("ran").exists());
    assert_eq!(fails(&lab, &call(&command, &json!({}))).0, "target-invalid");
}
