//! References: what they name, and the texts they stand in.
//!
//! Parsed when a file is imported; values are bound when a run comes to them, so a value never
//! becomes syntax.

use winnow::combinator::{alt, delimited, preceded, repeat, trace};
use winnow::error::{ContextError, ParserError};
use winnow::token::{take_till, take_while};
use winnow::{Parser, Result};

use crate::suggestion::nearest;

/// How deep references may stand in each other's brackets.
pub(crate) const REFERENCES_DEEP_MAX: usize = 16;

/// Bytes of a text that is corrected; longer ones are no slips.
const CORRECTED_BYTES_MAX: usize = 100;

/// What `${…}` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    pub(crate) of: Of,
    pub(crate) path: Vec<Segment>,
    /// As it is written, for messages.
    pub(crate) text: String,
}

/// Where a path begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Of {
    Input,
    Output(String),
    /// `code`, `message`, `failed` or `result` is the first segment of the path.
    Error(String),
    /// Of the loop so many levels out.
    Loop {
        out: usize,
        value: LoopValue,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopValue {
    Item,
    Index,
    Total,
    IsFirst,
    IsLast,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Segment {
    Name(String),
    Index(u64),
    /// The value of a reference is the name or index.
    Value(Box<Reference>),
}

/// A string with references in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(String),
    Reference(Reference),
}

impl Reference {
    /// This one and those in its brackets.
    pub(crate) fn visit<'r>(&'r self, seen: &mut Vec<&'r Self>) {
        seen.push(self);
        for segment in &self.path {
            if let Segment::Value(inner) = segment {
                inner.visit(seen);
            }
        }
    }
}

/// The parts of a string; `Err` holds the first thing in it that is no reference.
pub(crate) fn parts(text: &str) -> std::result::Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$${") {
            plain.push_str("${");
            rest = after;
        } else if rest.starts_with("${") {
            let mut after = rest;
            let Ok(reference) = braced(&mut after) else {
                return Err(first_braces(rest).to_owned());
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Reference(reference));
            rest = after;
        } else {
            plain.push('$');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// What was probably meant by a text that is nearly a reference.
pub(crate) fn corrected(wrong: &str) -> Option<String> {
    let inner = wrong.strip_prefix("${")?;
    let inner = inner.strip_suffix('}').unwrap_or(inner).trim();
    if inner.len() > CORRECTED_BYTES_MAX {
        return None;
    }
    let (names, _) = inner.split_once('[').unwrap_or((inner, ""));
    let names: Vec<_> = names.split('.').collect();
    // The word that says what is asked for comes behind the id, `workflow` or each `loop.parent`.
    let at = match names.as_slice() {
        ["steps", _, ..] => 2,
        ["loop", rest @ ..] => 1 + rest.iter().take_while(|name| **name == "parent").count(),
        _ => 1,
    };
    let known: &[&str] = match names[0] {
        "workflow" => &["input"],
        "loop" => &["item", "index", "total", "is_first", "is_last", "parent"],
        _ => &["output", "error"],
    };
    let before = names
        .iter()
        .take(at)
        .map(|name| name.len() + 1)
        .sum::<usize>();
    let better = match names.get(at) {
        Some(word) if known.contains(word) => inner.to_owned(),
        Some(word) => {
            let meant = nearest(word, known.iter().copied())?;
            format!(
                "{}{meant}{}",
                &inner[..before],
                &inner[before + word.len()..]
            )
        }
        None => format!("{inner}.{}", known[0]),
    };
    let better = format!("${{{better}}}");
    let mut rest = better.as_str();
    (braced(&mut rest).is_ok() && rest.is_empty()).then_some(better)
}

/// `${…}` as far as it goes, for messages.
pub(crate) fn first_braces(text: &str) -> &str {
    text.find('}').map_or(text, |end| &text[..=end])
}

/// `${…}`.
pub(crate) fn braced(input: &mut &str) -> Result<Reference> {
    delimited("${", |input: &mut &str| reference(input, 0), '}').parse_next(input)
}

fn reference(input: &mut &str, depth: usize) -> Result<Reference> {
    if depth > REFERENCES_DEEP_MAX {
        return Err(ContextError::from_input(input));
    }
    let begin = *input;
    let first = name.parse_next(input)?;
    let path: Vec<Segment> = repeat(
        0..,
        trace("segment", |input: &mut &str| segment(input, depth)),
    )
    .parse_next(input)?;
    let text = begin[..begin.len() - input.len()].to_owned();
    meaning(first, path, text).ok_or_else(|| ContextError::from_input(input))
}

fn segment(input: &mut &str, depth: usize) -> Result<Segment> {
    alt((
        preceded('.', name).map(|name: &str| Segment::Name(name.to_owned())),
        delimited(
            '[',
            alt((
                quoted.map(|name: &str| Segment::Name(name.to_owned())),
                digits.map(Segment::Index),
                |input: &mut &str| {
                    reference(input, depth + 1).map(|inner| Segment::Value(Box::new(inner)))
                },
            )),
            ']',
        ),
    ))
    .parse_next(input)
}

fn name<'i>(input: &mut &'i str) -> Result<&'i str> {
    take_while(1.., |c: char| c.is_alphanumeric() || matches!(c, '_' | '-')).parse_next(input)
}

