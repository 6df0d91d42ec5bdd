//! What runs do: the specification's test cases, played by the model's own rules.

mod conditionals;
mod failures;
mod fork_joins;
mod loops;
mod parallels;

use serde_json::Value;
use windlass_dialects::ImportOptions;

use crate::checks::{file, options, workflow_with};
use crate::play::{Order, Played, agents, play};

fn run(steps: &[(&str, &str)]) -> Played {
    run_with(steps, &options(), &Value::Null, Order::Last)
}

fn run_with(
    steps: &[(&str, &str)],
    options: &ImportOptions,
    input: &Value,
    order: Order,
) -> Played {
    play(&workflow_with(&file(steps), options), input, order, &agents)
}

const OK: &str = r#""agent_name": "ok""#;

const BAD: &str = r#""agent_name": "bad""#;
