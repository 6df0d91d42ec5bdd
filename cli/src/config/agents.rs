//! How the agents of parallel JSON are called: `[dialects.parallel-json.agents.NAME]`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use windlass::RetryPolicy;
use windlass_dialects::AgentOptions;

use crate::toml_text::TomlText;

/// Where agents stand in the file.
pub(super) const AGENTS: &str = "dialects.parallel-json.agents";

const KEYS: [&str; 3] = ["timeout_ms", "retry_config", "circuit_breaker_config"];

const RETRY_KEYS: [&str; 4] = [
    "max_retries",
    "initial_delay_ms",
    "max_delay_ms",
    "backoff_multiplier",
];

/// How one agent is called.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AgentEntry {
    /// Limit for one call in milliseconds; `None` is the dialect's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    /// How often it is called; `None` once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<RetryPolicy>,
    /// Whether a circuit breaker is asked for, which there is none of.
    pub(crate) has_circuit_breaker: bool,
}

impl AgentEntry {
    /// As it would stand in the file.
    pub(super) fn as_written(&self) -> Json {
        let mut written = Map::new();
        let mut set = |key: &str, value: Option<Json>| {
            written.extend(value.map(|value| (key.to_owned(), value)));
        };
        set("timeout_ms", self.timeout_ms.map(Json::from));
        let retry = self.retry.as_ref().map(|retry| {
            json!({
                "max_retries": retry.attempts - 1,
                "initial_delay_ms": retry.backoff_ms,
                "max_delay_ms": retry.backoff_ms_max,
                "backoff_multiplier": retry.factor,
            })
        });
        set("retry_config", retry);
        let breaker = self.has_circuit_breaker.then(|| json!({}));
        set("circuit_breaker_config", breaker);
        Json::Object(written)
    }

    /// As an import takes it.
    pub(super) fn options(&self) -> AgentOptions {
        AgentOptions {
            timeout_ms: self.timeout_ms,
            retry: self.retry.clone(),
            has_circuit_breaker: self.has_circuit_breaker,
        }
    }
}

/// Reads the table of all agents; problems are noted there.
pub(super) fn read<'t>(
    toml: &mut TomlText<'t>,
    agents: &Spanned<DeValue<'t>>,
) -> BTreeMap<String, AgentEntry> {
    let Some(agents) = table(toml, AGENTS, agents) else {
        return BTreeMap::new();
    };
    let mut entries = BTreeMap::new();
    for (name, value) in agents {
        let path = format!("{AGENTS}.{}", name.get_ref());
        if let Some(agent) = table(toml, &path, value) {
            let entry = AgentReader { toml, path: &path }.read(agent);
            entries.insert(name.get_ref().to_string(), entry);
        }
    }
    entries
}

fn table<'v, 't>(
    toml: &mut TomlText<'t>,
    path: &str,
    value: &'v Spanned<DeValue<'t>>,
) -> Option<&'v DeTable<'t>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        let what = format!("{path} is no table; write [{path}] and settings under it");
        toml.problem(&value.span(), what);
    }
    table
}

struct AgentReader<'r, 't> {
    toml: &'r mut TomlText<'t>,
    path: &'r str,
}

impl<'t> AgentReader<'_, 't> {
    fn read(&mut self, agent: &DeTable<'t>) -> AgentEntry {
        self.unknown_keys(agent, &KEYS);
        let retry = agent.get("retry_config").and_then(|value| {
            let path = format!("{}.retry_config", self.path);
            let table = table(self.toml, &path, value)?;
            self.retry(table, &value.span())
        });
        AgentEntry {
            timeout_ms: self.count(agent, "timeout_ms", 1, u64::from(u32::MAX)),
            retry,
            has_circuit_breaker: agent.contains_key("circuit_breaker_config"),
        }
    }

    fn retry(&mut self, table: &DeTable<'t>, at: &Range<usize>) -> Option<RetryPolicy> {
        self.unknown_keys(table, &RETRY_KEYS);
        let before = self.toml.problems.len();
        let default = RetryPolicy::default();
        let most = u64::from(windlass::limits::workflow::ATTEMPTS_MAX - 1);
        let retries = self.count(table, "max_retries", 0, most).unwrap_or(0);
        let attempts = u32::try_from(retries + 1).unwrap_or(u32::MAX);
        let first = self.count(table, "initial_delay_ms", 0, u64::from(u32::MAX));
        let last = self.count(table, "max_delay_ms", 0, u64::from(u32::MAX));
        let millis = Duration::from_millis;
        let policy = RetryPolicy::new(attempts, millis(first.unwrap_or(default.backoff_ms)))
            .backoff_max(millis(last.unwrap_or(default.backoff_ms_max)))
            .factor(self.multiplier(table).unwrap_or(default.factor));
        if self.toml.problems.len() > before {
            return None;
        }
        for problem in policy.problems() {
            let what = format!("{}.retry_config: {problem}", self.path);
            self.toml.problem(at, what);
        }
        Some(policy)
    }

    fn unknown_keys(&mut self, table: &DeTable<'t>, known: &[&'static str]) {
        for key in table.keys() {
            if !known.contains(&key.get_ref().as_ref()) {
                let known = known.iter().copied();
                self.toml.unknown_key(&key.span(), key.get_ref(), known);
            }
        }
    }

    fn count(&mut self, table: &DeTable<'t>, key: &str, least: u64, most: u64) -> Option<u64> {
        let value = table.get(key)?;
        let number = value.get_ref().as_integer().and_then(|digits| {
            u64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok()
        });
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let why = format!("must be a whole number from {least} to {most}");
            self.key_problem(key, &value.span(), &why);
        }
        number
    }

    fn multiplier(&mut self, table: &DeTable<'t>) -> Option<f64> {
        let key = "backoff_multiplier";
        let value = table.get(key)?;
        let number = self.toml.json(value).as_f64();
        let number = number.filter(|number| *number >= 1.0);
        if number.is_none() {
            self.key_problem(key, &value.span(), "must be a number from 1 on");
        }
        number
    }

    fn key_problem(&mut self, key: &str, at: &Range<usize>, why: &str) {
        let what = format!("{}: {key} {why}", self.path);
        self.toml.problem(at, what);
    }
}
