//! A step: its handler, and how it is attempted.

use serde::{Deserialize, Serialize};

use crate::retry::RetryPolicy;

/// How a step is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// The handler's name.
    pub handler: String,
    /// One word for what it is: `step`, or the type in a dialect.
    #[serde(default = "StepSpec::default_kind")]
    pub kind: String,
    /// Function of role [`Guard`](crate::FunctionRole::Guard), asked before the step: run or skip.
    pub guard: Option<String>,
    /// How often it is tried.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// How long one attempt may take, in milliseconds; `None` is no limit.
    pub timeout_ms: Option<u64>,
    /// The milestone at which alone it may start: it waits for it, and fails when it has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// What an attempt does to the world, and so what a crash in the middle of it means.
    #[serde(default, skip_serializing_if = "Effect::is_plain")]
    pub effect: Effect,
    /// The handler that undoes it when its scope, or the run, fails or is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
    /// An attempt that says nothing for that long has failed, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat_ms: Option<u64>,
    /// It fails if no Runner has begun it that long after it became ready, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_within_ms: Option<u64>,
    /// How long all its attempts may take together from when it became ready and had its place in the run,
    /// in milliseconds. A crash does not begin it anew. Not beside `start_within_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_within_ms: Option<u64>,
    /// Settings for the handler; the engine does not look into them.
    #[serde(default)]
    pub config: serde_json::Value,
}

impl StepSpec {
    fn default_kind() -> String {
        "step".to_owned()
    }

    /// A step that calls `handler` once, without a timeout.
    pub fn new(handler: impl Into<String>) -> Self {
        Self {
            handler: handler.into(),
            kind: Self::default_kind(),
            guard: None,
            retry: RetryPolicy::default(),
            timeout_ms: None,
            gate: None,
            effect: Effect::Plain,
            undo: None,
            heartbeat_ms: None,
            start_within_ms: None,
            end_within_ms: None,
            config: serde_json::Value::Null,
        }
    }
}

impl StepSpec {
    /// Whether it is to be asked when it starts if it still may.
    pub fn is_gated(&self) -> bool {
        self.gate.is_some() || self.start_within_ms.is_some() || self.end_within_ms.is_some()
    }

    /// The names of all handlers that it calls.
    pub fn handlers(&self) -> impl Iterator<Item = &str> {
        let reconcile = match &self.effect {
            Effect::AtMostOnce { reconcile } => reconcile.as_deref(),
            Effect::Plain | Effect::Transactional | Effect::Idempotent { .. } => None,
        };
        [Some(self.handler.as_str()), self.undo.as_deref(), reconcile]
            .into_iter()
            .flatten()
    }
}

/// What an attempt of a step does to the world. Attempts are at-least-once, outcomes exactly-once:
/// this says what lies between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing is declared.
    #[default]
    Plain,
    /// What it writes to the same database rides in its checkpoint: exactly once.
    Transactional,
    /// It gives whatever it calls a key, and that drops repetitions.
    Idempotent {
        /// Function of role [`Key`](crate::FunctionRole::Key) that makes the key from the data;
        /// `None` is the engine's own key, the same in every attempt of an activation.
        key: Option<String>,
    },
    /// It must not happen twice: after a crash, or when its time is over, its outcome is unknown.
    AtMostOnce {
        /// The handler that finds out whether it has happened; without one the run is parked.
        reconcile: Option<String>,
    },
}

impl Effect {
    fn is_plain(&self) -> bool {
        *self == Self::Plain
    }
}
