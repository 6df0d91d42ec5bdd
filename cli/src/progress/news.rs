//! What changed in a run between two looks, in words.

use std::collections::{HashMap, HashSet};

use windlass::{ActivationId, Instance, RunDetail, RunId, StepStatus, StepView, Timestamp};

use crate::text::{counted, short};
use crate::time_text::elapsed;

/// Remembers what was told.
#[derive(Debug, Default)]
pub(super) struct News {
    told: HashMap<Key, Told>,
}

/// A step or block, told apart by activation or iteration.
type Key = (
    RunId,
    String,
    Option<ActivationId>,
    Option<Instance>,
    Vec<u32>,
);

/// What was told about a step; an end at another time is another end.
type Told = (StepStatus, u32, Option<Timestamp>);

impl News {
    /// Takes what has ended in a run as told; a line about it if that is any step.
    pub(super) fn skip(&mut self, detail: &RunDetail) -> Option<String> {
        let run = detail.summary.run;
        let mut done = 0_u64;
        for step in detail.steps.iter().filter(|step| has_ended(step)) {
            self.told.insert(key(run, step), told(step));
            let is_step = step.activation.is_some();
            done += u64::from(is_step && step.status == StepStatus::Succeeded);
        }
        let were = if done == 1 { "was" } else { "were" };
        let steps = counted(done, "step", "steps");
        (done > 0).then(|| format!("{} {steps} {were} done before", short(run)))
    }

    /// A line per step whose status or attempt is new; a step that is still to come is no news.
    pub(super) fn of(&mut self, detail: &RunDetail) -> Vec<String> {
        let run = detail.summary.run;
        let mut lines = Vec::new();
        let begun = begun(&detail.steps);
        for step in in_telling_order(&detail.steps) {
            let before = self.told.insert(key(run, step), told(step));
            let is_new = before != Some(told(step));
            let never_began = step.instance.is_some_and(|of| !begun.contains(&of));
            if step.status == StepStatus::Pending || !is_new || is_lone_block(step) || never_began {
                continue;
            }
            lines.push(format!("{} {} {}", short(run), place(step), words(step)));
        }
        lines
    }
}

/// The iterations in which anything was begun. Of a loop that was stopped there may be very many others.
fn begun(steps: &[StepView]) -> HashSet<Instance> {
    let begun = |step: &&StepView| step.activation.is_some() || step.started_at.is_some();
    let begun = steps.iter().filter(begun);
    begun.filter_map(|step| step.instance).collect()
}

fn key(run: RunId, step: &StepView) -> Key {
    let (name, rounds) = (step.step.clone(), step.rounds.clone());
    (run, name, step.activation, step.instance, rounds)
}

fn told(step: &StepView) -> Told {
    (step.status, step.attempt, step.ended_at)
}

/// As it happened. At the same time a step ends before its block, that before the one around it, that
/// before the next block begins, and that before its first step; what has no time comes last.
fn in_telling_order(steps: &[StepView]) -> Vec<&StepView> {
    let moment = |(index, step): &(usize, &StepView)| {
        let (at, rank) = match (has_ended(step), is_block(step)) {
            (true, false) => (step.ended_at, 0),
            (true, true) => (step.ended_at, 1),
            (false, true) => (step.started_at, 2),
            (false, false) => (step.started_at, 3),
        };
        // A block stands before those in it.
        let inner_first = if rank == 1 {
            usize::MAX - index
        } else {
            *index
        };
        (at.map_or(i64::MAX, |at| at.0), rank, inner_first)
    };
    let mut ordered: Vec<_> = steps.iter().enumerate().collect();
    ordered.sort_by_key(moment);
    ordered.into_iter().map(|(_, step)| step).collect()
}

fn has_ended(step: &StepView) -> bool {
    match step.status {
        StepStatus::Succeeded
        | StepStatus::Failed
        | StepStatus::Skipped
        | StepStatus::Cancelled => true,
        StepStatus::Pending | StepStatus::Running | StepStatus::Waiting => false,
    }
}

/// What the dialects call their blocks.
const BLOCKS: [&str; 5] = [PHASE, "parallel", "fork_join", "loop", "conditional"];

/// Its branch is no branch, but more about it.
const PHASE: &str = "phase";

/// A step may be called the same, but is in an activation, unless it was not reached.
fn is_block(step: &StepView) -> bool {
    step.activation.is_none() && BLOCKS.contains(&step.kind.as_str())
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
        .filter(|branch| **branch != step.step && step.kind != PHASE)
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
    use windlass::{Draft, RunStatus, RunSummary, StepSpec};

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
            instance: None,
            rounds: Vec::new(),
            activation: Some(ActivationId(7)),
            attempt,
            status,
            reason: None,
            started_at: Some(Timestamp(0)),
            ended_at: ended.then_some(Timestamp(1_500_000)),
            input: None,
            output: None,
            error: None,
        };
        let block = StepView {
            step: "phase-1".to_owned(),
            kind: "phase".to_owned(),
            branch: Some("single".to_owned()),
            rounds: Vec::new(),
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
            branches: Vec::new(),
            notes: Vec::new(),
            definition: Arc::new(draft.finish().unwrap()),
            note: None,
            called_by: None,
            retries_at: Vec::new(),
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

    #[test]
    fn what_ended_before_is_only_counted() {
        let mut news = News::default();
        let before = detail(StepStatus::Succeeded, 1);
        let line = news.skip(&before).unwrap();
        assert!(line.ends_with(" 1 step was done before"), "{line}");
        assert!(news.of(&before).is_empty());
        assert_eq!(news.skip(&detail(StepStatus::Running, 1)), None);
    }

    #[test]
    fn a_phase_ends_after_its_steps_and_before_the_next_begins() {
        let of = |name: &str, kind: &str, status, started, ended: Option<i64>| StepView {
            step: name.to_owned(),
            kind: kind.to_owned(),
            parent: None,
            branch: None,
            status,
            rounds: Vec::new(),
            activation: (kind != "phase").then_some(ActivationId(7)),
            started_at: Some(Timestamp(started)),
            ended_at: ended.map(Timestamp),
            ..detail(StepStatus::Running, 1).steps.remove(1)
        };
        let ended = StepStatus::Succeeded;
        let mut all = detail(StepStatus::Running, 1);
        all.steps = vec![
            of("phase-1", "phase", ended, 1, Some(5)),
            of("phase-2", "phase", StepStatus::Running, 5, None),
            of("a", "t", ended, 1, Some(4)),
            of("b", "t", ended, 1, Some(5)),
            of("c", "t", StepStatus::Running, 5, None),
            of("outer", "phase", ended, 6, Some(9)),
            of("inner", "phase", ended, 7, Some(9)),
        ];
        let lines = News::default().of(&all);
        let order: Vec<_> = lines
            .iter()
            .filter_map(|line| line.split(' ').nth(1))
            .collect();
        let expected = ["a", "b", "phase-1", "phase-2", "c", "inner", "outer"];
        assert_eq!(order, expected);
    }
}
