//! Conditions: `if` and `unless`.
//!
//! A condition is split before any value is put in, so a value can never add an operator.

use std::cmp::Ordering;

use regex::RegexBuilder;
use serde::{Deserialize, Serialize};

use crate::diagnostic::quoted;
use crate::limits::PATTERN_BYTES_MAX;
use crate::step_groups::evaluation::{Found, Seen};
use crate::step_groups::state::Status;
use crate::step_groups::template::{Part, Reference, Template};

/// What a condition asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Condition {
    Constant(bool),
    /// How a step came to its end.
    Is {
        step: String,
        status: Status,
    },
    /// Whether it has a value that says yes.
    True(Reference),
    /// Whether the left side is missing or empty (or, `negated`, is there).
    Null {
        left: Operand,
        negated: bool,
    },
    Compare {
        left: Operand,
        by: Comparison,
        right: Operand,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Operand {
    pub(crate) text: Template,
    /// Quotes force a comparison as text.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) quoted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    AtMost,
    AtLeast,
    Less,
    More,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
}

const SIGNS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

const WORDS: [(&str, Comparison); 4] = [
    ("contains", Comparison::Contains),
    ("startsWith", Comparison::StartsWith),
    ("endsWith", Comparison::EndsWith),
    ("matches", Comparison::Matches),
];

/// A condition cut at its operator: both sides trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Split<'a> {
    pub(crate) left: &'a str,
    pub(crate) by: Option<(Comparison, &'a str)>,
}

/// Cuts a condition at its leftmost operator outside quotes and `${…}`.
pub(crate) fn split(text: &str) -> Split<'_> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let begins = text[..at].ends_with(char::is_whitespace) || at == 0;
        if let Some(end) = closed(rest, begins) {
            at += end;
            continue;
        }
        if let Some((sign, by)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            return cut(text, at, sign.len(), *by);
        }
        let is_word = |(word, _): &&(&str, Comparison)| {
            let after = rest.strip_prefix(*word);
            begins && at > 0 && after.is_some_and(|after| after.starts_with(char::is_whitespace))
        };
        if let Some((word, by)) = WORDS.iter().find(is_word) {
            return cut(text, at, word.len(), *by);
        }
        at += c.len_utf8();
    }
    Split {
        left: text.trim(),
        by: None,
    }
}

/// The end of quotes, which begin an operand, or of a `${…}` that begin here.
fn closed(rest: &str, begins: bool) -> Option<usize> {
    if rest.starts_with("${") {
        return rest.find('}').map(|end| end + 1);
    }
    let quote = rest
        .chars()
        .next()
        .filter(|c| begins && matches!(c, '"' | '\''))?;
    rest[1..].find(quote).map(|end| end + 2)
}

fn cut(text: &str, at: usize, length: usize, by: Comparison) -> Split<'_> {
    Split {
        left: text[..at].trim(),
        by: Some((by, text[at + length..].trim())),
    }
}

/// An operand without the quotes around it, and whether it had some.
pub(crate) fn unquoted(text: &str) -> (&str, bool) {
    for quote in ['"', '\''] {
        let inside = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inside) = inside {
            return (inside, true);
        }
    }
    (text, false)
}

impl Condition {
    /// The texts that it is made of.
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Constant(_) | Self::Is { .. } | Self::True(_) => Vec::new(),
            Self::Null { left, .. } => vec![&left.text],
            Self::Compare { left, right, .. } => vec![&left.text, &right.text],
        }
    }

    /// # Errors
    /// What is wrong and how to fix it: there is no truth value.
    pub(crate) fn holds(&self, seen: &Seen<'_>) -> Result<bool, String> {
        match self {
            Self::Constant(holds) => Ok(*holds),
            Self::Is { step, status } => Ok(seen.state.status(step) == *status),
            Self::True(reference) => Ok(match seen.find(reference) {
                Found::Value(value) => says_yes(&value),
                Found::Unset { .. } | Found::Missing(_) => false,
            }),
            Self::Null { left, negated } => {
                let text = text(&left.text, seen)?;
                Ok(text.is_empty() != *negated)
            }
            Self::Compare { left, by, right } => {
                let is_text = left.quoted || right.quoted;
                let (left, right) = (text(&left.text, seen)?, text(&right.text, seen)?);
                by.holds(&left, &right, is_text)
            }
        }
    }
}

fn says_yes(text: &str) -> bool {
    !(text.is_empty() || text == "0" || text.eq_ignore_ascii_case("false"))
}

