//! Settings of a step: as JSON for whoever looks at the definition, and with their references for a
//! run.
//!
//! Text stays text, numbers stay numbers as long as JSON keeps their value.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Spot, shortened};
use crate::limits::REFERENCES_DEEP_MAX;
use crate::number;
use crate::step_groups::names::{Reader, Resolver};
use crate::step_groups::reference::Reading;
use crate::step_groups::template::{Part, Setting};
use crate::tree::{Entry, Meaning, Node, Value};

/// Keys of `config` in which every text is a script, also a single line or an item of a list.
const SCRIPT_KEYS: [&str; 3] = ["script", "command", "manifest"];

/// A value as it stands in the file, and with its references.
pub(crate) struct Both {
    pub(crate) json: Json,
    pub(crate) setting: Setting,
}

impl Both {
    fn fixed(json: Json) -> Self {
        Self {
            setting: Setting::Fixed(json.clone()),
            json,
        }
    }
}

/// Reads the settings of one step.
pub(crate) struct Settings<'s, 'n, 'r> {
    pub(crate) resolver: &'s mut Resolver<'n, 'r>,
    pub(crate) reader: Reader<'s>,
    pub(crate) step: &'s Spot,
    /// Whether this is `config`, where text may be a script, or one of the step's own keys.
    pub(crate) config: bool,
    path: Vec<Cow<'s, str>>,
}

impl<'s, 'n, 'r> Settings<'s, 'n, 'r> {
    pub(crate) fn new(
        resolver: &'s mut Resolver<'n, 'r>,
        reader: Reader<'s>,
        step: &'s Spot,
        config: bool,
    ) -> Self {
        Self {
            resolver,
            reader,
            step,
            config,
            path: Vec::new(),
        }
    }

    pub(crate) fn entry(&mut self, entry: &'s Entry) -> Both {
        self.path.push(Cow::Borrowed(&entry.key));
        let both = self.node(&entry.value);
        self.path.pop();
        both
    }

    /// Recursive; the reader bounds the depth of a tree.
    fn node(&mut self, node: &'s Node) -> Both {
        match &node.value {
            Value::List(items) => {
                let (mut json, mut settings) = (Vec::new(), Vec::new());
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Cow::Owned(index.to_string()));
                    let both = self.node(item);
                    self.path.pop();
                    json.push(both.json);
                    settings.push(both.setting);
                }
                let is_fixed = settings.iter().all(|one| matches!(one, Setting::Fixed(_)));
                let json = Json::Array(json);
                if is_fixed {
                    return Both::fixed(json);
                }
                let setting = Setting::List(settings);
                Both { json, setting }
            }
            Value::Map(entries) => {
                let (mut json, mut settings) = (Map::new(), Vec::new());
                for entry in entries {
                    let both = self.entry(entry);
                    json.insert(entry.key.clone(), both.json);
                    settings.push((entry.key.clone(), both.setting));
                }
                let is_fixed = |(_, one): &(String, Setting)| matches!(one, Setting::Fixed(_));
                let json = Json::Object(json);
                if settings.iter().all(is_fixed) {
                    return Both::fixed(json);
                }
                let setting = Setting::Map(settings);
                Both { json, setting }
            }
            Value::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => Both::fixed(Json::Null),
                Meaning::Bool(value) => Both::fixed(Json::Bool(value)),
                Meaning::Integer(text) | Meaning::Float(text) => {
                    Both::fixed(self.number(node, text))
                }
                Meaning::Text(text) => self.text(node, text),
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
        let report = &mut *self.resolver.report;
        report.warning("number-kept-as-text", &spot, what);
        Json::String(text.to_owned())
    }

    fn text(&mut self, node: &Node, text: &str) -> Both {
        let script = self.config && (self.is_script_key() || text.contains('\n'));
        let reading = if script {
            Reading::Script
        } else {
            Reading::Value
        };
        let spot = self.spot(node);
        let read = self.resolver.template(self.reader, &spot, text, reading);
        if let Some(fixed) = read.fixed() {
            return Both::fixed(fixed.into());
        }
        if self.path.len() > REFERENCES_DEEP_MAX {
            let what = format!(
                "it stands deeper than {REFERENCES_DEEP_MAX} levels, where no value can be put in; move it up"
            );
            let report = &mut *self.resolver.report;
            report.error("reference-too-deep", &spot, what);
            return Both::fixed(text.into());
        }
        let written = read.0.iter().map(|part| match part {
            Part::Text(text) => text.as_str(),
            Part::Value { raw, .. } | Part::Soft { raw, .. } => raw,
        });
        Both {
            json: Json::String(written.collect()),
            setting: Setting::Text(read),
        }
    }

    fn is_script_key(&self) -> bool {
        matches!(self.path.as_slice(), [_, key, ..] if SCRIPT_KEYS.contains(&key.as_ref()))
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
