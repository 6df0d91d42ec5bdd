//! What the references of a workflow can mean.

use std::collections::{BTreeSet, HashMap};

use crate::diagnostic::{Report, Spot, listed, quoted, shortened};
use crate::options::Mode;
use crate::step_groups::condition::{Comparison, Condition, Operand, pattern, split, unquoted};
use crate::step_groups::reference::{Piece, Reading, pieces};
use crate::step_groups::state::Status;
use crate::step_groups::template::{Part, Reference, Template};

/// Everything that a workflow declares.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    /// Workflow variables, those that steps set included.
    pub(crate) variables: BTreeSet<&'a str>,
    pub(crate) process_env: BTreeSet<&'a str>,
    pub(crate) parameters: BTreeSet<&'a str>,
    pub(crate) resources: BTreeSet<&'a str>,
    pub(crate) steps: HashMap<&'a str, usize>,
    /// The name of each step.
    pub(crate) order: Vec<&'a str>,
    /// The type of each step.
    pub(crate) kinds: Vec<Option<&'a str>>,
    /// The phase of each step.
    pub(crate) phases: Vec<usize>,
    /// What each step waits for, directly or not, inside its phase.
    pub(crate) waits: Vec<BTreeSet<usize>>,
}

/// Who reads.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'r> {
    /// `None` after the last phase.
    pub(crate) step: Option<usize>,
    /// Names of its `env`.
    pub(crate) env: &'r BTreeSet<String>,
}

/// Resolves what stands in one workflow.
pub(crate) struct Resolver<'n, 'r> {
    pub(crate) names: &'n Names<'n>,
    /// Names whose values are shown nowhere.
    pub(crate) secrets: &'n [String],
    pub(crate) report: &'r mut Report,
    /// What is read of the context.
    pub(crate) context: BTreeSet<String>,
    /// Whether a text since this was last set to false holds actions that only a handler can
    /// evaluate.
    pub(crate) for_handler: bool,
}

const CONTEXT: [&str; 3] = ["metadata", "environment", "application"];

impl Resolver<'_, '_> {
    fn lenient(&self) -> bool {
        self.report.mode() == Mode::Lenient
    }

