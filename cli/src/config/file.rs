//! Settings from `windlass.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::agents::{self, AGENTS, AgentEntry};
use super::keys;
use super::layer::Layer;
use crate::failure::Failure;
use crate::handlers_file::HandlerEntries;
use crate::secret_sources::SecretSources;
use crate::toml_text::TomlText;

/// What a file says.
pub(super) struct File {
    pub(super) layers: Vec<Layer>,
    pub(super) handlers: HandlerEntries,
    pub(super) agents: BTreeMap<String, AgentEntry>,
    pub(super) secrets: SecretSources,
    pub(super) problems: Vec<String>,
}

/// The text of the file.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        let name = path.display();
        Failure::refused(format!(
            "configuration file {name} cannot be read ({error}); correct --config or the file"
        ))
    })
}

/// Reads the text of a file and finds every key that nobody knows.
pub(super) fn read(path: &Path, text: &str) -> File {
    let name = path.display().to_string();
    let (mut toml, table) = TomlText::parse(&name, text);
    let mut walk = Walk {
        name: &name,
        toml: &mut toml,
        layers: Vec::new(),
        handlers: HandlerEntries::default(),
        agents: BTreeMap::new(),
        secrets: SecretSources::default(),
    };
    walk.table("", &table);
    let (layers, handlers) = (walk.layers, walk.handlers);
    let (agents, secrets) = (walk.agents, walk.secrets);
    File {
        layers,
        handlers,
        agents,
        secrets,
        problems: toml.problems,
    }
}

struct Walk<'w, 't> {
    name: &'w str,
    toml: &'w mut TomlText<'t>,
    layers: Vec<Layer>,
    handlers: HandlerEntries,
    agents: BTreeMap<String, AgentEntry>,
    secrets: SecretSources,
}

impl<'t> Walk<'_, 't> {
    fn table(&mut self, prefix: &str, table: &DeTable<'t>) {
        for (key, value) in table {
            let path = format!("{prefix}{}", key.get_ref());
            if path == "handlers" {
                self.handlers = HandlerEntries::from_toml(self.toml, value);
            } else if path == AGENTS {
                self.agents = agents::read(self.toml, value);
            } else if path == "secrets" {
                self.secrets = SecretSources::from_toml(self.toml, value);
            } else if keys::KEYS.contains(&path.as_str()) {
                self.layer(&path, &key.span(), value);
            } else {
                self.inner(&path, &key.span(), value);
            }
        }
    }

    fn layer(&mut self, path: &str, at: &std::ops::Range<usize>, value: &Spanned<DeValue<'t>>) {
        let line = self.toml.line(at);
        let json = self.toml.json(value);
        self.layers
            .push(Layer::new(format!("{}:{line}", self.name), path, json));
    }

    /// A table on the way to known keys, or a key that is unknown.
    fn inner(&mut self, path: &str, at: &std::ops::Range<usize>, value: &Spanned<DeValue<'t>>) {
        let prefix = format!("{path}.");
        let leads_on = keys::KEYS.iter().any(|key| key.starts_with(&prefix));
        match value.get_ref().as_table() {
            Some(table) if leads_on => self.table(&prefix, table),
            _ if leads_on => {
                let what = format!("{path} is no table; write [{path}] and settings under it");
                self.toml.problem(&value.span(), what);
            }
            _ => {
                let known = known_beside(path);
                self.toml
                    .unknown_key(at, path, known.iter().map(String::as_str));
            }
        }
    }
}

/// The keys and tables that could stand where `path` stands, whole.
fn known_beside(path: &str) -> Vec<String> {
    let depth = path.matches('.').count();
    let cut = |key: &&str| key.split('.').take(depth + 1).collect::<Vec<_>>().join(".");
    let mut known: Vec<_> = keys::KEYS.iter().map(cut).collect();
    known.extend(["handlers", "secrets"].map(str::to_owned));
    known.push(cut(&AGENTS));
    known.dedup();
    known
}
