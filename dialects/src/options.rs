//! What a caller may choose about an import.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use windlass_workflow_model::RetryPolicy;

use crate::dialect::Dialect;

/// How strictly a file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// What the dialect's page calls an error is one.
    #[default]
    Strict,
    /// The repairs that the dialect's page lists are made, and no others, each with a warning.
    Lenient,
}

/// Which step types have a handler where the workflow is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HandlerTypes {
    /// Not known here, so no type is refused. The engine still finds out when a run begins.
    #[default]
    Any,
    /// These; `"*"` among them stands for every type.
    Known(Vec<String>),
}

impl HandlerTypes {
    /// Whether a step of this type can do its work.
    pub(crate) fn accepts(&self, kind: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Known(types) => types.iter().any(|known| known == kind || known == "*"),
        }
    }
}

/// The choices of one import. [`new`](Self::new) gives the defaults; change its fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImportOptions {
    /// The file's name, for messages and for workflows that have no name of their own.
    pub file: String,
    /// Default strict.
    pub mode: Mode,
    /// The dialect of the file; default `None`, which finds it out.
    pub dialect: Option<Dialect>,
    /// Imports only the workflow of this name, and reports on nothing else but what makes the file
    /// unreadable. Default `None`, all of them.
    pub document: Option<String>,
    /// Steps of one run that may work at once, at least 1; default 5. Low numbers make wide phases
    /// slow, high ones let one run take all Runners.
    pub max_concurrent_steps: u32,
    /// Limit for one attempt of a step that sets none; default 30 min. `None` and zero are no
    /// limit, and then a step that hangs holds its run until someone cancels it.
    pub step_timeout: Option<Duration>,
    /// Which step types have a handler; default any.
    pub handlers: HandlerTypes,
    /// What only YAML step groups know.
    pub step_groups: StepGroupsOptions,
    /// What only parallel JSON knows.
    pub parallel_json: ParallelJsonOptions,
    /// What only CACAO knows.
    pub cacao: CacaoOptions,
}

/// The choices for YAML step groups.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StepGroupsOptions {
    /// How long a person has to answer `when: manual`; default no limit.
    pub approval_timeout: Option<Duration>,
    /// Whether all that asks for approval counts as approved, so that nobody is asked: for
    /// rehearsals; default no.
    pub approve_all: bool,
    /// Variables of the process that runs may read. Whoever starts a run puts their values into its
    /// input under `process_env`. Default none.
    pub process_env: Vec<String>,
    /// Resources that whoever starts a run supplies under `resources`; default none.
    pub known_resources: Vec<String>,
    /// Variables, environment and outputs whose values [`group_secrets`](crate::group_secrets) tells
    /// to whoever shows rows and messages, so that it hides them; default none.
    pub secret_names: Vec<String>,
    /// Files with workflows that others may start, beside those of the same file; default none.
    pub workflows: Vec<PlaybookFile>,
}

/// The choices for CACAO playbooks.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CacaoOptions {
    /// Processing flags that this host will not run, such as `parallel_processing`; default none.
    pub refuse_features: Vec<String>,
    /// Whether the proposal `parallelizable` is accepted; default in lenient mode only.
    pub parallelizable: Option<bool>,
    /// Whether CACAO 1.0 and 1.1 are read as 2.0; default in lenient mode only.
    pub upgrade_1x: Option<bool>,
    /// Iterations of one entry into a while step, at least 1; default 1000. One more fails the step.
    pub max_loop_iterations: u32,
    /// Steps of one run that may work at once, at least 1; default none.
    pub max_parallel_branches: Option<u32>,
    /// Limit in milliseconds for actions and playbook-actions without one; default none. Never for manual
    /// commands.
    pub default_step_timeout_ms: Option<u64>,
    /// How deep playbooks may call each other, at least 1; default 16.
    pub max_playbook_depth: u32,
    /// Whether revoked and out-of-date playbooks may be started; noted in the run. Default no.
    pub ignore_validity: bool,
    /// The playbooks that others may call; default none.
    pub playbooks: Vec<PlaybookFile>,
    /// Variables whose values are filled in at the last moment by whoever makes a call, and never
    /// stand in the data of a run; default none.
    pub secrets: BTreeSet<String>,
}

