//! Runs of playbooks: order, failures, variables, as the dialect's page says (its test cases C1 to
//! C9, and what its sections 5 to 8 add).

use std::cell::Cell;

use serde_json::{Value as Json, json};
use windlass_dialects::{CommandResult, Mode, PlaybookFile};
use windlass_workflow_model::Fault;

use crate::play::{Play, Played, accepted, options, play};
use crate::short::{playbook, step_id};

fn run(short: &Json, mode: Mode, input: &Json, how: Play<'_>) -> Played {
    play(&accepted(&playbook(short), &options(mode)), input, how)
}

fn order(short: &Json, mode: Mode) -> String {
    run(short, mode, &Json::Null, Play::default())
        .done
        .join(" ")
}

fn value(name: &str, value: &str) -> CommandResult {
    let mut result = CommandResult::default();
    result.variables.insert(name.to_owned(), value.into());
    result
}

fn failing<'a>(names: &'a [&'a str]) -> impl Fn(&str, &Json) -> Result<CommandResult, Fault> + 'a {
    |step, _| {
        if names.contains(&step) {
            return Err(Fault::new("handler-failed", "no"));
        }
        Ok(CommandResult::default())
    }
}

/// Plays a run in which these steps fail.
fn run_failing(short: &Json, names: &[&str]) -> Played {
    let how = Play {
        work: &failing(names),
        ..Play::default()
    };
    run(short, Mode::Strict, &Json::Null, how)
}

/// C1: `S→P→D→E`, P = parallel[A→e1, B→C→e2].
fn parallel() -> Json {
    json!({ "steps": {
        "S": { "type": "start", "on_completion": "P" },
        "P": { "type": "parallel", "next_steps": ["A", "B"], "on_success": "D" },
        "A": { "on_completion": "e1" },
        "B": { "on_completion": "C" },
        "C": { "on_completion": "e2" },
        "D": { "on_completion": "e3" },
    }})
}

#[test]
fn a_parallel_runs_all_branches_and_goes_on_after_them() {
    assert_eq!(order(&parallel(), Mode::Strict), "A B C D");
    let how = Play {
        backwards: true,
        ..Play::default()
    };
    assert_eq!(
        run(&parallel(), Mode::Strict, &Json::Null, how)
            .done
            .join(" "),
        "B C A D"
    );
}

#[test]
fn a_failed_branch_fails_the_parallel_when_all_have_settled() {
    let played = run_failing(&parallel(), &["A"]);
    assert_eq!(played.done.join(" "), "A B C");
    assert_eq!(played.errors(), ["A: handler-failed"]);

    let played = run_failing(&parallel(), &["C", "A"]);
    assert_eq!(played.errors(), ["A: handler-failed", "C: handler-failed"]);
}

#[test]
fn on_failure_handles_what_failed() {
    let mut short = parallel();
    short["steps"]["P"]["on_failure"] = "R".into();
    short["steps"]["R"] = json!({ "on_completion": "e4" });
    let played = run_failing(&short, &["A"]);
    assert_eq!(played.done.join(" "), "A B C R");
    let handled = played.data()["handled_failures"].clone();
    assert_eq!(handled[0]["step"], "P");
    assert_eq!(handled[0]["errors"][0]["step"], "A");
    assert_eq!(handled.as_array().unwrap().len(), 1);

    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "on_success": "B", "on_failure": "F" },
        "B": { "on_completion": "e1" },
        "F": { "on_completion": "e2" },
    }});
    assert_eq!(run_failing(&short, &["A"]).done.join(" "), "A F");
    assert_eq!(order(&short, Mode::Strict), "A B");
}

