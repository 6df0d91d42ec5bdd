//! `windlass doctor`: what is wrong with the database, or soon will be.

use std::fmt::Write as _;

use serde_json::{Value, json};
use windlass::{Examination, Finding, Severity, TemporaryCopy, examine};

use super::resume::unfinished;
use super::settings;
use crate::args::{DoctorArgs, Global};
use crate::config::Config;
use crate::engine::{self, SHUTDOWN};
use crate::failure::{Exit, Failure};
use crate::resumption::Resumption;
use crate::stdout::{print, print_json};
use crate::time_text;

pub(super) fn doctor(global: &Global, args: &DoctorArgs) -> Result<Exit, Failure> {
    let (config, _) = settings(global, Vec::new())?;
    let mut examination = examine(&config.database).map_err(|error| Failure::refused_by(&error))?;
    if args.compat {
        examination.findings.extend(compat(args, &config)?);
    }
    if global.json {
        print_json(&as_json(&examination))?;
    } else {
        print(&as_text(&examination))?;
    }
    Ok(match examination.severity() {
        Severity::Fine | Severity::Warning => Exit::Succeeded,
        Severity::Problem => Exit::Failed,
    })
}

/// The runs that this windlass, with these handlers, could not go on with: tried on a copy.
fn compat(args: &DoctorArgs, config: &Config) -> Result<Vec<Finding>, Failure> {
    let copy = TemporaryCopy::of(&config.database).map_err(|error| Failure::refused_by(&error))?;
    let of_copy = Config {
        database: copy.path().to_owned(),
        runners: 0,
        retention: None,
        ..config.clone()
    };
    // The file is migrated, if that can be.
    engine::open(&of_copy)?.shutdown(SHUTDOWN);
    let mut inspector = engine::inspect(copy.path())?;
    let mut findings = Vec::new();
    for detail in unfinished(&mut inspector)? {
        let run = detail.summary.run;
        let Err(failure) = Resumption::prepare(&[detail], &args.handlers, config) else {
            continue;
        };
        findings.push(Finding {
            check: "compat",
            severity: Severity::Problem,
            what: failure.problems.join("; "),
            help: "give its handlers, or let it end before you deploy".to_owned(),
            runs: vec![run],
        });
    }
    if findings.is_empty() {
        findings.push(Finding {
            check: "compat",
            severity: Severity::Fine,
            what: "this windlass can go on with every run of the command line".to_owned(),
            help: String::new(),
            runs: Vec::new(),
        });
    }
    Ok(findings)
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Fine => "ok",
        Severity::Warning => "warning",
        Severity::Problem => "problem",
    }
}

fn names(finding: &Finding) -> Vec<String> {
    finding.runs.iter().map(ToString::to_string).collect()
}

fn as_json(examination: &Examination) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "check": finding.check,
            "severity": word(finding.severity),
            "what": finding.what,
            "help": finding.help,
            "runs": names(finding),
        })
    };
    let oldest = examination.oldest_ready;
    json!({
        "database": examination.path.display().to_string(),
        "severity": word(examination.severity()),
        "findings": examination.findings.iter().map(finding).collect::<Vec<_>>(),
        "database_bytes": examination.database_bytes,
        "log_bytes": examination.log_bytes,
        "free_bytes": examination.free_bytes,
        "engines": examination.engines,
        "unfinished_runs": examination.unfinished,
        "oldest_ready": oldest.map(|(run, since)| json!({
            "run": run.to_string(),
            "created_at": time_text::rfc3339_seconds(since.0),
        })),
    })
}

fn as_text(examination: &Examination) -> String {
    let mut out = format!(
        "{}: {} MiB, {} engine(s), {} unfinished run(s)\n",
        examination.path.display(),
        examination.database_bytes.div_ceil(1 << 20),
        examination.engines,
        examination.unfinished,
    );
    // Writing to a String cannot fail.
    if let Some((run, since)) = examination.oldest_ready {
        let _ = writeln!(
            out,
            "the oldest ready job belongs to run {run} of {}",
            time_text::rfc3339_seconds(since.0)
        );
    }
    for finding in &examination.findings {
        let _ = writeln!(
            out,
            "{:8}{:10}{}",
            word(finding.severity),
            finding.check,
            finding.what
        );
        if !finding.help.is_empty() {
            let _ = writeln!(out, "{:18}{}", "", finding.help);
        }
        if !finding.runs.is_empty() {
            let _ = writeln!(out, "{:18}runs: {}", "", names(finding).join(" "));
        }
    }
    out
}
