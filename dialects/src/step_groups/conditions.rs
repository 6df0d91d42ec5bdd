//! Whether a step runs: what it waits for, `when`, `unless` and `if`, in this order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_workflow_model::{Fault, Payload, Verdict};

use crate::step_groups::condition::Condition;
use crate::step_groups::evaluation::Seen;
use crate::step_groups::state::{State, Status};
use crate::step_groups::template::Texts;

/// The keywords of `when`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    Always,
    #[default]
    OnSuccess,
    OnFailure,
    Manual,
}

impl When {
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word.to_lowercase().as_str() {
            "always" => Some(Self::Always),
            "on_success" | "success" => Some(Self::OnSuccess),
            "on_failure" | "failure" => Some(Self::OnFailure),
            "manual" => Some(Self::Manual),
            _ => None,
        }
    }
}

/// Everything that decides about one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) step: String,
    /// From 1.
    pub(crate) phase: usize,
    pub(crate) when: When,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) depends_on: Vec<String>,
    /// One or, where lenient mode has made one of `when`, two.
    #[serde(default, rename = "if", skip_serializing_if = "Vec::is_empty")]
    pub(crate) ifs: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unless: Option<Condition>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Texts,
    /// Variables that are read and that only steps set: the last of these that has settled before, if
    /// there is one.
    #[serde(default, skip_serializing_if = "Setters::is_empty")]
    pub(crate) setters: Setters,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) lenient: bool,
}

/// Who sets a variable.
pub(crate) type Setters = BTreeMap<String, Option<String>>;

/// What they come to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Judged {
    Run,
    Skip(String),
    /// The step fails instead of doing its work.
    Fail(Fault),
}

impl Conditions {
    pub(crate) fn judge(&self, state: &State, warnings: &mut Vec<String>) -> Judged {
        let failing = state
            .failures()
            .iter()
            .any(|failure| failure.phase < self.phase);
        let runs_when_failing = matches!(self.when, When::Always | When::OnFailure);
        if failing && !runs_when_failing {
            return Judged::Skip("run-already-failed".to_owned());
        }
        for name in &self.depends_on {
            match state.status(name) {
                Status::Completed => {}
                Status::Failed => return Judged::Skip(format!("dependency-failed:{name}")),
                Status::Skipped => return Judged::Skip(format!("dependency-skipped:{name}")),
            }
        }
        if self.when == When::OnFailure && !failing {
            return Judged::Skip("when:on_failure".to_owned());
        }
        let (seen, _) = Seen::with_env(state, self);
        let judged = self.asked(&seen);
        warnings.extend(seen.warnings.take());
        judged
    }

    fn asked(&self, seen: &Seen<'_>) -> Judged {
        let asked = self.unless.iter().map(|unless| (unless, true, "unless"));
        for (condition, stops, key) in asked.chain(self.ifs.iter().map(|on| (on, false, "if"))) {
            match condition.holds(seen) {
                Ok(holds) if holds == stops => return Judged::Skip(format!("{key}-{holds}")),
                Ok(_) => {}
                Err(what) if self.lenient => {
                    seen.warn(format!("condition-error: {key}: {what}"));
                    return Judged::Skip("condition-error".to_owned());
                }
                Err(what) => {
                    let fault = Fault::new("condition-error", format!("{key}: {what}"));
                    return Judged::Fail(fault.permanent());
                }
            }
        }
        Judged::Run
    }

    /// What the engine asks before a step. One that is to fail begins, so that its row says so.
    pub(crate) fn verdict(&self, data: &Payload) -> Result<Verdict, Fault> {
        let state = State::read(data)?;
        Ok(match self.judge(&state, &mut Vec::new()) {
            Judged::Skip(reason) => Verdict::Skip(reason),
            Judged::Run | Judged::Fail(_) => Verdict::Run,
        })
    }

    /// Whether it would do its work.
    pub(crate) fn runs(&self, data: &Payload) -> Result<bool, Fault> {
        let state = State::read(data)?;
        Ok(self.judge(&state, &mut Vec::new()) == Judged::Run)
    }

    /// Whether it would not be passed by.
    pub(crate) fn begins(&self, data: &Payload) -> Result<bool, Fault> {
        Ok(self.verdict(data)? == Verdict::Run)
    }
}
