//! What is said about a value that a key cannot take.

use serde_json::Value as Json;

use super::keys;

/// What follows the key in the message; `own_words` are those of the value's own grammar.
pub(super) fn words(key: &str, found: &Json, own_words: Option<String>) -> String {
    let expected = keys::expected(key);
    let is_text = found.is_string();
    match own_words {
        Some(words) if is_text || found.is_array() => format!(": {words}"),
        _ => format!(
            " must be {expected}, found {}{}",
            shown(found),
            fix(key, found)
        ),
    }
}

/// A value and what it is, in plain words.
fn shown(found: &Json) -> String {
    match found {
        Json::Null => "nothing".to_owned(),
        Json::Bool(truth) => format!("{truth} (a truth value)"),
        Json::Number(number) => format!("{number} (a number)"),
        Json::String(text) => format!("{text:?} (text)"),
        Json::Array(_) => "a list".to_owned(),
        Json::Object(_) => "a table".to_owned(),
    }
}

fn fix(key: &str, found: &Json) -> &'static str {
    let is_number = |text: &str| text.trim().parse::<u64>().is_ok();
    match found {
        Json::String(text) if !keys::is_text(key) && is_number(text) => "; remove the quotes",
        Json::Number(_) | Json::Bool(_) if keys::is_duration(key) => {
            "; add a unit and put both in quotes"
        }
        Json::Number(_) | Json::Bool(_) if keys::expected(key) == keys::TEXT => {
            "; put it in quotes"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn wrong_values_are_explained_in_plain_words() {
        for (key, found, expected) in [
            (
                "runners",
                json!("3"),
                " must be a whole number, found \"3\" (text); remove the quotes",
            ),
            (
                "durability",
                json!("ful"),
                " must be full or normal, found \"ful\" (text)",
            ),
            (
                "admission.timeout",
                json!(5),
                " must be a duration such as \"30s\", found 5 (a number); add a unit and put both in quotes",
            ),
            (
                "database",
                json!(true),
                " must be text, found true (a truth value); put it in quotes",
            ),
            (
                "allow",
                json!(5),
                " must be a list of kinds such as [\"shell\"], found 5 (a number)",
            ),
            (
                "capacity",
                json!(-1.5),
                " must be a whole number, found -1.5 (a number)",
            ),
        ] {
            assert_eq!(words(key, &found, None), expected);
        }
    }
}
