//! The rows of runs of playbooks: branches, rounds, what people were asked, what failed.

use serde_json::{Value, json};

use crate::lab::{Lab, ended, eventually, kill};
use crate::short::playbook;

fn bash(text: &str) -> Value {
    json!([{ "type": "bash", "command": text }])
}

/// Rows in short, one line each, of the kinds that are asked for: step, branch, status and reason.
fn rows(show: &Value, kinds: &[&str]) -> Vec<String> {
    let rows = show["steps"].as_array().unwrap().iter();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or("-").to_owned();
    rows.filter(|row| kinds.contains(&row["kind"].as_str().unwrap()))
        .map(|row| {
            let words = [
                "step",
                "parent",
                "branch",
                "join_policy",
                "status",
                "reason",
            ];
            // Ids of steps say nothing here.
            let words = words.map(|field| {
                let text = text(row, field);
                let types = ["action--", "end--", "if-condition--"];
                let end = types.iter().filter_map(|id| text.find(id)).min();
                text[..end.unwrap_or(text.len())].to_owned()
            });
            words.join(" ")
        })
        .collect()
}

#[test]
fn every_branch_has_a_row_also_one_that_is_an_end_alone() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "1" }, "__k__": { "type": "string", "value": "b" } },
        "steps": {
            "S": { "type": "start", "on_completion": "P" },
            "P": { "type": "parallel", "next_steps": ["A", "e1", "B"], "on_success": "I", "on_failure": "I" },
            "A": { "commands": bash("true"), "on_completion": "e2" },
            "B": { "commands": bash("false"), "on_completion": "e3" },
            "I": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "e4", "on_false": "C", "on_completion": "K" },
            "C": { "commands": bash("true"), "on_completion": "e5" },
            "K": { "type": "switch-condition", "switch": "__k__:value", "cases": { "a": "D", "b": "E" }, "on_completion": "e6" },
            "D": { "commands": bash("true"), "on_completion": "e7" },
            "E": { "commands": bash("true"), "on_completion": "e8" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.call(&["run", "p.json", "--allow", "bash"]).expect(0);
    let show = lab.last_run();
    assert_eq!(
        rows(&show, &["branch"]),
        [
            "P/1: P 1: all succeeded -",
            "P/2: P 2: all succeeded -",
            "P/3: P 3: all failed -",
            "I/on_true I on_true exclusive succeeded -",
            "I/on_false I on_false exclusive skipped not-taken",
            "K/a K a exclusive skipped not-taken",
            "K/b K b exclusive succeeded -",
        ]
    );
    let steps = show["steps"].as_array().unwrap();
    let third = steps
        .iter()
        .find(|row| row["kind"] == "branch" && row["status"] == "failed");
    assert_eq!(third.unwrap()["error"]["step"], "B");
    assert!(third.unwrap()["started_at"].is_string());
}

#[test]
fn branches_that_were_not_begun_have_rows_that_say_so() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "1" } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "commands": bash("touch stuck; [ -e go ] || sleep 100"), "on_completion": "P" },
            "P": { "type": "parallel", "next_steps": ["B", "e1", "J"], "on_completion": "I" },
            "B": { "commands": bash("true"), "on_completion": "e2" },
            "J": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "e5", "on_false": "e6", "on_completion": "e7" },
            "I": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "e3", "on_completion": "e4" },
        },
    });
    lab.write("p.json", &playbook(&short));
    let engine = lab.start(&["run", "p.json", "--allow", "bash"]);
    eventually("it is stuck", || lab.path("stuck").exists());
    let pending = [
        "P/1: P 1: all pending -",
        "P/2: P 2: all pending -",
        "P/3: P 3: all pending -",
        "I/on_true I on_true exclusive pending -",
        "J/on_true J on_true exclusive pending -",
        "J/on_false J on_false exclusive pending -",
    ];
    assert_eq!(rows(&lab.last_run(), &["branch"]), pending);
    kill(engine);
    lab.write("go", "");
    lab.call(&["resume", "last"]).expect(0);
    let done = [
        "P/1: P 1: all succeeded -",
        "P/2: P 2: all succeeded -",
        "P/3: P 3: all succeeded -",
        "I/on_true I on_true exclusive succeeded -",
        "J/on_true J on_true exclusive succeeded -",
        "J/on_false J on_false exclusive skipped not-taken",
    ];
    assert_eq!(rows(&lab.last_run(), &["branch"]), done);
    let blocks = rows(&lab.last_run(), &["if-condition"]);
    assert!(
        blocks.iter().all(|row| row.contains("succeeded")),
        "{blocks:?}"
    );
}

