//! References to variables inside text: `__name__:value`.
//!
//! Values are filled in once; what they contain is never read again.

use std::sync::LazyLock;

use regex::{Captures, Regex};

#[expect(
    clippy::unwrap_used,
    reason = "the pattern is fixed, and a test compiles it"
)]
static REFERENCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(__[A-Za-z_][A-Za-z0-9_.-]{0,199}?__):value").unwrap());

/// The names that a text refers to, in its order, also again.
pub(crate) fn names(text: &str) -> impl Iterator<Item = &str> {
    REFERENCE
        .captures_iter(text)
        .filter_map(|found| Some(found.get(1)?.as_str()))
}

/// The text with each reference replaced by what `value` gives for its name; `None` leaves it as
/// it is written.
pub(crate) fn fill(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let filled = REFERENCE.replace_all(text, |found: &Captures<'_>| {
        value(&found[1]).unwrap_or_else(|| found[0].to_owned())
    });
    filled.into_owned()
}

/// Whether it is a name of a variable; `dots` takes those that real files have.
pub(crate) fn is_name(name: &str, dots: bool) -> bool {
    let Some(inner) = name
        .strip_prefix("__")
        .and_then(|rest| rest.strip_suffix("__"))
    else {
        return false;
    };
    inner.len() <= 200
        && inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && inner
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || (dots && c == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_and_filled_once() {
        let text = "ping __a__:value -c __n__:value __b__ __a__:value__c__:value";
        assert_eq!(
            names(text).collect::<Vec<_>>(),
            ["__a__", "__n__", "__a__", "__c__"]
        );
        let filled = fill(text, |name| match name {
            "__a__" => Some("__n__:value".to_owned()),
            "__n__" => Some("3".to_owned()),
            _ => None,
        });
        assert_eq!(filled, "ping __n__:value -c 3 __b__ __n__:value__c__:value");
    }

    #[test]
    fn names_are_judged() {
        for (name, strict, lenient) in [
            ("__a__", true, true),
            ("__a_b-c1__", true, true),
            ("__a.b__", false, true),
            ("__1__", false, false),
            ("____", false, false),
            ("a", false, false),
            ("__ü__", false, false),
        ] {
            assert_eq!(
                (is_name(name, false), is_name(name, true)),
                (strict, lenient),
                "{name}"
            );
        }
    }
}