#[test]
fn the_exception_chain_runs_where_it_happened_and_the_run_still_fails() {
    let mut short = parallel();
    short["steps"]["X"] = json!({ "on_completion": "e9" });
    short["workflow_exception"] = "X".into();
    let played = run_failing(&short, &["A"]);
    // A chain is made for each frame; the first one is that of the playbook.
    assert_eq!(played.done.join(" "), "A X (2) B C");
    assert_eq!(played.errors(), ["A: handler-failed"]);
    assert_eq!(
        played.inputs[1]["exception"],
        json!({ "step_id": step_id("action", "A"), "code": "handler-failed", "message": "no" })
    );
    assert_eq!(played.inputs[2]["exception"], Json::Null);
    let message = |played: &Played| {
        let fault = played.result.as_ref().expect_err("it fails");
        fault.errors[0].message.clone()
    };
    assert_eq!(message(&played), "no (exception_handled: true)");

    // A failure inside it is added and starts no second chain.
    let played = run_failing(&short, &["A", "X (2)"]);
    assert_eq!(played.done.join(" "), "A X (2) B C");
    assert_eq!(
        played.errors(),
        ["A: handler-failed", "X (2): handler-failed"]
    );
    assert_eq!(message(&played), "no");

    // Outside of any frame, and not where on_failure is.
    let played = run_failing(&short, &["D"]);
    assert_eq!(played.done.join(" "), "A B C D X");
    short["steps"]["D"] = json!({ "on_success": "e3", "on_failure": "e5" });
    assert_eq!(run_failing(&short, &["D"]).done.join(" "), "A B C D");
}

#[test]
fn the_exception_chain_is_not_started_again_by_steps_around() {
    let short = json!({ "workflow_exception": "X", "steps": {
        "S": { "type": "start", "on_completion": "I" },
        "I": { "type": "if-condition", "condition": "'a' = 'a'", "on_true": "P", "on_completion": "e1" },
        "P": { "type": "parallel", "next_steps": ["A", "B"], "on_completion": "e2" },
        "A": { "on_completion": "e3" }, "B": { "on_completion": "e4" },
        "X": { "on_completion": "e5" },
    }});
    let played = run_failing(&short, &["A", "B"]);
    assert_eq!(played.done.join(" "), "A X (3) B X (4)");
    assert_eq!(played.errors(), ["A: handler-failed", "B: handler-failed"]);
}

/// C3.
fn counting() -> Json {
    json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "0" } },
        "steps": {
            "S": { "type": "start", "on_completion": "W" },
            "W": { "type": "while-condition", "condition": "__n__:value < 3", "on_true": "A", "on_completion": "e1" },
            "A": { "out_args": ["__n__"], "on_completion": "e2", "commands": [{ "type": "bash", "command": "echo __n__:value" }] },
        },
    })
}

