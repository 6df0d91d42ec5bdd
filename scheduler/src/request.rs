//! What a caller asks for.

use std::time::Duration;

use windlass_store::{Priority, RunAttributes};
use windlass_workflow_model::{Payload, RunId, Timestamp};

/// A run to be scheduled.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) workflow: String,
    pub(crate) version: Option<String>,
    pub(crate) input: Payload,
    pub(crate) priority: Priority,
    pub(crate) start: Start,
    pub(crate) attributes: RunAttributes,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Start {
    Now,
    At(Timestamp),
    After(Duration),
}

impl Request {
    /// A run of `workflow` (its version that was registered last), with JSON as input.
    pub fn new(workflow: impl Into<String>, input: Payload) -> Self {
        Self {
            workflow: workflow.into(),
            version: None,
            input,
            priority: Priority::default(),
            start: Start::Now,
            attributes: RunAttributes::default(),
        }
    }

    /// The same, of a certain version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The same, with an urgency of its own.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The same, under a key: as long as a run with this key is stored, that run is returned and no
    /// second one begun. Makes trying again safe.
    #[must_use]
    pub fn dedupe_key(mut self, key: impl Into<String>) -> Self {
        self.attributes.dedupe_key = Some(key.into());
        self
    }

    /// The same, with text of the caller's own stored with the run.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.attributes.note = Some(note.into());
        self
    }

    /// The same, to begin not before `at`. It is admitted, and counts as pending, at once.
    #[must_use]
    pub fn at(mut self, at: Timestamp) -> Self {
        self.start = Start::At(at);
        self
    }

    /// The same, to begin not before `delay` has passed.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.start = Start::After(delay);
        self
    }
}

/// An event for a run.
#[derive(Clone, Debug)]
pub struct Event {
    pub(crate) run: RunId,
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) payload: Payload,
    pub(crate) correlation: Option<String>,
    pub(crate) transient: bool,
    pub(crate) is_fault: bool,
}

impl Event {
    /// An event. `id` tells a repetition from a second event: the same id changes nothing.
    pub fn new(
        run: RunId,
        name: impl Into<String>,
        id: impl Into<String>,
        payload: Payload,
    ) -> Self {
        Self {
            run,
            name: name.into(),
            id: id.into(),
            payload,
            correlation: None,
            transient: false,
            is_fault: false,
        }
    }

    /// The same, for a wait that asks for this correlation, and no other.
    #[must_use]
    pub fn correlation(mut self, correlation: impl Into<String>) -> Self {
        self.correlation = Some(correlation.into());
        self
    }

    /// The same, lost if nobody waits for it when it comes.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// The same, as a fault: the wait takes its fault path.
    #[must_use]
    pub fn fault(mut self) -> Self {
        self.is_fault = true;
        self
    }
}
