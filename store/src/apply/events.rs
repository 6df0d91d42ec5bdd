//! Events from outside: kept until somebody waits for them, each counted once.

use windlass_workflow_model::{Payload, RunId};

use super::{Apply, Verdict};
use crate::backend::{EventRow, Guard, Tables};
use crate::change::SignalOutcome;
use crate::error::WriteError;
use crate::limits::{EVENTS_PER_RUN_MAX, KEY_BYTES_MAX, PAYLOAD_BYTES_MAX};
use crate::record::{State, flags};

impl<T: Tables> Apply<'_, T> {
    pub(super) fn signal(
        &mut self,
        run: RunId,
        name: &str,
        id: &str,
        payload: &Payload,
        is_fault: bool,
    ) -> Verdict<SignalOutcome> {
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
                return Ok(Err(WriteError::Limit { what, count, max }));
            }
        }
        let Some(mut root) = self
            .tables
            .branch(run.root())?
            .filter(|row| row.parent.is_none())
        else {
            return Ok(Err(WriteError::NoSuchRun(run)));
        };
        let withdrawn = root.state == State::Ending && root.record.reason.is_some();
        if root.state.is_end() || withdrawn {
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
            }));
        }
        let subscriber = self.tables.subscriber(run, name)?;
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
        let Some(branch) = subscriber else {
            return Ok(Ok(SignalOutcome::Stored));
        };
        self.tables.unsubscribe(run, name, branch)?;
        let Some(mut row) = self.tables.branch(branch)? else {
            return Ok(Ok(SignalOutcome::Stored));
        };
        row.record.event = Some(event.seq);
        self.make_ready(&mut row)?;
        self.tables.update(&row, Guard::Read)?;
        self.dispatch_loaded(&row)?;
        Ok(Ok(SignalOutcome::Delivered))
    }
}