#[test]
fn a_while_goes_round_until_its_condition_is_false() {
    let add = |_: &str, input: &Json| {
        let n: u32 = input["command"]["bindings"]["__n__"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(input["command"]["text"], format!("echo {n}"));
        assert_eq!(input["command"]["raw"], "echo __n__:value");
        Ok(value("__n__", &(n + 1).to_string()))
    };
    let how = Play {
        work: &add,
        ..Play::default()
    };
    let played = run(&counting(), Mode::Strict, &Json::Null, how);
    assert_eq!(
        (played.done.len(), played.variable("__n__")),
        (3, "3".into())
    );

    let mut options = options(Mode::Strict);
    options.cacao.max_loop_iterations = 5;
    let never = |_: &str, _: &Json| Ok(value("__n__", "0"));
    let how = Play {
        work: &never,
        ..Play::default()
    };
    let played = play(
        &accepted(&playbook(&counting()), &options),
        &Json::Null,
        how,
    );
    assert_eq!(played.done.len(), 5);
    assert_eq!(played.errors(), ["W: loop-limit"]);
    assert_eq!(
        played.result.unwrap_err().errors[0].message,
        "5 iterations; the cap is reached; change the condition or raise the cap"
    );
}

#[test]
fn a_failure_in_a_while_leaves_it() {
    let mut short = counting();
    short["steps"]["W"]["on_success"] = "e1".into();
    short["steps"]["W"]
        .as_object_mut()
        .unwrap()
        .remove("on_completion");
    short["steps"]["W"]["on_failure"] = "F".into();
    short["steps"]["F"] = json!({ "on_completion": "e3" });
    assert_eq!(run_failing(&short, &["A"]).done.join(" "), "A F");
}

/// C4.
#[test]
fn an_if_takes_the_branch_of_its_condition() {
    let short = json!({
        "playbook_variables": {
            "__os__": { "type": "string", "external": true },
            "__hot__": { "type": "bool", "external": true, "value": null },
        },
        "steps": {
            "S": { "type": "start", "on_completion": "I" },
            "I": { "type": "if-condition", "condition": "__os__:value IN ('linux', 'bsd') AND NOT __hot__:value = true",
                   "on_true": "A", "on_false": "B", "on_completion": "C" },
            "A": { "on_completion": "e1" }, "B": { "on_completion": "e2" }, "C": { "on_completion": "e3" },
        },
    });
    let took = |input: Json, mode| run(&short, mode, &input, Play::default());
    let hot = |os: &str, hot: &str| json!({ "__os__": os, "__hot__": hot });
    assert_eq!(
        took(hot("bsd", "false"), Mode::Strict).done.join(" "),
        "A C"
    );
    assert_eq!(
        took(hot("win", "false"), Mode::Strict).done.join(" "),
        "B C"
    );
    assert_eq!(took(hot("bsd", "true"), Mode::Strict).done.join(" "), "B C");
    let without = json!({ "variables": { "__os__": "bsd" } });
    assert_eq!(
        took(without.clone(), Mode::Strict).errors(),
        ["playbook/begin: external-missing"]
    );
    let lenient = took(without, Mode::Lenient);
    assert_eq!(lenient.done.join(" "), "A C");
    assert_eq!(lenient.warnings().len(), 2, "{:?}", lenient.warnings());
}

#[test]
fn a_condition_on_nothing_fails_its_step_in_strict() {
    let short = json!({
        "playbook_variables": { "__x__": { "type": "string" } },
        "steps": {
            "S": { "type": "start", "on_completion": "I" },
            "I": { "type": "if-condition", "condition": "__x__:value = 'a'", "on_true": "A", "on_success": "e2", "on_failure": "F" },
            "A": { "on_completion": "e1" }, "F": { "on_completion": "e3" },
        },
    });
    assert_eq!(order(&short, Mode::Strict), "F");
    assert_eq!(order(&short, Mode::Lenient), "");
}

/// C5.
#[test]
fn a_switch_compares_exactly() {
    let mut short = json!({
        "playbook_variables": { "__k__": { "type": "string", "external": true } },
        "steps": {
            "S": { "type": "start", "on_completion": "W" },
            "W": { "type": "switch-condition", "switch": "__k__:value", "cases": { "a": "A", "b": "B", "default": "C" }, "on_completion": "D" },
            "A": { "on_completion": "e1" }, "B": { "on_completion": "e2" }, "C": { "on_completion": "e3" }, "D": { "on_completion": "e4" },
        },
    });
    let took =
        |short: &Json, k: &str| run(short, Mode::Strict, &json!({ "__k__": k }), Play::default());
    assert_eq!(took(&short, "a").done.join(" "), "A D");
    assert_eq!(took(&short, "A").done.join(" "), "C D");
    short["steps"]["W"]["cases"]
        .as_object_mut()
        .unwrap()
        .remove("default");
    short["steps"].as_object_mut().unwrap().remove("C");
    let none = took(&short, "x");
    assert_eq!(none.done.join(" "), "D");
    assert!(
        none.warnings()[0].starts_with("switch-no-match: W: value \"x\""),
        "{:?}",
        none.warnings()
    );
}

/// C6.
#[test]
fn branches_that_contradict_each_other_are_a_conflict() {
    let short = json!({
        "playbook_variables": { "__x__": { "type": "integer" }, "__y__": { "type": "string", "value": "old" } },
        "steps": {
            "S": { "type": "start", "on_completion": "P" },
            "P": { "type": "parallel", "next_steps": ["A", "B"], "on_completion": "e3" },
            "A": { "out_args": ["__x__"], "on_completion": "e1" }, "B": { "out_args": ["__x__"], "on_completion": "e2" },
        },
    });
    let write = |step: &str, _: &Json| Ok(value("__x__", if step == "A" { "1" } else { "2" }));
    for backwards in [false, true] {
        let how = Play {
            work: &write,
            backwards,
            ..Play::default()
        };
        assert_eq!(
            run(&short, Mode::Strict, &Json::Null, how).errors(),
            ["P: variable-conflict"]
        );
        let lenient = run(&short, Mode::Lenient, &Json::Null, how);
        assert_eq!(lenient.variable("__x__"), "2");
        assert!(
            lenient.warnings()[0].contains("branches 1 and 2 left __x__ as \"1\" and \"2\""),
            "{:?}",
            lenient.warnings()
        );
    }
    let same = |_: &str, _: &Json| Ok(value("__x__", "1"));
    let played = run(
        &short,
        Mode::Strict,
        &Json::Null,
        Play {
            work: &same,
            ..Play::default()
        },
    );
    assert_eq!(
        (played.variable("__x__"), played.variable("__y__")),
        ("1".into(), "old".into())
    );
    assert_eq!(played.warnings(), Vec::<String>::new());
}

/// C7.
#[test]
fn every_command_is_called_for_every_target_until_one_fails() {
    let target = |n: u32| format!("linux--b49069c2-0b69-4a46-8509-80196c4a9bf{n}");
    let short = json!({
        "playbook_variables": { "__x__": { "type": "string", "value": "old" } },
        "target_definitions": { target(1): { "type": "linux", "name": "T1" }, target(2): { "type": "linux", "name": "T2" } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "targets": [target(1), target(2)], "out_args": ["__x__"], "on_success": "e1", "on_failure": "B",
                   "commands": [{ "type": "bash", "command": "c1" }, { "type": "bash", "command": "c2" }] },
            "B": { "on_completion": "e2" },
        },
    });
    let calls = Cell::new(0);
    let fails = |_: &str, input: &Json| {
        calls.set(calls.get() + 1);
        if input["command"]["text"] == "c2" && input["target"]["name"] == "T1" {
            return Err(Fault::new("handler-failed", "no"));
        }
        Ok(value("__x__", "new"))
    };
    let played = run(
        &short,
        Mode::Strict,
        &Json::Null,
        Play {
            work: &fails,
            ..Play::default()
        },
    );
    assert_eq!(played.done, ["A/1.1", "A/1.2", "A/2.1", "B"]);
    assert_eq!(played.variable("__x__"), "old");
    assert_eq!(
        played.data()["handled_failures"][0]["errors"][0]["step"],
        "A"
    );

    let all = |step: &str, _: &Json| Ok(value("__x__", step));
    let played = run(
        &short,
        Mode::Strict,
        &Json::Null,
        Play {
            work: &all,
            ..Play::default()
        },
    );
    assert_eq!(played.variable("__x__"), "A/2.2");
    let targets: Vec<_> = played
        .inputs
        .iter()
        .map(|input| input["target"]["name"].clone())
        .collect();
    assert_eq!(targets, ["T1", "T2", "T1", "T2"]);
}

