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
pub mod limits;
mod payload;
mod retry;
mod status;
mod time;
mod validate;

pub use advance::{
    Advance, Child, Handover, Inputs, Last, Moves, Next, SkipRecord, Token, advance, after_step,
};
pub use definition::{
    Arm, Block, Branches, Definition, Delay, FailurePolicy, FaultPath, Need, Node, NodeKind, Place,
    Source, StepSpec,
};
pub use draft::Draft;
pub use draw::{Graph, GraphEdge, GraphFormat, GraphNode, draw};
pub use fault::{ErrorEntry, Fault, codes};
pub use functions::{Arrival, BranchSeed, Event, Function, FunctionRole, Functions, Verdict};
pub use ids::{
    ActivationId, BranchId, Epoch, FencingToken, NodeId, OwnerId, ParseRunIdError, Position, RunId,
    WorkflowKey,
};
pub use payload::Payload;
pub use retry::RetryPolicy;
pub use status::{RunStatus, StepStatus};
pub use time::Timestamp;
pub use validate::{InvalidWorkflow, Problem};
