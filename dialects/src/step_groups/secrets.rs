//! Values of secret names, and texts without them.

use serde_json::Value as Json;

/// What stands in the place of a value.
const MASK: &str = "***";

/// Values that are shown nowhere.
pub(crate) struct Secrets(Vec<String>);

impl Secrets {
    /// Hides these values, also where they stand inside a text of JSON.
    pub(crate) fn of(values: impl IntoIterator<Item = String>) -> Self {
        let in_json = |value: &String| {
            let quoted = Json::from(value.as_str()).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        };
        let values = values.into_iter().filter(|value| !value.is_empty());
        let mut forms: Vec<_> = values.flat_map(|value| [in_json(&value), value]).collect();
        // A value that another one begins with would leave the rest of that.
        forms.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
        forms.dedup();
        Self(forms)
    }

    pub(crate) fn hide(&self, text: &str) -> String {
        let mut hidden = text.to_owned();
        for value in &self.0 {
            if hidden.contains(value.as_str()) {
                hidden = hidden.replace(value.as_str(), MASK);
            }
        }
        hidden
    }

    /// The value with all its texts, names and numbers hidden.
    pub(crate) fn hide_in(&self, value: Json) -> Json {
        match value {
            Json::String(text) => self.hide(&text).into(),
            Json::Array(items) => items.into_iter().map(|item| self.hide_in(item)).collect(),
            Json::Object(entries) => {
                let entries = entries.into_iter();
                let hidden = entries.map(|(name, value)| (self.hide(&name), self.hide_in(value)));
                Json::Object(hidden.collect())
            }
            Json::Number(number) => {
                let text = number.to_string();
                let hidden = self.hide(&text);
                if hidden == text {
                    Json::Number(number)
                } else {
                    hidden.into()
                }
            }
            Json::Null | Json::Bool(_) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_hidden_wherever_they_stand() {
        let values = ["key", "keyring", "a\"b", "", "7"].map(str::to_owned);
        let secrets = Secrets::of(values);
        let shown = json!({"the key": ["keyring", "{\"x\":\"a\\\"b\"}", 1.75, true, null, 5]});
        let expected = json!({"the ***": ["***", "{\"x\":\"***\"}", "1.***5", true, null, 5]});
        assert_eq!(secrets.hide_in(shown), expected);
        assert_eq!(Secrets::of([]).hide("as it is"), "as it is");
    }
}
