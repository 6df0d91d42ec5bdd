//! Digits of numbers as they stand in the file that they were read from.
//!
//! JSON as we keep it has the value of a number and prints it in its own way: `2.0` for `2`, `1000.0`
//! for `1e3`, and only the first digits of a long one. What became text of it is therefore kept beside
//! the value: a tree of the same shape in which the digits stand where the number does, and nothing
//! where they are the ones that would be printed. Numbers that can keep every digit would be a feature
//! of the JSON library for all who are built with it, so they are no way.

use serde_json::{Map, Value as Json};

use crate::json;
use crate::number;
use crate::tree::{Meaning, Node, Value};

/// The digits of the numbers in a JSON text, at their places; null if all would be printed as they
/// stand there, or if the text is no JSON. A run takes them under `digits` of its input.
pub fn group_digits(text: &str) -> Json {
    let read = json::read(text);
    // Of a key that comes twice it is open which value counts.
    let root = read.root.filter(|_| read.problems.is_empty());
    root.and_then(|root| of(&root)).unwrap_or_default()
}

/// The digits in a value of a file. Recursive; the reader bounds the depth of a tree.
pub(crate) fn of(node: &Node) -> Option<Json> {
    match &node.value {
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Integer(text) | Meaning::Float(text) => {
                let number = number::exact(text).map(Json::Number);
                let is_printed = number.is_some_and(|number| self::text(&number, None) == text);
                (!is_printed).then(|| text.into())
            }
            Meaning::Null | Meaning::Bool(_) | Meaning::Text(_) => None,
        },
        Value::List(items) => {
            let items: Vec<Json> = items
                .iter()
                .map(|item| of(item).unwrap_or_default())
                .collect();
            let has_some = items.iter().any(|item| !item.is_null());
            has_some.then_some(Json::Array(items))
        }
        Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.filter_map(|entry| Some((entry.key.clone(), of(&entry.value)?)));
            let entries: Map<String, Json> = entries.collect();
            (!entries.is_empty()).then_some(Json::Object(entries))
        }
    }
}

/// A value as text: numbers with their digits, else in decimal form; null as nothing, lists and maps as
/// compact JSON.
pub(crate) fn text(value: &Json, digits: Option<&Json>) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => digits.and_then(Json::as_str).unwrap_or(text).to_owned(),
        Json::Number(number) => {
            if let Some(Json::String(digits)) = digits {
                return digits.clone();
            }
            match number.as_f64() {
                Some(float) if !number.is_i64() && !number.is_u64() => float.to_string(),
                _ => number.to_string(),
            }
        }
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => {
            let mut compact = String::new();
            write(value, digits, &mut compact);
            compact
        }
    }
}

/// Recursive; the reader of the run's data bounds its depth.
fn write(value: &Json, digits: Option<&Json>, to: &mut String) {
    match value {
        Json::Array(items) => {
            to.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                write(item, digits.and_then(|digits| digits.get(index)), to);
            }
            to.push(']');
        }
        Json::Object(entries) => {
            to.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                to.push_str(&Json::from(key.as_str()).to_string());
                to.push(':');
                write(item, digits.and_then(|digits| digits.get(key)), to);
            }
            to.push('}');
        }
        Json::Number(_) => to.push_str(&text(value, digits)),
        // A number that had to be kept as text.
        Json::String(_) if digits.is_some_and(Json::is_string) => to.push_str(&text(value, digits)),
        Json::Null | Json::Bool(_) | Json::String(_) => to.push_str(&value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn digits_are_kept_where_they_would_be_printed_otherwise() {
        for (text, digits) in [
            ("{\"a\": 1, \"b\": [1.5, -3]}", Json::Null),
            ("[1.50, 1, 1e3]", json!(["1.50", null, "1e3"])),
            (
                "{\"a\": {\"b\": 2.0, \"c\": 2}}",
                json!({"a": {"b": "2.0"}}),
            ),
            ("12345678901234567890123", json!("12345678901234567890123")),
            ("{\"a\": 1.0, \"a\": 2.0}", Json::Null),
            ("{", Json::Null),
        ] {
            assert_eq!(group_digits(text), digits, "{text}");
        }
    }

    #[test]
    fn a_text_has_the_digits_of_all_its_numbers() {
        for text in [
            "{\"a\":[1.50,2.0,1e3],\"b c\":\"1.0\",\"c\":null,\"d\":{\"e\":-0.10}}",
            "[12345678901234567890123,true]",
        ] {
            let value: Json = serde_json::from_str(text).unwrap();
            assert_eq!(self::text(&value, Some(&group_digits(text))), text);
        }
        assert_eq!(
            text(&json!([2.0, 1e21]), None),
            "[2,1000000000000000000000]"
        );
    }
}
