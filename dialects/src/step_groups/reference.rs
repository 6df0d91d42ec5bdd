//! Where a string asks for a value.
//!
//! `${…}`, `$NAME`, `$STEP.KEY` and `{{ … }}` ask for one; `$${` is a literal `${`. In script text
//! the shell's own `$NAME` and `${…}` may stay as they are; dotted references still count.

/// What a string is for, and so which of its signs ask for values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    Value,
    /// Text for a shell.
    Script,
    /// A regular expression: only `${…}` asks, `$` is an anchor.
    Pattern,
}

/// A part of a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// As it is, `$${` already resolved.
    Text(String),
    Ask {
        /// What is asked for, without its signs.
        inner: &'a str,
        /// As written.
        raw: &'a str,
        /// Whether it may be the shell's own, and then stays as written.
        soft: bool,
    },
    /// `{{ … }}`.
    Action { inner: &'a str, raw: &'a str },
    /// A `${` that never ends.
    Open,
}

/// The parts of a string, in order.
pub(crate) fn pieces(text: &str, reading: Reading) -> Vec<Piece<'_>> {
    // Nothing closes behind these, so no search goes there in vain and all of them stay linear.
    let braces_end = text.rfind('}').map_or(0, |at| at + 1);
    let actions_end = text.rfind("}}").map_or(0, |at| at + 2);
    let mut found = Pieces::default();
    let mut done = 0;
    while let Some(at) = text[done..].find(['$', '{']) {
        found.text(&text[done..done + at]);
        done += at;
        let rest = &text[done..];
        if rest.starts_with("$${") {
            found.text("${");
            done += 3;
            continue;
        }
        let action = text.get(done..actions_end).and_then(action);
        let taken = action
            .filter(|_| reading != Reading::Pattern)
            .or_else(|| braced(rest, braces_end.saturating_sub(done), reading))
            .or_else(|| bare(rest, reading));
        let Some((length, piece)) = taken else {
            found.text(&rest[..1]);
            done += 1;
            continue;
        };
        found.piece(piece);
        done += length;
    }
    found.text(&text[done..]);
    found.0
}

#[derive(Default)]
struct Pieces<'a>(Vec<Piece<'a>>);

impl<'a> Pieces<'a> {
    fn text(&mut self, more: &str) {
        match self.0.last_mut() {
            _ if more.is_empty() => {}
            Some(Piece::Text(text)) => text.push_str(more),
            _ => self.0.push(Piece::Text(more.to_owned())),
        }
    }

    fn piece(&mut self, piece: Piece<'a>) {
        self.0.push(piece);
    }
}

/// `{{ … }}` at the start, and its length.
fn action(text: &str) -> Option<(usize, Piece<'_>)> {
    let inside = text.strip_prefix("{{")?;
    let length = inside.find("}}")?;
    let inner = inside[..length].trim();
    let raw = &text[..length + 4];
    Some((length + 4, Piece::Action { inner, raw }))
}

/// `${…}` at the start if it asks for a value; the last brace closes before `end`.
fn braced(text: &str, end: usize, reading: Reading) -> Option<(usize, Piece<'_>)> {
    let inside = text.strip_prefix("${")?;
    let name_end = inside
        .find(|c| !is_name(c) && c != '-')
        .unwrap_or(inside.len());
    let dotted = name_end > 0 && inside[name_end..].starts_with('.');
    let plain = name_end > 0 && inside[name_end..].starts_with('}');
    if reading == Reading::Script && !dotted && !plain {
        return None;
    }
    let Some(length) = text.get(..end).and_then(|text| text.find('}')) else {
        return Some((2, Piece::Open));
    };
    let ask = Piece::Ask {
        inner: text[2..length].trim(),
        raw: &text[..=length],
        soft: reading == Reading::Script && !dotted,
    };
    Some((length + 1, ask))
}

/// `$NAME` or `$STEP.KEY` at the start if it asks for a value.
fn bare(text: &str, reading: Reading) -> Option<(usize, Piece<'_>)> {
    if reading == Reading::Pattern {
        return None;
    }
    let inside = text.strip_prefix('$')?;
    let end = inside
        .find(|c| !is_name(c) && c != '.')
        .unwrap_or(inside.len());
    let inner = inside[..end].trim_end_matches('.');
    if inner.is_empty() || inner.starts_with('.') {
        return None;
    }
    // `$1` and the like are a script's own arguments.
    let script = reading == Reading::Script;
    if script && inner.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let ask = Piece::Ask {
        inner,
        raw: &text[..=inner.len()],
        soft: script && !inner.contains('.'),
    };
    Some((inner.len() + 1, ask))
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first thing that asks for a value, as written; what may be the shell's own does not.
    fn asks(text: &str, reading: Reading) -> Option<String> {
        let found = pieces(text, reading);
        found.into_iter().find_map(|piece| match piece {
            Piece::Ask { soft: true, .. } | Piece::Text(_) => None,
            Piece::Ask { raw, .. } | Piece::Action { raw, .. } => Some(raw.to_owned()),
            Piece::Open => Some("${".to_owned()),
        })
    }

    fn check(text: &str, plain: Option<&str>, script: Option<&str>) {
        assert_eq!(asks(text, Reading::Value).as_deref(), plain, "{text}");
        assert_eq!(
            asks(text, Reading::Script).as_deref(),
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
    fn a_pattern_keeps_its_anchors() {
        assert_eq!(asks("^v$", Reading::Pattern), None);
        assert_eq!(asks("$A$", Reading::Pattern), None);
        assert_eq!(asks("^${A}$", Reading::Pattern).as_deref(), Some("${A}"));
    }

    #[test]
    fn a_doubled_dollar_is_a_literal_one() {
        let text = |text: &str| vec![Piece::Text(text.to_owned())];
        assert_eq!(
            pieces("a $${b.c} $$(d)", Reading::Script),
            text("a ${b.c} $$(d)")
        );
    }
}
