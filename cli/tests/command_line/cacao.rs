//! CACAO playbooks through the command line: run, killed and resumed, answered by people, calling each
//! other, refused.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::lab::{Lab, ended, eventually, kill};
use crate::short::playbook;

/// What the open executor of CACAO gets wrong: a parallel, a switch and an `on_failure`.
const EXAMPLE: &str = include_str!("../../../examples/isolate-host.json");

fn bash(text: &str) -> Value {
    json!([{ "type": "bash", "command": text }])
}

/// The status of each step of a run, by name.
fn status_of(show: &Value, step: &str) -> String {
    let mut rows = show["steps"].as_array().unwrap().iter();
    let row = rows.find(|row| row["step"] == step && row["kind"] != "if-condition");
    let row = row.unwrap_or_else(|| panic!("{step} in {show:#}"));
    row["status"].as_str().unwrap().to_owned()
}

#[test]
fn the_example_goes_its_second_way() {
    let lab = Lab::new();
    lab.write("p.json", EXAMPLE);
    let run = lab
        .call(&["run", "p.json", "--allow", "bash", "--json"])
        .expect(0)
        .json();
    let outputs = &run["runs"][0]["outputs"];
    assert_eq!(outputs["variables"]["__kind__"], "malware");
    assert_eq!(
        outputs["steps"]["Isolate at the switch"]["result"],
        "desk-17 is isolated"
    );
    assert_eq!(
        outputs["handled_failures"][0]["step"],
        "Isolate at the firewall"
    );
    let show = lab.last_run();
    for (step, status) in [
        ("Collect logs", "succeeded"),
        ("Judge the alert", "succeeded"),
        ("Isolate at the firewall", "failed"),
        ("Isolate at the switch", "succeeded"),
        ("Log the alert", "skipped"),
        ("Notify", "succeeded"),
        ("Enrich", "succeeded"),
        ("Kind of alert", "succeeded"),
    ] {
        assert_eq!(status_of(&show, step), status, "{step}");
    }
    let rows = show["steps"].as_array().unwrap();
    let collect = rows
        .iter()
        .find(|row| row["step"] == "Collect logs")
        .unwrap();
    assert_eq!(
        (&collect["parent_step_id"], &collect["join_policy"]),
        (&"Enrich".into(), &"all".into())
    );
    assert!(
        collect["branch_name"]
            .as_str()
            .unwrap()
            .starts_with("1:action--")
    );
}

#[test]
fn commands_run_only_if_their_kind_is_allowed() {
    let lab = Lab::new();
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "commands": bash("touch done"), "on_completion": "B" },
        "B": { "commands": [{ "type": "http-api", "command": "GET / HTTP/1.1" }], "on_completion": "e1" },
    }});
    lab.write("p.json", &playbook(&short));
    lab.call(&["run", "p.json"]).expect(2).says(&[
        "\"bash\" (steps A)",
        "\"http-api\" (steps B)",
        "--allow bash,http-api",
    ]);
    lab.call(&["run", "p.json", "--allow", "bash"])
        .expect(2)
        .says(&["\"http-api\" (steps B)"]);
    assert!(!lab.path("done").exists());
    let unknown = playbook(&json!({ "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "commands": [{ "type": "yara", "command_b64": "YQ==" }], "on_completion": "e1" },
    }}));
    lab.write("y.json", &unknown);
    lab.call(&["run", "y.json"])
        .expect(2)
        .says(&["no handler for type yara"]);
}

