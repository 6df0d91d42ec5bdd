//! What a run begins with, as each dialect takes it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use windlass_dialects::{
    Dialect, ImportedWorkflow, declared_parameters, group_digits, process_env,
};

use crate::args::Parameter;
use crate::failure::Failure;

/// The key under which a run keeps what its steps gave.
const STEPS: &str = "steps";

/// What we put beside it: variables of our environment, and digits of numbers.
const OURS: [&str; 2] = ["process_env", "digits"];

/// What a caller may give to step groups, each an object.
const GIVEN: [&str; 4] = ["variables", "parameters", "resources", "context"];

/// Reads `--input`: JSON, or `@FILE` with it. Without it the run begins with nothing.
pub(crate) fn read(input: Option<&str>, dialect: Dialect) -> Result<Json, Failure> {
    let Some(given) = input else {
        return Ok(Json::Object(Map::new()));
    };
    let text = match given.strip_prefix('@') {
        None => given.to_owned(),
        Some(path) => std::fs::read_to_string(path).map_err(|error| {
            Failure::refused(format!(
                "--input: {path} cannot be read ({error}); correct the path"
            ))
        })?,
    };
    let mut value: Json = serde_json::from_str(&text).map_err(|error| {
        Failure::refused(format!(
            "--input is no JSON ({error}); write an object such as {{\"name\": 1}}"
        ))
    })?;
    let problems = match dialect {
        // It stands apart from what steps give, and references reach into whatever it is.
        // A playbook says itself which variables there are; that is judged with it.
        Dialect::ParallelJson | Dialect::Cacao => Vec::new(),
        Dialect::WorkflowJson => problems(&value, &[]),
        Dialect::StepGroupsYaml => {
            let mut problems = problems(&value, &GIVEN);
            problems.extend(ours_in(&value));
            problems
        }
    };
    if !problems.is_empty() {
        return Err(Failure::all(problems));
    }
    if dialect == Dialect::StepGroupsYaml {
        put_digits(&mut value, &text);
    }
    Ok(value)
}

/// Notes the digits of numbers, which the values do not keep.
fn put_digits(input: &mut Json, text: &str) {
    let digits = group_digits(text);
    if let (Some(input), false) = (input.as_object_mut(), digits.is_null()) {
        input.insert("digits".to_owned(), digits);
    }
}

/// A line for each key that is not the caller's.
fn ours_in(value: &Json) -> impl Iterator<Item = String> {
    let ours = OURS.into_iter().filter(|key| value.get(*key).is_some());
    ours.map(|key| {
        format!(
            "--input: {key} is put in by us, so what stands there would be lost; remove it (known: {})",
            GIVEN.join(", ")
        )
    })
}

/// What is wrong with an input beside which steps keep what they give; `objects` are keys of it that
/// hold objects.
fn problems(value: &Json, objects: &[&str]) -> Vec<String> {
    let Some(given) = value.as_object() else {
        return vec!["--input is JSON but no object, so outputs of steps would have no place beside it; write an object such as {\"name\": 1}".to_owned()];
    };
    let mut problems = Vec::new();
    if given.contains_key(STEPS) {
        problems.push("--input has a key \"steps\", where the run keeps what its steps give; give it another name".to_owned());
    }
    let wrong = objects
        .iter()
        .filter(|key| given.get(**key).is_some_and(|value| !value.is_object()));
    problems.extend(wrong.map(|key| {
        format!("--input: {key} is no object, so nothing in it would have a name; write {{\"{key}\": {{\"name\": 1}}}}")
    }));
    problems
}

