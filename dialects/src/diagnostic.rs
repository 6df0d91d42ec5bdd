//! What an import has to say about a file.
//!
//! Owns the shape of a diagnostic, its order and its bound. Codes keep their meaning for ever and
//! belong to the dialects' pages; here nobody decides what is an error.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::limits::{DIAGNOSTICS_MAX, KEY_CHARS_MAX, LISTED_NAMES_MAX, QUOTED_CHARS_MAX};
use crate::options::Mode;
use crate::pointer::Pointer;
use crate::tree::{Entry, Mark, Node};

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file cannot be run as it is.
    Error,
    /// It can be run, perhaps not as its author meant it.
    Warning,
    /// Worth knowing.
    Info,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        })
    }
}

/// One thing to say about a file. Its `Display` is one line, `file:line:column: severity[code]: what`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable, in kebab case, for machines.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The file, as the caller named it.
    pub file: String,
    /// The document in the file, from 1.
    pub document: Option<u32>,
    /// JSON pointer into that document.
    pub pointer: Option<String>,
    /// Line in the file, from 1.
    pub line: Option<u32>,
    /// Column in that line in characters, from 1.
    pub column: Option<u32>,
    /// The step it is about, if that has a name.
    pub step: Option<String>,
    /// Where, what, why and how to fix it, in one line for people.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        let place = place(&self.file, self.line);
        let what = self.message.strip_prefix(&place).unwrap_or(&self.message);
        let what = what.trim_start_matches([':', ' ']);
        write!(f, ": {}[{}]: {what}", self.severity, self.code)
    }
}

/// The place that a diagnostic is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spot {
    pub(crate) document: Option<u32>,
    pub(crate) pointer: Option<Pointer>,
    pub(crate) mark: Option<Mark>,
    pub(crate) step: Option<Arc<str>>,
    /// What the message names after file and line, such as `step "a" config.tag`; may be empty.
    pub(crate) subject: String,
    /// Whether it names the pointer there instead.
    pub(crate) names_pointer: bool,
}

impl Spot {
    /// The place of an entry of the map that stands here; it keeps the words for it.
    pub(crate) fn entry(&self, entry: &Entry) -> Self {
        self.inside(&entry.key, entry.mark)
    }

    /// The place of an item of the list that stands here; it keeps the words for it.
    pub(crate) fn item(&self, index: usize, item: &Node) -> Self {
        self.inside(&index.to_string(), item.mark)
    }

    /// A place further in.
    pub(crate) fn inside(&self, segment: &str, mark: Mark) -> Self {
        Self {
            pointer: Some(self.pointer.clone().unwrap_or_default().inside(segment)),
            mark: Some(mark),
            ..self.clone()
        }
    }

    /// The same place with other words for it in the message.
    pub(crate) fn called(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self.names_pointer = false;
        self
    }

    /// The same place, called by its pointer.
    pub(crate) fn called_by_pointer(mut self) -> Self {
        self.names_pointer = true;
        self
    }

    fn words(&self) -> Cow<'_, str> {
        match &self.pointer {
            Some(pointer) if self.names_pointer => Cow::Owned(pointer.shortened()),
            _ => Cow::Borrowed(&self.subject),
        }
    }
}

/// Collects the diagnostics of one import.
#[derive(Debug)]
pub(crate) struct Report {
    file: String,
    mode: Mode,
    found: Vec<Diagnostic>,
    /// The first of each code is always kept.
    codes: HashSet<&'static str>,
    errors: u64,
    left_out: u64,
    errors_left_out: bool,
    /// Whether something is wrong that no mode repairs.
    is_broken: bool,
    /// Places that could not be read, with their documents.
    unread: Vec<(u32, Pointer)>,
}

impl Report {
    pub(crate) fn new(file: &str, mode: Mode) -> Self {
        Self {
            file: file.to_owned(),
            mode,
            found: Vec::new(),
            codes: HashSet::new(),
            errors: 0,
            left_out: 0,
            errors_left_out: false,
            is_broken: false,
            unread: Vec::new(),
        }
    }

    /// Notes a place that could not be read: what would have stood there is not missed.
    pub(crate) fn excuse(&mut self, document: u32, place: &Pointer) {
        // Each is compared with all that is missed; in a file with more of them it matters less.
        if self.unread.len() < DIAGNOSTICS_MAX / 10 {
            self.unread.push((document, place.clone()));
        }
    }

