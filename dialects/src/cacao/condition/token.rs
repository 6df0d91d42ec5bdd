//! The words of a condition, each with its place.

/// A word and the character, from 1, at which it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A variable; `whole` if `:value` follows.
    Variable {
        name: String,
        whole: bool,
    },
    /// Letters and digits; also a keyword.
    Word(String),
    Text(String),
    Number(String),
    Sign(&'static str),
    Open,
    Close,
    Comma,
    /// The beginning of an observation pattern.
    Bracket,
}

/// What cannot be a word, and where.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stray {
    pub(super) at: usize,
    pub(super) shown: String,
    pub(super) open_text: bool,
}

const SIGNS: [&str; 9] = ["==", "!=", "<>", "<=", ">=", "=", "<", ">", "!"];

/// The words of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Stray> {
    let mut found = Vec::new();
    let (mut rest, mut at) = (text, 1);
    loop {
        let begin = rest.trim_start();
        at += rest[..rest.len() - begin.len()].chars().count();
        if begin.is_empty() {
            return Ok(found);
        }
        let (kind, length) = next(begin).map_err(|open_text| Stray {
            at,
            shown: begin.chars().take(20).collect(),
            open_text,
        })?;
        found.push(Token { at, kind });
        at += begin[..length].chars().count();
        rest = &begin[length..];
    }
}

/// The first word of a text and its length in bytes; the error says whether a quoted text never
/// ends.
fn next(text: &str) -> Result<(Kind, usize), bool> {
    let sign = SIGNS.into_iter().find(|sign| text.starts_with(sign));
    if let Some(sign) = sign {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    match text.as_bytes()[0] {
        b'(' => Ok((Kind::Open, 1)),
        b')' => Ok((Kind::Close, 1)),
        b',' => Ok((Kind::Comma, 1)),
        b'[' => Ok((Kind::Bracket, 1)),
        b'\'' => quoted(text).ok_or(true),
        _ => bare(text).ok_or(false),
    }
}

fn quoted(text: &str) -> Option<(Kind, usize)> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((index, c)) = characters.next() {
        match c {
            '\'' => return Some((Kind::Text(value), index + 1)),
            '\\' => value.push(characters.next()?.1),
            c => value.push(c),
        }
    }
    None
}

/// A variable, number or word.
fn bare(text: &str) -> Option<(Kind, usize)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+');
    let length = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let run = &text[..length];
    if run.is_empty() {
        return None;
    }
    if run.starts_with("__")
        && let Some(end) = run.rfind("__").filter(|end| *end > 2)
    {
        let name = &run[..end + 2];
        let after = &text[name.len()..];
        for (written, whole) in [(":value", true), (".value", false)] {
            if after.starts_with(written) {
                let name = name.to_owned();
                let length = name.len() + written.len();
                return Some((Kind::Variable { name, whole }, length));
            }
        }
        if name.len() == run.len() {
            let name = name.to_owned();
            return Some((Kind::Variable { name, whole: false }, length));
        }
    }
    let is_number = run.parse::<f64>().is_ok() && run.bytes().any(|b| b.is_ascii_digit());
    let word = run.to_owned();
    let kind = if is_number {
        Kind::Number(word)
    } else {
        Kind::Word(word)
    };
    Some((kind, length))
}
