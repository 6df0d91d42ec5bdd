//! Fields of one type.

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::tree::{Entry, Meaning, Node, Value};

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

/// The place of an entry, with its pointer as the words for it.
pub(crate) fn spot(parent: &Spot, entry: &Entry) -> Spot {
    parent.entry(entry).called_by_pointer()
}

/// The place of an item of a list.
pub(crate) fn item_spot(list: &Spot, index: usize, item: &Node) -> Spot {
    list.item(index, item).called_by_pointer()
}

/// The place of a field that is missing.
pub(crate) fn missing_spot(parent: &Spot, key: &str) -> Spot {
    let inside = parent.inside(key, parent.mark.unwrap_or_default());
    inside.called_by_pointer()
}

/// Reports a value of the wrong type.
pub(crate) fn mistyped(report: &mut Report, parent: &Spot, entry: &Entry, must: &str) {
    let what = format!(
        "is {}; nothing could be made of it; it must be {must}",
        shown(&entry.value)
    );
    report.error("field-type", &spot(parent, entry), what);
}

/// A text.
pub(crate) fn text<'a>(
    report: &mut Report,
    parent: &Spot,
    node: &'a Node,
    key: &str,
) -> Option<&'a str> {
    let entry = node.get(key)?;
    if let Some(Meaning::Text(text)) = entry.value.meaning() {
        return Some(text);
    }
    mistyped(report, parent, entry, "a text");
    None
}

/// One of several words; `code` and `why` are for any other.
pub(crate) fn word<T: Copy>(
    report: &mut Report,
    parent: &Spot,
    node: &Node,
    key: &str,
    words: &[(&str, T)],
    code: &'static str,
) -> Option<T> {
    let written = text(report, parent, node, key)?;
    let entry = node.get(key)?;
    if let Some((_, meant)) = words.iter().find(|(word, _)| *word == written) {
        return Some(*meant);
    }
    let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    let what = format!(
        "{} is unknown; what it asks for would not happen; use {}",
        quoted(written),
        known.join(", ")
    );
    report.error(code, &spot(parent, entry), what);
    None
}

/// A whole number from 1 on.
pub(crate) fn count(report: &mut Report, parent: &Spot, node: &Node, key: &str) -> Option<u32> {
    let entry = node.get(key)?;
    let Some(Meaning::Integer(written)) = entry.value.meaning() else {
        mistyped(report, parent, entry, "a whole number");
        return None;
    };
    let number = written.parse::<u32>().ok().filter(|number| *number >= 1);
    if number.is_none() {
        let why = if written.starts_with('-') || written == "0" {
            let effect = if key.ends_with("timeout_seconds") {
                "would be over at once"
            } else {
                "would start nothing"
            };
            format!("{effect}; use 1 or more")
        } else {
            format!("is more than anything can count; use at most {}", u32::MAX)
        };
        let what = format!("{} {why}", shortened(written));
        report.error("limit-invalid", &spot(parent, entry), what);
    }
    number
}

/// An object that must be there.
pub(crate) fn object<'a>(
    report: &mut Report,
    parent: &Spot,
    node: &'a Node,
    key: &str,
    why: &str,
) -> Option<(&'a Node, Spot)> {
    let Some(entry) = node.get(key) else {
        let what = format!("missing; {why}; add it");
        report.error("field-missing", &missing_spot(parent, key), what);
        return None;
    };
    if !matches!(entry.value.value, Value::Map(_)) {
        mistyped(report, parent, entry, "an object");
        return None;
    }
    Some((&entry.value, spot(parent, entry)))
}

/// The place of a field, or of where it should be.
pub(crate) fn place(parent: &Spot, node: &Node, key: &str) -> Spot {
    node.get(key)
        .map_or_else(|| missing_spot(parent, key), |entry| spot(parent, entry))
}

/// Whether a field holds a text, so that nothing was said of its type.
pub(crate) fn is_text(entry: &Entry) -> bool {
    matches!(entry.value.meaning(), Some(Meaning::Text(_)))
}
