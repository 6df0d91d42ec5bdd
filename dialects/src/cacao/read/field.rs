//! Fields of one JSON type, and the words for their places.

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::number;
use crate::options::Mode;
use crate::suggestion::did_you_mean;
use crate::tree::{Entry, Meaning, Node, Value};

/// The property whose list holds objects.
const REFERENCES: &str = "external_references";

/// Reads one playbook and reports what is wrong with it.
pub(crate) struct Reader<'r> {
    pub(crate) report: &'r mut Report,
}

impl Reader<'_> {
    pub(crate) fn is_lenient(&self) -> bool {
        self.report.mode() == Mode::Lenient
    }

    pub(crate) fn error(&mut self, code: &'static str, spot: &Spot, what: impl AsRef<str>) {
        self.report.error(code, spot, what);
    }

    pub(crate) fn warning(&mut self, code: &'static str, spot: &Spot, what: impl AsRef<str>) {
        self.report.warning(code, spot, what);
    }

    /// What strict mode refuses with `code` and lenient mode repairs by `rule`.
    pub(crate) fn repair(
        &mut self,
        rule: &'static str,
        code: &'static str,
        spot: &Spot,
        strict: impl AsRef<str>,
        lenient: impl AsRef<str>,
    ) {
        match self.report.mode() {
            Mode::Strict => self.report.error(code, spot, strict),
            Mode::Lenient => self.report.warning(rule, spot, lenient),
        }
    }

    fn mistyped(&mut self, parent: &Spot, entry: &Entry, must: &str) {
        let what = format!(
            "{} is {}; nothing could be made of it; it must be {must}",
            entry.key,
            shown(&entry.value)
        );
        self.error("value-invalid", &parent.entry(entry), what);
    }

    pub(crate) fn text(&mut self, parent: &Spot, node: &Node, key: &str) -> Option<String> {
        let entry = node.get(key)?;
        if let Some(Meaning::Text(text)) = entry.value.meaning() {
            return Some(text.to_owned());
        }
        self.mistyped(parent, entry, "a text");
        None
    }

    pub(crate) fn boolean(&mut self, parent: &Spot, node: &Node, key: &str) -> Option<bool> {
        let entry = node.get(key)?;
        if let Some(Meaning::Bool(value)) = entry.value.meaning() {
            return Some(value);
        }
        self.mistyped(parent, entry, "true or false");
        None
    }

    /// A whole number from 0 to `most`.
    pub(crate) fn number(
        &mut self,
        parent: &Spot,
        node: &Node,
        key: &str,
        most: u64,
    ) -> Option<u64> {
        let entry = node.get(key)?;
        let Some(Meaning::Integer(written)) = entry.value.meaning() else {
            self.mistyped(parent, entry, "a whole number");
            return None;
        };
        let number = written.parse::<u64>().ok().filter(|number| *number <= most);
        if number.is_none() {
            let what = format!(
                "{key}: {}; the range is 0 to {most}; correct it",
                shortened(written)
            );
            self.error("value-invalid", &parent.entry(entry), what);
        }
        number
    }

    /// A list, also one without items.
    pub(crate) fn list<'n>(
        &mut self,
        parent: &Spot,
        node: &'n Node,
        key: &str,
    ) -> Option<(&'n [Node], Spot)> {
        let entry = node.get(key)?;
        let Value::List(items) = &entry.value.value else {
            self.mistyped(parent, entry, "a list");
            return None;
        };
        Some((items, parent.entry(entry)))
    }

    /// An object.
    pub(crate) fn object<'n>(
        &mut self,
        parent: &Spot,
        node: &'n Node,
        key: &str,
    ) -> Option<(&'n [Entry], Spot)> {
        let entry = node.get(key)?;
        let Value::Map(entries) = &entry.value.value else {
            self.mistyped(parent, entry, "an object");
            return None;
        };
        Some((entries, parent.entry(entry)))
    }

    /// The texts of a list, each with its place.
    pub(crate) fn texts(&mut self, parent: &Spot, node: &Node, key: &str) -> Vec<(String, Spot)> {
        let Some((items, spot)) = self.list(parent, node, key) else {
            return Vec::new();
        };
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = spot.item(index, item);
            if let Some(Meaning::Text(text)) = item.meaning() {
                found.push((text.to_owned(), place));
            } else {
                let what = format!(
                    "{key} holds {}; nothing could be made of it; use texts only",
                    shown(item)
                );
                self.error("value-invalid", &place, what);
            }
        }
        found
    }

    /// Reports a list without items, which the standard wants to be left out.
    pub(crate) fn not_empty(&mut self, parent: &Spot, node: &Node, key: &str) {
        let Some(entry) = node.get(key) else { return };
        if matches!(&entry.value.value, Value::List(items) if items.is_empty()) {
            let what = format!("{key} is empty; the standard wants items in a list; leave it out");
            let lenient = format!("{key} is empty; taken as none");
            let spot = parent.entry(entry);
            self.repair("repaired-l16", "value-invalid", &spot, what, lenient);
        }
    }

    /// Reports a property that the standard does not know there.
    pub(crate) fn only(&mut self, parent: &Spot, entries: &[Entry], known: &[&str]) {
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let what = format!(
                "{} is no property here, so it has no effect; {}",
                quoted(&entry.key),
                did_you_mean(&entry.key, known.iter().copied(), "remove it")
            );
            self.repair(
                "repaired-l15",
                "unknown-property",
                &parent.entry(entry),
                &what,
                &what,
            );
        }
    }

    /// Checks the JSON types of properties that are only kept. Of `lists`, all but those of references
    /// hold texts.
    pub(crate) fn labels(
        &mut self,
        parent: &Spot,
        node: &Node,
        texts: &[&str],
        lists: &[&str],
        objects: &[&str],
    ) {
        for key in texts {
            self.text(parent, node, key);
        }
        for key in lists {
            self.not_empty(parent, node, key);
            if *key == REFERENCES {
                self.list(parent, node, key);
            } else {
                self.texts(parent, node, key);
            }
        }
        for key in objects {
            self.object(parent, node, key);
        }
    }
}

/// What a message shows of a value.
pub(crate) fn shown(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "an object".to_owned(),
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => "null".to_owned(),
            Meaning::Text(text) => quoted(text),
            Meaning::Bool(_) | Meaning::Integer(_) | Meaning::Float(_) => shortened(&scalar.text),
        },
    }
}

/// A value as JSON. A number that JSON as we write it would change stays text. Recursive; the reader
/// of the text bounds the depth.
pub(crate) fn json(node: &Node) -> Json {
    match &node.value {
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(entries) => Json::Object(object(entries)),
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Json::Null,
            Meaning::Bool(value) => Json::Bool(value),
            Meaning::Text(text) => Json::String(text.to_owned()),
            Meaning::Integer(text) | Meaning::Float(text) => {
                number::exact(text).map_or_else(|| Json::String(text.to_owned()), Json::Number)
            }
        },
    }
}

pub(crate) fn object(entries: &[Entry]) -> Map<String, Json> {
    entries
        .iter()
        .map(|entry| (entry.key.clone(), json(&entry.value)))
        .collect()
}
