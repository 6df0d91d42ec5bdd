//! What engine and guard say to each other: an order one way, a report the other.
//!
//! Each is one line of JSON and then bytes whose number the line says. Both ends are the same
//! binary, so the format may change at any time.

use std::io::{self, BufRead, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the guard is to do. The program's input follows it; after that the pipe stays open, and
/// its end means that the engine let go.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) lock: PathBuf,
    pub(super) command: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) input_bytes: usize,
    /// The program's stdin stays open until it has ended.
    #[serde(default)]
    pub(super) holds_input: bool,
    /// A folder that nobody needs when the program has ended; the guard removes it, for the engine
    /// may have died.
    #[serde(default)]
    pub(super) private: Option<PathBuf>,
}

impl Order {
    pub(super) fn to_line(&self) -> Vec<u8> {
        // Plain texts and numbers always serialize; an empty line is refused by the guard.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads an order and the program's input.
    pub(super) fn read(mut from: impl BufRead) -> io::Result<(Self, Vec<u8>)> {
        let mut line = Vec::new();
        from.read_until(b'\n', &mut line)?;
        let order: Self = serde_json::from_slice(&line)?;
        let mut input = vec![0; order.input_bytes];
        from.read_exact(&mut input)?;
        Ok((order, input))
    }
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that we did not send.
    Killed(i32),
    /// It was never started, for this reason.
    NotStarted(String),
    /// It wrote more than it may, and was killed.
    OutputTooLarge,
}

/// What became of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// How it ended.
    pub(crate) end: End,
    /// All that it wrote.
    pub(crate) output: Vec<u8>,
    /// The end of what it wrote about errors.
    pub(crate) errors: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct ReportLine {
    end: End,
    output_bytes: usize,
    error_bytes: usize,
}

impl Report {
    /// A report about a program that was never started.
    pub(super) fn not_started(why: impl std::fmt::Display) -> Self {
        Self {
            end: End::NotStarted(why.to_string()),
            output: Vec::new(),
            errors: Vec::new(),
        }
    }

    pub(super) fn write(&self, mut to: impl Write) -> io::Result<()> {
        let line = ReportLine {
            end: self.end.clone(),
            output_bytes: self.output.len(),
            error_bytes: self.errors.len(),
        };
        serde_json::to_writer(&mut to, &line)?;
        to.write_all(b"\n")?;
        to.write_all(&self.output)?;
        to.write_all(&self.errors)?;
        to.flush()
    }

    /// Reads a whole report; `None` for anything else, such as a part of one.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut line = Vec::new();
        bytes.read_until(b'\n', &mut line).ok()?;
        let line: ReportLine = serde_json::from_slice(&line).ok()?;
        let mut output = vec![0; line.output_bytes.min(bytes.len())];
        bytes.read_exact(&mut output).ok()?;
        let whole = output.len() == line.output_bytes && bytes.len() == line.error_bytes;
        whole.then(|| Self {
            end: line.end,
            output,
            errors: bytes.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_and_a_report_read_back_whole_or_not_at_all() {
        let order = Order {
            lock: "l".into(),
            command: vec!["p".into(), "a\nb".into()],
            folder: "/f".into(),
            input_bytes: 3,
            holds_input: true,
            private: None,
        };
        let mut bytes = order.to_line();
        bytes.extend_from_slice(b"{}\nrest");
        let (read, input) = Order::read(&bytes[..]).unwrap();
        assert_eq!((read.command, input), (order.command, b"{}\n".to_vec()));

        let report = Report {
            end: End::Exited(3),
            output: b"out\n".to_vec(),
            errors: b"err".to_vec(),
        };
        let mut bytes = Vec::new();
        report.write(&mut bytes).unwrap();
        assert_eq!(Report::parse(&bytes), Some(report));
        for cut in 0..bytes.len() {
            assert_eq!(Report::parse(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
