//! Attempts, pauses and limits of an imported workflow's steps, and the version that goes with them.
//!
//! A version names one definition for ever, so a workflow whose policies come from the handlers
//! file must carry them in its version. It also carries the invocation: each `windlass run` serves
//! its own runs and leaves those of earlier ones alone.

use std::time::Duration;

use windlass::{Definition, RetryPolicy, StepSpec};

use crate::handlers_file::HandlerEntries;

/// Where the policies come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policies<'p> {
    /// Per step type.
    pub(crate) entries: &'p HandlerEntries,
    /// Limit for a step that has none of its own and none of its type.
    pub(crate) step_timeout: Option<Duration>,
}

impl Policies<'_> {
    fn of(&self, definition: &Definition, step: &StepSpec) -> (RetryPolicy, Option<u64>) {
        let entry = self.entries.serving_in(definition, &step.handler);
        let entry = entry.unwrap_or_default();
        let default_ms = || {
            let limit = entry.timeout.or(self.step_timeout)?;
            Some(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))
        };
        let timeout_ms = step.timeout_ms.or_else(default_ms);
        // What the file says of one step wins over what is said of all steps of its type.
        let retry = if step.retry == RetryPolicy::default() {
            RetryPolicy::new(entry.attempts, entry.backoff)
        } else {
            step.retry.clone()
        };
        (retry, timeout_ms)
    }
}

/// The definition with the policies of its steps, under the version `VERSION-INVOCATION`. The
/// workflows that it calls are settled alike, so their versions change in the same way.
pub(crate) fn settle(
    definition: Definition,
    policies: Policies<'_>,
    invocation: &str,
) -> Definition {
    let version = |version: &str| format!("{version}-{invocation}");
    let own = version(definition.version());
    let before = definition.clone();
    definition
        .with_step_policies(|step| Some(policies.of(&before, step)))
        .with_called_versions(|_, called| called.map(version))
        .with_version(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers_file::HandlerEntry;
    use windlass::{Draft, NodeKind};

    #[test]
    fn what_a_step_says_wins_over_its_type_and_that_over_the_default() {
        let mut draft = Draft::new("w", "1");
        let spec = |handler: &str, timeout_ms| StepSpec {
            timeout_ms,
            retry: match timeout_ms {
                Some(_) => RetryPolicy::new(7, Duration::from_millis(1)),
                None => RetryPolicy::default(),
            },
            ..StepSpec::new(handler)
        };
        let steps = [
            draft.step("own", spec("tf", Some(7))),
            draft.step("type", spec("tf", None)),
            draft.step("default", spec("shell", None)),
        ];
        draft.connect(steps[0], steps[1]);
        draft.connect(steps[1], steps[2]);
        draft.start_at(steps[0]);
        let definition = draft.finish().unwrap();
        let mut entries = HandlerEntries::default();
        let entry = HandlerEntry {
            timeout: Some(Duration::from_millis(80)),
            attempts: 4,
            ..HandlerEntry::default()
        };
        entries.0.insert("tf".to_owned(), entry);
        let policies = Policies {
            entries: &entries,
            step_timeout: Some(Duration::from_secs(9)),
        };
        let settled = settle(definition, policies, "abc");
        let found: Vec<_> = settled
            .nodes()
            .iter()
            .filter_map(|node| match &node.kind {
                NodeKind::Step(step) => Some((step.retry.attempts, step.timeout_ms)),
                _ => None,
            })
            .collect();
        assert_eq!(found, [(7, Some(7)), (4, Some(80)), (1, Some(9_000))]);
        assert_eq!(settled.version(), "1-abc");
    }
}
