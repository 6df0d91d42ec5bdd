//! What agents are given, what they may give, and their limits.

use serde_json::{Value, json};

use super::{SIMULATED, SLOW, errors, file, lab, run, told};
use crate::lab::Lab;

#[test]
fn what_an_agent_cannot_be_given_fails_its_step_and_not_its_handler() {
    let lab = Lab::new();
    lab.write(
        "h.toml",
        "[handlers.'*']\ncommand = ['sh', '-c', 'echo x >> called; echo 7']\n",
    );
    for (mapping, error) in [
        (
            "${workflow.input.n.total}",
            "a (-) reference-unresolved: field x: ${workflow.input.n.total} is absent (n is a number); nothing can be passed; correct the path",
        ),
        (
            "n is ${workflow.input.n}",
            "a (-) embedded-not-text: field x: ${workflow.input.n} is a number inside text; it would lose its type; pass it alone",
        ),
    ] {
        let mapping = format!(r#""agent_name": "t", "input_mapping": {{"x": "{mapping}"}}"#);
        lab.write("w.json", &file(&[("a", &mapping)]));
        let done = run(&lab, &["--json", "--input", r#"{"n": 5}"#]);
        assert_eq!(errors(done), [error]);
    }
    assert_eq!(lab.read("called"), "");
    // Lenient leaves the field out and says so, with run and step.
    let mapping = r#""agent_name": "t", "input_mapping": {"x": "${workflow.input.gone}", "y": 1}"#;
    lab.write("w.json", &file(&[("a", mapping)]));
    let done = run(&lab, &["--lenient", "--json"]).expect(0);
    let id = done.json()["runs"][0]["run"].as_str().unwrap().to_owned();
    done.says(&[
        "field x: ${workflow.input.gone} is absent",
        "it is left out",
        &id,
        "step",
    ]);
    assert_eq!(lab.read("called"), "x\n");
}

/// Prints what it was given, in a JSON that is no object.
const ECHO: &str = "#!/bin/sh\nread -r given\necho \"[$given]\"\n";

#[test]
fn a_program_gets_its_input_resolved_and_may_give_any_json() {
    let read = r#""agent_name": "echo", "input_mapping": {"n": "${workflow.input[1]}", "item": "${loop.item.k}", "text": "no ${loop.item.k}"}"#;
    let looped = r#""type": "loop", "next_step": "z", "loop_config": {"collection": "${workflow.input[0]}", "loop_body": ["b"]}"#;
    let list = r#""agent_name": "list", "input_mapping": {"b": "${l.output.iterations[1].output_data[0].input.n}"}"#;
    let lab = lab(
        &[("l", looped), ("b", read), ("z", list)],
        "[handlers.echo]\ncommand = ['sh', './echo.sh']\ntimeout = '60s'\n[handlers.list]\ncommand = ['sh', '-c', 'cat > given; echo 5.5']\n",
    );
    lab.write("echo.sh", ECHO);
    let done = run(&lab, &["--input", r#"[[{"k": "a"}, {"k": "b"}], 7]"#]).expect(0);
    let outputs = done.json();
    assert_eq!(outputs["z"], json!(5.5));
    let show = lab.last_run();
    let rows = show["steps"].as_array().unwrap().iter();
    let shown = rows.filter(|row| row["step"] == "b");
    let shown: Vec<_> = shown.map(|row| row["input"]["item"].clone()).collect();
    assert_eq!(shown, ["a", "b"]);
    let given = &outputs["l"]["iterations"][1]["output_data"][0];
    assert_eq!(given["input"], json!({"n": 7, "item": "b", "text": "no b"}));
    for (key, expected) in [
        ("workflow_id", json!("test")),
        ("step_id", json!("b")),
        ("agent_name", json!("echo")),
        ("iteration_index", json!(1)),
        ("parent_step_id", json!("l")),
        ("branch_name", json!("iteration-1")),
        ("attempt", json!(1)),
        ("timeout_ms", json!(60_000)),
    ] {
        assert_eq!(given[key], expected, "{key}");
    }
    assert!(
        given["deadline"].as_str().unwrap().ends_with('Z'),
        "{given}"
    );
    assert_eq!(given.get("config"), None);
    let given: Value = serde_json::from_str(&lab.read("given")).unwrap();
    assert_eq!(
        (&given["input"], &given["iteration_index"]),
        (&json!({"b": 7}), &Value::Null)
    );
    // The dialect's own limit.
    assert_eq!(given["timeout_ms"], json!(300_000));

    lab.write("h.toml", "[handlers.'*']\ncommand = ['echo', 'hello']\n");
    run(&lab, &["--input", r#"[[{"k": "a"}], 7]"#])
        .expect(1)
        .says(&["no JSON", "print one JSON value to stdout", "hello"]);
}

#[test]
fn an_agent_called_shell_takes_its_command_from_the_file_and_never_a_value() {
    let say = r#""agent_name": "shell", "next_step": "b", "input_mapping": {"command": "echo \"$WHO\" ${HOME:+x}", "env": {"WHO": "${workflow.input.who}"}}"#
        .replace("${HOME:+x}", "");
    let five = r#""agent_name": "shell", "input_mapping": {"command": "echo $((4 + 1))"}"#;
    let good = lab(&[("a", &say), ("b", five)], "");
    let input = r#"{"who": "$(rm -rf .)"}"#;
    run(&good, &["--input", input])
        .expect(2)
        .says(&["--allow shell", "(steps a, b)"]);
    let done = run(&good, &["--allow", "shell", "--input", input]).expect(0);
    assert_eq!(done.json(), json!({"a": "$(rm -rf .)", "b": 5}));

    let bad = lab(
        &[
            (
                "a",
                r#""agent_name": "shell", "next_step": "b", "input_mapping": {"command": "rm ${workflow.input.x}"}"#,
            ),
            (
                "b",
                r#""agent_name": "shell", "input_mapping": {"env": {"A-B": "x"}}"#,
            ),
        ],
        "",
    );
    let check = bad.call(&["check", "w.json", "--json"]).expect(2).json();
    let found: Vec<_> = check["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            (
                found["pointer"].as_str().unwrap(),
                found["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("/steps/a/input_mapping/command", "shell-command-invalid"),
            ("/steps/b/input_mapping/command", "shell-command-invalid"),
            ("/steps/b/input_mapping/env", "shell-env-invalid"),
        ]
    );
    let text = bad.call(&["check", "w.json"]).expect(2).out;
    assert!(
        text.contains("input_mapping.command takes a value of the run"),
        "{text}"
    );
}

#[test]
fn agents_have_limits_and_retries_and_may_be_unknown_until_their_step() {
    let steps = [
        ("a", r#""agent_name": "flaky", "next_step": "b""#),
        ("b", r#""agent_name": "gone""#),
    ];
    let lab = lab(
        &steps,
        "[handlers.flaky]\nsimulate = '1ms'\nfail = 'not yet'\nfail_attempts = 2\n",
    );
    run(&lab, &[])
        .expect(2)
        .says(&["no-handler", "\"gone\"", "flaky"]);
    let agents = "[dialects.parallel-json]\nresolve_agents = 'run'\n[dialects.parallel-json.agents.flaky]\nretry_config = { max_retries = 2, initial_delay_ms = 1 }\n";
    lab.write("windlass.toml", agents);
    assert_eq!(
        errors(run(&lab, &["--json"])),
        [
            "b (-) agent-unknown: no handler \"gone\"; the step cannot work; register it and start again"
        ]
    );
    let show = lab.last_run();
    assert_eq!(told(&show, "b"), "agent - - failed agent-unknown");
    let a = show["steps"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["step"] == "a");
    assert_eq!(a.unwrap()["attempt"], 3);

    let breaker = format!("{agents}circuit_breaker_config = {{}}\n");
    lab.write("windlass.toml", &breaker);
    run(&lab, &[])
        .expect(2)
        .says(&["circuit-breaker-unsupported"]);
    run(&lab, &["--lenient"])
        .expect(1)
        .says(&["warning[circuit-breaker-unsupported]"]);
    let config = lab.call(&["config"]).expect(0).out;
    assert!(
        config.contains("dialects.parallel-json.agents.flaky"),
        "{config}"
    );

    let limit = "[dialects.parallel-json.agents.slow]\ntimeout_ms = 50\n";
    lab.write("windlass.toml", limit);
    lab.write("w.json", &file(&[("a", SLOW)]));
    lab.write("h.toml", SIMULATED);
    let found = errors(run(&lab, &["--json"]));
    assert!(found[0].starts_with("a (-) step-timeout:"), "{found:?}");
}
