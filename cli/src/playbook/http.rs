//! `http-api` and `openc2-http`: a request to a server, and what it answers.

use std::sync::{Arc, OnceLock};

use reqwest::header::LOCATION;
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::limits::{CONNECT_TIMEOUT, REDIRECTS_MAX};
use super::openc2;
use super::performed::Performed;
use super::request::Request;
use super::response::{Answer, unreachable};
use super::work::Work;
use crate::failure::chain;
use crate::steps::Setback;

/// Sends requests. Cloning shares what it has read of the system's certificates.
#[derive(Clone, Debug, Default)]
pub(crate) struct HttpClients(Arc<Clients>);

#[derive(Debug, Default)]
struct Clients {
    /// For `http`; knows no certificates, so that a system may have none.
    plain: OnceLock<Result<Client, String>>,
    secure: OnceLock<Result<Client, String>>,
}

pub(super) async fn http_api(
    work: &Work<'_>,
    stop: impl Future<Output = ()>,
) -> Result<Performed, Setback> {
    let request = Request::of(work)?;
    let answer = ask(work, request, stop).await?;
    Ok(Performed::of_json(answer, &work.call.out_args))
}

pub(super) async fn openc2(
    work: &Work<'_>,
    stop: impl Future<Output = ()>,
) -> Result<Performed, Setback> {
    let request = Request::of(work)?.of_type(openc2::MEDIA_TYPE);
    if request.method != Method::POST {
        return Err(Setback::permanent(
            "start-line-invalid",
            format!(
                "OpenC2 is spoken with POST, not with {}; correct the start line",
                request.method
            ),
        ));
    }
    if request.body.is_none() {
        return Err(Setback::permanent(
            "content-missing",
            "the command has no content, so the OpenC2 consumer would be told nothing; add content_b64",
        ));
    }
    let answer = openc2::judge(ask(work, request, stop).await?)?;
    Ok(Performed::of_json(answer, &work.call.out_args))
}

/// The body of the answer to a request.
async fn ask(
    work: &Work<'_>,
    request: Request,
    stop: impl Future<Output = ()>,
) -> Result<serde_json::Value, Setback> {
    let name = request.name();
    let client = work.equipment.http.client(request.url.scheme())?;
    let exchange = async { Answer::of(follow(client, request).await?).await };
    let answer = tokio::select! {
        answer = exchange => answer?,
        () = stop => return Err(Setback::passing(
            "stopped",
            "the request was given up: its run was cancelled, or the engine shuts down",
        )),
    };
    answer.judge(&name, &work.masks)
}

/// Sends a request and those it is redirected to.
async fn follow(client: &Client, mut request: Request) -> Result<Response, Setback> {
    for _ in 0..=REDIRECTS_MAX {
        let response = send(client, &request).await?;
        match redirected(&request, &response)? {
            Some(next) => request.url = next,
            None => return Ok(response),
        }
    }
    Err(Setback::permanent(
        "http-redirected",
        format!(
            "the request was redirected more than {REDIRECTS_MAX} times; ask at the right address"
        ),
    ))
}

async fn send(client: &Client, request: &Request) -> Result<Response, Setback> {
    let builder = client
        .request(request.method.clone(), request.url.clone())
        .headers(request.headers.clone());
    let builder = match &request.body {
        Some(body) => builder.body(body.clone()),
        None => builder,
    };
    builder.send().await.map_err(unreachable)
}

/// Where the same request is to be sent instead. Credentials and content never go to another server,
/// and nothing but the address changes.
fn redirected(request: &Request, response: &Response) -> Result<Option<Url>, Setback> {
    let is_safe = matches!(request.method, Method::GET | Method::HEAD);
    let keeps_method = match response.status() {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => is_safe,
        _ => return Ok(None),
    };
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|value| value.to_str().ok());
    let Some(next) = location.and_then(|text| request.url.join(text).ok()) else {
        return Ok(None);
    };
    if keeps_method && next.origin() == request.url.origin() {
        return Ok(Some(next));
    }
    let whereto = next.host_str().unwrap_or_default().to_owned();
    Err(Setback::permanent(
        "http-redirected",
        format!(
            "{} was redirected ({}) to {whereto}, where it is not sent: another server would get the credentials, or another method would be used; correct the address or the method",
            request.name(),
            response.status()
        ),
    ))
}

impl HttpClients {
    fn client(&self, scheme: &str) -> Result<&Client, Setback> {
        let client = if scheme == "https" {
            self.0.secure.get_or_init(|| build(true))
        } else {
            self.0.plain.get_or_init(|| build(false))
        };
        client.as_ref().map_err(|why| {
            Setback::passing(
                "http-unusable",
                format!("no request can be sent from here: {why}; install the system's certificates (ca-certificates)"),
            )
        })
    }
}

fn build(knows_certificates: bool) -> Result<Client, String> {
    // Whoever installed one before us wins, and it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        // A connection is driven by the Runner that opened it, so no other may use it.
        .pool_max_idle_per_host(0);
    let builder = if knows_certificates {
        builder
    } else {
        builder.tls_certs_only([])
    };
    builder.build().map_err(|error| chain(&error))
}
