//! What a command that succeeded gives.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::call::text_of;
use crate::masks::Masks;

/// Either variables by name, or one result without a name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Performed {
    /// Name → value, only names that the step may write.
    pub(crate) variables: BTreeMap<String, String>,
    /// The value of the step's only `out_arg`, if it has just one.
    pub(crate) result: Option<Json>,
}

impl Performed {
    /// Reads what a program wrote: all of it without the last newline is the result. One JSON object
    /// whose names are all `out_args` is their values instead.
    pub(super) fn of_output(output: &[u8], out_args: &BTreeMap<String, Json>) -> Self {
        let text = String::from_utf8_lossy(output);
        if let Ok(Json::Object(object)) = serde_json::from_str(&text)
            && names_only(&object, out_args)
        {
            return Self::of_variables(&object);
        }
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Self {
            result: Some(Json::from(text)),
            ..Self::default()
        }
    }

    /// The same for a value that came as JSON.
    pub(super) fn of_json(value: Json, out_args: &BTreeMap<String, Json>) -> Self {
        match value {
            Json::Object(object) if names_only(&object, out_args) => Self::of_variables(&object),
            value => Self {
                result: Some(value),
                ..Self::default()
            },
        }
    }

    fn of_variables(object: &Map<String, Json>) -> Self {
        let values = object
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), text_of(value)?)));
        Self {
            variables: values.collect(),
            result: None,
        }
    }

    /// The same without the values of secrets.
    pub(super) fn masked(self, masks: &Masks) -> Self {
        let hide = |(name, value): (String, String)| (name, masks.hide(&value).into_owned());
        Self {
            variables: self.variables.into_iter().map(hide).collect(),
            result: self.result.map(|result| masks.hide_in(result)),
        }
    }
}

/// Whether an object is the values of variables and nothing else.
fn names_only(object: &Map<String, Json>, out_args: &BTreeMap<String, Json>) -> bool {
    !object.is_empty() && object.keys().all(|name| out_args.contains_key(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn output_is_variables_or_one_result() {
        let out_args = ["__a__", "__b__"].map(|name| (name.to_owned(), json!("string")));
        let out_args = BTreeMap::from(out_args);
        let check = |output: &str, variables: Json, result: Json| {
            let found = serde_json::to_value(Performed::of_output(output.as_bytes(), &out_args));
            let expected = json!({"variables": variables, "result": result});
            assert_eq!(found.unwrap(), expected, "{output}");
        };
        check("up\n\n", json!({}), json!("up\n"));
        check("", json!({}), json!(""));
        let variables = json!({"__a__": "x", "__b__": "5"});
        check(
            " {\"__a__\": \"x\", \"__b__\": 5}\n",
            variables,
            json!(null),
        );
        check("{\"__a__\": null}", json!({}), json!(null));
        check(
            "{\"__a__\":1,\"c\":2}",
            json!({}),
            json!("{\"__a__\":1,\"c\":2}"),
        );
        check("{}", json!({}), json!("{}"));
    }
}
