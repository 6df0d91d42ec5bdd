//! Definitions as people and programs write them: JSON in which nodes are named.
//!
//! The same form in which definitions are stored, but that a node may stand by its name wherever its
//! number may.

use serde::Deserialize as _;
use serde_json::Value;

use crate::definition::{Definition, Node};
use crate::validate::{InvalidWorkflow, Problem, validate};

/// Fields that hold a node.
const NODE_FIELDS: &[&str] = &[
    "start",
    "next",
    "to",
    "otherwise",
    "join",
    "split",
    "body",
    "meet",
    "of",
    "target",
];

impl Definition {
    /// Reads a workflow from JSON, and checks it as [`Draft::finish`](crate::Draft::finish) does.
    ///
    /// Nodes may be named where they are referred to. Functions are names: of functions that come with
    /// the workflow, or, where the engine compiles them, expressions that begin with `=`.
    ///
    /// # Errors
    /// [`InvalidWorkflow`] with all that is wrong with the graph; or with each node that is none, and
    /// its field; or with what makes the text no JSON, with line and column.
    pub fn from_json(text: &str) -> Result<Self, InvalidWorkflow> {
        let unnamed = |problem: Problem| InvalidWorkflow {
            workflow: String::new(),
            problems: vec![problem],
        };
        let mut value: Value = serde_json::from_str(text).map_err(|error| {
            unnamed(Problem::new(
                "not-json",
                None,
                format!("it is no JSON: {error}"),
            ))
        })?;
        let names = names(&value);
        let mut problems = Vec::new();
        number(&mut value, &names, &mut problems);
        let workflow = value["name"].as_str().unwrap_or_default().to_owned();
        problems.extend(misshapen(&value));
        if !problems.is_empty() {
            return Err(InvalidWorkflow { workflow, problems });
        }
        let definition: Self = serde_json::from_value(value).map_err(|error| {
            let text = format!("it is no workflow: {error}; compare it with the documentation");
            unnamed(Problem::new("not-a-workflow", None, text))
        })?;
        let problems = validate(&definition);
        if problems.is_empty() {
            Ok(definition)
        } else {
            Err(InvalidWorkflow { workflow, problems })
        }
    }
}

/// The nodes that are none, each with the field that is to blame.
fn misshapen(value: &Value) -> Vec<Problem> {
    let nodes = value["nodes"].as_array().into_iter().flatten();
    let wrong = nodes.enumerate().filter_map(|(index, node)| {
        let error = Node::deserialize(node).err()?.to_string();
        let field = to_blame(node, &error).map_or_else(String::new, |field| format!("{field}: "));
        let name = node["name"].as_str().map(str::to_owned);
        let place = match name {
            Some(_) => String::new(),
            None => format!("node {index} of the list: "),
        };
        let text = format!("{place}{field}{error}; compare it with the documentation");
        Some(Problem::new("not-a-workflow", name, text))
    });
    wrong.collect()
}

/// The field that a node's error is about: without it there is another error, or none.
fn to_blame(node: &Value, error: &str) -> Option<String> {
    let kind = node.get("kind").and_then(Value::as_object);
    let word = kind.and_then(|kind| kind.keys().next());
    let kind = word.map(|word| format!("/kind/{}", word.replace('~', "~0").replace('/', "~1")));
    for place in kind.iter().map(String::as_str).chain([""]) {
        let Some(fields) = node.pointer(place).and_then(Value::as_object) else {
            continue;
        };
        for field in fields.keys() {
            let mut without = node.clone();
            let fields = without.pointer_mut(place).and_then(Value::as_object_mut);
            fields.and_then(|fields| fields.remove(field));
            let is_same = |found: String| found == error;
            let found = Node::deserialize(&without).err();
            if !found.is_some_and(|found| is_same(found.to_string())) {
                let place = place.trim_start_matches('/').replace('/', ".");
                let dot = if place.is_empty() { "" } else { "." };
                return Some(format!("{place}{dot}{field}"));
            }
        }
    }
    None
}

fn names(value: &Value) -> Vec<String> {
    let nodes = value["nodes"].as_array().into_iter().flatten();
    nodes
        .map(|node| node["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Puts numbers in the place of names.
fn number(value: &mut Value, names: &[String], problems: &mut Vec<Problem>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                if field == "config" {
                    continue; // The handler's own.
                }
                if NODE_FIELDS.contains(&field.as_str()) {
                    resolve(value, names, problems);
                } else if field == "static" {
                    for branch in value.as_array_mut().into_iter().flatten() {
                        if let Some(node) = branch.get_mut(1) {
                            resolve(node, names, problems);
                        }
                    }
                } else {
                    number(value, names, problems);
                }
            }
        }
        Value::Array(values) => {
            for value in values {
                number(value, names, problems);
            }
        }
        _ => {}
    }
}