/// C8.
fn implied() -> Json {
    json!({
        "playbook_variables": { "__go__": { "type": "bool", "external": true } },
        "steps": {
            "S": { "type": "start", "on_completion": "P" },
            "P": { "type": "parallel", "next_steps": ["A", "C"] },
            "A": { "on_completion": "I" },
            "I": { "type": "if-condition", "condition": "__go__:value", "on_true": "B", "on_false": "e1" },
            "B": { "on_completion": "J" },
            "C": { "on_completion": "J" },
            "J": { "on_completion": "e2" },
        },
    })
}

#[test]
fn an_implied_join_runs_once_if_any_branch_comes_to_it() {
    let took = |short: &Json, go: bool| {
        let input = json!({ "__go__": go });
        run(short, Mode::Lenient, &input, Play::default())
            .done
            .join(" ")
    };
    assert_eq!(took(&implied(), true), "A B C J");
    assert_eq!(took(&implied(), false), "A C J");
    let mut short = implied();
    short["steps"]["C"]["on_completion"] = "e3".into();
    assert_eq!(took(&short, false), "A C");
}

/// C9.
#[test]
fn a_parallelizable_chain_runs_together() {
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "parallelizable": true, "on_completion": "B" },
        "B": { "parallelizable": true, "on_completion": "C" },
        "C": { "parallelizable": false, "on_completion": "D" },
        "D": { "on_completion": "e1" },
    }});
    let imported = accepted(&playbook(&short), &options(Mode::Lenient));
    assert!(imported.features.contains_key("parallel_processing"));
    let how = Play {
        backwards: true,
        ..Play::default()
    };
    assert_eq!(play(&imported, &Json::Null, how).done.join(" "), "C B A D");
}

