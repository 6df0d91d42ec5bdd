//! A small server of HTTP on this machine, that remembers what it was asked.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Asked {
    /// All values of a header.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        let values = self.headers.iter().filter(same);
        values.map(|(_, value)| value.as_str()).collect()
    }
}

/// Listens as long as the test runs.
pub(super) struct Server {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers every request as `answer` says; an empty answer keeps the other side waiting.
    pub(super) fn start(answer: impl Fn(&Asked) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut waiting = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else {
                    continue;
                };
                remembered.lock().unwrap().push(request.clone());
                let bytes = answer(&request);
                if bytes.is_empty() {
                    waiting.push(stream);
                } else {
                    // Whoever was not interested in the rest has gone.
                    let _ = stream.write_all(&bytes);
                }
            }
        });
        Self { port, asked }
    }

    /// Everything it was asked so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Its address in the definition of a target.
    pub(super) fn target(&self) -> serde_json::Value {
        let url = format!("http://127.0.0.1:{}/api", self.port);
        serde_json::json!({"type": "http-api", "name": "API", "address": {"url": [url]}})
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut asked = Asked::default();
    reader.read_line(&mut asked.line).ok()?;
    asked.line.truncate(asked.line.trim_end().len());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        asked.headers.push((name.to_owned(), value.to_owned()));
    }
    let length = asked.header("content-length");
    let length = length.first().and_then(|length| length.parse().ok());
    asked.body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}

/// A whole answer.
pub(super) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let headers = headers.iter().map(|header| format!("{header}\r\n"));
    let head = format!(
        "HTTP/1.1 {status}\r\n{}Content-Length: {}\r\n\r\n",
        headers.collect::<String>(),
        body.len()
    );
    [head.as_bytes(), body].concat()
}
