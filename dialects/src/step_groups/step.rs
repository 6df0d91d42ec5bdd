//! One step as its author wrote it.

use serde_json::{Map, Value as Json};
use windlass_workflow_model::limits::NAME_BYTES_MAX;

use crate::diagnostic::{Report, Spot, listed, quoted, shortened};
use crate::options::HandlerTypes;
use crate::step_groups::settings::Settings;
use crate::step_groups::{field, unsupported};
use crate::suggestion::{did_you_mean, misspelt};
use crate::tree::{Entry, Node, Value};

/// The type that is built in: it starts another workflow.
pub(crate) const SUB_WORKFLOW: &str = "workflow";

/// Names that begin references to something else.
const RESERVED: [&str; 9] = [
    "workflow",
    "variables",
    "parameters",
    "resources",
    "steps",
    "metadata",
    "environment",
    "application",
    "timestamp",
];

/// Keys that mean something to the dialect; all others are the handler's.
const KEYS: [&str; 15] = [
    "name",
    "type",
    "parallel",
    "parallelGroup",
    "dependsOn",
    "when",
    "if",
    "unless",
    "env",
    "config",
    "outputs",
    "outputFile",
    "setVariables",
    "resource",
    "timeout",
];

/// Keys that only a sub-workflow has; elsewhere they are the handler's.
const SUB_WORKFLOW_KEYS: [&str; 2] = ["workflow", "parameters"];

const WHEN: [&str; 6] = [
    "always",
    "on_success",
    "success",
    "on_failure",
    "failure",
    "manual",
];

/// A step that was read. What was wrong with it is reported and left out.
pub(crate) struct Step<'a> {
    pub(crate) spot: Spot,
    pub(crate) name: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    /// `None` if it does not say.
    pub(crate) parallel: Option<bool>,
    /// 0 is none.
    pub(crate) group: u32,
    pub(crate) depends_on: Vec<(&'a str, Spot)>,
    pub(crate) timeout_seconds: Option<u32>,
    pub(crate) config: Map<String, Json>,
    pub(crate) fields: Map<String, Json>,
}

/// Reads one item of the list of steps; `spot` is its place.
pub(crate) fn read<'a>(
    node: &'a Node,
    spot: Spot,
    number: usize,
    handlers: &HandlerTypes,
    report: &mut Report,
) -> Step<'a> {
    let mut step = Step {
        spot: spot.called(format!("step {number}")),
        name: None,
        kind: None,
        parallel: None,
        group: 0,
        depends_on: Vec::new(),
        timeout_seconds: None,
        config: Map::new(),
        fields: Map::new(),
    };
    if !matches!(node.value, Value::Map(_)) {
        let what = format!(
            "the step is {}; it must be a map; write at least name and type",
            field::shown(node)
        );
        report.error("field-type", &step.spot, what);
        return step;
    }
    step.take_name(node, report);
    step.take_type(node, handlers, report);
    for entry in node.entries() {
        step.take(entry, report);
    }
    step
}

impl<'a> Step<'a> {
    /// Whether it can be a node of a graph.
    pub(crate) fn is_whole(&self) -> bool {
        self.name.is_some() && self.kind.is_some()
    }

    fn take_name(&mut self, node: &'a Node, report: &mut Report) {
        let entry = node.get("name");
        let name = entry.and_then(|entry| field::text(report, &self.spot, entry));
        let Some((entry, name)) = entry.zip(name).filter(|(_, name)| !name.is_empty()) else {
            if entry.is_none_or(|entry| entry.value.text().is_some()) {
                report.error(
                    "step-name-missing",
                    &self.spot,
                    "no name; rows and references need it; add one",
                );
            }
            return;
        };
        self.spot.step = Some(name.into());
        self.spot.subject = format!("step {}", quoted(name));
        if let Some(what) = wrong_name(name) {
            report.error("step-name-invalid", &self.spot.entry(entry), what);
        }
        self.name = Some(name);
    }

    fn take_type(&mut self, node: &'a Node, handlers: &HandlerTypes, report: &mut Report) {
        let entry = node.get("type");
        let kind = entry.and_then(|entry| field::text(report, &self.spot, entry));
        let Some((entry, kind)) = entry.zip(kind).filter(|(_, kind)| !kind.is_empty()) else {
            if entry.is_none_or(|entry| entry.value.text().is_some()) {
                let what = "no type; it chooses the handler; add one, e.g. validation";
                report.error("step-type-missing", &self.spot, what);
            }
            return;
        };
        self.kind = Some(kind);
        let spot = self.spot.entry(entry);
        if kind == SUB_WORKFLOW {
            let otherwise = "the sub-workflow would not start";
            unsupported::refuse(
                report,
                &spot,
                "type: workflow",
                otherwise,
                "put its steps here",
            );
        } else if !handlers.accepts(kind) {
            report.error(
                "no-handler",
                &spot,
                no_handler(kind, handlers, report.is_crowded()),
            );
        }
    }

