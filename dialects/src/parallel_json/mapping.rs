//! Values with references in them: an agent's `input_mapping`, a loop's `collection`.

use serde_json::{Map, Value as Json};

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::number;
use crate::parallel_json::field;
use crate::parallel_json::reference::{Part, Reference, corrected, parts};
use crate::tree::{Meaning, Node, Value};

/// A value in which references are still to be resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mapping {
    Fixed(Json),
    /// Takes the value with its type.
    Reference(Reference),
    /// Mixed text: every value in it must itself be text.
    Text(Vec<Part>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Mapping {
    /// What a value asks for. A text that is no reference stays as it is: importing reports it.
    pub(crate) fn of(value: &Json) -> Self {
        match value {
            Json::String(text) => match parts(text) {
                Ok(mut parts) => match (parts.pop(), parts.is_empty()) {
                    (None, _) => Self::Fixed(value.clone()),
                    (Some(Part::Text(text)), true) => Self::Fixed(Json::String(text)),
                    (Some(Part::Reference(reference)), true) => Self::Reference(reference),
                    (Some(last), false) => {
                        parts.push(last);
                        Self::Text(parts)
                    }
                },
                Err(_) => Self::Fixed(value.clone()),
            },
            Json::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Json::Object(map) => {
                let entries = map.iter();
                Self::Object(
                    entries
                        .map(|(key, value)| (key.clone(), Self::of(value)))
                        .collect(),
                )
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => Self::Fixed(value.clone()),
        }
    }

    /// Whether anything in it is to be resolved.
    pub(crate) fn has_references(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Reference(_) | Self::Text(_) => true,
            Self::List(items) => items.iter().any(Self::has_references),
            Self::Object(entries) => entries.iter().any(|(_, value)| value.has_references()),
        }
    }

    /// Whether it is exactly one reference.
    pub(crate) fn is_reference(&self) -> bool {
        matches!(self, Self::Reference(_))
    }
}

/// A reference and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    pub(crate) reference: Reference,
    pub(crate) spot: Spot,
}

/// The value of a node as JSON, and what it mentions.
pub(crate) fn read(
    node: &Node,
    spot: &Spot,
    mentions: &mut Vec<Mention>,
    report: &mut Report,
) -> Json {
    match &node.value {
        Value::List(items) => {
            let items = items.iter().enumerate();
            let read = items.map(|(index, item)| {
                read(item, &field::item_spot(spot, index, item), mentions, report)
            });
            Json::Array(read.collect())
        }
        Value::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                let inside = field::spot(spot, entry);
                let value = read(&entry.value, &inside, mentions, report);
                map.insert(entry.key.clone(), value);
            }
            Json::Object(map)
        }
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Json::Null,
            Meaning::Bool(value) => Json::Bool(value),
            Meaning::Integer(text) | Meaning::Float(text) => number(text, spot, report),
            Meaning::Text(text) => {
                mention(text, spot, mentions, report);
                Json::String(text.to_owned())
            }
        },
    }
}

fn number(text: &str, spot: &Spot, report: &mut Report) -> Json {
    if let Some(number) = number::exact(text) {
        return Json::Number(number);
    }
    let what = format!(
        "number {} has more digits or a larger exponent than JSON readers keep, so another number would be passed on; write it as text",
        shortened(text)
    );
    report.error("number-inexact", spot, what);
    Json::Null
}

fn mention(text: &str, spot: &Spot, mentions: &mut Vec<Mention>, report: &mut Report) {
    match parts(text) {
        Ok(found) => mentions.extend(found.into_iter().filter_map(|part| match part {
            Part::Reference(reference) => Some(Mention {
                reference,
                spot: spot.clone(),
            }),
            Part::Text(_) => None,
        })),
        Err(wrong) => {
            let better = corrected(&wrong).unwrap_or_else(|| "${step.output.path}".to_owned());
            let what = format!(
                "{} is no reference; no value could be found for it; write {better}, or $${{ for the text itself",
                quoted(&wrong)
            );
            report.error("reference-syntax", spot, what);
        }
    }
}
