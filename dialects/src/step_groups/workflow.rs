//! One workflow as its author wrote it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value as Json;

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::number;
use crate::options::HandlerTypes;
use crate::step_groups::begin::{Parameter, ParameterKind};
use crate::step_groups::document::{Form, Head};
use crate::step_groups::phase::{self, Phase};
use crate::step_groups::step::{self, Step};
use crate::step_groups::{dependency, digits, field, keys, setters};
use crate::suggestion::misspelt;
use crate::tree::{Entry, Meaning, Node, Scalar, Value};

/// Keys that a workflow reads, in every form and place.
const KEYS: [&str; 4] = ["variables", "parameters", "outputs", "steps"];

/// Keys that a parameter has.
const PARAMETER_KEYS: [&str; 5] = ["name", "type", "required", "default", "description"];

/// Types of a workflow's parameters.
const PARAMETER_TYPES: [&str; 4] = ["string", "number", "boolean", "object"];

/// A workflow that was read. What was wrong with it is reported and left out.
pub(crate) struct Workflow<'a> {
    pub(crate) name: Option<String>,
    pub(crate) name_spot: Spot,
    pub(crate) steps: Vec<Step<'a>>,
    pub(crate) phases: Vec<Phase>,
    /// Whether names are unique, so that a graph can be made of it.
    pub(crate) names_are_unique: bool,
    /// The first step of each name.
    pub(crate) numbers: HashMap<&'a str, usize>,
    /// What each step waits for inside its phase, directly or not.
    pub(crate) waits: Vec<BTreeSet<usize>>,
    /// As written; the one that stands last in the file counts.
    pub(crate) variables: Vec<(&'a str, &'a str)>,
    pub(crate) parameters: Vec<Parameter>,
    /// Maps of results, with the place of what holds each.
    pub(crate) outputs: Vec<(&'a Entry, Spot)>,
}

/// A map that holds fields of the workflow, with the keys in it that are only labels.
struct Part<'a> {
    map: &'a Node,
    spot: Spot,
    labels: &'static [&'static str],
}

/// Reads the workflow of `head`.
pub(crate) fn read<'a>(
    head: Head<'a>,
    handlers: &HandlerTypes,
    report: &mut Report,
) -> Workflow<'a> {
    if head.name.is_none() {
        let what = "metadata.name is missing; runs and sub-workflows need it; add one";
        report.missing("name-missing", &head.name_spot, "name", what);
    }
    let is_bare = head.form == Form::Bare;
    let mut steps_at = None;
    let mut variables = Vec::new();
    let (mut parameters, mut seen) = (Vec::new(), HashMap::new());
    let mut outputs: Vec<(&Entry, Spot)> = Vec::new();
    for part in parts(&head) {
        if !matches!(part.map.value, Value::Map(_)) && !part.map.is_null() {
            let what = format!(
                "it is {}; it must be a map; write its fields as keys",
                field::shown(part.map)
            );
            report.error("field-type", &part.spot, what);
        }
        for entry in part.map.entries() {
            match entry.key.as_str() {
                "variables" => read_variables(entry, &part.spot, &mut variables, report),
                "parameters" => {
                    parameters.extend(read_parameters(entry, &part.spot, &mut seen, report));
                }
                "outputs" => {
                    let spot = part.spot.clone().called("");
                    field::check_scalars(report, &spot, entry, "field-type");
                    if let Some((first, _)) = outputs.first() {
                        check_outputs(first, entry, &spot, report);
                    }
                    outputs.push((entry, spot));
                }
                "steps" if steps_at.is_none() => steps_at = Some((entry, part.spot.entry(entry))),
                "steps" => {
                    let what = "steps stands at top level and under spec; one of them would be lost; merge them";
                    report.error("duplicate-key", &part.spot.entry(entry).called(""), what);
                }
                "name" if is_bare => drop(field::text(report, &part.spot, entry)),
                key if part.labels.contains(&key) => {}
                _ => not_a_field(entry, &part, report),
            }
        }
    }
    let steps = read_steps(steps_at, &head.spot, handlers, report);
    let numbers = first_by_name(&steps);
    let names_are_unique = check_names(&steps, &numbers, report);
    let phases = phase::form(&steps, report);
    let waits = dependency::check(&steps, &phases, &numbers, report);
    setters::check(&steps, &phases, &waits, report);
    Workflow {
        name: head.name,
        name_spot: head.name_spot,
        steps,
        phases,
        names_are_unique,
        numbers,
        waits,
        variables: variables
            .into_iter()
            .map(|known| (known.name, known.text))
            .collect(),
        parameters,
        outputs,
    }
}

