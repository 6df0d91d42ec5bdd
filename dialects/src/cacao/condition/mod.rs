//! Conditions of if and while steps.
//!
//! Plain data: read once at import, written into the definition, and evaluated where a run decides.

mod check;
mod evaluate;
#[cfg(any(test, fuzzing))]
mod fixed;
mod read;
mod token;

use serde::{Deserialize, Serialize};

pub(crate) use check::check;
pub(crate) use evaluate::{Undecided, Values, evaluate};
pub(crate) use read::{Repair, read};

/// A condition or a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Condition {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Compared(Comparison),
    /// A variable of type bool by itself.
    Holds(String),
}

/// Two values side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Comparison {
    pub(crate) left: Operand,
    /// Whether `NOT` stands before the operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) negated: bool,
    pub(crate) operator: Operator,
    /// One, but any number for a list.
    pub(crate) right: Vec<Operand>,
    /// Whether the right side was written as a list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) list: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operand {
    Variable(String),
    Text(String),
    /// As written.
    Number(String),
    Bool(bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Like,
    Matches,
    IsSubset,
    IsSuperset,
}

impl Operator {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "IN",
            Self::Like => "LIKE",
            Self::Matches => "MATCHES",
            Self::IsSubset => "ISSUBSET",
            Self::IsSuperset => "ISSUPERSET",
        }
    }
}

impl Condition {
    /// The variables that it asks for, in its order, also again.
    pub(crate) fn variables(&self) -> Vec<&str> {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().flat_map(Self::variables).collect(),
            Self::Not(part) => part.variables(),
            Self::Holds(name) => vec![name],
            Self::Compared(comparison) => {
                let sides = [&comparison.left].into_iter().chain(&comparison.right);
                sides
                    .filter_map(|side| match side {
                        Operand::Variable(name) => Some(name.as_str()),
                        Operand::Text(_) | Operand::Number(_) | Operand::Bool(_) => None,
                    })
                    .collect()
            }
        }
    }
}

/// Reads, checks and evaluates any text.
#[cfg(fuzzing)]
pub(crate) fn fuzz(text: &str) {
    use fixed::Fixed;

    let Ok((mut condition, _)) = read(text) else {
        return;
    };
    let complaints = check(&mut condition, &|name| Fixed.type_of(name), true);
    let json = serde_json::to_string(&condition).unwrap_or_default();
    assert_eq!(
        serde_json::from_str::<Condition>(&json).ok().as_ref(),
        Some(&condition)
    );
    for mut warnings in [None, Some(Vec::new())] {
        let result = evaluate(&condition, &Fixed, &mut warnings);
        // What was checked well fails only for values and patterns.
        if complaints.is_empty() && warnings.is_some() {
            assert!(!matches!(result, Err(Undecided::Missing(_))));
        }
    }
}
