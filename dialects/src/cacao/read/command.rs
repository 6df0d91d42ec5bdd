//! Commands of an action.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::cacao::playbook::Command;
use crate::cacao::read::field::{Reader, object, shown};
use crate::diagnostic::{Spot, quoted};
use crate::suggestion::nearest;
use crate::tree::{Node, Value};

/// The type of commands that a person does.
pub(crate) const MANUAL: &str = "manual";

/// The command types of the standard.
pub(crate) const KNOWN: [&str; 12] = [
    "manual",
    "bash",
    "ssh",
    "powershell",
    "caldera-cmd",
    "elastic",
    "jupyter",
    "kestrel",
    "sigma",
    "yara",
    "http-api",
    "openc2-http",
];

/// How the text of a command is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `command` or `command_b64`.
    Either,
    /// `command_b64` alone.
    Encoded,
    /// An HTTP start line in `command`.
    Http,
    /// One with method POST and a content in base64.
    OpenC2,
    /// Its handler knows.
    Open,
}

fn form(kind: &str) -> Form {
    match kind {
        "manual" | "bash" | "ssh" | "powershell" | "caldera-cmd" => Form::Either,
        "elastic" | "jupyter" | "kestrel" | "sigma" | "yara" => Form::Encoded,
        "http-api" => Form::Http,
        "openc2-http" => Form::OpenC2,
        _ => Form::Open,
    }
}

