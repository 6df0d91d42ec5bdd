//! Parallel JSON from the command line: blocks of every kind, with simulations and with programs,
//! killed and resumed, and every message of a run.

mod agents;
mod checks;
mod conditionals;
mod failures;
mod going_on;
mod iterations;
mod loops;
mod rows;

use serde_json::Value;

use crate::lab::{Done, Lab};

/// A file whose steps are these, each `"id": {…}` without the id inside; the first is the start.
fn file(steps: &[(&str, &str)]) -> String {
    let steps: Vec<_> = steps
        .iter()
        .map(|(id, fields)| format!("\"{id}\": {{\"id\": \"{id}\", {fields}}}"))
        .collect();
    let start = steps[0].split('"').nth(1).unwrap();
    format!(
        "{{\"name\": \"test\", \"start_step\": \"{start}\", \"steps\": {{\n{}\n}}}}",
        steps.join(",\n")
    )
}

/// A folder with `w.json` and `h.toml`.
fn lab(steps: &[(&str, &str)], handlers: &str) -> Lab {
    let lab = Lab::new();
    lab.write("w.json", &file(steps));
    lab.write("h.toml", handlers);
    lab
}

const RUN: [&str; 4] = ["run", "w.json", "--handlers", "h.toml"];

fn run(lab: &Lab, more: &[&str]) -> Done {
    lab.call(&[&RUN, more].concat())
}

/// Every agent pretends, `bad` fails, and `slow` takes its time.
const SIMULATED: &str = "[handlers.bad]\nsimulate = '1ms'\nfail = 'no luck'\n[handlers.slow]\nsimulate = '300ms'\n[handlers.'*']\nsimulate = '1ms'\n";

const OK: &str = r#""agent_name": "ok""#;

const BAD: &str = r#""agent_name": "bad""#;

const SLOW: &str = r#""agent_name": "slow""#;

/// Kind, parent, branch, policy and status of each row of the last run, by step; the first if there
/// are several.
fn row(show: &Value, step: &str) -> [String; 5] {
    let rows = show["steps"].as_array().unwrap();
    let row = rows.iter().find(|row| row["step"] == step);
    let row = row.unwrap_or_else(|| panic!("{step} is not in {rows:#?}"));
    [
        "kind",
        "parent_step_id",
        "branch_name",
        "join_policy",
        "status",
    ]
    .map(|key| row[key].as_str().unwrap_or("-").to_owned())
}

fn check_rows(lab: &Lab, expected: &[(&str, [&str; 5])]) {
    let show = lab.last_run();
    for (step, expected) in expected {
        assert_eq!(row(&show, step), *expected, "{step}");
    }
}

/// The errors of a run that failed: step, branch, code and message.
fn errors(done: Done) -> Vec<String> {
    let run = &done.expect(1).json()["runs"][0];
    let errors = run["errors"].as_array().unwrap().iter();
    let line = |error: &Value| {
        let text = |key: &str| error[key].as_str().unwrap_or("-").to_owned();
        let [step, branch, code, message] = ["step", "branch", "code", "message"].map(text);
        format!("{step} ({branch}) {code}: {message}")
    };
    errors.map(line).collect()
}

/// All kinds of blocks, one after the other.
const EVERYTHING: [(&str, &str); 15] = [
    (
        "load",
        r#""agent_name": "fetch", "next_step": "both", "input_mapping": {"day": "${workflow.input.day}"}"#,
    ),
    (
        "both",
        r#""type": "parallel", "parallel_steps": ["clean", "fork"], "next_step": "each""#,
    ),
    (
        "clean",
        r#""agent_name": "tidy", "input_mapping": {"rows": "${load.output.rows}"}"#,
    ),
    (
        "fork",
        r#""type": "fork_join", "fork_join_config": {"join_policy": "any", "branches":
            {"east": {"steps": ["e1", "e2"]}, "west": {"steps": ["w1", "w2"], "timeout_seconds": 30}}}"#,
    ),
    ("e1", OK),
    (
        "e2",
        r#""agent_name": "ok", "input_mapping": {"from": "${e1.output.score}"}"#,
    ),
    ("w1", BAD),
    ("w2", OK),
    (
        "each",
        r#""type": "loop", "next_step": "decide", "loop_config": {"collection": "${clean.output.items}",
            "execution_mode": "parallel", "max_parallelism": 2, "loop_body": ["one", "two"], "on_error": "collect"}"#,
    ),
    (
        "one",
        r#""agent_name": "ok", "input_mapping": {"name": "${loop.item.name}"}"#,
    ),
    (
        "two",
        r#""agent_name": "ok", "input_mapping": {"text": "got ${one.output.score}"}"#,
    ),
    (
        "decide",
        r#""type": "conditional", "condition": {"expression": "${each.output.failed_count} == 0"},
            "if_true_step": "good", "if_false_step": "poor", "next_step": "end""#,
    ),
    ("good", OK),
    ("poor", OK),
    (
        "end",
        r#""agent_name": "report", "input_mapping": {"all": "${each.output.iterations}", "first": "${each.output.iterations[0].output_data.sent}"}"#,
    ),
];

/// Branch, iteration, status and reason of the rows of a step, in order.
fn rows_of(show: &Value, step: &str) -> Vec<String> {
    let rows = show["steps"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["step"] == step);
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let keys = ["branch_name", "iteration_index", "status", "reason"];
    rows.map(|row| keys.map(|key| text(&row[key])).join(" "))
        .collect()
}

/// A fork of one step per agent under a policy.
fn fork(agents: &[&str], policy: &str) -> Vec<(String, String)> {
    let ids: Vec<_> = (0..agents.len()).map(|n| format!("s{n}")).collect();
    let branches: Vec<_> = ids
        .iter()
        .map(|id| format!(r#""b-{id}": {{"steps": ["{id}"]}}"#))
        .collect();
    let config = format!(
        r#""type": "fork_join", "fork_join_config": {{"branches": {{{}}}, {policy}}}"#,
        branches.join(", ")
    );
    let mut steps = vec![("f".to_owned(), config)];
    let step = |agent: &&str| format!(r#""agent_name": "{agent}""#);
    steps.extend(ids.into_iter().zip(agents.iter().map(step)));
    steps
}

/// Where the last row of a step stands, and what it came to.
fn told(show: &Value, step: &str) -> String {
    let mut rows = show["steps"].as_array().unwrap().iter();
    let row = rows.rfind(|row| row["step"] == step).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    ["kind", "parent_step_id", "branch_name", "status"]
        .map(|key| text(&row[key]))
        .join(" ")
        + " "
        + &text(&row["error"]["code"])
}
