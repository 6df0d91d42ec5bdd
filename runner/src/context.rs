//! What a step may know and do while it runs.

use std::sync::OnceLock;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use windlass_store::limits::PAYLOAD_BYTES_MAX;
use windlass_store::sync::{Arc, AtomicBool, Mutex, Notify, Ordering};
use windlass_store::{Admit, Change, LockedJob, SqlEffect};
use windlass_workflow_model::{
    ActivationId, BranchId, Effect, NodeId, NodeKind, Payload, RunId, Timestamp,
};

use crate::limits::{
    DETAILS_EVERY, EFFECTS_PER_ATTEMPT_MAX, INPUT_SHOWN_BYTES_MAX, SCHEDULES_PER_ATTEMPT_MAX,
};
use crate::serving::{Served, Serving};

/// Tells a step that it should stop: its run was cancelled, its time is over, or the engine shuts
/// down. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    cancelled: AtomicBool,
    wake: Notify,
}

impl Cancellation {
    /// Tells it.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Whether it was told.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Returns when it is told.
    pub async fn cancelled(&self) {
        loop {
            let woken = self.0.wake.notified();
            if self.is_cancelled() {
                return;
            }
            woken.await;
        }
    }
}

/// One attempt of one step, as its handler sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    job: Arc<LockedJob>,
    served: Arc<Served>,
    serving: Arc<Serving>,
    node: NodeId,
    activation: ActivationId,
    attempt: u32,
    cancellation: Cancellation,
    timeout: Option<Duration>,
    /// When it began.
    began: Timestamp,
    span: tracing::Span,
    schedules: Mutex<Vec<Admit>>,
    effects: Mutex<Vec<SqlEffect>>,
    /// A key of the step's own, instead of the engine's.
    key: OnceLock<String>,
    pulse: Mutex<Pulse>,
    noted: Mutex<Noted>,
}

/// What an attempt says of itself for its row of history.
#[derive(Debug, Default)]
struct Noted {
    input: Option<Payload>,
    output: Option<Payload>,
}

/// The signs of life of an attempt.
#[derive(Debug, Default)]
struct Pulse {
    /// When the last one came, on the engine's clock.
    at: Duration,
    /// What came with it.
    details: Option<Payload>,
    /// When details were last sent to the store.
    sent_at: Option<Duration>,
}

/// Why a step's statement was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepEffectError {
    /// The step is not transactional.
    #[error(
        "step {0:?} is not declared transactional, so nothing rides in its checkpoint: declare it so"
    )]
    NotTransactional(String),
    /// The attempt has too many.
    #[error("one attempt has at most {0} statements: do more in each, or use several steps")]
    TooMany(usize),
}

/// Why a step could not schedule a run. The step can go on without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepScheduleError {
    /// There is no workflow of that name here.
    #[error(
        "no workflow {0:?} is registered with this engine: register it before a step schedules it"
    )]
    UnknownWorkflow(String),
    /// The input is too large.
    #[error(
        "the input has {bytes} bytes, the limit is {max}: store it elsewhere and pass its address"
    )]
    TooLarge {
        /// How large.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The attempt has scheduled too many.
    #[error("one attempt schedules at most {0} runs: schedule one that splits")]
    TooMany(usize),
}

impl Context {
    pub(crate) fn new(
        job: Arc<LockedJob>,
        served: Arc<Served>,
        serving: Arc<Serving>,
        place: (NodeId, ActivationId, u32),
        cancellation: Cancellation,
        (timeout, began): (Option<Duration>, Timestamp),
    ) -> Self {
        let span = tracing::info_span!(
            "attempt",
            run = %job.row.run,
            branch = %job.row.id,
            step = served.definition().node(place.0).step_name(),
            attempt = place.2,
        );
        let (node, activation, attempt) = place;
        Self(Arc::new(Inner {
            job,
            served,
            serving,
            node,
            activation,
            attempt,
            cancellation,
            timeout,
            began,
            span,
            schedules: Mutex::new(Vec::new()),
            effects: Mutex::new(Vec::new()),
            key: OnceLock::new(),
            pulse: Mutex::default(),
            noted: Mutex::default(),
        }))
    }