#[test]
fn the_rounds_of_a_while_are_named_by_their_number() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "0" } },
        "steps": {
            "S": { "type": "start", "on_completion": "W" },
            "W": { "type": "while-condition", "condition": "__n__:value < 3", "on_true": "I", "on_completion": "e1" },
            "I": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "P", "on_completion": "A" },
            "P": { "type": "parallel", "next_steps": ["B", "e2"], "on_completion": "e3" },
            "B": { "commands": bash("true"), "on_completion": "e4" },
            "A": { "commands": bash("echo $((__n__:value + 1)); [ __n__:value != 2 ] || [ -e ready ]"), "out_args": ["__n__"], "on_completion": "e5" },
        },
    });
    lab.write("p.json", &playbook(&short));
    let failed = lab.call(&["run", "p.json", "--allow", "bash", "--json"]);
    let failed = failed.expect(1).json();
    assert_eq!(failed["runs"][0]["errors"][0]["branch"], "iteration-3");
    let rounds = |last: &str| {
        [
            "W/iteration-1 W iteration-1 loop succeeded -".to_owned(),
            "W/iteration-2 W iteration-2 loop succeeded -".to_owned(),
            format!("W/iteration-3 W iteration-3 loop {last} -"),
        ]
    };
    let show = lab.last_run();
    assert_eq!(rows(&show, &["iteration"]), rounds("failed"));
    let steps = show["steps"].as_array().unwrap();
    let named = |step: &str| {
        let rows = steps.iter().filter(|row| row["step"] == step);
        let rows = rows.filter(|row| row["activation"] != "");
        let named = rows.map(|row| format!("{} {}", row["branch_name"], row["iteration"]));
        named.collect::<Vec<_>>()
    };
    assert_eq!(
        named("A"),
        [
            "\"iteration-1\" 1",
            "\"iteration-2\" 2",
            "\"iteration-3\" 3"
        ]
    );
    let [of_b] = &named("B")[..] else {
        panic!("B was done once")
    };
    assert!(
        of_b.starts_with("\"1:action--") && of_b.ends_with(" 2"),
        "{of_b}"
    );
    lab.write("ready", "");
    lab.call(&["retry", "last"]).expect(0);
    assert_eq!(rows(&lab.last_run(), &["iteration"]), rounds("succeeded"));
}

