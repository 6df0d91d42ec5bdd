//! Results go to stdout, everything else to stderr.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::progress::beside;

#[derive(Debug, thiserror::Error)]
#[error("stdout could not be written, so the result is missing there; free space or redirect it")]
struct Unwritten(#[source] io::Error);

/// Prints text as it is. Nobody reading is no error: `windlass runs | head` ends well.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::broken_off(&Unwritten(error)))
        }
        _ => Ok(()),
    }
}

/// Prints lines as they come, and takes no more when nobody reads them.
pub(crate) fn print_lines(
    lines: impl Iterator<Item = Result<String, Failure>>,
) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in lines {
        match line {
            Ok(line) => match writeln!(out, "{line}") {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(error) => return Err(Failure::broken_off(&Unwritten(error))),
                Ok(()) => {}
            },
            Err(failure) => {
                // What was read is worth having; the failure is told whatever becomes of it.
                let _ = out.flush();
                return Err(failure);
            }
        }
    }
    match out.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::broken_off(&Unwritten(error)))
        }
        _ => Ok(()),
    }
}

/// Prints a value as indented JSON, ending with a newline.
pub(crate) fn print_json<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
    let mut text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::broken_off(&error))?;
    text.push('\n');
    print(&text)
}

/// Says something beside the result.
pub(crate) fn say(text: impl std::fmt::Display) {
    // Without a stderr there is nobody to tell.
    let _ = beside(|| writeln!(io::stderr().lock(), "{text}"));
}
