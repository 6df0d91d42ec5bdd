//! What a server answered, and what that means.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value as Json, json};

use super::limits::{EXCERPT_CHARS, RESPONSE_BYTES_MAX};
use crate::failure::chain;
use crate::masks::Masks;
use crate::steps::Setback;

/// A response that has been read.
pub(super) struct Answer {
    status: StatusCode,
    content_type: String,
    body: Vec<u8>,
    /// There was more than [`RESPONSE_BYTES_MAX`].
    is_cut: bool,
}

impl Answer {
    /// Reads the body up to its bound.
    pub(super) async fn of(mut response: reqwest::Response) -> Result<Self, Setback> {
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let mut answer = Self {
            status: response.status(),
            content_type: content_type.unwrap_or_default().to_ascii_lowercase(),
            body: Vec::new(),
            is_cut: false,
        };
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            answer.body.extend_from_slice(&chunk);
            if answer.body.len() > RESPONSE_BYTES_MAX {
                answer.body.truncate(RESPONSE_BYTES_MAX);
                answer.is_cut = true;
                break;
            }
        }
        Ok(answer)
    }

    /// The body of a success; null is an empty one. `request` says in an error what was asked.
    pub(super) fn judge(&self, request: &str, masks: &Masks) -> Result<Json, Setback> {
        if !self.status.is_success() {
            let said = self.excerpt(masks);
            return Err(Setback::Failed {
                code: "http-status",
                message: format!("{request} was answered with status {}{said}", self.status),
                permanent: !is_passing(self.status.as_u16()),
            });
        }
        if self.is_cut {
            return Err(Setback::permanent(
                "output-too-large",
                format!(
                    "{request} succeeded with status {}, but was answered with more than {RESPONSE_BYTES_MAX} bytes; ask for less",
                    self.status
                ),
            ));
        }
        Ok(self.value())
    }

    fn value(&self) -> Json {
        if self.body.is_empty() {
            return Json::Null;
        }
        let is_json =
            self.media_type() == "application/json" || self.media_type().ends_with("+json");
        if is_json && let Ok(value) = serde_json::from_slice(&self.body) {
            return value;
        }
        match str::from_utf8(&self.body) {
            Ok(text) => Json::from(text),
            Err(_) => json!({ "content_base64": BASE64_STANDARD.encode(&self.body) }),
        }
    }

    fn media_type(&self) -> &str {
        let media_type = self.content_type.split(';').next().unwrap_or_default();
        media_type.trim()
    }

    /// The beginning of the body, ready to be appended to a message. It is masked before it is cut,
    /// for half of a secret cannot be recognised.
    fn excerpt(&self, masks: &Masks) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let text = masks.hide(&text);
        let words: Vec<_> = text.split_whitespace().collect();
        let text = words.join(" ");
        if text.is_empty() {
            return String::new();
        }
        format!(": {}", text.chars().take(EXCERPT_CHARS).collect::<String>())
    }
}

/// Whether another attempt may be answered otherwise.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// The request was not answered, or not to the end.
pub(super) fn unreachable(error: reqwest::Error) -> Setback {
    // The address may hold secrets in its query.
    let error = error.without_url();
    let why = chain(&error);
    if error.is_builder() {
        return Setback::permanent(
            "request-invalid",
            format!("the request cannot be sent: {why}"),
        );
    }
    Setback::passing(
        "http-unreachable",
        format!(
            "the server did not answer: {why}; check its address, the network and its certificate"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &[u8]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            content_type: content_type.to_owned(),
            body: body.to_vec(),
            is_cut: false,
        }
    }

    #[test]
    fn a_body_is_what_its_type_says() {
        let json = "application/json; charset=utf-8";
        for (content_type, body, expected) in [
            (json, &b"{\"a\":1}"[..], json!({"a": 1})),
            ("application/vnd.x+json", b"[1]", json!([1])),
            ("text/plain", b"[1]", json!("[1]")),
            (json, b"{", json!("{")),
            (json, b"", json!(null)),
            (
                "application/zip",
                &[0xff, 0],
                json!({"content_base64": "/wA="}),
            ),
        ] {
            let masks = Masks::of([].into_iter());
            let found = answer(200, content_type, body).judge("GET to h", &masks);
            assert_eq!(found, Ok(expected));
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_nothing_is_shown() {
        let masks = Masks::of(["hunter2"].into_iter());
        let body = format!("{}hunter2 no", "x ".repeat(96));
        for (status, is_permanent) in [
            (302, true),
            (400, true),
            (404, true),
            (408, false),
            (429, false),
            (500, false),
            (503, false),
        ] {
            let found = answer(status, "text/plain", body.as_bytes()).judge("GET to h", &masks);
            let Err(Setback::Failed {
                message, permanent, ..
            }) = found
            else {
                panic!("{status} is a failure: {found:?}");
            };
            assert_eq!(permanent, is_permanent, "{status}");
            assert!(message.contains(&status.to_string()), "{message}");
            assert!(
                message.ends_with("x ***  no".replace("  ", " ").as_str()),
                "{message}"
            );
        }
    }

    #[test]
    fn a_body_that_is_too_large_is_told_and_never_cut_in_silence() {
        let large = Answer {
            is_cut: true,
            ..answer(201, "text/plain", b"x")
        };
        let found = large.judge("POST to h", &Masks::of([].into_iter()));
        let Err(Setback::Failed {
            code,
            permanent,
            message,
        }) = found
        else {
            panic!("it is a failure: {found:?}");
        };
        assert_eq!((code, permanent), ("output-too-large", true));
        assert!(message.contains("201"), "{message}");
    }
}
