//! Conditions as trees.
//!
//! Never evaluates anything and never sees a value: see [`evaluation`](super::evaluation). The
//! language is not CEL: what is missing makes a whole condition false but equals null, any value can
//! stand for true or false, and `contains`, `not in` and `True` are words of its own.

use serde_json::{Number, Value as Json};
use winnow::ascii::multispace0;
use winnow::combinator::{alt, delimited, opt, peek, preceded, repeat, separated};
use winnow::error::{ContextError, ParserError};
use winnow::token::{any, one_of, take_till, take_while};
use winnow::{Parser, Result};

use crate::number;
use crate::parallel_json::reference::{Reference, braced, corrected, first_braces};

/// Bytes of a condition. What is longer is a program and belongs into an agent.
pub(crate) const CONDITION_BYTES_MAX: usize = 16 * 1024;

/// How deep brackets may nest in a condition; its reader and its evaluation recurse.
const BRACKETS_DEEP_MAX: usize = 32;

/// A condition or a part of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expression {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Compared(Box<Self>, Comparison, Box<Self>),
    Reference(Reference),
    Fixed(Json),
    List(Vec<Self>),
    Length(Box<Self>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Contains,
}

impl Expression {
    /// All references in it.
    pub(crate) fn references<'e>(&'e self, seen: &mut Vec<&'e Reference>) {
        match self {
            Self::Or(parts) | Self::And(parts) | Self::List(parts) => {
                for part in parts {
                    part.references(seen);
                }
            }
            Self::Not(part) | Self::Length(part) => part.references(seen),
            Self::Compared(left, _, right) => {
                left.references(seen);
                right.references(seen);
            }
            Self::Reference(reference) => seen.push(reference),
            Self::Fixed(_) => {}
        }
    }
}

/// Reads a condition; `Err` says what is wrong and how to fix it.
pub(crate) fn parse(text: &str) -> std::result::Result<Expression, String> {
    if text.len() > CONDITION_BYTES_MAX {
        return Err(format!(
            "the condition has {} bytes, the limit is {CONDITION_BYTES_MAX}; let an agent decide",
            text.len()
        ));
    }
    let mut rest = text;
    match either(&mut rest, 0) {
        Ok(expression) if rest.is_empty() => Ok(expression),
        _ => Err(wrong_at(text, rest)),
    }
}

/// What to say of the text from which on nothing could be read.
fn wrong_at(text: &str, rest: &str) -> String {
    let rest = rest.trim_start();
    let before = &text[..text.len() - rest.len()];
    let place = |before: &str| before.chars().count() + 1;
    let at = place(before);
    let seen = look_through(text, before.len());
    if let Some((quote, begin)) = seen.text {
        let at = place(&text[..begin]);
        return format!("the text at character {at} has no closing quote; write {quote}");
    }
    if seen.open.len() > BRACKETS_DEEP_MAX {
        return format!(
            "brackets nest more than {BRACKETS_DEEP_MAX} levels deep at character {at}; nobody could follow it; let an agent decide a part of it"
        );
    }
    let is_missing = before.trim_end().is_empty() || asks_for_value(before.trim_end());
    let open = seen.open.last().copied().filter(|_| !is_missing);
    let unclosed = |(bracket, close, begin): (char, char, usize), more: &str| {
        let at = place(&text[..begin]);
        format!("the \"{bracket}\" at character {at} is not closed{more}; write \"{close}\"")
    };
    if rest.is_empty() {
        return open.map_or_else(
            || "it ends where a value is missing; write one".to_owned(),
            |open| unclosed(open, ""),
        );
    }
    if let (false, Some(close @ (')' | ']'))) = (is_missing, rest.chars().next()) {
        return match open {
            Some(open) => unclosed(open, &format!(" before \"{close}\" at character {at}")),
            None => format!("the \"{close}\" at character {at} closes nothing; remove it"),
        };
    }
    if rest.starts_with('=') && before.ends_with("==") {
        return format!(
            "\"===\" at character {} is not an operator; write ==",
            at - 2
        );
    }
    let mut behind = rest;
    if operator(&mut behind).is_ok() && !rest.starts_with("===") {
        let written = rest[..rest.len() - behind.len()].trim();
        return if is_missing {
            format!("a value is missing before {written:?} at character {at}; write one")
        } else {
            format!(
                "a second comparison begins at character {at}; it would compare true or false; join two comparisons with and"
            )
        };
    }
    let better = [
        ("&&", "and"),
        ("||", "or"),
        ("===", "=="),
        ("!", "not"),
        ("=", "=="),
    ];
    let found = better.iter().find(|(written, _)| rest.starts_with(written));
    if let Some((written, better)) = found {
        return format!("{written:?} at character {at} is not an operator; write {better}");
    }
    if let Some((wrong, better)) = nearly_reference(rest) {
        return format!("{wrong:?} at character {at} is no reference; write {better}");
    }
    let shown: String = rest.chars().take(20).collect();
    format!(
        "{shown:?} at character {at} cannot be read; write references as ${{step.output.path}} and texts in quotes"
    )
}

