//! A JSON text as a tree with places.
//!
//! Owns the bounds of reading: nesting. `serde_json` reads the text, one level at a time; where a
//! value stands follows from the slice of the text that it is.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::diagnostic::{quoted, shortened};
use crate::limits::NESTING_MAX;
use crate::pointer::Pointer;
use crate::tree::{Entry, Mark, Node, Scalar, Value};

/// What was read of a text.
#[derive(Debug)]
pub(crate) struct Text {
    /// Missing if the text is no JSON.
    pub(crate) root: Option<Node>,
    pub(crate) problems: Vec<Problem>,
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
        place: Place::default(),
        problems: Vec::new(),
    };
    let root = match serde_json::from_str::<&RawValue>(text) {
        Ok(whole) => reader.node(whole.get(), 0, &Pointer::default()),
        Err(error) => Err(syntax(text, &error)),
    };
    let root = root.map_err(|problem| reader.problems.push(problem));
    Text {
        root: root.ok(),
        problems: reader.problems,
    }
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
    Problem {
        code: "document-syntax",
        pointer: Pointer::default(),
        mark: Mark::new(error.line().max(1), column),
        what: format!(
            "{}; nothing after it can be read; correct it",
            shortened(said)
        ),
    }
}

struct Reader<'t> {
    text: &'t str,
    place: Place,
    problems: Vec<Problem>,
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
    /// Recursive, at most [`NESTING_MAX`] deep.
    fn node(&mut self, raw: &'t str, depth: usize, at: &Pointer) -> Result<Node, Problem> {
        let start = self.offset(raw);
        let mark = self.mark(start);
        let problem = |code, what| Problem {
            code,
            pointer: at.clone(),
            mark,
            what,
        };
        let unreadable = |error: serde_json::Error| {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            let what = format!("{}; the text cannot be read; correct it", shortened(said));
            problem("document-syntax", what)
        };
        let opens = raw.starts_with(['{', '[']);
        if opens && depth >= NESTING_MAX {
            let what = format!(
                "lists and objects are nested more than {NESTING_MAX} levels deep; handlers could not read such settings; flatten them"
            );
            return Err(problem("nesting-too-deep", what));
        }
        let value = match raw.as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = serde_json::from_str(raw).map_err(unreadable)?;
                Value::Map(self.entries(entries, start, depth, at)?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(unreadable)?;
                let mut nodes = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    let place = at.inside(index.to_string());
                    nodes.push(self.node(item.get(), depth + 1, &place)?);
                }
                Value::List(nodes)
            }
            Some(b'"') => Value::Scalar(Scalar {
                text: serde_json::from_str(raw).map_err(unreadable)?,
                plain: false,
            }),
            _ => Value::Scalar(Scalar {
                text: raw.to_owned(),
                plain: true,
            }),
        };
        Ok(Node { mark, value })
    }

    fn entries(
        &mut self,
        read: Vec<(String, &'t RawValue)>,
        start: usize,
        depth: usize,
        at: &Pointer,
    ) -> Result<Vec<Entry>, Problem> {
        let mut entries: Vec<Entry> = Vec::with_capacity(read.len());
        let mut seen: HashMap<String, u32> = HashMap::with_capacity(read.len());
        let mut done = start + 1;
        for (key, raw) in read {
            // Between two entries stand a comma and blanks only.
            let quote = self.text[done..].find('"').map_or(done, |skip| done + skip);
            let mark = self.mark(quote);
            done = self.offset(raw.get()) + raw.get().len();
            if let Some(first) = seen.get(&key) {
                self.problems.push(Problem {
                    code: "duplicate-key",
                    pointer: at.inside(key.as_str()),
                    mark,
                    what: format!(
                        "key {} appears at lines {first} and {}; one of them would be lost; rename one",
                        quoted(&key),
                        mark.line
                    ),
                });
                continue;
            }
            seen.insert(key.clone(), mark.line);
            let value = self.node(raw.get(), depth + 1, &at.inside(key.as_str()))?;
            entries.push(Entry { key, mark, value });
        }
        Ok(entries)
    }

    /// Where a slice of the text begins in it.
    fn offset(&self, slice: &str) -> usize {
        (slice.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
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
        ] {
            let read = read(text);
            let found: Vec<_> = read
                .problems
                .iter()
                .map(|p| (p.code, p.mark.line, p.mark.column))
                .collect();
            assert_eq!(found, [(code, line, column)], "{text:.40}");
        }
        let deepest = format!("{}{}", "[".repeat(64), "]".repeat(64));
        assert!(read(&deepest).root.is_some());
    }
}
