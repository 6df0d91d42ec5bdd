//! What a condition comes to with the values of a run.

use std::cmp::Ordering;

use regex::RegexBuilder;

use crate::cacao::condition::{Comparison, Condition, Operand, Operator};
use crate::cacao::value::{Family, Type, boolean, compare, network};
use crate::diagnostic::quoted;
use crate::limits::PATTERN_BYTES_MAX;

/// Why a condition has no truth value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undecided {
    /// This variable has no value.
    Missing(String),
    /// What, why and how to fix it.
    Error(String),
}

/// The variables that a condition can ask for.
pub(crate) trait Values {
    /// The value of a variable as text; `None` if it has none.
    fn value(&self, name: &str) -> Option<String>;
    /// Its type; `None` if it is declared nowhere.
    fn type_of(&self, name: &str) -> Option<Type>;
}

/// Whether a condition holds.
///
/// In strict mode a variable without value is an error; with `warnings` its comparison is false and
/// the variable's name is put there.
pub(crate) fn evaluate(
    condition: &Condition,
    values: &dyn Values,
    warnings: &mut Option<Vec<String>>,
) -> Result<bool, Undecided> {
    match condition {
        Condition::Or(parts) => any(parts, values, warnings, true),
        Condition::And(parts) => any(parts, values, warnings, false),
        Condition::Not(part) => Ok(!evaluate(part, values, warnings)?),
        Condition::Holds(name) => absent_is_false(holds(name, values), warnings),
        Condition::Compared(comparison) => absent_is_false(compared(comparison, values), warnings),
    }
}

/// Whether a part comes to `sought`, asked from the left; if none does, its opposite.
fn any(
    parts: &[Condition],
    values: &dyn Values,
    warnings: &mut Option<Vec<String>>,
    sought: bool,
) -> Result<bool, Undecided> {
    for part in parts {
        if evaluate(part, values, warnings)? == sought {
            return Ok(sought);
        }
    }
    Ok(!sought)
}

fn absent_is_false(
    result: Result<bool, Undecided>,
    warnings: &mut Option<Vec<String>>,
) -> Result<bool, Undecided> {
    match (result, warnings) {
        (Err(Undecided::Missing(name)), Some(warnings)) => {
            warnings.push(name);
            Ok(false)
        }
        (result, _) => result,
    }
}

fn holds(name: &str, values: &dyn Values) -> Result<bool, Undecided> {
    let value = values.value(name);
    let value = value.ok_or_else(|| Undecided::Missing(name.to_owned()))?;
    boolean(&value).ok_or_else(|| {
        Undecided::Error(format!(
            "{name} is {}, which is neither true nor false; let a step write one of them",
            quoted(&value)
        ))
    })
}

fn compared(comparison: &Comparison, values: &dyn Values) -> Result<bool, Undecided> {
    let left = text(&comparison.left, values)?;
    let family = family(comparison, values);
    let right: Vec<String> = comparison
        .right
        .iter()
        .map(|operand| text(operand, values))
        .collect::<Result<_, _>>()?;
    let one = right.first().map_or("", String::as_str);
    let order = |right: &str| {
        compare(family, &left, right).ok_or_else(|| {
            Undecided::Error(format!(
                "{} and {} cannot be compared as the variable's type says; correct what was written",
                quoted(&left),
                quoted(right)
            ))
        })
    };
    let holds = match comparison.operator {
        Operator::Equal => order(one)? == Ordering::Equal,
        Operator::NotEqual => order(one)? != Ordering::Equal,
        Operator::Less => order(one)? == Ordering::Less,
        Operator::LessOrEqual => order(one)? != Ordering::Greater,
        Operator::Greater => order(one)? == Ordering::Greater,
        Operator::GreaterOrEqual => order(one)? != Ordering::Less,
        Operator::In => {
            let mut found = false;
            for item in &right {
                found = found || order(item)? == Ordering::Equal;
            }
            found
        }
        Operator::Like => like(family, &left, one)?,
        Operator::Matches => search(family, &left, one, one, "MATCHES")?,
        Operator::IsSubset => network_of(one)?.contains(&network_of(&left)?),
        Operator::IsSuperset => network_of(&left)?.contains(&network_of(one)?),
    };
    Ok(holds != comparison.negated)
}

fn text(operand: &Operand, values: &dyn Values) -> Result<String, Undecided> {
    match operand {
        Operand::Variable(name) => values
            .value(name)
            .ok_or_else(|| Undecided::Missing(name.clone())),
        Operand::Text(text) | Operand::Number(text) => Ok(text.clone()),
        Operand::Bool(value) => Ok(value.to_string()),
    }
}

fn family(comparison: &Comparison, values: &dyn Values) -> Family {
    let sides = [&comparison.left].into_iter().chain(&comparison.right);
    let mut types = sides.filter_map(|side| match side {
        Operand::Variable(name) => values.type_of(name),
        Operand::Text(_) | Operand::Number(_) | Operand::Bool(_) => None,
    });
    types
        .next()
        .map_or_else(|| literal_family(&comparison.left), Type::family)
}

