//! Handlers as a file describes them: step type → a program or a simulation.
//!
//! Owns the grammar of `[handlers.TYPE]`, which stands in a file of its own or in `windlass.toml`.
//! Reports every problem at once. Starts nothing.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use windlass::Definition;
use windlass_dialects::Dialect;

use crate::failure::Failure;
use crate::playbook::CommandKind;
use crate::time_text::DurationText;
use crate::toml_text::TomlText;

/// The type that the command line serves itself; an entry without an action sets its policy.
pub(crate) const SHELL: &str = "shell";

/// The type of commands that people do.
const MANUAL: &str = "manual";

/// The entry that serves every type without one of its own, but never [`SHELL`].
pub(crate) const ANY: &str = "*";

/// Tries of one step: more than a million is a loop that never ends.
const ATTEMPTS_MAX: u32 = 1_000_000;

const KEYS: [&str; 8] = [
    "command",
    "timeout",
    "attempts",
    "backoff",
    "simulate",
    "output",
    "fail",
    "fail_attempts",
];

/// A handlers file is kept with each run, so it may not be endless.
const FILE_BYTES_MAX: usize = 1 << 20;

/// The text of a handlers file.
///
/// # Errors
/// A refusal: the file cannot be read or is too large.
pub(crate) fn handlers_text(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::refused(format!(
            "handlers file {name} cannot be read ({error}); correct --handlers or the file"
        ))
    })?;
    if text.len() > FILE_BYTES_MAX {
        return Err(Failure::refused(format!(
            "handlers file {name} has more than {FILE_BYTES_MAX} bytes, too many to be stored with the run; shorten it"
        )));
    }
    Ok(text)
}

/// How the steps of one type are done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HandlerEntry {
    /// What does the work.
    pub(crate) action: Action,
    /// How long one attempt may take, when the step itself sets no limit.
    pub(crate) timeout: Option<Duration>,
    /// Tries in all. Default 1.
    pub(crate) attempts: u32,
    /// Pause before the second try, doubled after each; also how long a program that says "later"
    /// is left alone. Default 1 s.
    pub(crate) backoff: Duration,
}

impl Default for HandlerEntry {
    fn default() -> Self {
        Self {
            action: Action::Shell,
            timeout: None,
            attempts: 1,
            backoff: Duration::from_secs(1),
        }
    }
}

/// What does the work of a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// A program and its arguments.
    Program(Vec<String>),
    /// Nothing, for some time.
    Simulation(Simulation),
    /// The shell, with `config.command` of the step.
    Shell,
    /// What does the commands of playbooks here.
    Command,
}

/// A handler that only pretends.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Simulation {
    /// How long it takes.
    pub(crate) takes: Duration,
    /// What it gives; `None` is nothing but what the file reads.
    pub(crate) output: Option<Json>,
    /// The message it fails with.
    pub(crate) fail: Option<String>,
    /// How many attempts fail before one succeeds; `None` is all of them.
    pub(crate) fail_attempts: Option<u32>,
}

/// All entries, by step type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HandlerEntries(pub(crate) BTreeMap<String, HandlerEntry>);

