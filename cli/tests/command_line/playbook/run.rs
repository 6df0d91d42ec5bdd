//! A playbook that is run: its commands by the real parts, and a real approval.

use serde_json::json;

use super::server::{Server, answer};
use super::sshd::Sshd;
use crate::lab::{Lab, ended, eventually};
use crate::short::playbook;

const API: &str = "http-api--1c3900b4-f86b-430d-b415-12312b9e31f4";
const HOST: &str = "ssh--2c3900b4-f86b-430d-b415-12312b9e31f4";
const KEY: &str = "user-auth--3c3900b4-f86b-430d-b415-12312b9e31f4";

#[test]
fn a_playbook_asks_a_server_a_shell_another_host_and_a_person() {
    let name = "a_playbook_asks_a_server_a_shell_another_host_and_a_person";
    let Some(sshd) = Sshd::start(name) else {
        return;
    };
    let server = Server::start(|asked| {
        let body: &[u8] = if asked.body.is_empty() {
            b"{\"__score__\": \"7\"}"
        } else {
            b"\"filed\""
        };
        answer("200 OK", &["Content-Type: application/json"], body)
    });
    let mut host = sshd.target("host");
    host["authentication_info"] = KEY.into();
    let short = json!({
        "playbook_variables": {
            "__score__": { "type": "integer" }, "__found__": { "type": "string" },
            "__ok__": { "type": "bool" }, "__there__": { "type": "string" }, "__token__": { "type": "string", "external": true },
        },
        "target_definitions": { API: server.target(), HOST: host },
        "authentication_info_definitions": { KEY: sshd.authentication("user") },
        "steps": {
            "S": { "type": "start", "on_completion": "Score" },
            "Score": { "targets": [API], "out_args": ["__score__"], "on_completion": "P",
                       "commands": [{ "type": "http-api", "command": "GET /score HTTP/1.1", "headers": { "Authorization": ["Bearer __token__:value"] } }] },
            "P": { "type": "parallel", "next_steps": ["Here", "There"], "on_completion": "Ask" },
            "Here": { "in_args": ["__score__"], "commands": [{ "type": "bash", "command": "echo score $__score__ here" }], "out_args": ["__found__"], "on_completion": "e1" },
            "There": { "targets": [HOST], "commands": [{ "type": "ssh", "command": "echo over ssh: ${SSH_CONNECTION:+yes}" }], "out_args": ["__there__"], "on_completion": "e2" },
            "Ask": { "commands": [{ "type": "manual", "command": "score __score__:value, isolate?" }], "out_args": ["__ok__"], "on_completion": "File" },
            "File": { "targets": [API], "on_completion": "e3",
                      "commands": [{ "type": "http-api", "command": "POST /reports HTTP/1.1", "content": "{\"ok\": __ok__:value, \"there\": \"__there__:value\"}" }] },
        },
    });
    let lab = Lab::new();
    lab.write("p.json", &playbook(&short));
    lab.write(
        "windlass.toml",
        "allow = ['bash', 'http-api', 'ssh']\n[secrets]\n__token__ = { env = \"TOKEN\" }\n",
    );
    // The key of a target is no property of the standard; lenient mode takes what it does not know.
    let mut command = lab.command(&["run", "p.json", "--lenient", "--json"]);
    let run = command.env("TOKEN", "hunter2").spawn().unwrap();
    eventually("a person is asked", || {
        let show = lab.call(&["show", "last", "--json"]);
        show.code == Some(0) && show.json()["tasks"][0]["text"] == "score 7, isolate?"
    });
    lab.call(&["approve", "last", "Ask", "--var", "__ok__=true"])
        .expect(0);
    let done = ended(run).expect(0);
    assert!(
        !done.out.contains("hunter2") && !done.err.contains("hunter2"),
        "{done:?}"
    );
    let outputs = &done.json()["runs"][0]["outputs"];
    assert_eq!(outputs["variables"]["__found__"], "score 7 here");
    assert_eq!(outputs["variables"]["__there__"], "over ssh: yes");
    assert_eq!(outputs["steps"]["File"]["result"], "filed");
    let show = lab.last_run();
    let rows = show["steps"].as_array().unwrap();
    let read = |step: &str| {
        let row = rows.iter().find(|row| row["step"] == step);
        row.unwrap()["input"]["variables"].clone()
    };
    assert_eq!(read("Here"), json!({ "__score__": "7" }));
    assert_eq!(
        read("File"),
        json!({ "__ok__": "true", "__there__": "over ssh: yes" })
    );
    assert_eq!(read("There"), json!({}));
    let asked = server.asked();
    assert_eq!(asked.len(), 2, "each request is made once");
    assert_eq!(asked[0].header("authorization"), ["Bearer hunter2"]);
    assert_eq!(
        String::from_utf8_lossy(&asked[1].body),
        "{\"ok\": true, \"there\": \"over ssh: yes\"}"
    );
    assert_ne!(
        asked[0].header("idempotency-key"),
        asked[1].header("idempotency-key")
    );
}