fn parts<'a>(head: &Head<'a>) -> Vec<Part<'a>> {
    let labels: &[&str] = match head.form {
        Form::Full => &["apiVersion", "kind", "metadata", "spec"],
        Form::Bare => &["apiVersion", "metadata", "spec", "name", "description"],
        Form::Application => &["description", "triggers"],
    };
    let own = Part {
        map: head.body,
        spot: head.spot.clone(),
        labels,
    };
    let spec = head
        .body
        .get("spec")
        .filter(|_| head.form != Form::Application);
    let spec = spec.map(|entry| Part {
        map: &entry.value,
        spot: head.spot.entry(entry).called("spec"),
        labels: &["triggers"],
    });
    let own = Part {
        spot: own.spot.called(""),
        ..own
    };
    [own].into_iter().chain(spec).collect()
}

fn not_a_field(entry: &Entry, part: &Part<'_>, report: &mut Report) {
    let map = part.spot.clone().called("");
    if let Some(meant) = misspelt(&entry.key, &KEYS).or_else(|| misspelt(&entry.key, part.labels)) {
        lost(entry, &map, meant, report);
        return;
    }
    let (spot, key) = (map.entry(entry), shortened(&entry.key));
    let what = format!("{key} is kept but not run, because only workflows are run; nothing to do");
    report.info("not-workflow-content", &spot, what);
}

/// A variable of the workflow.
struct Variable<'a> {
    name: &'a str,
    text: &'a str,
    line: u32,
}

fn read_variables<'a>(
    entry: &'a Entry,
    spot: &Spot,
    known: &mut Vec<Variable<'a>>,
    report: &mut Report,
) {
    field::check_scalars(
        report,
        &spot.clone().called(""),
        entry,
        "variable-not-scalar",
    );
    let map = spot.entry(entry);
    let before: HashMap<&str, usize> = known
        .iter()
        .enumerate()
        .map(|(index, variable)| (variable.name, index))
        .collect();
    for inner in entry.value.entries() {
        let Value::Scalar(Scalar { text, .. }) = &inner.value.value else {
            continue;
        };
        let text = if inner.value.is_null() { "" } else { text };
        if let Some(first) = before.get(inner.key.as_str()).map(|index| &known[*index]) {
            if first.text != text {
                let what = format!(
                    "{} is {} in line {} and {} here; which one counts is undefined; keep one",
                    shortened(&inner.key),
                    quoted(first.text),
                    first.line,
                    quoted(text)
                );
                report.error("variable-twice", &map.entry(inner).called(""), what);
            }
            continue;
        }
        known.push(Variable {
            name: &inner.key,
            text,
            line: inner.mark.line,
        });
    }
}

/// Reports results of one name with two texts, at top level and under spec.
fn check_outputs(first: &Entry, second: &Entry, spot: &Spot, report: &mut Report) {
    for entry in second.value.entries() {
        let known = first.value.entries().iter();
        let mut known = known.filter(|known| known.key == entry.key);
        if let Some(known) = known.find(|known| known.value.text() != entry.value.text()) {
            let what = format!(
                "outputs.{} stands at top level (line {}) and under spec with other text; one of them would be lost; keep one",
                shortened(&entry.key),
                known.mark.line
            );
            let at = spot.entry(second).entry(entry);
            report.error("duplicate-key", &at, what);
        }
    }
}