#[test]
fn a_run_killed_in_a_step_goes_on_there_and_repeats_nothing() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "0" } },
        "steps": {
            "S": { "type": "start", "on_completion": "W" },
            "W": { "type": "while-condition", "condition": "__n__:value < 4", "on_true": "A", "on_completion": "B" },
            "A": { "out_args": ["__n__"], "on_completion": "e1",
                   "commands": bash("echo __n__:value >> rounds; [ __n__:value != 2 ] || [ -e go ] || { touch stuck; sleep 100; }; echo $((__n__:value + 1))") },
            "B": { "commands": bash("cat rounds"), "on_completion": "e2" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.kill_when_stuck(&["run", "p.json", "--allow", "bash"]);
    lab.write("go", "");
    let resumed = lab.call(&["resume", "last", "--json"]).expect(0).json();
    let outputs = &resumed["runs"][0]["outputs"];
    // Only the attempt that was cut off is made again.
    assert_eq!(outputs["steps"]["B"]["result"], "0\n1\n2\n2\n3");
    assert_eq!(outputs["variables"]["__n__"], "4");
}

#[test]
fn an_action_of_several_commands_is_what_they_come_to() {
    let lab = Lab::new();
    for (second, code, status) in [("true", 0, "succeeded"), ("false", 1, "failed")] {
        for timeout in [Value::Null, json!(60_000)] {
            let mut action = json!({ "on_completion": "e", "commands": [
                { "type": "bash", "command": "true" }, { "type": "bash", "command": second },
            ] });
            if timeout.is_number() {
                action["timeout"] = timeout;
            }
            let short =
                json!({ "steps": { "S": { "type": "start", "on_completion": "A" }, "A": action } });
            lab.write("p.json", &playbook(&short));
            lab.call(&["run", "p.json", "--allow", "bash"]).expect(code);
            let show = lab.last_run();
            assert_eq!(status_of(&show, "A"), status);
            assert_eq!(status_of(&show, "A/2"), status);
            let rows = show["steps"].as_array().unwrap().iter();
            let calls = rows.filter(|row| row["parent"] == "A").count();
            assert_eq!(calls, 2, "{show:#}");
        }
    }
}

#[test]
fn a_logic_step_whose_condition_took_no_branch_is_done() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "1" } },
        "steps": {
            "S": { "type": "start", "on_completion": "I" },
            "I": { "type": "if-condition", "condition": "__n__:value = 2", "on_true": "A", "on_completion": "W" },
            "A": { "commands": bash("true"), "on_completion": "e1" },
            "W": { "type": "while-condition", "condition": "__n__:value > 5", "on_true": "B", "on_completion": "J" },
            "B": { "commands": bash("true"), "on_completion": "e2" },
            "J": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "C", "on_false": "K", "on_completion": "e6" },
            "C": { "commands": bash("true"), "on_completion": "e3" },
            "K": { "type": "if-condition", "condition": "__n__:value = 2", "on_true": "D", "on_completion": "e4" },
            "D": { "commands": bash("true"), "on_completion": "e5" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.call(&["run", "p.json", "--allow", "bash"]).expect(0);
    let show = lab.last_run();
    let rows = show["steps"].as_array().unwrap();
    let status = |step: &str| {
        let row = rows.iter().find(|row| row["step"] == step).unwrap();
        row["status"].as_str().unwrap().to_owned()
    };
    for (step, expected) in [
        ("I", "succeeded"),
        ("A", "skipped"),
        ("W", "succeeded"),
        ("J", "succeeded"),
        ("C", "succeeded"),
        ("K", "skipped"),
    ] {
        assert_eq!(status(step), expected, "{step}");
    }
}

#[test]
fn a_retry_repeats_no_branch_of_a_parallel_that_was_done() {
    let lab = Lab::new();
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "P" },
        "P": { "type": "parallel", "next_steps": ["A", "B"], "on_completion": "C" },
        "A": { "commands": bash("echo A >> log"), "on_completion": "e1" },
        "B": { "commands": bash("echo B >> log; test -e ready"), "on_completion": "e2" },
        "C": { "commands": bash("cat log"), "on_completion": "e3" },
    } });
    lab.write("p.json", &playbook(&short));
    lab.call(&["run", "p.json", "--allow", "bash"]).expect(1);
    assert_eq!(status_of(&lab.last_run(), "P"), "failed");
    lab.write("ready", "");
    let done = lab.call(&["retry", "last", "--json"]).expect(0).json();
    let log = done["runs"][0]["outputs"]["steps"]["C"]["result"].as_str();
    let mut log: Vec<_> = log.unwrap().lines().collect();
    log.sort_unstable();
    assert_eq!(log, ["A", "B", "B"]);
    assert_eq!(status_of(&lab.last_run(), "P"), "succeeded");
}

