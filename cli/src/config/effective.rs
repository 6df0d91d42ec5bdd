//! The effective settings as people see them: value by value, with where each came from.

use std::collections::BTreeMap;

use figment::Figment;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::agents::{AGENTS, AgentEntry};
use super::{Config, keys, layer};
use crate::handlers_file::{Action, HandlerEntries};
use crate::secret_sources::{SecretSource, SecretSources};

/// Every setting with its source.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Effective {
    /// In the order of the documentation, agents, handlers and secrets last.
    #[serde(rename = "config")]
    pub(crate) entries: Vec<Entry>,
}

/// One setting.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// Dotted path.
    pub(crate) key: String,
    /// As it would stand in the file.
    pub(crate) value: Json,
    /// `default`, a file and line, a variable or a flag.
    pub(crate) from: String,
}

impl Effective {
    pub(super) fn of(figment: &Figment, config: &Config) -> Self {
        let mut entries: Vec<_> = keys::KEYS
            .iter()
            .map(|key| Entry {
                key: (*key).to_owned(),
                value: figment.extract_inner(key).unwrap_or(Json::Null),
                from: layer::source_of(figment, key),
            })
            .collect();
        if let Some(file) = &config.file {
            let from = file.display().to_string();
            entries.extend(agents(&config.dialects.parallel_json.agents, &from));
            entries.extend(handlers(&config.handlers, &from));
            entries.extend(secrets(&config.secrets, &from));
        }
        Self { entries }
    }
}

/// A line per agent.
fn agents(agents: &BTreeMap<String, AgentEntry>, from: &str) -> impl Iterator<Item = Entry> {
    agents.iter().map(move |(name, agent)| Entry {
        key: format!("{AGENTS}.{name}"),
        value: agent.as_written(),
        from: from.to_owned(),
    })
}

/// A line per handler.
fn handlers(entries: &HandlerEntries, from: &str) -> impl Iterator<Item = Entry> {
    entries.0.iter().map(move |(kind, entry)| Entry {
        key: format!("handlers.{kind}"),
        value: match &entry.action {
            Action::Program(command) => json!({ "command": command }),
            Action::Simulation(simulation) => {
                let takes = crate::time_text::DurationText(simulation.takes);
                json!({ "simulate": takes })
            }
            Action::Command => json!("built in"),
            Action::Shell => json!({}),
        },
        from: from.to_owned(),
    })
}

/// A line per secret: where its value is.
fn secrets(sources: &SecretSources, from: &str) -> impl Iterator<Item = Entry> {
    sources.0.iter().map(move |(name, source)| Entry {
        key: format!("secrets.{name}"),
        value: match source {
            SecretSource::Variable(variable) => json!({ "env": variable }),
            SecretSource::File(path) => json!({ "file": path }),
        },
        from: from.to_owned(),
    })
}