impl HandlerEntries {
    /// Reads the text of a file whose only top-level key is `handlers`.
    ///
    /// # Errors
    /// A refusal with every problem.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let (mut toml, table) = TomlText::parse(name, text);
        let mut entries = Self::default();
        for (key, value) in &table {
            match key.get_ref().as_ref() {
                "handlers" => entries = Self::from_toml(&mut toml, value),
                unknown => toml.unknown_key(&key.span(), unknown, ["handlers"]),
            }
        }
        if toml.problems.is_empty() {
            Ok(entries)
        } else {
            Err(Failure::all(toml.problems))
        }
    }

    /// Reads the table `handlers` of a file; problems are noted there.
    pub(crate) fn from_toml<'t>(toml: &mut TomlText<'t>, handlers: &Spanned<DeValue<'t>>) -> Self {
        let Some(types) = handlers.get_ref().as_table() else {
            toml.problem(
                &handlers.span(),
                "handlers is no table; write [handlers.TYPE] and settings under it",
            );
            return Self::default();
        };
        let entries = types.iter().filter_map(|(kind, value)| {
            let name = kind.get_ref().to_string();
            let Some(table) = value.get_ref().as_table() else {
                let what = format!(
                    "handlers.{name} is no table; write [handlers.{name}] and settings under it"
                );
                toml.problem(&value.span(), what);
                return None;
            };
            let entry = EntryReader {
                toml,
                name: &name,
                table,
                at: kind.span(),
            }
            .read();
            Some((name, entry))
        });
        Self(entries.collect())
    }

    /// Takes over the entries of `more`, which win over ours.
    pub(crate) fn overlay(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    /// The entry that serves a step type; the built-in shell counts as one of [`SHELL`].
    pub(crate) fn serving(&self, kind: &str) -> Option<HandlerEntry> {
        if let Some(entry) = self.0.get(kind) {
            return Some(entry.clone());
        }
        if kind == SHELL {
            return Some(HandlerEntry::default());
        }
        self.0.get(ANY).cloned()
    }

    /// The entry that serves a step of a workflow. For commands of playbooks the built-in ones count as
    /// entries of their types, unless the entry for any type is a simulation: that is a rehearsal.
    pub(crate) fn serving_in(&self, definition: &Definition, kind: &str) -> Option<HandlerEntry> {
        let is_playbook = definition
            .source()
            .is_some_and(|source| source.dialect == Dialect::Cacao.as_str());
        let is_rehearsal = self.rehearses();
        if is_playbook
            && !is_rehearsal
            && !self.0.contains_key(kind)
            && command_kind(kind).is_some()
        {
            return Some(HandlerEntry {
                action: Action::Command,
                ..HandlerEntry::default()
            });
        }
        self.serving(kind)
    }

    /// Whether whatever has no entry of its own is only simulated.
    pub(crate) fn rehearses(&self) -> bool {
        let any = self.0.get(ANY);
        any.is_some_and(|entry| matches!(entry.action, Action::Simulation(_)))
    }

    /// Every type that has an entry for playbooks. What people do is theirs unless it has one, or all
    /// is simulated.
    pub(crate) fn command_types(&self) -> Vec<String> {
        let mut types = self.types();
        types.extend(CommandKind::ALL.map(|kind| kind.as_str().to_owned()));
        if self.rehearses() {
            types.push(MANUAL.to_owned());
        }
        types.sort_unstable();
        types.dedup();
        types
    }

    /// Whether the steps of type [`SHELL`] are done by the shell and not by an entry's program.
    pub(crate) fn uses_shell(&self) -> bool {
        let served = self.serving(SHELL);
        served.is_some_and(|entry| entry.action == Action::Shell)
    }

    /// Every type that has an entry, and the built-in one.
    pub(crate) fn types(&self) -> Vec<String> {
        let mut types: Vec<_> = self.0.keys().cloned().collect();
        if !self.0.contains_key(SHELL) {
            types.push(SHELL.to_owned());
        }
        types
    }
}

/// The command that steps of a type are, whoever they are narrowed to.
pub(crate) fn command_kind(kind: &str) -> Option<CommandKind> {
    CommandKind::of(kind.split('@').next().unwrap_or(kind))
}

struct EntryReader<'r, 't> {
    toml: &'r mut TomlText<'t>,
    name: &'r str,
    table: &'r DeTable<'t>,
    at: Range<usize>,
}

impl EntryReader<'_, '_> {
    fn read(mut self) -> HandlerEntry {
        for key in self.table.keys() {
            if !KEYS.contains(&key.get_ref().as_ref()) {
                self.toml.unknown_key(&key.span(), key.get_ref(), KEYS);
            }
        }
        let default = HandlerEntry::default();
        HandlerEntry {
            action: self.action(),
            timeout: self.duration("timeout").filter(|limit| !limit.is_zero()),
            attempts: self.count("attempts", 1).unwrap_or(default.attempts),
            backoff: self.duration("backoff").unwrap_or(default.backoff),
        }
    }

    fn action(&mut self) -> Action {
        let simulates = KEYS[4..].iter().find(|key| self.table.contains_key(**key));
        match (self.table.contains_key("command"), simulates) {
            (true, Some(key)) => {
                self.entry_problem(&format!("command and {key} exclude each other: a handler is a program or a simulation; drop one"));
                Action::Shell
            }
            (true, None) => Action::Program(self.command()),
            (false, Some(_)) => Action::Simulation(self.simulation()),
            (false, None) if self.name == SHELL => Action::Shell,
            (false, None) if command_kind(self.name).is_some() => Action::Command,
            (false, None) => {
                self.entry_problem(
                    "neither command nor simulate is set, so nothing would do the work; add one",
                );
                Action::Shell
            }
        }
    }

    fn command(&mut self) -> Vec<String> {
        let Some(value) = self.table.get("command") else {
            return Vec::new();
        };
        let words: Option<Vec<String>> = value.get_ref().as_array().and_then(|items| {
            let texts = items.iter().map(|item| item.get_ref().as_str());
            texts.map(|text| text.map(str::to_owned)).collect()
        });
        match words {
            Some(words) if words.first().is_some_and(|program| !program.is_empty()) => words,
            _ => {
                self.key_problem("command", &value.span(), "must be a list of texts, the program first; write [\"./program\", \"argument\"]");
                Vec::new()
            }
        }
    }

