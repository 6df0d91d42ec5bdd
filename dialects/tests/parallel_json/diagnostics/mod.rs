//! What is said of files, word for word: place, code, why and how to fix it.

mod blocks;
mod files;
mod steps;
mod structure;

use crate::checks::file;

const OK: &str = r#""agent_name": "ok""#;

/// A file of step `a` with these fields, and agents of these ids.
fn with(fields: &str, others: &[&str]) -> String {
    let mut steps = vec![("a", fields)];
    steps.extend(others.iter().map(|id| (*id, OK)));
    file(&steps)
}
