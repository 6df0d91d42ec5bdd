//! Progress as log lines.

use crate::clock::now_micros;
use crate::stdout::say as say_plainly;
use crate::time_text::rfc3339_seconds;

/// One line, with the time in front.
pub(super) fn say(line: &str) {
    say_plainly(format!("{} {line}", rfc3339_seconds(now_micros())));
}
