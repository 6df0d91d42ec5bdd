//! Reading a condition.
//!
//! Grammar, loosest first: `OR`, `AND`, `NOT`, comparison, brackets. Bounded in length and depth, so
//! its reader may recurse.

use crate::cacao::condition::token::{self, Kind, Stray, Token};
use crate::cacao::condition::{Comparison, Condition, Operand, Operator};
use crate::limits::{CONDITION_BYTES_MAX, CONDITION_DEEP_MAX};

/// What lenient mode made good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Repair {
    /// A variable without `:value`.
    Unfinished(String),
    /// A word without quotes.
    Unquoted { word: String, at: usize },
}

/// Why a condition cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) code: &'static str,
    /// What, why and how to fix it.
    pub(crate) what: String,
}

/// Words of observation patterns.
const OBSERVING: [&str; 5] = ["FOLLOWEDBY", "WITHIN", "REPEATS", "START", "STOP"];

const KEYWORDS: [&str; 8] = [
    "AND",
    "OR",
    "NOT",
    "IN",
    "LIKE",
    "MATCHES",
    "ISSUBSET",
    "ISSUPERSET",
];

/// Reads a condition, with everything in it that only lenient mode takes.
pub(crate) fn read(text: &str) -> Result<(Condition, Vec<Repair>), Unread> {
    if text.len() > CONDITION_BYTES_MAX {
        let length = text.len();
        return Err(unread(format!(
            "it has {length} bytes, the limit is {CONDITION_BYTES_MAX}; let an action decide and store the result in a variable"
        )));
    }
    if let Some(open) = text.find('[')
        && !in_quotes(text, open)
    {
        return Err(observing(&text[open..]));
    }
    let tokens = token::tokens(text).map_err(|stray| stray_text(&stray))?;
    let mut reader = Reader {
        tokens: &tokens,
        next: 0,
        depth: 0,
        repairs: Vec::new(),
    };
    let condition = reader.either()?;
    match reader.peek() {
        None => Ok((condition, reader.repairs)),
        Some(_) => Err(reader.unexpected("AND, OR or the end")),
    }
}

fn in_quotes(text: &str, place: usize) -> bool {
    let mut inside = false;
    let mut escaped = false;
    for c in text[..place].chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '\'' => inside = !inside,
            _ => {}
        }
    }
    inside
}

fn unread(what: String) -> Unread {
    Unread {
        code: "condition-syntax",
        what,
    }
}

fn observing(text: &str) -> Unread {
    let end = text.find(']').map_or(text.len(), |end| end + 1);
    let shown: String = text[..end].chars().take(40).collect();
    Unread {
        code: "condition-observation",
        what: format!(
            "{shown} asks for observed data; conditions see variables only; store the finding in one"
        ),
    }
}

fn stray_text(stray: &Stray) -> Unread {
    let Stray {
        at,
        shown,
        open_text,
    } = stray;
    unread(if *open_text {
        format!(
            "the text that begins at character {at} never ends; nothing after it can be read; close it with '"
        )
    } else {
        format!(
            "{shown:?} at character {at} cannot be read; write variables as __name__:value and texts in quotes"
        )
    })
}

