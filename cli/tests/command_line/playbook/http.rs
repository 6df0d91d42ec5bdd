//! `http-api` and `openc2-http`.

use serde_json::{Value, json};

use super::calls::{SECRET, call, fails, failure, finish, lab, start, succeeds};
use super::server::{Server, answer};
use crate::lab::{eventually, send};

const JSON: &str = "Content-Type: application/json";

fn get(target: &Value) -> Value {
    let command = json!({"type": "http-api", "text": "GET /x?q=1 HTTP/1.1"});
    call(&command, &json!({"target": target}))
}

#[test]
fn a_request_arrives_whole_and_its_answer_is_the_result() {
    let lab = lab();
    let server = Server::start(|_| answer("201 Created", &[JSON], b"{\"id\": [7]}"));
    let command = json!({
        "type": "http-api",
        "text": "POST /tickets?kind=a%20b HTTP/1.1",
        "headers": {"X-Two": ["1", "2"], "Content-Type": ["text/plain"], "Content-Length": ["999"]},
        "content": "block __token__:value",
    });
    let basic = json!({"type": "http-basic", "user_id": "kim", "password": "__token__:value"});
    let more = json!({"target": server.target(), "authentication": basic});
    let (variables, result) = succeeds(&lab, &call(&command, &more));
    assert_eq!((variables, result), (json!({}), json!({"id": [7]})));

    let asked = server.asked()[0].clone();
    assert_eq!(asked.line, "POST /api/tickets?kind=a%20b HTTP/1.1");
    assert_eq!(asked.body, format!("block {SECRET}").into_bytes());
    assert_eq!(asked.header("x-two"), ["1", "2"]);
    assert_eq!(asked.header("content-type"), ["text/plain"]);
    assert_eq!(asked.header("idempotency-key"), ["key-1"]);
    let basic = "Basic a2ltOnMzY3IzdC0icXVvdGVkIi9odW50ZXIy";
    assert_eq!(asked.header("authorization"), [basic]);
}

#[test]
fn what_the_playbook_sets_itself_stays() {
    let lab = lab();
    let server = Server::start(|_| answer("200 OK", &["Content-Type: text/plain"], b"[1]"));
    let command = json!({
        "type": "http-api",
        "text": "GET / HTTP/1.1",
        "headers": {"idempotency-key": ["mine"], "Authorization": ["Token __token__:value"]},
    });
    let bearer = json!({"type": "oauth2", "oauth_header": "Bearer", "token": "other"});
    let more = json!({"target": server.target(), "authentication": bearer});
    assert_eq!(succeeds(&lab, &call(&command, &more)).1, "[1]");
    let asked = server.asked()[0].clone();
    assert_eq!(asked.header("idempotency-key"), ["mine"]);
    assert_eq!(asked.header("authorization"), [format!("Token {SECRET}")]);
    let mut without = call(&command, &more);
    without["command"]["headers"] = json!({});
    succeeds(&lab, &without);
    assert_eq!(server.asked()[1].header("authorization"), ["Bearer other"]);
}