/// A text that is nearly a reference, up to its bracket or to the first blank, and the better one.
fn nearly_reference(rest: &str) -> Option<(&str, String)> {
    let blank = rest.find(char::is_whitespace).unwrap_or(rest.len());
    [first_braces(rest), &rest[..blank]]
        .into_iter()
        .find_map(|wrong| Some((wrong, corrected(wrong)?)))
}

/// What is open at a place of a condition.
struct Seen {
    /// Each with what closes it, and where it stands.
    open: Vec<(char, char, usize)>,
    /// The quote of a text that never ends, and where that begins.
    text: Option<(char, usize)>,
}

/// Looks through a condition up to a place; a text that never ends may begin there.
fn look_through(text: &str, place: usize) -> Seen {
    let mut seen = Seen {
        open: Vec::new(),
        text: None,
    };
    let mut at = 0;
    while at <= place
        && let Some(c) = text[at..].chars().next()
    {
        let rest = &text[at..];
        let mut length = c.len_utf8();
        match c {
            '\'' | '"' => {
                let mut escaped = true;
                // The opening quote is passed by like an escaped one.
                let end = rest.find(|found| {
                    let ends = found == c && !escaped;
                    escaped = found == '\\' && !escaped;
                    ends
                });
                let Some(end) = end else {
                    seen.text = Some((c, at));
                    return seen;
                };
                length = end + 1;
            }
            '$' if rest.starts_with("${") => {
                let mut behind = rest;
                if braced(&mut behind).is_ok() {
                    length = rest.len() - behind.len();
                }
            }
            '(' => seen.open.push((c, ')', at)),
            '[' => seen.open.push((c, ']', at)),
            ')' | ']' if at < place => {
                seen.open.pop();
            }
            _ => {}
        }
        at += length;
    }
    seen
}

/// Whether a value has to come behind a text that is not empty.
fn asks_for_value(before: &str) -> bool {
    let word = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_'));
    let word = word.into_iter().next().unwrap_or_default();
    before.ends_with(['(', '[', ',', '=', '<', '>'])
        || ["and", "or", "not", "in", "contains"].contains(&word)
}

fn either(input: &mut &str, depth: usize) -> Result<Expression> {
    let parts = joined(input, "or", |input| both(input, depth))?;
    Ok(one_or(parts, Expression::Or))
}

fn both(input: &mut &str, depth: usize) -> Result<Expression> {
    let parts = joined(input, "and", |input| negated(input, depth))?;
    Ok(one_or(parts, Expression::And))
}

/// Parts with a word between them. Behind the word there must be one: whoever reads what is wrong
/// wants its place, not that of the word.
fn joined(
    input: &mut &str,
    between: &'static str,
    part: impl Fn(&mut &str) -> Result<Expression>,
) -> Result<Vec<Expression>> {
    let mut parts = vec![part(input)?];
    while opt(word(between)).parse_next(input)?.is_some() {
        parts.push(part(input)?);
    }
    Ok(parts)
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            many(parts)
        }
        None => many(parts),
    }
}

fn negated(input: &mut &str, depth: usize) -> Result<Expression> {
    let nots: usize = repeat(0.., word("not")).parse_next(input)?;
    let of = comparison(input, depth)?;
    Ok(match nots {
        0 => of,
        // Twice not is a bool again, but not the value that it was of.
        nots => {
            let once = Expression::Not(Box::new(of));
            if nots % 2 == 1 {
                once
            } else {
                Expression::Not(Box::new(once))
            }
        }
    })
}

