//! JSON as CEL values, and back, without losing a digit.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use cel::Value;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelNull, CelString, CelUInt,
};
use cel::common::value::Val;
use cel::objects::Key;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use windlass_workflow_model::Payload;

use crate::limits::JSON_NESTING_MAX;

/// A value as the evaluation holds it.
pub(crate) type Held = Box<dyn Val>;

/// Reads a payload.
///
/// # Errors
/// What is wrong with it: it is no JSON, or has an integer that no type of CEL holds.
pub(crate) fn read(payload: &Payload) -> Result<Held, String> {
    let Read(value) = payload
        .decode()
        .map_err(|error| format!("the data is not JSON: {error}"))?;
    match oversized_integer(payload.as_bytes()) {
        None => Ok(value),
        Some(digits) => Err(format!(
            "the integer {digits} in the data fits neither 64 bits with a sign nor without: send \
             it as text"
        )),
    }
}

/// A map of values that are already read.
pub(crate) fn map(entries: impl IntoIterator<Item = (&'static str, Held)>) -> Held {
    let entries = entries.into_iter().map(|(key, value)| (key.into(), value));
    Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
}

/// A list of values that are already read.
pub(crate) fn list(values: Vec<Held>) -> Held {
    Box::new(CelList::from(values))
}

/// A text.
pub(crate) fn text(text: &str) -> Held {
    Box::new(CelString::from(text.to_owned()))
}

/// A text that may be missing.
pub(crate) fn text_or_null(text: Option<&str>) -> Held {
    text.map_or_else(|| Box::new(CelNull) as Held, self::text)
}

/// An integer.
pub(crate) fn int(value: u32) -> Held {
    Box::new(CelInt::from(i64::from(value)))
}

/// Writes a value as a payload, with the keys of its maps in their order.
///
/// # Errors
/// What has no form in JSON, and what to write instead.
pub(crate) fn write(value: &Value) -> Result<Payload, String> {
    let json = to_json(value, 0)?;
    Payload::encode(&json).map_err(|error| format!("the result is no JSON: {error}"))
}

/// What kind of value it is, for messages. Never the value itself: user data stays out of messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Int(_) => "an int",
        Value::UInt(_) => "a uint",
        Value::Float(_) => "a double",
        Value::String(_) => "a string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "a bool",
        Value::Duration(_) => "a duration",
        Value::Timestamp(_) => "a timestamp",
        Value::Null => "null",
        Value::Opaque(_) => "an optional value",
        Value::Function(..) | Value::Struct(_) => "no plain value",
    }
}

fn to_json(value: &Value, depth: usize) -> Result<serde_json::Value, String> {
    if depth > JSON_NESTING_MAX {
        return Err(format!(
            "the result nests deeper than {JSON_NESTING_MAX} levels: make it flatter"
        ));
    }
    Ok(match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::UInt(value) => (*value).into(),
        Value::Float(value) => serde_json::Number::from_f64(*value)
            .ok_or_else(|| format!("the result has the number {value}, which JSON has not"))?
            .into(),
        Value::String(value) => value.as_str().into(),
        Value::List(values) => values
            .iter()
            .map(|value| to_json(value, depth + 1))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        Value::Map(entries) => {
            let entries: BTreeMap<&Key, &Value> = entries.map.iter().collect();
            let entries = entries.into_iter().map(|(key, value)| match key {
                Key::String(key) => Ok((key.to_string(), to_json(value, depth + 1)?)),
                Key::Int(_) | Key::Uint(_) | Key::Bool(_) => Err(format!(
                    "the result has a map with the key {key}, and keys of JSON are text: write \
                     string({key})"
                )),
            });
            serde_json::Value::Object(entries.collect::<Result<_, String>>()?)
        }
        Value::Opaque(_) => {
            return Err("the result has an optional value: add .orValue(…)".to_owned());
        }
        Value::Bytes(_)
        | Value::Duration(_)
        | Value::Timestamp(_)
        | Value::Function(..)
        | Value::Struct(_) => {
            return Err(format!(
                "the result has {}, which JSON has not: write string(…) around it",
                kind(value)
            ));
        }
    })
}

/// The first integer of valid JSON that fits neither `i64` nor `u64`: serde reads such a one as a
/// float and says nothing.
fn oversized_integer(json: &[u8]) -> Option<String> {
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at += quoted(&json[at..]),
            b'-' | b'0'..=b'9' => {
                let is_part =
                    |byte: &&u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = json[at..].iter().take_while(is_part).count();
                let digits = str::from_utf8(&json[at..at + length]).unwrap_or_default();
                let is_integer = !digits.contains(['.', 'e', 'E']);
                if is_integer && digits.parse::<i64>().is_err() && digits.parse::<u64>().is_err() {
                    return Some(digits.chars().take(40).collect());
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

fn quoted(json: &[u8]) -> usize {
    let mut at = 1;
    while at < json.len() && json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Reads JSON straight into what the evaluation holds.
struct Read(Held);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadVisitor).map(Self)
    }
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Held;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Held, E> {
        Ok(Box::new(CelNull))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Held, E> {
        Ok(Box::new(CelBool::from(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Held, E> {
        Ok(Box::new(CelInt::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Held, E> {
        Ok(match i64::try_from(value) {
            Ok(value) => Box::new(CelInt::from(value)),
            Err(_) => Box::new(CelUInt::from(value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Held, E> {
        Ok(Box::new(CelDouble::from(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Held, E> {
        Ok(text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Held, A::Error> {
        let mut values = Vec::new();
        while let Some(Read(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(list(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Held, A::Error> {
        let mut entries = HashMap::new();
        while let Some((key, Read(value))) = access.next_entry::<String, _>()? {
            entries.insert(key.into(), value);
        }
        Ok(Box::new(CelMap::from(entries)))
    }
}
