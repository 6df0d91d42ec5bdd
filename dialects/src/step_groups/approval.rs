//! Steps that a person has to let run: what was answered, and what follows from it.

use serde_json::Value as Json;
use windlass_workflow_model::{Definition, Fault, NodeKind, Payload};

use crate::step_groups::rule::Rule;
use crate::step_groups::state::State;
use crate::stored_rule::StoredRule;

/// A step that runs only when a person lets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The node before the step in which it is waited for an answer.
    pub wait: String,
    /// The step.
    pub step: String,
    /// What came of the wait, such as `approved by kim`; `None` if the data does not say.
    pub outcome: Option<String>,
}

/// All of them with what the data of a run says, in the order of the graph; none for other dialects.
pub fn approvals(definition: &Definition, data: &Payload) -> Vec<Approval> {
    let state = State::read(data).ok();
    let waits = definition.nodes().iter().filter_map(|node| {
        let NodeKind::Await {
            reply: Some(reply), ..
        } = &node.kind
        else {
            return None;
        };
        let Rule::Answer { step } = Rule::named(reply)? else {
            return None;
        };
        let answer = state.as_ref().and_then(|state| state.approval(&step));
        Some(Approval {
            wait: node.name.clone(),
            outcome: answer.map(outcome),
            step,
        })
    });
    waits.collect()
}

/// What an answer comes to, in a few words.
fn outcome(answer: &Json) -> String {
    match answer["status"].as_str() {
        Some("success") => format!("approved{}", by(answer)),
        Some("late") => {
            let limit = answer["after_ms"].as_u64();
            let limit = limit.map_or_else(|| "time".to_owned(), lasting);
            format!("nobody answered in {limit}")
        }
        _ => format!("rejected{}", by(answer)),
    }
}

/// # Errors
/// Why the step fails: `approval-rejected` or `approval-timeout`.
pub(crate) fn judge(state: &State, step: &str) -> Result<(), Fault> {
    let answer = state.approval(step).cloned().unwrap_or_default();
    let came = outcome(&answer);
    let (code, text) = match answer["status"].as_str() {
        Some("success") => return Ok(()),
        Some("late") => (
            "approval-timeout",
            format!("{came}; the wait is over; answer earlier or raise approval_timeout"),
        ),
        _ => {
            let why = said(&answer, "message");
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let text =
                format!("{came}{why}; later phases are skipped; start again when it may pass");
            ("approval-rejected", text)
        }
    };
    Err(Fault::new(code, text).permanent())
}

fn by(answer: &Json) -> String {
    let by = said(answer, "by");
    by.map_or_else(String::new, |by| format!(" by {by}"))
}

fn said<'a>(answer: &'a Json, key: &str) -> Option<&'a str> {
    answer[key].as_str().filter(|text| !text.trim().is_empty())
}

/// A time in the largest unit of which it is a whole number.
fn lasting(ms: u64) -> String {
    let units = [(3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    let unit = units.into_iter().find(|(unit, _)| ms.is_multiple_of(*unit));
    let (unit, name) = unit.unwrap_or((1, "ms"));
    format!("{} {name}", ms / unit)
}
