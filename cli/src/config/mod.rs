//! What can be set: defaults, then `windlass.toml`, then `WINDLASS_*` variables, then flags.
//!
//! Owns the settings with their units, defaults and bounds. Later sources win, key by key; unknown
//! keys and wrong values are all reported at once. `figment` merges the sources and remembers where
//! each value came from.

mod agents;
mod cacao;
mod dialects;
mod effective;
mod file;
mod keys;
mod layer;
mod variables;
mod wrong_value;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::allowed::Allowed;
use crate::failure::Failure;
use crate::handlers_file::HandlerEntries;
use crate::secret_sources::SecretSources;
use crate::time_text::DurationText;

use cacao::CacaoSettings;
use dialects::{ParallelJsonSettings, StepGroupsSettings, WIDTH_MAX};

pub(crate) use dialects::DialectSettings;
pub(crate) use effective::Effective;
pub(crate) use keys::HELP;
pub(crate) use layer::Layer;

/// The file that is read when no other is named.
const FILE: &str = "windlass.toml";

/// The effective settings.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The database file. Default `windlass.db` in the current folder.
    pub(crate) database: PathBuf,
    /// What a power loss may cost: nothing (`full`, default) or the newest work (`normal`). A crash
    /// of the process costs nothing in either.
    pub(crate) durability: DurabilityName,
    /// Runner threads, 1 to 1024; default one per processor. More than the processors only helps
    /// handlers that block.
    pub(crate) runners: u32,
    /// Steps that wait at once on one Runner, 1 to 10 000; default 5. With 1 a Runner does nothing
    /// else while a program runs.
    pub(crate) in_flight: u32,
    /// Jobs between Scheduler and Runners, 1 to 1 000 000; default 8192. Small ones cost speed,
    /// large ones memory; correctness does not depend on it.
    pub(crate) capacity: u32,
    /// What is kept of each attempt: `all` (default), `failures` or `off`.
    pub(crate) history: HistoryName,
    /// Crashes of the engine in one step before the step is parked, 1 to 1000; default 3.
    pub(crate) max_crashes: u32,
    /// Log lines on stderr: a level, or filters as `RUST_LOG` has them. Default `warn`.
    pub(crate) log: String,
    /// Kinds of step that may run. Default none.
    pub(crate) allow: Allowed,
    /// What happens to new runs while too many wait for their first step.
    pub(crate) admission: AdmissionSettings,
    /// How long ended runs are kept; `None` for ever. Default 30 days.
    pub(crate) retention: Option<Duration>,
    /// How workflow files are read.
    pub(crate) dialects: DialectSettings,
    /// The host keys that `ssh` commands trust; `None` for those that the user's own `ssh` trusts.
    pub(crate) known_hosts: Option<PathBuf>,
    /// Where the values of secrets are.
    pub(crate) secrets: SecretSources,
    /// Handlers that stand in `windlass.toml`.
    pub(crate) handlers: HandlerEntries,
    /// The text of the file, if it has handlers.
    pub(crate) handlers_text: Option<String>,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
}

/// What happens to new runs while too many wait for their first step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AdmissionSettings {
    /// Default `backpressure`.
    pub(crate) policy: AdmissionPolicy,
    /// Admitted runs whose first step has not begun, at least 1; default 100 000.
    pub(crate) max_pending: u64,
    /// How long a producer waits under `backpressure`; default 30 s.
    pub(crate) timeout: Duration,
}

/// The words for what a power loss may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DurabilityName {
    #[default]
    Full,
    Normal,
}

/// The words for what is kept of each attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HistoryName {
    #[default]
    All,
    Failures,
    Off,
}

/// The words for what happens at the door when there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AdmissionPolicy {
    #[default]
    Backpressure,
    RejectNew,
    DropOldest,
}

/// Where settings come from, besides the defaults.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    /// The file to read; `None` is `windlass.toml` in the current folder, if it is there.
    pub(crate) file: Option<PathBuf>,
    /// The environment.
    pub(crate) variables: Vec<(String, String)>,
    /// The flags that were given.
    pub(crate) flags: Vec<Layer>,
}

