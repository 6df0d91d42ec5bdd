//! Which keys a step may have.

use crate::diagnostic::{Report, Spot};
use crate::options::Mode;
use crate::parallel_json::field;
use crate::suggestion::misspelt;
use crate::tree::{Entry, Node};

/// Keys that every step may have.
const COMMON: [&str; 6] = [
    "id",
    "type",
    "next_step",
    "on_failure",
    "description",
    "name",
];

pub(super) const AGENT: [&str; 2] = ["agent_name", "input_mapping"];

pub(super) const PARALLEL: [&str; 2] = ["parallel_steps", "max_parallelism"];

pub(super) const FORK_JOIN: [&str; 1] = ["fork_join_config"];

pub(super) const LOOP: [&str; 1] = ["loop_config"];

pub(super) const CONDITIONAL: [&str; 3] = ["condition", "if_true_step", "if_false_step"];

/// Other names of the branches of a conditional.
pub(super) const ALIASES: [(&str, &str); 2] = [
    ("then_step", "if_true_step"),
    ("else_step", "if_false_step"),
];

pub(super) fn check_keys(node: &Node, spot: &Spot, own: &[&str], kind: &str, report: &mut Report) {
    let others = [&AGENT[..], &PARALLEL, &FORK_JOIN, &LOOP, &CONDITIONAL].concat();
    for entry in node.entries() {
        let key = entry.key.as_str();
        if COMMON.contains(&key) || own.contains(&key) || entry.value.is_null() {
            continue;
        }
        if others.contains(&key) {
            let what = format!(
                "a step of type {kind} has no such field, so it has no effect; remove it or correct the type"
            );
            report.warning("field-ignored", &field::spot(spot, entry), what);
            continue;
        }
        let alias = ALIASES.iter().find(|(alias, meant)| {
            *alias == key && own.contains(meant) && node.get(meant).is_none()
        });
        if let (Some((_, meant)), Mode::Lenient) = (alias, report.mode()) {
            let what = format!(
                "another name of {meant} and read as that; other readers may not know it; write {meant}"
            );
            report.warning("unknown-key", &field::spot(spot, entry), what);
            continue;
        }
        let known: Vec<_> = COMMON.iter().chain(own).copied().collect();
        unknown_key(entry, spot, &known, report);
    }
}

/// Reports keys of a part of a step that are none of `known`.
pub(super) fn check_inner_keys(node: &Node, spot: &Spot, known: &[&str], report: &mut Report) {
    for entry in node.entries() {
        if !known.contains(&entry.key.as_str()) && !entry.value.is_null() {
            unknown_key(entry, spot, known, report);
        }
    }
}

fn unknown_key(entry: &Entry, spot: &Spot, known: &[&str], report: &mut Report) {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == entry.key);
    let meant = alias
        .filter(|(_, meant)| known.contains(meant))
        .map(|(_, meant)| *meant);
    let slip = |key| misspelt(key, known).filter(|_| !report.is_crowded());
    let fix = match (meant.or_else(|| slip(&entry.key)), entry.key.as_str()) {
        (Some(meant), _) => format!("write {meant}"),
        (None, "retries" | "timeout" | "retry" | "retry_config" | "timeout_ms") => {
            "use the agents option".to_owned()
        }
        (None, _) => "remove it".to_owned(),
    };
    let what = format!("not a field of this format, so it would have no effect; {fix}");
    report.repairable("unknown-key", &field::spot(spot, entry), what);
}
