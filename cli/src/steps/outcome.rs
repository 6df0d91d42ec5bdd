//! What a program's end means for its step.

use std::time::Duration;

use serde_json::{Value as Json, json};
use windlass::{Context, StepError};

use crate::masks::Masks;
use crate::program::{End, OUTPUT_BYTES_MAX, ProgramError, Report};

/// The exit code by which a program asks to be tried again later (`EX_TEMPFAIL` of sysexits).
const TRY_LATER: i32 = 75;

/// How a program's output is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OutputForm {
    /// One JSON object, or nothing.
    Json,
    /// A JSON object gives its entries, any other text becomes the output `stdout`.
    Text,
    /// Any JSON; nothing is null.
    Value,
    /// Any JSON; text that is none is a text, and nothing is null.
    ValueOrText,
}

impl OutputForm {
    /// Whether outputs must have names.
    fn is_named(self) -> bool {
        match self {
            Self::Json | Self::Text => true,
            Self::Value | Self::ValueOrText => false,
        }
    }
}

/// Why a step did not succeed, before it becomes the engine's word for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Setback {
    /// An attempt failed.
    Failed {
        /// Stable, kebab-case.
        code: &'static str,
        /// What, why and how to fix it.
        message: String,
        /// No other attempt can do better.
        permanent: bool,
    },
    /// The program asked for time.
    Later(String),
}

impl Setback {
    /// A failure that another attempt may not meet.
    pub(crate) fn passing(code: &'static str, message: impl Into<String>) -> Self {
        Self::Failed {
            code,
            message: message.into(),
            permanent: false,
        }
    }

    /// A failure that every attempt would meet.
    pub(crate) fn permanent(code: &'static str, message: impl Into<String>) -> Self {
        Self::Failed {
            code,
            message: message.into(),
            permanent: true,
        }
    }

    /// The same without secrets in its message.
    pub(super) fn hidden(self, masks: &Masks) -> Self {
        match self {
            Self::Failed {
                code,
                message,
                permanent,
            } => Self::Failed {
                code,
                message: masks.hide(&message).into_owned(),
                permanent,
            },
            Self::Later(message) => Self::Later(masks.hide(&message).into_owned()),
        }
    }

    pub(super) fn into_error(self, backoff: Duration) -> StepError {
        match self {
            Self::Failed {
                code,
                message,
                permanent,
            } => {
                let error = StepError::new(code, message);
                if permanent { error.permanent() } else { error }
            }
            Self::Later(message) => StepError::new("try-later", message).retry_after(backoff),
        }
    }
}

/// The outputs of a program that succeeded, or why it did not.
pub(super) fn judge(
    result: Result<Report, ProgramError>,
    form: OutputForm,
) -> Result<Json, Setback> {
    if let Ok(report) = &result
        && report.end == End::Exited(TRY_LATER)
    {
        let said = last_lines(&report.errors);
        return Err(Setback::Later(format!(
            "the program asks to be tried again later (exit code {TRY_LATER}){said}"
        )));
    }
    outputs(&succeeded(result)?, form)
}

/// What a program that succeeded wrote, or why it did not; any exit code but 0 is a failure.
pub(crate) fn succeeded(result: Result<Report, ProgramError>) -> Result<Vec<u8>, Setback> {
    let report = result.map_err(|error| match error {
        ProgramError::Stopped => Setback::passing("stopped", error.to_string()),
        ProgramError::NoGuard(_) | ProgramError::GuardLost(_) => {
            Setback::passing("handler-lost", error.to_string())
        }
    })?;
    let said = last_lines(&report.errors);
    match report.end {
        End::Exited(0) => Ok(report.output),
        End::Exited(code) => Err(Setback::passing(
            "handler-failed",
            format!("exit code {code}{said}"),
        )),
        End::Killed(signal) => Err(Setback::passing(
            "handler-killed",
            format!("the program was killed by signal {signal}{said}"),
        )),
        End::NotStarted(why) => Err(Setback::passing("handler-not-started", why)),
        End::OutputTooLarge => Err(Setback::permanent(
            "output-too-large",
            format!(
                "the program wrote more than {OUTPUT_BYTES_MAX} bytes to stdout and was ended; keep large results elsewhere and print their address"
            ),
        )),
    }
}

