//! Whether every step of a workflow can work here, asked before anything runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use windlass::{Definition, NodeKind};
use windlass_dialects::Dialect;

use crate::allowed::{Allowed, Kind};
use crate::handlers_file::{Action, HandlerEntries, SHELL, command_kind};

/// A line per step type of these workflows that nothing serves.
pub(crate) fn missing_handlers(
    definitions: &[&Definition],
    entries: &HandlerEntries,
) -> Vec<String> {
    let missing: BTreeSet<_> = definitions
        .iter()
        .flat_map(|definition| {
            let handlers = definition.handlers().into_iter();
            handlers.filter(|kind| entries.serving_in(definition, kind).is_none())
        })
        .collect();
    missing
        .into_iter()
        .map(|kind| format!("no handler for type {kind:?}, so its steps could not work; add [handlers.{kind}] to the handlers file, or [handlers.\"*\"] for every type"))
        .collect()
}

/// Every other reason why steps of these workflows could not work, one line each; what is wrong with
/// the settings of a step is told when its file is read.
pub(crate) fn obstacles(
    definitions: &[&Definition],
    entries: &HandlerEntries,
    allowed: &Allowed,
    folder: &Path,
) -> Vec<String> {
    let steps = definitions.iter().flat_map(|definition| {
        definition
            .nodes()
            .iter()
            .filter_map(|node| match &node.kind {
                NodeKind::Step(step) => Some((*definition, node.name.as_str(), step)),
                _ => None,
            })
    });
    let mut obstacles = Vec::new();
    let mut needed: BTreeMap<Kind, Vec<&str>> = BTreeMap::new();
    let mut programs: Vec<(String, String)> = Vec::new();
    let mut unnamed: BTreeSet<&str> = BTreeSet::new();
    for (definition, name, step) in steps {
        let entry = entries.serving_in(definition, &step.handler);
        match entry.map(|entry| entry.action) {
            Some(Action::Simulation(simulation)) => {
                let is_named = simulation.output.is_none_or(|output| output.is_object());
                let takes_any = step.config["dialect"] == Dialect::ParallelJson.as_str();
                if !is_named && !takes_any {
                    unnamed.insert(step.handler.as_str());
                }
            }
            Some(Action::Program(command)) => {
                programs.push((
                    step.handler.clone(),
                    command.first().cloned().unwrap_or_default(),
                ));
            }
            Some(Action::Shell) if step.handler == SHELL => {
                needed.entry(Kind::Shell).or_default().push(name);
            }
            Some(Action::Command) => {
                let kind = command_kind(&step.handler).map(Kind::Command);
                if let Some(kind) = kind {
                    needed.entry(kind).or_default().push(name);
                }
            }
            None | Some(Action::Shell) => {}
        }
    }
    obstacles.extend(allowed.refusal(&needed));
    obstacles.extend(unnamed.iter().map(|kind| {
        format!("handlers.{kind}: output is no table, and outputs of these steps need names; write {{ name = value }}")
    }));
    programs.sort_unstable();
    programs.dedup();
    for (kind, program) in programs {
        if program.contains('/') && !folder.join(&program).exists() {
            let folder = folder.display();
            obstacles.push(format!(
                "handlers.{kind}: program {program:?} is not in {folder}; its steps could not work; correct the path or change the folder"
            ));
        }
    }
    obstacles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers_file::{HandlerEntry, Simulation};
    use serde_json::json;
    use windlass::{Draft, StepSpec};

    #[test]
    fn all_obstacles_are_found_at_once() {
        let mut draft = Draft::new("w", "1");
        let spec = |handler: &str, config| StepSpec {
            config,
            ..StepSpec::new(handler)
        };
        let steps = [
            draft.step("a", spec("shell", json!({"config": {"command": "ls"}}))),
            draft.step("b", spec("shell", json!({"config": {}}))),
            draft.step("c", spec("helm", json!({}))),
            draft.step("d", spec("tf", json!({}))),
            draft.step("e", spec("five", json!({}))),
            draft.step("f", spec("six", json!({"dialect": "parallel-json"}))),
        ];
        for pair in steps.windows(2) {
            draft.connect(pair[0], pair[1]);
        }
        draft.start_at(steps[0]);
        let definition = draft.finish().unwrap();
        let mut entries = HandlerEntries::default();
        let entry = HandlerEntry {
            action: Action::Program(vec!["./tf.sh".to_owned()]),
            ..HandlerEntry::default()
        };
        entries.0.insert("tf".to_owned(), entry);
        for (kind, number) in [("five", 5), ("six", 6)] {
            let simulation = Simulation {
                output: Some(json!(number)),
                ..Simulation::default()
            };
            let entry = HandlerEntry {
                action: Action::Simulation(simulation),
                ..HandlerEntry::default()
            };
            entries.0.insert(kind.to_owned(), entry);
        }
        let found = obstacles(
            &[&definition],
            &entries,
            &Allowed::default(),
            Path::new("/nowhere"),
        );
        for word in [
            "(steps a, b)",
            "./tf.sh",
            "handlers.five: output is no table",
        ] {
            assert!(
                found.iter().any(|obstacle| obstacle.contains(word)),
                "{word} in {found:#?}"
            );
        }
        assert_eq!(found.len(), 3, "{found:#?}");
        let missing = missing_handlers(&[&definition], &entries);
        assert!(
            missing.len() == 1 && missing[0].contains("\"helm\""),
            "{missing:?}"
        );
    }
}
