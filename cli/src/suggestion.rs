//! What somebody may have meant who wrote an unknown name.

use strsim::damerau_levenshtein;

/// Bytes of the longest name that is compared: the comparison takes the product of both lengths.
const COMPARED_BYTES_MAX: usize = 64;

/// `did you mean "x"?`, naming the nearest of `known`; all of them when none is near.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
) -> String {
    match nearest(written, known.clone()) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("known are {}", listed(known)),
    }
}

/// Names in one line, separated by commas.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The known name that differs from the written one in at most a third of its letters.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let written = written.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|name| {
            let plain = name.to_lowercase().replace('-', "_");
            let longer = written.chars().count().max(plain.chars().count());
            (damerau_levenshtein(&written, &plain), longer, name)
        })
        .filter(|(slips, longer, _)| slips * 3 <= *longer)
        .min_by_key(|(slips, _, _)| *slips)
        .map(|(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_names_the_nearest_and_another_word_names_all() {
        let known = ["runners", "retention.keep", "capacity"];
        for (written, expected) in [
            ("runers", "did you mean \"runners\"?"),
            ("Retention_keep", "did you mean \"retention.keep\"?"),
            ("capcity", "did you mean \"capacity\"?"),
            ("zzz", "known are runners, retention.keep, capacity"),
        ] {
            assert_eq!(did_you_mean(written, known), expected);
        }
        assert_eq!(did_you_mean("x", []), "known are none");
    }
}
