//! How workflow files of each dialect are read: `[dialects.NAME]`.
//!
//! Kept with each run, so that whoever goes on with it reads its file in the same way.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use windlass_dialects::{
    Dialect, EarlyExit, ImportOptions, IterationShape, LoopStop, Mode, ResolveAgents,
};

use super::agents::AgentEntry;
use super::cacao::CacaoSettings;
use crate::time_text::DurationText;

/// Steps of one run that may work at once: more would be no limit.
pub(super) const WIDTH_MAX: u32 = 10_000;

/// The choices for each dialect that has some.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct DialectSettings {
    pub(crate) step_groups_yaml: StepGroupsSettings,
    pub(crate) parallel_json: ParallelJsonSettings,
    pub(crate) cacao: CacaoSettings,
}

/// The choices for YAML step groups; graphs in JSON take their limits from here too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StepGroupsSettings {
    /// Default `strict`.
    pub(crate) mode: ModeName,
    /// Steps of one run that may work at once, 1 to 10 000; default 5.
    pub(crate) max_concurrent_steps: u32,
    /// Limit for one attempt of a step that has none of its own; zero is no limit. Default 30 min.
    pub(crate) step_timeout: DurationText,
    /// How long a person has to answer; zero, the default, is no limit.
    pub(crate) approval_timeout: DurationText,
    /// Variables of the environment that runs may read; default none.
    pub(crate) process_env: Names,
    /// Resources that the input brings; default none.
    pub(crate) known_resources: Names,
    /// Variables, environment and outputs whose values are shown nowhere; default none.
    pub(crate) secret_names: Names,
    /// The folder of workflows that others start; empty, the default, is none.
    pub(crate) workflows: PathBuf,
}

impl Default for StepGroupsSettings {
    fn default() -> Self {
        Self {
            mode: ModeName::Strict,
            // With `in_flight` as it is, even a single Runner serves one run at its full width.
            max_concurrent_steps: 5,
            step_timeout: DurationText(Duration::from_mins(30)),
            approval_timeout: DurationText(Duration::ZERO),
            process_env: Names::default(),
            known_resources: Names::default(),
            secret_names: Names::default(),
            workflows: PathBuf::new(),
        }
    }
}

/// Names. Written as a list, or as one text with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a list of names, such as [\"HOME\"]")]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let names = match Form::deserialize(deserializer)? {
            Form::Text(text) => text.split(',').map(str::to_owned).collect(),
            Form::List(names) => names,
        };
        let names = names.iter().map(|name| name.trim().to_owned());
        Ok(Self(names.filter(|name| !name.is_empty()).collect()))
    }
}

impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

/// The choices for parallel JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ParallelJsonSettings {
    /// Default `strict`.
    pub(crate) mode: ModeName,
    /// Steps of one run that may work at once, on top of each block's own limit; default no limit.
    pub(crate) max_concurrent_steps: Width,
    /// Limit for one call of an agent that has none of its own; zero is no limit. Default 5 min.
    pub(crate) step_timeout: DurationText,
    /// Default `none`.
    pub(crate) early_exit: EarlyExitName,
    /// Default `drain`.
    pub(crate) parallel_loop_stop: LoopStopName,
    /// Default `record`.
    pub(crate) iteration_shape: IterationShapeName,
    /// Default no.
    pub(crate) strict_conditions: bool,
    /// Default `load`.
    pub(crate) resolve_agents: ResolveAgentsName,
    /// By name.
    pub(crate) agents: BTreeMap<String, AgentEntry>,
}

impl Default for ParallelJsonSettings {
    fn default() -> Self {
        Self {
            mode: ModeName::Strict,
            max_concurrent_steps: Width(None),
            step_timeout: DurationText(Duration::from_mins(5)),
            early_exit: EarlyExitName::None,
            parallel_loop_stop: LoopStopName::Drain,
            iteration_shape: IterationShapeName::Record,
            strict_conditions: false,
            resolve_agents: ResolveAgentsName::Load,
            agents: BTreeMap::new(),
        }
    }
}

impl DialectSettings {
    /// The choices for an import of this file.
    ///
    /// Steps without a limit of their own get none here: it comes with the policies of their type.
    pub(crate) fn options(&self, file: &str, dialect: Option<Dialect>) -> ImportOptions {
        let (groups, json) = (&self.step_groups_yaml, &self.parallel_json);
        let mut options = ImportOptions::new(file);
        options.dialect = dialect;
        options.mode = match dialect {
            Some(Dialect::ParallelJson) => json.mode.into(),
            Some(Dialect::Cacao) => self.cacao.mode.into(),
            Some(Dialect::StepGroupsYaml | Dialect::WorkflowJson) | None => groups.mode.into(),
        };
        options.max_concurrent_steps = groups.max_concurrent_steps;
        options.step_timeout = None;
        let own = &mut options.step_groups;
        own.approval_timeout = Some(groups.approval_timeout.0).filter(|limit| !limit.is_zero());
        own.process_env.clone_from(&groups.process_env.0);
        own.known_resources.clone_from(&groups.known_resources.0);
        own.secret_names.clone_from(&groups.secret_names.0);
        self.cacao.apply(&mut options.cacao);
        let own = &mut options.parallel_json;
        own.max_concurrent_steps = json.max_concurrent_steps.0;
        own.step_timeout = None;
        own.early_exit = json.early_exit.into();
        own.parallel_loop_stop = json.parallel_loop_stop.into();
        own.iteration_shape = json.iteration_shape.into();
        own.strict_conditions = json.strict_conditions;
        own.resolve_agents = json.resolve_agents.into();
        let agents = json.agents.iter();
        own.agents = agents
            .map(|(name, agent)| (name.clone(), agent.options()))
            .collect();
        options
    }