#[test]
fn people_answer_what_a_playbook_asks() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__host__": { "type": "string", "external": true }, "__ok__": { "type": "bool" } },
        "steps": {
            "S": { "type": "start", "on_completion": "Ask" },
            "Ask": { "out_args": ["__ok__"], "commands": [{ "type": "manual", "command": "isolate __host__:value?" }], "on_success": "I", "on_failure": "N" },
            "I": { "type": "if-condition", "condition": "__ok__:value", "on_true": "A", "on_completion": "e1" },
            "A": { "commands": bash("echo isolated"), "on_completion": "e2" },
            "N": { "commands": bash("echo kept"), "on_completion": "e3" },
        },
    });
    lab.write("p.json", &playbook(&short));
    let begin = || {
        let run = lab.start(&[
            "run",
            "p.json",
            "--allow",
            "bash",
            "--input",
            r#"{"__host__": "fw"}"#,
            "--json",
        ]);
        eventually("it is asked", || {
            let show = lab.call(&["show", "last", "--json"]);
            show.code == Some(0) && show.json()["tasks"][0]["text"] == "isolate fw?"
        });
        run
    };
    let run = begin();
    lab.call(&["show", "last"]).expect(0);
    lab.call(&["approve", "last", "Ask"])
        .expect(2)
        .says(&["no value for __ok__"]);
    lab.call(&["approve", "last", "Ask", "--var", "__ok__=perhaps"])
        .expect(2)
        .says(&["no bool"]);
    lab.call(&["approve", "last", "Else", "--var", "__ok__=true"])
        .expect(2)
        .says(&["these do: \"Ask\""]);
    lab.call(&[
        "approve",
        "last",
        "ask",
        "--var",
        "__ok__=true",
        "--by",
        "kim",
    ])
    .expect(0);
    let done = ended(run).expect(0).json();
    let outputs = &done["runs"][0]["outputs"]["steps"];
    assert_eq!(
        (&outputs["A"]["result"], &outputs["Ask"]["by"]),
        (&"isolated".into(), &"kim".into())
    );
    lab.call(&["approve", "last", "Ask"])
        .expect(2)
        .says(&["no step of run"]);

    // The answer may also come while nobody runs it.
    kill(begin());
    lab.call(&[
        "reject",
        "last",
        "Ask",
        "--by",
        "kim",
        "--message",
        "too risky",
    ])
    .expect(0);
    let done = lab.call(&["resume", "last", "--json"]).expect(0).json();
    let outputs = &done["runs"][0]["outputs"];
    assert_eq!(outputs["steps"]["N"]["result"], "kept");
    let message = outputs["handled_failures"][0]["errors"][0]["message"]
        .as_str()
        .unwrap();
    assert!(
        message.starts_with("it was rejected by kim: too risky"),
        "{message}"
    );
}

const CHILD: &str = "playbook--767d859e-7387-4e0c-95c0-458ca369486f";

