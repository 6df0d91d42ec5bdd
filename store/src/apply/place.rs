//! Where a branch's own row goes after an attempt.

use windlass_workflow_model::{BranchId, FencingToken, Next, OwnerId, Payload, Position};

use super::Apply;
use crate::backend::{Result, Tables};
use crate::change::{Checkpoint, Then};
use crate::record::{BranchRow, ChildRange, Role, State, Wait, Woken, flags};

impl<T: Tables> Apply<'_, T> {
    /// Puts the branch's own row where it goes. `job` is the row as it was.
    pub(super) fn place(
        &mut self,
        checkpoint: &Checkpoint,
        job: &BranchRow,
        row: &mut BranchRow,
    ) -> Result<()> {
        if !checkpoint.detached.is_empty() {
            row.flags |= flags::BRANCHED;
        }
        match &checkpoint.then {
            Then::Move(Next::Run {
                position,
                activation,
                data,
                gated,
            }) => {
                (row.position, row.activation) = (*position, *activation);
                row.data = Some(data.clone());
                if *gated {
                    row.flags |= flags::GATED;
                    self.set_start_by(row)?;
                }
                self.make_ready(row)?;
            }
            Then::Move(Next::Sleep {
                node,
                activation,
                data,
                delay,
            }) => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                row.record.wait = Some(self.wait(None));
                row.state = State::Timer;
                row.due = Some(self.now.after(*delay));
            }
            Then::Retry {
                node,
                activation,
                data,
                due,
                counts,
            } => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                row.state = State::Timer;
                row.due = Some(*due);
                row.flags |= job.flags & flags::GATED;
                row.attempt = job.attempt_of(*activation) + u32::from(*counts);
                self.set_end_by(row, job.record.flow().start_by)?;
            }
            Then::Move(Next::Await {
                node,
                activation,
                data,
                events,
                timer,
            }) => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                row.record.wait = Some(self.wait(None));
                self.wait_for_event(row, events, *timer)?;
            }
            Then::Move(Next::Split {
                join,
                activation,
                scope,
                data,
                children: list,
                is_scope,
                timeout,
                ..
            }) => {
                (row.position, row.activation) = (Position::at(*join), *activation);
                row.data = Some(data.clone());
                row.state = State::Joining;
                row.flags |= flags::BRANCHED;
                row.due = timeout.map(|timeout| self.now.after(timeout));
                if job.record.flow().mutex.is_some() {
                    let held = job.record.flow().mutex.clone();
                    row.record.flow_mut().mutex = held;
                }
                // Tokens come and go; branches are neighbours, and stay what they are.
                let count = if *is_scope { 0 } else { list.len() };
                let first = BranchId(self.new_ids(count));
                let count = u32::try_from(count).expect("bounded by SPLIT_BRANCHES_MAX");
                row.record.children = Some(ChildRange {
                    first,
                    count,
                    scope: *scope,
                });
            }
            Then::Move(Next::Map {
                join,
                activation,
                scope,
                data,
                count,
                open,
                max_parallelism,
                ..
            }) => {
                (row.position, row.activation) = (Position::at(*join), *activation);
                row.data = Some(data.clone());
                row.state = State::Joining;
                row.flags |= flags::BRANCHED;
                let width = if *open {
                    *max_parallelism
                } else {
                    *count.min(max_parallelism)
                };
                row.record.children = Some(ChildRange {
                    first: BranchId(self.new_ids(width as usize)),
                    count: width,
                    scope: *scope,
                });
            }
            Then::Move(Next::Counted { .. }) => {
                row.record.children = job.record.children;
                row.state = State::Joining;
            }
            Then::Move(Next::Call { call, data }) => {
                (row.position, row.activation) = (Position::at(call.node), call.activation);
                row.data = Some(data.clone());
                let called = checkpoint
                    .aside
                    .as_ref()
                    .and_then(|aside| aside.call.as_ref());
                let shown = called.and_then(|called| called.shown.as_ref());
                row.record.wait = Some(self.wait(shown));
                self.begin_call(row, called)?;
            }
            Then::Move(Next::Acquire {
                node,
                activation,
                data,
                mutex,
            }) => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                self.acquire(row, mutex)?;
            }
            Then::Move(Next::Meet {
                meet,
                input,
                activation,
                data,
            }) => {
                (row.position, row.activation) = (Position::at(*meet), *activation);
                row.data = Some(data.clone());
                row.state = State::Meeting;
                row.record.flow_mut().input = *input;
            }
            Then::Move(Next::Terminate { data, .. }) => {
                row.data = Some(data.clone());
                row.state = State::Arrived;
            }
            Then::Move(Next::End { result, last }) => {
                match result {
                    Ok(data) => row.data = Some(data.clone()),
                    Err(fault) => {
                        row.data = Some(last.data.clone());
                        row.record.fault = Some(fault.clone());
                        row.record.retry_at = Some((last.node, last.activation));
                        // Only where the split itself failed: what comes after it has its own data.
                        row.record.frontier = match checkpoint.merged {
                            Some(range) if last.activation == job.activation => {
                                self.frontier(job, range)?
                            }
                            _ => None,
                        };
                    }
                }
                if row.record.flow().role == Role::Token {
                    // What it brings is known by where it ended.
                    (row.position, row.activation) = (Position::at(last.node), last.activation);
                }
                self.place_end(checkpoint, job, row)?;
            }
            Then::Begin {
                node,
                activation,
                data,
            } => {
                (row.position, row.activation) = (Position::at(*node), *activation);
                row.data = Some(data.clone());
                row.attempt = job.attempt_of(*activation);
                row.flags |= job.flags & flags::GATED;
                self.make_ready(row)?;
                let locked = row.owner != OwnerId(0);
                let token = FencingToken(row.token.0 + i64::from(!locked));
                row.record.flow_mut().begun = Some((*activation, token));
            }
            Then::Hold { due, reason } => {
                row.record = job.record.clone();
                if let Some(due) = due {
                    row.state = State::Timer;
                    row.due = Some(*due);
                    row.attempt = job.attempt + 1;
                } else {
                    row.state = State::Parked;
                    row.record.flow_mut().parked.clone_from(reason);
                }
            }
            Then::Undone { scope, seq } => {
                row.record = job.record.clone();
                row.attempt = 1;
                self.undone(row, *scope, *seq)?;
            }
            Then::GiveBack => unreachable!("handled before"),
        }
        Ok(())
    }

    /// A wait that begins now.
    fn wait(&self, input: Option<&Payload>) -> Wait {
        Wait {
            since: self.now,
            input: input.map(|input| input.as_bytes().to_vec()),
        }
    }

    /// A branch has come to its end with what is in its row.
    fn place_end(
        &mut self,
        checkpoint: &Checkpoint,
        job: &BranchRow,
        row: &mut BranchRow,
    ) -> Result<()> {
        row.state = State::Arrived;
        if row.parent.is_none() {
            if let Some(range) = checkpoint.merged {
                self.discard(job, range)?;
            }
            if !checkpoint.detached.is_empty() {
                self.count_detached(row.run, checkpoint.detached.len())?;
            }
            return self.conclude(row);
        }
        if self.waits_for_loose(row)? {
            row.state = State::Ending;
            return Ok(());
        }
        if row.record.flow().role == Role::Instance {
            self.end_instance(row)?;
        }
        Ok(())
    }

    /// Why a branch goes on, where its row has to say so.
    pub(super) fn wake_with(row: &mut BranchRow, woken: Woken) {
        row.record.flow_mut().woken = Some(woken);
    }
}
