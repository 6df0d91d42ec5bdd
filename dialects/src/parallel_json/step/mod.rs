//! One step as its author wrote it.

mod agent;
mod conditional;
mod fork_join;
mod keys;
mod link;
mod loops;
mod parallel;

use serde_json::Value as Json;

use crate::diagnostic::{Report, Spot, quoted};
use crate::options::ImportOptions;
use crate::parallel_json::expression::Expression;
use crate::parallel_json::field;
use crate::parallel_json::mapping::Mention;
use crate::suggestion::did_you_mean;
use crate::tree::{Entry, Node, Value};

pub(crate) use fork_join::{ForkJoin, Policy};
pub(crate) use link::Link;
pub(crate) use loops::{Loop, OnError};

/// A step that was read. What was wrong with it is reported and left out.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) id: &'a str,
    pub(crate) spot: Spot,
    pub(crate) next: Option<Link<'a>>,
    pub(crate) on_failure: Option<Link<'a>>,
    pub(crate) kind: Kind<'a>,
    /// Every reference in it that stands where it may.
    pub(crate) mentions: Vec<Mention>,
    /// All texts in it, if something in it could not be read: some may be ids.
    pub(crate) unread: Vec<&'a str>,
    /// If it is a copy for another way: of which step, and which copy of that.
    pub(crate) copy: Option<(usize, u32)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind<'a> {
    Agent {
        agent: &'a str,
        input_mapping: Json,
    },
    Parallel {
        children: Vec<Link<'a>>,
        max_parallelism: Option<u32>,
    },
    ForkJoin(ForkJoin<'a>),
    Loop(Loop<'a>),
    Conditional {
        expression: Option<Expression>,
        then: Option<Link<'a>>,
        otherwise: Option<Link<'a>>,
    },
    /// What it is cannot be told.
    Unknown,
}

impl<'a> Step<'a> {
    /// Every list of steps that it contains, in order, for a block.
    pub(crate) fn lists(&self) -> Vec<&[Link<'a>]> {
        match &self.kind {
            Kind::Parallel { children, .. } => children.chunks(1).collect(),
            Kind::ForkJoin(fork) => fork.branches.iter().map(|b| b.steps.as_slice()).collect(),
            Kind::Loop(looped) => vec![looped.body.as_slice()],
            Kind::Agent { .. } | Kind::Conditional { .. } | Kind::Unknown => Vec::new(),
        }
    }

    /// Where a branch of a conditional begins: `then`, or else the other one.
    pub(crate) fn branch_mut(&mut self, of_true: bool) -> Option<&mut Link<'a>> {
        match &mut self.kind {
            Kind::Conditional { then, .. } if of_true => then.as_mut(),
            Kind::Conditional { otherwise, .. } => otherwise.as_mut(),
            _ => None,
        }
    }

    /// All links, to have their targets set.
    pub(crate) fn links(&mut self) -> Vec<&mut Link<'a>> {
        let mut links: Vec<&mut Link<'a>> = Vec::new();
        links.extend(&mut self.next);
        links.extend(&mut self.on_failure);
        match &mut self.kind {
            Kind::Parallel { children, .. } => links.extend(children),
            Kind::ForkJoin(fork) => {
                links.extend(
                    fork.branches
                        .iter_mut()
                        .flat_map(|branch| &mut branch.steps),
                );
            }
            Kind::Loop(looped) => links.extend(&mut looped.body),
            Kind::Conditional {
                then, otherwise, ..
            } => {
                links.extend(then);
                links.extend(otherwise);
            }
            Kind::Agent { .. } | Kind::Unknown => {}
        }
        links
    }
}

const TYPES: [&str; 5] = ["agent", "parallel", "fork_join", "loop", "conditional"];

const UNSUPPORTED: [&str; 3] = ["sub_workflow", "wait_for_event", "validate"];

/// Keys under which no text leads to another step.
const SILENT: [&str; 7] = [
    "id",
    "type",
    "name",
    "description",
    "agent_name",
    "input_mapping",
    "condition",
];

/// Reads the step under a key of `steps`; `spot` is its place.
pub(crate) fn read<'a>(
    entry: &'a Entry,
    spot: Spot,
    options: &ImportOptions,
    report: &mut Report,
) -> Step<'a> {
    let errors = report.error_count();
    let mut step = read_fields(entry, spot, options, report);
    if report.error_count() > errors {
        let entries = entry.value.entries().iter();
        let telling = entries.filter(|entry| !SILENT.contains(&entry.key.as_str()));
        step.unread = telling.flat_map(|entry| entry.value.texts()).collect();
    }
    step
}