fn read_parameters<'a>(
    entry: &'a Entry,
    spot: &Spot,
    seen: &mut HashMap<&'a str, u32>,
    report: &mut Report,
) -> Vec<Parameter> {
    let list = spot.entry(entry);
    let mut parameters = Vec::new();
    match &entry.value.value {
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let place = list.item(index, item);
                let name = item.get("name").and_then(|name| name.value.text());
                let place = place.called(match name {
                    Some(name) => format!("parameter {}", shortened(name)),
                    None => format!("parameter {}", index + 1),
                });
                let required = read_keys(item, &place, report);
                match wrong_parameter(item, name, seen) {
                    Some(what) => report.error("parameter-invalid", &place, what),
                    None => {
                        parameters.extend(name.and_then(|name| parameter(item, name, required)));
                    }
                }
            }
        }
        Value::Scalar(_) if entry.value.is_null() => {}
        Value::Scalar(_) | Value::Map(_) => {
            field::mistyped(
                report,
                &spot.clone().called(""),
                entry,
                "a list",
                "write one item per parameter",
            );
        }
    }
    parameters
}

/// Reports keys of a parameter that nothing reads; whether it says that it is required.
fn read_keys(item: &Node, place: &Spot, report: &mut Report) -> bool {
    let mut required = None;
    for entry in item.entries() {
        let key = entry.key.as_str();
        if key == "required" {
            required = field::bool(report, place, entry);
        } else if let Some(meant) = keys::misspelt(key, &PARAMETER_KEYS) {
            lost(entry, place, meant, report);
        } else if !PARAMETER_KEYS.contains(&key) {
            let what = format!(
                "{} is kept but not run, because only name, type, required, default and description are read; nothing to do",
                shortened(key)
            );
            report.info("not-workflow-content", &place.entry(entry), what);
        }
    }
    required.unwrap_or_default()
}

fn lost(entry: &Entry, map: &Spot, meant: &str, report: &mut Report) {
    let key = shortened(&entry.key);
    let what = format!("key {key} has no effect here; what it holds would be lost; write {meant}");
    report.repairable("misspelt-key", &map.entry(entry), what);
}

fn parameter(item: &Node, name: &str, required: bool) -> Option<Parameter> {
    let kind = match item.get("type")?.value.text()? {
        "string" => ParameterKind::String,
        "number" => ParameterKind::Number,
        "boolean" => ParameterKind::Boolean,
        "object" => ParameterKind::Object,
        _ => return None,
    };
    Some(Parameter {
        name: name.to_owned(),
        kind,
        required,
        default: item.get("default").map(|entry| plain(&entry.value)),
        digits: item
            .get("default")
            .and_then(|entry| digits::of(&entry.value)),
    })
}

/// A value of the file as JSON; what JSON would change stays text. Recursive; the reader bounds the
/// depth of a tree.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::List(items) => Json::Array(items.iter().map(plain).collect()),
        Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|entry| (entry.key.clone(), plain(&entry.value)));
            Json::Object(entries.collect())
        }
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Null => Json::Null,
            Meaning::Bool(value) => Json::Bool(value),
            Meaning::Integer(text) | Meaning::Float(text) => {
                number::exact(text).map_or_else(|| text.into(), Json::Number)
            }
            Meaning::Text(text) => text.into(),
        },
    }
}

