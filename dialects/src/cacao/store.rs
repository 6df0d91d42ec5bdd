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
    /// Files that are no JSON, though they may be meant as playbooks.
    unread: Vec<PlaybookFile>,
}

impl Store {
    pub(crate) fn read(files: &[PlaybookFile]) -> Self {
        let mut store = Self::default();
        for file in files {
            let Some(root) = json::read(&file.text).root else {
                store.unread.push(file.clone());
                continue;
            };
            let text = |key: &str| root.get(key).and_then(|entry| entry.value.text());
            let Some(id) = text("id") else { continue };
            store.entries.push(Entry {
                file: file.file.clone(),
                id: id.to_owned(),
                modified: text("modified").unwrap_or_default().to_owned(),
                text: file.text.clone(),
            });
        }
        store
    }

    /// The files that speak of this id and cannot be read.
    pub(crate) fn unread(&self, id: &str) -> impl Iterator<Item = &PlaybookFile> {
        let unread = self.unread.iter();
        unread.filter(move |file| file.text.contains(id))
    }

    /// Another playbook of the same id and version with another text.
    pub(crate) fn twin(&self, of: &Entry) -> Option<&Entry> {
        self.entries.iter().find(|entry| {
            entry.id == of.id && is_same(&entry.modified, &of.modified) && entry.text != of.text
        })
    }

    /// The playbook of this id: of this version, or else the newest.
    pub(crate) fn find(&self, id: &str, version: Option<&str>) -> Option<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.id == id)
            .filter(|entry| version.is_none_or(|version| is_same(&entry.modified, version)))
            .max_by_key(|entry| time(&entry.modified))
    }
}

fn is_same(one: &str, other: &str) -> bool {
    match (time(one), time(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