    /// A text with its references; what is wrong with them is reported.
    pub(crate) fn template(
        &mut self,
        reader: Reader<'_>,
        spot: &Spot,
        text: &str,
        reading: Reading,
    ) -> Template {
        let pieces = pieces(text, reading);
        if self.reports_actions(&pieces, spot) && self.lenient() {
            return Template::text(text);
        }
        let mut parts = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => parts.push(Part::Text(text)),
                Piece::Open => {
                    let what = "${ is never closed; nothing could be put in; close it with }, or write $${";
                    self.report.repairable("unknown-reference", spot, what);
                    parts.push(Part::Text("${".to_owned()));
                }
                Piece::Ask { inner, raw, soft } => {
                    let raw_text = raw.to_owned();
                    if soft {
                        // The shell's own, unless somebody here has a value for it.
                        let of = Reference::Plain(inner.to_owned());
                        parts.push(Part::Soft { of, raw: raw_text });
                    } else {
                        let of = self.reference(reader, spot, inner, raw);
                        parts.push(Part::Value { of, raw: raw_text });
                    }
                }
                Piece::Action { inner, raw } => {
                    let Some(path) = action(inner) else {
                        parts.push(Part::Text(raw.to_owned()));
                        continue;
                    };
                    let of = self.reference(reader, spot, path, raw);
                    let raw = raw.to_owned();
                    parts.push(Part::Value { of, raw });
                }
            }
        }
        Template(parts)
    }

    /// Reports all actions that only a handler can evaluate; whether there is one.
    fn reports_actions(&mut self, pieces: &[Piece<'_>], spot: &Spot) -> bool {
        let mut found = false;
        for piece in pieces {
            let Piece::Action { inner, .. } = piece else {
                continue;
            };
            if action(inner).is_some() {
                continue;
            }
            found = true;
            let (why, fix) = match self.report.mode() {
                Mode::Strict => (
                    "the text would be wrong",
                    "use step conditions or import leniently",
                ),
                Mode::Lenient => (
                    "the handler gets the text as it is and has to",
                    "use step conditions",
                ),
            };
            let what = format!(
                "template action {} cannot be evaluated here; {why}; {fix}",
                quoted(inner)
            );
            self.report.repairable("template-unsupported", spot, what);
        }
        self.for_handler |= found;
        found
    }

    /// What a reference means.
    fn reference(&mut self, reader: Reader<'_>, spot: &Spot, inner: &str, raw: &str) -> Reference {
        let (head, rest) = match inner.split_once('.') {
            Some((head, rest)) if !rest.is_empty() => (head, Some(rest)),
            _ => (inner, None),
        };
        match (head, rest) {
            ("timestamp", None) => self.of_context(inner),
            (name, None) => {
                let names = self.names;
                let known = reader.env.contains(name)
                    || names.variables.contains(name)
                    || names.process_env.contains(name);
                if known {
                    return Reference::Plain(name.to_owned());
                }
                let tables = [&names.variables, &names.process_env];
                let known = tables.into_iter().flatten().copied();
                let own = reader.env.iter().map(String::as_str);
                self.unknown(spot, raw, known.chain(own))
            }
            ("workflow" | "variables", Some(name)) => self.variable(reader, spot, name, raw),
            ("parameters", Some(path)) => {
                let names = self.names;
                let first = path.split('.').next().unwrap_or_default();
                if names.parameters.contains(path) || names.parameters.contains(first) {
                    return Reference::Parameter(path.to_owned());
                }
                self.unknown(spot, raw, names.parameters.iter().copied())
            }
            ("resources", Some(path)) => {
                let names = self.names;
                let (name, key) = path.split_once('.').unwrap_or((path, ""));
                if names.resources.contains(name) {
                    let (name, key) = (name.to_owned(), key.to_owned());
                    return Reference::Resource { name, key };
                }
                self.unknown(spot, raw, names.resources.iter().copied())
            }
            ("steps", Some(path)) => {
                let output = path.split_once(".output.");
                match output.or_else(|| path.split_once(".outputs.")) {
                    Some((step, key)) => self.output(reader, spot, step, key, raw),
                    None => self.unknown(spot, raw, self.names.steps.keys().copied()),
                }
            }
            (head, Some(_)) if CONTEXT.contains(&head) => self.of_context(inner),
            (step, Some(key)) => self.output(reader, spot, step, key, raw),
        }
    }

    fn of_context(&mut self, path: &str) -> Reference {
        self.context.insert(path.to_owned());
        Reference::Context(path.to_owned())
    }

    fn variable(&mut self, reader: Reader<'_>, spot: &Spot, name: &str, raw: &str) -> Reference {
        let names = self.names;
        if names.variables.contains(name) {
            return Reference::Variable(name.to_owned());
        }
        if !reader.env.contains(name) {
            return self.unknown(spot, raw, names.variables.iter().copied());
        }
        if self.lenient() {
            let what = format!(
                "{raw} exists only in env; the env value is used; write ${{{}}}",
                shortened(name)
            );
            self.report.warning("workflow-prefix-on-env", spot, what);
            return Reference::Plain(name.to_owned());
        }
        let what = format!(
            "{} is no workflow variable and exists only in env; it could never have a value; write ${{{}}}",
            quoted(raw),
            shortened(name)
        );
        self.report.error("unknown-reference", spot, what);
        Reference::Unknown
    }

    fn output(
        &mut self,
        reader: Reader<'_>,
        spot: &Spot,
        step: &str,
        key: &str,
        raw: &str,
    ) -> Reference {
        let names = self.names;
        let mut found = names.steps.get(step).copied();
        if found.is_none() && step == "terraform" && self.lenient() {
            let before = reader.step.unwrap_or(names.kinds.len());
            let earlier = &names.kinds[..before];
            found = earlier.iter().rposition(|kind| *kind == Some("terraform"));
            if let Some(found) = found {
                let name = names.name_of(found);
                let what = format!(
                    "no step is named terraform; the nearest earlier one of this type, {}, is read; write its name",
                    quoted(name)
                );
                self.report.warning("unknown-reference", spot, what);
            }
        }
        let Some(found) = found else {
            return self.unknown(spot, raw, names.steps.keys().copied());
        };
        self.judge_ready(reader, spot, found, raw);
        Reference::Output {
            step: names.name_of(found).to_owned(),
            key: key.to_owned(),
        }
    }

    /// Reports a step that has not settled when the reader begins.
    fn judge_ready(&mut self, reader: Reader<'_>, spot: &Spot, of: usize, raw: &str) {
        let names = self.names;
        let Some(step) = reader.step else { return };
        let is_ready = names.phases[of] < names.phases[step] || names.waits[step].contains(&of);
        if is_ready {
            return;
        }
        let name = shortened(names.name_of(of));
        let what = if of == step {
            format!(
                "{raw} reads the step itself, which has given nothing when it begins; read it in a later step"
            )
        } else if names.phases[of] == names.phases[step] {
            format!(
                "reads {name:?} of the same group; both start together; add dependsOn: [{name}] or move it down"
            )
        } else {
            format!("reads {name:?}, which runs later; it has no value yet; move the step down")
        };
        self.report.error("reference-not-ready", spot, what);
    }

    fn unknown<'k>(
        &mut self,
        spot: &Spot,
        raw: &str,
        known: impl Iterator<Item = &'k str>,
    ) -> Reference {
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        known.dedup();
        let known = if self.report.is_crowded() {
            Vec::new()
        } else {
            known
        };
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            listed(known)
        };
        let what = format!(
            "{} is declared nowhere (known: {known}); it could never have a value; correct it",
            shortened(raw)
        );
        self.report.repairable("unknown-reference", spot, what);
        Reference::Unknown
    }

    /// A condition; `None` if it does not parse, which is reported.
    pub(crate) fn condition(
        &mut self,
        reader: Reader<'_>,
        spot: &Spot,
        key: &str,
        text: &str,
    ) -> Option<Condition> {
        let wrong = |report: &mut Report, why: &str| {
            let what = format!(
                "{key} {} {why}; it has no truth value; complete it",
                quoted(text)
            );
            report.error("condition-syntax", spot, what);
            None
        };
        let cut = split(text);
        let Some((by, right)) = cut.by else {
            let found = self.truth(reader, spot, cut.left);
            return found.or_else(|| {
                wrong(
                    self.report,
                    "is no comparison, and no single name or reference",
                )
            });
        };
        if cut.left.is_empty() {
            return wrong(self.report, "has no left side");
        }
        if right.is_empty() {
            return wrong(self.report, "has no right side");
        }
        if [cut.left, right].into_iter().any(is_unclosed) {
            return wrong(self.report, "has a quote that is never closed");
        }
        self.doubt(spot, cut.left, by, right);
        let left = self.operand(reader, spot, cut.left, Reading::Value);
        if right == "null" && matches!(by, Comparison::Equal | Comparison::Unequal) {
            let negated = by == Comparison::Unequal;
            return Some(Condition::Null { left, negated });
        }
        let reading = match by {
            Comparison::Matches => Reading::Pattern,
            _ => Reading::Value,
        };
        let right = self.operand(reader, spot, right, reading);
        if let (Comparison::Matches, Some(fixed)) = (by, right.text.fixed())
            && let Err(why) = pattern(fixed)
        {
            return wrong(self.report, &format!("cannot be evaluated: {why}"));
        }
        Some(Condition::Compare { left, by, right })
    }

    /// Warns of what is compared as fixed text although it looks like something else.
    fn doubt(&mut self, spot: &Spot, left: &str, by: Comparison, right: &str) {
        for side in [left, right] {
            let Some((shown, step, word)) = self.status_in(side) else {
                continue;
            };
            let is = if side.contains('$') {
                format!("{shown} is an output named {word}")
            } else {
                format!("{shown} has no $ and is a fixed text")
            };
            let other = match status(word) {
                Some(Status::Completed) => "failed",
                Some(Status::Failed | Status::Skipped) | None => "success",
            };
            let what = format!(
                "{is}; the status of step {} is not compared; it may never hold; write {step}.{word} alone, or {step}.{other} for the contrary",
                quoted(step)
            );
            self.report.warning("condition-doubtful", spot, what);
        }
        let denied = DENYING.into_iter().find(|word| left.starts_with(word));
        let joined = |side| JOINING.into_iter().find(|sign| stands_open(side, sign));
        let joined = || {
            let right = Some(right).filter(|_| by != Comparison::Matches);
            joined(left).or_else(|| right.and_then(joined))
        };
        let sign = denied.map(str::trim_end).or_else(joined);
        if let Some(sign) = sign {
            let what = format!(
                "{sign:?} is part of a fixed text that is compared, because a condition has one operator; it may never hold; use when, unless and if together, or quote the text"
            );
            self.report.warning("condition-doubtful", spot, what);
        }
    }

    /// The status that an operand seems to ask for: as written, its step and its word.
    fn status_in<'t>(&self, side: &'t str) -> Option<(&'t str, &'t str, &'t str)> {
        let inner = side
            .strip_prefix("${")
            .and_then(|side| side.strip_suffix('}'));
        let inner = inner.or_else(|| side.strip_prefix('$')).unwrap_or(side);
        let (step, word) = inner.split_once('.')?;
        let known = self.names.steps.contains_key(step) && status(word).is_some();
        known.then_some((side, step, word))
    }

    fn operand(
        &mut self,
        reader: Reader<'_>,
        spot: &Spot,
        text: &str,
        reading: Reading,
    ) -> Operand {
        let (inside, quoted) = unquoted(text);
        if !quoted && reading == Reading::Value && is_bare(inside) {
            if let Some(of) = self.bare(reader, spot, inside) {
                let raw = inside.to_owned();
                let text = Template(vec![Part::Value { of, raw }]);
                return Operand { text, quoted };
            }
            return Operand {
                text: Template::text(inside),
                quoted,
            };
        }
        Operand {
            text: self.template(reader, spot, inside, reading),
            quoted,
        }
    }

    fn bare(&mut self, reader: Reader<'_>, spot: &Spot, text: &str) -> Option<Reference> {
        let shown = shortened(text);
        let what =
            format!("{shown} has no $; two fixed texts would be compared; write ${{{shown}}}");
        self.report.repairable("bare-reference", spot, what);
        self.lenient()
            .then(|| self.reference(reader, spot, text, text))
    }

    /// A condition without an operator.
    fn truth(&mut self, reader: Reader<'_>, spot: &Spot, text: &str) -> Option<Condition> {
        for (word, value) in [("true", true), ("false", false)] {
            if text.eq_ignore_ascii_case(word) {
                return Some(Condition::Constant(value));
            }
        }
        let inner = text
            .strip_prefix("${")
            .and_then(|text| text.strip_suffix('}'));
        let inner = inner.or_else(|| text.strip_prefix('$')).unwrap_or(text);
        let inner = inner.strip_prefix("steps.").unwrap_or(inner);
        if let Some((name, word)) = inner.split_once('.')
            && let Some(status) = status(word)
            && let Some(step) = self.names.steps.get(name).copied()
        {
            self.judge_ready(reader, spot, step, text);
            let step = name.to_owned();
            return Some(Condition::Is { step, status });
        }
        let is_name = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        };
        if is_bare(text) {
            let of = self.bare(reader, spot, text).unwrap_or(Reference::Unknown);
            return Some(Condition::True(of));
        }
        if is_name(text) || (text == inner && is_dotted(text)) {
            let of = self.reference(reader, spot, text, text);
            return Some(Condition::True(of));
        }
        let read = self.template(reader, spot, text, Reading::Value);
        let (of, _) = read.single()?;
        Some(Condition::True(of.clone()))
    }
}