impl Sources {
    /// The process's environment and these flags.
    pub(crate) fn of_process(file: Option<PathBuf>, flags: Vec<Layer>) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        });
        Self {
            file,
            variables: variables.collect(),
            flags,
        }
    }

    /// Reads and merges all sources.
    ///
    /// # Errors
    /// A refusal with every unknown key and every wrong value.
    pub(crate) fn load(self) -> Result<(Config, Effective), Failure> {
        let (variables, mut problems) = variables::layers(self.variables);
        let file = match self.file.or_else(|| variables::config_file(&variables)) {
            Some(named) => Some(named),
            None => Some(PathBuf::from(FILE)).filter(|path| path.exists()),
        };
        let (mut handlers, mut handlers_text) = (HandlerEntries::default(), None);
        let (mut agents, mut secrets) = (BTreeMap::new(), SecretSources::default());
        let mut figment = keys::defaults()
            .into_iter()
            .fold(Figment::new(), Figment::merge);
        if let Some(path) = &file {
            let text = file::text(path)?;
            let mut read = file::read(path, &text);
            problems.append(&mut read.problems);
            (handlers, agents, secrets) = (read.handlers, read.agents, read.secrets);
            handlers_text = Some(text).filter(|_| !handlers.0.is_empty());
            figment = read.layers.into_iter().fold(figment, Figment::merge);
        }
        figment = variables.into_iter().fold(figment, Figment::merge);
        figment = self.flags.into_iter().fold(figment, Figment::merge);

        let mut config = Config::extract(&figment, handlers, file, &mut problems);
        config.handlers_text = handlers_text;
        config.dialects.parallel_json.agents = agents;
        config.secrets = secrets;
        if !problems.is_empty() {
            return Err(Failure::all(problems));
        }
        let effective = Effective::of(&figment, &config);
        Ok((config, effective))
    }
}

impl Config {
    fn extract(
        figment: &Figment,
        handlers: HandlerEntries,
        file: Option<PathBuf>,
        problems: &mut Vec<String>,
    ) -> Self {
        let mut read = Extraction { figment, problems };
        Self {
            database: read.database(),
            durability: read.value("durability"),
            runners: read.within("runners", 1..=1024),
            in_flight: read.within("in_flight", 1..=10_000),
            capacity: read.within("capacity", 1..=1_000_000),
            history: read.value("history"),
            max_crashes: read.within("max_crashes", 1..=1000),
            log: read.log(),
            allow: read.value("allow"),
            admission: AdmissionSettings {
                policy: read.value("admission.policy"),
                max_pending: read.within("admission.max_pending", 1..=1_000_000_000),
                timeout: read.value::<DurationText>("admission.timeout").0,
            },
            retention: read.value::<Keep>("retention.keep").0,
            dialects: read.dialects(),
            known_hosts: Some(read.value::<PathBuf>(keys::SSH_KNOWN_HOSTS))
                .filter(|path| !path.as_os_str().is_empty()),
            secrets: SecretSources::default(),
            handlers,
            handlers_text: None,
            file,
        }
    }

    /// The folder beside the database where the locks of running programs live.
    pub(crate) fn guards(&self) -> PathBuf {
        guards_of(&self.database)
    }
}

/// The handlers that stand in a configuration file's text; its other settings are not looked at.
pub(crate) fn handlers_in(path: &Path, text: &str) -> Result<HandlerEntries, Failure> {
    let read = file::read(path, text);
    if read.problems.is_empty() {
        Ok(read.handlers)
    } else {
        Err(Failure::all(read.problems))
    }
}

/// `windlass.db` → `windlass.db.guards`, the same for every way to write the path.
fn guards_of(database: &Path) -> PathBuf {
    let whole = std::fs::canonicalize(database)
        .or_else(|_| std::path::absolute(database))
        .unwrap_or_else(|_| database.to_path_buf());
    let mut name = whole.file_name().unwrap_or_default().to_os_string();
    name.push(".guards");
    whole.with_file_name(name)
}

/// How long something is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Keep(Option<Duration>);

impl<'de> Deserialize<'de> for Keep {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "forever" {
            return Ok(Self(None));
        }
        let parsed: Result<DurationText, _> = text.parse();
        let duration =
            parsed.map_err(|why| serde::de::Error::custom(format!("{why}, or forever")))?;
        Ok(Self(Some(duration.0)))
    }
}

/// Takes single keys out of the merged sources and notes what is wrong with them.
struct Extraction<'e> {
    figment: &'e Figment,
    problems: &'e mut Vec<String>,
}

