//! How CACAO playbooks are read: `[dialects.cacao]`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use windlass_dialects::{CacaoOptions, PROCESSING_FLAGS};

use super::dialects::{ModeName, Width};
use crate::suggestion::did_you_mean;
use crate::time_text::DurationText;

/// The choices for CACAO playbooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CacaoSettings {
    /// Default `strict`.
    pub(crate) mode: ModeName,
    /// Processing flags that this host will not run; default none.
    pub(crate) refuse_features: Features,
    /// Default by the mode: only a lenient one accepts the proposal.
    pub(crate) parallelizable: ByMode,
    /// Default by the mode: only a lenient one reads 1.0 and 1.1 as 2.0.
    pub(crate) upgrade_1x: ByMode,
    /// Iterations of one entry into a while step; default 1000.
    pub(crate) max_loop_iterations: u32,
    /// Steps of one run that may work at once; default no limit.
    pub(crate) max_parallel_branches: Width,
    /// Limit for steps without one, but manual ones; zero, the default, is no limit.
    pub(crate) default_step_timeout: DurationText,
    /// How deep playbooks may call each other; default 16.
    pub(crate) max_playbook_depth: u32,
    /// Whether revoked and out-of-date playbooks may be started; default no.
    pub(crate) ignore_validity: bool,
    /// The folder of playbooks that others call; empty, the default, is none.
    pub(crate) playbooks: PathBuf,
}

impl Default for CacaoSettings {
    fn default() -> Self {
        let defaults = CacaoOptions::default();
        Self {
            mode: ModeName::Strict,
            refuse_features: Features::default(),
            parallelizable: ByMode(None),
            upgrade_1x: ByMode(None),
            max_loop_iterations: defaults.max_loop_iterations,
            max_parallel_branches: Width(None),
            default_step_timeout: DurationText(Duration::ZERO),
            max_playbook_depth: defaults.max_playbook_depth,
            ignore_validity: false,
            playbooks: PathBuf::new(),
        }
    }
}

impl CacaoSettings {
    /// Puts the choices into those of an import.
    pub(super) fn apply(&self, options: &mut CacaoOptions) {
        options.refuse_features = self.refuse_features.0.iter().cloned().collect();
        options.parallelizable = self.parallelizable.0;
        options.upgrade_1x = self.upgrade_1x.0;
        options.max_loop_iterations = self.max_loop_iterations;
        options.max_parallel_branches = self.max_parallel_branches.0;
        let limit = u64::try_from(self.default_step_timeout.0.as_millis()).unwrap_or(u64::MAX);
        options.default_step_timeout_ms = Some(limit).filter(|limit| *limit > 0);
        options.max_playbook_depth = self.max_playbook_depth;
        options.ignore_validity = self.ignore_validity;
    }
}

/// Yes, no, or as the mode says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByMode(pub(crate) Option<bool>);

/// The word for what the mode says.
const BY_MODE: &str = "by-mode";

impl<'de> Deserialize<'de> for ByMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Truth(bool),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Truth(truth) => Ok(Self(Some(truth))),
            Form::Text(text) if text == BY_MODE => Ok(Self(None)),
            Form::Text(text) => text.parse().map(|truth| Self(Some(truth))).map_err(|_| {
                serde::de::Error::custom(format!("{text:?} is not true, false or {BY_MODE}"))
            }),
        }
    }
}

impl Serialize for ByMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(truth) => serializer.serialize_bool(truth),
            None => serializer.serialize_str(BY_MODE),
        }
    }
}

/// Processing flags. Written as a list, or as one text with commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features(pub(crate) BTreeSet<String>);

impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a list of flags, such as [\"parallel_processing\"]"
        )]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        let text = match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::List(words) => words.join(","),
        };
        let words = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty());
        let known = words.map(|word| {
            if PROCESSING_FLAGS.contains(&word) {
                return Ok(word.to_owned());
            }
            let hint = did_you_mean(word, PROCESSING_FLAGS);
            Err(serde::de::Error::custom(format!(
                "{word:?} is no processing flag; {hint}"
            )))
        });
        known.collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_known_words() {
        let read = |json: &str| serde_json::from_str::<Features>(json);
        let both = Features(
            ["if_logic", "parallel_processing"]
                .map(str::to_owned)
                .into(),
        );
        assert_eq!(read(r#""parallel_processing, if_logic""#).unwrap(), both);
        assert_eq!(
            read(r#"["if_logic", "parallel_processing"]"#).unwrap(),
            both
        );
        let wrong = read(r#"["paralel_processing"]"#).unwrap_err().to_string();
        assert!(
            wrong.contains("did you mean \"parallel_processing\"?"),
            "{wrong}"
        );
    }

    #[test]
    fn what_is_not_said_goes_by_the_mode() {
        let read = |json: &str| serde_json::from_str::<ByMode>(json).map_err(|_| ());
        for (json, expected) in [
            ("true", Ok(ByMode(Some(true)))),
            ("\"false\"", Ok(ByMode(Some(false)))),
            ("\"by-mode\"", Ok(ByMode(None))),
            ("\"perhaps\"", Err(())),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
    }
}
