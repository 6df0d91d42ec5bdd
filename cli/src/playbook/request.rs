//! An HTTP request as it is sent, built from a call.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use reqwest::{Method, Url};

use super::address::Place;
use super::start_line::StartLine;
use super::work::Work;
use crate::steps::Setback;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What the connection itself needs is not the playbook's to say.
const OF_THE_CONNECTION: [&str; 6] = [
    "connection",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Holds secrets, so it has no `Debug`.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
}

impl Request {
    /// Builds the request of a command, with secrets.
    ///
    /// # Errors
    /// It cannot be sent as it is.
    pub(super) fn of(work: &Work<'_>) -> Result<Self, Setback> {
        let text = work.equipment.secrets.fill_in(work.call.text()?);
        let line = StartLine::read(&text)?;
        let url = line.url(Place::of(work.call))?;
        let mut headers = headers_of(work)?;
        if let Some(credentials) = &work.credentials
            && !headers.contains_key(AUTHORIZATION)
        {
            headers.insert(
                AUTHORIZATION,
                value("Authorization", &credentials.authorization()?)?,
            );
        }
        if !headers.contains_key(IDEMPOTENCY_KEY) {
            let key = value("Idempotency-Key", &work.call.idempotency_key)?;
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        Ok(Self {
            method: line.method,
            url,
            headers,
            body: body_of(work)?,
        })
    }

    /// The same, saying what its body is, and what is wanted back, unless the playbook does.
    pub(super) fn of_type(mut self, media_type: &'static str) -> Self {
        for name in [CONTENT_TYPE, ACCEPT] {
            let stated = self.headers.entry(name);
            stated.or_insert(HeaderValue::from_static(media_type));
        }
        self
    }

    /// How messages call it: method and server; the rest of the address may hold anything.
    pub(super) fn name(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}"));
        let (method, scheme) = (&self.method, self.url.scheme());
        format!("{method} to {scheme}://{host}{}", port.unwrap_or_default())
    }
}

fn headers_of(work: &Work<'_>) -> Result<HeaderMap, Setback> {
    let mut headers = HeaderMap::new();
    for (name, values) in &work.call.command.headers {
        let known = HeaderName::from_bytes(name.as_bytes()).ok();
        let Some(known) = known.filter(|name| !OF_THE_CONNECTION.contains(&name.as_str())) else {
            return Err(refused(name, "is none that a playbook can set; remove it"));
        };
        // The length is counted, so that it is right after variables were filled in.
        if known == CONTENT_LENGTH {
            continue;
        }
        for text in values {
            let text = work.equipment.secrets.fill_in(text);
            headers.append(known.clone(), value(name, &text)?);
        }
    }
    Ok(headers)
}

fn value(name: &str, text: &str) -> Result<HeaderValue, Setback> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| {
        refused(
            name,
            "has a value with a line break or another control character; remove it",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn refused(name: &str, why: &str) -> Setback {
    Setback::permanent("header-invalid", format!("header {name:?} {why}"))
}

fn body_of(work: &Work<'_>) -> Result<Option<Vec<u8>>, Setback> {
    let command = &work.call.command;
    let Some(content) = &command.content else {
        return Ok(None);
    };
    let secrets = &work.equipment.secrets;
    if !command.content_base64 {
        return Ok(Some(secrets.fill_in(content).into_bytes()));
    }
    let bytes = BASE64_STANDARD.decode(content).map_err(|error| {
        Setback::permanent(
            "base64-invalid",
            format!("the content of the request is no base64 ({error}); encode it again"),
        )
    })?;
    Ok(Some(match String::from_utf8(bytes) {
        Ok(text) => secrets.fill_in(&text).into_bytes(),
        Err(error) => error.into_bytes(),
    }))
}