    fn take(&mut self, entry: &'a Entry, report: &mut Report) {
        let spot = self.spot.clone();
        let void = entry.value.is_void();
        let refuse = |report: &mut Report, otherwise: &str, fix: &str| {
            if !void {
                unsupported::refuse(report, &spot.entry(entry), &entry.key, otherwise, fix);
            }
        };
        match entry.key.as_str() {
            "name" | "type" => {}
            "parallel" => self.parallel = field::bool(report, &self.spot, entry),
            "parallelGroup" => self.group = field::group(report, &self.spot, entry),
            "timeout" => self.timeout_seconds = field::seconds(report, &self.spot, entry),
            "config" => self.take_config(entry, report),
            "when" => self.take_when(entry, report),
            "dependsOn" => {
                self.depends_on = field::names(report, &self.spot, entry);
                refuse(
                    report,
                    "the step would not wait",
                    "order the steps by groups and remove it",
                );
            }
            "if" | "unless" => {
                field::text(report, &self.spot, entry);
                refuse(
                    report,
                    "the step would run without its condition",
                    "remove it, or leave the decision to the handler",
                );
            }
            "env" => {
                field::check_scalars(report, &self.spot, entry, "field-type");
                refuse(
                    report,
                    "the handler would not get it",
                    "put fixed values into config",
                );
            }
            "setVariables" => {
                field::check_scalars(report, &self.spot, entry, "field-type");
                refuse(report, "no variable would be set", "remove it");
            }
            "outputs" => {
                field::names(report, &self.spot, entry);
                refuse(
                    report,
                    "nothing would be picked from the handler's text",
                    "remove it and let the handler return its outputs",
                );
            }
            "outputFile" | "resource" => {
                field::text(report, &self.spot, entry);
                refuse(
                    report,
                    "its outputs would be lost",
                    "remove it and let the handler return its outputs",
                );
            }
            key if self.kind == Some(SUB_WORKFLOW) && SUB_WORKFLOW_KEYS.contains(&key) => {}
            key => {
                if let Some(meant) = misspelt(key, &KEYS) {
                    let what = format!(
                        "key {} has no effect here; it would only be passed to the handler; write {meant}",
                        shortened(key)
                    );
                    report.repairable("misspelt-key", &spot.entry(entry), what);
                }
                let value = Settings::new(report, &self.spot).field(entry);
                self.fields.insert(key.to_owned(), value);
            }
        }
    }

    fn take_config(&mut self, entry: &'a Entry, report: &mut Report) {
        if !matches!(entry.value.value, Value::Map(_)) && !entry.value.is_null() {
            field::mistyped(
                report,
                &self.spot,
                entry,
                "a map",
                "write the settings as keys and values",
            );
            return;
        }
        self.config = Settings::new(report, &self.spot).config(entry);
    }

    fn take_when(&mut self, entry: &Entry, report: &mut Report) {
        if entry.value.is_null() {
            return;
        }
        let spot = self.spot.entry(entry);
        let written = entry.value.text().map(str::to_lowercase);
        if let Some(keyword) = written.as_deref().filter(|word| WHEN.contains(word)) {
            let construct = format!("when: {keyword}");
            let otherwise = "the step would run as if there were no such rule";
            unsupported::refuse(report, &spot, &construct, otherwise, "remove it");
            return;
        }
        let keywords = "use always, on_success, on_failure or manual";
        let near = did_you_mean(written.as_deref().unwrap_or_default(), WHEN, keywords);
        let what = format!(
            "when {} is no keyword; the step might never run; {near}",
            field::shown(&entry.value)
        );
        report.error("unknown-when", &spot, what);
    }
}

fn wrong_name(name: &str) -> Option<String> {
    let stray = |c: char| matches!(c, '.' | '$' | '{' | '}') || c.is_whitespace() || c.is_control();
    if RESERVED.contains(&name) {
        return Some(format!(
            "{name:?} begins references to something else; ${{{name}.x}} could not be read; use {name}-step"
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        return Some(format!(
            "step name has {} bytes, the limit is {NAME_BYTES_MAX}; every row repeats it; shorten it",
            name.len()
        ));
    }
    let found = name.chars().find(|c| stray(*c))?;
    let holds = match found {
        '.' => "a dot".to_owned(),
        ' ' => "a blank".to_owned(),
        other => format!("{other:?}"),
    };
    let better = name.replace(stray, "-");
    let shown = shortened(&name.escape_debug().to_string());
    Some(format!(
        "step name \"{shown}\" holds {holds}; ${{{shown}.x}} could not be read; use {}",
        shortened(better.trim_matches('-'))
    ))
}

fn no_handler(kind: &str, handlers: &HandlerTypes, crowded: bool) -> String {
    let registered: Vec<&str> = match handlers {
        HandlerTypes::Any => Vec::new(),
        HandlerTypes::Known(types) => types.iter().map(String::as_str).collect(),
    };
    let near = if crowded { &[] } else { registered.as_slice() };
    let fix = did_you_mean(
        kind,
        near.iter().copied(),
        "register one or change the type",
    );
    let registered = listed(registered.iter().copied());
    format!(
        "no handler for type {} (registered: {registered}); the step could not work; {fix}",
        quoted(kind)
    )
}