fn comparison(input: &mut &str, depth: usize) -> Result<Expression> {
    let left = primary(input, depth)?;
    let begin = *input;
    let Some(operator) = opt(operator).parse_next(input)? else {
        return Ok(left);
    };
    let right = primary(input, depth)?;
    if peek(opt(operator_after)).parse_next(input)?.is_some() {
        let rest = input.trim_start();
        *input = rest;
        return Err(ContextError::from_input(input));
    }
    debug_assert!(begin.len() > input.len());
    Ok(Expression::Compared(
        Box::new(left),
        operator,
        Box::new(right),
    ))
}

fn operator_after(input: &mut &str) -> Result<Comparison> {
    operator(input)
}

fn operator(input: &mut &str) -> Result<Comparison> {
    let sign = alt((
        "==".value(Comparison::Equal),
        "!=".value(Comparison::NotEqual),
        "<=".value(Comparison::LessOrEqual),
        ">=".value(Comparison::GreaterOrEqual),
        "<".value(Comparison::Less),
        ">".value(Comparison::Greater),
    ));
    alt((
        (preceded(multispace0, sign)),
        word("in").value(Comparison::In),
        word("contains").value(Comparison::Contains),
        (word("not"), word("in")).value(Comparison::NotIn),
    ))
    .parse_next(input)
}

/// A keyword, with blanks before it and no letter after it.
fn word<'i>(keyword: &'static str) -> impl Parser<&'i str, (), ContextError> {
    move |input: &mut &'i str| {
        let begin = *input;
        let found: Result<&str> = preceded(
            multispace0,
            take_while(1.., |c: char| c.is_alphanumeric() || c == '_'),
        )
        .parse_next(input);
        match found {
            Ok(found) if found == keyword => Ok(()),
            _ => {
                *input = begin;
                Err(ContextError::from_input(input))
            }
        }
    }
}

fn primary(input: &mut &str, depth: usize) -> Result<Expression> {
    multispace0.parse_next(input)?;
    if depth > BRACKETS_DEEP_MAX {
        return Err(ContextError::from_input(input));
    }
    let inside = |input: &mut &str| either(input, depth + 1);
    let first = peek(opt(any)).parse_next(input)?;
    match first {
        Some('$') => {
            let begin = *input;
            // What is wrong with a reference is said of it as a whole.
            let reference = braced.parse_next(input).inspect_err(|_| *input = begin)?;
            Ok(Expression::Reference(reference))
        }
        Some('\'' | '"') => text.map(Expression::Fixed).parse_next(input),
        Some('(') => delimited('(', inside, (multispace0, ')')).parse_next(input),
        Some('[') => {
            let comma = preceded(multispace0, ',');
            let items = separated(0.., inside, comma);
            delimited('[', items, (multispace0, ']'))
                .map(Expression::List)
                .parse_next(input)
        }
        Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => {
            numeral.map(Expression::Fixed).parse_next(input)
        }
        _ => named(input, depth),
    }
}

fn named(input: &mut &str, depth: usize) -> Result<Expression> {
    let begin = *input;
    let name: &str =
        take_while(0.., |c: char| c.is_alphanumeric() || c == '_').parse_next(input)?;
    Ok(match name {
        "true" | "True" => Expression::Fixed(Json::Bool(true)),
        "false" | "False" => Expression::Fixed(Json::Bool(false)),
        "null" | "None" => Expression::Fixed(Json::Null),
        "len" => {
            let inside = |input: &mut &str| either(input, depth + 1);
            let of = delimited((multispace0, '('), inside, (multispace0, ')')).parse_next(input)?;
            Expression::Length(Box::new(of))
        }
        _ => {
            *input = begin;
            return Err(ContextError::from_input(input));
        }
    })
}

/// Text in quotes; a backslash keeps the character after it.
fn text(input: &mut &str) -> Result<Json> {
    let quote = any.parse_next(input)?;
    let mut found = String::new();
    loop {
        found.push_str(take_till(0.., |c| c == quote || c == '\\').parse_next(input)?);
        let ended = any.parse_next(input)? == quote;
        if ended {
            return Ok(Json::String(found));
        }
        found.push(match any.parse_next(input)? {
            'n' => '\n',
            't' => '\t',
            other => other,
        });
    }
}