#[test]
fn what_goes_on_after_a_parallel_that_failed_has_not_failed() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "0" } },
        "steps": {
            "S": { "type": "start", "on_completion": "W" },
            "W": { "type": "while-condition", "condition": "__n__:value < 2", "on_true": "P", "on_completion": "e1" },
            "P": { "type": "parallel", "next_steps": ["A", "e2"], "on_success": "N", "on_failure": "N" },
            "A": { "timeout": 60_000, "on_completion": "e3",
                   "commands": [{ "type": "bash", "command": "true" }, { "type": "bash", "command": "false" }] },
            "N": { "commands": bash("echo $((__n__:value + 1))"), "out_args": ["__n__"], "on_completion": "e4" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.call(&["run", "p.json", "--allow", "bash"]).expect(0);
    let show = lab.last_run();
    assert_eq!(
        rows(&show, &["while-condition", "iteration", "parallel"]),
        [
            "W - - loop succeeded -",
            "W/iteration-1 W iteration-1 loop succeeded -",
            "W/iteration-2 W iteration-2 loop succeeded -",
            "P W iteration-1 all failed -",
            "P W iteration-2 all failed -",
        ]
    );
    let steps = show["steps"].as_array().unwrap();
    let calls: Vec<_> = steps.iter().filter(|row| row["parent"] == "A").collect();
    assert_eq!(calls.len(), 4);
    assert!(
        calls.iter().all(|row| row["branch"].is_null()),
        "{calls:#?}"
    );
}

#[test]
fn what_is_around_a_parallel_that_failed_has_failed_also_with_an_exception_chain() {
    let lab = Lab::new();
    let short = json!({
        "workflow_exception": "X",
        "playbook_variables": { "__n__": { "type": "integer", "value": "1" } },
        "steps": {
            "S": { "type": "start", "on_completion": "I" },
            "I": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "P", "on_completion": "e1" },
            "P": { "type": "parallel", "next_steps": ["A", "e2"], "on_completion": "e3" },
            "A": { "commands": bash("false"), "on_completion": "e4" },
            "X": { "commands": bash("true"), "on_completion": "e5" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.call(&["run", "p.json", "--allow", "bash"]).expect(1);
    assert_eq!(
        rows(&lab.last_run(), &["if-condition", "parallel", "branch"]),
        [
            "I - - exclusive failed -",
            "I/on_true I on_true exclusive failed -",
            "P I on_true all failed -",
            "P/1: P 1: all failed -",
            "P/2: P 2: all succeeded -",
        ]
    );
}

#[test]
fn a_branch_that_is_an_end_alone_is_done_also_when_its_run_is_cancelled() {
    let lab = Lab::new();
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "P" },
        "P": { "type": "parallel", "next_steps": ["A", "e1"], "on_completion": "e2" },
        "A": { "commands": bash("touch stuck; sleep 100"), "on_completion": "e3" },
    } });
    lab.write("p.json", &playbook(&short));
    let run = lab.start(&["run", "p.json", "--allow", "bash"]);
    eventually("it is stuck", || lab.path("stuck").exists());
    lab.call(&["cancel", "last"]).expect(0);
    ended(run);
    let branches = rows(&lab.last_run(), &["branch"]);
    assert_eq!(branches.len(), 2);
    assert!(branches[0].contains("cancelled"), "{branches:?}");
    assert_eq!(branches[1], "P/2: P 2: all succeeded -");
}

#[test]
fn a_rejected_step_is_shown_as_failed_with_who_and_why() {
    let lab = Lab::new();
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "Ask" },
        "Ask": { "commands": [{ "type": "manual", "command": "isolate?" }], "on_success": "A", "on_failure": "N" },
        "A": { "commands": bash("true"), "on_completion": "e1" },
        "N": { "commands": bash("true"), "on_completion": "e2" },
    } });
    lab.write("p.json", &playbook(&short));
    let run = lab.start(&["run", "p.json", "--allow", "bash"]);
    eventually("it is asked", || {
        let show = lab.call(&["show", "last", "--json"]);
        show.code == Some(0) && show.json()["tasks"][0]["text"] == "isolate?"
    });
    assert_eq!(rows(&lab.last_run(), &["manual"]), ["Ask - - - waiting -"]);
    let words = [
        "reject",
        "last",
        "Ask",
        "--by",
        "kim",
        "--message",
        "too risky",
    ];
    lab.call(&words).expect(0);
    ended(run).expect(0);
    let show = lab.last_run();
    assert_eq!(rows(&show, &["manual"]), ["Ask - - - failed -"]);
    let mut steps = show["steps"].as_array().unwrap().iter();
    let error = &steps.find(|row| row["step"] == "Ask").unwrap()["error"];
    assert_eq!(error["code"], "handler-failed");
    let message = error["message"].as_str().unwrap();
    assert!(
        message.starts_with("it was rejected by kim: too risky"),
        "{message}"
    );
}

#[test]
fn an_error_says_whether_the_exception_chain_was_gone_through_for_it() {
    for (chain, handled) in [("true", true), ("false", false)] {
        let lab = Lab::new();
        let short = json!({ "workflow_exception": "X", "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "commands": bash("false"), "on_completion": "e1" },
            "X": { "commands": bash(chain), "on_completion": "e2" },
        } });
        lab.write("p.json", &playbook(&short));
        let run = lab
            .call(&["run", "p.json", "--allow", "bash", "--json"])
            .expect(1);
        let show = lab.last_run();
        for errors in [&run.json()["runs"][0]["errors"], &show["errors"]] {
            assert_eq!(errors[0]["step"], "A");
            assert_eq!(errors[0]["exception_handled"], handled, "{errors:#}");
        }
    }
}

