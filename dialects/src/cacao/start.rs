//! Whether a run of a playbook may begin now.

use jiff::Timestamp;
use serde_json::Value as Json;
use windlass_workflow_model::Definition;

use crate::cacao::rule::{self, Begin, Rule};
use crate::step_groups;

/// Why a run may not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartRefusal {
    /// Stable, in kebab case: `playbook-revoked`, `playbook-not-yet-valid`, `playbook-expired`,
    /// `external-missing`, `variable-not-external`, `variable-type`, `data-invalid`; of step groups
    /// `parameter-missing`, `parameter-invalid`, `context-missing`.
    pub code: &'static str,
    /// Where, what, why and how to fix it.
    pub message: String,
}

/// Everything that speaks against starting a run with this input now, in milliseconds since 1970;
/// empty for workflows of parallel JSON
/// and of the engine's own form. What it says of the input is said again when the run
/// begins; of the playbook's validity only this knows, because a run itself has no clock.
pub fn start_refusals(definition: &Definition, input: &Json, now_ms: i64) -> Vec<StartRefusal> {
    if let Some(found) = step_groups::refusals(definition, input) {
        return refusals(found);
    }
    let begin = begin_of(definition);
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let found = begin
        .map(|begin| begin.refusals(input, now))
        .unwrap_or_default();
    refusals(found)
}

/// The same for a playbook that another one calls, whose input is not known yet.
pub fn validity_refusals(definition: &Definition, now_ms: i64) -> Vec<StartRefusal> {
    let begin = begin_of(definition);
    let now = Timestamp::from_millisecond(now_ms).unwrap_or_default();
    let found = begin.map(|begin| begin.invalidity(now)).unwrap_or_default();
    refusals(found)
}

fn refusals(found: Vec<(&'static str, String)>) -> Vec<StartRefusal> {
    let found = found.into_iter();
    found
        .map(|(code, message)| StartRefusal { code, message })
        .collect()
}

fn begin_of(definition: &Definition) -> Option<Begin> {
    rule::find(definition, |rule| match rule {
        Rule::Begin(begin) => Some(begin),
        _ => None,
    })
}
