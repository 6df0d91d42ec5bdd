//! One workflow as its author wrote it.

use std::collections::HashMap;

use windlass_workflow_model::limits::NAME_BYTES_MAX;
use windlass_workflow_model::name_beside;

use crate::diagnostic::{Report, Spot, quoted};
use crate::limits::STEPS_MAX;
use crate::options::ImportOptions;
use crate::parallel_json::field;
use crate::parallel_json::step::{self, Link, Step};
use crate::pointer::Pointer;
use crate::suggestion::nearest;
use crate::tree::{Meaning, Node, Value};

/// A workflow that was read. What was wrong with it is reported and left out.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) name: &'a str,
    pub(crate) workflow_id: String,
    pub(crate) spot: Spot,
    pub(crate) start: Option<Link<'a>>,
    /// In document order.
    pub(crate) steps: Vec<Step<'a>>,
    /// Steps that something leads to, or seems to, which could not be read.
    pub(crate) meant: Vec<usize>,
}

impl Document<'_> {
    /// The step that a step is a copy of, or itself.
    pub(crate) fn original(&self, step: usize) -> usize {
        self.steps[step].copy.map_or(step, |(original, _)| original)
    }

    /// What the node of a step is called: by its id, and copies by a number beside that.
    pub(crate) fn node_name(&self, step: usize) -> String {
        let Step { id, copy, .. } = &self.steps[step];
        match copy {
            Some((_, number)) => name_beside(id, &number.to_string()),
            None => (*id).to_owned(),
        }
    }
}

const KEYS: [&str; 6] = [
    "name",
    "workflow_id",
    "version",
    "description",
    "start_step",
    "steps",
];

/// Reads the workflow of a file, unless there is none in it. `dropped` is what stands under keys
/// that came again.
pub(crate) fn read<'a>(
    root: &'a Node,
    dropped: &[Node],
    options: &ImportOptions,
    report: &mut Report,
) -> Option<Document<'a>> {
    let spot = Spot {
        document: Some(1),
        pointer: Some(Pointer::default()),
        mark: Some(root.mark),
        ..Spot::default()
    };
    let steps = root.get("steps");
    if let Some(other) = steps.filter(|steps| !matches!(steps.value.value, Value::Map(_))) {
        let what = format!(
            "is {}; steps are an object here, each under its id; write them so or pass the workflow document",
            field::shown(&other.value)
        );
        report.error("not-a-workflow", &field::spot(&spot, other), what);
        return None;
    }
    let Some(steps) = steps.filter(|steps| !steps.value.entries().is_empty()) else {
        let what = "no steps object; it looks like input data or an agent record; pass the workflow document";
        report.error("not-a-workflow", &spot, what);
        return None;
    };
    for entry in root.entries() {
        if !KEYS.contains(&entry.key.as_str()) {
            let what = "not a field of this format; it is kept as a label and has no effect; remove it if that is not meant";
            report.warning("unknown-key", &field::spot(&spot, entry), what);
        }
    }
    let name = read_name(root, &spot, report);
    let workflow_id = read_id(root, &spot, name, report);
    check_version(root, &spot, report);
    let start = read_start(root, &spot, report);
    let map = field::spot(&spot, steps);
    let entries = steps.value.entries();
    if entries.len() > STEPS_MAX {
        let what = format!(
            "{} steps, the limit is {STEPS_MAX}; runs could not be followed any more; split the workflow",
            entries.len()
        );
        report.error("expansion-too-large", &map, what);
        return None;
    }
    let steps = entries
        .iter()
        .map(|entry| step::read(entry, field::spot(&map, entry), options, report));
    let mut document = Document {
        name,
        workflow_id,
        steps: steps.collect(),
        spot,
        start,
        meant: Vec::new(),
    };
    document.find_targets(dropped, report);
    Some(document)
}