#[test]
fn a_scope_ends_with_its_step_and_hides_what_is_around() {
    let short = json!({
        "playbook_variables": { "__x__": { "type": "string", "value": "outer" } },
        "steps": {
            "S": { "type": "start", "on_completion": "I" },
            "I": { "type": "if-condition", "condition": "__x__:value = 'inner'", "step_variables": { "__x__": { "type": "string", "value": "inner" } },
                   "on_true": "A", "on_completion": "B" },
            "A": { "out_args": ["__x__"], "on_completion": "e1", "commands": [{ "type": "bash", "command": "__x__:value" }] },
            "B": { "on_completion": "e2", "commands": [{ "type": "bash", "command": "__x__:value" }] },
        },
    });
    let work = |_: &str, _: &Json| {
        Ok(CommandResult {
            result: Some("set".into()),
            ..CommandResult::default()
        })
    };
    let quiet = |step: &str, input: &Json| {
        if step == "A" {
            work(step, input)
        } else {
            Ok(CommandResult::default())
        }
    };
    let played = run(
        &short,
        Mode::Strict,
        &Json::Null,
        Play {
            work: &quiet,
            ..Play::default()
        },
    );
    let texts: Vec<_> = played
        .inputs
        .iter()
        .map(|input| input["command"]["text"].clone())
        .collect();
    assert_eq!(texts, ["inner", "outer"]);
    assert_eq!(played.variable("__x__"), "outer");
}

#[test]
fn results_are_checked_before_anything_is_written() {
    let short = json!({
        "playbook_variables": { "__n__": { "type": "integer", "value": "1" }, "__k__": { "type": "string", "value": "v", "constant": true }, "__s__": { "type": "string" } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "out_args": ["__n__", "__k__", "__s__"], "on_completion": "e1" },
        },
    });
    let wrong = |_: &str, _: &Json| {
        let mut result = value("__n__", "many");
        result.variables.insert("__k__".to_owned(), "w".into());
        Ok(result)
    };
    let played = run(
        &short,
        Mode::Strict,
        &Json::Null,
        Play {
            work: &wrong,
            ..Play::default()
        },
    );
    assert_eq!(
        played.errors(),
        [
            "A: variable-type",
            "A: constant-written",
            "A: out-arg-missing"
        ]
    );
}

