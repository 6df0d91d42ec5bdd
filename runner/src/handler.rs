//! What does the work of a step, found by name.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use windlass_store::sync::Arc;
use windlass_workflow_model::{ErrorEntry, Fault, Payload, codes};

use crate::context::Context;

/// What a step gives back.
#[derive(Clone, Debug)]
pub struct StepOutput {
    /// The branch's data from now on.
    pub data: Payload,
    /// What is shown as the step's own result; kept with its row of history.
    pub output: Option<Payload>,
}

impl StepOutput {
    /// New data, and nothing to show.
    pub fn data(data: Payload) -> Self {
        Self { data, output: None }
    }
}

/// The code of an error that says that a step did not happen.
const NOT_DONE: &str = "not-done";

/// Why an attempt did not work out.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct StepError {
    code: String,
    message: String,
    retryable: bool,
    later: Option<Duration>,
    output: Option<Payload>,
    /// All errors, if it was made of a fault.
    errors: Vec<ErrorEntry>,
}

impl StepError {
    /// An error with a code for machines and a message for people. It may be tried again, as far as
    /// the step's policy allows.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            retryable: true,
            later: None,
            output: None,
            errors: Vec::new(),
        }
    }

    /// An error with the general code.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(codes::STEP_FAILED, message)
    }

    /// The same, not to be tried again.
    #[must_use]
    pub fn permanent(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// From a handler that finds out about a step that must not happen twice: it did not happen, so
    /// it may begin.
    pub fn not_done() -> Self {
        Self::new(NOT_DONE, "the step did not happen")
    }

    pub(crate) fn is_not_done(&self) -> bool {
        self.code == NOT_DONE
    }

    /// The same, to be tried again after `pause` without using up an attempt.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.later = Some(pause);
        self
    }

    /// The same, with what the attempt gave in spite of it, as JSON: shown in history, and nowhere else.
    /// One that is larger than a payload may be is left out.
    #[must_use]
    pub fn with_output(mut self, output: Payload) -> Self {
        self.output = Some(output);
        self
    }

    pub(crate) fn output(&self) -> Option<&Payload> {
        self.output.as_ref()
    }

    pub(crate) fn later(&self) -> Option<Duration> {
        self.later
    }

    pub(crate) fn into_fault(self) -> Fault {
        let fault = Fault::new(self.code, self.message);
        let errors = match self.errors {
            errors if errors.is_empty() => fault.errors,
            errors => errors,
        };
        Fault {
            errors,
            retryable: self.retryable,
            output: None,
        }
    }
}

impl From<StepError> for Fault {
    fn from(error: StepError) -> Self {
        error.into_fault()
    }
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> Self {
        let code = fault
            .errors
            .first()
            .map_or(codes::STEP_FAILED, |error| error.code.as_str());
        Self {
            retryable: fault.retryable,
            errors: fault.errors.clone(),
            ..Self::new(code, fault.summary())
        }
    }
}

pub(crate) type StepResult = Result<StepOutput, StepError>;
pub(crate) type StepFuture = Pin<Box<dyn Future<Output = StepResult> + Send>>;

/// What does the work of a step.
#[derive(Clone)]
pub enum Handler {
    /// Occupies the thread of its Runner until it returns.
    Blocking(Arc<dyn Fn(&Context, &Payload) -> StepResult + Send + Sync>),
    /// Waits without occupying the thread, so that one Runner can have several in flight.
    Future(Arc<dyn Fn(Context, Payload) -> StepFuture + Send + Sync>),
}

impl Handler {
    /// A handler that runs on the Runner's thread.
    pub fn blocking(
        call: impl Fn(&Context, &Payload) -> Result<StepOutput, StepError> + Send + Sync + 'static,
    ) -> Self {
        Self::Blocking(Arc::new(call))
    }

    /// An asynchronous handler. Its future runs on the Runner's own single-threaded tokio runtime;
    /// it is dropped when its time is over.
    pub fn future<F>(call: impl Fn(Context, Payload) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<StepOutput, StepError>> + Send + 'static,
    {
        Self::Future(Arc::new(move |context, data| Box::pin(call(context, data))))
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocking(_) => f.write_str("Handler::Blocking"),
            Self::Future(_) => f.write_str("Handler::Future"),
        }
    }
}

/// Handlers by name. `"*"` serves every name that has none of its own.
#[derive(Clone, Debug, Default)]
pub struct Handlers(HashMap<String, Handler>);

impl Handlers {
    /// No handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, and one more; it replaces one of that name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, handler: Handler) -> Self {
        self.insert(name, handler);
        self
    }

    /// Adds one; it replaces one of that name.
    pub fn insert(&mut self, name: impl Into<String>, handler: Handler) {
        self.0.insert(name.into(), handler);
    }

    /// Takes all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The same names, with what `wrap` makes of each handler.
    #[must_use]
    pub fn map(self, wrap: impl Fn(&str, Handler) -> Handler) -> Self {
        let wrapped = self.0.into_iter().map(|(name, handler)| {
            let handler = wrap(&name, handler);
            (name, handler)
        });
        Self(wrapped.collect())
    }

    /// The handler for `name`.
    pub fn get(&self, name: &str) -> Option<&Handler> {
        self.0.get(name).or_else(|| self.0.get("*"))
    }
}