fn numeral(input: &mut &str) -> Result<Json> {
    let begin = *input;
    let sign = || one_of(['-', '+']);
    let digits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let mantissa = (opt(sign()), take_while(1.., digits))
        .take()
        .parse_next(input)?;
    if mantissa.ends_with(['e', 'E']) {
        let exponent = (sign(), take_while(1.., digits)).take();
        let _: Option<&str> = opt(exponent).parse_next(input)?;
    }
    let written = &begin[..begin.len() - input.len()];
    let number: Option<Number> = Some(written)
        .filter(|written| !written.contains(['x', 'o', '_']))
        .and_then(number::exact);
    number.map(Json::Number).ok_or_else(|| {
        *input = begin;
        ContextError::from_input(input)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(), &str>) {
        match (parse(text), expected) {
            (Ok(_), Ok(())) => {}
            (Err(found), Err(expected)) => assert_eq!(found, expected, "{text}"),
            (found, expected) => panic!("{text}: {found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn the_grammar_is_read_loosest_first() {
        for text in [
            "${a.output.x}",
            "true or False and None",
            "not not ${a.output}",
            "${a.output.n} >= 3 and ${a.output.m} < -1.5e3",
            "'x' in ${a.output} or ${a.output} not in ['a', \"b\", 3]",
            "${a.output} contains 'it\\'s'",
            "len(${a.output.list}) == 0",
            "(((1)))==(1)",
            "not(true)",
            "${workflow.input.rates[loop.item.kind]}>1",
            "  [] == []  ".trim(),
        ] {
            check(text, Ok(()));
        }
        let parsed = parse("1 == 1 or 2 == 2 and not 3 == 3").unwrap();
        let Expression::Or(parts) = parsed else {
            panic!("or is the loosest")
        };
        let Expression::And(parts) = &parts[1] else {
            panic!("and comes next")
        };
        assert!(
            matches!(&parts[1], Expression::Not(of) if matches!(**of, Expression::Compared(..)))
        );
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_place() {
        for (text, why) in [
            (
                "${a.output} && true",
                "\"&&\" at character 13 is not an operator; write and",
            ),
            (
                "true || false",
                "\"||\" at character 6 is not an operator; write or",
            ),
            (
                "!true",
                "\"!\" at character 1 is not an operator; write not",
            ),
            ("1 = 1", "\"=\" at character 3 is not an operator; write =="),
            ("1 ==", "it ends where a value is missing; write one"),
            ("", "it ends where a value is missing; write one"),
            (
                "1 < 2 < 3",
                "a second comparison begins at character 7; it would compare true or false; join two comparisons with and",
            ),
            (
                "a.output == 1",
                "\"a.output == 1\" at character 1 cannot be read; write references as ${step.output.path} and texts in quotes",
            ),
            (
                "${a.outpt} == 1",
                "\"${a.outpt}\" at character 1 is no reference; write ${a.output}",
            ),
            (
                "true true",
                "\"true\" at character 6 cannot be read; write references as ${step.output.path} and texts in quotes",
            ),
            (
                "__import__('os')",
                "\"__import__('os')\" at character 1 cannot be read; write references as ${step.output.path} and texts in quotes",
            ),
        ] {
            check(text, Err(why));
        }
        for text in [
            "(1", "[1,", "'open", "1e999", "0x1F", "len", "len(", "or", "1 not 2", "ü",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn its_size_is_bounded() {
        let nested = |times| format!("{}1{}", "(".repeat(times), ")".repeat(times));
        assert!(parse(&nested(BRACKETS_DEEP_MAX)).is_ok());
        assert!(parse(&nested(BRACKETS_DEEP_MAX + 1)).is_err());
        assert!(parse(&nested(8_000)).is_err());
        assert!(parse(&"not ".repeat(4_000)).is_err());
        assert!(parse(&format!("{}1", "not ".repeat(4_000))).is_ok());
        assert!(parse(&"1".repeat(CONDITION_BYTES_MAX + 1)).is_err());
    }
}