fn literal_family(left: &Operand) -> Family {
    match left {
        Operand::Number(_) => Family::Number,
        Operand::Bool(_) => Family::Bool,
        Operand::Text(_) | Operand::Variable(_) => Family::Text,
    }
}

fn network_of(text: &str) -> Result<ipnet::IpNet, Undecided> {
    network(text).ok_or_else(|| {
        Undecided::Error(format!(
            "{} is neither an IP address nor a network; write one such as 10.0.0.0/8",
            quoted(text)
        ))
    })
}

/// `%` is any run of characters, `_` a single one; the whole text has to match.
fn like(family: Family, text: &str, pattern: &str) -> Result<bool, Undecided> {
    let written = match family {
        Family::Hex => pattern.replace('-', ":"),
        Family::Number | Family::Bool | Family::Address | Family::Text => pattern.to_owned(),
    };
    let parts = written.chars().map(|c| match c {
        '%' => ".*".to_owned(),
        '_' => ".".to_owned(),
        c => regex::escape(&c.to_string()),
    });
    let expression = format!("^(?s:{})$", parts.collect::<String>());
    search(family, text, &expression, pattern, "LIKE")
}

/// Linear in the length of the text (Rust's `regex`), and bounded in memory. MACs, hashes and hex are
/// looked at with colons and without regard to case.
fn search(
    family: Family,
    text: &str,
    expression: &str,
    pattern: &str,
    word: &str,
) -> Result<bool, Undecided> {
    let is_hex = family == Family::Hex;
    let text = if is_hex {
        &text.replace('-', ":")
    } else {
        text
    };
    let built = RegexBuilder::new(expression)
        .case_insensitive(is_hex)
        .size_limit(PATTERN_BYTES_MAX)
        .dfa_size_limit(PATTERN_BYTES_MAX)
        .build();
    match built {
        Ok(regex) => Ok(regex.is_match(text)),
        Err(_) => Err(Undecided::Error(format!(
            "{word} pattern {} is invalid; there is no truth value; correct it",
            quoted(pattern)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cacao::condition::fixed::Fixed;
    use crate::cacao::condition::read;

    fn verdict(text: &str, lenient: bool) -> String {
        let (condition, _) = read(text).unwrap();
        let mut warnings = lenient.then(Vec::new);
        let result = evaluate(&condition, &Fixed, &mut warnings);
        let warned = warnings.unwrap_or_default();
        match result {
            Ok(holds) if warned.is_empty() => holds.to_string(),
            Ok(holds) => format!("{holds} {warned:?}"),
            Err(Undecided::Missing(name)) => format!("missing {name}"),
            Err(Undecided::Error(what)) => what,
        }
    }

    #[test]
    fn conditions_come_to_what_their_types_say() {
        for (text, expected) in [
            ("__n__:value < 10", true),
            ("__n__:value = 2.0", true),
            ("__n__:value IN (1, 2)", true),
            ("__s__:value < '10'", false),
            ("__s__:value IN ('bsd', 'linux')", true),
            ("__s__:value NOT IN ('bsd', 'linux')", false),
            ("__s__:value LIKE 'l_n%'", true),
            ("__s__:value LIKE 'inu'", false),
            ("__text__:value LIKE 'a%b\\%'", true),
            ("__s__:value MATCHES 'in.x'", true),
            ("__b__:value AND NOT __n__:value > 2", true),
            ("__b__:value = 'TRUE'", true),
            ("__ip__:value ISSUBSET '10.0.0.0/8'", true),
            ("__ip__:value ISSUPERSET '10.0.0.0/8'", false),
            ("__ip__:value = '10.1.2.3'", true),
            ("__mac__:value = '00:1b:44:11:3a:b7'", true),
            ("__mac__:value LIKE '00:1b:%'", true),
            ("__mac__:value LIKE '00-1b-%'", true),
            ("__mac__:value MATCHES '^00:1b'", true),
            ("__s__:value LIKE 'L%'", false),
            ("__s__:value MATCHES 'LINUX'", false),
            ("__gone__:value = 1 OR __b__:value", false),
        ] {
            if text.starts_with("__gone__") {
                assert_eq!(verdict(text, false), "missing __gone__");
                assert_eq!(verdict(text, true), "true [\"__gone__\"]");
            } else {
                assert_eq!(verdict(text, false), expected.to_string(), "{text}");
            }
        }
        let hot = "__s__:value = 'linux' AND NOT __hot__:value = true";
        assert_eq!(verdict(hot, false), "missing __hot__");
        assert_eq!(verdict(hot, true), "true [\"__hot__\"]");
    }

    #[test]
    fn what_has_no_truth_value_is_an_error() {
        for (text, expected) in [
            (
                "__s__:value MATCHES '('",
                "MATCHES pattern \"(\" is invalid; there is no truth value; correct it",
            ),
            (
                "__bad__:value",
                "__bad__ is \"perhaps\", which is neither true nor false; let a step write one of them",
            ),
            (
                "__s__:value ISSUBSET 'x'",
                "\"x\" is neither an IP address nor a network; write one such as 10.0.0.0/8",
            ),
        ] {
            assert_eq!(verdict(text, true), expected, "{text}");
        }
    }
}
