//! A YAML stream as trees with places.
//!
//! Owns the bounds of reading: nesting, copies by aliases. A document that cannot be read is a
//! problem of its own; the ones around it are read all the same.

use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::diagnostic::shortened;
use crate::limits::{EXPANSION_BYTES_MAX, NESTING_MAX};
use crate::pointer::Pointer;
use crate::tree::{Entry, Mark, Node, Scalar, Value};

/// What a node costs beside its text when aliases copy it, in bytes.
const NODE_BYTES: usize = 64;

/// All that was read of a stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Those that could be read.
    pub(crate) documents: Vec<Document>,
    /// How many there are, unreadable ones included.
    pub(crate) count: u32,
    pub(crate) problems: Vec<Problem>,
}

/// One document of a stream.
#[derive(Debug)]
pub(crate) struct Document {
    /// From 1, counting unreadable ones.
    pub(crate) number: u32,
    pub(crate) root: Node,
}

/// Something that is wrong with the text itself.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) document: u32,
    pub(crate) pointer: Pointer,
    pub(crate) mark: Mark,
    pub(crate) what: String,
}

/// Reads every document of a text.
pub(crate) fn read(text: &str) -> Stream {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Without comments: buffering them has a bound that long file headers exceed.
    let options = granit_parser::options! { emit_comments: false, emit_unresolved_aliases: true };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut loader = Loader::default();
    while let Some(next) = parser.next_event() {
        let taken = match next {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => loader.take(event, span),
            Err(error) => Err(loader.refuse(syntax(text, &error))),
        };
        if taken.is_err() && !resume(&mut parser) {
            break;
        }
    }
    loader.stream
}

/// Goes to the next document, if there is one.
fn resume<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> bool {
    parser.proceed_next_document().unwrap_or(false)
}

fn syntax(text: &str, error: &ScanError) -> (&'static str, Mark, String) {
    let mark = Mark::new(error.marker().line(), error.marker().col() + 1);
    let rest = "nothing after it in this document can be read";
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return ("nesting-too-deep", mark, too_deep());
    }
    if let Some(tab) = tab_in_indent(text, error.marker().line()) {
        let what =
            format!("a tab starts the line; YAML indents with blanks, so {rest}; replace the tab");
        return ("document-syntax", tab, what);
    }
    let what = format!("{}; {rest}; correct it", shortened(&error.info()));
    ("document-syntax", mark, what)
}

/// Where a tab indents this line or the next one, which a text may seem to go on in.
fn tab_in_indent(text: &str, line: usize) -> Option<Mark> {
    let lines = (1..).zip(text.lines()).skip(line.saturating_sub(1)).take(2);
    lines.into_iter().find_map(|(number, line)| {
        let indent = &line[..line.len() - line.trim_start().len()];
        Some(Mark::new(number, indent.find('\t')? + 1))
    })
}

fn too_deep() -> String {
    format!(
        "lists and maps are nested more than {NESTING_MAX} levels deep; handlers could not read such settings; flatten them"
    )
}

/// The document was given up; its problem is written down.
struct GivenUp;

#[derive(Default)]
struct Loader {
    stream: Stream,
    /// Lists and maps that are open, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Measured>,
    /// Bytes that anchors and aliases have added so far, over all documents.
    expanded: usize,
}

/// A node with what it costs to copy and how many levels it has.
#[derive(Clone)]
struct Measured {
    node: Node,
    bytes: usize,
    levels: usize,
}

/// A list or map whose end has not come yet.
struct Open {
    mark: Mark,
    anchor: usize,
    bytes: usize,
    levels: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: HashMap<String, u32>,
        key: Option<Key>,
    },
}

struct Key {
    text: String,
    mark: Mark,
    /// The key is of no use, so its value is read and dropped.
    dropped: bool,
}

