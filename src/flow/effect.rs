//! What a step does to the world: its effect, how to undo it, and its signs of life.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass_runner::{Context, Handler, StepError, StepOutput};
use windlass_store::sync::Arc;
use windlass_workflow_model::{Effect, Function};

use super::{Flow, decode, encode, own_prefix};

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl<T: Serialize + DeserializeOwned + 'static> Flow<T> {
    /// The name of the step before with `role`, under which a handler of the workflow's own stands.
    fn own_handler(&self, role: &str, handler: Handler) -> String {
        let of = self
            .last
            .map_or_else(String::new, |last| format!("n{last}"));
        let name = format!("{}{of}/{role}", own_prefix());
        let handlers = &mut self.parts.borrow_mut().handlers;
        handlers.insert(name.clone(), handler);
        name
    }

    /// How to undo the step before, with the data after it. When its scope or the run fails or is
    /// withdrawn, the steps that have succeeded are undone in reverse order, each until it works; one
    /// whose attempts are used up parks the run. No mutex is held for it: a scope lets go of its own
    /// before. A run that was undone cannot be retried.
    #[must_use]
    pub fn undo(
        self,
        undo: impl Fn(&Context, &T) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let handler = Handler::blocking(move |context, data| {
            undo(context, &decode(data)?)?;
            Ok(StepOutput::data(data.clone()))
        });
        let name = self.own_handler("undo", handler);
        self.of_last(|draft, step| draft.change_step(step, |step| step.undo = Some(name)))
    }

    /// What the step before adds with [`Context::execute`] rides in its checkpoint: exactly once.
    #[must_use]
    pub fn transactional(self) -> Self {
        self.effect(Effect::Transactional)
    }

    /// The step before gives whatever it calls the key that `key` makes from the data; it gets it from
    /// [`Context::idempotency_key`].
    #[must_use]
    pub fn idempotent(self, key: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        let key = Function::Key(Arc::new(move |data| Ok(key(&decode(data)?))));
        let of = self
            .last
            .map_or_else(String::new, |last| format!("n{last}"));
        let key = Some(self.function(&of, "key", key));
        self.effect(Effect::Idempotent { key })
    }

    /// The step before must not happen twice. After a crash, or when its time is over, nobody knows
    /// whether it has: then the run is parked, and an operator who finds that it has not retries it.
    /// A crash in the moment before it begins counts, too.
    #[must_use]
    pub fn at_most_once(self) -> Self {
        self.effect(Effect::AtMostOnce { reconcile: None })
    }

    /// Like [`at_most_once`](Self::at_most_once), but `reconcile` finds out: it changes the data as the
    /// step would have if it has happened, or fails with [`StepError::not_done`], and then the step
    /// begins again. Any other error parks the run.
    #[must_use]
    pub fn at_most_once_or(
        self,
        reconcile: impl Fn(&Context, &mut T) -> Result<(), StepError> + Send + Sync + 'static,
    ) -> Self {
        let handler = Handler::blocking(move |context, data| {
            let mut data: T = decode(data)?;
            reconcile(context, &mut data)?;
            Ok(StepOutput::data(encode(&data)?))
        });
        let reconcile = Some(self.own_handler("reconcile", handler));
        self.effect(Effect::AtMostOnce { reconcile })
    }

    fn effect(self, effect: Effect) -> Self {
        self.of_last(|draft, step| draft.change_step(step, |step| step.effect = effect))
    }

    /// An attempt of the step before that gives no sign of life ([`Context::heartbeat`]) for that long
    /// has failed, with code `heartbeat-missed`.
    #[must_use]
    pub fn heartbeat(self, limit: Duration) -> Self {
        self.of_last(|draft, step| {
            draft.change_step(step, |step| step.heartbeat_ms = Some(millis(limit)));
        })
    }

    /// The step before fails with code `start-too-late` if no Runner begins it in that time after it
    /// became ready.
    #[must_use]
    pub fn start_within(self, limit: Duration) -> Self {
        self.of_last(|draft, step| {
            draft.change_step(step, |step| step.start_within_ms = Some(millis(limit)));
        })
    }

    /// All attempts of the step before may take that long together, from when it became ready: a crash
    /// does not begin that anew. Then it fails with code `step-timeout`. Excludes
    /// [`start_within`](Self::start_within).
    #[must_use]
    pub fn end_within(self, limit: Duration) -> Self {
        self.of_last(|draft, step| {
            draft.change_step(step, |step| step.end_within_ms = Some(millis(limit)));
        })
    }
}