    pub(crate) fn set_key(&self, key: String) {
        // Set once, before the handler is called.
        let _ = self.0.key.set(key);
    }

    fn elapsed(&self) -> Duration {
        self.0.serving.store().clock().elapsed()
    }

    /// A sign of life that says nothing.
    pub(crate) fn beat(&self) {
        self.0.pulse.lock().at = self.elapsed();
    }

    pub(crate) fn last_beat(&self) -> Duration {
        self.0.pulse.lock().at
    }

    pub(crate) fn silent_for(&self) -> Duration {
        self.elapsed().saturating_sub(self.last_beat())
    }

    pub(crate) fn details(&self) -> Option<Payload> {
        self.0.pulse.lock().details.clone()
    }

    pub(crate) fn take_input(&self) -> Option<Payload> {
        self.0.noted.lock().input.take()
    }

    pub(crate) fn take_output(&self) -> Option<Payload> {
        self.0.noted.lock().output.take()
    }

    pub(crate) fn take_effects(&self) -> Vec<SqlEffect> {
        std::mem::take(&mut self.0.effects.lock())
    }

    pub(crate) fn job(&self) -> &LockedJob {
        &self.0.job
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.0.job.row.run
    }

    /// The branch.
    pub fn branch(&self) -> BranchId {
        self.0.job.row.id
    }

    /// The visit that this is an attempt of: the same in every attempt, and after a crash.
    pub fn activation(&self) -> ActivationId {
        self.0.activation
    }

    /// The branch's name, if it is one of a split.
    pub fn branch_name(&self) -> Option<&str> {
        self.0
            .job
            .row
            .record
            .membership
            .as_ref()
            .map(|membership| membership.name.as_str())
    }

    /// The workflow's name.
    pub fn workflow(&self) -> &str {
        self.0.served.definition().name()
    }

    /// The step's name.
    pub fn step(&self) -> &str {
        self.0.served.definition().node(self.0.node).step_name()
    }

    /// The settings that the definition gives the step.
    pub fn config(&self) -> &serde_json::Value {
        match &self.0.served.definition().node(self.0.node).kind {
            NodeKind::Step(step) => &step.config,
            _ => &serde_json::Value::Null,
        }
    }

    /// The attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The same text in every attempt of this activation, and in no other step, run or database:
    /// give it to whatever you call, so that a repeated attempt has its effect once.
    pub fn idempotency_key(&self) -> String {
        if let Some(key) = self.0.key.get() {
            return key.clone();
        }
        self.0
            .job
            .idempotency_key(self.0.serving.nonce(), self.0.activation)
    }

    /// The span that everything this attempt logs belongs to. It is entered while the handler runs;
    /// work that is sent elsewhere can enter it there.
    pub fn span(&self) -> &tracing::Span {
        &self.0.span
    }

