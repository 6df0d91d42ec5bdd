//! References and templates in strings, and what a string is without them.
//!
//! `${…}`, `$NAME`, `$STEP.KEY` and `{{ … }}` ask for a value; `$${` is a literal `${`. In script
//! text the shell's own `$NAME` and `${…}` stay as they are; dotted references still count.

/// What a string holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// The string with `$${` resolved.
    pub(crate) text: String,
    /// The first thing in it that asks for a value, as written.
    pub(crate) asks: Option<String>,
}

/// Looks through a string; `script` says whether it is text for a shell.
pub(crate) fn scan(text: &str, script: bool) -> Scan {
    // Nothing closes behind these, so no search goes there in vain and all of them stay linear.
    let braces_end = text.rfind('}').map_or(0, |at| at + 1);
    let templates_end = text.rfind("}}").map_or(0, |at| at + 2);
    let mut out = String::with_capacity(text.len());
    let mut asks = None;
    let mut done = 0;
    while let Some(at) = text[done..].find(['$', '{']) {
        out.push_str(&text[done..done + at]);
        done += at;
        if text[done..].starts_with("$${") {
            out.push_str("${");
            done += 3;
            continue;
        }
        let taken = template(text.get(done..templates_end).unwrap_or_default())
            .or_else(|| braced(&text[done..], braces_end.saturating_sub(done), script))
            .or_else(|| bare(&text[done..], script));
        let length = taken.unwrap_or(1);
        if taken.is_some() && asks.is_none() {
            asks = Some(text[done..done + length].to_owned());
        }
        out.push_str(&text[done..done + length]);
        done += length;
    }
    out.push_str(&text[done..]);
    Scan { text: out, asks }
}

/// Length of `{{ … }}` at the start.
fn template(text: &str) -> Option<usize> {
    let inner = text.strip_prefix("{{")?;
    Some(inner.find("}}")? + 4)
}

/// Length of `${…}` at the start, if it asks for a value; the last brace closes before `end`.
fn braced(text: &str, end: usize, script: bool) -> Option<usize> {
    let inner = text.strip_prefix("${")?;
    let first = inner
        .find(|c| !is_name(c) && c != '-')
        .unwrap_or(inner.len());
    let dotted = first > 0 && inner[first..].starts_with('.');
    if script && !dotted {
        return None;
    }
    // The value of a `${` that never ends is not known; its place is.
    let closed = text.get(..end).and_then(|text| text.find('}'));
    Some(closed.map_or(2, |at| at + 1))
}

/// Length of `$NAME` or `$STEP.KEY` at the start, if it asks for a value.
fn bare(text: &str, script: bool) -> Option<usize> {
    let inner = text.strip_prefix('$')?;
    let end = inner
        .find(|c| !is_name(c) && c != '.')
        .unwrap_or(inner.len());
    let name = inner[..end].trim_end_matches('.');
    if name.is_empty() || name.starts_with('.') {
        return None;
    }
    // `$1` and the like are a script's own arguments.
    let own = !name.contains('.') || name.starts_with(|c: char| c.is_ascii_digit());
    (!script || !own).then_some(name.len() + 1)
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, plain: Option<&str>, script: Option<&str>) {
        assert_eq!(scan(text, false).asks.as_deref(), plain, "{text}");
        assert_eq!(
            scan(text, true).asks.as_deref(),
            script,
            "{text} as a script"
        );
    }

    #[test]
    fn what_asks_for_a_value_is_found() {
        check("plain text", None, None);
        check("costs 5$ or $", None, None);
        check(
            "v-${build.version}!",
            Some("${build.version}"),
            Some("${build.version}"),
        );
        check("${TAG}", Some("${TAG}"), None);
        check("$TAG.", Some("$TAG"), None);
        check(
            "$build.version",
            Some("$build.version"),
            Some("$build.version"),
        );
        check(
            "${my-step.key}",
            Some("${my-step.key}"),
            Some("${my-step.key}"),
        );
        check("${X:-a.b} ${#x} ${x%.*}", Some("${X:-a.b}"), None);
        check("$(date) $? $$ $@ '{$.items}'", None, None);
        check("awk '{print $1.$2}'", Some("$1"), None);
        check("${open", Some("${"), None);
        check(
            "{{ .parameters.x }}",
            Some("{{ .parameters.x }}"),
            Some("{{ .parameters.x }}"),
        );
        check("{{ open", None, None);
        check("{ } {}", None, None);
        check("ü $ü ${ü}", Some("${ü}"), None);
    }

    #[test]
    fn a_doubled_dollar_is_a_literal_one() {
        let scanned = scan("a $${b.c} $$d", true);
        assert_eq!(
            (scanned.text.as_str(), scanned.asks),
            ("a ${b.c} $$d", None)
        );
        assert_eq!(scan("{{ x }} $y", false).text, "{{ x }} $y");
    }
}