    fn simulation(&mut self) -> Simulation {
        let output = self.table.get("output");
        let output = output.map(|value| self.toml.json(value));
        let fail_attempts = self.count("fail_attempts", 0);
        let fail = self.text("fail");
        if let (Some(value), false) = (
            self.table.get("fail_attempts"),
            self.table.contains_key("fail"),
        ) {
            let why = "has no effect without fail; add fail = \"MESSAGE\", or drop it";
            self.key_problem("fail_attempts", &value.span(), why);
        }
        Simulation {
            takes: self.duration("simulate").unwrap_or_default(),
            output,
            fail,
            fail_attempts,
        }
    }

    fn duration(&mut self, key: &str) -> Option<Duration> {
        let value = self.table.get(key)?;
        let parsed = match value.get_ref().as_str() {
            Some(text) => text.parse::<DurationText>(),
            None => Err("must be text with a number and a unit; write \"10s\"".to_owned()),
        };
        match parsed {
            Ok(duration) => Some(duration.0),
            Err(why) => {
                self.key_problem(key, &value.span(), &why);
                None
            }
        }
    }

    fn count(&mut self, key: &str, least: u32) -> Option<u32> {
        let value = self.table.get(key)?;
        let number = value.get_ref().as_integer().and_then(|digits| {
            u32::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok()
        });
        match number {
            Some(number) if (least..=ATTEMPTS_MAX).contains(&number) => Some(number),
            _ => {
                let why = format!("must be a whole number from {least} to {ATTEMPTS_MAX}");
                self.key_problem(key, &value.span(), &why);
                None
            }
        }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let value = self.table.get(key)?;
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.key_problem(key, &value.span(), "must be text; put it in quotes");
        }
        text
    }

    fn key_problem(&mut self, key: &str, at: &Range<usize>, why: &str) {
        let what = format!("handlers.{}: {key}: {why}", self.name);
        self.toml.problem(at, what);
    }

    fn entry_problem(&mut self, why: &str) {
        let what = format!("handlers.{}: {why}", self.name);
        self.toml.problem(&self.at, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn programs_and_simulations_are_read_with_their_policies() {
        let text = r#"
[handlers.terraform]
command = ["./tf.sh", "apply"]
timeout = "10m"
attempts = 3
backoff = "250ms"
[handlers."*"]
simulate = "200ms"
output = { id = 7 }
fail = "no luck"
fail_attempts = 1
[handlers.shell]
attempts = 2
"#;
        let entries = HandlerEntries::parse("h.toml", text).unwrap();
        let terraform = entries.serving("terraform").unwrap();
        assert_eq!(
            terraform.action,
            Action::Program(vec!["./tf.sh".into(), "apply".into()])
        );
        assert_eq!(terraform.timeout, Some(Duration::from_mins(10)));
        assert_eq!(
            (terraform.attempts, terraform.backoff.as_millis()),
            (3, 250)
        );
        let Action::Simulation(any) = entries.serving("helm").unwrap().action else {
            panic!("helm is served by the simulation");
        };
        assert_eq!(any.takes, Duration::from_millis(200));
        assert_eq!(any.output, Some(json!({"id": 7})));
        assert_eq!(
            (any.fail.as_deref(), any.fail_attempts),
            (Some("no luck"), Some(1))
        );
        let shell = entries.serving(SHELL).unwrap();
        assert_eq!((shell.action, shell.attempts), (Action::Shell, 2));
    }

    #[test]
    fn the_star_never_serves_the_shell() {
        let entries = HandlerEntries::parse("h", "[handlers.'*']\nsimulate = '1s'").unwrap();
        assert_eq!(entries.serving(SHELL).unwrap().action, Action::Shell);
        assert_eq!(entries.types(), [ANY, SHELL]);
    }

    #[test]
    fn all_problems_are_reported_at_once_with_their_lines() {
        let text = r#"
[handler.x]
[handlers.a]
comand = ["x"]
[handlers.b]
command = "x"
timeout = 5
attempts = 0
[handlers.c]
command = ["x"]
simulate = "1s"
[handlers]
d = 1
[handlers.e]
simulate = "soon"
fail = 3
[handlers.f]
simulate = "1s"
fail_attempts = 2
"#;
        let problems = HandlerEntries::parse("h.toml", text).unwrap_err().problems;
        let expected = [
            ("h.toml:2:", "did you mean \"handlers\"?"),
            ("h.toml:4:", "did you mean \"command\"?"),
            ("h.toml:3:", "neither command nor simulate"),
            ("h.toml:6:", "must be a list"),
            ("h.toml:7:", "a number and a unit"),
            ("h.toml:8:", "from 1 to"),
            ("h.toml:9:", "exclude each other"),
            ("h.toml:13:", "no table"),
            ("h.toml:15:", "\"soon\" is no duration"),
            ("h.toml:16:", "must be text"),
            ("h.toml:19:", "no effect without fail"),
        ];
        for (place, what) in expected {
            assert!(
                problems
                    .iter()
                    .any(|p| p.starts_with(place) && p.contains(what)),
                "{place} {what} in {problems:#?}"
            );
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    }
}
