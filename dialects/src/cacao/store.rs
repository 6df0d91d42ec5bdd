//! The playbooks that others can call.

use jiff::Timestamp;

use crate::json;
use crate::options::PlaybookFile;

/// One playbook of the store.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) file: String,
    pub(crate) text: String,
    pub(crate) id: String,
    /// Its version, as written.
    pub(crate) modified: String,
}

/// Playbooks by id and version. Files that are no playbooks are passed by: a folder may hold others.
#[derive(Debug, Default)]
pub(crate) struct Store {
    entries: Vec<Entry>,
}

impl Store {
    pub(crate) fn read(files: &[PlaybookFile]) -> Self {
        let entries = files.iter().filter_map(|file| {
            let root = json::read(&file.text).root?;
            let text = |key: &str| root.get(key).and_then(|entry| entry.value.text());
            Some(Entry {
                file: file.file.clone(),
                id: text("id")?.to_owned(),
                modified: text("modified").unwrap_or_default().to_owned(),
                text: file.text.clone(),
            })
        });
        Self {
            entries: entries.collect(),
        }
    }

    /// The playbook of this id: of this version, or else the newest.
    pub(crate) fn find(&self, id: &str, version: Option<&str>) -> Option<&Entry> {
        let same = |one: &str, other: &str| match (time(one), time(other)) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        };
        self.entries
            .iter()
            .filter(|entry| entry.id == id)
            .filter(|entry| version.is_none_or(|version| same(&entry.modified, version)))
            .max_by_key(|entry| time(&entry.modified))
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
