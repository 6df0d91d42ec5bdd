//! A step that works.

use serde_json::json;
use windlass_workflow_model::limits::NAME_BYTES_MAX;

use super::Kind;
use crate::diagnostic::{Report, Spot, listed, quoted, settings_key};
use crate::options::{HandlerTypes, ImportOptions, ResolveAgents};
use crate::parallel_json::field::{self, is_text, place};
use crate::parallel_json::mapping::{self, Mention};
use crate::suggestion::did_you_mean;
use crate::tree::{Node, Value};

pub(super) fn read<'a>(
    node: &'a Node,
    spot: &Spot,
    options: &ImportOptions,
    mentions: &mut Vec<Mention>,
    report: &mut Report,
) -> Kind<'a> {
    let agent = field::text(report, spot, node, "agent_name").unwrap_or_default();
    let at = place(spot, node, "agent_name");
    let characters = agent.chars().count();
    if agent.is_empty() {
        if node.get("agent_name").is_none_or(is_text) {
            let what = "missing; it chooses who does the work; add it";
            report.error("field-missing", &at, what);
        }
    } else if characters > 255 {
        let what = format!("{characters} characters; it chooses who does the work; use 1 to 255");
        report.error("id-invalid", &at, what);
    } else if agent.len() > NAME_BYTES_MAX {
        let what = format!(
            "{} bytes, the limit is {NAME_BYTES_MAX}; handlers are found by it; shorten it",
            agent.len()
        );
        report.error("id-invalid", &at, what);
    } else if options.parallel_json.resolve_agents == ResolveAgents::Load
        && !options.handlers.accepts(agent)
    {
        report.error(
            "no-handler",
            &at,
            no_handler(agent, &options.handlers, report.is_crowded()),
        );
    }
    let input_mapping = match node.get("input_mapping") {
        None => json!({}),
        Some(entry) if matches!(entry.value.value, Value::Map(_)) => {
            mapping::read(&entry.value, &field::spot(spot, entry), mentions, report)
        }
        Some(entry) => {
            field::mistyped(report, spot, entry, "an object");
            json!({})
        }
    };
    Kind::Agent {
        agent,
        input_mapping,
    }
}

fn no_handler(agent: &str, handlers: &HandlerTypes, crowded: bool) -> String {
    let registered: Vec<&str> = match handlers {
        HandlerTypes::Any => Vec::new(),
        HandlerTypes::Known(types) => types.iter().map(String::as_str).collect(),
    };
    let near = if crowded { &[] } else { registered.as_slice() };
    let register = format!(
        "register it ([handlers.{}] in the handlers file on the command line)",
        settings_key(agent)
    );
    let fix = did_you_mean(agent, near.iter().copied(), &register);
    format!(
        "no handler {} (registered: {}); the step could not work; {fix}",
        quoted(agent),
        listed(registered.iter().copied())
    )
}
