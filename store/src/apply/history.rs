//! What attempts leave behind for people to read.

use windlass_workflow_model::{Fault, FencingToken, NodeId, StepStatus};

use super::Apply;
use crate::backend::{Guard, Result, Tables};
use crate::change::{Checkpoint, Then};
use crate::limits::HISTORY_ATTEMPTS_PER_BRANCH_MAX;
use crate::record::{BranchRow, HistoryDetail, HistoryRow, State, UNDO, flags};
use crate::store::History;

impl<T: Tables> Apply<'_, T> {
    pub(super) fn write_history(&mut self, checkpoint: &Checkpoint, job: &BranchRow) -> Result<()> {
        let ended_at = self.now;
        let history = self.rules.history;
        let keeps = |status: StepStatus| match history {
            History::All => true,
            History::Failures => status == StepStatus::Failed,
            History::Off => false,
        };
        let name = job
            .record
            .membership
            .as_ref()
            .map(|membership| membership.name.clone());
        let around = || HistoryDetail {
            rounds: job.record.flow().rounds.clone(),
            ..HistoryDetail::default()
        };
        let row = |ordinal: u32, node: NodeId, status: StepStatus| HistoryRow {
            run: job.run,
            branch: job.id,
            token: job.token,
            ordinal,
            node,
            activation: job.activation,
            attempt: job.attempt,
            status,
            started_at: None,
            ended_at,
            branch_name: name.clone(),
            detail: HistoryDetail::default(),
        };
        // Of the node in which the branch stood, if that was one where it waits.
        let wait = job.record.wait.as_ref();
        if let Some(passed) = &checkpoint.passed {
            let status = match passed.fault {
                Some(_) => StepStatus::Failed,
                None => StepStatus::Succeeded,
            };
            if keeps(status) {
                let ordinal = u32::try_from(checkpoint.skipped.len()).unwrap_or(u32::MAX - 1) + 1;
                self.tables.insert_history(HistoryRow {
                    activation: passed.activation,
                    started_at: wait.map(|wait| wait.since),
                    detail: HistoryDetail {
                        output: gave(passed.fault.as_ref()),
                        fault: passed.fault.clone().map(without_output),
                        input: wait.and_then(|wait| wait.input.clone()),
                        ..around()
                    },
                    ..row(ordinal, passed.node, status)
                })?;
            }
        }
        if let Some(attempt) = checkpoint.attempt.as_ref().filter(|a| keeps(a.status)) {
            let wait = wait.filter(|_| attempt.activation == job.activation);
            self.tables.insert_history(HistoryRow {
                activation: attempt.activation,
                attempt: job.attempt_of(attempt.activation),
                started_at: Some(wait.map_or(attempt.started_at, |wait| wait.since)),
                detail: HistoryDetail {
                    fault: attempt.fault.clone(),
                    reason: attempt.undoes.then(|| UNDO.to_owned()),
                    again: matches!(checkpoint.then, Then::Retry { .. }),
                    output: attempt
                        .output
                        .as_ref()
                        .map(|output| output.as_bytes().to_vec()),
                    input: match &attempt.input {
                        Some(input) => Some(input.as_bytes().to_vec()),
                        None => wait.and_then(|wait| wait.input.clone()),
                    },
                    rounds: attempt.rounds.clone(),
                },
                ..row(0, attempt.node, attempt.status)
            })?;
        }
        for (ordinal, skip) in (1..).zip(&checkpoint.skipped) {
            if keeps(StepStatus::Skipped) {
                self.tables.insert_history(HistoryRow {
                    activation: skip.activation,
                    attempt: 0,
                    detail: HistoryDetail {
                        reason: Some(skip.reason.clone()),
                        ..around()
                    },
                    ..row(ordinal, skip.node, StepStatus::Skipped)
                })?;
            }
        }
        let noted = checkpoint.aside.iter().flat_map(|aside| &aside.noted);
        // A wait that is over has the number behind those of skipped steps.
        for (number, note) in (2..).zip(noted.filter(|_| keeps(StepStatus::Succeeded))) {
            let skipped = u32::try_from(checkpoint.skipped.len()).unwrap_or(u32::MAX);
            self.tables.insert_history(HistoryRow {
                activation: note.activation,
                attempt: 0,
                started_at: Some(self.now),
                detail: HistoryDetail {
                    output: Some(note.output.as_bytes().to_vec()),
                    rounds: note.rounds.clone(),
                    ..HistoryDetail::default()
                },
                ..row(
                    skipped.saturating_add(number),
                    note.node,
                    StepStatus::Succeeded,
                )
            })?;
        }
        if job.token.0 > HISTORY_ATTEMPTS_PER_BRANCH_MAX && history != History::Off {
            self.forget_history(job)?;
        }
        Ok(())
    }

    /// Deletes what the branch left before its last attempts. From then on the history of its run has
    /// gaps, and the run says so.
    fn forget_history(&mut self, job: &BranchRow) -> Result<()> {
        let last = FencingToken(job.token.0 - HISTORY_ATTEMPTS_PER_BRANCH_MAX);
        if self.tables.delete_history_upto(job.run, job.id, last)? == 0 {
            return Ok(());
        }
        if let Some(mut root) = self.tables.branch(job.run.root())?
            && root.flags & flags::PARTIAL == 0
        {
            root.flags |= flags::PARTIAL;
            self.tables.update(&root, Guard::Read)?;
        }
        Ok(())
    }

    /// A branch was withdrawn from the node in which it stood.
    ///
    /// Its row of history stands under the token after its last, which it gets by being withdrawn: what
    /// its last attempt left stands under that one.
    pub(super) fn write_withdrawal(&mut self, row: &BranchRow, reason: &str) -> Result<()> {
        // One at its end waits for others only: its last step stands in history as what it was.
        if self.rules.history != History::All || row.state == State::Ending {
            return Ok(());
        }
        let membership = row.record.membership.as_ref();
        let stored = (row.position.node, row.activation);
        let (node, activation) = self.at_work.beyond(row).unwrap_or(stored);
        let wait = row.record.wait.as_ref();
        let wait = wait.filter(|_| (node, activation) == stored);
        let since = wait.map(|wait| wait.since);
        let started_at = since.or_else(|| self.at_work.since(row));
        self.tables.insert_history(HistoryRow {
            run: row.run,
            branch: row.id,
            token: FencingToken(row.token.0 + 1),
            ordinal: 0,
            node,
            activation,
            attempt: row.attempt_of(activation),
            status: StepStatus::Cancelled,
            started_at,
            ended_at: self.now,
            branch_name: membership.map(|membership| membership.name.clone()),
            detail: HistoryDetail {
                reason: Some(reason.to_owned()),
                input: wait.and_then(|wait| wait.input.clone()),
                rounds: row.record.flow().rounds.clone(),
                ..HistoryDetail::default()
            },
        })
    }
}

/// What a function that failed gave in spite of it.
fn gave(fault: Option<&Fault>) -> Option<Vec<u8>> {
    let output = fault.and_then(|fault| fault.output.as_ref());
    output.map(|output| output.as_bytes().to_vec())
}

fn without_output(fault: Fault) -> Fault {
    Fault {
        output: None,
        ..fault
    }
}
