//! What somebody may have meant who wrote something else.

use strsim::{damerau_levenshtein, normalized_damerau_levenshtein};

/// Longest text that is compared; the comparison takes the product of both lengths.
const COMPARED_BYTES_MAX: usize = 64;

/// Candidates that are compared at most, so that a long list of wrong names stays cheap.
const COMPARED_NAMES_MAX: usize = 200;

/// The known name nearest to `written`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    if written.len() > COMPARED_BYTES_MAX {
        return None;
    }
    known
        .into_iter()
        .take(COMPARED_NAMES_MAX)
        .filter(|name| *name != written && can_be_near(name.len(), written.len()))
        .map(|name| (normalized_damerau_levenshtein(written, name), name))
        .filter(|(likeness, name)| *likeness >= 0.6 || differs_in_second(written, name))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Whether both are of two characters and begin alike, such as `b1` and `b2`: too short for a share.
fn differs_in_second(written: &str, name: &str) -> bool {
    let (written, name) = (written.as_bytes(), name.as_bytes());
    matches!((written, name), ([a, _], [b, _]) if a == b)
}

/// Whether texts of these lengths can be alike by 0.6: every byte that one has more is a slip.
fn can_be_near(a: usize, b: usize) -> bool {
    let (short, long) = (a.min(b), a.max(b));
    long <= COMPARED_BYTES_MAX && 10 * short >= 6 * long
}

/// `; did you mean "x"?` when there is something near, else `otherwise`.
pub(crate) fn did_you_mean<'a>(
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    nearest(written, known).map_or_else(
        || otherwise.to_owned(),
        |name| format!("did you mean {name:?}?"),
    )
}

/// The key among `known` that `written` is a misspelling of.
///
/// Case, `_` and `-` do not count. Long keys may also have up to two slips; short ones may not,
/// because `path` or `output` are keys of their own.
pub(crate) fn misspelt<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    if written.len() > COMPARED_BYTES_MAX || known.contains(&written) {
        return None;
    }
    let form = written.replace(['_', '-'], "").to_lowercase();
    known.iter().copied().find(|key| {
        let slips = match key.len() {
            0..=6 => 0,
            7 => 1,
            _ => 2,
        };
        form.eq_ignore_ascii_case(key)
            || (slips > 0
                && form.len().abs_diff(key.len()) <= slips
                && form.starts_with(&key[..1])
                && damerau_levenshtein(&form, &key.to_lowercase()) <= slips)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let names = ["build", "deploy-backend"];
        assert_eq!(nearest("bild", names), Some("build"));
        assert_eq!(nearest("deploy-bakcend", names), Some("deploy-backend"));
        assert_eq!(nearest("ghost", names), None);
        for (short, near) in [
            ("b2", Some("b1")),
            ("c1", None),
            ("bb", Some("b1")),
            ("b", None),
        ] {
            assert_eq!(nearest(short, ["b1"]), near, "{short}");
        }
        assert_eq!(nearest(&"b".repeat(1_000_000), names), None);
        assert_eq!(did_you_mean("bild", names, "-"), "did you mean \"build\"?");
        assert_eq!(did_you_mean("ghost", names, "correct it"), "correct it");
    }

    #[test]
    fn keys_are_misspelt_by_case_underscore_or_slip() {
        let keys = [
            "if",
            "outputs",
            "timeout",
            "parallel",
            "parallelGroup",
            "dependsOn",
        ];
        for (written, meant) in [
            ("parallel_group", Some("parallelGroup")),
            ("depends_on", Some("dependsOn")),
            ("dependOn", Some("dependsOn")),
            ("IF", Some("if")),
            ("timout", Some("timeout")),
            ("paralell", Some("parallel")),
            ("parallel", None),
            ("of", None),
            ("path", None),
            ("namespace", None),
        ] {
            assert_eq!(misspelt(written, &keys), meant, "{written}");
        }
    }
}
