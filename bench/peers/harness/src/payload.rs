//! The payload of each job, as large as in the project's own benchmark.

use serde_json::{Value, json};

/// Bytes of JSON that each job carries.
pub const PAYLOAD_BYTES: usize = 100;

/// A JSON object of exactly [`PAYLOAD_BYTES`] when written compactly.
pub fn payload() -> Value {
    let frame = r#"{"text":""}"#.len();
    json!({ "text": "x".repeat(PAYLOAD_BYTES - frame) })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_payload_has_its_length() {
        assert_eq!(super::payload().to_string().len(), super::PAYLOAD_BYTES);
    }
}
