//! The answer to a question that `ssh` asks: the password of the call it makes for us.
//!
//! `ssh` calls a program of ours for it (this binary again) and reads its stdout, so the password
//! stands in no command line and in no environment, only in a file that nobody else can read.

use std::ffi::OsString;
use std::io::{self, Write as _};

/// Names the file in the environment of `ssh`.
pub(crate) const PASSWORD_FILE: &str = "WINDLASS_CTX_PASSWORD_FILE";

/// Prints what stands in the file; returns the exit code.
pub(crate) fn answer_ssh(file: OsString) -> u8 {
    let answered = std::fs::read(file).and_then(|mut password| {
        password.push(b'\n');
        io::stdout().lock().write_all(&password)
    });
    answered.is_err().into()
}
