//! A block whose body runs once for each item.

use super::Kind;
use super::keys::check_inner_keys;
use super::link::{Link, links};
use crate::diagnostic::{Report, Spot};
use crate::parallel_json::field::{self, place};
use crate::parallel_json::mapping::{self, Mapping, Mention};
use crate::parallel_json::reference::parts;
use crate::tree::{Meaning, Node, Value};

#[derive(Clone, Debug)]
pub(crate) struct Loop<'a> {
    pub(crate) collection: Option<Mapping>,
    pub(crate) body: Vec<Link<'a>>,
    pub(crate) parallel: bool,
    pub(crate) max_parallelism: Option<u32>,
    pub(crate) max_iterations: Option<u32>,
    pub(crate) on_error: OnError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Stop,
    Continue,
    Collect,
}

impl OnError {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Continue => "continue",
            Self::Collect => "collect",
        }
    }
}

pub(super) fn read<'a>(
    node: &'a Node,
    step: &Spot,
    mentions: &mut Vec<Mention>,
    report: &mut Report,
) -> Kind<'a> {
    let why = "it says what to go through";
    let Some((config, spot)) = field::object(report, step, node, "loop_config", why) else {
        return Kind::Unknown;
    };
    let known = [
        "collection",
        "loop_body",
        "execution_mode",
        "max_parallelism",
        "max_iterations",
        "on_error",
    ];
    check_inner_keys(config, &spot, &known, report);
    let collection = read_collection(config, &spot, mentions, report);
    let body = links(report, &spot, config, "loop_body");
    if body.is_empty() {
        let what = "no steps; every round would do nothing; add one";
        report.error("too-few-children", &place(&spot, config, "loop_body"), what);
    }
    let words = [("sequential", false), ("parallel", true)];
    let parallel = field::word(
        report,
        &spot,
        config,
        "execution_mode",
        &words,
        "field-type",
    );
    let parallel = parallel.unwrap_or(false);
    let max_parallelism = field::count(report, &spot, config, "max_parallelism");
    if !parallel && let Some(entry) = config.get("max_parallelism") {
        let what = "the loop is sequential, so the limit has no effect; remove it or use execution_mode parallel";
        report.warning("field-ignored", &field::spot(&spot, entry), what);
    }
    let words = [
        ("stop", OnError::Stop),
        ("continue", OnError::Continue),
        ("collect", OnError::Collect),
    ];
    let on_error = field::word(report, &spot, config, "on_error", &words, "field-type");
    Kind::Loop(Loop {
        collection,
        body,
        parallel,
        max_parallelism,
        max_iterations: field::count(report, &spot, config, "max_iterations"),
        on_error: on_error.unwrap_or(OnError::Stop),
    })
}

fn read_collection(
    config: &Node,
    parent: &Spot,
    mentions: &mut Vec<Mention>,
    report: &mut Report,
) -> Option<Mapping> {
    let Some(entry) = config.get("collection") else {
        let what = "missing; there would be nothing to go through; add a reference to a list";
        report.error(
            "field-missing",
            &field::missing_spot(parent, "collection"),
            what,
        );
        return None;
    };
    let spot = field::spot(parent, entry);
    let mapping = Mapping::of(&mapping::read(&entry.value, &spot, mentions, report));
    if mapping.is_reference() || matches!(entry.value.value, Value::List(_)) {
        return Some(mapping);
    }
    let shown = field::shown(&entry.value);
    let what = match entry.value.meaning() {
        // A malformed reference has its own message.
        Some(Meaning::Text(text)) if parts(text).is_err() => return None,
        Some(Meaning::Text(text)) if text.contains("${") => {
            format!("{shown} is mixed text; a loop needs a list; keep the reference alone")
        }
        _ => format!("{shown} is no reference; a loop needs a list; write ${{step.output.path}}"),
    };
    report.error("collection-invalid", &spot, what);
    None
}