#[test]
fn a_server_that_repeats_secrets_gets_them_masked() {
    let lab = lab();
    let server = Server::start(|asked| {
        let told = json!({"seen": asked.header("authorization"), "line": asked.line});
        let status = if asked.line.contains("fail") {
            "400 Bad"
        } else {
            "200 OK"
        };
        answer(status, &[JSON], told.to_string().as_bytes())
    });
    for path in ["ok", "fail"] {
        let command = json!({
            "type": "http-api",
            "text": format!("GET /{path}?t=__token__:value&p=hidden-pa%2Fss HTTP/1.1"),
        });
        let basic = json!({"type": "http-basic", "user_id": "kim", "password": "hidden-pa/ss"});
        let more = json!({"target": server.target(), "authentication": basic});
        let done = finish(&lab, start(&lab, &call(&command, &more)));
        let shown = format!("{}{}", done.out, done.err);
        for hidden in ["hunter2", "hidden-pa", "a2lt"] {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
        assert!(done.out.contains("***"), "{}", done.out);
    }
    assert!(server.asked()[0].line.contains("hunter2"));
}

#[test]
fn what_may_pass_may_be_tried_again() {
    let lab = lab();
    for (status, expected) in [
        ("404 Not Found", false),
        ("408 Request Timeout", true),
        ("429 Too Many Requests", true),
        ("503 Service Unavailable", true),
    ] {
        let server = Server::start(move |_| answer(status, &[], b"no  luck"));
        let (code, message, retryable) = fails(&lab, &get(&server.target()));
        assert_eq!(
            (code.as_str(), retryable),
            ("http-status", expected),
            "{status}"
        );
        assert!(
            message.contains(&format!("status {status}: no luck")),
            "{message}"
        );
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let target = json!({"address": {"url": [format!("http://127.0.0.1:{port}")]}});
    let (code, _, retryable) = fails(&lab, &get(&target));
    assert_eq!((code.as_str(), retryable), ("http-unreachable", true));
}

#[test]
fn without_a_word_about_it_the_connection_is_encrypted() {
    let lab = lab();
    let server = Server::start(|_| answer("200 OK", &[], b"in the clear"));
    let target = json!({"address": {"ipv4": ["127.0.0.1"]}, "port": server.port.to_string()});
    let (code, _, retryable) = fails(&lab, &get(&target));
    // A machine without any certificates cannot even begin.
    let codes = ["http-unreachable", "http-unusable"];
    assert!(codes.contains(&code.as_str()) && retryable, "{code}");
    assert!(
        server
            .asked()
            .iter()
            .all(|asked| !asked.line.starts_with("GET"))
    );
}

#[test]
fn credentials_and_content_never_go_to_another_server() {
    let lab = lab();
    let other = Server::start(|_| answer("200 OK", &[], b"thanks"));
    let elsewhere = format!("Location: http://localhost:{}/x", other.port);
    let server = Server::start(move |asked| match asked.line.as_str() {
        line if line.contains("/api/x?q=1") => answer("302 Found", &["Location: /moved"], b""),
        line if line.contains("/moved") => answer("200 OK", &[], b"here"),
        line if line.contains("/loop") => answer("302 Found", &["Location: /loop"], b""),
        line if line.contains("/post") => answer("302 Found", &["Location: /moved"], b""),
        line if line.contains("/same") => {
            answer("307 Temporary Redirect", &["Location: /moved"], b"")
        }
        _ => answer("302 Found", &[elsewhere.as_str()], b""),
    });
    assert_eq!(succeeds(&lab, &get(&server.target())).1, "here");
    let request = |line: &str| {
        let command = json!({"type": "http-api", "text": line, "content": "c"});
        call(&command, &json!({"target": server.target()}))
    };
    assert_eq!(succeeds(&lab, &request("POST /same HTTP/1.1")).1, "here");
    assert_eq!(server.asked().last().unwrap().line, "POST /moved HTTP/1.1");
    assert_eq!(server.asked().last().unwrap().body, b"c");
    for (line, word) in [
        ("GET /out HTTP/1.1", "localhost"),
        ("POST /post HTTP/1.1", "another method"),
        ("GET /loop HTTP/1.1", "more than 5 times"),
    ] {
        let (code, message, retryable) = fails(&lab, &request(line));
        assert_eq!(
            (code.as_str(), retryable),
            ("http-redirected", false),
            "{line}"
        );
        assert!(message.contains(word), "{message}");
    }
    assert!(other.asked().is_empty());
}

#[test]
fn an_answer_that_is_too_large_is_a_failure() {
    let lab = lab();
    let server = Server::start(|_| answer("200 OK", &[], &vec![b'x'; (1 << 20) + 1]));
    let (code, _, retryable) = fails(&lab, &get(&server.target()));
    assert_eq!((code.as_str(), retryable), ("output-too-large", false));
    let server = Server::start(|_| answer("200 OK", &[], &vec![b'x'; 1 << 20]));
    let (_, result) = succeeds(&lab, &get(&server.target()));
    assert_eq!(result.as_str().map(str::len), Some(1 << 20));
}

#[test]
fn a_request_that_nobody_waits_for_is_given_up() {
    let lab = lab();
    let server = Server::start(|_| Vec::new());
    let child = start(&lab, &get(&server.target()));
    eventually("it was asked", || !server.asked().is_empty());
    send("TERM", &child.id().to_string());
    let (code, _, retryable) = failure(&finish(&lab, child));
    assert_eq!((code.as_str(), retryable), ("stopped", true));
    let mut late = get(&server.target());
    late["deadline"] = json!("2020-01-01T00:00:00.000Z");
    assert_eq!(fails(&lab, &late).0, "command-timeout");
}

#[test]
fn a_request_that_cannot_be_sent_as_it_is_is_refused() {
    let lab = lab();
    let server = Server::start(|_| answer("200 OK", &[], b""));
    for (text, headers, expected) in [
        ("create a ticket", json!({}), "start-line-invalid"),
        ("GET /../x HTTP/1.1", json!({}), "start-line-invalid"),
        (
            "GET /x HTTP/1.1",
            json!({"X": ["a\r\nY: b"]}),
            "header-invalid",
        ),
        (
            "GET /x HTTP/1.1",
            json!({"Transfer-Encoding": ["chunked"]}),
            "header-invalid",
        ),
    ] {
        let command = json!({"type": "http-api", "text": text, "headers": headers});
        let more = json!({"target": server.target()});
        let (code, _, retryable) = fails(&lab, &call(&command, &more));
        assert_eq!((code.as_str(), retryable), (expected, false), "{text}");
    }
    assert_eq!(fails(&lab, &get(&json!(null))).0, "target-invalid");
    assert!(server.asked().is_empty());
}

#[test]
fn openc2_has_its_type_and_its_status() {
    let lab = lab();
    let server = Server::start(|asked| {
        let status = if asked.body == b"{}" { 200 } else { 404 };
        let said = String::from_utf8_lossy(&asked.body);
        let told = json!({"status": status, "status_text": said});
        answer(
            "200 OK",
            &["Content-Type: application/openc2+json;version=1.0"],
            told.to_string().as_bytes(),
        )
    });
    let openc2 = |method: &str, content: Value, headers: Value| {
        let text = format!("{method} /.well-known/openc2 HTTP/1.1");
        let is_base64 = content == json!("e30=");
        let command = json!({
            "type": "openc2-http",
            "text": text,
            "content": content,
            "content_base64": is_base64,
            "headers": headers,
        });
        call(&command, &json!({"target": server.target()}))
    };
    let (_, result) = succeeds(&lab, &openc2("POST", json!("e30="), json!({})));
    assert_eq!(result, json!({"status": 200, "status_text": "{}"}));
    let media_type = "application/openc2+json;version=1.0";
    let asked = server.asked()[0].clone();
    assert_eq!(
        (asked.header("content-type"), asked.header("accept")),
        (vec![media_type], vec![media_type])
    );
    let own = json!({"Content-Type": ["application/json"]});
    let (code, message, retryable) =
        fails(&lab, &openc2("POST", json!("block __token__:value"), own));
    assert_eq!((code.as_str(), retryable), ("openc2-status", false));
    assert!(message.ends_with("404: block ***"), "{message}");
    assert_eq!(
        server.asked()[1].header("content-type"),
        ["application/json"]
    );
    assert_eq!(
        fails(&lab, &openc2("PUT", json!("{}"), json!({}))).0,
        "start-line-invalid"
    );
    assert_eq!(
        fails(&lab, &openc2("POST", json!(null), json!({}))).0,
        "content-missing"
    );
    assert_eq!(server.asked().len(), 2);
}
