//! What `OpenC2` adds to HTTP: a media type, and a status in the answer itself.

use serde_json::Value as Json;

use super::response::is_passing;
use crate::steps::Setback;

/// Of requests and answers.
pub(super) const MEDIA_TYPE: &str = "application/openc2+json;version=1.0";

/// Statuses from here on are failures, as those of HTTP.
const FAILURES: u64 = 400;

/// The answer, if the consumer did as it was told.
///
/// # Errors
/// Its status says that it did not.
pub(super) fn judge(answer: Json) -> Result<Json, Setback> {
    let response = response_in(&answer);
    match response["status"].as_u64() {
        Some(status) if status >= FAILURES => {
            let said = response["status_text"].as_str();
            let said = said.map_or_else(String::new, |text| format!(": {text}"));
            let passing = u16::try_from(status).is_ok_and(is_passing);
            Err(Setback::Failed {
                code: "openc2-status",
                message: format!("the OpenC2 consumer answered with status {status}{said}"),
                permanent: !passing,
            })
        }
        _ => Ok(answer),
    }
}

/// The response alone, or in the envelope of the HTTPS transfer specification.
fn response_in(answer: &Json) -> &Json {
    match &answer["body"]["openc2"]["response"] {
        Json::Null => answer,
        response => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_status_in_the_answer_decides() {
        let wrapped = |status: u64| json!({"body": {"openc2": {"response": {"status": status}}}});
        for good in [
            json!({"status": 200, "results": {}}),
            json!({"status": 102}),
            wrapped(200),
            json!("done"),
            json!(null),
        ] {
            assert_eq!(judge(good.clone()), Ok(good));
        }
        for (bad, is_permanent, word) in [
            (
                json!({"status": 400, "status_text": "no such actuator"}),
                true,
                "400: no such",
            ),
            (wrapped(501), false, "501"),
            (json!({"status": 503}), false, "503"),
            (json!({"status": 70_000}), true, "70000"),
        ] {
            let Err(Setback::Failed {
                message, permanent, ..
            }) = judge(bad)
            else {
                panic!("it is a failure");
            };
            assert_eq!(permanent, is_permanent, "{message}");
            assert!(message.contains(word), "{message}");
        }
    }
}