fn resolve(value: &mut Value, names: &[String], problems: &mut Vec<Problem>) {
    // The branch that is taken otherwise has a name of its own beside its node.
    if let Value::Array(pair) = value {
        if let Some(node) = pair.get_mut(1) {
            resolve(node, names, problems);
        }
        return;
    }
    let Value::String(name) = value else {
        return number(value, names, problems);
    };
    if let Some(index) = names.iter().position(|known| known == name) {
        *value = Value::from(index);
    } else {
        let text = "no node has this name, but another one leads to it; correct it";
        problems.push(Problem::new("edge-nowhere", Some(name.clone()), text));
        // So that what else is wrong comes to light.
        *value = Value::from(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, StepSpec};

    const TEXT: &str = r#"{
        "name": "order", "version": "1", "start": "check",
        "nodes": [
            {"name": "check", "kind": {"choice": {
                "arms": [{"name": "big", "when": "=data.amount > 100", "to": "approve"}],
                "otherwise": "ship"}}},
            {"name": "approve", "kind": {"step": {"handler": "ask"}}, "next": "ship"},
            {"name": "ship", "kind": {"step": {"handler": "ship", "config": {"to": "Berlin"}}}}
        ]
    }"#;

    #[test]
    fn each_node_that_is_none_is_told_with_its_field() {
        let text = r#"{"name": "w", "version": "1", "start": "a", "nodes": [
            {"name": "a", "kind": {"await": {"event": "e", "reply": null, "timeout": {"to": 1, "by": 2}}}},
            {"name": "b", "kind": {"step": {"handler": "h", "atempts": 3}}},
            {"name": "c", "kind": {"step": {"handler": 5}}},
            {"name": "d", "kind": "terminate", "nxt": 1},
            {"name": "e", "kind": {"stp": {}}},
            {"kind": "terminate"}
        ]}"#;
        let problems = Definition::from_json(text).unwrap_err().problems;
        let found = problems
            .iter()
            .map(|problem| (problem.node.as_deref(), problem.message.as_str()));
        let expected = [
            (Some("a"), "kind.await.timeout: "),
            (Some("b"), "kind.step.atempts: unknown field"),
            (Some("c"), "kind.step.handler: invalid type"),
            (Some("d"), "nxt: unknown field"),
            (Some("e"), "kind: unknown variant `stp`"),
            (None, "node 5 of the list: missing field `name`"),
        ];
        assert_eq!(found.clone().count(), expected.len(), "{problems:?}");
        for (found, expected) in found.zip(expected) {
            assert_eq!(found.0, expected.0);
            assert!(
                found.1.starts_with(expected.1),
                "{found:?} is not {expected:?}"
            );
        }
    }

    #[test]
    fn a_workflow_of_named_nodes_is_the_drafted_one() {
        let mut draft = Draft::new("order", "1");
        let check = draft.choice("check");
        let approve = draft.step("approve", StepSpec::new("ask"));
        let config = serde_json::json!({ "to": "Berlin" });
        let spec = StepSpec {
            config,
            ..StepSpec::new("ship")
        };
        let ship = draft.step("ship", spec);
        draft.arm(check, "big", "=data.amount > 100", Some(approve));
        draft.otherwise(check, ship);
        draft.connect(approve, ship);
        draft.start_at(check);
        let drafted = draft.finish().unwrap();
        assert_eq!(Definition::from_json(TEXT).unwrap(), drafted);
        let stored = serde_json::to_string(&drafted).unwrap();
        assert_eq!(Definition::from_json(&stored).unwrap(), drafted);
    }

    #[test]
    fn an_edge_to_nowhere_hides_no_other_problem() {
        let text = TEXT.replace("\"next\": \"ship\"", "\"next\": \"shop\"");
        let text = text.replace("\"handler\": \"ask\"", "\"handeler\": \"ask\"");
        let invalid = Definition::from_json(&text).unwrap_err();
        let codes = invalid.problems.iter().map(|problem| problem.code);
        let codes: Vec<_> = codes.collect();
        assert_eq!(codes, ["edge-nowhere", "not-a-workflow"], "{invalid}");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, code) in [
            ("{", "not-json"),
            ("{}", "not-a-workflow"),
            (
                &TEXT.replace("\"handler\"", "\"handeler\""),
                "not-a-workflow",
            ),
            (
                &TEXT.replace("\"next\": \"ship\"", "\"next\": \"shop\""),
                "edge-nowhere",
            ),
            (
                &TEXT.replace("\"check\", \"kind\"", "\"\", \"kind\""),
                "edge-nowhere",
            ),
            (
                &TEXT.replace("\"approve\", \"kind\"", "\"ship\", \"kind\""),
                "edge-nowhere",
            ),
        ] {
            let invalid = Definition::from_json(text).unwrap_err();
            assert_eq!(invalid.problems[0].code, code, "{invalid}");
        }
    }
}
