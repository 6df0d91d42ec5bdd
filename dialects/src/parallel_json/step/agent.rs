//! A step that works.

use serde_json::json;

use super::Kind;
use crate::diagnostic::{Report, Spot, listed, quoted};
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
    if agent.is_empty() || agent.len() > 255 {
        if node.get("agent_name").is_none_or(is_text) {
            let what = format!(
                "has {} characters; it chooses who does the work; use 1 to 255",
                agent.len()
            );
            let what = if agent.is_empty() {
                "missing; it chooses who does the work; add it"
            } else {
                &what
            };
            report.error("field-missing", &at, what);
        }
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
    let fix = did_you_mean(agent, near.iter().copied(), "register it");
    format!(
        "no handler {} (registered: {}); the step could not work; {fix}",
        quoted(agent),
        listed(registered.iter().copied())
    )
}