    /// How long the attempt may take in all.
    pub fn timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    /// When it will have taken too long, by the engine's clock.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.0.timeout.map(|timeout| self.0.began.after(timeout))
    }

    /// Whether the step should stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancellation.is_cancelled()
    }

    /// Returns when the step should stop.
    pub async fn cancelled(&self) {
        self.0.cancellation.cancelled().await;
    }

    /// Gives a sign of life, with a word on how far the attempt is. An attempt that gives none for
    /// longer than its step's heartbeat limit has failed. The last details are there in the next
    /// attempt, if this one fails or crashes; they are stored every half second at most.
    ///
    /// # Errors
    /// When `details` have no JSON form; it is a sign of life all the same.
    pub fn heartbeat(&self, details: &impl Serialize) -> Result<(), serde_json::Error> {
        let now = self.elapsed();
        self.0.pulse.lock().at = now;
        let details = Payload::encode(details)?;
        let mut pulse = self.0.pulse.lock();
        pulse.details = Some(details.clone());
        let due = pulse
            .sent_at
            .is_none_or(|sent| now.saturating_sub(sent) >= DETAILS_EVERY);
        if due {
            pulse.sent_at = Some(now);
            drop(pulse);
            let key = self.0.job.row.key();
            // A store that is closed has told so already.
            let _ = self
                .0
                .serving
                .store()
                .submit(Change::Heartbeat(key, details));
        }
        Ok(())
    }

    /// What an earlier attempt of this step said last of how far it was.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn last_heartbeat<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        let details = self.0.job.row.record.flow().details.as_deref();
        details.map(serde_json::from_slice).transpose()
    }

    /// Says what this attempt works on, where that is not simply the branch's data: its row in history
    /// shows it as `input` when the attempt has ended. Said twice, the last counts. It is stored as it
    /// is, so leave secrets out. Of more than [`INPUT_SHOWN_BYTES_MAX`] bytes of JSON only how many
    /// there are is kept, as `{"bytes": N}`.
    ///
    /// # Errors
    /// When `input` has no JSON form; then nothing is noted.
    pub fn note_input(&self, input: &impl Serialize) -> Result<(), serde_json::Error> {
        self.0.noted.lock().input = Some(shown(Payload::encode(input)?));
        Ok(())
    }

    /// Says what this attempt has to show although it should fail: its row in history has it as `output`
    /// if the attempt fails and its error brings none, also if it is ended because its time is over. Said
    /// twice, the last counts. It is stored as it is, so leave secrets out; one that is larger than a
    /// payload may be is left out. A step that blocks its thread for longer than it may leaves none.
    ///
    /// # Errors
    /// When `output` has no JSON form; then nothing is noted.
    pub fn note_output(&self, output: &impl Serialize) -> Result<(), serde_json::Error> {
        let output = Payload::encode(output)?;
        self.0.noted.lock().output =
            Some(output).filter(|output| output.len() <= PAYLOAD_BYTES_MAX);
        Ok(())
    }

    /// Adds an SQL statement that changes tables of the user's own in the same database. It is carried
    /// out in the transaction that makes the step's outcome durable: exactly once, with all others of
    /// this attempt, or not at all. If the database refuses it the attempt has failed, with code
    /// `effect-failed`. Values are null, truths, numbers and texts; anything else goes in as JSON.
    ///
    /// # Errors
    /// [`StepEffectError`]; then it will not be carried out.
    pub fn execute(
        &self,
        sql: impl Into<String>,
        values: impl IntoIterator<Item = serde_json::Value>,
    ) -> Result<(), StepEffectError> {
        let step = self.0.served.step(self.0.node);
        if !step.is_some_and(|(step, _)| step.effect == Effect::Transactional) {
            return Err(StepEffectError::NotTransactional(self.step().to_owned()));
        }
        let mut effects = self.0.effects.lock();
        if effects.len() >= EFFECTS_PER_ATTEMPT_MAX {
            return Err(StepEffectError::TooMany(EFFECTS_PER_ATTEMPT_MAX));
        }
        effects.push(SqlEffect {
            sql: sql.into(),
            values: values.into_iter().collect(),
        });
        Ok(())
    }

    /// Schedules a run of the workflow `name` as a part of this step: it begins when the step's
    /// outcome is durable, exactly once, and not at all if the attempt fails. Never refused for
    /// want of room.
    ///
    /// # Errors
    /// [`StepScheduleError`].
    pub fn schedule(&self, name: &str, input: Payload) -> Result<(), StepScheduleError> {
        let found = self.0.serving.named(name);
        let (key, served) =
            found.ok_or_else(|| StepScheduleError::UnknownWorkflow(name.to_owned()))?;
        if input.len() > PAYLOAD_BYTES_MAX {
            let (bytes, max) = (input.len(), PAYLOAD_BYTES_MAX);
            return Err(StepScheduleError::TooLarge { bytes, max });
        }
        let mut schedules = self.0.schedules.lock();
        if schedules.len() >= SCHEDULES_PER_ATTEMPT_MAX {
            return Err(StepScheduleError::TooMany(SCHEDULES_PER_ATTEMPT_MAX));
        }
        schedules.push(Admit::new(key, served.definition(), input));
        Ok(())
    }

    pub(crate) fn take_schedules(&self) -> Vec<Admit> {
        std::mem::take(&mut self.0.schedules.lock())
    }
}

/// As much of it as a row shows.
pub(crate) fn shown(input: Payload) -> Payload {
    if input.len() <= INPUT_SHOWN_BYTES_MAX {
        return input;
    }
    Payload::from_json(format!("{{\"bytes\":{}}}", input.len()).into_bytes())
}
