//! What a workflow is, and what follows from an outcome.
//!
//! The lowest crate: plain data and pure functions, no clock, no disk, no threads. A
//! [`Definition`] is a graph of steps and gateways; [`advance`] says where a branch goes when it
//! enters a node, leaves one, or meets its siblings at a join. The store writes those moves down,
//! the Runner computes them.
//!
//! ```
//! use windlass_workflow_model::{Draft, StepSpec};
//!
//! let mut draft = Draft::new("release", "1");
//! let build = draft.step("build", StepSpec::new("build"));
//! let ship = draft.step("ship", StepSpec::new("ship"));
//! draft.connect(build, ship);
//! draft.start_at(build);
//! let definition = draft.finish().expect("two steps in a row");
//! assert_eq!(definition.nodes().len(), 2);
//! ```

#![forbid(unsafe_code)]

mod advance;
mod definition;
mod draft;
mod draw;
mod fault;
mod functions;
mod ids;
mod join;
mod json;
pub mod limits;
mod meet;
mod needs;
mod payload;
mod prospect;
mod retry;
mod status;
mod time;
mod time_of_day;
mod validate;

pub use advance::{
    Advance, Besides, Call, Child, FailedWait, Handover, Inputs, Last, Moves, Next, NoteRecord,
    Rounds, SkipRecord, Token, Wanted, advance, after_step,
};
pub use definition::{
    Arm, Block, Branches, CallSpec, Count, Definition, Delay, Effect, EventMatch, FailurePolicy,
    FaultPath, ForkArm, Need, Node, NodeKind, Place, Rest, SelectArm, Source, StepSpec, Trigger,
};
pub use draft::{Draft, MapSpec, name_beside};
pub use draw::{Graph, GraphEdge, GraphFormat, GraphNode, draw};
pub use fault::{ErrorEntry, Fault, codes};
pub use functions::{
    Arrival, Arrivals, BranchOutcome, BranchSeed, Event, Function, FunctionRole, Functions, Verdict,
};
pub use ids::{
    ActivationId, BranchId, Epoch, FencingToken, NodeId, OwnerId, ParseRunIdError, Position, RunId,
    WorkflowKey,
};
pub use join::{Decision, JoinRule, Tally};
pub use meet::{MeetMove, MeetRule, Meeting, Waiting};
pub use payload::Payload;
pub use prospect::{Situation, can_come};
pub use retry::RetryPolicy;
pub use status::{RunStatus, StepStatus};
pub use time::Timestamp;
pub use time_of_day::{TimeOfDay, TimeOfDayError, Weekday};
pub use validate::{InvalidWorkflow, Problem};
