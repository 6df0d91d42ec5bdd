//! The keys that can be set, with their defaults.

use serde_json::{Value as Json, json};

use super::dialects::DialectSettings;
use super::layer::Layer;

/// Keys of YAML step groups.
pub(super) mod groups {
    pub(in crate::config) const MODE: &str = "dialects.step-groups-yaml.mode";
    pub(in crate::config) const MAX_CONCURRENT_STEPS: &str =
        "dialects.step-groups-yaml.max_concurrent_steps";
    pub(in crate::config) const STEP_TIMEOUT: &str = "dialects.step-groups-yaml.step_timeout";
    pub(in crate::config) const APPROVAL_TIMEOUT: &str =
        "dialects.step-groups-yaml.approval_timeout";
    pub(in crate::config) const PROCESS_ENV: &str = "dialects.step-groups-yaml.process_env";
    pub(in crate::config) const KNOWN_RESOURCES: &str = "dialects.step-groups-yaml.known_resources";
    pub(in crate::config) const WORKFLOWS: &str = "dialects.step-groups-yaml.workflows";

    pub(in crate::config) const SECRET_NAMES: &str = "dialects.step-groups-yaml.secret_names";
}

/// Keys of parallel JSON.
pub(super) mod json {
    pub(in crate::config) const MODE: &str = "dialects.parallel-json.mode";
    pub(in crate::config) const MAX_CONCURRENT_STEPS: &str =
        "dialects.parallel-json.max_concurrent_steps";
    pub(in crate::config) const STEP_TIMEOUT: &str = "dialects.parallel-json.step_timeout";
    pub(in crate::config) const EARLY_EXIT: &str = "dialects.parallel-json.early_exit";
    pub(in crate::config) const PARALLEL_LOOP_STOP: &str =
        "dialects.parallel-json.parallel_loop_stop";
    pub(in crate::config) const ITERATION_SHAPE: &str = "dialects.parallel-json.iteration_shape";
    pub(in crate::config) const STRICT_CONDITIONS: &str =
        "dialects.parallel-json.strict_conditions";
    pub(in crate::config) const RESOLVE_AGENTS: &str = "dialects.parallel-json.resolve_agents";
}

/// Keys of CACAO playbooks.
pub(super) mod cacao {
    pub(in crate::config) const MODE: &str = "dialects.cacao.mode";
    pub(in crate::config) const REFUSE_FEATURES: &str = "dialects.cacao.refuse_features";
    pub(in crate::config) const PARALLELIZABLE: &str = "dialects.cacao.parallelizable";
    pub(in crate::config) const UPGRADE_1X: &str = "dialects.cacao.upgrade_1x";
    pub(in crate::config) const MAX_LOOP_ITERATIONS: &str = "dialects.cacao.max_loop_iterations";
    pub(in crate::config) const MAX_PARALLEL_BRANCHES: &str =
        "dialects.cacao.max_parallel_branches";
    pub(in crate::config) const DEFAULT_STEP_TIMEOUT: &str = "dialects.cacao.default_step_timeout";
    pub(in crate::config) const MAX_PLAYBOOK_DEPTH: &str = "dialects.cacao.max_playbook_depth";
    pub(in crate::config) const IGNORE_VALIDITY: &str = "dialects.cacao.ignore_validity";
    pub(in crate::config) const PLAYBOOKS: &str = "dialects.cacao.playbooks";
}

/// Key of the file with the host keys of `ssh` commands.
pub(super) const SSH_KNOWN_HOSTS: &str = "ssh.known_hosts";

/// All keys, in the order in which they are shown.
pub(super) const KEYS: [&str; 40] = [
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
    SSH_KNOWN_HOSTS,
    groups::MODE,
    groups::MAX_CONCURRENT_STEPS,
    groups::STEP_TIMEOUT,
    groups::APPROVAL_TIMEOUT,
    groups::PROCESS_ENV,
    groups::KNOWN_RESOURCES,
    groups::SECRET_NAMES,
    groups::WORKFLOWS,
    json::MODE,
    json::MAX_CONCURRENT_STEPS,
    json::STEP_TIMEOUT,
    json::EARLY_EXIT,
    json::PARALLEL_LOOP_STOP,
    json::ITERATION_SHAPE,
    json::STRICT_CONDITIONS,
    json::RESOLVE_AGENTS,
    cacao::MODE,
    cacao::REFUSE_FEATURES,
    cacao::PARALLELIZABLE,
    cacao::UPGRADE_1X,
    cacao::MAX_LOOP_ITERATIONS,
    cacao::MAX_PARALLEL_BRANCHES,
    cacao::DEFAULT_STEP_TIMEOUT,
    cacao::MAX_PLAYBOOK_DEPTH,
    cacao::IGNORE_VALIDITY,
    cacao::PLAYBOOKS,
];

