//! A run as text, without ids and times: the same for two runs that did the same.

use std::fmt::Write as _;

use windlass::{ErrorEntry, Inspector, RunDetail, RunId, StepView};

/// A run as text, for comparison with a stored one: its end, its data, and a line for each
/// activation of a step in the order of the definition, with its last attempt. Ids, times and
/// owners are left out, and where the run's own id is in its data it is `<run>`.
///
/// ```text
/// transfer 1: failed
///   data {"amount":5}
///   error send: no such account [unknown-account]
///   withdraw  step  succeeded  attempt 1
///   send      step  failed     attempt 3: no such account [unknown-account]
/// ```
///
/// # Panics
/// When the store cannot be read, or has no such run.
pub fn snapshot(inspector: &mut Inspector, run: RunId) -> String {
    let detail = inspector.show(run).expect("the store can be read");
    let text = text(&detail.unwrap_or_else(|| panic!("there is no run {run}")));
    text.replace(&run.to_string(), "<run>")
}

fn text(detail: &RunDetail) -> String {
    let summary = &detail.summary;
    let mut text = format!(
        "{} {}: {}\n",
        summary.workflow, summary.version, summary.status
    );
    if let Some(reason) = &summary.reason {
        line(&mut text, &format!("reason {reason}"));
    }
    if let Some(data) = &detail.data {
        line(
            &mut text,
            &format!("data {}", String::from_utf8_lossy(data.as_bytes())),
        );
    }
    for error in &detail.errors {
        line(&mut text, &format!("error {}: {}", error.step, said(error)));
    }
    let width = |of: fn(&StepView) -> usize| detail.steps.iter().map(of).max().unwrap_or(0);
    let names = width(|step| step.step.chars().count());
    let kinds = width(|step| step.kind.chars().count());
    for step in &detail.steps {
        let status = step.status.to_string();
        let (name, kind) = (&step.step, &step.kind);
        let mut row = format!("{name:names$}  {kind:kinds$}  {status:9}");
        if step.attempt > 0 {
            let _ = write!(row, "  attempt {}", step.attempt);
        }
        if let Some(branch) = &step.branch {
            let _ = write!(row, "  on {branch}");
        }
        if let Some(reason) = &step.reason {
            let _ = write!(row, "  ({reason})");
        }
        if let Some(output) = &step.output {
            let _ = write!(row, "  gave {}", String::from_utf8_lossy(output.as_bytes()));
        }
        if let Some(error) = &step.error {
            let _ = write!(row, ": {}", said(error));
        }
        line(&mut text, row.trim_end());
    }
    text
}

fn said(error: &ErrorEntry) -> String {
    format!("{} [{}]", error.message, error.code)
}

fn line(text: &mut String, line: &str) {
    let _ = writeln!(text, "  {line}");
}