    /// The limit for one attempt of a step that has none of its own.
    pub(crate) fn step_timeout(&self, dialect: Dialect) -> Option<Duration> {
        let limit = match dialect {
            // Its steps get their limit when they are imported: it is for whole steps.
            Dialect::Cacao => return None,
            Dialect::ParallelJson => self.parallel_json.step_timeout,
            Dialect::StepGroupsYaml | Dialect::WorkflowJson => self.step_groups_yaml.step_timeout,
        };
        Some(limit.0).filter(|limit| !limit.is_zero())
    }
}

/// A number of steps, or `none` for as many as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Width(pub(crate) Option<u32>);

impl<'de> Deserialize<'de> for Width {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u32),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) if (1..=WIDTH_MAX).contains(&number) => Ok(Self(Some(number))),
            Form::Text(text) if text == NONE => Ok(Self(None)),
            Form::Number(_) | Form::Text(_) => {
                let unexpected = serde::de::Unexpected::Other("another value");
                Err(serde::de::Error::invalid_value(unexpected, &NONE))
            }
        }
    }
}

impl Serialize for Width {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(number) => serializer.serialize_u32(number),
            None => serializer.serialize_str(NONE),
        }
    }
}

/// The word for no limit.
pub(super) const NONE: &str = "none";

/// The words for one of the importer's choices.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident for $choice:ident { $first:ident, $($more:ident),+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum $name {
            #[default]
            $first,
            $($more),+
        }

        impl From<$name> for $choice {
            fn from(name: $name) -> Self {
                match name {
                    $name::$first => Self::$first,
                    $($name::$more => Self::$more),+
                }
            }
        }
    };
}

words!(
    /// How strictly a file is read.
    ModeName for Mode { Strict, Lenient }
);
words!(
    /// When a fork-join decides, and what becomes of the other branches.
    EarlyExitName for EarlyExit { None, Absorb, Cancel }
);
words!(
    /// What becomes of running iterations when a parallel loop stops.
    LoopStopName for LoopStop { Drain, Cancel }
);
words!(
    /// What the entries of a loop's `iterations` are.
    IterationShapeName for IterationShape { Record, Output }
);
words!(
    /// When an agent without a handler is an error.
    ResolveAgentsName for ResolveAgents { Load, Run }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_has_its_own_mode_and_limits() {
        let settings: DialectSettings = serde_json::from_str(
            r#"{"parallel_json": {"mode": "lenient", "max_concurrent_steps": 3, "early_exit": "cancel",
                "parallel_loop_stop": "cancel", "iteration_shape": "output", "strict_conditions": true,
                "resolve_agents": "run", "step_timeout": "0s"}}"#,
        )
        .unwrap();
        let options = settings.options("f", Some(Dialect::ParallelJson));
        assert_eq!(options.mode, Mode::Lenient);
        let own = options.parallel_json;
        assert_eq!(own.max_concurrent_steps, Some(3));
        assert_eq!(own.early_exit, EarlyExit::Cancel);
        assert_eq!(own.parallel_loop_stop, LoopStop::Cancel);
        assert_eq!(own.iteration_shape, IterationShape::Output);
        assert!(own.strict_conditions);
        assert_eq!(own.resolve_agents, ResolveAgents::Run);
        for dialect in [Some(Dialect::StepGroupsYaml), None] {
            assert_eq!(settings.options("f", dialect).mode, Mode::Strict);
        }
        assert_eq!(settings.step_timeout(Dialect::ParallelJson), None);
        let half_an_hour = Some(Duration::from_mins(30));
        assert_eq!(settings.step_timeout(Dialect::StepGroupsYaml), half_an_hour);
    }

    #[test]
    fn they_read_back_as_they_are_kept() {
        let mut settings = DialectSettings::default();
        settings.parallel_json.max_concurrent_steps = Width(Some(7));
        let agent = AgentEntry {
            timeout_ms: Some(5),
            ..AgentEntry::default()
        };
        settings.parallel_json.agents.insert("a".to_owned(), agent);
        let text = serde_json::to_string(&settings).unwrap();
        let read: DialectSettings = serde_json::from_str(&text).unwrap();
        assert_eq!(read, settings);
        let nothing: DialectSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(nothing, DialectSettings::default());
    }
}
