//! `windlass runs`: the runs of a database, newest first.

use windlass::{RunFilter, RunStatus, RunSummary};

use super::reading;
use crate::args::{Global, RunsArgs};
use crate::failure::{Exit, Failure};
use crate::json::{RunJson, RunsJson};
use crate::stdout::{print, print_json};
use crate::suggestion::did_you_mean;
use crate::text;

/// Runs that are looked through for those that a filter wants.
const LOOKED_THROUGH_MAX: u32 = 100_000;

const STATUSES: [RunStatus; 8] = [
    RunStatus::Scheduled,
    RunStatus::Pending,
    RunStatus::Running,
    RunStatus::Waiting,
    RunStatus::Parked,
    RunStatus::Succeeded,
    RunStatus::Failed,
    RunStatus::Cancelled,
];

pub(super) fn runs(global: &Global, args: &RunsArgs) -> Result<Exit, Failure> {
    let wanted = args.status.as_deref().map(status).transpose()?;
    let mut inspector = reading(global)?;
    let filtered = wanted.is_some() || args.workflow.is_some();
    let limit = if filtered {
        LOOKED_THROUGH_MAX
    } else {
        args.limit
    };
    let found = inspector
        .runs(RunFilter::All, limit)
        .map_err(|error| Failure::broken_off(&error))?;
    let fits = |run: &RunSummary| {
        wanted.is_none_or(|status| run.status == status)
            && args
                .workflow
                .as_ref()
                .is_none_or(|name| run.workflow == *name)
    };
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let runs: Vec<_> = found.into_iter().filter(fits).take(most).collect();
    if global.json {
        print_json(&RunsJson {
            runs: runs.iter().map(RunJson::from).collect(),
        })?;
    } else {
        print(&text::runs(&runs))?;
    }
    Ok(Exit::Succeeded)
}

fn status(word: &str) -> Result<RunStatus, Failure> {
    let known = STATUSES.into_iter().find(|status| status.as_str() == word);
    known.ok_or_else(|| {
        let hint = did_you_mean(word, STATUSES.map(RunStatus::as_str));
        Failure::refused(format!("--status: {word:?} is no status of a run; {hint}"))
    })
}
