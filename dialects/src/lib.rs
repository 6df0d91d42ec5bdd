//! Other people's workflow files, translated into workflows.
//!
//! Owns the grammars of the dialects and what their messages say. A file comes in as text and
//! leaves as [`Definition`](windlass_workflow_model::Definition)s, the pure functions they name, and
//! everything that is wrong with the file, all of it at once. It stands before a job's way begins:
//! nothing here runs a step, and the engine knows no dialect.
//!
//! ```
//! use windlass_dialects::{ImportOptions, import};
//!
//! let text = "
//! steps:
//!   - {name: lint, type: check, parallelGroup: 1}
//!   - {name: unit, type: check, parallelGroup: 1}
//!   - {name: ship, type: deploy}
//! ";
//! let imported = import(text, &ImportOptions::new("release.yaml"));
//! assert!(imported.ok());
//! assert_eq!(imported.workflows[0].definition.name(), "release-1");
//! assert_eq!(imported.handlers_needed, ["check", "deploy"]);
//! ```

#![forbid(unsafe_code)]

mod cacao;
mod diagnostic;
mod dialect;
mod hosting;
mod import;
mod json;
pub mod limits;
mod number;
mod options;
mod parallel_json;
mod pointer;
mod run_data;
mod step_groups;
mod stored_rule;
mod suggestion;
mod syntax;
mod tree;
mod workflow_json;
mod yaml;

pub use cacao::{
    CommandCall, CommandResult, Decided, Handled, ManualTask, PROCESSING_FLAGS, asked,
    command_call, command_warnings, exception_handled, made_up_result, playbook_branches,
    playbook_functions, record_result, taken_branches,
};
pub use diagnostic::{Diagnostic, Severity};
pub use dialect::{Dialect, UnknownDialect};
pub use hosting::{StartRefusal, manual_tasks, start_refusals, validity_refusals};
pub use import::{Imported, ImportedWorkflow, import, import_bytes};
pub use options::{
    AgentOptions, CacaoOptions, EarlyExit, HandlerTypes, ImportOptions, IterationShape, LoopStop,
    Mode, ParallelJsonOptions, PlaybookFile, ResolveAgents, StepGroupsOptions,
};
pub use parallel_json::{
    Decision, StepInput, condition_expressions, decisions_of_failed, has_references, run_decisions,
    step_input, tell_branch_timeout,
};
pub use run_data::{RunNotes, record_output, run_notes, run_outputs};
pub use step_groups::{
    Approval, GroupInput, GroupResult, approvals, declared_parameters, group_digits,
    group_functions, group_input, group_puts_values, group_record, group_rehearsal,
    group_run_secrets, group_secrets, process_env,
};

#[cfg(fuzzing)]
pub mod fuzzing;
