//! What is wrong with a text that is no JSON, in the words of whoever wrote it.
//!
//! Only looks at the text around the place where the reader gave up.

use crate::diagnostic::{quoted, shortened};

/// What to say of a text that cannot be read from `offset` on; `said` is what its reader says.
pub(crate) fn told(text: &str, offset: usize, said: &str) -> String {
    const UNREAD: &str = "nothing after it can be read";
    if text.trim().is_empty() {
        return "the file is empty; there is nothing to read; pass the workflow document"
            .to_owned();
    }
    let offset = (0..=offset.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default();
    // Then the place is that of the last character, which counts.
    let is_end = said.starts_with("EOF");
    let seen = look_through(text, if is_end { text.len() } else { offset });
    let rest = &text[offset..];
    if is_end {
        return seen.ends_early(text);
    }
    if said.starts_with("control character") {
        let line = line_of(text, seen.text.unwrap_or(offset));
        return format!(
            "a line ends inside the text that begins in line {line}; {UNREAD}; add the closing quote, or write the line break as \\n"
        );
    }
    if said.starts_with("invalid escape") {
        let (slash, letter) = (text[..offset].chars().next_back(), rest.chars().next());
        let escape: String = slash.into_iter().chain(letter).collect();
        let escape = shortened(&escape);
        return format!("\"{escape}\" is no escape in JSON; {UNREAD}; write \\\\ for a backslash");
    }
    if said.starts_with("trailing characters") {
        return "more text follows the end of the document; a file holds one; remove it".to_owned();
    }
    if said == "invalid number" && text[..offset].ends_with('0') {
        return format!(
            "a number begins with 0; {UNREAD}; remove the zero, or write it as text in double quotes"
        );
    }
    // Some words are only refused at their second letter.
    let before = text[..offset].char_indices().rev();
    let before = before.take_while(|(_, c)| is_of_word(*c));
    let begin = before.last().map_or(offset, |(at, _)| at).max(seen.token);
    let word = &text[begin..];
    let word = &word[..word.find(|c| !is_of_word(c)).unwrap_or(word.len())];
    match rest.chars().next() {
        Some('/' | '#') => {
            return "a comment begins here, and JSON has none; remove it".to_owned();
        }
        Some('\'') => {
            return "single quotes begin no text in JSON; write double quotes".to_owned();
        }
        Some(close @ ('}' | ']')) if seen.last == Some(',') => {
            return format!("a comma stands before \"{close}\", where nothing follows; remove it");
        }
        _ => {}
    }
    let key = seen.key.map(quoted);
    if said.starts_with("expected `:`")
        && let Some(key) = seen.latest.map(quoted)
    {
        return format!("a colon is missing after {key}; {UNREAD}; add it");
    }
    if said.starts_with("expected `,`") {
        let place = match (seen.open.last(), &key) {
            (Some(('{', _)), Some(key)) => format!("after {key}"),
            _ => "between two items".to_owned(),
        };
        return format!("a comma is missing {place}; {UNREAD}; add it");
    }
    if said.starts_with("key must be") && !word.is_empty() {
        return format!(
            "a key stands without quotes; {UNREAD}; write {}",
            quoted(word)
        );
    }
    if let (Some(key), Some(':'), true) = (&key, seen.last, rest.starts_with([',', '}', ']'])) {
        return format!("the value of {key} is missing; {UNREAD}; add it");
    }
    if said.starts_with("expected") && !word.is_empty() {
        let better = match word.to_lowercase().as_str() {
            "true" | "yes" | "on" => "true",
            "false" | "no" | "off" => "false",
            "null" | "none" | "nil" | "undefined" => "null",
            _ => "a text in double quotes, a number, true, false or null",
        };
        return format!("{} is no value in JSON; write {better}", quoted(word));
    }
    format!("{}; {UNREAD}; correct it", shortened(said))
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$')
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

/// What stands before a place.
#[derive(Default)]
struct Seen<'t> {
    /// Brackets that are not closed, and where they stand.
    open: Vec<(char, usize)>,
    /// The last key of the innermost bracket that is open.
    key: Option<&'t str>,
    /// The last text, key or not.
    latest: Option<&'t str>,
    /// Where the text begins that is not closed.
    text: Option<usize>,
    /// The last sign that is no blank.
    last: Option<char>,
    /// Where the last sign or text ends.
    token: usize,
}

impl Seen<'_> {
    fn ends_early(&self, text: &str) -> String {
        if let Some(begin) = self.text {
            let line = line_of(text, begin);
            return format!(
                "the text ends inside the text that begins in line {line}; nothing can be read; add the closing quote"
            );
        }
        let Some((bracket, begin)) = self.open.last() else {
            return "the text ends where a value is missing; nothing can be read; add it"
                .to_owned();
        };
        let close = if *bracket == '{' { '}' } else { ']' };
        let line = line_of(text, *begin);
        format!(
            "the text ends, but \"{bracket}\" of line {line} is not closed; nothing can be read; add \"{close}\""
        )
    }
}

/// Looks through a text up to a place.
fn look_through(text: &str, offset: usize) -> Seen<'_> {
    let mut seen = Seen::default();
    let mut keys: Vec<Option<&str>> = Vec::new();
    let (mut at, mut latest) = (0, None);
    while let Some(c) = text[at..].chars().next() {
        if at >= offset {
            break;
        }
        let mut length = c.len_utf8();
        match c {
            '"' => {
                let mut escaped = true;
                // The opening quote is passed by like an escaped one.
                let end = text[at..].find(|found| {
                    let ends = found == '"' && !escaped;
                    escaped = found == '\\' && !escaped;
                    ends
                });
                let end = end.map(|end| at + end + 1);
                let Some(end) = end.filter(|end| *end <= offset) else {
                    seen.text = Some(at);
                    break;
                };
                latest = Some(&text[at + 1..end - 1]);
                length = end - at;
                seen.token = end;
            }
            '{' | '[' => {
                seen.open.push((c, at));
                keys.push(seen.key.take());
            }
            '}' | ']' => {
                seen.open.pop();
                seen.key = keys.pop().flatten();
            }
            ':' => seen.key = latest,
            _ => {}
        }
        if !c.is_whitespace() {
            seen.last = Some(c);
        }
        if matches!(c, '{' | '[' | '}' | ']' | ':' | ',') {
            seen.token = at + 1;
        }
        at += length;
    }
    seen.latest = latest;
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text as its reader does and says what is wrong with it.
    fn told_of(text: &str) -> String {
        let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
        let lines = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1));
        let before: usize = lines.map(str::len).sum();
        told(
            text,
            before + error.column().saturating_sub(1),
            &error.to_string(),
        )
    }

    #[test]
    fn any_place_of_any_text_can_be_looked_at() {
        let texts = [
            "\" \\\n",
            "\" \\",
            "{\"a\": é1}",
            "[1éx",
            "é",
            "\u{1F600}{",
            "\"\\é\"",
        ];
        let said = [
            "invalid escape",
            "expected value",
            "expected `,` or `}`",
            "key must be a string",
            "EOF while parsing a string",
            "trailing characters",
            "invalid number",
            "control character",
        ];
        for text in texts {
            assert!(!told_of(text).is_empty(), "{text:?}");
            for offset in 0..=text.len() + 1 {
                for said in said {
                    assert!(!told(text, offset, said).is_empty(), "{text:?} {offset}");
                }
            }
        }
    }
}