/// Every key with its meaning, unit, default and extremes; the help of `windlass config`.
pub(crate) const HELP: &str = "\
Settings come from defaults, windlass.toml, WINDLASS_* variables and flags; later ones win.
A variable is the key in capitals with _ for . and -: WINDLASS_RETENTION_KEEP. Durations are a
number and a unit: 200ms, 10s, 5m, 1h, 30d.

database               the SQLite file, relative to the current folder. Default windlass.db
durability             what a power loss may cost: nothing (full) or the newest work (normal); a
                       crash of the process costs nothing in either. Default full
runners                Runner threads, 1 to 1024. Default one per processor; more only helps
                       handlers that block
in_flight              steps that wait at once on one Runner, 1 to 10000. Default 5; with 1 a
                       Runner does nothing else while a program runs
capacity               jobs between Scheduler and Runners, 1 to 1000000. Default 8192; few cost
                       speed, many cost memory
history                which attempts are kept: all, failures or off. Default all; without it
                       show knows no times and outputs of steps
max_crashes            crashes of the engine in one step, 1 to 1000, before the step is parked.
                       Default 3
log                    log lines on stderr: a level, or filters such as windlass=debug. Default warn
allow                  list of kinds of step that may run: shell, and bash, powershell, ssh,
                       http-api, openc2-http of playbooks. Default none
admission.policy       what happens to new runs when too many wait: backpressure (the producer
                       waits), reject-new or drop-oldest. Default backpressure
admission.max_pending  runs that wait for their first step, from 1. Default 100000
admission.timeout      how long a producer waits under backpressure. Default 30s
retention.keep         how long ended runs are kept, or forever. Default 30d
ssh.known_hosts        file with the host keys that ssh commands of playbooks trust, and no other.
                       Default empty: those that your ssh trusts
dialects.step-groups-yaml.mode
                       strict, or lenient: the repairs that the dialect lists are made, each with a
                       warning. Default strict; --lenient sets it for every dialect
dialects.step-groups-yaml.max_concurrent_steps
                       steps of one run that work at once, 1 to 10000. Default 5
dialects.step-groups-yaml.step_timeout
                       limit for one attempt of a step that sets none; 0s is no limit. Default 30m
dialects.step-groups-yaml.approval_timeout
                       how long a step with when: manual waits for approve or reject; 0s is no limit.
                       Default 0s
dialects.step-groups-yaml.process_env
                       list of variables of the environment that runs may read; read when a run begins
                       and kept with it. Default none
dialects.step-groups-yaml.known_resources
                       list of resources that --input brings under resources. Default none
dialects.step-groups-yaml.secret_names
                       list of variables, environment and outputs whose values are hidden wherever steps
                       and runs are shown; the run's data holds them. Default none
dialects.step-groups-yaml.workflows
                       folder of step groups (*.yaml, *.yml) whose workflows steps of type workflow
                       start, beside those of the same file; --workflows sets it. Default none
dialects.parallel-json.mode
                       strict or lenient. Default strict
dialects.parallel-json.max_concurrent_steps
                       steps of one run that work at once, 1 to 10000, on top of each block's own
                       limit, or none. Default none
dialects.parallel-json.step_timeout
                       limit for one call of an agent that has none; 0s is no limit. Default 5m
dialects.parallel-json.early_exit
                       when a fork-join that does not say decides: with all branches settled (none),
                       or as soon as its outcome is certain, and the others go on without effect
                       (absorb) or are cancelled (cancel). Default none
dialects.parallel-json.parallel_loop_stop
                       what on_error: stop does to running iterations: they finish (drain) or are
                       cancelled (cancel). Default drain
dialects.parallel-json.iteration_shape
                       entries of a loop's iterations: record or output. Default record
dialects.parallel-json.strict_conditions
                       whether a condition that errs fails its step instead of being false. Default
                       false
dialects.parallel-json.resolve_agents
                       when an agent without a handler is an error: when the file is read (load) or
                       when a run comes to its step (run). Default load
dialects.cacao.mode    strict or lenient. Default strict
dialects.cacao.refuse_features
                       list of processing flags, such as parallel_processing: playbooks that need one
                       are refused; --refuse sets it. Default none
dialects.cacao.parallelizable
                       whether the proposal is accepted: true, false or by-mode (only lenient).
                       Default by-mode
dialects.cacao.upgrade_1x
                       whether CACAO 1.0 and 1.1 are read as 2.0: true, false or by-mode (only
                       lenient). Default by-mode
dialects.cacao.max_loop_iterations
                       iterations of one entry into a while step, from 1; one more fails the step.
                       Default 1000
dialects.cacao.max_parallel_branches
                       steps of one run that work at once, 1 to 10000, or none. Default none
dialects.cacao.default_step_timeout
                       limit for actions and playbook-actions without one, but manual ones; 0s is no
                       limit. Default 0s
dialects.cacao.max_playbook_depth
                       how deep playbooks may call each other, 1 to 1000. Default 16
dialects.cacao.ignore_validity
                       whether revoked and out-of-date playbooks may be started. Default false
