//! The data a run begins with.

use serde_json::{Map, Value as Json};

use crate::args::Parameter;
use crate::failure::Failure;

/// The key under which a run keeps what its steps gave.
const STEPS: &str = "steps";

/// Reads `--input`: a JSON object, or `@FILE` with one. Without it the run begins with nothing.
pub(crate) fn read(input: Option<&str>) -> Result<Json, Failure> {
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
    let value: Json = serde_json::from_str(&text).map_err(|error| {
        Failure::refused(format!(
            "--input is no JSON ({error}); write an object such as {{\"name\": 1}}"
        ))
    })?;
    match value {
        Json::Object(object) if object.contains_key(STEPS) => Err(Failure::refused(
            "--input has a key \"steps\", where the run keeps what its steps give; give it another name",
        )),
        Json::Object(_) => Ok(value),
        _ => Err(Failure::refused(
            "--input is JSON but no object, so outputs of steps would have no place beside it; write an object such as {\"name\": 1}",
        )),
    }
}

/// A line per parameter that no workflow declares. Until a dialect lets a workflow declare some,
/// that is every one.
pub(crate) fn undeclared(params: &[Parameter]) -> Vec<String> {
    params
        .iter()
        .map(|Parameter { name, value }| {
            format!("--param {name}={value}: the workflow declares no parameter {name:?}, so the value would have no effect; remove it, or pass data with --input")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn input_is_an_object_from_the_line_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.json");
        std::fs::write(&path, "{\"a\": 1}").unwrap();
        let at_file = format!("@{}", path.display());
        let read = |input: Option<&str>| read(input).map_err(|failure| failure.problems);
        assert_eq!(read(None), Ok(json!({})));
        assert_eq!(read(Some("{\"a\": 1}")), Ok(json!({"a": 1})));
        assert_eq!(read(Some(&at_file)), Ok(json!({"a": 1})));
        for (wrong, word) in [
            ("{", "no JSON"),
            ("[1]", "no object"),
            ("{\"steps\": 1}", "\"steps\""),
            ("@/no/file", "cannot be read"),
        ] {
            let problems = read(Some(wrong)).unwrap_err();
            assert!(problems[0].contains(word), "{problems:?}");
        }
    }
}