fn read_name<'a>(root: &'a Node, spot: &Spot, report: &mut Report) -> &'a str {
    let name = field::text(report, spot, root, "name").unwrap_or_default();
    let entry = root.get("name");
    if entry.is_some_and(|entry| entry.value.meaning() != Some(Meaning::Text(name))) {
        return name;
    }
    let at = entry.map_or_else(
        || field::missing_spot(spot, "name"),
        |entry| field::spot(spot, entry),
    );
    if name.trim().is_empty() {
        report.error(
            "field-missing",
            &at,
            "missing; runs are listed by it; add it",
        );
    }
    let characters = name.chars().count();
    if characters > 255 {
        let what = format!("{characters} characters; rows repeat it; use 1 to 255");
        report.error("id-invalid", &at, what);
    }
    name
}

/// The identity: what the file says, or what becomes of its name.
fn read_id(root: &Node, spot: &Spot, name: &str, report: &mut Report) -> String {
    if let Some(written) = field::text(report, spot, root, "workflow_id") {
        let at = field::place(spot, root, "workflow_id");
        if written.len() > NAME_BYTES_MAX {
            let what = format!(
                "{} bytes, the limit is {NAME_BYTES_MAX}; runs are found by it; shorten it",
                written.len()
            );
            report.error("id-invalid", &at, what);
        }
        if !written.trim().is_empty() {
            return written.to_owned();
        }
        if root.get("workflow_id").is_some() {
            let what = "empty; runs are found by it; write one or leave it out";
            report.error("field-missing", &at, what);
        }
    }
    let id = slug(name);
    // Characters are counted above; the engine counts bytes.
    if id.len() > NAME_BYTES_MAX && name.chars().count() <= 255 {
        let what = format!(
            "the workflow_id that it becomes has {} bytes, the limit is {NAME_BYTES_MAX}; runs are found by it; add a shorter workflow_id",
            id.len()
        );
        report.error("id-invalid", &field::place(spot, root, "name"), what);
    }
    id
}

/// A name in lower case, other runs of characters turned to `-`.
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    // A name of signs alone still needs an identity.
    if words.is_empty() {
        return "workflow".to_owned();
    }
    words.join("-")
}

fn check_version(root: &Node, spot: &Spot, report: &mut Report) {
    let Some(entry) = root.get("version") else {
        return;
    };
    match entry.value.meaning() {
        Some(Meaning::Text(_) | Meaning::Integer(_) | Meaning::Float(_)) => {}
        _ => field::mistyped(report, spot, entry, "a text or a number"),
    }
}

fn read_start<'a>(root: &'a Node, spot: &Spot, report: &mut Report) -> Option<Link<'a>> {
    let Some(entry) = root.get("start_step") else {
        let what = "missing; a run would not know where to begin; add it";
        report.error(
            "field-missing",
            &field::missing_spot(spot, "start_step"),
            what,
        );
        return None;
    };
    let id = field::text(report, spot, root, "start_step")?;
    Some(Link {
        id,
        spot: field::spot(spot, entry),
        target: None,
    })
}

impl Document<'_> {
    /// Finds the step that each link names, and reports those that name none.
    fn find_targets(&mut self, dropped: &[Node], report: &mut Report) {
        let index: HashMap<&str, usize> = (0..).zip(&self.steps).map(|(n, s)| (s.id, n)).collect();
        let ids: Vec<&str> = self.steps.iter().map(|step| step.id).collect();
        let texts = dropped.iter().flat_map(Node::texts);
        let texts = texts.chain(
            self.steps
                .iter()
                .flat_map(|step| step.unread.iter().copied()),
        );
        self.meant = texts.filter_map(|id| index.get(id).copied()).collect();
        let start = self.start.iter_mut();
        let links = start.chain(self.steps.iter_mut().flat_map(|step| step.links()));
        for link in links {
            link.target = index.get(link.id).copied();
            if link.target.is_none() {
                let known = if report.is_crowded() {
                    &[]
                } else {
                    ids.as_slice()
                };
                let near = nearest(link.id, known.iter().copied());
                self.meant.extend(near.and_then(|near| index.get(near)));
                let fix = near.map_or_else(
                    || "add it or correct the id".to_owned(),
                    |near| format!("did you mean {near:?}?"),
                );
                let what = format!("no step {}; the chain would break; {fix}", quoted(link.id));
                report.error("unknown-step", &link.spot, what);
            }
        }
    }
}
