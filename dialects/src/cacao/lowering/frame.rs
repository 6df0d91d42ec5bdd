//! Frames: one for each way into a logic step's branches, seen while the graph is made.
//!
//! A step is lowered once in each group of frames. Branches of an if or switch are one group,
//! because at most one of them runs; branches of a parallel are groups of their own.

use windlass_workflow_model::NodeId;

/// Where steps stand while they are lowered.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// Frames in which a step is the same node.
    pub(super) group: usize,
    /// Where the frame closes; `None` ends the run.
    pub(super) after: Option<NodeId>,
    /// Where a failure goes that nobody in the frame handles.
    pub(super) fault: Unhandled,
    /// The logic steps whose variables are seen, innermost first.
    pub(super) scopes: Vec<usize>,
    /// The logic step that opened it, by its name, and the branch.
    pub(super) parent: Option<(String, String)>,
    /// How that joins its branches.
    pub(super) join_policy: Option<&'static str>,
    /// Steps at which a branch of it ends, and where it goes instead.
    pub(super) stops: Vec<(usize, NodeId)>,
    /// Whether it is the exception chain, whose failures start no other.
    pub(super) in_exception: bool,
}

/// What becomes of a failure that nobody in a frame handles.
#[derive(Clone, Debug)]
pub(super) enum Unhandled {
    /// It fails the branch.
    Fails,
    /// It goes to this node, with the failure in the data.
    Goes(NodeId),
    /// It is one of a branch of this step, by its frame, number and name.
    Rises(usize, usize, String),
}

impl Frame {
    /// Where a branch goes instead of this step.
    pub(super) fn stop(&self, step: usize) -> Option<NodeId> {
        let found = self.stops.iter().find(|(at, _)| *at == step);
        found.map(|(_, node)| *node)
    }
}