#[test]
fn playbooks_call_each_other_also_across_a_kill() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("store")).unwrap();
    let child = |modified: &str, text: &str| {
        playbook(&json!({
            "id": CHILD, "name": "child", "modified": modified,
            "playbook_variables": { "__in__": { "type": "string", "external": true }, "__out__": { "type": "string" } },
            "steps": {
                "S": { "type": "start", "on_completion": "C" },
                "C": { "commands": bash(text), "out_args": ["__out__"], "on_completion": "e1" },
            },
        }))
    };
    let waits = "[ -e go ] || { touch stuck; sleep 100; }; echo \"new __in__:value\"";
    lab.write(
        "store/old.json",
        &child("2025-02-01T00:00:00.000Z", "echo old"),
    );
    lab.write("store/new.json", &child("2025-03-01T00:00:00.000Z", waits));
    lab.write("store/notes.txt", "no playbook");
    let parent = json!({
        "playbook_variables": { "__in__": { "type": "string", "value": "x" }, "__out__": { "type": "string" } },
        "steps": {
            "S": { "type": "start", "on_completion": "P" },
            "P": { "type": "playbook-action", "playbook_id": CHILD, "in_args": ["__in__"], "out_args": ["__out__"], "on_completion": "e1" },
        },
    });
    lab.write("p.json", &playbook(&parent));
    lab.call(&["run", "p.json", "--allow", "bash"])
        .expect(2)
        .says(&["playbook-not-found"]);
    lab.call(&["run", "p.json", "--playbooks", "store"])
        .expect(2)
        .says(&["\"bash\" (steps C)"]);
    lab.kill_when_stuck(&["run", "p.json", "--allow", "bash", "--playbooks", "store"]);
    let last = lab.last_run();
    assert_eq!(
        last["steps"][0]["step"], "P",
        "the run that was started, not the one it called"
    );
    lab.write("go", "");
    let done = lab.call(&["resume", "--json"]).expect(0).json();
    assert_eq!(
        done["runs"][0]["outputs"]["variables"]["__out__"], "new x",
        "{done:#}"
    );
}

#[test]
fn what_a_host_refuses_is_not_run() {
    let lab = Lab::new();
    lab.write("p.json", EXAMPLE);
    let words = [
        "run",
        "p.json",
        "--allow",
        "bash",
        "--refuse",
        "parallel_processing",
    ];
    lab.call(&words)
        .expect(2)
        .says(&["feature-refused", "used by Enrich"]);
    lab.call(&["check", "p.json", "--refuse", "paralel_processing"])
        .expect(2)
        .says(&["did you mean \"parallel_processing\"?"]);
    lab.write(
        "windlass.toml",
        "[dialects.cacao]\nrefuse_features = [\"switch_logic\"]\nmax_loop_iterations = 0\n",
    );
    lab.call(&["check", "p.json"])
        .expect(2)
        .says(&["dialects.cacao.max_loop_iterations"]);
    lab.write(
        "windlass.toml",
        "[dialects.cacao]\nrefuse_features = [\"switch_logic\"]\n",
    );
    let check = lab.call(&["check", "p.json"]).expect(2);
    assert!(
        check.out.contains("p.json:1:1: error[feature-refused]"),
        "{check:?}"
    );
}

#[test]
fn a_start_is_refused_before_anything_is_stored() {
    let lab = Lab::new();
    let expired = json!({ "valid_until": "2025-12-31T00:00:00Z", "steps": {
        "S": { "type": "start", "on_completion": "A" }, "A": { "commands": bash("true"), "on_completion": "e1" },
    }});
    lab.write("p.json", &playbook(&expired));
    lab.call(&["run", "p.json", "--allow", "bash"])
        .expect(2)
        .says(&["[playbook-expired]"]);
    assert!(!lab.path("windlass.db").exists());
    lab.write(
        "windlass.toml",
        "[dialects.cacao]\nignore_validity = true\n",
    );
    lab.call(&["run", "p.json", "--allow", "bash"]).expect(0);
    let missing = json!({ "playbook_variables": { "__host__": { "type": "string", "external": true } }, "steps": {
        "S": { "type": "start", "on_completion": "A" }, "A": { "commands": bash("true"), "on_completion": "e1" },
    }});
    lab.write("m.json", &playbook(&missing));
    lab.call(&["run", "m.json", "--allow", "bash"])
        .expect(2)
        .says(&["[external-missing]"]);
}