impl Reader<'_> {
    /// Reads a command; `instead` is what a person is asked to do when it has neither text nor
    /// description.
    pub(super) fn command(
        &mut self,
        spot: &Spot,
        node: &Node,
        index: usize,
        instead: &str,
    ) -> Option<Command> {
        let spot = spot
            .clone()
            .called(format!("{} command {}", spot.subject, index + 1));
        if !matches!(node.value, Value::Map(_)) {
            let what = format!("is {}; it must be an object with a type", shown(node));
            self.error("value-invalid", &spot, what);
            return None;
        }
        let Some(kind) = self.text(&spot, node, "type") else {
            if node.get("type").is_none() {
                let what = "type is missing; nothing says who does it; add one";
                self.error("field-missing", &spot, what);
            }
            return None;
        };
        self.command_properties(&spot, node, &kind);
        let mut command = Command {
            kind: kind.clone(),
            text: String::new(),
            headers: self.headers(&spot, node),
            content: self.text(&spot, node, "content"),
            content_bytes: None,
            fields: object(node.entries()),
            spot: spot.clone(),
        };
        if let Some(encoded) = self.text(&spot, node, "content_b64") {
            if command.content.is_some() {
                let what = "content and content_b64 together; which one counts is open; keep one";
                self.error("command-text", &spot, what);
            }
            match self.decoded(&spot, "content_b64", &encoded) {
                Some(Ok(text)) => command.content = Some(text),
                Some(Err(())) => command.content_bytes = Some(without_blanks(&encoded)),
                None => {}
            }
        }
        let described = self.text(&spot, node, "description");
        let described = described.filter(|text| !text.trim().is_empty());
        let instead = described.as_deref().unwrap_or(instead);
        self.command_text(&spot, node, instead, &mut command);
        Some(command)
    }

    fn command_properties(&mut self, spot: &Spot, node: &Node, kind: &str) {
        const COMMON: [&str; 5] = [
            "type",
            "description",
            "version",
            "playbook_activity",
            "external_references",
        ];
        let own: &[&str] = match form(kind) {
            Form::Either => &["command", "command_b64"],
            Form::Encoded => &["command_b64"],
            Form::Http | Form::OpenC2 => &["command", "headers", "content", "content_b64"],
            Form::Open => return,
        };
        let known: Vec<&str> = COMMON.iter().chain(own).copied().collect();
        self.only(spot, node.entries(), &known);
    }

    fn command_text(&mut self, spot: &Spot, node: &Node, instead: &str, command: &mut Command) {
        let form = form(&command.kind);
        // There it is a property without effect, which was told.
        let plain = self
            .text(spot, node, "command")
            .filter(|text| !text.trim().is_empty() && form != Form::Encoded);
        let encoded = self
            .text(spot, node, "command_b64")
            .filter(|text| !text.is_empty());
        let decoded = encoded
            .as_deref()
            .map(|encoded| self.decoded(spot, "command_b64", encoded));
        match (plain, decoded) {
            (Some(_), Some(_)) => {
                let what = "command and command_b64 together; which one counts is open; keep one";
                self.error("command-text", spot, what);
            }
            (Some(text), None) | (None, Some(Some(Ok(text)))) => command.text = text,
            (None, Some(Some(Err(())))) => {
                let what = "command_b64 is no UTF-8 text; it could not be shown or filled in; encode it as UTF-8";
                self.error("base64-invalid", spot, what);
            }
            (None, Some(None)) => {}
            (None, None) if form == Form::Open => {}
            (None, None) => {
                let lacks = match form {
                    Form::Encoded => "no command_b64",
                    Form::Http | Form::OpenC2 => "no command",
                    Form::Either | Form::Open => "neither command nor command_b64",
                };
                let what = format!("{lacks}; there is nothing to run; add one");
                let lenient = format!("{lacks}; a person is asked to do {}", quoted(instead));
                self.repair("repaired-l7", "command-text", spot, what, lenient);
                MANUAL.clone_into(&mut command.kind);
                instead.clone_into(&mut command.text);
                return;
            }
        }
        match form {
            Form::Http | Form::OpenC2 => self.start_line(spot, form, command),
            Form::Either | Form::Encoded | Form::Open => {}
        }
        if form == Form::OpenC2 && node.get("content_b64").is_none() {
            let what = match command.content {
                Some(_) => {
                    "content stands where the standard wants content_b64; others would find nothing to send; write it in base64 as content_b64"
                }
                None => "content_b64 is missing; there is nothing to send; add it",
            };
            self.error("command-text", spot, what);
        }
    }

    fn start_line(&mut self, spot: &Spot, form: Form, command: &Command) {
        let words: Vec<&str> = command.text.split_whitespace().collect();
        let is_method =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase());
        let well = matches!(words[..], [method, _, version] if is_method(method)
            && (form == Form::Http || method == "POST")
            && version.strip_prefix("HTTP/").is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit())));
        if !well {
            let what = format!(
                "{} is no HTTP start line; write e.g. POST /tickets HTTP/1.1",
                quoted(&command.text)
            );
            let lenient = format!(
                "{} is no HTTP start line; its handler gets it as it is; write e.g. POST /tickets HTTP/1.1",
                quoted(&command.text)
            );
            self.repair("repaired-l18", "start-line-invalid", spot, what, lenient);
        }
    }

    fn headers(&mut self, spot: &Spot, node: &Node) -> Vec<(String, Vec<String>)> {
        let Some((entries, place)) = self.object(spot, node, "headers") else {
            return Vec::new();
        };
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            let values = if let Some(text) = entry.value.text() {
                let what = format!(
                    "header {} is a text; it must be a list of texts; write [\"…\"]",
                    quoted(&entry.key)
                );
                self.repair(
                    "repaired-l16",
                    "value-invalid",
                    &place.entry(entry),
                    &what,
                    &what,
                );
                vec![text.to_owned()]
            } else {
                let headers = node.get("headers").map_or(node, |headers| &headers.value);
                let texts = self.texts(&place, headers, &entry.key);
                texts.into_iter().map(|(text, _)| text).collect()
            };
            found.push((entry.key.clone(), values));
        }
        found
    }

    /// The text behind base64, `Err` if it is none; `None` and a report if it is no base64.
    fn decoded(&mut self, spot: &Spot, key: &str, encoded: &str) -> Option<Result<String, ()>> {
        let Ok(bytes) = STANDARD.decode(without_blanks(encoded)) else {
            let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
            let wrong = encoded
                .chars()
                .position(|c| !is_part(c) && !c.is_ascii_whitespace());
            let what = match wrong {
                Some(place) => format!(
                    "character {} of {key} is not base64; it cannot be decoded; encode again",
                    place + 1
                ),
                None => format!(
                    "{key} is not whole base64: its length or its last signs are wrong; it cannot be decoded; encode again"
                ),
            };
            self.error("base64-invalid", spot, what);
            return None;
        };
        Some(String::from_utf8(bytes).map_err(|_| ()))
    }
}

fn without_blanks(encoded: &str) -> String {
    encoded
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect()
}

/// The command type that somebody may have meant.
pub(crate) fn similar(kind: &str) -> Option<&'static str> {
    nearest(kind, KNOWN)
}