fn read_fields<'a>(
    entry: &'a Entry,
    spot: Spot,
    options: &ImportOptions,
    report: &mut Report,
) -> Step<'a> {
    let node = &entry.value;
    let mut step = Step {
        id: &entry.key,
        spot: Spot {
            step: Some(entry.key.as_str().into()),
            ..spot
        },
        next: None,
        on_failure: None,
        kind: Kind::Unknown,
        mentions: Vec::new(),
        unread: Vec::new(),
        copy: None,
    };
    if !matches!(node.value, Value::Map(_)) {
        let what = format!(
            "is {}; it would do nothing; it must be an object",
            field::shown(node)
        );
        report.error("field-type", &step.spot, what);
        return step;
    }
    let spot = step.spot.clone();
    check_id(&step, node, report);
    step.next = link::link(report, &spot, node, "next_step");
    step.on_failure = link::link(report, &spot, node, "on_failure");
    let written = field::text(report, &spot, node, "type");
    let kind = match written {
        None if node.get("type").is_some() => return step,
        written => written.unwrap_or("agent"),
    };
    let own: &[&str] = match kind {
        "agent" => &keys::AGENT,
        "parallel" => &keys::PARALLEL,
        "fork_join" => &keys::FORK_JOIN,
        "loop" => &keys::LOOP,
        "conditional" => &keys::CONDITIONAL,
        _ => {
            check_type(kind, node, &spot, report);
            return step;
        }
    };
    keys::check_keys(node, &spot, own, kind, report);
    let mentions = &mut step.mentions;
    step.kind = match kind {
        "agent" => agent::read(node, &spot, options, mentions, report),
        "parallel" => parallel::read(node, &spot, report),
        "fork_join" => fork_join::read(node, &spot, options, report),
        "loop" => loops::read(node, &spot, mentions, report),
        _ => conditional::read(node, &spot, mentions, report),
    };
    step
}

fn check_id(step: &Step<'_>, node: &Node, report: &mut Report) {
    let id = step.id;
    if matches!(id, "workflow" | "steps" | "loop") {
        let what = format!(
            "the name {id:?} begins other references; values of the step could not be named; rename the step"
        );
        report.error("id-reserved", &step.spot, what);
    }
    let stray = id
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')));
    if let Some(stray) = stray {
        let better: String = id
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        let what = format!(
            "{:?} is not allowed; paths use it or could not hold it; write {}",
            stray.to_string(),
            quoted(&better)
        );
        report.error("id-invalid", &step.spot, what);
    } else if id.is_empty() || id.len() > 255 {
        let what = format!(
            "an id of {} characters; rows repeat it; use 1 to 255",
            id.len()
        );
        report.error("id-invalid", &step.spot, what);
    }
    let Some(entry) = node.get("id") else {
        let what = format!(
            "missing; the key {} is the id; add \"id\": {}",
            quoted(id),
            quoted(id)
        );
        report.repairable(
            "field-missing",
            &field::missing_spot(&step.spot, "id"),
            what,
        );
        return;
    };
    let written = field::text(report, &step.spot, node, "id");
    if let Some(written) = written.filter(|written| *written != id) {
        let what = format!(
            "is {}, key is {}; references use the key; make them equal",
            quoted(written),
            quoted(id)
        );
        report.error("id-mismatch", &field::spot(&step.spot, entry), what);
    }
}

fn check_type(kind: &str, node: &Node, spot: &Spot, report: &mut Report) {
    let Some(entry) = node.get("type") else {
        return;
    };
    let spot = field::spot(spot, entry);
    if UNSUPPORTED.contains(&kind) {
        let what = format!(
            "{kind} is named by the format but has no meaning there; nothing would be done; use an agent step"
        );
        report.error("type-unsupported", &spot, what);
        return;
    }
    let near = did_you_mean(
        kind,
        TYPES,
        "use agent, parallel, fork_join, loop or conditional",
    );
    let what = format!(
        "{} is no step type; nothing would be done; {near}",
        quoted(kind)
    );
    report.error("type-unknown", &spot, what);
}
