//! Hiding values in what is shown or stored.
//!
//! Knows the forms in which a value can turn up: as it is, in the escapes of JSON, in the base64 of
//! itself or of a text around it, and as a part of an address or a form. It replaces what it can
//! recognise; a program that turns a secret round or into hexadecimal digits shows it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use serde_json::Value as Json;

/// What stands in the place of a value.
const MASK: &str = "***";

/// Letters of a piece of a value (a line, a part of its base64) that are worth hiding alone;
/// shorter ones turn up by chance everywhere.
const PIECE_MIN: usize = 8;

/// The end of a value that may be left at a cut is hidden from this length on.
const CUT_MIN: usize = 3;

/// The widths at which common programs break the lines of base64.
const BASE64_WIDTHS: [usize; 2] = [64, 76];

/// Replaces secret values. Its `Debug` shows none.
pub(crate) struct Masks {
    forms: Vec<String>,
    /// None if there is nothing to hide.
    finder: Option<AhoCorasick>,
}

impl Masks {
    /// Hides these values.
    pub(crate) fn of<'v>(values: impl Iterator<Item = &'v str>) -> Self {
        let mut forms: Vec<_> = values.flat_map(forms).collect();
        forms.sort();
        forms.dedup();
        // Better no answer than one that shows everything.
        let finder = (!forms.is_empty())
            .then(|| AhoCorasick::new(&forms).expect("values of less than 2^31 bytes fit"));
        Self { forms, finder }
    }

    /// The text without the values; what two of them share is replaced with both.
    pub(crate) fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found = self.found_in(text);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_by_key(|range| range.start);
        let mut shown = String::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            // One that begins inside the one before belongs to its mask.
            if range.start >= end {
                shown.push_str(&text[end..range.start]);
                shown.push_str(MASK);
            }
            end = end.max(range.end);
        }
        shown.push_str(&text[end..]);
        Cow::Owned(shown)
    }

    /// Where a value begins and ends, in any form.
    fn found_in(&self, text: &str) -> Vec<Range<usize>> {
        let Some(finder) = &self.finder else {
            return Vec::new();
        };
        let found = finder.find_overlapping_iter(text);
        let mut found: Vec<_> = found.map(|found| found.range()).collect();
        // Everybody encodes other letters of an address or a form, so it is looked for in what they
        // all mean.
        for decoded in Decoded::all_of(text) {
            let again = finder.find_overlapping_iter(&decoded.bytes);
            found.extend(again.map(|found| decoded.origin(&found.range())));
        }
        found
    }

    /// The same for the end of a longer text, whose beginning may hold the rest of a value.
    pub(crate) fn hide_after_cut(&self, text: &str) -> String {
        let left = |form: &String| {
            let cuts = (1..form.len()).filter(|cut| form.is_char_boundary(*cut));
            let rests = cuts.map(|cut| &form[cut..]);
            let fits = |rest: &&str| rest.len() >= CUT_MIN && text.starts_with(rest);
            rests.filter(fits).map(str::len).max()
        };
        match self.forms.iter().filter_map(left).max() {
            Some(length) => format!("{MASK}{}", self.hide(&text[length..])),
            None => self.hide(text).into_owned(),
        }
    }

    /// The value with all its texts, names and numbers masked.
    pub(crate) fn hide_in(&self, value: Json) -> Json {
        match value {
            Json::String(text) => Json::String(self.hide(&text).into_owned()),
            Json::Array(items) => items.into_iter().map(|item| self.hide_in(item)).collect(),
            Json::Object(entries) => {
                let hidden = entries.into_iter().map(|(name, value)| {
                    let name = self.hide(&name).into_owned();
                    (name, self.hide_in(value))
                });
                Json::Object(hidden.collect())
            }
            Json::Number(number) => match self.hide(&number.to_string()) {
                Cow::Borrowed(_) => Json::Number(number),
                Cow::Owned(masked) => Json::String(masked),
            },
            Json::Null | Json::Bool(_) => value,
        }
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks")
    }
}

/// Everything that a value is recognised by.
fn forms(value: &str) -> Vec<String> {
    if value.is_empty() {
        return Vec::new();
    }
    let in_json = Json::from(value).to_string();
    let in_json = in_json[1..in_json.len() - 1].to_owned();
    let mut forms = vec![value.to_owned(), in_json];
    // What prints a value of several lines may indent or join them.
    let lines = value.lines().map(str::trim);
    let telling = |line: &&str| line.len() >= PIECE_MIN && !line.starts_with("-----");
    forms.extend(lines.filter(telling).map(str::to_owned));
    forms.extend(in_base64(value.as_bytes()));
    forms
}

/// What a text means with its percent-encoding undone, and where each byte of that comes from.
struct Decoded {
    bytes: Vec<u8>,
    /// One more than there are bytes: the end of the text stands last.
    origins: Vec<usize>,
}

impl Decoded {
    /// As an address and as a form, which differ in what `+` means; none if it is no such text.
    fn all_of(text: &str) -> Vec<Self> {
        let has_percent = text.contains('%');
        let has_plus = text.contains('+');
        let views = [(has_percent, false), (has_plus, true)].into_iter();
        views
            .filter(|(is_there, _)| *is_there)
            .map(|(_, plus_is_space)| Self::of(text.as_bytes(), plus_is_space))
            .collect()
    }

