//! A TOML file whose values know their lines, so that every problem can say where it is.

use std::ops::Range;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::suggestion::did_you_mean;

/// A parsed file and the problems found in it so far.
pub(crate) struct TomlText<'t> {
    name: &'t str,
    text: &'t str,
    /// One line each, ready to be shown.
    pub(crate) problems: Vec<String>,
}

impl<'t> TomlText<'t> {
    /// Parses the text; `name` is how messages call the file.
    ///
    /// What is no TOML becomes a problem, and the table holds what could be read all the same.
    pub(crate) fn parse(name: &'t str, text: &'t str) -> (Self, DeTable<'t>) {
        let mut toml = Self {
            name,
            text,
            problems: Vec::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            toml.problem(&span, format!("{}; correct the TOML", error.message()));
        }
        (toml, table.into_inner())
    }

    /// Notes a problem at a place.
    pub(crate) fn problem(&mut self, at: &Range<usize>, what: impl std::fmt::Display) {
        let line = self.line(at);
        self.problems.push(format!("{}:{line}: {what}", self.name));
    }

    /// Notes a key that nobody reads, naming the nearest known one.
    pub(crate) fn unknown_key<'k>(
        &mut self,
        at: &Range<usize>,
        key: &str,
        known: impl IntoIterator<Item = &'k str> + Clone,
    ) {
        let hint = did_you_mean(key, known);
        self.problem(
            at,
            format!("key {key:?} is unknown and would have no effect; {hint}"),
        );
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, at: &Range<usize>) -> usize {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    /// The value as JSON; dates become text.
    pub(crate) fn json(&mut self, value: &Spanned<DeValue<'_>>) -> Json {
        match value.get_ref() {
            DeValue::String(text) => Json::from(text.as_ref()),
            DeValue::Boolean(truth) => Json::from(*truth),
            DeValue::Datetime(at) => Json::from(at.to_string()),
            DeValue::Integer(digits) => {
                let number = i64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix());
                number.map_or_else(|_| self.no_json(value), Json::from)
            }
            DeValue::Float(digits) => match digits.as_str().replace('_', "").parse::<f64>() {
                Ok(number) if number.is_finite() => Json::from(number),
                _ => self.no_json(value),
            },
            DeValue::Array(items) => items.iter().map(|item| self.json(item)).collect(),
            DeValue::Table(table) => {
                let entries = table
                    .iter()
                    .map(|(key, item)| (key.get_ref().to_string(), self.json(item)));
                Json::Object(entries.collect())
            }
        }
    }

    fn no_json(&mut self, value: &Spanned<DeValue<'_>>) -> Json {
        self.problem(
            &value.span(),
            "this number has no JSON form; write it as text",
        );
        Json::Null
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_become_json_and_problems_know_their_line() {
        let text = "a = 1\n\n[b]\nc = [1.5, 'x', true, 2020-01-02]\nd = nan\n";
        let (mut toml, table) = TomlText::parse("f.toml", text);
        assert_eq!(toml.json(&table["a"]), json!(1));
        let b = toml.json(&table["b"]);
        assert_eq!(b, json!({"c": [1.5, "x", true, "2020-01-02"], "d": null}));
        assert_eq!(
            toml.problems,
            ["f.toml:5: this number has no JSON form; write it as text"]
        );
    }

    #[test]
    fn what_is_no_toml_is_a_problem_with_its_line() {
        let (toml, _) = TomlText::parse("f.toml", "a = 1\nb = \n");
        assert_eq!(toml.problems.len(), 1);
        assert!(
            toml.problems[0].starts_with("f.toml:2: "),
            "{:?}",
            toml.problems
        );
    }
}
