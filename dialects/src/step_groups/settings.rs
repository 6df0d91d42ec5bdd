//! Settings of a step as JSON for its handler.
//!
//! Text stays text, numbers stay numbers as long as JSON keeps their value. Strings that ask for a
//! value are refused, because there is nothing yet that would fill it in.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::number;
use crate::step_groups::{reference, unsupported};
use crate::tree::{Entry, Meaning, Node, Value};

/// Keys of `config` whose text is a script, also when it is a single line.
const SCRIPT_KEYS: [&str; 3] = ["script", "command", "manifest"];

/// Turns the settings of one step into JSON.
pub(crate) struct Settings<'a> {
    report: &'a mut Report,
    step: &'a Spot,
    /// Whether this is `config`, where text may be a script, or one of the step's own keys.
    config: bool,
    path: Vec<Cow<'a, str>>,
}

impl<'a> Settings<'a> {
    pub(crate) fn new(report: &'a mut Report, step: &'a Spot) -> Self {
        Self {
            report,
            step,
            config: false,
            path: Vec::new(),
        }
    }

    /// The map under the key `config`.
    pub(crate) fn config(mut self, entry: &'a Entry) -> Map<String, Json> {
        self.config = true;
        match self.entry(entry) {
            Json::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// A key of the step that is not the dialect's own.
    pub(crate) fn field(mut self, entry: &'a Entry) -> Json {
        self.entry(entry)
    }

    fn entry(&mut self, entry: &'a Entry) -> Json {
        self.path.push(Cow::Borrowed(&entry.key));
        let json = self.node(&entry.value);
        self.path.pop();
        json
    }

    /// Recursive; the reader bounds the depth of a tree.
    fn node(&mut self, node: &'a Node) -> Json {
        match &node.value {
            Value::List(items) => {
                let items = items.iter().enumerate();
                let json = items.map(|(index, item)| {
                    self.path.push(Cow::Owned(index.to_string()));
                    let json = self.node(item);
                    self.path.pop();
                    json
                });
                Json::Array(json.collect())
            }
            Value::Map(entries) => {
                let json = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), self.entry(entry)));
                Json::Object(json.collect())
            }
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => Json::Null,
                Meaning::Bool(value) => Json::Bool(value),
                Meaning::Integer(text) | Meaning::Float(text) => self.number(node, text),
                Meaning::Text(text) => Json::String(self.text(node, text)),
            },
        }
    }

    fn number(&mut self, node: &Node, text: &str) -> Json {
        if let Some(number) = number::exact(text) {
            return Json::Number(number);
        }
        let what = format!(
            "number {} is passed on as text; as a JSON number it would change its value; quote it to say so",
            shortened(text)
        );
        let spot = self.spot(node);
        self.report.warning("number-kept-as-text", &spot, what);
        Json::String(text.to_owned())
    }

    fn text(&mut self, node: &Node, text: &str) -> String {
        let script = self.config && (self.is_script_key() || text.contains('\n'));
        let scanned = reference::scan(text, script);
        if let Some(asks) = scanned.asks {
            let kind = if asks.starts_with("{{") {
                "template"
            } else {
                "reference"
            };
            let spot = self.spot(node);
            let construct = format!("{kind} {}", quoted(&asks));
            let otherwise = "the handler would get it unresolved";
            unsupported::refuse(
                self.report,
                &spot,
                &construct,
                otherwise,
                "write the value itself",
            );
        }
        scanned.text
    }

    fn is_script_key(&self) -> bool {
        matches!(self.path.as_slice(), [_, key] if SCRIPT_KEYS.contains(&key.as_ref()))
    }

    fn spot(&self, node: &Node) -> Spot {
        let step = self.step.pointer.clone().unwrap_or_default();
        let place = self
            .path
            .iter()
            .fold(step, |path, segment| path.inside(segment.as_ref()));
        Spot {
            pointer: Some(place),
            mark: Some(node.mark),
            subject: format!("{} {}", self.step.subject, shortened(&self.path.join("."))),
            ..self.step.clone()
        }
    }
}
