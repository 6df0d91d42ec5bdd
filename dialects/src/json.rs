//! A JSON text as a tree with places.
//!
//! Owns the bounds of reading: nesting. `serde_json` says whether a text is JSON and what its strings
//! are; in a text that is, the reader only looks for where values begin and end, once.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::diagnostic::{quoted, shortened};
use crate::limits::NESTING_MAX;
use crate::pointer::Pointer;
use crate::syntax;
use crate::tree::{Entry, Mark, Node, Scalar, Value};

/// What was read of a text.
#[derive(Debug)]
pub(crate) struct Text {
    /// Missing if the text is no JSON.
    pub(crate) root: Option<Node>,
    pub(crate) problems: Vec<Problem>,
    /// The values of keys that came again.
    pub(crate) dropped: Vec<Node>,
}

/// Something that is wrong with the text itself.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) pointer: Pointer,
    pub(crate) mark: Mark,
    pub(crate) what: String,
}

/// Reads a text. Of a key that comes twice the first is kept.
pub(crate) fn read(text: &str) -> Text {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        text,
        at: 0,
        place: Place::default(),
        problems: Vec::new(),
        dropped: Vec::new(),
    };
    let root = match serde_json::from_str::<&RawValue>(text) {
        Ok(_) => reader.node(0, &Pointer::default()),
        Err(error) => Err(syntax(text, &error)),
    };
    let root = root.map_err(|problem| reader.problems.push(problem));
    Text {
        root: root.ok(),
        problems: reader.problems,
        dropped: reader.dropped,
    }
}

/// Whether a text is JSON.
pub(crate) fn is_json(text: &str) -> bool {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The keys of an object and the texts of their values, which are not looked into; `None` for any other
/// text.
pub(crate) fn entries(text: &str) -> Option<Vec<(String, &str)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Entries(entries) = serde_json::from_str(text).ok()?;
    let entries = entries.into_iter();
    Some(entries.map(|(key, value)| (key, value.get())).collect())
}

fn syntax(text: &str, error: &serde_json::Error) -> Problem {
    let line = text.lines().nth(error.line().saturating_sub(1));
    let before = line.and_then(|line| line.get(..error.column().saturating_sub(1)));
    let column = before.map_or(error.column().max(1), |before| before.chars().count() + 1);
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    let lines = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1));
    let offset = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    Problem {
        code: "document-syntax",
        pointer: Pointer::default(),
        mark: Mark::new(error.line().max(1), column),
        what: syntax::told(text, offset, said),
    }
}

/// Goes through a text that is JSON.
struct Reader<'t> {
    text: &'t str,
    /// How far it has come, in bytes.
    at: usize,
    place: Place,
    problems: Vec<Problem>,
    dropped: Vec<Node>,
}

/// How far the text was looked through for lines. Values come in the order of the text, so no part
/// of it is looked through twice.
struct Place {
    offset: usize,
    line: usize,
    column: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            offset: 0,
            line: 1,
            column: 1,
        }
    }
}

impl<'t> Reader<'t> {
    /// The value that comes next. Recursive, at most [`NESTING_MAX`] deep.
    fn node(&mut self, depth: usize, pointer: &Pointer) -> Result<Node, Problem> {
        self.skip_blanks();
        let mark = self.mark(self.at);
        let next = self.next();
        if matches!(next, b'{' | b'[') && depth >= NESTING_MAX {
            return Err(Problem {
                code: "nesting-too-deep",
                pointer: pointer.clone(),
                mark,
                what: format!(
                    "lists and objects are nested more than {NESTING_MAX} levels deep; handlers could not read such settings; flatten them"
                ),
            });
        }
        let value = match next {
            b'{' => Value::Map(self.entries(depth, pointer)?),
            b'[' => Value::List(self.items(depth, pointer)?),
            b'"' => Value::Scalar(Scalar {
                text: self.string(mark, pointer)?,
                plain: false,
            }),
            _ => Value::Scalar(Scalar {
                text: self.word().to_owned(),
                plain: true,
            }),
        };
        Ok(Node { mark, value })
    }

    fn items(&mut self, depth: usize, pointer: &Pointer) -> Result<Vec<Node>, Problem> {
        self.at += 1;
        let mut items = Vec::new();
        while self.goes_on(b']') {
            let place = pointer.inside(items.len().to_string());
            items.push(self.node(depth + 1, &place)?);
        }
        Ok(items)
    }

    fn entries(&mut self, depth: usize, pointer: &Pointer) -> Result<Vec<Entry>, Problem> {
        self.at += 1;
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, u32> = HashMap::new();
        while self.goes_on(b'}') {
            let mark = self.mark(self.at);
            let key = self.string(mark, pointer)?;
            let place = pointer.inside(key.as_str());
            self.skip_blanks();
            // The colon.
            self.at += 1;
            if let Some(first) = seen.get(&key) {
                self.problems.push(Problem {
                    code: "duplicate-key",
                    mark,
                    what: format!(
                        "key {} appears at lines {first} and {}; one of them would be lost; rename one",
                        quoted(&key),
                        mark.line
                    ),
                    pointer: place.clone(),
                });
                let known = self.problems.len();
                let again = self.node(depth + 1, &place)?;
                self.dropped.push(again);
                // Nobody reads what is left out.
                self.problems.truncate(known);
                continue;
            }
            seen.insert(key.clone(), mark.line);
            let value = self.node(depth + 1, &place)?;
            entries.push(Entry { key, mark, value });
        }
        Ok(entries)
    }

