//! The data of a run whose steps are found by name: what each step returned.
//!
//! It is a JSON object, `{"steps": {"<step>": {"outputs": …}}}`, beside whatever the run began
//! with. The Runner's side records outputs.

use serde_json::{Map, Value, json};
use windlass_workflow_model::{Fault, Payload, codes};

use crate::parallel_json::RunState;

pub(crate) const STEPS: &str = "steps";
pub(crate) const OUTPUTS: &str = "outputs";

/// The data after `step` returned `output`; what it returned before is replaced. Empty data (null)
/// becomes an object.
///
/// # Errors
/// A permanent [`Fault`] if the data, or what it holds under `steps`, is no JSON object.
pub fn record_output(data: &Payload, step: &str, output: &Value) -> Result<Payload, Fault> {
    let mut data = object(data)?;
    steps(&mut data)?.insert(step.to_owned(), json!({ OUTPUTS: output }));
    encode(&data)
}

/// What the steps of a run returned: an object, step name to output, in the order they ended or
/// were joined in. Empty if no step has.
pub fn run_outputs(data: &Payload) -> Value {
    RunState::read(data).map_or_else(|_| json!({}), |state| state.outputs())
}

/// What a run of a file has to say beside what its steps returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunNotes {
    /// What was not as it should be and did not stop it, such as a condition that could not be judged.
    pub warnings: Vec<String>,
    /// Failures that the flow went on from, each an object with the `step`.
    pub handled_failures: Vec<Value>,
    /// The outputs that a workflow of step groups declares for itself, an object; null if there are
    /// none, or not yet.
    pub workflow_outputs: Value,
}

/// Reads them from the data of a run; empty for data of another shape.
pub fn run_notes(data: &Payload) -> RunNotes {
    let mut data = object(data).unwrap_or_default();
    let list = |value: Option<Value>| match value {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    let warnings = list(data.remove("warnings")).into_iter();
    RunNotes {
        warnings: warnings
            .map(|warning| match warning {
                Value::String(text) => text,
                other => other.to_string(),
            })
            .collect(),
        handled_failures: list(data.remove("handled_failures")),
        workflow_outputs: data.remove(OUTPUTS).unwrap_or_default(),
    }
}

pub(crate) fn object(data: &Payload) -> Result<Map<String, Value>, Fault> {
    match data.decode() {
        Ok(Value::Object(data)) => Ok(data),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(invalid(
            "the run's data is JSON but no object, so outputs have no place in it; start the run with an object",
        )),
        Err(error) => Err(invalid(format!(
            "the run's data is no JSON ({error}); start the run with an object"
        ))),
    }
}

fn steps(data: &mut Map<String, Value>) -> Result<&mut Map<String, Value>, Fault> {
    let steps = data
        .entry(STEPS)
        .or_insert_with(|| Value::Object(Map::new()));
    steps.as_object_mut().ok_or_else(|| {
        invalid("the run's data has a key \"steps\" that is no object, but outputs are kept there; give it another name")
    })
}

fn encode(data: &Map<String, Value>) -> Result<Payload, Fault> {
    Payload::encode(data).map_err(|error| invalid(error.to_string()))
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(codes::DATA_INVALID, message).permanent()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(value: &Value) -> Payload {
        Payload::encode(value).unwrap()
    }

    #[test]
    fn outputs_are_kept_by_step_beside_what_the_run_began_with() {
        let data = record_output(&Payload::null(), "a", &json!(1)).unwrap();
        let data = record_output(&data, "b", &json!({"k": [true]})).unwrap();
        assert_eq!(
            run_outputs(&data).to_string(),
            r#"{"a":1,"b":{"k":[true]}}"#
        );
        let data = record_output(&payload(&json!({"user": "kim"})), "a", &Value::Null).unwrap();
        let expected = json!({"user": "kim", "steps": {"a": {"outputs": null}}});
        assert_eq!(data.decode::<Value>().unwrap(), expected);
    }

    #[test]
    fn data_of_another_shape_is_a_permanent_fault() {
        for data in [json!(5), json!([]), json!({"steps": 5})] {
            let fault = record_output(&payload(&data), "a", &json!(1)).unwrap_err();
            assert_eq!(fault.errors[0].code, codes::DATA_INVALID);
            assert!(!fault.retryable);
            assert_eq!(run_outputs(&payload(&data)), json!({}));
        }
        let broken = Payload::from_json(&b"{"[..]);
        assert!(record_output(&broken, "a", &json!(1)).is_err());
        assert_eq!(run_outputs(&broken), json!({}));
    }
}