impl Loader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), GivenUp> {
        let mark = Mark::new(span.start.line(), span.start.col() + 1);
        match event {
            Event::DocumentStart(..) => {
                self.stream.count = self.stream.count.saturating_add(1);
                self.discard();
            }
            Event::DocumentEnd => {
                let root = self.root.take().unwrap_or_else(|| Node::null(mark));
                self.discard();
                let number = self.stream.count;
                self.stream.documents.push(Document { number, root });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !self.forces_text(tag.as_deref(), mark);
                let text = text.into_owned();
                let bytes = text.len() + NODE_BYTES;
                let value = Value::Scalar(Scalar { text, plain });
                let node = Node { mark, value };
                self.complete(Measured { node, bytes, levels: 0 }, anchor)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.forces_text(tag.as_deref(), mark);
                self.begin(mark, anchor, Items::List(Vec::new()))?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.forces_text(tag.as_deref(), mark);
                let items = Items::Map {
                    entries: Vec::new(),
                    seen: HashMap::new(),
                    key: None,
                };
                self.begin(mark, anchor, items)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end()?,
            Event::Alias(id) => match self.anchors.get(&id) {
                Some(anchored) => {
                    let (bytes, levels) = (anchored.bytes, anchored.levels);
                    self.expand(mark, bytes)?;
                    self.check_depth(mark, levels)?;
                    let copy = self.anchors[&id].clone();
                    self.complete(copy, 0)?;
                }
                None => self.broken_alias(mark, "an alias stands inside its own anchor; it would never end; write the value out")?,
            },
            Event::UnresolvedAlias(name) => {
                let what = format!(
                    "alias *{} has no anchor before it; it stands for nothing; define the anchor or quote the text",
                    shortened(&name)
                );
                self.broken_alias(mark, &what)?;
            }
            // Start of the stream and other marks that carry no value.
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, mark: Mark, anchor: usize, items: Items) -> Result<(), GivenUp> {
        self.check_depth(mark, 1)?;
        self.open.push(Open {
            mark,
            anchor,
            bytes: NODE_BYTES,
            levels: 1,
            items,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), GivenUp> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.items {
            Items::List(items) => Value::List(items),
            Items::Map { entries, .. } => Value::Map(entries),
        };
        let node = Node {
            mark: open.mark,
            value,
        };
        let (bytes, levels) = (open.bytes, open.levels);
        self.complete(
            Measured {
                node,
                bytes,
                levels,
            },
            open.anchor,
        )
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, sized: Measured, anchor: usize) -> Result<(), GivenUp> {
        if anchor != 0 {
            self.expand(sized.node.mark, sized.bytes)?;
            self.anchors.insert(anchor, sized.clone());
        }
        let Measured {
            node,
            bytes,
            levels,
        } = sized;
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.bytes += bytes;
        open.levels = open.levels.max(levels + 1);
        match &mut open.items {
            Items::List(items) => items.push(node),
            Items::Map { key: None, .. } => self.key(node),
            Items::Map { entries, key, .. } => {
                if let Some(key) = key.take().filter(|key| !key.dropped) {
                    open.bytes += key.text.len();
                    entries.push(Entry {
                        key: key.text,
                        mark: key.mark,
                        value: node,
                    });
                }
            }
        }
        Ok(())
    }

    /// Takes a node as the key of the innermost map.
    fn key(&mut self, node: Node) {
        let mark = node.mark;
        let (text, merges) = match node.value {
            Value::Scalar(Scalar { text, plain }) => {
                let merges = plain && text == "<<";
                (text, merges)
            }
            Value::List(_) | Value::Map(_) => {
                let what = "a key is a list or a map; it names nothing; write text, and quote it if it holds braces";
                self.problem("document-syntax", mark, what);
                self.set_key(String::new(), mark, true);
                return;
            }
        };
        if merges {
            let what =
                "merge key << is not supported; what it adds would be lost; write the keys out";
            self.problem("construct-unsupported", mark, what);
            self.set_key(text, mark, true);
            return;
        }
        let first = match self.open.last_mut().map(|open| &mut open.items) {
            Some(Items::Map { seen, .. }) => seen.insert(text.clone(), mark.line),
            Some(Items::List(_)) | None => None,
        };
        if let Some(line) = first {
            let what = format!(
                "key {} appears twice, first in line {line}; one of them would be lost; merge them",
                shortened(&text)
            );
            self.set_key(text.clone(), mark, true);
            self.problem("duplicate-key", mark, &what);
        }
        self.set_key(text, mark, first.is_some());
    }

    fn set_key(&mut self, text: String, mark: Mark, dropped: bool) {
        if let Some(Items::Map { key, .. }) = self.open.last_mut().map(|open| &mut open.items) {
            *key = Some(Key {
                text,
                mark,
                dropped,
            });
        }
    }

    /// Whether a tag makes a scalar text; reports tags that mean something we do not know.
    fn forces_text(&mut self, tag: Option<&Tag>, mark: Mark) -> bool {
        let Some(tag) = tag else { return false };
        match tag.core_suffix() {
            Some(suffix) => suffix == "str",
            // A lone "!" says "not resolved by its look".
            None if tag.original() == "!" => true,
            None => {
                let what = format!(
                    "tag {} is not supported; what it asks for would not happen; write the value without it",
                    shortened(&tag.original())
                );
                self.problem("construct-unsupported", mark, &what);
                // Read as it would be without the tag, so that it is told only once.
                false
            }
        }
    }

    fn broken_alias(&mut self, mark: Mark, what: &str) -> Result<(), GivenUp> {
        self.problem("document-syntax", mark, what);
        let node = Node::null(mark);
        self.complete(
            Measured {
                node,
                bytes: NODE_BYTES,
                levels: 0,
            },
            0,
        )
    }

    fn check_depth(&mut self, mark: Mark, levels: usize) -> Result<(), GivenUp> {
        if self.open.len() + levels <= NESTING_MAX {
            return Ok(());
        }
        Err(self.refuse(("nesting-too-deep", mark, too_deep())))
    }

    fn expand(&mut self, mark: Mark, bytes: usize) -> Result<(), GivenUp> {
        self.expanded = self.expanded.saturating_add(bytes);
        if self.expanded <= EXPANSION_BYTES_MAX {
            return Ok(());
        }
        let what = format!(
            "anchors and aliases would add more than {EXPANSION_BYTES_MAX} bytes to the file; aliases of aliases multiply; write the values out"
        );
        Err(self.refuse(("expansion-too-large", mark, what)))
    }

    fn problem(&mut self, code: &'static str, mark: Mark, what: &str) {
        let pointer = self.open.iter().fold(Pointer::default(), |path, open| {
            let segment = match &open.items {
                Items::List(items) => items.len().to_string(),
                Items::Map { key: Some(key), .. } => key.text.clone(),
                Items::Map { key: None, .. } => return path,
            };
            path.inside(segment)
        });
        self.stream.problems.push(Problem {
            code,
            document: self.stream.count.max(1),
            pointer,
            mark,
            what: what.to_owned(),
        });
    }

    /// Gives the document up for this reason.
    fn refuse(&mut self, (code, mark, what): (&'static str, Mark, String)) -> GivenUp {
        self.problem(code, mark, &what);
        self.discard();
        GivenUp
    }

    fn discard(&mut self) {
        self.open.clear();
        self.anchors.clear();
        self.root = None;
    }
}