    /// Whether another entry or item comes before `close`, which is passed by.
    fn goes_on(&mut self, close: u8) -> bool {
        self.skip_blanks();
        if self.next() == b',' {
            self.at += 1;
            self.skip_blanks();
        }
        if self.next() != close {
            return true;
        }
        self.at += 1;
        false
    }

    /// The string that begins here. What it stands for may be no text: half a surrogate pair.
    fn string(&mut self, mark: Mark, pointer: &Pointer) -> Result<String, Problem> {
        let rest = &self.text[self.at..];
        let mut is_escaped = true;
        let end = rest.find(|c| {
            let ends = c == '"' && !is_escaped;
            // The opening quote is passed by like an escaped one.
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let raw = &rest[..end.map_or(rest.len(), |end| end + 1)];
        self.at += raw.len();
        if !raw.contains('\\') {
            return Ok(raw.trim_matches('"').to_owned());
        }
        serde_json::from_str(raw).map_err(|error| {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            Problem {
                code: "document-syntax",
                pointer: pointer.clone(),
                mark,
                what: format!("{}; the text cannot be read; correct it", shortened(said)),
            }
        })
    }

    /// A number, or one of the three words.
    fn word(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace());
        let word = &rest[..end.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
    }

    fn next(&self) -> u8 {
        let next = self.text.as_bytes().get(self.at);
        *next.expect("a text that is JSON goes on until its outermost value ends")
    }

    fn mark(&mut self, offset: usize) -> Mark {
        if offset < self.place.offset {
            self.place = Place::default();
        }
        for c in self.text[self.place.offset..offset].chars() {
            if c == '\n' {
                self.place.line += 1;
                self.place.column = 1;
            } else {
                self.place.column += 1;
            }
        }
        self.place.offset = offset;
        Mark::new(self.place.line, self.place.column)
    }
}

/// The entries of an object in order, also those whose key comes again.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Entries<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'t> Visitor<'t> for Collect {
            type Value = Entries<'t>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Entries<'t>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_place() {
        let root = read("{\n  \"ü\": [1,\t\"b\"], \"c\" : {\"d\": 1e5}\n}");
        let root = root.root.unwrap();
        let place = |mark: Mark| (mark.line, mark.column);
        let list = root.get("ü").unwrap();
        assert_eq!((place(list.mark), place(list.value.mark)), ((2, 3), (2, 8)));
        let Value::List(items) = &list.value.value else {
            panic!("a list");
        };
        assert_eq!(place(items[1].mark), (2, 12));
        let inner = root.get("c").unwrap().value.get("d").unwrap();
        assert_eq!(place(inner.value.mark), (2, 30));
        assert_eq!(inner.value.text(), Some("1e5"));
    }

    #[test]
    fn what_is_no_json_has_one_problem_with_its_place() {
        for (text, code, line, column) in [
            ("", "document-syntax", 1, 1),
            ("{\n \"a\": 1\n \"b\": 2}", "document-syntax", 3, 2),
            ("{\"a\": [1,]}", "document-syntax", 1, 10),
            ("{\"ü\": nul}", "document-syntax", 1, 10),
            ("{} {}", "document-syntax", 1, 4),
            (r#"{"a": "\ud800"}"#, "document-syntax", 1, 7),
            (&"[".repeat(100_000), "document-syntax", 1, 100_000),
            (
                &format!("{}{}", "[".repeat(65), "]".repeat(65)),
                "nesting-too-deep",
                1,
                65,
            ),
            ("{\"a\": 1,\n \"a\": 2}", "duplicate-key", 2, 2),
            (
                "{\"a\": 1,\n \"a\": {\"b\": 1, \"b\": 2}}",
                "duplicate-key",
                2,
                2,
            ),
            (r#"[{"\udc00": 1}]"#, "document-syntax", 1, 3),
        ] {
            let read = read(text);
            let found: Vec<_> = read
                .problems
                .iter()
                .map(|p| (p.code, p.mark.line, p.mark.column))
                .collect();
            assert_eq!(found, [(code, line, column)], "{text:.40}");
        }
        for (text, expected) in [
            (r#""""#, ""),
            (r#" "\"" "#, "\""),
            (r#""a\\""#, "a\\"),
            (r#""\\\"b\u00fc\ud83d\ude00ü""#, "\\\"bü😀ü"),
            ("-1.5e3\n", "-1.5e3"),
        ] {
            let root = read(text).root.unwrap();
            assert_eq!(root.text(), Some(expected), "{text}");
        }
        let deepest = format!("{}{}", "[".repeat(64), "]".repeat(64));
        assert!(read(&deepest).root.is_some());
    }
}
