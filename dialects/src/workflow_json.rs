//! The engine's own form of workflows: JSON with named nodes, see
//! [`Definition::from_json`](windlass_workflow_model::Definition::from_json).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_expressions::{PREFIX, compile};
use windlass_workflow_model::{Definition, Functions, Source};

use crate::diagnostic::{Report, Spot};
use crate::dialect::Dialect;
use crate::import::ImportedWorkflow;
use crate::options::ImportOptions;

/// Whether a text is a JSON object with nodes.
pub(crate) fn recognises(text: &str) -> bool {
    if !text.trim_start().starts_with('{') {
        return false;
    }
    let value: Result<serde_json::Value, _> = serde_json::from_str(text);
    value.is_ok_and(|value| value["nodes"].is_array())
}

/// The workflow of a text, if nothing is wrong with it.
pub(crate) fn import(
    text: &str,
    options: &ImportOptions,
    report: &mut Report,
) -> Option<ImportedWorkflow> {
    let definition = match Definition::from_json(&with_types(text)) {
        Ok(definition) => definition,
        Err(invalid) => {
            for problem in invalid.problems {
                let spot = at(problem.node.as_deref());
                report.error(problem.code, &spot, problem.message);
            }
            return None;
        }
    };
    let functions = functions(&definition, report);
    let source = Source {
        dialect: Dialect::WorkflowJson.as_str().to_owned(),
        file: options.file.clone(),
        text: text.to_owned(),
    };
    Some(ImportedWorkflow {
        definition: definition.with_source(source),
        functions,
        rehearsal: BTreeMap::new(),
    })
}

/// The text with each step's `config` in the place where handlers of the command line look for it,
/// beside the step's type and its workflow's name. A text that is no JSON stays as it is.
fn with_types(text: &str) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return text.to_owned();
    };
    let workflow = value["name"].clone();
    let nodes = value.get_mut("nodes").and_then(Value::as_array_mut);
    for node in nodes.into_iter().flatten() {
        let step = node.pointer_mut("/kind/step");
        if let Some(step) = step.and_then(Value::as_object_mut) {
            let handler = step.get("handler").cloned().unwrap_or_default();
            let config = step.remove("config").unwrap_or_else(|| json!({}));
            let config = json!({ "workflow": workflow, "type": handler, "config": config });
            step.insert("config".to_owned(), config);
        }
    }
    value.to_string()
}

fn at(node: Option<&str>) -> Spot {
    Spot {
        step: node.map(Into::into),
        subject: node.map_or_else(String::new, |node| format!("node {node:?}")),
        ..Spot::default()
    }
}

/// The expressions that it names, and what is wrong with them.
fn functions(definition: &Definition, report: &mut Report) -> Functions {
    let mut functions = Functions::new();
    for (name, role) in definition.functions() {
        let Some(text) = name.strip_prefix(PREFIX) else {
            let what = format!(
                "function {name:?} is no expression, and a file brings no other functions; write one that begins with ="
            );
            report.error("function-unknown", &Spot::default(), what);
            continue;
        };
        match compile(text, role) {
            Ok(function) => {
                functions.insert(name, function);
            }
            Err(error) => report.error("expression-invalid", &Spot::default(), error.to_string()),
        }
    }
    functions
}