/// Puts the parameters of the command line into the input. Gives a line for each that no workflow
/// declares, or that has no value of its type.
pub(crate) fn set_parameters(
    params: &[Parameter],
    workflows: &[&ImportedWorkflow],
    input: &mut Json,
) -> Vec<String> {
    let declared = workflows
        .iter()
        .flat_map(|workflow| declared_parameters(&workflow.definition));
    let declared: BTreeMap<String, &str> = declared.collect();
    let mut problems = Vec::new();
    for Parameter { name, value } in params {
        let Some(kind) = declared.get(name) else {
            problems.push(format!("--param {name}={value}: the workflow declares no parameter {name:?}, so the value would have no effect; remove it, or pass data with --input"));
            continue;
        };
        let read: Option<Json> = match *kind {
            "string" => Some(Json::String(value.clone())),
            _ => serde_json::from_str(value).ok(),
        };
        let fits = |value: &Json| match *kind {
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            "object" => value.is_object(),
            _ => true,
        };
        let Some(read) = read.filter(fits) else {
            problems.push(format!(
                "--param {name}: the value is no {kind}, as the workflow declares it; write one"
            ));
            continue;
        };
        let digits = match *kind {
            "string" => Json::Null,
            _ => group_digits(value),
        };
        if input.get("digits").is_some() || !digits.is_null() {
            put_parameter_digits(input, name, digits);
        }
        put(input, "parameters", name, read);
    }
    problems
}

/// Digits of one parameter, in place of those that `--input` has for it.
fn put_parameter_digits(input: &mut Json, name: &str, digits: Json) {
    let Some(input) = input.as_object_mut() else {
        return;
    };
    let all = input.entry("digits").or_insert_with(|| json!({}));
    put(all, "parameters", name, digits);
}

/// Puts the variables of our environment into the input that runs may read.
pub(crate) fn add_process_env(workflows: &[&ImportedWorkflow], input: &mut Json) {
    for workflow in workflows {
        for name in process_env(&workflow.definition) {
            if let Ok(value) = std::env::var(&name) {
                put(input, "process_env", &name, Json::String(value));
            }
        }
    }
}

fn put(input: &mut Json, key: &str, name: &str, value: Json) {
    let Some(input) = input.as_object_mut() else {
        return;
    };
    let inside = input.entry(key).or_insert_with(|| Json::Object(Map::new()));
    if let Some(inside) = inside.as_object_mut() {
        inside.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_an_object_from_the_line_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        std::fs::write(&path, "{\"a\": 1}").unwrap();
        let at_file = format!("@{}", path.display());
        let all = Dialect::ALL;
        let read =
            |input: Option<&str>, dialect| read(input, dialect).map_err(|failure| failure.problems);
        for dialect in all {
            assert_eq!(read(None, dialect), Ok(json!({})));
            assert_eq!(read(Some("{\"a\": 1}"), dialect), Ok(json!({"a": 1})));
            assert_eq!(read(Some(&at_file), dialect), Ok(json!({"a": 1})));
            for (wrong, word) in [("{", "no JSON"), ("@/no/file", "cannot be read")] {
                let problems = read(Some(wrong), dialect).unwrap_err();
                assert!(problems[0].contains(word), "{problems:?}");
            }
        }
        let wrong = "{\"steps\": 1, \"variables\": [], \"context\": 5}";
        for (dialect, list, object) in [
            (Dialect::StepGroupsYaml, 1, 3),
            (Dialect::WorkflowJson, 1, 1),
            (Dialect::ParallelJson, 0, 0),
            (Dialect::Cacao, 0, 0),
        ] {
            let told = |input| read(Some(input), dialect).map_or_else(|told| told.len(), |_| 0);
            assert_eq!((told("[1]"), told(wrong)), (list, object), "{dialect}");
        }
        let ours = "{\"process_env\": {}, \"digits\": {}}";
        let problems = read(Some(ours), Dialect::StepGroupsYaml).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
        let numbers = "{\"variables\": {\"v\": 1.50, \"w\": 1}}";
        let expected = json!({"variables": {"v": "1.50"}});
        assert_eq!(
            read(Some(numbers), Dialect::StepGroupsYaml).unwrap()["digits"],
            expected
        );
        let problems = read(Some(wrong), Dialect::StepGroupsYaml).unwrap_err();
        for (problem, word) in problems
            .iter()
            .zip(["\"steps\"", "variables is", "context is"])
        {
            assert!(problem.contains(word), "{problems:?}");
        }
    }
}
