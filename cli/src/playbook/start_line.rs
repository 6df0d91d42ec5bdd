//! The start line of an HTTP request: `METHOD target HTTP/1.1`.

use reqwest::{Method, Url};

use super::address::{Place, invalid};
use crate::steps::Setback;

/// A start line, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StartLine<'l> {
    pub(super) method: Method,
    target: &'l str,
}

impl<'l> StartLine<'l> {
    /// Reads one. The target is everything between the method and the version.
    ///
    /// # Errors
    /// It is none.
    pub(super) fn read(line: &'l str) -> Result<Self, Setback> {
        let malformed = |why: &str| {
            Setback::permanent(
                "start-line-invalid",
                format!("the start line of the request {why}; write e.g. POST /tickets HTTP/1.1"),
            )
        };
        let line = line.trim();
        let parts = line.split_once(' ').and_then(|(method, rest)| {
            let (target, version) = rest.trim().rsplit_once(' ')?;
            Some((method, target.trim(), version))
        });
        let Some((method, target, version)) = parts else {
            return Err(malformed("has not three parts"));
        };
        if !version.starts_with("HTTP/") {
            return Err(malformed("does not end with an HTTP version"));
        }
        let method = match Method::from_bytes(method.as_bytes()) {
            Ok(Method::CONNECT) | Err(_) => {
                return Err(malformed("begins with no method that can be sent"));
            }
            Ok(method) => method,
        };
        if target.contains(|c: char| c.is_control()) {
            return Err(malformed("has a control character in its target"));
        }
        Ok(Self { method, target })
    }

    /// Where the request goes: the target of the start line below the address of the command's
    /// target. Nothing in the start line can lead anywhere else.
    ///
    /// # Errors
    /// There is no address, or the target of the start line would leave it.
    pub(super) fn url(&self, place: Place<'_>) -> Result<Url, Setback> {
        let base = base_of(place)?;
        if let Ok(whole) = Url::parse(self.target) {
            return match base {
                Some(base) if base.origin() != whole.origin() => Err(Self::misled(
                    "names another server than the target of the command",
                )),
                _ => checked(whole),
            };
        }
        let Some(base) = base else {
            return Err(invalid(
                "it has no address, so nobody could be asked; add address with url, dname, ipv4 or ipv6",
            ));
        };
        if !self.target.starts_with('/') {
            return Err(Self::misled("is no path that begins with /"));
        }
        if self.target.contains(['#', '\\']) {
            return Err(Self::misled("holds # or \\; write %23 or %5C"));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        if path.split('/').any(is_dots) {
            return Err(Self::misled("holds . or .. as a part of its path"));
        }
        let below = base.as_str().trim_end_matches('/');
        let whole = Url::parse(&format!("{below}{}", self.target));
        let whole = whole.map_err(|error| Self::misled(&format!("cannot be used ({error})")))?;
        if whole.origin() != base.origin() {
            return Err(Self::misled("leads to another server"));
        }
        Ok(whole)
    }

    fn misled(why: &str) -> Setback {
        Setback::permanent(
            "start-line-invalid",
            format!("the target in the start line of the request {why}, so it is not sent"),
        )
    }
}

/// The address: that of `url`, or `https` at a name or number.
fn base_of(place: Place<'_>) -> Result<Option<Url>, Setback> {
    let port = place.port()?;
    let mut base = match (place.address("url"), place.host()) {
        (Some(url), _) if url.contains("://") => checked(
            Url::parse(url).map_err(|error| invalid(&format!("url is no address ({error})")))?,
        )?,
        (Some(without_scheme), _) => https(without_scheme)?,
        (None, Some(number)) if number.contains(':') => https(&format!("[{number}]"))?,
        (None, Some(name)) => https(name)?,
        (None, None) => return Ok(None),
    };
    if base.port().is_none() && base.set_port(port).is_err() {
        return Err(invalid("its url takes no port"));
    }
    if base.query().is_some() {
        return Err(invalid("its url has a query; put that into the start line"));
    }
    Ok(Some(base))
}

fn https(rest: &str) -> Result<Url, Setback> {
    let url = Url::parse(&format!("https://{rest}"));
    checked(url.map_err(|error| invalid(&format!("its address is none ({error})")))?)
}

/// Only HTTP, only what is sent, and no credentials, which would be shown with the address.
fn checked(url: Url) -> Result<Url, Setback> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("its url must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(
            "its url holds credentials; put them into authentication_info",
        ));
    }
    if url.fragment().is_some() {
        return Err(invalid(
            "its url holds #, and what follows is never sent; write %23",
        ));
    }
    Ok(url)
}

fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(plain.as_str(), "." | "..")
}

#[cfg(test)]
mod tests {
    use super::super::call::tests::call;
    use super::*;
    use serde_json::{Value as Json, json};

    fn url(line: &str, target: &Json) -> Result<String, String> {
        let call = call(&json!({"type": "http-api"}), &json!({"target": target}));
        let url = StartLine::read(line).and_then(|line| line.url(Place::of(&call)));
        match url {
            Ok(url) => Ok(url.to_string()),
            Err(Setback::Failed { message, .. } | Setback::Later(message)) => Err(message),
        }
    }

    #[test]
    fn a_request_goes_below_the_address_of_the_target() {
        let dname = json!({"address": {"dname": ["api.example"]}, "port": "8443"});
        let based = json!({"address": {"url": ["http://api.example/v1/"]}, "port": "8080"});
        let both = json!({"address": {"url": ["https://api.example:99"]}, "port": "8080"});
        for (line, target, expected) in [
            (
                "GET /a?b=1 HTTP/1.1",
                dname.clone(),
                "https://api.example:8443/a?b=1",
            ),
            (
                "POST /a HTTP/2",
                based.clone(),
                "http://api.example:8080/v1/a",
            ),
            ("GET / HTTP/1.1", both, "https://api.example:99/"),
            (
                "GET /a b HTTP/1.1",
                dname.clone(),
                "https://api.example:8443/a%20b",
            ),
            (
                "GET //evil.example/ HTTP/1.1",
                dname.clone(),
                "https://api.example:8443//evil.example/",
            ),
            ("GET @evil.example/ HTTP/1.1", dname.clone(), ""),
            (
                "GET https://api.example:8443/x HTTP/1.1",
                dname,
                "https://api.example:8443/x",
            ),
            (
                "GET https://other.example/x HTTP/1.1",
                json!(null),
                "https://other.example/x",
            ),
            (
                "GET /x HTTP/1.1",
                json!({"address": {"ipv6": ["::1"]}}),
                "https://[::1]/x",
            ),
            (
                "GET /x HTTP/1.1",
                json!({"address": {"url": ["h.example/api"]}}),
                "https://h.example/api/x",
            ),
        ] {
            let found = url(line, &target);
            if expected.is_empty() {
                assert!(found.is_err(), "{line}: {found:?}");
            } else {
                assert_eq!(found.as_deref(), Ok(expected), "{line}");
            }
        }
    }

    #[test]
    fn whatever_leads_elsewhere_is_refused() {
        let target = json!({"address": {"url": ["https://api.example/v1"]}});
        for (line, word) in [
            ("create ticket", "three parts"),
            ("create a ticket", "HTTP version"),
            ("CONNECT /x HTTP/1.1", "no method"),
            ("G(T /x HTTP/1.1", "no method"),
            ("GET /a\r\nX: y HTTP/1.1", "control"),
            ("GET https://evil.example/ HTTP/1.1", "another server"),
            ("GET http://api.example/ HTTP/1.1", "another server"),
            ("GET x HTTP/1.1", "begins with /"),
            ("GET /a/../../admin HTTP/1.1", ".."),
            ("GET /a/%2E%2e/admin HTTP/1.1", ".."),
            ("GET /a#b HTTP/1.1", "%23"),
            ("GET /\\evil HTTP/1.1", "%5C"),
        ] {
            let refusal = url(line, &target).unwrap_err();
            assert!(refusal.contains(word), "{line}: {refusal}");
        }
        for (target, word) in [
            (json!({}), "no address"),
            (json!({"address": {"url": ["ftp://h/"]}}), "https://"),
            (
                json!({"address": {"url": ["https://u:p@h/"]}}),
                "credentials",
            ),
            (json!({"address": {"dname": ["h"]}, "port": "x"}), "65535"),
            (json!({"address": {"url": ["https://h/?a=1"]}}), "query"),
            (json!({"address": {"url": ["https://h/#a"]}}), "%23"),
        ] {
            let refusal = url("GET /x HTTP/1.1", &target).unwrap_err();
            assert!(refusal.contains(word), "{refusal}");
        }
    }
}