/// What is unset is empty text here; a missing output is an error, or in lenient mode empty.
fn text(template: &Template, seen: &Seen<'_>) -> Result<String, String> {
    let mut text = String::new();
    for part in &template.0 {
        match part {
            Part::Text(part) => text.push_str(part),
            Part::Value { of, .. } | Part::Soft { of, .. } => match seen.find(of) {
                Found::Value(value) => text.push_str(&value),
                Found::Unset { .. } => {}
                Found::Missing(why) if seen.lenient => {
                    seen.warn(format!("output-missing: {why}; taken as empty"));
                }
                Found::Missing(why) => {
                    return Err(format!(
                        "{why}; the condition has no truth value; let that step give it"
                    ));
                }
            },
        }
    }
    Ok(text)
}

impl Comparison {
    fn holds(self, left: &str, right: &str, is_text: bool) -> Result<bool, String> {
        let numbers = Decimal::read(left).zip(Decimal::read(right));
        let order = match numbers.filter(|_| !is_text) {
            Some((left, right)) => left.compare(&right),
            None => left.cmp(right),
        };
        Ok(match self {
            Self::Equal => order == Ordering::Equal,
            Self::Unequal => order != Ordering::Equal,
            Self::AtMost => order != Ordering::Greater,
            Self::AtLeast => order != Ordering::Less,
            Self::Less => order == Ordering::Less,
            Self::More => order == Ordering::Greater,
            Self::Contains => left.contains(right),
            Self::StartsWith => left.starts_with(right),
            Self::EndsWith => left.ends_with(right),
            Self::Matches => pattern(right)?.is_match(left),
        })
    }
}

/// Linear in the length of the text (Rust's `regex`), and bounded in memory.
pub(crate) fn pattern(text: &str) -> Result<regex::Regex, String> {
    let built = RegexBuilder::new(text)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build();
    built.map_err(|_| {
        format!(
            "{} is not a regular expression; the condition has no truth value; correct it (back-references and look-around are not known)",
            quoted(text)
        )
    })
}

/// A decimal number of any length.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || whole.len() + fraction.len() == 0 {
            return None;
        }
        let (whole, fraction) = (
            whole.trim_start_matches('0'),
            fraction.trim_end_matches('0'),
        );
        let is_zero = whole.is_empty() && fraction.is_empty();
        Some(Self {
            negative: text.starts_with('-') && !is_zero,
            whole,
            fraction,
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_size = || {
            let whole = self.whole.len().cmp(&other.whole.len());
            let whole = whole.then_with(|| self.whole.cmp(other.whole));
            whole.then_with(|| self.fraction.cmp(other.fraction))
        };
        match (self.negative, other.negative) {
            (false, false) => by_size(),
            (true, true) => by_size().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leftmost_operator_outside_quotes_and_references_decides() {
        for (text, left, by) in [
            ("$A == b", "$A", Some((Comparison::Equal, "b"))),
            ("$A<=3", "$A", Some((Comparison::AtMost, "3"))),
            ("$A < = 3", "$A", Some((Comparison::Less, "= 3"))),
            ("${a>b} != c", "${a>b}", Some((Comparison::Unequal, "c"))),
            (
                "\"a == b\" == c",
                "\"a == b\"",
                Some((Comparison::Equal, "c")),
            ),
            ("it's == its", "it's", Some((Comparison::Equal, "its"))),
            ("$A contains <b>", "$A", Some((Comparison::Contains, "<b>"))),
            ("$A matches ^v$", "$A", Some((Comparison::Matches, "^v$"))),
            ("containsx", "containsx", None),
            ("$A ==", "$A", Some((Comparison::Equal, ""))),
            (" $A ", "$A", None),
        ] {
            assert_eq!(split(text), Split { left, by }, "{text}");
        }
    }

    #[test]
    fn numbers_of_any_length_are_compared_as_numbers() {
        let check = |left, by: Comparison, right, is_text, expected| {
            assert_eq!(
                by.holds(left, right, is_text),
                Ok(expected),
                "{left} {right}"
            );
        };
        check("9", Comparison::AtLeast, "10", false, false);
        check("9", Comparison::AtLeast, "10", true, true);
        check("1.50", Comparison::Equal, "1.5", false, true);
        check("-2", Comparison::Less, "-1.9", false, true);
        check("-0", Comparison::Equal, "0", false, true);
        check("007", Comparison::Equal, "7", false, true);
        check(
            "9007199254740993",
            Comparison::More,
            "9007199254740992",
            false,
            true,
        );
        check("v1", Comparison::Less, "v2", false, true);
        check("", Comparison::Less, "1", false, true);
        check("abc", Comparison::Matches, "b.?$", false, true);
        assert!(Comparison::Matches.holds("a", "[", false).is_err());
    }
}
