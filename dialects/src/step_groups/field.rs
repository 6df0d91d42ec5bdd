//! Fields of one type, with the repairs that lenient mode makes.

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::limits::TIMEOUT_SECONDS_MAX;
use crate::options::Mode;
use crate::tree::{Entry, Meaning, Node, Value};

/// What a message shows of a value.
pub(crate) fn shown(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => "empty".to_owned(),
            Meaning::Text(text) => quoted(text),
            Meaning::Bool(_) | Meaning::Integer(_) | Meaning::Float(_) => shortened(&scalar.text),
        },
    }
}

/// Reports a value of the wrong type.
pub(crate) fn mistyped(report: &mut Report, spot: &Spot, entry: &Entry, must: &str, fix: &str) {
    let what = format!(
        "{} is {}; it must be {must}; {fix}",
        shortened(&entry.key),
        shown(&entry.value)
    );
    report.error("field-type", &spot.entry(entry), what);
}

/// A bool; in lenient mode also one in quotes.
pub(crate) fn bool(report: &mut Report, spot: &Spot, entry: &Entry) -> Option<bool> {
    match entry.value.meaning() {
        Some(Meaning::Null) => None,
        Some(Meaning::Bool(value)) => Some(value),
        Some(Meaning::Text(text)) => {
            let meant = match text.to_lowercase().as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            };
            let written = meant.map(|value| value.to_string());
            repaired(report, spot, entry, "true or false", written.as_deref()).then_some(meant)?
        }
        Some(Meaning::Integer(_) | Meaning::Float(_)) | None => {
            mistyped(report, spot, entry, "true or false", "write true or false");
            None
        }
    }
}

/// The number of a group; 0 is none.
pub(crate) fn group(report: &mut Report, spot: &Spot, entry: &Entry) -> u32 {
    let must = "a whole number";
    let number = match entry.value.meaning() {
        Some(Meaning::Null) => return 0,
        Some(Meaning::Integer(text)) => text.parse::<i128>().ok(),
        Some(Meaning::Text(text)) => {
            let meant = text.trim().parse::<i128>().ok();
            let written = meant.map(|number| number.to_string());
            if !repaired(report, spot, entry, must, written.as_deref()) {
                return 0;
            }
            meant
        }
        Some(Meaning::Bool(_) | Meaning::Float(_)) | None => None,
    };
    match number {
        Some(number) if number < 0 => {
            let what = format!(
                "parallelGroup is {number}; groups start at 1 and 0 means none; use a positive number"
            );
            report.error("negative-group", &spot.entry(entry), what);
            0
        }
        number => number
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or_else(|| {
                let must = format!("{must} up to {}", u32::MAX);
                mistyped(report, spot, entry, &must, "write the number of the group");
                0
            }),
    }
}

/// A limit in seconds, at least 1; in lenient mode also `"30"` and `"30s"`.
pub(crate) fn seconds(report: &mut Report, spot: &Spot, entry: &Entry) -> Option<u32> {
    let in_range = |text: &str| {
        let number = text.parse::<u32>().ok();
        number.filter(|seconds| (1..=TIMEOUT_SECONDS_MAX).contains(seconds))
    };
    match entry.value.meaning() {
        Some(Meaning::Null) => None,
        Some(Meaning::Text(text)) => {
            let meant = in_range(text.trim().trim_end_matches('s').trim_end());
            let written = meant.map(|seconds| seconds.to_string());
            repaired(report, spot, entry, "whole seconds", written.as_deref()).then_some(meant)?
        }
        Some(Meaning::Integer(text)) if in_range(text).is_some() => in_range(text),
        Some(Meaning::Integer(_) | Meaning::Bool(_) | Meaning::Float(_)) | None => {
            let must = format!("whole seconds from 1 to {TIMEOUT_SECONDS_MAX}");
            mistyped(
                report,
                spot,
                entry,
                &must,
                "write such a number, or leave it out for the default",
            );
            None
        }
    }
}

/// A text, or a number or bool that is taken as written.
pub(crate) fn text<'a>(report: &mut Report, spot: &Spot, entry: &'a Entry) -> Option<&'a str> {
    if entry.value.meaning().is_none() {
        mistyped(report, spot, entry, "text", "write one text");
    }
    entry.value.text()
}

/// A list of names, each with its place. What is no name is reported and left out.
pub(crate) fn names<'a>(
    report: &mut Report,
    spot: &Spot,
    entry: &'a Entry,
) -> Vec<(&'a str, Spot)> {
    let Value::List(items) = &entry.value.value else {
        if !entry.value.is_null() {
            mistyped(
                report,
                spot,
                entry,
                "a list of names",
                "put the names in brackets",
            );
        }
        return Vec::new();
    };
    let list = spot.entry(entry);
    let mut names = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let place = list.item(index, item);
        if let Some(name) = item.text() {
            names.push((name, place));
            continue;
        }
        let what = format!(
            "{} holds {}; it must be a list of names; write a name",
            entry.key,
            shown(item)
        );
        report.error("field-type", &place, what);
    }
    names
}

/// Reports what is no map of scalars; `code` is the one for a list or map as a value.
pub(crate) fn check_scalars(report: &mut Report, spot: &Spot, entry: &Entry, code: &'static str) {
    let Value::Map(entries) = &entry.value.value else {
        if !entry.value.is_null() {
            mistyped(report, spot, entry, "a map", "write names and their values");
        }
        return;
    };
    let map = spot.entry(entry);
    for inner in entries
        .iter()
        .filter(|inner| inner.value.meaning().is_none())
    {
        let path = format!("{} {}.{}", spot.subject, entry.key, shortened(&inner.key));
        let place = map.entry(inner).called(path.trim_start());
        let what = format!(
            "value is {}; {} {} one text each; join it",
            shown(&inner.value),
            entry.key,
            if entry.key.ends_with('s') {
                "hold"
            } else {
                "holds"
            }
        );
        report.error(code, &place, what);
    }
}

/// Reports a text where another type belongs. True if the caller may go on with what was meant.
fn repaired(
    report: &mut Report,
    spot: &Spot,
    entry: &Entry,
    must: &str,
    meant: Option<&str>,
) -> bool {
    let Some(meant) = meant else {
        let fix = format!("write {must} without quotes");
        mistyped(report, spot, entry, must, &fix);
        return false;
    };
    let what = format!(
        "{} is {}; it must be {must}; write {meant}",
        entry.key,
        shown(&entry.value)
    );
    report.repairable("field-type", &spot.entry(entry), what);
    report.mode() == Mode::Lenient
}