#[test]
fn what_a_step_that_failed_has_warned_of_is_among_the_warnings_of_its_run() {
    for (steps, code) in [
        (
            json!({
                "S": { "type": "start", "on_completion": "A" },
                "A": { "commands": bash("echo __ip__:value; false"), "on_completion": "e1" },
            }),
            1,
        ),
        (
            json!({
                "S": { "type": "start", "on_completion": "P" },
                "P": { "type": "parallel", "next_steps": ["A", "e1"], "on_success": "e2", "on_failure": "B" },
                "A": { "commands": bash("echo __ip__:value; false"), "on_completion": "e3" },
                "B": { "commands": bash("true"), "on_completion": "e4" },
            }),
            0,
        ),
    ] {
        let lab = Lab::new();
        let short =
            json!({ "playbook_variables": { "__ip__": { "type": "string" } }, "steps": steps });
        lab.write("p.json", &playbook(&short));
        let words = ["run", "p.json", "--lenient", "--allow", "bash", "--json"];
        let run = lab.call(&words).expect(code);
        let warnings = run.json()["runs"][0]["warnings"].clone();
        let warnings = warnings.as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let warning = warnings[0].as_str().unwrap();
        assert!(
            warning.starts_with("variable-no-value: A: __ip__ "),
            "{warning}"
        );
        assert!(run.err.contains("warning: variable-no-value: A"), "{run:?}");
    }
}

#[test]
fn what_a_step_has_warned_of_that_the_engine_cut_off_is_among_the_warnings_of_its_run() {
    let lab = Lab::new();
    let short = json!({ "playbook_variables": { "__ip__": { "type": "string" } }, "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "commands": bash("ping __ip__:value"), "timeout": 300, "on_completion": "e1" },
    } });
    lab.write("p.json", &playbook(&short));
    // A program is not told to stop before its time is over.
    lab.write("h.toml", "[handlers.bash]\ncommand = ['sleep', '100']\n");
    let words = [
        "run",
        "p.json",
        "--lenient",
        "--handlers",
        "h.toml",
        "--json",
    ];
    let run = lab.call(&words).expect(1).json();
    let run = &run["runs"][0];
    assert_eq!(run["errors"][0]["code"], "step-timeout");
    let warnings = run["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let warning = warnings[0].as_str().unwrap();
    assert!(
        warning.starts_with("variable-no-value: A: __ip__ "),
        "{warning}"
    );
}