#[test]
fn delays_and_limits_are_durable() {
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "A" },
        "A": { "delay": 5000, "timeout": 60000, "on_success": "L", "on_failure": "F" },
        "L": { "type": "parallel", "timeout": 70000, "next_steps": ["B", "C"], "on_success": "e1", "on_failure": "G" },
        "B": { "on_completion": "e2" }, "C": { "on_completion": "e3" },
        "F": { "on_completion": "e4" }, "G": { "on_completion": "e5" },
    }});
    assert_eq!(order(&short, Mode::Strict), "A/delay 5000 A B C");
    let hangs = |of: &'static str| {
        move |step: &str, _: &Json| {
            if step == of {
                Err(Fault::new("hang", "it hangs"))
            } else {
                Ok(CommandResult::default())
            }
        }
    };
    let played = run(
        &short,
        Mode::Strict,
        &Json::Null,
        Play {
            work: &hangs("A"),
            ..Play::default()
        },
    );
    assert_eq!(played.done.join(" "), "A/delay 5000 A F");
    let error = &played.data()["handled_failures"][0]["errors"][0];
    assert_eq!(error["code"], "step-timeout");
    assert_eq!(
        error["message"],
        "ACTION_TIMEOUT after 60000 ms; its work was cancelled; raise timeout"
    );
    let played = run(
        &short,
        Mode::Strict,
        &Json::Null,
        Play {
            work: &hangs("C"),
            ..Play::default()
        },
    );
    assert_eq!(played.done.join(" "), "A/delay 5000 A B C G");
    let error = &played.data()["handled_failures"][0]["errors"][0];
    assert_eq!(
        (&error["step"], &error["code"]),
        (&"L".into(), &"step-timeout".into())
    );
}

#[test]
fn a_reference_without_value_in_a_command_is_among_the_warnings_of_the_run() {
    let short = json!({
        "playbook_variables": { "__ip__": { "type": "string" }, "__out__": { "type": "string" } },
        "steps": {
            "S": { "type": "start", "on_completion": "A" },
            "A": { "commands": [{ "type": "bash", "command": "ping __ip__:value" }], "on_completion": "e1" },
        },
    });
    let played = run(&short, Mode::Lenient, &Json::Null, Play::default());
    let warnings = played.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("variable-no-value: A: __ip__ "),
        "{warnings:?}"
    );
    let strict = run(&short, Mode::Strict, &Json::Null, Play::default());
    assert_eq!(strict.errors(), ["A: variable-no-value"]);
}

#[test]
fn an_empty_result_is_no_value() {
    let short = |kind: &str| {
        json!({
            "playbook_variables": { "__x__": { "type": kind } },
            "steps": {
                "S": { "type": "start", "on_completion": "A" },
                "A": { "out_args": ["__x__"], "on_completion": "e1" },
            },
        })
    };
    let empty = |_: &str, _: &Json| {
        Ok(CommandResult {
            result: Some(json!({})),
            ..CommandResult::default()
        })
    };
    let how = Play {
        work: &empty,
        ..Play::default()
    };
    let played = run(&short("string"), Mode::Strict, &Json::Null, how);
    assert_eq!(played.errors(), ["A: out-arg-missing"]);
    // A dictionary may be empty.
    let played = run(&short("dictionary"), Mode::Strict, &Json::Null, how);
    assert_eq!(played.variable("__x__"), json!({}));
}

#[test]
fn a_failure_of_a_called_playbook_names_it_under_the_step_that_calls() {
    let id = "playbook--767d859e-7387-4e0c-95c0-458ca369486f";
    let child = json!({ "id": id, "name": "Clean", "steps": {
        "S": { "type": "start", "on_completion": "C" },
        "C": { "on_completion": "e1" },
    }});
    let mut options = options(Mode::Strict);
    options.cacao.playbooks = vec![PlaybookFile {
        file: "child.json".to_owned(),
        text: playbook(&child),
    }];
    let short = json!({ "steps": {
        "S": { "type": "start", "on_completion": "P" },
        "P": { "type": "playbook-action", "playbook_id": id, "on_success": "e1", "on_failure": "F" },
        "F": { "on_completion": "e2" },
    }});
    let how = Play {
        work: &failing(&["C"]),
        ..Play::default()
    };
    let played = play(&accepted(&playbook(&short), &options), &Json::Null, how);
    assert_eq!(played.done.join(" "), "C F");
    let error = &played.data()["handled_failures"][0]["errors"][0];
    assert_eq!(
        (&error["step"], &error["code"], &error["message"]),
        (
            &"P".into(),
            &"handler-failed".into(),
            &"playbook \"Clean\" step \"C\": no".into()
        )
    );
}