#[test]
fn secrets_are_filled_in_at_the_last_moment_and_never_shown() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__token__": { "type": "string", "external": true }, "__seen__": { "type": "string" } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "commands": bash("[ \"$(printf %s '__token__:value' | wc -c)\" = 7 ] && echo 'it is __token__:value'; echo __token__:value >&2"), "out_args": ["__seen__"], "on_completion": "e1" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.write(
        "windlass.toml",
        "[secrets]\n__token__ = { env = \"TOKEN\" }\n",
    );
    lab.call(&["run", "p.json", "--allow", "bash"])
        .expect(2)
        .says(&["TOKEN is not set"]);
    let mut command = lab.command(&[
        "run", "p.json", "--allow", "bash", "--json", "--log", "debug",
    ]);
    let done = ended(command.env("TOKEN", "hunter2").spawn().unwrap()).expect(0);
    assert_eq!(
        done.json()["runs"][0]["outputs"]["variables"]["__seen__"],
        "it is ***"
    );
    assert!(
        !done.out.contains("hunter2") && !done.err.contains("hunter2"),
        "{done:?}"
    );
    for name in ["windlass.db", "windlass.db-wal"] {
        let stored = std::fs::read(lab.path(name)).unwrap_or_default();
        assert!(
            !stored.windows(7).any(|bytes| bytes == b"hunter2"),
            "{name}"
        );
    }
}

#[test]
fn a_program_may_do_a_command_and_any_step_can_be_rehearsed() {
    let lab = Lab::new();
    lab.write("p.json", EXAMPLE);
    lab.write("h.toml", "[handlers.'*']\nsimulate = '1ms'\n");
    let run = lab
        .call(&["run", "p.json", "--handlers", "h.toml", "--json"])
        .expect(0)
        .json();
    assert_eq!(
        run["runs"][0]["outputs"]["variables"]["__kind__"],
        "Judge the alert.__kind__"
    );
    lab.write(
        "h.toml",
        "[handlers.bash]\nsimulate = '1ms'\noutput = { __kind__ = 'malware' }\n",
    );
    let run = lab
        .call(&["run", "p.json", "--handlers", "h.toml", "--json"])
        .expect(0)
        .json();
    assert!(run["runs"][0]["outputs"]["steps"]["Isolate at the firewall"].is_object());
    lab.write("h.toml", "[handlers.bash]\ncommand = ['sh', '-c', 'cat >> calls; echo \"{\\\"__kind__\\\": \\\"x\\\"}\"']\n");
    lab.call(&["run", "p.json", "--handlers", "h.toml"])
        .expect(0);
    let calls = lab.read("calls");
    for word in [
        "\"step_name\":\"Collect logs\"",
        "\"raw\":",
        "\"idempotency_key\":",
        "\"run_id\":",
    ] {
        assert!(calls.contains(word), "{word} in {calls}");
    }
}

/// Files of others that lenient mode accepts, with what their runs begin with and how they end: one
/// counts to five, which made-up values never do.
const FILES: [(&str, &str, i32); 8] = [
    ("layout-extension--switch-example.json", "{}", 0),
    (
        "oca-iob-lotl--lotl-correlation.json",
        r#"{"__event_type__": "logs deleted on computer"}"#,
        0,
    ),
    ("oca-iob-rev4--mitigate.json", "{}", 0),
    ("oca-iob-rev4--quarantine-and-remediate.json", "{}", 0),
    ("soarca-caldera--flow-control.json", "{}", 0),
    (
        "soarca-docs--example-playbook-if-while.json",
        r#"{"__target_ip__": "192.0.2.1", "__openc2_actuator_ip__": "192.0.2.2"}"#,
        1,
    ),
    ("soarca-example--http-playbook.json", "{}", 0),
    ("soarca-example--manual-playbook.json", "{}", 0),
];

