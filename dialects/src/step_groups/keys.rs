//! Keys that somebody may have meant who wrote another one.
//!
//! Wider than [`suggestion::misspelt`]: keys of a step are short, and what is written beside them goes
//! to the handler without a word. So words that handlers are known to read are left alone by name.

use strsim::damerau_levenshtein;

use crate::suggestion;

/// Words near a key that are keys of handlers.
const WORDS: [&str; 8] = [
    "configs",
    "environment",
    "names",
    "output",
    "resources",
    "tape",
    "typed",
    "types",
];

/// Longer forms that people write for a key; only their slips count, because they may be a handler's.
const LONG_FORMS: [(&str, &str); 1] = [("environment", "env")];

/// The key among `known` that `written` is a misspelling of.
pub(crate) fn misspelt<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    if known.contains(&written) || WORDS.contains(&written) {
        return None;
    }
    suggestion::misspelt(written, known).or_else(|| {
        let key = known.iter().copied().find(|key| is_slip(written, key));
        key.or_else(|| {
            let (_, short) = LONG_FORMS
                .into_iter()
                .find(|(long, _)| suggestion::misspelt(written, &[long]).is_some())?;
            known.iter().copied().find(|key| *key == short)
        })
    })
}

/// Whether one slip makes `written` of a short key: a letter too many, two exchanged and, where enough
/// remains, one missing or another one.
fn is_slip(written: &str, key: &str) -> bool {
    let is_word = written.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !(2..=6).contains(&key.len()) || written.len() > 7 || !is_word {
        return false;
    }
    let form = written.to_lowercase();
    if damerau_levenshtein(&form, key) != 1 {
        return false;
    }
    let sorted = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.sort_unstable();
        bytes
    };
    let is_exchanged = sorted(&form) == sorted(key);
    let begins_alike = form[..1] == key[..1];
    is_exchanged || (begins_alike && (form.len() > key.len() || key.len() > 3))
}
