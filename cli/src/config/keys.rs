//! The keys that can be set, with their defaults.

use serde_json::{Value as Json, json};

use super::layer::Layer;

/// Key of the concurrency limit of one run.
pub(super) const MAX_CONCURRENT_STEPS: &str = "dialects.step-groups-yaml.max_concurrent_steps";
/// Key of the limit for one attempt of a step.
pub(super) const STEP_TIMEOUT: &str = "dialects.step-groups-yaml.step_timeout";

/// All keys, in the order in which they are shown.
pub(super) const KEYS: [&str; 15] = [
    "database",
    "durability",
    "runners",
    "in_flight",
    "capacity",
    "history",
    "max_crashes",
    "log",
    "allow",
    "admission.policy",
    "admission.max_pending",
    "admission.timeout",
    "retention.keep",
    MAX_CONCURRENT_STEPS,
    STEP_TIMEOUT,
];

/// The variable that sets a key: `retention.keep` → `WINDLASS_RETENTION_KEEP`.
pub(super) fn variable(key: &str) -> String {
    format!("WINDLASS_{}", key.replace(['.', '-'], "_").to_uppercase())
}

/// Whether the value of a key is text, so that `WINDLASS_DATABASE=5` is a file name.
pub(super) fn is_text(key: &str) -> bool {
    !default(key).is_number()
}

/// A layer per key.
pub(super) fn defaults() -> Vec<Layer> {
    KEYS.map(|key| Layer::new("default".to_owned(), key, default(key)))
        .into()
}

fn default(key: &str) -> Json {
    match key {
        "database" => json!("windlass.db"),
        "durability" => json!("full"),
        "runners" => json!(
            std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(1024)
        ),
        "capacity" => json!(1024),
        "history" => json!("all"),
        "max_crashes" => json!(3),
        "log" => json!("warn"),
        "allow" => json!([]),
        "admission.policy" => json!("backpressure"),
        "admission.max_pending" => json!(100_000),
        "admission.timeout" => json!("30s"),
        "retention.keep" => json!("30d"),
        STEP_TIMEOUT => json!("30m"),
        // Together they let even a single Runner serve one run at its full width.
        "in_flight" | MAX_CONCURRENT_STEPS => json!(5),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_default_and_a_variable_of_its_own() {
        let mut variables: Vec<_> = KEYS.map(variable).into();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), KEYS.len());
        assert!(KEYS.iter().all(|key| !default(key).is_null()));
    }
}
