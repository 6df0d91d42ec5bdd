//! How deep a text nests, found without recursion and before anything recursive sees it.
//!
//! Counts too much rather than too little: an open bracket, an operator, a dot and a call each add
//! one level until the next comma or the end of their bracket, because the parser makes a left-deep
//! tree of `a + b + c` and of `a.b.c`. Never judges whether the text is valid.

use crate::limits::NESTING_MAX;

/// How deep `text` nests, at least 1.
///
/// # Errors
/// The position, in characters from 1, where it passes [`NESTING_MAX`].
pub(crate) fn nesting(text: &str) -> Result<usize, usize> {
    let mut deepest = 1;
    let chars: Vec<char> = text.chars().collect();
    let mut levels = Levels::default();
    let mut at = 0;
    while let Some(&char) = chars.get(at) {
        let rest = &chars[at..];
        at += match char {
            '"' | '\'' => quoted(rest, false),
            '/' if rest.get(1) == Some(&'/') => until_newline(rest),
            _ if char.is_alphanumeric() || char == '_' => {
                let length = word(rest);
                let is_prefix = matches!(rest.get(length), Some('"' | '\''));
                let is_raw = rest[..length].iter().any(|char| matches!(char, 'r' | 'R'));
                levels.add(usize::from(rest[..length] == ['i', 'n']));
                if is_prefix {
                    length + quoted(&rest[length..], is_raw)
                } else {
                    length
                }
            }
            '(' | '[' | '{' => {
                levels.open();
                1
            }
            ')' | ']' | '}' => {
                levels.close();
                1
            }
            ',' => {
                levels.next();
                1
            }
            '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '?' | ':' | '.' | '&' | '|' => {
                levels.add(1);
                operator(rest)
            }
            _ => 1,
        };
        if levels.depth > usize::from(NESTING_MAX) {
            return Err(at);
        }
        deepest = deepest.max(levels.depth);
    }
    Ok(deepest)
}

/// The operators seen in each open bracket since its last comma.
#[derive(Default)]
struct Levels {
    outer: Vec<usize>,
    current: usize,
    depth: usize,
}

impl Levels {
    fn add(&mut self, count: usize) {
        self.current += count;
        self.depth += count;
    }

    /// A bracket is one level of what it stands in, also after it is closed: `a[0][0]`.
    fn open(&mut self) {
        self.add(1);
        self.outer.push(std::mem::take(&mut self.current));
    }

    fn close(&mut self) {
        if let Some(outer) = self.outer.pop() {
            self.next();
            self.current = outer;
        }
    }

    fn next(&mut self) {
        self.depth -= std::mem::take(&mut self.current);
    }
}

fn word(chars: &[char]) -> usize {
    let is_part = |char: &&char| char.is_alphanumeric() || **char == '_';
    chars.iter().take_while(is_part).count()
}

fn until_newline(chars: &[char]) -> usize {
    chars.iter().take_while(|char| **char != '\n').count()
}

/// An operator of two characters is one level, not two.
fn operator(chars: &[char]) -> usize {
    let is_pair = matches!(
        chars,
        ['=' | '!' | '<' | '>', '=', ..] | ['&', '&', ..] | ['|', '|', ..]
    );
    1 + usize::from(is_pair)
}

/// The length of a text literal that starts here, its quotes included.
fn quoted(chars: &[char], is_raw: bool) -> usize {
    let quote = chars[0];
    let width = if chars.len() > 2 && chars[1] == quote && chars[2] == quote {
        3
    } else {
        1
    };
    let mut at = width;
    while at < chars.len() {
        if chars[at] == '\\' && !is_raw {
            at += 2;
        } else if chars[at..].len() >= width && chars[at..at + width].iter().all(|c| *c == quote) {
            return at + width;
        } else if chars[at] == '\n' && width == 1 {
            // Not closed on its line, so no literal to the parser: what follows may be code.
            return at;
        } else {
            at += 1;
        }
    }
    chars.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, too_deep: bool) {
        let shown: String = text.chars().take(40).collect();
        assert_eq!(nesting(text).is_err(), too_deep, "{shown}…");
    }

    fn nested(open: &str, close: &str, times: usize) -> String {
        format!("{}1{}", open.repeat(times), close.repeat(times))
    }

    #[test]
    fn every_way_to_nest_is_counted() {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{1:", "}"),
            ("f(", ")"),
            ("-", ""),
            ("!", ""),
            ("- ", ""),
            ("true?1:", ""),
            ("1+", ""),
            ("1 in ", ""),
            ("1 ==", ""),
            ("1 ||", ""),
            ("", ".a"),
            ("", "[0]"),
            ("", ".f()"),
            ("", ".map(x, x)"),
            ("('a,b)' + ", ")"),
            ("(r'\\' + ", ")"),
            ("(// it's\n", ")"),
            ("['\n", "]"),
        ] {
            check(&nested(open, close, 40), false);
            check(&nested(open, close, usize::from(NESTING_MAX) + 1), true);
            check(&nested(open, close, 100_000), true);
        }
    }

    #[test]
    fn what_stands_side_by_side_or_in_a_text_does_not_nest() {
        check(&format!("[{}]", "f(a.b + 1), ".repeat(1_000)), false);
        check(&format!("'{}'", "(".repeat(1_000)), false);
        check(&format!("r\"{}\\\"", "(".repeat(1_000)), false);
        check(&format!("'''{}'\n'''", "(".repeat(1_000)), false);
        check(&format!("'\\'{}'", "(".repeat(1_000)), false);
        check(&format!("1 // {}", "(".repeat(1_000)), false);
        check(&")".repeat(1_000), false);
    }
}