fn quoted<'i>(input: &mut &'i str) -> Result<&'i str> {
    alt((
        delimited('"', take_till(0.., '"'), '"'),
        delimited('\'', take_till(0.., '\''), '\''),
    ))
    .parse_next(input)
}

/// A number that ends where its bracket does; `1st` is a name.
fn digits(input: &mut &str) -> Result<u64> {
    let begin = *input;
    let number = take_while(1.., |c: char| c.is_ascii_digit())
        .try_map(str::parse)
        .parse_next(input)?;
    if input.starts_with(']') {
        return Ok(number);
    }
    *input = begin;
    Err(ContextError::from_input(input))
}

fn meaning(first: &str, path: Vec<Segment>, text: String) -> Option<Reference> {
    let mut path = path.into_iter();
    let mut head = first.to_owned();
    let of = match first {
        "workflow" => match path.next()? {
            Segment::Name(name) if name == "input" => Of::Input,
            _ => return None,
        },
        "loop" => {
            let mut out = 0;
            loop {
                let Segment::Name(name) = path.next()? else {
                    return None;
                };
                let value = match name.as_str() {
                    "parent" => {
                        out += 1;
                        continue;
                    }
                    "item" => LoopValue::Item,
                    "index" => LoopValue::Index,
                    "total" => LoopValue::Total,
                    "is_first" => LoopValue::IsFirst,
                    "is_last" => LoopValue::IsLast,
                    _ => return None,
                };
                break Of::Loop { out, value };
            }
        }
        _ => {
            if first == "steps" {
                let Segment::Name(id) = path.next()? else {
                    return None;
                };
                head = id;
            }
            match path.next()? {
                Segment::Name(name) if name == "output" => Of::Output(head),
                Segment::Name(name) if name == "error" => {
                    let known = ["code", "message", "failed", "result"];
                    match path.as_slice().first() {
                        Some(Segment::Name(part)) if known.contains(&part.as_str()) => {
                            Of::Error(head)
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    };
    let path: Vec<_> = path.collect();
    let whole = matches!(of, Of::Loop { value, .. } if value != LoopValue::Item);
    (!whole || path.is_empty()).then_some(Reference { of, path, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "a table reads better")]
    fn check(text: &str, expected: Option<(Of, usize)>) {
        let found = parts(text).ok().map(|parts| match parts.as_slice() {
            [Part::Reference(found)] => (found.of.clone(), found.path.len()),
            other => panic!("{text}: {other:?}"),
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn references_name_inputs_outputs_errors_and_loops() {
        let output = |id: &str| Of::Output(id.to_owned());
        let of_loop = |out, value| Of::Loop { out, value };
        check("${workflow.input}", Some((Of::Input, 0)));
        check("${workflow.input.a[0]}", Some((Of::Input, 2)));
        check("${a.output}", Some((output("a"), 0)));
        check(
            "${steps.a-1.output.x[\"b c\"]['d']}",
            Some((output("a-1"), 3)),
        );
        check("${output.output.output}", Some((output("output"), 1)));
        check("${a.error.failed[0]}", Some((Of::Error("a".to_owned()), 2)));
        check("${loop.item.a.b}", Some((of_loop(0, LoopValue::Item), 2)));
        check(
            "${loop.parent.parent.index}",
            Some((of_loop(2, LoopValue::Index), 0)),
        );
        check(
            "${workflow.input.rates[loop.item.kind].low}",
            Some((Of::Input, 3)),
        );
        for wrong in [
            "${a.outpt}",
            "${a}",
            "${}",
            "${ a.output }",
            "${a.output",
            "${workflow.x}",
            "${a.error}",
            "${a.error.stack}",
            "${loop}",
            "${loop.items}",
            "${loop.index.x}",
            "${loop.parent}",
            "${a.output.}",
            "${a.output[-1]}",
            "${a.output[b]}",
            "${a.output[99999999999999999999]}",
            "${steps.output}",
            "${a.output + 1}",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn text_around_references_is_kept_and_doubled_dollars_are_literal() {
        let text = |text: &str| Part::Text(text.to_owned());
        let found = parts("a$ $x ${i.output}$${j} ü").unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!((&found[0], &found[2]), (&text("a$ $x "), &text("${j} ü")));
        assert_eq!(parts(""), Ok(Vec::new()));
        assert_eq!(parts("a ${b} c"), Err("${b}".to_owned()));
    }

    #[test]
    fn brackets_are_bounded() {
        let nested = |times: usize| {
            let open = "workflow.input[".repeat(times);
            format!("${{{open}0{}}}", "]".repeat(times))
        };
        assert!(parts(&nested(REFERENCES_DEEP_MAX)).is_ok());
        for times in [REFERENCES_DEEP_MAX + 2, 100_000] {
            assert!(parts(&nested(times)).is_err());
        }
    }
}
