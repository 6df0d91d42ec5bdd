//! Whether a run of a playbook may begin now.

use jiff::Timestamp;
use serde_json::Value as Json;
use windlass_workflow_model::Definition;

use crate::cacao::rule::{Begin, Rule};
use crate::stored_rule::StoredRule;

/// Everything that speaks against starting a run with this input now, in milliseconds since 1970;
/// empty for other dialects.
pub(crate) fn refusals(
    definition: &Definition,
    input: &Json,
    now_ms: i64,
) -> Vec<(&'static str, String)> {
    let begin = begin_of(definition);
    begin.map_or_else(Vec::new, |begin| begin.refusals(input, time(now_ms)))
}

/// The same for a playbook that another one calls, whose input is not known yet.
pub(crate) fn invalidity(definition: &Definition, now_ms: i64) -> Vec<(&'static str, String)> {
    let begin = begin_of(definition);
    begin.map_or_else(Vec::new, |begin| begin.invalidity(time(now_ms)))
}

fn time(now_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(now_ms).unwrap_or_default()
}

fn begin_of(definition: &Definition) -> Option<Begin> {
    Rule::find(definition, |rule| match rule {
        Rule::Begin(begin) => Some(begin),
        _ => None,
    })
}