/// How a condition begins that seems to ask for the contrary.
const DENYING: [&str; 2] = ["!", "not "];

/// Signs of other languages and further operators, which mean nothing inside an operand.
const JOINING: [&str; 6] = ["&&", "||", "==", "!=", "<=", ">="];

/// Whether an operand begins with a quote of which there is no second one.
fn is_unclosed(side: &str) -> bool {
    let quote = side.chars().next().filter(|c| matches!(c, '"' | '\''));
    quote.is_some_and(|quote| side.matches(quote).count() == 1)
}

/// Whether a text stands in an operand outside quotes and `${…}`.
fn stands_open(side: &str, text: &str) -> bool {
    let mut inside = None;
    for (at, c) in side.char_indices() {
        match inside {
            Some(end) if c == end => inside = None,
            None if side[at..].starts_with(text) => return true,
            None if side[at..].starts_with("${") => inside = Some('}'),
            None if matches!(c, '"' | '\'') => inside = Some(c),
            Some(_) | None => {}
        }
    }
    false
}

/// Whether an operand looks like a reference without its sign.
fn is_bare(text: &str) -> bool {
    let Some((head, rest)) = text.split_once('.') else {
        return false;
    };
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let is_root = matches!(head, "resources" | "workflow");
    is_root && !rest.is_empty() && text.chars().all(is_plain)
}

