//! Settings from `WINDLASS_*` variables.
//!
//! `WINDLASS_CTX_*` belong to the steps: a program that a step started may call `windlass` itself.

use std::path::PathBuf;

use serde_json::Value as Json;

use super::keys;
use super::layer::Layer;
use crate::suggestion::nearest;

const PREFIX: &str = "WINDLASS_";
const CONTEXT_PREFIX: &str = "WINDLASS_CTX_";
/// Names the configuration file; it cannot stand in that file itself.
const CONFIG: &str = "WINDLASS_CONFIG";

/// A layer per variable that is set and not empty, and a problem per unknown one.
pub(super) fn layers(variables: Vec<(String, String)>) -> (Vec<Layer>, Vec<String>) {
    let names = keys::KEYS.map(keys::variable);
    let (mut layers, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in variables {
        if !name.starts_with(PREFIX) || name.starts_with(CONTEXT_PREFIX) || value.is_empty() {
            continue;
        }
        let source = format!("variable {name}");
        match names.iter().position(|known| *known == name) {
            Some(index) => layers.push(Layer::new(
                source,
                keys::KEYS[index],
                read(keys::KEYS[index], &value),
            )),
            None if name == CONFIG => layers.push(Layer::new(source, CONFIG, value)),
            None => {
                let hint = meant(&name, &names)
                    .map_or_else(String::new, |meant| format!(", or did you mean {meant:?}?"));
                problems.push(format!(
                    "variable {name} is unknown and would have no effect; unset it{hint}"
                ));
            }
        }
    }
    (layers, problems)
}

/// The variable that somebody may have meant; what all names begin with makes none of them near.
fn meant<'n>(written: &str, names: &'n [String]) -> Option<&'n str> {
    let end = |name: &'n str| name.strip_prefix(PREFIX).unwrap_or(name);
    let written = written.strip_prefix(PREFIX)?;
    let near = match written {
        // The flag has this name.
        "DB" => Some("DATABASE"),
        _ => nearest(written, names.iter().map(|name| end(name))),
    }?;
    names
        .iter()
        .map(String::as_str)
        .find(|name| end(name) == near)
}

/// The configuration file that the environment names.
pub(super) fn config_file(layers: &[Layer]) -> Option<PathBuf> {
    let named = layers.iter().find(|layer| layer.key() == CONFIG);
    named.and_then(|layer| layer.text().map(PathBuf::from))
}

fn read(key: &str, text: &str) -> Json {
    if keys::is_text(key) {
        return Json::from(text);
    }
    if keys::is_truth(key) {
        return text
            .trim()
            .parse::<bool>()
            .map_or_else(|_| Json::from(text), Json::from);
    }
    text.trim()
        .parse::<u64>()
        .map_or_else(|_| Json::from(text), Json::from)
}