#[test]
fn a_logic_step_whose_failure_was_handled_is_shown_as_failed() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "0" } },
        "steps": {
            "S": { "type": "start", "on_completion": "P" },
            "P": { "type": "parallel", "timeout": 400, "next_steps": ["A", "B"], "on_success": "e1", "on_failure": "W" },
            "A": { "commands": bash("sleep 100"), "on_completion": "e2" },
            "B": { "commands": bash("true"), "on_completion": "e3" },
            "W": { "type": "while-condition", "condition": "__n__:value = 0", "on_true": "C", "on_success": "e4", "on_failure": "F" },
            "C": { "commands": bash("true"), "on_completion": "e5" },
            "F": { "commands": bash("true"), "on_completion": "e6" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.write(
        "windlass.toml",
        "[dialects.cacao]\nmax_loop_iterations = 2\n",
    );
    lab.call(&["run", "p.json", "--allow", "bash"]).expect(0);
    let show = lab.last_run();
    assert_eq!(
        rows(&show, &["branch", "iteration"]),
        [
            "P/1: P 1: all cancelled -",
            "P/2: P 2: all succeeded -",
            "W/iteration-1 W iteration-1 loop succeeded -",
            "W/iteration-2 W iteration-2 loop succeeded -",
        ]
    );
    let steps = show["steps"].as_array().unwrap();
    for (step, message) in [
        ("P", "ACTION_TIMEOUT after 400 ms"),
        ("W", "2 iterations; the cap is reached"),
    ] {
        let row = steps.iter().find(|row| row["step"] == step).unwrap();
        assert_eq!(row["status"], "failed", "{row:#}");
        let said = row["error"]["message"].as_str().unwrap();
        assert!(said.starts_with(message), "{said}");
    }
}

#[test]
fn a_decision_tells_which_variables_it_read_and_with_what_values() {
    let lab = Lab::new();
    let long = "x".repeat(2_000);
    let short = json!({
        "playbook_variables": {
            "__n__": { "type": "integer", "value": "0" },
            "__k__": { "type": "string", "value": "b" },
            "__long__": { "type": "string", "value": long },
            "__none__": { "type": "string" },
            "__password__": { "type": "string", "value": "hunter2" },
        },
        "authentication_info_definitions": {
            "http-basic--767d859e-7387-4e0c-95c0-458ca369486f":
                { "type": "http-basic", "user_id": "kim", "password": "__password__:value" },
        },
        "steps": {
            "S": { "type": "start", "on_completion": "I" },
            "I": { "type": "if-condition", "on_true": "A", "on_completion": "K",
                   "condition": "__password__:value = 'hunter3' OR __long__:value = 'x' OR __none__:value = 'x' OR __k__:value = 'b'" },
            "A": { "commands": bash("true"), "on_completion": "e1" },
            "K": { "type": "switch-condition", "switch": "__k__:value", "cases": { "b": "W" }, "on_completion": "e2" },
            "W": { "type": "while-condition", "condition": "__n__:value < 2", "on_true": "J", "on_completion": "e3" },
            "J": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "B", "on_completion": "C" },
            "B": { "commands": bash("true"), "on_completion": "e4" },
            "C": { "commands": bash("echo $((__n__:value + 1))"), "out_args": ["__n__"], "on_completion": "e5" },
        },
    });
    lab.write("p.json", &playbook(&short));
    lab.call(&["run", "p.json", "--lenient", "--allow", "bash"])
        .expect(0);
    let show = lab.last_run();
    let read = |step: &str| {
        let rows = show["steps"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["step"] == step);
        rows.map(|row| row["input"]["variables"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        read("I"),
        [json!({ "__password__": "***", "__long__": { "bytes": 2000 }, "__k__": "b" })]
    );
    assert_eq!(read("K"), [json!({ "__k__": "b" })]);
    // The last one: it led on.
    assert_eq!(read("W"), [json!({ "__n__": "2" })]);
    assert_eq!(read("W/iteration-1"), [json!({ "__n__": "0" })]);
    assert_eq!(read("W/iteration-2"), [json!({ "__n__": "1" })]);
    assert_eq!(read("I/on_true"), [Value::Null]);
    assert_eq!(*read("J").last().unwrap(), json!({ "__n__": "1" }));
}

#[test]
fn what_people_and_called_playbooks_read_and_gave_stands_in_their_rows() {
    for timeout in [Value::Null, json!(60_000)] {
        let lab = Lab::new();
        std::fs::create_dir(lab.path("store")).unwrap();
        let id = "playbook--767d859e-7387-4e0c-95c0-458ca369486f";
        let child = json!({ "id": id, "name": "child",
            "playbook_variables": { "__ip__": { "type": "string", "external": true }, "__out__": { "type": "string" } },
            "steps": {
                "S": { "type": "start", "on_completion": "C" },
                "C": { "commands": bash("echo __ip__:value is up"), "out_args": ["__out__"], "on_completion": "e1" },
            },
        });
        lab.write("store/child.json", &playbook(&child));
        let mut action = json!({ "type": "playbook-action", "playbook_id": id, "in_args": ["__ip__"], "out_args": ["__out__"], "on_completion": "Ask" });
        if timeout.is_number() {
            action["timeout"] = timeout.clone();
        }
        let parent = json!({
            "playbook_variables": {
                "__ip__": { "type": "string", "value": "10.0.0.1" }, "__out__": { "type": "string" }, "__ok__": { "type": "bool" },
            },
            "steps": {
                "S": { "type": "start", "on_completion": "P" },
                "P": action,
                "Ask": { "commands": [{ "type": "manual", "command": "__out__:value?" }], "out_args": ["__ok__"], "on_completion": "e1" },
            },
        });
        lab.write("p.json", &playbook(&parent));
        let run = lab.start(&["run", "p.json", "--playbooks", "store", "--allow", "bash"]);
        eventually("it is asked", || {
            let show = lab.call(&["show", "last", "--json"]);
            show.code == Some(0) && show.json()["tasks"][0]["step"] == "Ask"
        });
        lab.call(&["approve", "last", "Ask", "--var", "__ok__=true"])
            .expect(0);
        ended(run).expect(0);
        let show = lab.last_run();
        let steps = show["steps"].as_array().unwrap();
        let names: Vec<_> = steps
            .iter()
            .map(|row| row["step"].as_str().unwrap())
            .collect();
        let call = if timeout.is_number() { "P/call" } else { "P" };
        assert_eq!(
            names.last(),
            Some(&"Ask"),
            "nothing of the engine is among them: {names:?}"
        );
        for (step, read, gave) in [
            (
                call,
                json!({ "__ip__": "10.0.0.1" }),
                json!({ "__out__": "10.0.0.1 is up" }),
            ),
            (
                "Ask",
                json!({ "__out__": "10.0.0.1 is up" }),
                json!({ "__ok__": "true" }),
            ),
        ] {
            let row = steps.iter().find(|row| row["step"] == step).unwrap();
            assert_eq!(row["input"]["variables"], read, "{row:#}");
            assert_eq!(row["output"]["variables"], gave, "{row:#}");
        }
    }
}

#[test]
fn a_logic_step_in_a_loop_and_each_branch_of_it_have_a_row_for_each_round() {
    let lab = Lab::new();
    let short = json!({
        "playbook_variables": { "__m__": { "type": "integer", "value": "0" }, "__n__": { "type": "integer", "value": "0" } },
        "steps": {
            "S": { "type": "start", "on_completion": "V" },
            "V": { "type": "while-condition", "condition": "__m__:value < 2", "on_true": "W", "on_completion": "e1" },
            "W": { "type": "while-condition", "condition": "__n__:value < 2", "on_true": "I", "on_completion": "M" },
            "I": { "type": "if-condition", "condition": "__n__:value = 1", "on_true": "P", "on_completion": "N" },
            "P": { "type": "parallel", "next_steps": ["B", "e2"], "on_completion": "e3" },
            "B": { "commands": bash("true"), "on_completion": "e4" },
            "N": { "commands": bash("echo $((__n__:value + 1))"), "out_args": ["__n__"], "on_completion": "e5" },
            "M": { "commands": bash("[ __m__:value = 0 ] || [ -e ready ] || sleep 100; printf '{\"__m__\": \"%d\", \"__n__\": \"1\"}' $((__m__:value + 1))"),
                   "out_args": ["__m__", "__n__"], "on_completion": "e6" },
        },
    });
    lab.write("p.json", &playbook(&short));
    let engine = lab.start(&["run", "p.json", "--allow", "bash"]);
    let kinds = [
        "while-condition",
        "if-condition",
        "parallel",
        "branch",
        "iteration",
    ];
    let told = || {
        let show = lab.last_run();
        let of_kind = |row: &&Value| kinds.contains(&row["kind"].as_str().unwrap());
        let steps = show["steps"].as_array().unwrap().iter().filter(of_kind);
        let lines = rows(&show, &kinds).into_iter().zip(steps);
        lines
            .map(|(line, row)| format!("{} {line}", row["iteration"]))
            .collect::<Vec<_>>()
    };
    let rounds = |last: &str| {
        let last_of = |line: &str| format!("{line} {last} -");
        [
            last_of("null V - - loop"),
            "1 V/iteration-1 V iteration-1 loop succeeded -".to_owned(),
            last_of("2 V/iteration-2 V iteration-2 loop"),
            "1 W V iteration-1 loop succeeded -".to_owned(),
            "1 W/iteration-1 W iteration-1 loop succeeded -".to_owned(),
            "2 W/iteration-2 W iteration-2 loop succeeded -".to_owned(),
            "2 W V iteration-2 loop succeeded -".to_owned(),
            "1 W/iteration-1 W iteration-1 loop succeeded -".to_owned(),
            "1 I W iteration-1 exclusive succeeded -".to_owned(),
            "1 I/on_true I on_true exclusive skipped not-taken".to_owned(),
            "2 I W iteration-2 exclusive succeeded -".to_owned(),
            "2 I/on_true I on_true exclusive succeeded -".to_owned(),
            "1 I W iteration-1 exclusive succeeded -".to_owned(),
            "1 I/on_true I on_true exclusive succeeded -".to_owned(),
            "1 P I on_true all skipped not-taken".to_owned(),
            "1 P/1: P 1: all skipped not-taken".to_owned(),
            "1 P/2: P 2: all skipped not-taken".to_owned(),
            "2 P I on_true all succeeded -".to_owned(),
            "2 P/1: P 1: all succeeded -".to_owned(),
            "2 P/2: P 2: all succeeded -".to_owned(),
            "1 P I on_true all succeeded -".to_owned(),
            "1 P/1: P 1: all succeeded -".to_owned(),
            "1 P/2: P 2: all succeeded -".to_owned(),
        ]
    };
    eventually("it is in the last step", || {
        let show = lab.call(&["show", "last", "--json"]);
        show.code == Some(0) && {
            let show = show.json();
            let mut steps = show["steps"].as_array().unwrap().iter();
            steps.any(|row| {
                row["step"] == "M" && row["status"] == "running" && row["iteration"] == 2
            })
        }
    });
    assert_eq!(told(), rounds("running"));
    kill(engine);
    lab.write("ready", "");
    lab.call(&["resume", "last"]).expect(0);
    assert_eq!(told(), rounds("succeeded"));
    let show = lab.last_run();
    let steps = show["steps"].as_array().unwrap().iter();
    let of_b = steps.filter(|row| row["step"] == "B");
    let of_b: Vec<_> = of_b
        .map(|row| format!("{} {} {}", row["iteration"], row["status"], row["reason"]))
        .collect();
    let done = [
        "1 \"skipped\" \"not-taken\"",
        "2 \"succeeded\" null",
        "1 \"succeeded\" null",
    ];
    assert_eq!(of_b, done);
}

#[test]
fn a_logic_step_in_a_loop_has_failed_in_the_round_in_which_it_did() {
    for chain in [false, true] {
        let lab = Lab::new();
        let mut short = json!({
            "playbook_variables": { "__n__": { "type": "integer", "value": "0" }, "__k__": { "type": "string" } },
            "steps": {
                "S": { "type": "start", "on_completion": "W" },
                "W": { "type": "while-condition", "condition": "__n__:value < 3", "on_true": "I", "on_completion": "e1" },
                "I": { "type": "if-condition", "condition": "__n__:value = 0 OR __k__:value = 'x'", "on_true": "J", "on_success": "N", "on_failure": "N" },
                "J": { "type": "if-condition", "condition": "__n__:value = 0", "on_true": "e2", "on_completion": "e3" },
                "N": { "type": "if-condition", "condition": "__n__:value = 2 AND __k__:value = 'x'", "on_true": "e4", "on_completion": "A" },
                "A": { "commands": bash("echo $((__n__:value + 1))"), "out_args": ["__n__"], "on_completion": "e5" },
                "X": { "commands": bash("true"), "on_completion": "e6" },
            },
        });
        if chain {
            short["workflow_exception"] = "X".into();
        } else {
            short["steps"].as_object_mut().unwrap().remove("X");
        }
        lab.write("p.json", &playbook(&short));
        lab.call(&["run", "p.json", "--allow", "bash"]).expect(1);
        let show = lab.last_run();
        let steps = show["steps"].as_array().unwrap().iter();
        let told = |step: &'static str| {
            let rows = steps.clone().filter(move |row| row["step"] == step);
            rows.map(|row| {
                format!(
                    "{} {} {}",
                    row["iteration"], row["status"], row["error"]["code"]
                )
            })
            .collect::<Vec<_>>()
        };
        let ended = ["1 \"succeeded\" null", "2 \"failed\" \"variable-no-value\""];
        assert_eq!(told("I")[..2], ended);
        assert_eq!(told("I")[2], "3 \"failed\" \"variable-no-value\"");
        let last = ["2 \"succeeded\" null", "3 \"failed\" \"variable-no-value\""];
        assert_eq!(told("N")[1..], last, "with a chain: {chain}");
    }
}
