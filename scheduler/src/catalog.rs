//! The workflows that can be scheduled here, by name.

use std::collections::BTreeMap;

use windlass_store::sync::{Arc, RwLock};
use windlass_workflow_model::{Definition, WorkflowKey};

/// Names and versions with their keys.
#[derive(Debug, Default)]
pub struct Catalog(RwLock<BTreeMap<String, Vec<Entry>>>);

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: WorkflowKey,
    pub(crate) definition: Arc<Definition>,
}

impl Catalog {
    /// Adds a workflow; of several versions the last one added is the one that a name alone means.
    pub fn insert(&self, key: WorkflowKey, definition: Arc<Definition>) {
        let mut all = self.0.write();
        let versions = all.entry(definition.name().to_owned()).or_default();
        versions.retain(|entry| entry.key != key);
        versions.push(Entry { key, definition });
    }

    pub(crate) fn find(&self, name: &str, version: Option<&str>) -> Option<Entry> {
        let all = self.0.read();
        let versions = all.get(name)?.iter().rev();
        let wanted = |entry: &&Entry| version.is_none_or(|v| entry.definition.version() == v);
        versions.clone().find(wanted).cloned()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.read().keys().cloned().collect()
    }
}
