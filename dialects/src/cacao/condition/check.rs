//! Whether a condition makes sense for the types of its variables; asked at import.

use crate::cacao::condition::{Comparison, Condition, Operand, Operator};
use crate::cacao::value::{Family, Type, network, with_article};
use crate::diagnostic::quoted;

/// What is wrong with a condition that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) code: &'static str,
    /// What, why and how to fix it.
    pub(crate) what: String,
    /// Whether lenient mode reads it as `ISSUBSET`.
    pub(crate) is_subset: bool,
}

/// Everything that is wrong with a condition. Unknown variables (`type_of` gives `None`) are none of
/// it. With `repair`, an address `IN` a network becomes `ISSUBSET`; it is still told.
pub(crate) fn check(
    condition: &mut Condition,
    type_of: &dyn Fn(&str) -> Option<Type>,
    repair: bool,
) -> Vec<Complaint> {
    match condition {
        Condition::Or(parts) | Condition::And(parts) => parts
            .iter_mut()
            .flat_map(|part| check(part, type_of, repair))
            .collect(),
        Condition::Not(part) => check(part, type_of, repair),
        Condition::Holds(name) => match type_of(name) {
            None | Some(Type::Bool) => Vec::new(),
            Some(other) => vec![Complaint {
                code: "condition-not-bool",
                what: format!(
                    "{name} alone is {}; only bool variables stand alone; compare it",
                    with_article(other.as_str())
                ),
                is_subset: false,
            }],
        },
        Condition::Compared(comparison) => {
            compared(comparison, type_of, repair).into_iter().collect()
        }
    }
}

fn compared(
    comparison: &mut Comparison,
    type_of: &dyn Fn(&str) -> Option<Type>,
    repair: bool,
) -> Option<Complaint> {
    let complaint = |what: String| {
        Some(Complaint {
            code: "condition-type",
            what,
            is_subset: false,
        })
    };
    let sides = || [&comparison.left].into_iter().chain(&comparison.right);
    let mut typed = sides().filter_map(|side| match side {
        Operand::Variable(name) => type_of(name).map(|of| (name.as_str(), of)),
        Operand::Text(_) | Operand::Number(_) | Operand::Bool(_) => None,
    });
    let is_unknown =
        |side: &Operand| matches!(side, Operand::Variable(name) if type_of(name).is_none());
    if sides().any(is_unknown) {
        return None;
    }
    let first = typed.next();
    if let Some((name, of)) = first
        && let Some((other, unlike)) = typed.find(|(_, other)| !alike(of, *other))
    {
        return complaint(format!(
            "{name} is {} and {other} {}; they cannot be compared; use variables of one type",
            with_article(of.as_str()),
            with_article(unlike.as_str())
        ));
    }
    drop(typed);
    let subject = sides().map(shown).next().unwrap_or_default();
    let family = first.map_or_else(|| literal_family(comparison), |(_, of)| of.family());
    let operator = comparison.operator;
    if family == Family::Address && operator == Operator::In && !comparison.list {
        let is_network =
            matches!(&comparison.right[..], [Operand::Text(text)] if network(text).is_some());
        if is_network {
            let what = format!(
                "{subject} IN {} asks whether an address is in a network; IN takes a list; use ISSUBSET",
                shown(&comparison.right[0])
            );
            if repair {
                comparison.operator = Operator::IsSubset;
            }
            return Some(Complaint {
                code: "condition-type",
                what,
                is_subset: true,
            });
        }
    }
    if operator == Operator::In && !comparison.list {
        return complaint(format!(
            "{subject} IN {} has no list; there is nothing to look in; write IN ('a', 'b')",
            shown(&comparison.right[0])
        ));
    }
    if let Some(instead) = unfit(family, operator) {
        return complaint(format!("{subject} {} {}", operator.as_str(), instead));
    }
    let of = first.map(|(_, of)| of);
    let literals = sides().filter(|side| !matches!(side, Operand::Variable(_)));
    for literal in literals {
        if !literal_fits(literal, of, operator, family) {
            let kind = of.map_or("value of the other side's type", Type::as_str);
            return complaint(format!(
                "{} is no {kind}; comparisons would be meaningless; correct it",
                shown(literal)
            ));
        }
    }
    None
}

fn alike(one: Type, other: Type) -> bool {
    one == other
        || match (one.family(), other.family()) {
            (Family::Address, Family::Address) => false,
            (one, other) => one == other,
        }
}

/// The family of a comparison without variables.
fn literal_family(comparison: &Comparison) -> Family {
    match &comparison.left {
        Operand::Number(_) => Family::Number,
        Operand::Bool(_) => Family::Bool,
        Operand::Text(_) | Operand::Variable(_) => Family::Text,
    }
}

/// Why an operator does not apply, if so, after the words "x < ".
fn unfit(family: Family, operator: Operator) -> Option<&'static str> {
    let equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let sets = matches!(operator, Operator::IsSubset | Operator::IsSuperset);
    let patterns = matches!(operator, Operator::Like | Operator::Matches);
    match family {
        _ if equality => None,
        Family::Bool => Some("asks more of a bool than = and != can; use those"),
        Family::Address if sets || operator == Operator::In => None,
        Family::Address => Some("orders an address; only = and sets apply; change the operator"),
        _ if sets => Some("asks for networks of something that is no address; change the operator"),
        Family::Number if patterns => {
            Some("looks for a pattern in a number; only texts have one; change the operator")
        }
        Family::Number | Family::Hex | Family::Text => None,
    }
}