fn wrong_parameter<'a>(
    item: &'a Node,
    name: Option<&'a str>,
    seen: &mut HashMap<&'a str, u32>,
) -> Option<String> {
    let Some(name) = name else {
        return Some("no name; nothing could be passed to it; add one".to_owned());
    };
    if let Some(line) = seen.insert(name, item.mark.line) {
        return Some(format!(
            "the name is used in line {line}; a value would be meant for both; rename one"
        ));
    }
    let kind = item.get("type").and_then(|kind| kind.value.text());
    let Some(kind) = kind.filter(|kind| PARAMETER_TYPES.contains(kind)) else {
        let kind = kind.map_or_else(|| "missing".to_owned(), quoted);
        return Some(format!(
            "type is {kind}; values could not be checked; use string, number, boolean or object"
        ));
    };
    let default = item.get("default")?;
    let fits = match (kind, default.value.meaning()) {
        ("string", Some(Meaning::Text(_)))
        | ("number", Some(Meaning::Integer(_) | Meaning::Float(_)))
        | ("boolean", Some(Meaning::Bool(_))) => true,
        ("object", None) => matches!(default.value.value, Value::Map(_)),
        _ => false,
    };
    let shown = field::shown(&default.value);
    let unquoted = match &default.value.value {
        Value::Scalar(scalar) => Scalar {
            plain: true,
            ..scalar.clone()
        },
        Value::List(_) | Value::Map(_) => Scalar {
            text: String::new(),
            plain: true,
        },
    };
    let cure = match (kind, unquoted.meaning()) {
        ("string", _) if default.value.meaning().is_none() => "write text, or change type",
        ("string", _) => "quote it or change type",
        ("number", Meaning::Integer(_) | Meaning::Float(_)) | ("boolean", Meaning::Bool(_)) => {
            "write it without quotes or change type"
        }
        ("number", _) => "write a number or change type",
        ("boolean", _) => "write true or false, or change type",
        _ => "write names and their values, or change type",
    };
    let what =
        format!("default {shown} is no {kind}; the run would start with a wrong value; {cure}");
    (!fits).then_some(what)
}

fn read_steps<'a>(
    steps: Option<(&'a Entry, Spot)>,
    workflow: &Spot,
    handlers: &HandlerTypes,
    report: &mut Report,
) -> Vec<Step<'a>> {
    let nothing = "there is nothing to run; add a step";
    let Some((entry, spot)) = steps else {
        let what = format!("steps is missing; {nothing}");
        report.missing("no-steps", workflow, "steps", what);
        return Vec::new();
    };
    let spot = spot.called("");
    match &entry.value.value {
        Value::List(items) if !items.is_empty() => {
            let steps = items.iter().enumerate();
            let steps = steps.map(|(index, item)| {
                step::read(item, spot.item(index, item), index + 1, handlers, report)
            });
            steps.collect()
        }
        Value::Map(entries) if !entries.is_empty() => {
            let what = "steps is a map; it must be a list; begin each step with a dash";
            report.error("field-type", &spot, what);
            Vec::new()
        }
        Value::Scalar(_) if !entry.value.is_null() => {
            let what = format!(
                "steps is {}; it must be a list; begin each step with a dash",
                field::shown(&entry.value)
            );
            report.error("field-type", &spot, what);
            Vec::new()
        }
        Value::List(_) | Value::Map(_) | Value::Scalar(_) => {
            report.missing("no-steps", &spot, "", format!("steps is empty; {nothing}"));
            Vec::new()
        }
    }
}

/// The first step of each name, as an index.
fn first_by_name<'a>(steps: &[Step<'a>]) -> HashMap<&'a str, usize> {
    let mut first = HashMap::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        if let Some(name) = step.name {
            first.entry(name).or_insert(index);
        }
    }
    first
}

fn check_names(steps: &[Step<'_>], first: &HashMap<&str, usize>, report: &mut Report) -> bool {
    let mut unique = true;
    for (index, step) in steps.iter().enumerate() {
        let Some(name) = step.name else { continue };
        let owner = first[name];
        if owner != index {
            unique = false;
            let what = format!(
                "name {} belongs to step {}; references would be ambiguous; rename one",
                quoted(name),
                owner + 1
            );
            let spot = step.spot.clone().called(format!("step {}", index + 1));
            report.error("duplicate-step", &spot, what);
        }
    }
    unique
}