impl Extraction<'_> {
    fn value<T: DeserializeOwned + Default>(&mut self, key: &str) -> T {
        self.figment.extract_inner(key).unwrap_or_else(|error| {
            let source = layer::source_of(self.figment, key);
            let found = self.figment.find_value(key).ok();
            let found = found.and_then(|value| serde_json::to_value(value).ok());
            let own_words = match error.kind {
                figment::error::Kind::Message(words) => Some(words),
                _ => None,
            };
            let why = wrong_value::words(key, &found.unwrap_or_default(), own_words);
            self.problems.push(format!("{source}: {key}{why}"));
            T::default()
        })
    }

    fn dialects(&mut self) -> DialectSettings {
        use keys::{cacao, groups, json};
        DialectSettings {
            step_groups_yaml: StepGroupsSettings {
                mode: self.value(groups::MODE),
                max_concurrent_steps: self.within(groups::MAX_CONCURRENT_STEPS, 1..=WIDTH_MAX),
                step_timeout: self.value(groups::STEP_TIMEOUT),
                approval_timeout: self.value(groups::APPROVAL_TIMEOUT),
                process_env: self.value(groups::PROCESS_ENV),
                known_resources: self.value(groups::KNOWN_RESOURCES),
                secret_names: self.value(groups::SECRET_NAMES),
                workflows: self.value(groups::WORKFLOWS),
            },
            parallel_json: ParallelJsonSettings {
                mode: self.value(json::MODE),
                max_concurrent_steps: self.value(json::MAX_CONCURRENT_STEPS),
                step_timeout: self.value(json::STEP_TIMEOUT),
                early_exit: self.value(json::EARLY_EXIT),
                parallel_loop_stop: self.value(json::PARALLEL_LOOP_STOP),
                iteration_shape: self.value(json::ITERATION_SHAPE),
                strict_conditions: self.value(json::STRICT_CONDITIONS),
                resolve_agents: self.value(json::RESOLVE_AGENTS),
                agents: BTreeMap::new(),
            },
            cacao: CacaoSettings {
                mode: self.value(cacao::MODE),
                refuse_features: self.value(cacao::REFUSE_FEATURES),
                parallelizable: self.value(cacao::PARALLELIZABLE),
                upgrade_1x: self.value(cacao::UPGRADE_1X),
                max_loop_iterations: self.within(cacao::MAX_LOOP_ITERATIONS, 1..=1_000_000_000),
                max_parallel_branches: self.value(cacao::MAX_PARALLEL_BRANCHES),
                default_step_timeout: self.value(cacao::DEFAULT_STEP_TIMEOUT),
                max_playbook_depth: self.within(cacao::MAX_PLAYBOOK_DEPTH, 1..=1_000),
                ignore_validity: self.value(cacao::IGNORE_VALIDITY),
                playbooks: self.value(cacao::PLAYBOOKS),
            },
        }
    }

    fn database(&mut self) -> PathBuf {
        let path: PathBuf = self.value("database");
        if self.found_nothing_wrong_with("database") && path.as_os_str().is_empty() {
            let source = layer::source_of(self.figment, "database");
            self.problems.push(format!(
                "{source}: database is empty, so there is no file to keep runs in; name one, such as \"windlass.db\""
            ));
        }
        path
    }

    fn log(&mut self) -> String {
        let filter: String = self.value("log");
        if self.found_nothing_wrong_with("log")
            && let Err(why) = crate::logging::check(&filter)
        {
            let source = layer::source_of(self.figment, "log");
            self.problems.push(format!("{source}: log: {why}"));
        }
        filter
    }

    /// Whether the value of a key that is text is a text.
    fn found_nothing_wrong_with(&self, key: &str) -> bool {
        self.figment.extract_inner::<String>(key).is_ok()
    }

    fn within<N>(&mut self, key: &str, range: RangeInclusive<N>) -> N
    where
        N: DeserializeOwned + Default + PartialOrd + std::fmt::Display,
    {
        let before = self.problems.len();
        let number: N = self.value(key);
        if self.problems.len() == before && !range.contains(&number) {
            let (least, most) = (range.start(), range.end());
            let source = layer::source_of(self.figment, key);
            self.problems.push(format!(
                "{source}: {key} is {number}; it must be from {least} to {most}"
            ));
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use windlass_dialects::{Dialect, EarlyExit};

    fn load(
        file: &str,
        variables: &[(&str, &str)],
        flags: Vec<Layer>,
    ) -> Result<(Config, Effective), Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("windlass.toml");
        std::fs::write(&path, file).unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables = variables.iter().map(own).collect();
        Sources {
            file: Some(path),
            variables,
            flags,
        }
        .load()
    }

    fn from_of<'e>(effective: &'e Effective, key: &str) -> &'e str {
        let entry = effective.entries.iter().find(|entry| entry.key == key);
        &entry.unwrap().from
    }

    #[test]
    fn later_sources_win_key_by_key_and_are_remembered() {
        let file = "runners = 3\ncapacity = 10\n\n[admission]\npolicy = 'reject-new'\nmax_pending = 9\n[retention]\nkeep = 'forever'\n[dialects.step-groups-yaml]\nstep_timeout = '0s'\n";
        let variables = [
            ("WINDLASS_CAPACITY", "20"),
            ("WINDLASS_ADMISSION_MAX_PENDING", "8"),
            (
                "WINDLASS_DIALECTS_STEP_GROUPS_YAML_MAX_CONCURRENT_STEPS",
                "7",
            ),
            ("WINDLASS_CTX_RUN", "1"),
            ("HOME", "/"),
        ];
        let flags = vec![Layer::flag("--capacity", "capacity", 30)];
        let (config, effective) = load(file, &variables, flags).unwrap();
        assert_eq!(
            (config.runners, config.capacity, config.in_flight),
            (3, 30, 5)
        );
        assert_eq!(config.admission.policy, AdmissionPolicy::RejectNew);
        assert_eq!(
            (
                config.admission.max_pending,
                config.dialects.step_groups_yaml.max_concurrent_steps
            ),
            (8, 7)
        );
        let limit = config.dialects.step_timeout(Dialect::StepGroupsYaml);
        assert_eq!((config.retention, limit), (None, None));
        assert!(from_of(&effective, "runners").ends_with("windlass.toml:1"));
        assert!(from_of(&effective, "admission.policy").ends_with("windlass.toml:5"));
        assert_eq!(from_of(&effective, "capacity"), "flag --capacity");
        assert_eq!(
            from_of(&effective, "admission.max_pending"),
            "variable WINDLASS_ADMISSION_MAX_PENDING"
        );
        assert_eq!(from_of(&effective, "durability"), "default");
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_all_named_at_once() {
        let file = "runers = 3\ncapacity = 0\ndurability = 'ful'\n[admision]\nx = 1\n[admission]\npolicy = 'shed'\ntimeout = 5\n[dialects.step-groups]\nx = 1\n[handlers.a]\ncomand = []\n[retention]\nkeep = '1 moon'\n";
        let variables = [("WINDLASS_RUNERS", "2"), ("WINDLASS_IN_FLIGHT", "many")];
        let problems = load(file, &variables, Vec::new()).unwrap_err().problems;
        let expected = [
            ("windlass.toml:1:", "\"runers\"", "\"runners\""),
            ("windlass.toml:2:", "capacity is 0", "1 to"),
            (
                "windlass.toml:3:",
                "durability must be full or normal",
                "\"ful\"",
            ),
            ("windlass.toml:4:", "\"admision\"", "\"admission\""),
            ("windlass.toml:7:", "policy must be", "reject-new"),
            ("windlass.toml:8:", "timeout must be a duration", "found 5"),
            (
                "windlass.toml:9:",
                "step-groups",
                "\"dialects.step-groups-yaml\"",
            ),
            ("windlass.toml:12:", "\"comand\"", "\"command\""),
            ("windlass.toml:11:", "handlers.a", "neither"),
            ("windlass.toml:14:", "retention.keep", "forever"),
            ("WINDLASS_RUNERS", "unknown", "\"WINDLASS_RUNNERS\""),
            ("WINDLASS_IN_FLIGHT", "in_flight", "many"),
        ];
        for (place, what, hint) in expected {
            let named = |p: &String| p.contains(place) && p.contains(what) && p.contains(hint);
            assert!(
                problems.iter().any(named),
                "{place} {what} {hint} in {problems:#?}"
            );
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    }

    #[test]
    fn parallel_json_has_settings_of_its_own_and_agents() {
        let file = "[dialects.parallel-json]\nmode = 'lenient'\nmax_concurrent_steps = 3\nearly_exit = 'absorb'\nstrict_conditions = true\n[dialects.parallel-json.agents.Fetch]\ntimeout_ms = 500\nretry_config = { max_retries = 2, initial_delay_ms = 10, max_delay_ms = 50, backoff_multiplier = 1.5 }\n";
        let variables = [
            ("WINDLASS_DIALECTS_PARALLEL_JSON_STRICT_CONDITIONS", "false"),
            (
                "WINDLASS_DIALECTS_PARALLEL_JSON_MAX_CONCURRENT_STEPS",
                "none",
            ),
        ];
        let (config, effective) = load(file, &variables, Vec::new()).unwrap();
        let options = config.dialects.options("f", Some(Dialect::ParallelJson));
        let own = options.parallel_json;
        assert_eq!(own.early_exit, EarlyExit::Absorb);
        assert_eq!(
            (own.strict_conditions, own.max_concurrent_steps),
            (false, None)
        );
        let retry = own.agents["Fetch"].retry.as_ref().unwrap();
        assert_eq!(
            (retry.attempts, retry.backoff_ms, retry.backoff_ms_max),
            (3, 10, 50)
        );
        assert_eq!(own.agents["Fetch"].timeout_ms, Some(500));
        let key = "dialects.parallel-json.agents.Fetch";
        assert!(from_of(&effective, key).ends_with("windlass.toml"));
        let entry = effective.entries.iter().find(|entry| entry.key == key);
        assert_eq!(
            entry.unwrap().value["retry_config"]["backoff_multiplier"],
            json!(1.5)
        );
        assert!(from_of(&effective, "dialects.parallel-json.mode").ends_with("windlass.toml:2"));
    }

    #[test]
    fn what_is_wrong_with_the_settings_of_dialects_is_told_at_once() {
        let file = "[dialects.parallel-json]\nmode = 'strickt'\nmax_concurrent_steps = 0\nstrict_conditions = 1\nearly_exits = 'none'\nagents = 5\n[dialects.step-groups-yaml]\nsecret_names = 5\nmax_concurrent_steps = 0\n";
        let problems = load(file, &[], Vec::new()).unwrap_err().problems;
        let expected = [
            (
                "windlass.toml:2:",
                "mode must be strict or lenient, found \"strickt\"",
            ),
            (
                "windlass.toml:3:",
                "must be a whole number from 1 to 10000, or \"none\", found 0",
            ),
            (
                "windlass.toml:4:",
                "must be true or false, found 1 (a number)",
            ),
            (
                "windlass.toml:5:",
                "did you mean \"dialects.parallel-json.early_exit\"?",
            ),
            ("windlass.toml:6:", "agents is no table"),
            ("windlass.toml:8:", "a list of names such as [\"HOME\"]"),
            (
                "windlass.toml:9:",
                "max_concurrent_steps is 0; it must be from 1 to 10000",
            ),
        ];
        for (place, what) in expected {
            let named = |p: &String| p.contains(place) && p.contains(what);
            assert!(
                problems.iter().any(named),
                "{place} {what} in {problems:#?}"
            );
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");

        let file = "[dialects.parallel-json.agents.A]\ntimeout_ms = 0\nretries = 3\n[dialects.parallel-json.agents.A.retry_config]\nmax_retry = 1\ninitial_delay_ms = -1\nbackoff_multiplier = 0.5\n";
        let problems = load(file, &[], Vec::new()).unwrap_err().problems;
        let expected = [
            (
                "windlass.toml:2:",
                "timeout_ms must be a whole number from 1",
            ),
            ("windlass.toml:3:", "\"retries\" is unknown"),
            ("windlass.toml:5:", "did you mean \"max_retries\"?"),
            (
                "windlass.toml:6:",
                "initial_delay_ms must be a whole number from 0",
            ),
            (
                "windlass.toml:7:",
                "backoff_multiplier must be a number from 1 on",
            ),
        ];
        for (place, what) in expected {
            let named = |p: &String| p.contains(place) && p.contains(what);
            assert!(
                problems.iter().any(named),
                "{place} {what} in {problems:#?}"
            );
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    }

    #[test]
    fn the_guards_stand_beside_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("w.db");
        std::fs::write(&database, "").unwrap();
        let whole = std::fs::canonicalize(&database).unwrap();
        let expected = whole.with_file_name("w.db.guards");
        assert_eq!(guards_of(&folder.path().join("./w.db")), expected);
    }
}