fn is_dotted(text: &str) -> bool {
    let mut parts = text.split('.');
    let is_name = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
    };
    text.contains('.') && parts.all(is_name)
}

pub(crate) fn status(word: &str) -> Option<Status> {
    match word {
        "success" | "succeeded" => Some(Status::Completed),
        "failed" | "failure" => Some(Status::Failed),
        "skipped" => Some(Status::Skipped),
        _ => None,
    }
}

/// The reference that an action of a template is, if it is no more than that.
fn action(inner: &str) -> Option<&str> {
    let path = inner.strip_prefix('.')?;
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let known = path.starts_with("parameters.")
        || (path.starts_with("steps.") && path.contains(".output."));
    (known && path.chars().all(is_path)).then_some(path)
}

impl<'a> Names<'a> {
    fn name_of(&self, index: usize) -> &'a str {
        self.order.get(index).copied().unwrap_or_default()
    }
}

/// Reads any text in every way in which one is read, and evaluates what came of it.
#[cfg(fuzzing)]
pub(crate) fn fuzz(text: &str, state: &crate::step_groups::state::State) {
    use crate::step_groups::evaluation::Seen;

    let names = Names {
        variables: ["N", "V"].into(),
        steps: [("a", 0), ("b", 1)].into(),
        order: vec!["a", "b"],
        kinds: vec![Some("t"); 2],
        phases: vec![0, 1],
        waits: vec![BTreeSet::new(); 2],
        ..Names::default()
    };
    let own = ["E".to_owned()].into();
    let reader = Reader {
        step: Some(1),
        env: &own,
    };
    for mode in [Mode::Strict, Mode::Lenient] {
        let mut resolver = Resolver {
            names: &names,
            secrets: &[],
            report: &mut Report::new("f", mode),
            context: BTreeSet::new(),
            for_handler: false,
        };
        let spot = Spot::default();
        let condition = resolver.condition(reader, &spot, "if", text);
        let readings = [Reading::Value, Reading::Script, Reading::Pattern];
        let read = readings.map(|reading| resolver.template(reader, &spot, text, reading));
        let made = (condition, read);
        let kept = serde_json::to_string(&made).unwrap_or_default();
        assert_eq!(serde_json::from_str(&kept).ok().as_ref(), Some(&made));
        let seen = Seen::bare(state, mode == Mode::Lenient);
        if let Some(condition) = &made.0 {
            drop(condition.holds(&seen));
        }
        for template in &made.1 {
            drop(seen.fill(template, "f"));
        }
    }
}