    fn of(text: &[u8], plus_is_space: bool) -> Self {
        let mut decoded = Self {
            bytes: Vec::with_capacity(text.len()),
            origins: Vec::with_capacity(text.len() + 1),
        };
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            decoded.origins.push(at);
            let (byte, length) = match byte {
                b'%' => encoded(text, at + 1).map_or((b'%', 1), |byte| (byte, 3)),
                b'+' if plus_is_space => (b' ', 1),
                byte => (*byte, 1),
            };
            decoded.bytes.push(byte);
            at += length;
        }
        decoded.origins.push(text.len());
        decoded
    }

    fn origin(&self, range: &Range<usize>) -> Range<usize> {
        self.origins[range.start]..self.origins[range.end]
    }
}

/// The byte that the two hexadecimal digits at a place mean.
fn encoded(text: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

/// The base64 of a value alone, and the part of it that is there whatever stands around it.
fn in_base64(value: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
        let alone = engine.encode(value);
        for width in BASE64_WIDTHS {
            let lines = alone.as_bytes().chunks(width);
            let lines = lines.map(|line| String::from_utf8_lossy(line).into_owned());
            forms.extend(lines.filter(|line| line.len() >= PIECE_MIN));
        }
        for before in 0..3 {
            let mut text = vec![0; before];
            text.extend_from_slice(value);
            let whole = engine.encode(&text);
            // A letter holds six bits; those at the rims also hold bits of the neighbours.
            let inner = (before * 8).div_ceil(6)..text.len() * 8 / 6;
            if inner.len() >= PIECE_MIN {
                forms.push(whole[inner].to_owned());
            }
        }
        forms.push(alone);
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    use serde_json::json;

    const SECRET: &str = "p@ss w\"rd/ü?~*";

    fn masks() -> Masks {
        Masks::of([SECRET, "hunter2"].into_iter())
    }

    #[test]
    fn every_form_of_a_value_is_hidden() {
        let standard = BASE64_STANDARD.encode(SECRET);
        for form in [
            SECRET.to_owned(),
            json!(SECRET).to_string(),
            "p%40ss%20w%22rd%2F%C3%BC%3F~%2A".to_owned(),
            "p%40ss%20w%22rd%2f%c3%bc%3f~%2a".to_owned(),
            "p%40ss+w%22rd%2F%C3%BC%3F%7E*".to_owned(),
            "p@ss%20w%22rd/%C3%BC?~*".to_owned(),
            "p@ss+w%22rd/ü?~*".to_owned(),
            standard.clone(),
            BASE64_URL_SAFE.encode(SECRET),
        ] {
            let shown = masks().hide(&format!("<{form}>")).into_owned();
            let rest = shown.replace(MASK, "").replace(['<', '>', '"', '='], "");
            assert_eq!(rest, "", "{form} became {shown}");
        }
    }

    #[test]
    fn the_base64_of_a_text_around_a_value_shows_nothing_of_it() {
        for around in ["", "a", "ab", "abc", "user:"] {
            let encoded = BASE64_STANDARD.encode(format!("{around}{SECRET}:tail"));
            let shown = masks().hide(&encoded).into_owned();
            assert!(shown.contains(MASK), "{around}: {encoded}");
            // At each rim one letter holds some bits of the value.
            assert!(shown.len() + BASE64_STANDARD.encode(SECRET).len() <= encoded.len() + 7);
        }
    }

    #[test]
    fn what_only_looks_encoded_stays_as_it_is() {
        for text in ["100%", "%zz%2", "a+b % c", "%C3", "ü%"] {
            assert_eq!(masks().hide(text), text);
        }
        assert_eq!(masks().hide("ü%hunter2%+1"), "ü%***%+1");
    }

    #[test]
    fn values_that_overlap_are_hidden_as_one_and_neighbours_apart() {
        let masks = Masks::of(["abcd", "cdef", "x"].into_iter());
        assert_eq!(masks.hide("1abcdef2xx3"), "1***2******3");
        assert_eq!(masks.hide("plain"), "plain");
        assert_eq!(Masks::of([].into_iter()).hide("plain"), "plain");
        assert_eq!(Masks::of([""].into_iter()).hide("plain"), "plain");
    }

    #[test]
    fn the_lines_of_a_key_are_hidden_however_they_are_printed() {
        let key = "-----BEGIN KEY-----\nAAAAAAAAAAAAAAAA\nBBBBBBBBBB\n-----END KEY-----";
        let masks = Masks::of([key].into_iter());
        assert_eq!(masks.hide(&format!("<{key}>")), "<***>");
        assert_eq!(
            masks.hide("  AAAAAAAAAAAAAAAA | BBBBBBBBBB | -----END KEY-----"),
            "  *** | *** | -----END KEY-----"
        );
        let long = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(5);
        let masks = Masks::of([long.as_str()].into_iter());
        let encoded = BASE64_STANDARD.encode(format!("{long}\n"));
        let (first, second) = (&encoded[..76], &encoded[76..152]);
        assert_eq!(masks.hide(&format!("{first}\n{second}\n")), "***\n***\n");
    }

    #[test]
    fn what_a_cut_left_of_a_value_is_hidden() {
        assert_eq!(masks().hide_after_cut("ter2 and hunter2"), "*** and ***");
        assert_eq!(masks().hide_after_cut("r2 is short"), "r2 is short");
        assert_eq!(masks().hide_after_cut("plain"), "plain");
    }

    #[test]
    fn values_are_hidden_everywhere_in_json() {
        let masks = Masks::of(["hunter2", "1234"].into_iter());
        let value = json!({"hunter2": ["x hunter2", 51234, 7, true, null]});
        let expected = json!({"***": ["x ***", "5***", 7, true, null]});
        assert_eq!(masks.hide_in(value), expected);
        assert_eq!(format!("{masks:?}"), "Masks");
    }
}
