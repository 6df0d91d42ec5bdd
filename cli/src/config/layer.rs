//! One value from one source, as `figment` takes it.

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use serde::Serialize;

use super::keys;

/// A value for one key, and who says so.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    source: String,
    key: String,
    value: Value,
}

impl Layer {
    /// `source` says in words where it comes from.
    pub(super) fn new(source: String, key: &str, value: impl Serialize) -> Self {
        // Our own values always serialize; an empty one would be reported as a wrong value.
        let value = Value::serialize(value).unwrap_or_else(|_| Value::from(""));
        Self {
            source,
            key: key.to_owned(),
            value,
        }
    }

    /// A value that came as a flag.
    pub(crate) fn flag(flag: &str, key: &str, value: impl Serialize) -> Self {
        Self::new(format!("flag {flag}"), key, value)
    }

    /// The flag `--lenient`, which is for every dialect that has modes.
    pub(crate) fn lenient() -> [Self; 3] {
        let keys = [keys::groups::MODE, keys::json::MODE, keys::cacao::MODE];
        keys.map(|key| Self::flag("--lenient", key, "lenient"))
    }

    /// The flag `--refuse`.
    pub(crate) fn refused(flags: &[String]) -> Self {
        Self::flag("--refuse", keys::cacao::REFUSE_FEATURES, flags.join(","))
    }

    /// The flag `--playbooks`.
    pub(crate) fn playbooks(folder: &std::path::Path) -> Self {
        Self::flag("--playbooks", keys::cacao::PLAYBOOKS, folder)
    }

    /// The flag `--workflows`.
    pub(crate) fn workflows(folder: &std::path::Path) -> Self {
        Self::flag("--workflows", keys::groups::WORKFLOWS, folder)
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.value.as_str()
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        let dict = nested.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, dict)]))
    }
}

/// Who set a key, in words.
pub(super) fn source_of(figment: &Figment, key: &str) -> String {
    let metadata = figment.find_metadata(key);
    metadata.map_or_else(
        || "default".to_owned(),
        |metadata| metadata.name.to_string(),
    )
}
