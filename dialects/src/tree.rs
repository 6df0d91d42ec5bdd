//! A document as it was written: values with their places, their notation and their digits.
//!
//! Shared by the dialects. Never interprets a value before somebody asks.

/// A place in a file: line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl Mark {
    pub(crate) fn new(line: usize, column: usize) -> Self {
        let bounded = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            line: bounded(line),
            column: bounded(column),
        }
    }
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) mark: Mark,
    pub(crate) value: Value,
}

/// The three shapes of a value.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// Text as written, without quotes.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Written without quotes, so it may be a number, a bool or null.
    pub(crate) plain: bool,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) mark: Mark,
    pub(crate) value: Node,
}

/// What a scalar means (YAML 1.2 core schema; numbers keep their text).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    Null,
    Bool(bool),
    /// Digits with an optional sign, or `0x…`, `0o…`.
    Integer(&'a str),
    /// Anything else that is a number, `.inf` and `.nan` included.
    Float(&'a str),
    Text(&'a str),
}

impl Node {
    /// The empty value at a place.
    pub(crate) fn null(mark: Mark) -> Self {
        let scalar = Scalar {
            text: String::new(),
            plain: true,
        };
        Self {
            mark,
            value: Value::Scalar(scalar),
        }
    }

    /// What stands under `key`, if this is a map that has it and it is not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        let found = self.entries().iter().find(|entry| entry.key == key);
        found.filter(|entry| !entry.value.is_null())
    }

    /// The entries of a map; none for other shapes.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(_) | Value::List(_) => &[],
        }
    }

    /// What a scalar means; `None` for lists and maps.
    pub(crate) fn meaning(&self) -> Option<Meaning<'_>> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar.meaning()),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// All texts in it that stand in quotes.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let (mut texts, mut open) = (Vec::new(), vec![self]);
        while let Some(node) = open.pop() {
            match &node.value {
                Value::Scalar(scalar) if scalar.plain => {}
                Value::Scalar(scalar) => texts.push(scalar.text.as_str()),
                Value::List(items) => open.extend(items),
                Value::Map(entries) => open.extend(entries.iter().map(|entry| &entry.value)),
            }
        }
        texts
    }

    pub(crate) fn is_null(&self) -> bool {
        self.meaning() == Some(Meaning::Null)
    }

    /// The text of a scalar as written, unless it is null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if !self.is_null() => Some(&scalar.text),
            Value::Scalar(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether there is nothing in it: null, or a list or map without entries.
    pub(crate) fn is_void(&self) -> bool {
        match &self.value {
            Value::Scalar(_) => self.is_null(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
        }
    }
}

impl Scalar {
    pub(crate) fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        if !self.plain {
            return Meaning::Text(text);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" => Meaning::Bool(true),
            "false" | "False" | "FALSE" => Meaning::Bool(false),
            _ if is_integer(text) => Meaning::Integer(text),
            _ if is_float(text) => Meaning::Float(text),
            _ => Meaning::Text(text),
        }
    }
}

fn is_integer(text: &str) -> bool {
    let all = |digits: &str, of: fn(char) -> bool| !digits.is_empty() && digits.chars().all(of);
    match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => all(digits, |c| c.is_ascii_hexdigit()),
        (_, Some(digits)) => all(digits, |c| ('0'..='7').contains(&c)),
        _ => all(unsigned(text), |c| c.is_ascii_digit()),
    }
}

fn is_float(text: &str) -> bool {
    let bare = unsigned(text);
    if matches!(bare, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match bare.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(unsigned(exponent))),
        None => (bare, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.chars().all(|c| c.is_ascii_digit());
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|part| !part.is_empty() && digits(part))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_the_core_schema_says() {
        for (text, meaning) in [
            ("", Meaning::Null),
            ("~", Meaning::Null),
            ("True", Meaning::Bool(true)),
            ("yes", Meaning::Text("yes")),
            ("-12", Meaning::Integer("-12")),
            ("0x1F", Meaning::Integer("0x1F")),
            ("0x", Meaning::Text("0x")),
            ("1.50", Meaning::Float("1.50")),
            (".5", Meaning::Float(".5")),
            ("1e9", Meaning::Float("1e9")),
            ("-.inf", Meaning::Float("-.inf")),
            ("1e", Meaning::Text("1e")),
            (".", Meaning::Text(".")),
            ("-", Meaning::Text("-")),
            ("1.2.3", Meaning::Text("1.2.3")),
            ("2025-10-01", Meaning::Text("2025-10-01")),
            ("30s", Meaning::Text("30s")),
        ] {
            let scalar = |plain| Scalar {
                text: text.to_owned(),
                plain,
            };
            assert_eq!(scalar(true).meaning(), meaning, "{text}");
            assert_eq!(scalar(false).meaning(), Meaning::Text(text));
        }
    }
}