    /// An error about a map without `key`, unless that or the map itself could not be read.
    pub(crate) fn missing(
        &mut self,
        code: &'static str,
        spot: &Spot,
        key: &str,
        what: impl AsRef<str>,
    ) {
        let entry = spot.pointer.clone().unwrap_or_default().inside(key);
        let entry = entry.segments();
        let is_excused = |(document, place): &(u32, Pointer)| {
            let place = place.segments();
            let is_here = place == entry || place == entry[..entry.len() - 1];
            is_here && Some(*document) == spot.document
        };
        let is_told = self.found.len() < DIAGNOSTICS_MAX;
        if is_told && self.unread.iter().any(is_excused) {
            return;
        }
        self.error(code, spot, what);
    }

    /// Whether so much was found that hints are no longer worth their time.
    pub(crate) fn is_crowded(&self) -> bool {
        self.found.len() >= DIAGNOSTICS_MAX / 10
    }

    /// Whether something is wrong that no mode repairs.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Whether there is an error so far, repairable ones of strict mode too.
    pub(crate) fn has_errors(&self) -> bool {
        self.is_broken || self.errors > 0
    }

    /// How many errors there are so far.
    pub(crate) fn error_count(&self) -> u64 {
        self.errors
    }

    /// Whether this was said of something that stands further in.
    pub(crate) fn has_inside(&self, code: &str, spot: &Spot) -> bool {
        let here = spot.pointer.as_ref().map(ToString::to_string);
        let here = here.unwrap_or_default() + "/";
        self.found.iter().any(|found| {
            let pointer = found.pointer.as_deref().unwrap_or_default();
            found.code == code && pointer.starts_with(&here)
        })
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn error(&mut self, code: &'static str, spot: &Spot, what: impl AsRef<str>) {
        self.is_broken = true;
        self.add(Severity::Error, code, spot, what.as_ref());
    }

    pub(crate) fn warning(&mut self, code: &'static str, spot: &Spot, what: impl AsRef<str>) {
        self.add(Severity::Warning, code, spot, what.as_ref());
    }

    pub(crate) fn info(&mut self, code: &'static str, spot: &Spot, what: impl AsRef<str>) {
        self.add(Severity::Info, code, spot, what.as_ref());
    }

    /// Something that lenient mode repairs: an error in strict mode, else a warning.
    pub(crate) fn repairable(&mut self, code: &'static str, spot: &Spot, what: impl AsRef<str>) {
        let severity = match self.mode {
            Mode::Strict => Severity::Error,
            Mode::Lenient => Severity::Warning,
        };
        self.add(severity, code, spot, what.as_ref());
    }

    fn add(&mut self, severity: Severity, code: &'static str, spot: &Spot, what: &str) {
        self.errors += u64::from(severity == Severity::Error);
        if self.found.len() >= DIAGNOSTICS_MAX && self.codes.contains(code) {
            self.left_out += 1;
            self.errors_left_out |= severity == Severity::Error;
            return;
        }
        self.codes.insert(code);
        let line = spot.mark.map(|mark| mark.line);
        let mut message = place(&self.file, line);
        let subject = spot.words();
        if !subject.is_empty() {
            message.push(' ');
            message.push_str(&subject);
        }
        message.push_str(": ");
        message.push_str(what);
        let message = on_one_line(message);
        self.found.push(Diagnostic {
            code,
            severity,
            file: self.file.clone(),
            document: spot.document,
            pointer: spot.pointer.as_ref().map(ToString::to_string),
            line,
            column: spot.mark.map(|mark| mark.column),
            step: spot.step.as_deref().map(|step| cut(step, KEY_CHARS_MAX)),
            message,
        });
    }

    /// All of them, by line; those without a place come last.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        let place = |d: &Diagnostic| (d.line.unwrap_or(u32::MAX), d.column.unwrap_or(u32::MAX));
        self.found.sort_by_key(place);
        if self.left_out > 0 {
            let severity = if self.errors_left_out {
                Severity::Error
            } else {
                Severity::Warning
            };
            let message = format!(
                "{}: {} more diagnostics are left out, because {DIAGNOSTICS_MAX} are listed at most; correct those and import again",
                self.file, self.left_out
            );
            self.found.push(Diagnostic {
                code: "more-diagnostics",
                severity,
                file: self.file,
                document: None,
                pointer: None,
                line: None,
                column: None,
                step: None,
                message,
            });
        }
        self.found
    }
}