fn literal_fits(literal: &Operand, of: Option<Type>, operator: Operator, family: Family) -> bool {
    let text = match literal {
        Operand::Variable(_) => return true,
        Operand::Text(text) | Operand::Number(text) => text.clone(),
        Operand::Bool(value) => value.to_string(),
    };
    if matches!(operator, Operator::Like | Operator::Matches) {
        return true;
    }
    if matches!(operator, Operator::IsSubset | Operator::IsSuperset) {
        return network(&text).is_some();
    }
    match of {
        // Part of a URI is still a text that one can be compared with.
        Some(of) if family != Family::Text => {
            // Any number can be compared with an integer.
            of.fits(&text) || (family == Family::Number && Type::Float.fits(&text))
        }
        Some(_) => true,
        None => match family {
            Family::Number => Type::Float.fits(&text),
            Family::Bool => Type::Bool.fits(&text),
            Family::Address | Family::Hex | Family::Text => matches!(literal, Operand::Text(_)),
        },
    }
}

fn shown(operand: &Operand) -> String {
    match operand {
        Operand::Variable(name) => name.clone(),
        Operand::Text(text) => quoted(text),
        Operand::Number(number) => number.clone(),
        Operand::Bool(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cacao::condition::read;

    fn complaints(text: &str) -> Vec<String> {
        let type_of = |name: &str| match name {
            "__n__" => Some(Type::Integer),
            "__f__" => Some(Type::Float),
            "__b__" => Some(Type::Bool),
            "__ip__" => Some(Type::Ipv4Addr),
            "__six__" => Some(Type::Ipv6Addr),
            "__s__" => Some(Type::String),
            "__mac__" => Some(Type::MacAddr),
            "__md5__" => Some(Type::Md5Hash),
            "__hex__" => Some(Type::Hexstring),
            _ => None,
        };
        let (mut condition, _) = read(text).unwrap();
        let found = check(&mut condition, &type_of, true);
        found
            .into_iter()
            .map(|found| format!("{}: {}", found.code, found.what))
            .collect()
    }

    #[test]
    fn what_types_allow_is_fine() {
        for text in [
            "__n__:value < 3",
            "__n__:value < '3'",
            "__n__:value >= __f__:value",
            "__n__:value = 1.5",
            "__b__:value",
            "__b__:value = true",
            "__b__:value != 'false'",
            "__ip__:value ISSUBSET '10.0.0.0/8'",
            "__ip__:value IN ('10.0.0.1', '10.0.0.2')",
            "__s__:value LIKE 'a%' OR __s__:value < 'b'",
            "__s__:value = 5",
            "__mac__:value = '00-1B-44-11-3A-B7'",
            "__mac__:value LIKE '00:1b:%'",
            "__hex__:value IN ('00ff', 'AB')",
            "__unknown__:value < 'x'",
            "'a' = 'a'",
        ] {
            assert_eq!(complaints(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        for (text, expected) in [
            (
                "__s__:value",
                "condition-not-bool: __s__ alone is a string; only bool variables stand alone; compare it",
            ),
            (
                "__ip__:value < 'a'",
                "condition-type: __ip__ < orders an address; only = and sets apply; change the operator",
            ),
            (
                "__n__:value = 'many'",
                "condition-type: \"many\" is no integer; comparisons would be meaningless; correct it",
            ),
            (
                "__n__:value = __s__:value",
                "condition-type: __n__ is an integer and __s__ a string; they cannot be compared; use variables of one type",
            ),
            (
                "__ip__:value = __six__:value",
                "condition-type: __ip__ is an ipv4-addr and __six__ an ipv6-addr; they cannot be compared; use variables of one type",
            ),
            (
                "__b__:value < true",
                "condition-type: __b__ < asks more of a bool than = and != can; use those",
            ),
            (
                "__s__:value ISSUBSET '10.0.0.0/8'",
                "condition-type: __s__ ISSUBSET asks for networks of something that is no address; change the operator",
            ),
            (
                "__n__:value LIKE '1%'",
                "condition-type: __n__ LIKE looks for a pattern in a number; only texts have one; change the operator",
            ),
            (
                "__s__:value IN 'a'",
                "condition-type: __s__ IN \"a\" has no list; there is nothing to look in; write IN ('a', 'b')",
            ),
            (
                "__ip__:value IN '10.0.0.0/8'",
                "condition-type: __ip__ IN \"10.0.0.0/8\" asks whether an address is in a network; IN takes a list; use ISSUBSET",
            ),
            (
                "__mac__:value = 'router'",
                "condition-type: \"router\" is no mac-addr; comparisons would be meaningless; correct it",
            ),
            (
                "__md5__:value IN ('d41d8cd98f00b204e9800998ecf8427e', 'd41d')",
                "condition-type: \"d41d\" is no md5-hash; comparisons would be meaningless; correct it",
            ),
            (
                "1 = 'x'",
                "condition-type: \"x\" is no value of the other side's type; comparisons would be meaningless; correct it",
            ),
        ] {
            assert_eq!(complaints(text), [expected], "{text}");
        }
    }
}
