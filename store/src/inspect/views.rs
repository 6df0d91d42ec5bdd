//! What inspection shows: runs, their steps, and what they wait for.

use windlass_workflow_model::{
    ActivationId, Definition, ErrorEntry, Payload, RunId, RunStatus, StepStatus, Timestamp,
};

use crate::sync::Arc;

/// One run in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its id.
    pub run: RunId,
    /// Its workflow's name.
    pub workflow: String,
    /// Its workflow's version.
    pub version: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Why it is cancelled or parked.
    pub reason: Option<String>,
    /// When it was admitted.
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// One run in full.
#[derive(Clone, Debug)]
pub struct RunDetail {
    /// The line in the list.
    pub summary: RunSummary,
    /// The last data of its first branch.
    pub data: Option<Payload>,
    /// Why it failed, all of it.
    pub errors: Vec<ErrorEntry>,
    /// Its steps and blocks, in the order of the definition.
    pub steps: Vec<StepView>,
    /// The branches of its blocks, each under the name of its block, in that order; of a loop, its
    /// iterations, with what the gateway gave that one failed in, if anything.
    pub branches: Vec<StepView>,
    /// Changes of its data that its workflow notes, each with what it noted as `output`.
    pub notes: Vec<StepView>,
    /// Its workflow.
    pub definition: Arc<Definition>,
    /// What was stored with it.
    pub note: Option<String>,
    /// The run that called it, whether or not it waits for it.
    pub called_by: Option<RunId>,
    /// Where a retry of a run that has failed goes on: a node for each of its failed branches. Empty
    /// for other runs, and where nothing can be retried.
    pub retries_at: Vec<String>,
}

/// One activation of a step, or a step that was not reached, or a block; of what is in a loop, in one
/// iteration or round of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// One word for what it is: of the definition, or `undo` for the undoing of a step.
    pub kind: String,
    /// The block around it.
    pub parent: Option<String>,
    /// The branch it is on.
    pub branch: Option<String>,
    /// How the block around it joins its branches.
    pub join_policy: Option<String>,
    /// The innermost iteration that it stands in, where the loop is a block.
    pub instance: Option<Instance>,
    /// Which round it was of each loop around it that is a block, the outermost first, from 1.
    pub rounds: Vec<u32>,
    /// The activation; `None` if it was not reached.
    pub activation: Option<ActivationId>,
    /// The last attempt, from 1; 0 if there was none.
    pub attempt: u32,
    /// Where it stands.
    pub status: StepStatus,
    /// Why it was passed by, waits or was cancelled.
    pub reason: Option<String>,
    /// When the last attempt began, or the wait.
    pub started_at: Option<Timestamp>,
    /// When the last attempt ended.
    pub ended_at: Option<Timestamp>,
    /// What its last attempt worked on, if the step has said so.
    pub input: Option<Payload>,
    /// What it gave.
    pub output: Option<Payload>,
    /// Why the last attempt failed.
    pub error: Option<ErrorEntry>,
}

/// One instance of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// The map's activation, which differs from time to time that the run is in the map.
    pub map: ActivationId,
    /// Its index, from 0.
    pub index: u32,
}

/// What keeps a run from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// When it fails if it has not ended by then.
    pub deadline: Option<Timestamp>,
    /// Its live branches.
    pub branches: Vec<BranchWait>,
}

/// What one branch waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchWait {
    /// Its name; the first one of a run is `main`.
    pub branch: String,
    /// The step or gateway where it stands.
    pub step: String,
    /// That step's activation.
    pub activation: ActivationId,
    /// What it waits for.
    pub waits_for: WaitsFor,
}

/// What a branch waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitsFor {
    /// One of `running`, `runner`, `channel`, `outbox`, `lock`, `retry`, `timer`, `event`, `join`,
    /// `meet`, `call`, `mutex`, `milestone`, `handler`, `operator`.
    pub kind: &'static str,
    /// The engine that has the job: its process and machine.
    pub owner: Option<String>,
    /// When it goes on by itself.
    pub until: Option<Timestamp>,
    /// The event.
    pub event: Option<String>,
    /// The correlation that the event must have.
    pub correlation: Option<String>,
    /// The join or meet.
    pub join: Option<String>,
    /// The map at the join, if more may be added to it: it is not over before it is closed.
    pub open_map: Option<String>,
    /// The mutex.
    pub mutex: Option<String>,
    /// The milestone.
    pub milestone: Option<String>,
    /// The run that was called.
    pub run: Option<RunId>,
    /// What is missing: branches, inputs of a meet, events, handlers, who lets a mutex go, an
    /// operator's word.
    pub missing: Vec<String>,
}
