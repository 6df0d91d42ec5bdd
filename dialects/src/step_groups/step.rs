//! One step as its author wrote it.

use windlass_workflow_model::limits::NAME_BYTES_MAX;

use crate::diagnostic::{Report, Spot, listed, quoted, shortened};
use crate::options::{HandlerTypes, Mode};
use crate::step_groups::condition::split;
use crate::step_groups::conditions::When;
use crate::step_groups::{field, keys};
use crate::suggestion::did_you_mean;
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

/// Keys that a step has beside those if it starts another workflow.
const CALL_KEYS: [&str; 2] = ["workflow", "parameters"];

const WHEN: [&str; 6] = [
    "always",
    "on_success",
    "success",
    "on_failure",
    "failure",
    "manual",
];

/// A step that was read. What was wrong with it is reported and left out; texts with references are
/// read later, once all names are known.
pub(crate) struct Step<'a> {
    pub(crate) spot: Spot,
    pub(crate) name: Option<&'a str>,
    pub(crate) kind: Option<&'a str>,
    /// `None` if it does not say.
    pub(crate) parallel: Option<bool>,
    /// 0 is none.
    pub(crate) group: u32,
    pub(crate) depends_on: Vec<(&'a str, Spot)>,
    /// `None` if it does not say.
    pub(crate) when: Option<When>,
    /// Lenient mode may make one of `when`.
    pub(crate) ifs: Vec<(&'a str, Spot)>,
    pub(crate) unless: Option<(&'a str, Spot)>,
    pub(crate) timeout_seconds: Option<u32>,
    pub(crate) env: Option<&'a Entry>,
    pub(crate) set_variables: Option<&'a Entry>,
    pub(crate) outputs: Vec<(&'a str, Spot)>,
    pub(crate) output_file: Option<(&'a str, Spot)>,
    pub(crate) resource: Option<&'a str>,
    /// The workflow that it starts.
    pub(crate) workflow: Option<(&'a str, Spot)>,
    pub(crate) parameters: Option<&'a Entry>,
    pub(crate) config: Option<&'a Entry>,
    /// Keys that are not the dialect's own.
    pub(crate) fields: Vec<&'a Entry>,
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
        when: None,
        ifs: Vec::new(),
        unless: None,
        timeout_seconds: None,
        env: None,
        set_variables: None,
        outputs: Vec::new(),
        output_file: None,
        resource: None,
        workflow: None,
        parameters: None,
        config: None,
        fields: Vec::new(),
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
    if step.kind == Some(SUB_WORKFLOW) && step.workflow.is_none() {
        let what = "no workflow; type workflow starts one; name it in workflow";
        report.missing("unknown-workflow", &step.spot, "workflow", what);
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
                let what = "no name; rows and references need it; add one";
                report.missing("step-name-missing", &self.spot, "name", what);
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
                report.missing("step-type-missing", &self.spot, "type", what);
            }
            return;
        };
        self.kind = Some(kind);
        let spot = self.spot.entry(entry);
        if kind != SUB_WORKFLOW && !handlers.accepts(kind) {
            report.error(
                "no-handler",
                &spot,
                no_handler(kind, handlers, report.is_crowded()),
            );
        }
    }

    fn take(&mut self, entry: &'a Entry, report: &mut Report) {
        let spot = self.spot.clone();
        let here = spot.entry(entry);
        match entry.key.as_str() {
            "name" | "type" => {}
            "parallel" => self.parallel = field::bool(report, &spot, entry),
            "parallelGroup" => self.group = field::group(report, &spot, entry),
            "timeout" => self.timeout_seconds = field::seconds(report, &spot, entry),
            "when" => self.take_when(entry, report),
            "dependsOn" => self.depends_on = field::names(report, &spot, entry),
            "if" => {
                let text = field::text(report, &spot, entry);
                self.ifs.extend(text.map(|text| (text, here)));
            }
            "unless" => {
                let text = field::text(report, &spot, entry);
                self.unless = text.map(|text| (text, here));
            }
            "env" => {
                field::check_scalars(report, &spot, entry, "field-type");
                self.env = Some(entry);
            }
            "setVariables" => {
                field::check_scalars(report, &spot, entry, "field-type");
                self.set_variables = Some(entry);
            }
            "outputs" => self.outputs = field::names(report, &spot, entry),
            "outputFile" => {
                let text = field::text(report, &spot, entry);
                if text.is_some_and(|text| text.trim().is_empty()) {
                    let fix = "write one, or leave it out";
                    field::mistyped(report, &spot, entry, "the path of a file", fix);
                }
                self.output_file = text.map(|text| (text, here));
            }
            "resource" => self.resource = field::text(report, &spot, entry),
            "config" => self.take_config(entry, report),
            "workflow" if self.kind == Some(SUB_WORKFLOW) => {
                let text = field::text(report, &spot, entry);
                self.workflow = text.map(|text| (text, here));
            }
            "parameters" if self.kind == Some(SUB_WORKFLOW) => {
                let is_map = matches!(entry.value.value, Value::Map(_));
                if !is_map && !entry.value.is_null() {
                    let fix = "write names and their values";
                    field::mistyped(report, &spot, entry, "a map", fix);
                }
                self.parameters = Some(entry).filter(|_| is_map);
            }
            key => {
                if let Some(meant) = self.meant(key) {
                    let what = format!(
                        "key {} has no effect here; it would only be passed to the handler; write {meant}",
                        shortened(key)
                    );
                    report.repairable("misspelt-key", &here, what);
                }
                self.fields.push(entry);
            }
        }
    }

    fn meant(&self, key: &str) -> Option<&'static str> {
        let calls = self.kind == Some(SUB_WORKFLOW);
        let own = keys::misspelt(key, &KEYS);
        own.or_else(|| keys::misspelt(key, &CALL_KEYS).filter(|_| calls))
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
        self.config = Some(entry);
    }

    fn take_when(&mut self, entry: &'a Entry, report: &mut Report) {
        if entry.value.is_null() {
            return;
        }
        let spot = self.spot.entry(entry);
        let written = entry.value.text();
        if let Some(keyword) = written.and_then(When::named) {
            self.when = Some(keyword);
            return;
        }
        let keywords = "use always, on_success, on_failure or manual";
        let lower = written.map(str::to_lowercase).unwrap_or_default();
        let near = did_you_mean(&lower, WHEN, keywords);
        let is_condition = |text: &&str| split(text).by.is_some() || text.contains(['$', '.']);
        if let Some(text) = written.filter(is_condition) {
            let what = format!(
                "when {} is no keyword but a condition; the step might never run; write it as if",
                quoted(text)
            );
            report.repairable("unknown-when", &spot, what);
            if report.mode() == Mode::Lenient {
                self.ifs.push((text, spot));
            }
            return;
        }
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
