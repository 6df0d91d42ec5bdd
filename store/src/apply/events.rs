//! Events from outside: kept until somebody waits for them, each counted once.

use std::time::Duration;

use windlass_workflow_model::{Payload, RunId, Wanted};

use super::{Apply, Verdict};
use crate::backend::{EventRow, Guard, Result, Tables};
use crate::change::SignalOutcome;
use crate::error::WriteError;
use crate::limits::{EVENTS_PER_RUN_MAX, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::record::{BranchRow, State, Woken, flags};

/// An event on its way in.
pub(super) struct Came<'a> {
    /// See [`subscription`].
    pub(super) name: &'a str,
    pub(super) id: &'a str,
    pub(super) payload: &'a Payload,
    pub(super) is_fault: bool,
    /// Lost if nobody waits.
    pub(super) transient: bool,
}

/// What an event and a wait for it have in common: the name, and the correlation if there is one.
pub(super) fn subscription(event: &str, correlation: Option<&str>) -> String {
    match correlation {
        Some(correlation) => format!("{event}\u{1f}{correlation}"),
        None => event.to_owned(),
    }
}

/// The correlation in the name of a [`subscription`].
pub(crate) fn correlation(name: &str) -> Option<&str> {
    name.split_once('\u{1f}')
        .map(|(_, correlation)| correlation)
}

impl<T: Tables> Apply<'_, T> {
    pub(super) fn signal(&mut self, run: RunId, came: &Came<'_>) -> Verdict<SignalOutcome> {
        let Came {
            name,
            id,
            payload,
            is_fault,
            transient,
        } = *came;
        if name.starts_with('\u{1}') {
            let why = "takes no event whose name begins with a control character".to_owned();
            return Ok(Err(WriteError::WrongState { run, why }));
        }
        for (what, bytes, max) in [
            (
                "bytes of the event's payload",
                payload.len(),
                PAYLOAD_BYTES_MAX,
            ),
            ("bytes of the event's name", name.len(), KEY_BYTES_MAX),
            ("bytes of the event's id", id.len(), KEY_BYTES_MAX),
        ] {
            if bytes > max {
                let (count, max) = (bytes as u64, max as u64);
                let help = "shorten it";
                return Ok(Err(WriteError::Limit {
                    what,
                    count,
                    max,
                    help,
                }));
            }
        }
        let Some(mut root) = self
            .tables
            .branch(run.root())?
            .filter(|row| row.parent.is_none())
        else {
            return Ok(Err(WriteError::NoSuchRun(run)));
        };
        if root.state.is_end() || root.is_withdrawn() {
            return Ok(Ok(SignalOutcome::RunEnded));
        }
        if self.tables.event(run, name, id)?.is_some() {
            return Ok(Ok(SignalOutcome::Duplicate));
        }
        let count = self.tables.count_events(run)?;
        if count >= EVENTS_PER_RUN_MAX {
            let (count, max) = (u64::from(count) + 1, u64::from(EVENTS_PER_RUN_MAX));
            return Ok(Err(WriteError::Limit {
                what: "events of one run",
                count,
                max,
                help: "let the run take some of them first, or begin another run",
            }));
        }
        let subscriber = self.tables.subscriber(run, name)?;
        if transient && subscriber.is_none() {
            return Ok(Ok(SignalOutcome::Lost));
        }
        let event = EventRow {
            run,
            name: name.to_owned(),
            id: id.to_owned(),
            seq: self.new_ids(1),
            payload: payload.clone(),
            is_fault,
            consumed: subscriber.is_some(),
        };
        self.tables.insert_event(&event)?;
        if root.flags & flags::EVENTS == 0 {
            root.flags |= flags::EVENTS;
            self.tables.update(&root, Guard::Read)?;
        }
        let Some((branch, arm)) = subscriber else {
            return Ok(Ok(SignalOutcome::Stored));
        };
        self.tables.unsubscribe(run, branch)?;
        let Some(mut row) = self.tables.branch(branch)? else {
            return Ok(Ok(SignalOutcome::Stored));
        };
        take_event(&mut row, event.seq, arm);
        self.make_ready(&mut row)?;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)?;
        Ok(Ok(SignalOutcome::Delivered))
    }

    /// A branch comes to wait for the first of `events`, or for a time. One that is stored already is
    /// taken at once, the earliest of them.
    pub(super) fn wait_for_event(
        &mut self,
        row: &mut BranchRow,
        events: &[Wanted],
        timer: Option<(u32, Duration)>,
    ) -> Result<()> {
        let mut earliest: Option<(EventRow, u32)> = None;
        for wanted in events.iter().filter(|wanted| !wanted.transient) {
            let name = subscription(&wanted.event, wanted.correlation.as_deref());
            if let Some(stored) = self.tables.next_event(row.run, &name)?
                && earliest
                    .as_ref()
                    .is_none_or(|(first, _)| stored.seq < first.seq)
            {
                earliest = Some((stored, wanted.arm));
            }
        }
        if let Some((event, arm)) = earliest {
            self.tables.consume_event(&event)?;
            take_event(row, event.seq, arm);
            return self.make_ready(row);
        }
        row.state = State::Event;
        if let Some((arm, after)) = timer {
            row.due = Some(self.now.after(after));
            row.record.flow_mut().timer_arm = Some(arm);
        }
        Ok(())
    }
}

fn take_event(row: &mut BranchRow, seq: i64, arm: u32) {
    row.record.event = Some(seq);
    if arm > 0 {
        row.record.flow_mut().woken = Some(Woken::Event(arm));
    }
}