/// A file that may hold a playbook, or workflows that others start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybookFile {
    /// Its name, for messages.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Default for CacaoOptions {
    fn default() -> Self {
        Self {
            refuse_features: Vec::new(),
            parallelizable: None,
            upgrade_1x: None,
            max_loop_iterations: 1_000,
            max_parallel_branches: None,
            default_step_timeout_ms: None,
            max_playbook_depth: 16,
            ignore_validity: false,
            playbooks: Vec::new(),
            secrets: BTreeSet::new(),
        }
    }
}

/// The choices for parallel JSON, which has defaults of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParallelJsonOptions {
    /// Steps of one run that may work at once, on top of each block's own limit, at least 1;
    /// default none.
    pub max_concurrent_steps: Option<u32>,
    /// Limit for one call of an agent that has none of its own; default 300 s. `None` and zero are
    /// no limit.
    pub step_timeout: Option<Duration>,
    /// Agents by name; default none.
    pub agents: BTreeMap<String, AgentOptions>,
    /// For fork-joins that do not say; default `None`.
    pub early_exit: EarlyExit,
    /// What `on_error: stop` does to running iterations; default drain.
    pub parallel_loop_stop: LoopStop,
    /// What the entries of a loop's `iterations` are; default records.
    pub iteration_shape: IterationShape,
    /// Whether a condition that errs fails its step instead of being false; default no.
    pub strict_conditions: bool,
    /// When an agent without a handler is an error; default when the file is loaded.
    pub resolve_agents: ResolveAgents,
}

impl Default for ParallelJsonOptions {
    fn default() -> Self {
        Self {
            max_concurrent_steps: None,
            step_timeout: Some(Duration::from_mins(5)),
            agents: BTreeMap::new(),
            early_exit: EarlyExit::None,
            parallel_loop_stop: LoopStop::Drain,
            iteration_shape: IterationShape::Record,
            strict_conditions: false,
            resolve_agents: ResolveAgents::Load,
        }
    }
}

/// How an agent is called.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AgentOptions {
    /// Limit for one call in milliseconds.
    pub timeout_ms: Option<u64>,
    /// How often it is called; `None` once.
    pub retry: Option<RetryPolicy>,
    /// Whether its record asks for a circuit breaker, which there is none of.
    pub has_circuit_breaker: bool,
}

/// When a fork-join decides, and what becomes of the other branches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EarlyExit {
    /// When all branches have settled.
    #[default]
    None,
    /// As soon as its outcome is certain; the others go on without effect.
    Absorb,
    /// As soon as its outcome is certain; the others are cancelled.
    Cancel,
}

/// What becomes of running iterations when a parallel loop stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LoopStop {
    /// They finish.
    #[default]
    Drain,
    /// They are cancelled.
    Cancel,
}

/// What the entries of a loop's `iterations` are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IterationShape {
    /// Records with index, status, input and output.
    #[default]
    Record,
    /// The outputs alone; null for a failed iteration.
    Output,
}

/// When an agent without a handler is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResolveAgents {
    /// When the file is loaded.
    #[default]
    Load,
    /// When a run comes to its step, which then fails.
    Run,
}

impl ImportOptions {
    /// The defaults, for a file of this name.
    pub fn new(file: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            mode: Mode::Strict,
            dialect: None,
            document: None,
            max_concurrent_steps: 5,
            step_timeout: Some(Duration::from_mins(30)),
            handlers: HandlerTypes::Any,
            step_groups: StepGroupsOptions::default(),
            parallel_json: ParallelJsonOptions::default(),
            cacao: CacaoOptions::default(),
        }
    }
}
