//! One workflow as its author wrote it.

use std::collections::HashMap;

use crate::diagnostic::{Report, Spot, quoted, shortened};
use crate::options::HandlerTypes;
use crate::step_groups::document::{Form, Head};
use crate::step_groups::phase::{self, Phase};
use crate::step_groups::step::{self, Step};
use crate::step_groups::{dependency, field, unsupported};
use crate::suggestion::misspelt;
use crate::tree::{Entry, Meaning, Node, Scalar, Value};

/// Keys that a workflow reads, in every form and place.
const KEYS: [&str; 4] = ["variables", "parameters", "outputs", "steps"];

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
        report.error("name-missing", &head.name_spot, what);
    }
    let mut steps_at = None;
    let mut variables = HashMap::new();
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
                "parameters" => read_parameters(entry, &part.spot, report),
                "outputs" => read_outputs(entry, &part.spot, report),
                "steps" if steps_at.is_none() => steps_at = Some((entry, part.spot.entry(entry))),
                "steps" => {
                    let what = "steps stands at top level and under spec; one of them would be lost; merge them";
                    report.error("duplicate-key", &part.spot.entry(entry).called(""), what);
                }
                key if part.labels.contains(&key) => {}
                _ => not_a_field(entry, &part, report),
            }
        }
    }
    let steps = read_steps(steps_at, &head.spot, handlers, report);
    let numbers = first_by_name(&steps);
    let names_are_unique = check_names(&steps, &numbers, report);
    let phases = phase::form(&steps, report);
    dependency::check(&steps, &phases, &numbers, report);
    Workflow {
        name: head.name,
        name_spot: head.name_spot,
        steps,
        phases,
        names_are_unique,
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
    let spot = part.spot.entry(entry).called("");
    let key = shortened(&entry.key);
    if let Some(meant) = misspelt(&entry.key, &KEYS).or_else(|| misspelt(&entry.key, part.labels)) {
        let what =
            format!("key {key} has no effect here; what it holds would be lost; write {meant}");
        report.repairable("misspelt-key", &spot, what);
        return;
    }
    let what = format!("{key} is kept but not run, because only workflows are run; nothing to do");
    report.info("not-workflow-content", &spot, what);
}

fn read_variables(
    entry: &Entry,
    spot: &Spot,
    known: &mut HashMap<String, (String, u32, bool)>,
    report: &mut Report,
) {
    field::check_scalars(
        report,
        &spot.clone().called(""),
        entry,
        "variable-not-scalar",
    );
    let under_spec = spot.subject == "spec";
    let map = spot.entry(entry);
    for inner in entry.value.entries() {
        let Value::Scalar(Scalar { text, .. }) = &inner.value.value else {
            continue;
        };
        let now = (text.clone(), inner.mark.line, under_spec);
        if let Some((before, line, _)) = known.insert(inner.key.clone(), now)
            && before != *text
        {
            let what = format!(
                "{} is {} in line {line} and {} here; which one counts is undefined; keep one",
                shortened(&inner.key),
                quoted(&before),
                quoted(text)
            );
            report.error("variable-twice", &map.entry(inner).called(""), what);
        }
    }
    refuse(
        entry,
        spot,
        "no reference would find them",
        "put fixed values into config",
        report,
    );
}

fn read_parameters(entry: &Entry, spot: &Spot, report: &mut Report) {
    let list = spot.entry(entry);
    match &entry.value.value {
        Value::List(items) => {
            let mut seen = HashMap::new();
            for (index, item) in items.iter().enumerate() {
                let place = list.item(index, item);
                let name = item.get("name").and_then(|name| name.value.text());
                let place = place.called(match name {
                    Some(name) => format!("parameter {}", shortened(name)),
                    None => format!("parameter {}", index + 1),
                });
                if let Some(what) = wrong_parameter(item, name, &mut seen) {
                    report.error("parameter-invalid", &place, what);
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
    refuse(
        entry,
        spot,
        "a run would not get them",
        "put fixed values into config",
        report,
    );
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
    let what = format!(
        "default {shown} is no {kind}; the run would start with a wrong value; quote it or change type"
    );
    (!fits).then_some(what)
}

fn read_outputs(entry: &Entry, spot: &Spot, report: &mut Report) {
    field::check_scalars(report, &spot.clone().called(""), entry, "field-type");
    refuse(
        entry,
        spot,
        "the run would not return them",
        "remove them and read the outputs of the steps",
        report,
    );
}

fn refuse(entry: &Entry, spot: &Spot, otherwise: &str, fix: &str, report: &mut Report) {
    if !entry.value.is_void() {
        let spot = spot.entry(entry).called("");
        unsupported::refuse(
            report,
            &spot,
            &format!("workflow {}", entry.key),
            otherwise,
            fix,
        );
    }
}

fn read_steps<'a>(
    steps: Option<(&'a Entry, Spot)>,
    workflow: &Spot,
    handlers: &HandlerTypes,
    report: &mut Report,
) -> Vec<Step<'a>> {
    let nothing = "there is nothing to run; add a step";
    let Some((entry, spot)) = steps else {
        report.error("no-steps", workflow, format!("steps is missing; {nothing}"));
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
            report.error("no-steps", &spot, format!("steps is empty; {nothing}"));
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