fn place(file: &str, line: Option<u32>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

/// The text with control characters spelled out: names come from the file, terminals obey them.
fn on_one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let spelled = text.chars().map(|c| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    spelled.collect()
}

/// Text from the file in quotes, on one line and not too long.
pub(crate) fn quoted(text: &str) -> String {
    format!("{:?}", shortened(text))
}

/// Text from the file, cut off where a message would become unreadable.
pub(crate) fn shortened(text: &str) -> String {
    cut(text, QUOTED_CHARS_MAX)
}

/// The beginning of a text of more than so many characters, or the text.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A key as files of settings write it: in quotes unless it is one word.
pub(crate) fn settings_key(name: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(is_word) {
        return shortened(name);
    }
    quoted(name)
}

/// Names in one line, the first few of them.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<_> = names
        .by_ref()
        .take(LISTED_NAMES_MAX)
        .map(shortened)
        .collect();
    match (shown.is_empty(), names.count()) {
        (true, _) => "none".to_owned(),
        (false, 0) => shown.join(", "),
        (false, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(line: u32) -> Spot {
        Spot {
            document: Some(1),
            pointer: Some(Pointer::default().inside("steps").inside("0")),
            mark: Some(Mark { line, column: 5 }),
            step: Some("scan".into()),
            subject: "step \"scan\"".to_owned(),
            names_pointer: false,
        }
    }

    #[test]
    fn a_diagnostic_says_its_place_once() {
        let mut report = Report::new("ship.yaml", Mode::Strict);
        report.error("field-type", &spot(13), "timeout is \"30s\"; write 30");
        report.info("no-place", &Spot::default(), "nothing to do");
        let found = report.finish();
        assert_eq!(
            found[0].message,
            "ship.yaml:13 step \"scan\": timeout is \"30s\"; write 30"
        );
        assert_eq!(
            found[0].to_string(),
            "ship.yaml:13:5: error[field-type]: step \"scan\": timeout is \"30s\"; write 30"
        );
        assert_eq!(
            found[1].to_string(),
            "ship.yaml: info[no-place]: nothing to do"
        );
        let json = serde_json::to_value(&found[0]).unwrap();
        assert_eq!(
            (&json["severity"], &json["line"]),
            (&"error".into(), &13.into())
        );
    }

    #[test]
    fn diagnostics_are_bounded_and_their_rest_is_counted() {
        let mut report = Report::new("ship.yaml", Mode::Lenient);
        for line in 0..2_000 {
            report.repairable("field-type", &spot(2_000 - line), "odd");
        }
        report.error("no-steps", &spot(1), "none");
        let found = report.finish();
        assert_eq!(found.len(), DIAGNOSTICS_MAX + 2);
        assert_eq!(
            (found[0].code, found[0].severity),
            ("no-steps", Severity::Error)
        );
        assert_eq!(found[1].severity, Severity::Warning);
        assert!(found.is_sorted_by_key(|d| d.line.unwrap_or(u32::MAX)));
        let last = found.last().unwrap();
        assert_eq!(
            (last.code, last.severity),
            ("more-diagnostics", Severity::Warning)
        );
        assert!(last.message.contains("1000 more"), "{}", last.message);
    }

    #[test]
    fn texts_from_the_file_are_cut_and_stay_on_one_line() {
        assert_eq!(quoted("a\nb"), "\"a\\nb\"");
        let mut report = Report::new("ship.yaml", Mode::Strict);
        report.error("odd-key", &Spot::default(), "key a\n\u{1b}[31mü is odd");
        let message = "ship.yaml: key a\\n\\u{1b}[31mü is odd";
        assert_eq!(report.finish()[0].message, message);
        assert_eq!(quoted(&"ü".repeat(100)).chars().count(), 63);
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a"; 10]), "a, a, a, a, a, a, a, a and 2 more");
    }
}