struct Reader<'t> {
    tokens: &'t [Token],
    next: usize,
    depth: usize,
    repairs: Vec<Repair>,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<&'t Token> {
        let token = self.peek();
        self.next += usize::from(token.is_some());
        token
    }

    /// Takes a keyword, in any case.
    fn takes(&mut self, keyword: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token { kind: Kind::Word(word), .. }) if word.eq_ignore_ascii_case(keyword));
        self.next += usize::from(is_it);
        is_it
    }

    fn either(&mut self) -> Result<Condition, Unread> {
        let mut parts = vec![self.both()?];
        while self.takes("OR") {
            parts.push(self.both()?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn both(&mut self) -> Result<Condition, Unread> {
        let mut parts = vec![self.negated()?];
        while self.takes("AND") {
            parts.push(self.negated()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn negated(&mut self) -> Result<Condition, Unread> {
        let mut negated = false;
        while self.takes("NOT") {
            negated = !negated;
        }
        let part = self.single()?;
        Ok(if negated {
            Condition::Not(Box::new(part))
        } else {
            part
        })
    }

    fn single(&mut self) -> Result<Condition, Unread> {
        if !matches!(
            self.peek(),
            Some(Token {
                kind: Kind::Open,
                ..
            })
        ) {
            return self.comparison();
        }
        if self.depth >= CONDITION_DEEP_MAX {
            return Err(unread(format!(
                "brackets are nested more than {CONDITION_DEEP_MAX} levels deep; nobody could follow them; let an action decide"
            )));
        }
        self.next += 1;
        self.depth += 1;
        let inner = self.either()?;
        self.depth -= 1;
        match self.peek() {
            Some(Token {
                kind: Kind::Close, ..
            }) => {
                self.next += 1;
                Ok(inner)
            }
            _ => Err(self.unexpected(")")),
        }
    }

    fn comparison(&mut self) -> Result<Condition, Unread> {
        let left = self.operand()?;
        let begin = self.next;
        let negated = self.takes("NOT");
        let Some(operator) = self.operator() else {
            self.next = begin;
            return match left {
                Operand::Variable(name) => Ok(Condition::Holds(name)),
                Operand::Text(_) | Operand::Number(_) | Operand::Bool(_) => {
                    Err(self.unexpected("an operator"))
                }
            };
        };
        let list = operator == Operator::In
            && matches!(
                self.peek(),
                Some(Token {
                    kind: Kind::Open,
                    ..
                })
            );
        let right = if list {
            self.list()?
        } else {
            vec![self.operand()?]
        };
        Ok(Condition::Compared(Comparison {
            left,
            negated,
            operator,
            right,
            list,
        }))
    }

    fn list(&mut self) -> Result<Vec<Operand>, Unread> {
        self.next += 1;
        let mut items = vec![self.operand()?];
        loop {
            match self.peek().map(|token| &token.kind) {
                Some(Kind::Comma) => {
                    self.next += 1;
                    items.push(self.operand()?);
                }
                Some(Kind::Close) => {
                    self.next += 1;
                    return Ok(items);
                }
                _ => return Err(self.unexpected(", or )")),
            }
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        let operator = match &self.peek()?.kind {
            Kind::Sign("=" | "==") => Operator::Equal,
            Kind::Sign("!=" | "<>") => Operator::NotEqual,
            Kind::Sign("<") => Operator::Less,
            Kind::Sign("<=") => Operator::LessOrEqual,
            Kind::Sign(">") => Operator::Greater,
            Kind::Sign(">=") => Operator::GreaterOrEqual,
            Kind::Word(word) => match word.to_ascii_uppercase().as_str() {
                "IN" => Operator::In,
                "LIKE" => Operator::Like,
                "MATCHES" => Operator::Matches,
                "ISSUBSET" => Operator::IsSubset,
                "ISSUPERSET" => Operator::IsSuperset,
                _ => return None,
            },
            _ => return None,
        };
        self.next += 1;
        Some(operator)
    }

    fn operand(&mut self) -> Result<Operand, Unread> {
        let Some(token) = self.take() else {
            return Err(unread(
                "it ends where a value is missing; write one".to_owned(),
            ));
        };
        match &token.kind {
            Kind::Variable { name, whole } => {
                if !whole {
                    self.repairs.push(Repair::Unfinished(name.clone()));
                }
                Ok(Operand::Variable(name.clone()))
            }
            Kind::Text(text) => Ok(Operand::Text(text.clone())),
            Kind::Number(number) => Ok(Operand::Number(number.clone())),
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => Ok(Operand::Bool(true)),
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => Ok(Operand::Bool(false)),
            Kind::Word(word) if OBSERVING.iter().any(|o| word.eq_ignore_ascii_case(o)) => {
                Err(observing(word))
            }
            Kind::Word(word) if !KEYWORDS.iter().any(|k| word.eq_ignore_ascii_case(k)) => {
                let (word, at) = (word.clone(), token.at);
                self.repairs.push(Repair::Unquoted {
                    word: word.clone(),
                    at,
                });
                Ok(Operand::Text(word))
            }
            _ => {
                self.next -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn unexpected(&self, expected: &str) -> Unread {
        let Some(token) = self.peek() else {
            return unread(format!("it ends where {expected} is missing; write it"));
        };
        let shown = match &token.kind {
            Kind::Variable { name, .. } => name.clone(),
            Kind::Word(word) | Kind::Number(word) => word.clone(),
            Kind::Text(text) => format!("'{text}'"),
            Kind::Sign(sign) => (*sign).to_owned(),
            Kind::Open => "(".to_owned(),
            Kind::Close => ")".to_owned(),
            Kind::Comma => ",".to_owned(),
            Kind::Bracket => "[".to_owned(),
        };
        if OBSERVING
            .iter()
            .any(|word| shown.eq_ignore_ascii_case(word))
        {
            return observing(&shown);
        }
        let shown: String = shown.chars().take(40).collect();
        unread(format!(
            "{shown:?} at character {} stands where {expected} is expected; correct it",
            token.at
        ))
    }
}

fn one_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    many(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        match read(text) {
            Ok((condition, repairs)) => {
                let repairs = if repairs.is_empty() {
                    String::new()
                } else {
                    format!(" {repairs:?}")
                };
                format!("{}{repairs}", serde_json::to_string(&condition).unwrap())
            }
            Err(unread) => format!("{}: {}", unread.code, unread.what),
        }
    }

    #[test]
    fn not_binds_looser_than_a_comparison_and_tighter_than_and() {
        assert_eq!(
            shape("__os__:value IN ('linux', 'bsd') AND NOT __hot__:value = true or __x__:value"),
            r#"{"or":[{"and":[{"compared":{"left":{"variable":"__os__"},"operator":"in","right":[{"text":"linux"},{"text":"bsd"}],"list":true}},{"not":{"compared":{"left":{"variable":"__hot__"},"operator":"equal","right":[{"bool":true}]}}}]},{"holds":"__x__"}]}"#
        );
        assert_eq!(
            shape("(__a__:value <> -1.5) and __b__:value not like 'a\\'%'"),
            r#"{"and":[{"compared":{"left":{"variable":"__a__"},"operator":"not-equal","right":[{"number":"-1.5"}]}},{"compared":{"left":{"variable":"__b__"},"negated":true,"operator":"like","right":[{"text":"a'%"}]}}]}"#
        );
    }

    #[test]
    fn repairs_are_told() {
        for (text, repair) in [
            ("__a__.value = 'x'", "Unfinished(\"__a__\")"),
            ("__a__", "Unfinished(\"__a__\")"),
            (
                "__should.go__:value = yes",
                "Unquoted { word: \"yes\", at: 23 }",
            ),
        ] {
            assert!(shape(text).contains(repair), "{}", shape(text));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, expected) in [
            (
                "",
                "condition-syntax: it ends where a value is missing; write one",
            ),
            (
                "[file:name = 'x']",
                "condition-observation: [file:name = 'x'] asks for observed data; conditions see variables only; store the finding in one",
            ),
            (
                "__a__:value = 'x",
                "condition-syntax: the text that begins at character 15 never ends; nothing after it can be read; close it with '",
            ),
            (
                "__a__:value = 1 2",
                "condition-syntax: \"2\" at character 17 stands where AND, OR or the end is expected; correct it",
            ),
            (
                "__a__:value = ;",
                "condition-syntax: \";\" at character 15 cannot be read; write variables as __name__:value and texts in quotes",
            ),
            (
                "'a'",
                "condition-syntax: it ends where an operator is missing; write it",
            ),
            (
                "(__a__:value = 1",
                "condition-syntax: it ends where ) is missing; write it",
            ),
            (
                "__a__:value = 1 FOLLOWEDBY __b__:value = 1",
                "condition-observation: FOLLOWEDBY asks for observed data; conditions see variables only; store the finding in one",
            ),
            (
                "__a__:value = and",
                "condition-syntax: \"and\" at character 15 stands where a value is expected; correct it",
            ),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
        assert!(shape("__a__:value = '['").starts_with('{'));
        assert!(shape(&"(".repeat(1_000)).contains("levels deep"));
        assert!(shape(&"x".repeat(100_000)).contains("bytes"));
        assert!(shape(&"NOT ".repeat(4_000)).contains("ends where"));
    }
}