#[test]
fn files_of_others_come_to_their_ends_also_when_killed_in_the_middle() {
    let shared = std::env::var_os("WINDLASS_SHARED").map(PathBuf::from);
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    let folder = shared.unwrap_or_else(beside).join("data/cacao");
    if !folder.is_dir() {
        eprintln!("no shared files at {}; nothing checked", folder.display());
        return;
    }
    for (name, input, code) in FILES {
        let path = folder.join(name);
        let file = path.to_str().unwrap();
        let store = folder.to_str().unwrap();
        let lab = Lab::new();
        lab.write("fast.toml", "[handlers.'*']\nsimulate = '1ms'\n");
        lab.write("slow.toml", "[handlers.'*']\nsimulate = '400ms'\n");
        let words = |handlers| {
            [
                "run",
                file,
                "--lenient",
                "--playbooks",
                store,
                "--input",
                input,
                "--handlers",
                handlers,
                "--json",
            ]
        };
        let plain = lab.call(&words("fast.toml")).expect(code).json();
        let engine = lab.start(&words("slow.toml"));
        eventually("a step has ended, or works", || {
            let show = lab.call(&["show", "last", "--json"]).json();
            let done = |row: &Value| row["status"] == "succeeded" || row["status"] == "running";
            show["run"]["status"] == "running" && show["steps"].as_array().unwrap().iter().any(done)
        });
        kill(engine);
        let killed = lab.last_run();
        assert_eq!(killed["run"]["ended_at"], Value::Null, "{name}");
        let resumed = lab
            .call(&["resume", "last", "--handlers", "fast.toml", "--json"])
            .expect(code)
            .json();
        let outcome = |done: &Value| {
            let run = &done["runs"][0];
            json!([run["outputs"], run["errors"]])
        };
        assert_eq!(outcome(&resumed), outcome(&plain), "{name}");
    }
}

#[test]
fn an_answer_names_the_run_to_go_on_with_also_if_a_called_one_has_asked() {
    let lab = Lab::new();
    std::fs::create_dir(lab.path("store")).unwrap();
    let child = json!({ "id": CHILD, "name": "child", "steps": {
        "S": { "type": "start", "on_completion": "Ask" },
        "Ask": { "commands": [{ "type": "manual", "command": "go on?" }], "on_completion": "e1" },
    } });
    lab.write("store/child.json", &playbook(&child));
    let parent = json!({ "steps": {
        "S": { "type": "start", "on_completion": "P" },
        "P": { "type": "playbook-action", "playbook_id": CHILD, "on_completion": "e1" },
    } });
    lab.write("p.json", &playbook(&parent));
    let run = lab.start(&["run", "p.json", "--playbooks", "store"]);
    eventually("it is asked", || {
        let show = lab.call(&["show", "last", "--json"]);
        show.code == Some(0) && show.json()["tasks"][0]["step"] == "Ask"
    });
    kill(run);
    let show = lab.last_run();
    let (asks, started) = (&show["tasks"][0]["run"], &show["run"]["run"]);
    assert_ne!(asks, started);
    let (asks, started) = (asks.as_str().unwrap(), started.as_str().unwrap());
    for (run, person) in [(asks, true), (started, false)] {
        let why = lab.call(&["why", run, "--db", "windlass.db"]).expect(0).out;
        assert_eq!(why.contains("waits for a person"), person, "{why}");
        let answer = format!("windlass approve {asks} Ask --db windlass.db\n");
        assert!(why.ends_with(&answer), "{why}");
    }
    let said = lab.call(&["approve", "last", "Ask"]).expect(0).out;
    assert!(
        said.contains(&format!("step \"Ask\" of run {asks} is approved;")),
        "{said}"
    );
    assert!(
        said.ends_with(&format!("windlass resume {started}\n")),
        "{said}"
    );
    lab.call(&["resume", started]).expect(0);
}
