//! What changed in a run between two looks, in words.

use std::collections::HashMap;

use windlass::{ActivationId, RunDetail, RunId, StepStatus, StepView};

use crate::text::short;
use crate::time_text::elapsed;

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct News {
    told: HashMap<(RunId, String, Option<ActivationId>), (StepStatus, u32)>,
}

impl News {
    /// A line per step whose status or attempt is new; a step that is still to come is no news.
    pub(super) fn of(&mut self, detail: &RunDetail) -> Vec<String> {
        let run = detail.summary.run;
        let mut lines = Vec::new();
        for step in in_telling_order(&detail.steps) {
            let key = (run, step.step.clone(), step.activation);
            let now = (step.status, step.attempt);
            let before = self.told.insert(key, now);
            if step.status == StepStatus::Pending || before == Some(now) || is_lone_block(step) {
                continue;
            }
            lines.push(format!("{} {} {}", short(run), place(step), words(step)));
        }
        lines
    }
}

/// A block begins before its steps and ends after them.
fn in_telling_order(steps: &[StepView]) -> impl Iterator<Item = &StepView> {
    let ended_block = |step: &&StepView| is_block(step) && step.ended_at.is_some();
    let first = steps.iter().filter(move |step| !ended_block(step));
    first.chain(steps.iter().filter(ended_block))
}

fn is_block(step: &StepView) -> bool {
    step.kind == "phase"
}

/// A block around a single step says nothing that the step does not say.
fn is_lone_block(step: &StepView) -> bool {
    is_block(step) && step.branch.as_deref() == Some("single")
}

fn place(step: &StepView) -> String {
    let mut place = String::new();
    if let Some(parent) = &step.parent {
        place.push_str(parent);
        place.push('/');
    }
    if let Some(branch) = step
        .branch
        .as_ref()
        .filter(|branch| **branch != step.step && !is_block(step))
    {
        place.push_str(branch);
        place.push('/');
    }
    place.push_str(&step.step);
    place
}

fn words(step: &StepView) -> String {
    let error = step
        .error
        .as_ref()
        .map(|error| format!(": {}", error.message));
    let reason = step.reason.as_ref().map(|reason| format!(" ({reason})"));
    let took = match (step.started_at, step.ended_at) {
        (Some(start), Some(end)) => format!(" in {}", elapsed(end.since(start))),
        _ => String::new(),
    };
    let (error, reason) = (error.unwrap_or_default(), reason.unwrap_or_default());
    match step.status {
        StepStatus::Pending => "pending".to_owned(),
        StepStatus::Running if step.attempt > 1 => format!("running, attempt {}", step.attempt),
        StepStatus::Running => "running".to_owned(),
        StepStatus::Waiting => format!("waiting{reason}{error}"),
        StepStatus::Succeeded => format!("succeeded{took}"),
        StepStatus::Failed => format!("failed{took}{error}"),
        StepStatus::Skipped => format!("skipped{reason}"),
        StepStatus::Cancelled => format!("cancelled{reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use windlass::{Draft, RunStatus, RunSummary, StepSpec, Timestamp};

    fn detail(status: StepStatus, attempt: u32) -> RunDetail {
        let mut draft = Draft::new("w", "1");
        let a = draft.step("a", StepSpec::new("t"));
        draft.start_at(a);
        let ended = matches!(status, StepStatus::Succeeded | StepStatus::Failed);
        let step = StepView {
            step: "a".to_owned(),
            kind: "t".to_owned(),
            parent: Some("phase-1".to_owned()),
            branch: Some("a".to_owned()),
            join_policy: None,
            activation: Some(ActivationId(7)),
            attempt,
            status,
            reason: None,
            started_at: Some(Timestamp(0)),
            ended_at: ended.then_some(Timestamp(1_500_000)),
            output: None,
            error: None,
        };
        let block = StepView {
            step: "phase-1".to_owned(),
            kind: "phase".to_owned(),
            branch: Some("single".to_owned()),
            activation: None,
            ..step.clone()
        };
        RunDetail {
            summary: RunSummary {
                run: RunId(1),
                workflow: "w".to_owned(),
                version: "1".to_owned(),
                status: RunStatus::Running,
                reason: None,
                created_at: Timestamp(0),
                started_at: None,
                ended_at: None,
            },
            data: None,
            errors: Vec::new(),
            steps: vec![block, step],
            definition: Arc::new(draft.finish().unwrap()),
            note: None,
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let mut news = News::default();
        let mut tell = |status, attempt| {
            let lines = news.of(&detail(status, attempt));
            let line = |line: &String| line.split_once(' ').map(|(_, rest)| rest.to_owned());
            lines.iter().filter_map(line).collect::<Vec<_>>()
        };
        assert!(tell(StepStatus::Pending, 0).is_empty());
        assert_eq!(tell(StepStatus::Running, 1), ["phase-1/a running"]);
        assert!(tell(StepStatus::Running, 1).is_empty());
        assert_eq!(
            tell(StepStatus::Running, 2),
            ["phase-1/a running, attempt 2"]
        );
        assert_eq!(
            tell(StepStatus::Succeeded, 2),
            ["phase-1/a succeeded in 1.50s"]
        );
        assert!(tell(StepStatus::Succeeded, 2).is_empty());
    }
}
