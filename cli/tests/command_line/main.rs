//! The real binary, from the outside: what it prints, how it exits, and what survives its crashes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cacao;
mod cacao_failures;
mod cacao_rows;
mod checking;
mod crashes;
mod examples;
mod files;
mod guard;
mod innominatus;
mod lab;
mod maps;
mod operating;
mod parallel_json;
mod playbook;
mod refusals;
mod running;
mod settings;
mod shapes;
#[path = "../../../dialects/tests/cacao/short.rs"]
mod short;
mod step_groups;
mod step_groups_calls;
mod step_groups_repairs;
mod trace;
mod upkeep;
