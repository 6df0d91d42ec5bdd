//! What the conditionals of a run have decided, read from its data.
//!
//! Of the data of each iteration only the decisions are read: it holds all that the run knows, and a loop
//! may have many iterations.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use windlass_workflow_model::Payload;

/// What a conditional has decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether its condition holds; its branch is `then`, else `else`.
    pub result: bool,
    /// Why the condition could not be judged, and so is false.
    pub error: Option<String>,
}

/// What the conditionals of a run have decided, by step, from the data of a run or of an iteration; none
/// for data of another shape.
pub fn run_decisions(data: &Payload) -> BTreeMap<String, Decision> {
    let Ok(state) = serde_json::from_slice::<State>(data.as_bytes()) else {
        return BTreeMap::new();
    };
    let decided = state.steps.into_iter().filter_map(|(step, entry)| {
        entry.conditional?;
        let decision = Decision {
            result: entry.outputs.0?,
            error: entry.condition_error,
        };
        Some((step, decision))
    });
    decided.collect()
}

/// The same of an iteration that failed, from the output of its row.
pub fn decisions_of_failed(output: &Payload) -> BTreeMap<String, Decision> {
    output.decode().unwrap_or_default()
}

/// What those of these steps have decided that are conditionals, to be kept where the data is not; `None`
/// if there are none.
pub(crate) fn decisions_kept(data: &Payload, of: &HashSet<String>) -> Option<Payload> {
    let mut decisions = run_decisions(data);
    decisions.retain(|step, _| of.contains(step));
    let kept = (!decisions.is_empty()).then(|| Payload::encode(&decisions));
    kept.and_then(Result::ok)
}

/// The data of a run, as far as it is read here.
#[derive(Deserialize)]
struct State {
    #[serde(default)]
    steps: BTreeMap<String, Entry>,
}

/// What is kept of a step.
#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    outputs: Outcome,
    conditional: Option<IgnoredAny>,
    condition_error: Option<String>,
}

/// The `condition_result` in the output of a conditional; other outputs may be any JSON.
#[derive(Default)]
struct Outcome(Option<bool>);

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Find)
    }
}

struct Find;

impl<'de> Visitor<'de> for Find {
    type Value = Outcome;

    fn expecting(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outcome, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == "condition_result" {
                found = map.next_value::<serde_json::Value>()?.as_bool();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Outcome(found))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Outcome, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Outcome(None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Outcome, E> {
        Ok(Outcome(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Outcome, E> {
        Ok(Outcome(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Outcome, E> {
        Ok(Outcome(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Outcome, E> {
        Ok(Outcome(None))
    }

    fn visit_str<E>(self, _: &str) -> Result<Outcome, E> {
        Ok(Outcome(None))
    }

    fn visit_unit<E>(self) -> Result<Outcome, E> {
        Ok(Outcome(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decisions_are_read_beside_outputs_of_every_shape() {
        let conditional = |result: bool, error: Option<&str>| {
            let mut entry = json!({"outputs": {"branch_taken": "x", "condition_result": result}, "conditional": true});
            if let Some(error) = error {
                entry["condition_error"] = error.into();
            }
            entry
        };
        let data = json!({"input": [1, {"steps": 2}], "steps": {
            "c": conditional(true, None), "d": conditional(false, Some("why")),
            "a": {"outputs": {"condition_result": true}}, "b": {"outputs": null},
            "e": {"outputs": [1, "x"]}, "f": {"outputs": -1.5}, "g": {"outputs": "t"},
            "h": {"outputs": true}, "i": {"error": {"code": "x"}}, "j": {"outputs": -3},
        }});
        let data = Payload::encode(&data).unwrap();
        let found: Vec<_> = run_decisions(&data).into_iter().collect();
        let decision = |step: &str, result, error: Option<&str>| {
            let error = error.map(str::to_owned);
            (step.to_owned(), Decision { result, error })
        };
        let expected = [decision("c", true, None), decision("d", false, Some("why"))];
        assert_eq!(found, expected);
        let inside = HashSet::from(["d".to_owned(), "a".to_owned()]);
        let kept = decisions_kept(&data, &inside).unwrap();
        assert_eq!(
            decisions_of_failed(&kept).into_iter().collect::<Vec<_>>(),
            expected[1..]
        );
        assert_eq!(decisions_kept(&data, &HashSet::new()), None);
        assert!(run_decisions(&Payload::encode(&json!([1])).unwrap()).is_empty());
    }
}