fn outputs(bytes: &[u8], form: OutputForm) -> Result<Json, Setback> {
    let text = bytes.trim_ascii();
    if text.is_empty() {
        return Ok(if form.is_named() {
            json!({})
        } else {
            Json::Null
        });
    }
    let why = match serde_json::from_slice(text) {
        Ok(outputs) if !form.is_named() => return Ok(outputs),
        Ok(outputs @ Json::Object(_)) => return Ok(outputs),
        Ok(_) => "it is JSON but no object, and outputs need names".to_owned(),
        Err(error) => format!("it is no JSON ({error})"),
    };
    let whole = || String::from_utf8_lossy(text).into_owned();
    let print = match form {
        OutputForm::Text => return Ok(json!({ "stdout": whole() })),
        OutputForm::ValueOrText => return Ok(Json::String(whole())),
        OutputForm::Json => "one JSON object",
        OutputForm::Value => "one JSON value",
    };
    Err(Setback::Failed {
        code: "output-invalid",
        message: format!(
            "the output of the program cannot be used: {why}; print {print} to stdout, or nothing, and everything else to stderr; it begins with {:?}",
            start_of(text)
        ),
        permanent: false,
    })
}

fn start_of(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(60).collect()
}

/// The end of the error output, ready to be appended to a message.
fn last_lines(errors: &[u8]) -> String {
    const LINES: usize = 5;
    let text = String::from_utf8_lossy(errors);
    let lines: Vec<_> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    format!(
        ": {}",
        lines[lines.len().saturating_sub(LINES)..].join(" | ")
    )
}

/// Keeps what a step has warned of, should it fail or run into its limit: then it writes nothing into the
/// run's data.
pub(super) fn note_warnings(ctx: &Context, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    if let Err(error) = ctx.note_output(&json!({ "warnings": warnings })) {
        tracing::warn!(run = %ctx.run(), step = ctx.step(), %error, "the warnings of the step cannot be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(end: End, output: &str, errors: &str) -> Report {
        Report {
            end,
            output: output.into(),
            errors: errors.into(),
        }
    }

    #[test]
    fn outputs_are_an_object_or_nothing() {
        let check = |output: &str, form, expected: Result<Json, &str>| match (
            judge(Ok(report(End::Exited(0), output, "")), form),
            expected,
        ) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(Setback::Failed { message, .. }), Err(word)) => {
                assert!(message.contains(word), "{message}");
            }
            (found, expected) => panic!("{output}: {found:?} is not {expected:?}"),
        };
        check("", OutputForm::Json, Ok(json!({})));
        check(" {\"a\": 1}\n", OutputForm::Json, Ok(json!({"a": 1})));
        check("[1]", OutputForm::Json, Err("no object"));
        check("hello\n", OutputForm::Json, Err("no JSON"));
        check("hello\n", OutputForm::Text, Ok(json!({"stdout": "hello"})));
        check("{\"a\": 1}", OutputForm::Text, Ok(json!({"a": 1})));
        check("", OutputForm::Value, Ok(Json::Null));
        check("[1]", OutputForm::Value, Ok(json!([1])));
        check("hello\n", OutputForm::Value, Err("no JSON"));
        check("true\n", OutputForm::ValueOrText, Ok(json!(true)));
        check("hello\n", OutputForm::ValueOrText, Ok(json!("hello")));
    }

    #[test]
    fn every_other_end_says_what_happened() {
        let check = |end, word: &str| {
            let found = judge(Ok(report(end, "{}", "one\n\ntwo\n")), OutputForm::Json);
            let text = format!("{:?}", found.unwrap_err());
            assert!(text.contains(word), "{text}");
        };
        check(End::Exited(2), "exit code 2: one | two");
        check(End::Exited(75), "Later");
        check(End::Killed(9), "signal 9: one | two");
        check(End::NotStarted("no such file".into()), "no such file");
        check(End::OutputTooLarge, "permanent: true");
    }
}