dialects.cacao.playbooks
                       folder of playbooks (*.json) that others call; --playbooks sets it. Default
                       none

Agents stand in [dialects.parallel-json.agents.NAME]:

timeout_ms             limit for one call
retry_config           table of max_retries (tries after the first; default 0), initial_delay_ms
                       (1000), max_delay_ms (300000) and backoff_multiplier (2, from 1)
circuit_breaker_config is refused, or with mode lenient ignored: put the breaker into the handler

Handlers stand in [handlers.TYPE], here or in the file of --handlers; TYPE \"*\" serves every type
without its own, but shell:

command                list of texts: a program and its arguments. JSON on stdin and stdout;
                       WINDLASS_CTX_{RUN,BRANCH,STEP,ATTEMPT,IDEMPOTENCY_KEY} in its environment;
                       exit code 75 asks to be tried again later
timeout                limit for one attempt of a step that sets none
attempts               tries of one step, from 1. Default 1
backoff                pause before the second try, doubled after each. Default 1s
simulate               instead of command: only takes this long
output                 what a simulation gives: a table of outputs, for agents anything. What the
                       file reads besides is made up
fail, fail_attempts    message a simulation fails with, and how many attempts do. Default all

Secrets of playbooks stand in [secrets]: __name__ = {env = \"NAME\"}, a variable, or
__name__ = {file = \"path\"}, a file that not everybody can read. Their values are never stored.
";

/// The variable that sets a key: `retention.keep` → `WINDLASS_RETENTION_KEEP`.
pub(super) fn variable(key: &str) -> String {
    format!("WINDLASS_{}", key.replace(['.', '-'], "_").to_uppercase())
}

/// Whether the value of a key is text, so that `WINDLASS_DATABASE=5` is a file name.
pub(super) fn is_text(key: &str) -> bool {
    let is_width = matches!(
        key,
        json::MAX_CONCURRENT_STEPS | cacao::MAX_PARALLEL_BRANCHES
    );
    !(default(key).is_number() || is_truth(key) || is_width)
}

/// Whether the value of a key is true or false.
pub(super) fn is_truth(key: &str) -> bool {
    default(key).is_boolean()
}

/// Whether the value of a key is a duration.
pub(super) fn is_duration(key: &str) -> bool {
    matches!(
        key,
        "admission.timeout"
            | "retention.keep"
            | groups::STEP_TIMEOUT
            | groups::APPROVAL_TIMEOUT
            | json::STEP_TIMEOUT
            | cacao::DEFAULT_STEP_TIMEOUT
    )
}

/// What a key of any text takes.
pub(super) const TEXT: &str = "text";

/// What a key takes, in plain words.
pub(super) fn expected(key: &str) -> &'static str {
    match key {
        "durability" => "full or normal",
        "history" => "all, failures or off",
        "admission.policy" => "backpressure, reject-new or drop-oldest",
        "allow" => "a list of kinds such as [\"shell\"]",
        "retention.keep" => "a duration such as \"30d\", or \"forever\"",
        groups::MODE | json::MODE | cacao::MODE => "strict or lenient",
        groups::PROCESS_ENV | groups::KNOWN_RESOURCES | groups::SECRET_NAMES => {
            "a list of names such as [\"HOME\"]"
        }
        cacao::REFUSE_FEATURES => "a list of processing flags such as [\"parallel_processing\"]",
        cacao::PARALLELIZABLE | cacao::UPGRADE_1X => "true, false or by-mode",
        json::MAX_CONCURRENT_STEPS | cacao::MAX_PARALLEL_BRANCHES => {
            "a whole number from 1 to 10000, or \"none\""
        }
        json::EARLY_EXIT => "none, absorb or cancel",
        json::PARALLEL_LOOP_STOP => "drain or cancel",
        json::ITERATION_SHAPE => "record or output",
        json::RESOLVE_AGENTS => "load or run",
        key if is_truth(key) => "true or false",
        key if is_duration(key) => "a duration such as \"30s\"",
        key if is_text(key) => TEXT,
        _ => "a whole number",
    }
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
        "capacity" => json!(8192),
        "history" => json!("all"),
        "max_crashes" => json!(3),
        "log" => json!("warn"),
        "allow" => json!([]),
        "admission.policy" => json!("backpressure"),
        "admission.max_pending" => json!(100_000),
        "admission.timeout" => json!("30s"),
        "retention.keep" => json!("30d"),
        "in_flight" => json!(5),
        SSH_KNOWN_HOSTS => json!(""),
        _ => of_dialects(key).unwrap_or_default(),
    }
}

fn of_dialects(key: &str) -> Option<Json> {
    let settings = DialectSettings::default();
    let (dialect, name) = key.strip_prefix("dialects.")?.split_once('.')?;
    let settings = serde_json::to_value(settings).ok()?;
    settings.get(dialect.replace('-', "_"))?.get(name).cloned()
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
        assert!(KEYS.iter().all(|key| HELP.contains(&format!("\n{key}"))));
    }
}
