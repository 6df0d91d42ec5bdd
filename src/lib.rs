//! A durable job queue and workflow engine that lives inside your process.
//!
//! A [`Scheduler`] puts jobs on a bounded channel backed by an outbox in SQLite; a configured number
//! of single-threaded Runners lock and run them. What a step did and what became ready because of it
//! are one transaction, so a crash at any instant resumes from there.
//!
//! ```
//! use windlass::{Engine, RunOutcome, Workflow};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let double = Workflow::<u64>::build("double", "1", |flow| {
//!     flow.step("double", |_context, number| {
//!         *number *= 2;
//!         Ok(())
//!     })
//! })?;
//! let engine = Engine::builder().in_memory().workflow(&double).open()?;
//! let run = engine.scheduler().schedule_blocking(double.request(&21)?)?;
//! let RunOutcome::Succeeded(data) = run.wait_blocking(None)? else { panic!("it cannot fail") };
//! assert_eq!(data.decode::<u64>()?, 42);
//! # Ok(())
//! # }
//! ```

//!
//! The feature `import` adds `import`, which reads workflow files of others.

#![forbid(unsafe_code)]

mod builder;
mod compat;
mod engine;
mod expressions;
mod flow;
#[cfg(feature = "import")]
mod import;
mod stepped;
mod workflow;

pub use builder::{EngineBuilder, EngineError, WrapHandlers};
pub use compat::Broken;
pub use engine::{Engine, ShutdownReport, Stats};
pub use expressions::InvalidExpressions;
pub use flow::{Arms, BranchEnd, BranchResult, Ended, Flow, Map, Multi, Net, Part, Select, Split};
#[cfg(feature = "import")]
pub use import::{
    AgentOptions, CacaoOptions, CommandCall, CommandResult, Diagnostic, Dialect, EarlyExit,
    GroupInput, GroupResult, HandlerTypes, ImportOptions, Imported, ImportedWorkflow,
    IterationShape, LoopStop, ManualTask, Mode, ParallelJsonOptions, PlaybookFile, ResolveAgents,
    RunNotes, StartRefusal, StepGroupsOptions, StepInput, agent_handler, command_handler,
    group_handler, import, manual_tasks, run_notes, run_outputs, start_refusals, with_warnings,
};
pub use stepped::{SteppedEngine, Supervisor};
pub use workflow::{Json, Workflow};

pub use windlass_runner::{
    Cancellation, Context, Handler, Handlers, MissingParts, StepEffectError, StepError, StepOutput,
    StepScheduleError,
};
pub use windlass_scheduler::{Event, Request, RunHandle, ScheduleError, Scheduler, WaitError};
pub use windlass_store::inspect::{
    BranchWait, FindError, Inspector, Instance, MapError, MapResult, MapResults, MapView,
    RunDetail, RunSummary, StepView, WaitsFor, Why,
};
pub use windlass_store::{
    Admission, AdmitError, BackupError, Clock, CommitHook, CommitPoint, Durability, Examination,
    Finding, History, HistoryDetail, HistoryRow, ManualClock, MapChange, MapOutcome, OpenError,
    Priority, Retention, RunFilter, RunOutcome, SQLITE_VERSION, Severity, ShedPolicy,
    SignalOutcome, StorageError, SystemClock, TemporaryCopy, WriteError, backup, examine, restore,
};
pub use windlass_workflow_model::{
    ActivationId, Arrival, Arrivals, Block, BranchId, BranchOutcome, BranchSeed, Branches,
    CallSpec, Count, Definition, Delay, Draft, Effect, ErrorEntry, EventMatch, FailurePolicy,
    Fault, FencingToken, ForkArm, Function, Functions, Graph, GraphFormat, InvalidWorkflow,
    MapSpec, Need, Node, NodeId, NodeKind, Payload, Place, Problem, Rest, RetryPolicy, RunId,
    RunStatus, SelectArm, Source, StepSpec, StepStatus, TimeOfDay, TimeOfDayError, Timestamp,
    Trigger, Verdict, Weekday, draw,
};

/// The engine's clocks, channels and bounds, for tests that step or explore it.
pub mod limits {
    pub use windlass_runner::limits as runner;
    pub use windlass_scheduler::limits as scheduler;
    pub use windlass_store::limits as store;
    pub use windlass_workflow_model::limits as workflow;
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
